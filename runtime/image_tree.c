/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_tree.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <uthash.h>

enum {
    PIECE_BYTES = 256 << 10,
    DEPTH_MAX = 300, /* of folders: more than a layer may have */
    XATTRS_MAX_BYTES = 65536,
    PATH_BYTES_MAX = 8192,
};

/* A file with several names: the first. */
struct seen {
    ino_t inode;
    char *path;
    UT_hash_handle hh;
};

struct walk {
    struct digest *digest;
    struct seen *seen;
    struct buf path; /* of the entry at hand */
    struct buf part; /* its encoding */
    char *piece;     /* for content */
    char *names;     /* for attributes' names */
    char *value;     /* for one's value */
    bool cold;
    int64_t max_entries;
    int64_t max_size;
    int64_t read;
    image_tree_cb cb;
    void *arg;
    struct image_tree total;
};

static void put(struct buf *out, const void *data, size_t len)
{
    buf_put_u64(out, len);
    buf_append(out, data, len);
}

static int tell(struct walk *w, struct err *err)
{
    if (!w->cb || w->cb(w->arg, w->read))
        return 0;
    return err_set(err, ERR_CANCELED, "canceled");
}

static int update_with_file(struct walk *w, struct digest *digest, int fd, struct err *err)
{
    if (w->cold)
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    for (;;) {
        ssize_t n = read(fd, w->piece, PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read");
        if (n == 0)
            return 0;
        digest_update(digest, w->piece, (size_t)n);
        w->read += n;
        int rv = tell(w, err);
        if (rv < 0)
            return rv;
    }
}

static bool xattr_counts(const char *name)
{
    return str_starts(name, "user.") || str_starts(name, "trusted.") ||
           strcmp(name, "security.capability") == 0 || str_starts(name, "system.posix_acl_");
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Append the attributes of @link ("/proc/self/fd/N/NAME"). */
static int put_xattrs(struct walk *w, const char *link, struct err *err)
{
    ssize_t len = llistxattr(link, w->names, XATTRS_MAX_BYTES);
    if (len < 0 && errno == ENOTSUP)
        len = 0;
    if (len < 0)
        return err_errno(err, errno, "list the attributes of '%.100s'", w->path.data);
    if (len == 0) {
        buf_put_u64(&w->part, 0);
        return 0;
    }
    cleanup_free char **sorted = mem_alloc((size_t)len, sizeof(*sorted));
    size_t n = 0;
    for (char *name = w->names; name < w->names + len; name += strlen(name) + 1) {
        if (xattr_counts(name))
            sorted[n++] = name;
    }
    qsort(sorted, n, sizeof(*sorted), compare_strings);
    buf_put_u64(&w->part, n);
    for (size_t i = 0; i < n; i++) {
        ssize_t size = lgetxattr(link, sorted[i], w->value, XATTRS_MAX_BYTES);
        if (size < 0)
            return err_errno(err, errno, "read attribute %.60s of '%.100s'", sorted[i],
                             w->path.data);
        put(&w->part, sorted[i], strlen(sorted[i]));
        put(&w->part, w->value, (size_t)size);
    }
    return 0;
}

static int put_target(struct walk *w, int parent_fd, const char *name, struct err *err)
{
    char target[PATH_BYTES_MAX];
    ssize_t len = readlinkat(parent_fd, name, target, sizeof(target));
    if (len < 0)
        return err_errno(err, errno, "read the link '%.100s'", w->path.data);
    put(&w->part, target, (size_t)len);
    return 0;
}

/* The path under which a file with several names was seen first; NULL: this is it. */
static const char *first_path(struct walk *w, const struct stat *st)
{
    struct seen *seen;
    HASH_FIND(hh, w->seen, &st->st_ino, sizeof(st->st_ino), seen);
    if (seen)
        return seen->path;
    seen = mem_alloc(1, sizeof(*seen));
    seen->inode = st->st_ino;
    seen->path = str_copy(w->path.data);
    HASH_ADD(hh, w->seen, inode, sizeof(seen->inode), seen);
    return NULL;
}

static void put_stat(struct walk *w, const struct stat *st, bool root)
{
    buf_put_u64(&w->part, st->st_mode);
    buf_put_u64(&w->part, (unsigned long long)st->st_uid << 32 | st->st_gid);
    buf_put_u64(&w->part, root ? 0 : (unsigned long long)st->st_mtim.tv_sec);
    buf_put_u64(&w->part, root ? 0 : (unsigned long long)st->st_mtim.tv_nsec);
    bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
    buf_put_u64(&w->part, device ? st->st_rdev : 0);
    buf_put_u64(&w->part, S_ISREG(st->st_mode) ? (unsigned long long)st->st_size : 0);
}

static int count(struct walk *w, const struct stat *st, bool again, struct err *err)
{
    if (++w->total.entries > w->max_entries)
        return err_set(err, ERR_TOOBIG, "it has more than %lld entries", (long long)w->max_entries);
    if (again)
        return 0;
    w->total.bytes += (int64_t)st->st_blocks * 512;
    if (S_ISREG(st->st_mode)) {
        if (st->st_size > w->max_size - w->total.size)
            return err_set(err, ERR_TOOBIG, "it unpacks to more than the %lld bytes allowed",
                           (long long)w->max_size);
        w->total.size += st->st_size;
    }
    return 0;
}

static int read_content(struct walk *w, int parent_fd, const char *name, struct err *err)
{
    cleanup_close int fd =
        openat(parent_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME);
    if (fd < 0)
        return err_errno(err, errno, "open '%.100s'", w->path.data);
    int rv = update_with_file(w, w->digest, fd, err);
    return rv < 0 ? err_wrap(err, "'%.100s'", w->path.data) : 0;
}

/* One entry without what is below it. @root: @name is ".". */
static int read_entry(struct walk *w, int parent_fd, const char *name, bool root,
                      const struct stat *st, struct err *err)
{
    char link[64 + 256];
    const char *first = NULL;
    int rv;
    if (S_ISREG(st->st_mode) && st->st_nlink > 1)
        first = first_path(w, st);
    if ((rv = count(w, st, first, err)) < 0)
        return rv;
    buf_reset(&w->part);
    put(&w->part, w->path.data, w->path.len);
    put(&w->part, str_or_empty(first), first ? strlen(first) : 0);
    put_stat(w, st, root);
    snprintf(link, sizeof(link), "/proc/self/fd/%d/%s", parent_fd, name);
    if ((rv = put_xattrs(w, link, err)) < 0)
        return rv;
    if (S_ISLNK(st->st_mode) && (rv = put_target(w, parent_fd, name, err)) < 0)
        return rv;
    digest_update(w->digest, w->part.data, w->part.len);
    if (S_ISREG(st->st_mode) && !first)
        return read_content(w, parent_fd, name, err);
    return tell(w, err);
}

/* The names in @fd, in order. */
static int list(int fd, char ***ret, size_t *ret_n, struct err *err)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (!dir) {
        int rv = err_errno(err, errno, "list a folder");
        if (again >= 0)
            close(again);
        return rv;
    }
    char **names = NULL;
    size_t n = 0;
    size_t cap = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 32;
            names = mem_resize(names, cap, sizeof(*names));
        }
        names[n++] = str_copy(e->d_name);
    }
    closedir(dir);
    if (n > 0)
        qsort(names, n, sizeof(*names), compare_strings);
    *ret = names;
    *ret_n = n;
    return 0;
}

