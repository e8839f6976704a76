/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/layer.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/entry.h"
#include "runtime/fetch/stream.h"
#include "runtime/fetch/tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define WHITEOUT        ".wh."
#define WHITEOUT_META   ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

enum {
    ACL_BYTES = 16384, /* that remembering a folder's entry takes, as good as */
};

/* A folder whose time is set at the end: what is put into it later would change it. So is the ACL
 * that what is put into it would inherit. */
struct folder {
    char *path;
    struct timespec time;
    struct archive_entry *acl; /* the entry, NULL without such an ACL */
};

struct layer {
    const struct layer_job *job;
    struct tree tree;
    struct archive *archive;
    struct folder *folders;
    size_t folders_n;
    size_t folders_cap;
    size_t folder_bytes;
    int64_t left; /* bytes that files may still take */
    int64_t entries;
    bool root_seen;
};

static int remember_folder(struct layer *l, const char *path, struct archive_entry *entry,
                           struct err *err)
{
    l->folder_bytes += strlen(path) + sizeof(struct folder);
    if (l->folder_bytes > LAYER_FOLDER_NAMES_MAX)
        return err_set(err, ERR_TOOBIG, "the layer has too many folders");
    if (l->folders_n == l->folders_cap) {
        l->folders_cap = l->folders_cap ? 2 * l->folders_cap : 64;
        l->folders = mem_resize(l->folders, l->folders_cap, sizeof(*l->folders));
    }
    struct folder *folder = &l->folders[l->folders_n++];
    *folder = (struct folder){.path = str_copy(path), .time = entry_time(entry)};
    if (archive_entry_acl_types(entry) & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) {
        l->folder_bytes += ACL_BYTES;
        folder->acl = archive_entry_clone(entry);
        check(folder->acl);
    }
    return 0;
}

/* Folders that were replaced meanwhile are no longer there, or are no folders. */
static int set_folder_times(struct layer *l, struct err *err)
{
    int rv;
    for (size_t i = 0; i < l->folders_n; i++) {
        cleanup_close int fd = -1;
        struct err gone;
        if (tree_open_folder(&l->tree, l->folders[i].path, &fd, &gone) < 0)
            continue;
        if (l->folders[i].acl &&
            (rv = entry_set_default_acl(l->folders[i].acl, fd, l->folders[i].path, err)) < 0)
            return rv;
        struct timespec times[2] = {l->folders[i].time, l->folders[i].time};
        if (futimens(fd, times) < 0)
            return err_errno(err, errno, "set the time of '%.100s'", l->folders[i].path);
    }
    return 0;
}

/* ".wh.NAME": hide NAME of lower layers. A NAME of this layer, before or after, is not touched; if
 * it is a folder it hides the lower one by being opaque. */
static int make_whiteout(struct layer *l, const char *path, int parent_fd, const char *name,
                         struct err *err)
{
    struct stat st;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(err, ERR_CORRUPT, "'%.100s' is no valid whiteout", path);
    if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISDIR(st.st_mode))
            return 0;
        const char *slash = strrchr(path, '/');
        int dir_len = slash ? (int)(slash - path + 1) : 0;
        cleanup_free char *hidden = str_printf("%.*s%s", dir_len, path, name);
        l->job->on_opaque(l->job->arg, hidden);
        return 0;
    }
    if (mknodat(parent_fd, name, S_IFCHR | 0600, makedev(0, 0)) < 0)
        return err_errno(err, errno, "make a whiteout for '%.100s'", path);
    return 0;
}

/* The folder that holds ".wh..wh..opq". */
static void make_opaque(struct layer *l, const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *folder =
        slash ? str_printf("%.*s", (int)(slash - path), path) : str_copy(".");
    l->job->on_opaque(l->job->arg, folder);
}

/* The root itself: it is there and only takes attributes. */
static int unpack_root(struct layer *l, struct archive_entry *entry, struct err *err)
{
    if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) != AE_IFDIR)
        return err_set(err, ERR_CORRUPT, "the layer's root is no folder");
    l->root_seen = true;
    int rv = entry_set_folder(entry, l->tree.root_fd, ".", ".", err);
    return rv < 0 ? rv : remember_folder(l, ".", entry, err);
}

