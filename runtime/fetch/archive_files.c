/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/archive_files.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/ingest.h"
#include "runtime/fetch/report.h"
#include "runtime/fetch/stream.h"
#include "runtime/fetch/tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILES_MAX = 65536,
    PATH_BYTES_MAX = 16 << 20,
    LINKS_MAX = 8,
};

static struct archive_file *append(struct archive_files *files, const char *path, struct err *err)
{
    files->path_bytes += strlen(path);
    if (files->n >= FILES_MAX || files->path_bytes > PATH_BYTES_MAX) {
        err_set(err, ERR_TOOBIG, "the archive holds too many files for an image");
        return NULL;
    }
    if (files->n == files->cap) {
        files->cap = files->cap ? 2 * files->cap : 64;
        files->files = mem_resize(files->files, files->cap, sizeof(*files->files));
    }
    struct archive_file *file = &files->files[files->n];
    *file = (struct archive_file){.path = str_copy(path)};
    snprintf(file->name, sizeof(file->name), "%zu", files->n);
    files->n++;
    return file;
}

/* The clean path that the symbolic link @path with @target leads to; false when it leads out. */
static bool resolve_link(const char *path, const char *target, char ret[TREE_PATH_MAX])
{
    char dir[TREE_PATH_MAX];
    str_fill(dir, sizeof(dir), path);
    char *slash = strrchr(dir, '/');
    size_t len = slash && target[0] != '/' ? (size_t)(slash - dir) : 0;
    while (str_starts(target, "../")) {
        if (len == 0)
            return false;
        while (len > 0 && dir[len - 1] != '/')
            len--;
        len -= len > 0;
        target += 3;
    }
    dir[len] = '\0';
    char joined[2 * TREE_PATH_MAX];
    snprintf(joined, sizeof(joined), "%s/%.4000s", dir, target);
    return tree_clean(joined, ret, NULL) == 0;
}

static int add_link(struct archive_files *files, struct archive_entry *entry, const char *path,
                    struct err *err)
{
    const char *hard = archive_entry_hardlink(entry);
    const char *soft = archive_entry_symlink(entry);
    char target[TREE_PATH_MAX];
    int rv = 0;
    if (hard)
        rv = tree_clean(hard, target, err);
    else if (!soft || !resolve_link(path, soft, target))
        rv = err_set(err, ERR_CORRUPT, "link '%.100s' leads out of the archive", path);
    if (rv < 0)
        return rv;
    struct archive_file *file = append(files, path, err);
    if (!file)
        return ERR_TOOBIG;
    file->link = str_copy(target);
    return 0;
}

static int add_content(struct archive_files *files, struct archive *archive, const char *path,
                       struct err *err)
{
    struct archive_file *file = append(files, path, err);
    if (!file)
        return ERR_TOOBIG;
    struct ingest ingest;
    int rv = ingest_open(files->ingest_fd, file->name, &ingest, err);
    if (rv < 0)
        return rv;
    const void *data;
    size_t n;
    la_int64_t offset;
    while (rv == 0 && (rv = archive_read_data_block(archive, &data, &n, &offset)) == ARCHIVE_OK) {
        if (offset != ingest.size)
            rv = err_set(err, ERR_CORRUPT, "'%.100s' has holes", path);
        else
            rv = ingest_write(&ingest, data, n, err);
        if (rv < 0) {
            ingest_close(&ingest, NULL);
            return rv;
        }
    }
    file->size = ingest.size;
    ingest_close(&ingest, file->digest);
    return rv == ARCHIVE_EOF ? 0 : archive_err(archive, "read the archive", err);
}

static int add_entry(struct archive_files *files, struct archive *archive,
                     struct archive_entry *entry, struct err *err)
{
    char path[TREE_PATH_MAX];
    const char *name = archive_entry_pathname(entry);
    if (!name)
        return err_set(err, ERR_UNSUPPORTED, "the archive has a name that is not UTF-8");
    int rv = tree_clean(name, path, err);
    if (rv < 0)
        return rv;
    mode_t type = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry) || type == AE_IFLNK)
        return add_link(files, entry, path, err);
    if (type == AE_IFREG)
        return add_content(files, archive, path, err);
    return 0;
}

struct progress {
    int64_t total;
};

static void on_progress(void *arg, int64_t bytes)
{
    const struct progress *p = arg;
    report_progress(bytes, p->total);
}

static int read_entries(struct archive_files *files, struct stream *stream, struct err *err)
{
    struct archive *archive;
    struct archive_entry *entry;
    int rv = stream_archive(stream, &archive, err);
    if (rv < 0)
        return rv;
    while ((rv = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || rv == ARCHIVE_WARN) {
        if ((rv = add_entry(files, archive, entry, err)) < 0)
            break;
    }
    if (rv == ARCHIVE_FATAL || rv == ARCHIVE_FAILED)
        rv = archive_err(archive, "read the archive", err);
    archive_read_free(archive);
    return rv < 0 ? rv : 0;
}

int archive_files_read(struct archive_files *files, int fd, int64_t max_bytes, struct err *err)
{
    struct stream *stream;
    struct stat st;
    setlocale(LC_CTYPE, "C.UTF-8");
    int rv = stream_open(fd, max_bytes, &stream, err);
    if (rv < 0)
        return rv;
    struct progress progress = {.total = fstat(fd, &st) == 0 ? st.st_size : 0};
    stream_on_progress(stream, on_progress, &progress);
    rv = read_entries(files, stream, err);
    stream_free(stream);
    return rv;
}

void archive_files_release(struct archive_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->files[i].path);
        free(files->files[i].link);
    }
    free(files->files);
    files->files = NULL;
    files->n = files->cap = 0;
}

/* The last of a name counts, as in any tar. */
static struct archive_file *find_exactly(struct archive_files *files, const char *path)
{
    for (size_t i = files->n; i > 0; i--) {
        if (strcmp(files->files[i - 1].path, path) == 0)
            return &files->files[i - 1];
    }
    return NULL;
}

struct archive_file *archive_files_find(struct archive_files *files, const char *path)
{
    char clean[TREE_PATH_MAX];
    if (tree_clean(path, clean, NULL) < 0)
        return NULL;
    struct archive_file *file = find_exactly(files, clean);
    for (int i = 0; file && file->link; i++) {
        if (i == LINKS_MAX)
            return NULL;
        file = find_exactly(files, file->link);
    }
    return file;
}

int archive_file_content(const struct archive_files *files, const struct archive_file *file,
                         size_t max, struct buf *out, struct err *err)
{
    return ingest_read(files->ingest_fd, file->name, max, out, err);
}

int archive_files_add(struct archive_files *files, const char *path, const void *data, size_t len,
                      struct archive_file **ret, struct err *err)
{
    struct archive_file *file = append(files, path, err);
    if (!file)
        return ERR_TOOBIG;
    struct ingest ingest;
    int rv = ingest_open(files->ingest_fd, file->name, &ingest, err);
    if (rv < 0)
        return rv;
    rv = ingest_write(&ingest, data, len, err);
    file->size = ingest.size;
    ingest_close(&ingest, file->digest);
    *ret = file;
    return rv;
}