static int read_folder(struct walk *w, int fd, int depth, struct err *err);

static int read_child(struct walk *w, int fd, const char *name, int depth, struct err *err)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "look at '%.100s'", w->path.data);
    int rv = read_entry(w, fd, name, false, &st, err);
    if (rv < 0 || !S_ISDIR(st.st_mode))
        return rv;
    cleanup_close int below =
        openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
    if (below < 0)
        return err_errno(err, errno, "open '%.100s'", w->path.data);
    return read_folder(w, below, depth + 1, err);
}

static int read_folder(struct walk *w, int fd, int depth, struct err *err)
{
    char **names = NULL;
    size_t n = 0;
    if (depth > DEPTH_MAX)
        return err_set(err, ERR_TOOBIG, "its folders are more than %d deep", DEPTH_MAX);
    int rv = list(fd, &names, &n, err);
    size_t before = w->path.len;
    for (size_t i = 0; i < n; i++) {
        if (rv == 0) {
            buf_printf(&w->path, "%s%s", before ? "/" : "", names[i]);
            rv = read_child(w, fd, names[i], depth, err);
            w->path.len = before;
            w->path.data[before] = '\0';
        }
        free(names[i]);
    }
    free(names);
    return rv;
}

static int read_all(struct walk *w, const char *path, struct err *err)
{
    struct stat st;
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, "open");
    int rv = read_entry(w, fd, ".", true, &st, err);
    return rv < 0 ? rv : read_folder(w, fd, 0, err);
}

static void finish(struct digest *digest, char ret[IMAGE_DIGEST_SIZE])
{
    unsigned char raw[DIGEST_BYTES];
    digest_final(digest, raw);
    memcpy(ret, "sha256:", 7);
    hex_encode(raw, sizeof(raw), ret + 7);
}

int image_tree_read(const char *path, bool cold, int64_t max_entries, int64_t max_size,
                    image_tree_cb cb, void *arg, struct image_tree *ret, struct err *err)
{
    struct walk w = {.cold = cold,
                     .max_entries = max_entries,
                     .max_size = max_size,
                     .cb = cb,
                     .arg = arg,
                     .digest = digest_new()};
    struct seen *seen;
    struct seen *next;
    w.piece = mem_alloc(1, PIECE_BYTES);
    w.names = mem_alloc(1, XATTRS_MAX_BYTES);
    w.value = mem_alloc(1, XATTRS_MAX_BYTES);
    buf_puts(&w.path, "");
    int rv = read_all(&w, path, err);
    finish(w.digest, w.total.digest);
    HASH_ITER(hh, w.seen, seen, next)
    {
        HASH_DEL(w.seen, seen);
        free(seen->path);
        free(seen);
    }
    free(w.piece);
    free(w.names);
    free(w.value);
    buf_release(&w.path);
    buf_release(&w.part);
    if (rv < 0)
        return err_wrap(err, "%.100s", path);
    *ret = w.total;
    return 0;
}

int image_tree_file(int fd, bool cold, image_tree_cb cb, void *arg, char ret[IMAGE_DIGEST_SIZE],
                    struct err *err)
{
    struct walk w = {.cold = cold, .cb = cb, .arg = arg, .piece = mem_alloc(1, PIECE_BYTES)};
    struct digest *digest = digest_new();
    int rv = lseek(fd, 0, SEEK_SET) < 0 ? err_errno(err, errno, "read") : 0;
    if (rv == 0)
        rv = update_with_file(&w, digest, fd, err);
    if (rv == 0)
        finish(digest, ret);
    else
        digest_free(digest);
    free(w.piece);
    return rv;
}