static int unpack_named(struct layer *l, struct archive_entry *entry, const char *path,
                        struct err *err)
{
    cleanup_close int parent = -1;
    const char *base;
    int rv = tree_parent(&l->tree, path, &parent, &base, err);
    if (rv < 0)
        return rv;
    if (strcmp(base, WHITEOUT_OPAQUE) == 0) {
        make_opaque(l, path);
        return 0;
    }
    if (str_starts(base, WHITEOUT_META)) /* aufs' own housekeeping */
        return 0;
    if (str_starts(base, WHITEOUT))
        return make_whiteout(l, path, parent, base + strlen(WHITEOUT), err);
    bool folder = !archive_entry_hardlink(entry) && archive_entry_filetype(entry) == AE_IFDIR;
    bool exists;
    bool whiteout;
    if ((rv = tree_replace(parent, base, folder, &exists, &whiteout, err)) < 0)
        return rv;
    if (exists)
        rv = entry_set_folder(entry, parent, base, path, err);
    else
        rv = entry_make(&l->tree, l->archive, entry, parent, base, path, &l->left, err);
    if (rv < 0 || !folder)
        return rv;
    if (whiteout)
        l->job->on_opaque(l->job->arg, path);
    return remember_folder(l, path, entry, err);
}

static int unpack_entry(struct layer *l, struct archive_entry *entry, struct err *err)
{
    char path[TREE_PATH_MAX];
    const char *name = archive_entry_pathname(entry);
    if (!name)
        return err_set(err, ERR_UNSUPPORTED, "the layer has a name that is not UTF-8");
    int rv = tree_clean(name, path, err);
    if (rv < 0)
        return rv;
    if (++l->entries > LAYER_ENTRIES_MAX)
        return err_set(err, ERR_TOOBIG, "the layer has more than %d entries", LAYER_ENTRIES_MAX);
    if (strcmp(path, ".") == 0)
        return unpack_root(l, entry, err);
    return unpack_named(l, entry, path, err);
}

static int unpack_all(struct layer *l, struct err *err)
{
    struct archive_entry *entry;
    int rv;
    while ((rv = archive_read_next_header(l->archive, &entry)) == ARCHIVE_OK ||
           rv == ARCHIVE_WARN) {
        if ((rv = unpack_entry(l, entry, err)) < 0)
            return rv;
    }
    if (rv != ARCHIVE_EOF)
        return archive_err(l->archive, "read the layer", err);
    if (!l->root_seen)
        l->job->on_implied(l->job->arg, ".");
    return set_folder_times(l, err);
}

/* Everything was read: is it what the manifest and the config promised? */
static int verify(const struct layer_job *job, struct stream *stream, struct err *err)
{
    char outer[IMAGE_DIGEST_SIZE];
    char inner[IMAGE_DIGEST_SIZE];
    int64_t size;
    int rv = stream_finish(stream, outer, inner, &size, err);
    if (rv < 0)
        return rv;
    if (size != job->size || strcmp(outer, job->digest) != 0)
        return err_set(err, ERR_CORRUPT, "the layer's content does not have its digest %.19s...",
                       job->digest);
    if (strcmp(inner, job->diff_id) != 0)
        return err_set(err, ERR_CORRUPT,
                       "the unpacked layer does not have the digest %.19s... that the image's "
                       "config names",
                       job->diff_id);
    return 0;
}

int layer_unpack(const struct layer_job *job, struct err *err)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive converts names to the locale's characters */
    struct stream *stream = NULL;
    struct layer l = {.job = job, .left = job->max_bytes};
    l.tree = (struct tree){.root_fd = job->root_fd,
                           .on_implied = job->on_implied,
                           .on_opaque = job->on_opaque,
                           .arg = job->arg};
    int rv = stream_open(job->blob_fd, job->max_bytes, &stream, err);
    if (rv < 0)
        return rv;
    stream_on_progress(stream, job->on_progress, job->arg);
    rv = stream_archive(stream, &l.archive, err);
    if (rv == 0)
        rv = unpack_all(&l, err);
    if (l.archive)
        archive_read_free(l.archive);
    if (rv == 0)
        rv = verify(job, stream, err);
    stream_free(stream);
    for (size_t i = 0; i < l.folders_n; i++) {
        free(l.folders[i].path);
        archive_entry_free(l.folders[i].acl);
    }
    free(l.folders);
    return rv;
}
