/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tar_write.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    COPY_BYTES = 256 << 10,
    ATTRIBUTES_MAX = 64 << 10,
    LINK_BUCKETS = 4096,
    SEGMENTS_MAX = 65536,    /* of a sparse file; one with more is written whole */
    SPARSE_LEAST = 64 << 10, /* bytes of holes that are worth it */
};

/* A file that other names may link to. */
struct seen {
    struct seen *next;
    dev_t dev;
    ino_t ino;
    char *path;
};

struct segment {
    int64_t offset;
    int64_t len;
};

struct tar_writer {
    struct tar_options o;
    int64_t written;
    struct seen *links[LINK_BUCKETS];
    char *copy; /* COPY_BYTES */
};

/* The header's fields (pax, "ustar Interchange Format"). */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag,
        linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8],
        prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is a block");

struct tar_writer *tar_writer_new(const struct tar_options *options)
{
    struct tar_writer *w = mem_alloc(1, sizeof(*w));
    w->o = *options;
    w->copy = mem_alloc(1, COPY_BYTES);
    return w;
}

void tar_writer_free(struct tar_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < LINK_BUCKETS; i++)
        for (struct seen *s = w->links[i], *next; s; s = next) {
            next = s->next;
            free(s->path);
            free(s);
        }
    free(w->copy);
    free(w);
}

static int put(struct tar_writer *w, const void *data, size_t len, struct err *err)
{
    if (w->written > w->o.max_bytes - (int64_t)len)
        return err_set(err, ERR_NOSPACE,
                       "the archive is larger than the %lld bytes there are for "
                       "it",
                       (long long)w->o.max_bytes);
    int rv = fd_write_all(w->o.fd, data, len);
    if (rv < 0)
        return err_errno(err, -rv, "write the archive");
    w->written += (int64_t)len;
    if (w->o.on_progress && !w->o.on_progress(w->o.arg, w->written))
        return err_set(err, ERR_CANCELED, "canceled");
    return 0;
}

static int pad(struct tar_writer *w, int64_t len, struct err *err)
{
    static const char zeros[TAR_BLOCK];
    size_t rest = (size_t)(len % TAR_BLOCK);
    return rest ? put(w, zeros, TAR_BLOCK - rest, err) : 0;
}

/* --- headers ---------------------------------------------------------------------------------- */

static bool fits(int64_t value, size_t digits)
{
    return value >= 0 && value < (int64_t)1 << (3 * digits);
}

static void octal(char *field, size_t size, int64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%0*llo", (int)size - 1,
             (unsigned long long)(fits(value, size - 1) ? value : 0));
    memcpy(field, text, size);
}

/* "LEN KEY=VALUE\n", whose length counts itself. */
static void put_record(struct buf *pax, const char *key, const void *value, size_t len)
{
    size_t rest = strlen(key) + len + 3, total = rest + 1;
    char digits[24];
    for (;;) {
        size_t n = (size_t)snprintf(digits, sizeof(digits), "%zu", total);
        if (rest + n == total)
            break;
        total = rest + n;
    }
    buf_printf(pax, "%s %s=", digits, key);
    buf_append(pax, value, len);
    buf_putc(pax, '\n');
}

static void put_number(struct buf *pax, const char *key, int64_t value)
{
    char text[24];
    put_record(pax, key, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)value));
}

static int put_header(struct tar_writer *w, struct header *h, struct err *err)
{
    memcpy(h->magic, "ustar", 6);
    memcpy(h->version, "00", 2);
    memset(h->chksum, ' ', sizeof(h->chksum));
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(*h); i++)
        sum += ((unsigned char *)h)[i];
    snprintf(h->chksum, sizeof(h->chksum), "%06o", sum);
    return put(w, h, sizeof(*h), err);
}

/* Write the header of @path with what it needs of extended ones. @pax has what is in there already.
 */
static int put_entry(struct tar_writer *w, const char *path, const struct stat *st, char type,
                     const char *link, int64_t size, struct buf *pax, struct err *err)
{
    struct header h = {0}, x = {0};
    int64_t uid = w->o.owners ? st->st_uid : 0, gid = w->o.owners ? st->st_gid : 0;
    size_t len = strlen(path);
    if (len >= sizeof(h.name))
        put_record(pax, "path", path, len);
    memcpy(h.name, path, len < sizeof(h.name) ? len : sizeof(h.name) - 1);
    if (link) {
        len = strlen(link);
        if (len >= sizeof(h.linkname))
            put_record(pax, "linkpath", link, len);
        memcpy(h.linkname, link, len < sizeof(h.linkname) ? len : sizeof(h.linkname) - 1);
    }
    if (!fits(uid, 7))
        put_number(pax, "uid", uid);
    if (!fits(gid, 7))
        put_number(pax, "gid", gid);
    if (!fits(size, 11))
        put_number(pax, "size", size);
    if (st->st_mtim.tv_nsec || !fits(st->st_mtim.tv_sec, 11)) {
        char text[48];
        int n = snprintf(text, sizeof(text), "%lld.%09ld", (long long)st->st_mtim.tv_sec,
                         st->st_mtim.tv_nsec);
        put_record(pax, "mtime", text, (size_t)n);
    }
    h.typeflag = type;
    octal(h.mode, sizeof(h.mode), st->st_mode & 07777);
    octal(h.uid, sizeof(h.uid), uid);
    octal(h.gid, sizeof(h.gid), gid);
    octal(h.size, sizeof(h.size), size);
    octal(h.mtime, sizeof(h.mtime), st->st_mtim.tv_sec);
    octal(h.devmajor, sizeof(h.devmajor), type == '3' || type == '4' ? major(st->st_rdev) : 0);
    octal(h.devminor, sizeof(h.devminor), type == '3' || type == '4' ? minor(st->st_rdev) : 0);
    int rv = 0;
    if (pax->len > 0) {
        x = h;
        x.typeflag = 'x';
        memset(x.linkname, 0, sizeof(x.linkname));
        octal(x.size, sizeof(x.size), (int64_t)pax->len);
        if ((rv = put_header(w, &x, err)) == 0 && (rv = put(w, pax->data, pax->len, err)) == 0)
            rv = pad(w, (int64_t)pax->len, err);
    }
    return rv == 0 ? put_header(w, &h, err) : rv;
}

/* Programs' own attributes and file capabilities, as they are taken from layers too. */
static void put_xattrs(int fd, struct buf *pax)
{
    char *names = mem_alloc(1, ATTRIBUTES_MAX), *value = mem_alloc(1, ATTRIBUTES_MAX);
    ssize_t n = flistxattr(fd, names, ATTRIBUTES_MAX);
    for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
        bool wanted = (str_starts(name, "user.") && !str_starts(name, "user.overlay.")) ||
                      strcmp(name, "security.capability") == 0;
        ssize_t len = wanted ? fgetxattr(fd, name, value, ATTRIBUTES_MAX) : -1;
        if (len < 0)
            continue;
        cleanup_free char *key = str_printf("SCHILY.xattr.%s", name);
        put_record(pax, key, value, (size_t)len);
    }
    free(names);
    free(value);
}

/* --- content ---------------------------------------------------------------------------------- */

/* Copy @len bytes from @offset; zeros for what is not there any more. */
static int copy(struct tar_writer *w, int fd, int64_t offset, int64_t len, struct err *err)
{
    while (len > 0) {
        size_t want = len < COPY_BYTES ? (size_t)len : COPY_BYTES;
        ssize_t n = pread(fd, w->copy, want, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read");
        if (n == 0) {
            memset(w->copy, 0, want);
            n = (ssize_t)want;
        }
        int rv = put(w, w->copy, (size_t)n, err);
        if (rv < 0)
            return rv;
        offset += n;
        len -= n;
    }
    return 0;
}

/* Where @fd has data. NULL: it is not worth it, or cannot be told. */
static struct segment *find_segments(int fd, int64_t size, size_t *ret_n, int64_t *ret_data)
{
    struct segment *list = NULL;
    size_t n = 0;
    int64_t data = 0;
    for (int64_t at = 0; at < size;) {
        int64_t begin = lseek(fd, at, SEEK_DATA);
        int64_t end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
        if (begin < 0 && errno == ENXIO)
            break; /* a hole up to the end */
        if (begin < 0 || end < 0 || n == SEGMENTS_MAX) {
            free(list);
            return NULL;
        }
        end = end < size ? end : size;
        if (begin >= end)
            break;
        list = mem_resize(list, n + 1, sizeof(*list));
        list[n++] = (struct segment){begin, end - begin};
        data += end - begin;
        at = end;
    }
    if (size - data < SPARSE_LEAST) {
        free(list);
        return NULL;
    }
    list = mem_resize(list, n + 1, sizeof(*list));
    list[n++] = (struct segment){size, 0}; /* the end, as GNU tar has it */
    *ret_n = n;
    *ret_data = data;
    return list;
}

static int put_sparse(struct tar_writer *w, int fd, const char *path, const struct stat *st,
                      const struct segment *list, size_t n, int64_t data, struct buf *pax,
                      struct err *err)
{
    cleanup_buf struct buf map = BUF_INIT;
    const char *slash = strrchr(path, '/');
    int dir = slash ? (int)(slash - path + 1) : 0;
    cleanup_free char *name = str_printf("%.*sGNUSparseFile.0/%s", dir, path, path + dir);
    buf_printf(&map, "%zu\n", n);
    for (size_t i = 0; i < n; i++)
        buf_printf(&map, "%lld\n%lld\n", (long long)list[i].offset, (long long)list[i].len);
    while (map.len % TAR_BLOCK)
        buf_putc(&map, '\0');
    put_record(pax, "GNU.sparse.major", "1", 1);
    put_record(pax, "GNU.sparse.minor", "0", 1);
    put_record(pax, "GNU.sparse.name", path, strlen(path));
    put_number(pax, "GNU.sparse.realsize", st->st_size);
    int64_t size = (int64_t)map.len + data;
    int rv = put_entry(w, name, st, '0', NULL, size, pax, err);
    if (rv == 0)
        rv = put(w, map.data, map.len, err);
    for (size_t i = 0; i < n && rv == 0; i++)
        rv = copy(w, fd, list[i].offset, list[i].len, err);
    return rv == 0 ? pad(w, size, err) : rv;
}

static int put_file(struct tar_writer *w, int fd, const char *path, const struct stat *st,
                    struct err *err)
{
    cleanup_buf struct buf pax = BUF_INIT;
    size_t n;
    int64_t data;
    put_xattrs(fd, &pax);
    struct segment *list = find_segments(fd, st->st_size, &n, &data);
    if (list) {
        int rv = put_sparse(w, fd, path, st, list, n, data, &pax, err);
        free(list);
        return rv;
    }
    int rv = put_entry(w, path, st, '0', NULL, st->st_size, &pax, err);
    if (rv == 0)
        rv = copy(w, fd, 0, st->st_size, err);
    return rv == 0 ? pad(w, st->st_size, err) : rv;
}

/* --- the tree --------------------------------------------------------------------------------- */

/* The name in the archive that this file was written under already, or NULL: it is now @path. */
static const char *earlier_name(struct tar_writer *w, const struct stat *st, const char *path)
{
    struct seen **bucket = &w->links[(st->st_ino ^ st->st_dev) % LINK_BUCKETS];
    for (struct seen *s = *bucket; s; s = s->next)
        if (s->ino == st->st_ino && s->dev == st->st_dev)
            return s->path;
    struct seen *s = mem_alloc(1, sizeof(*s));
    *s = (struct seen){.next = *bucket, .dev = st->st_dev, .ino = st->st_ino};
    s->path = str_copy(path);
    *bucket = s;
    return NULL;
}

static int put_node(struct tar_writer *w, int parent_fd, const char *name, const char *path,
                    const struct stat *st, struct err *err)
{
    cleanup_buf struct buf pax = BUF_INIT;
    char link[PATH_MAX];
    if (S_ISLNK(st->st_mode)) {
        ssize_t n = readlinkat(parent_fd, name, link, sizeof(link) - 1);
        if (n < 0)
            return err_errno(err, errno, "read the link %.100s", path);
        link[n] = '\0';
        return put_entry(w, path, st, '2', link, 0, &pax, err);
    }
    if (w->o.is_opaque && S_ISCHR(st->st_mode) && st->st_rdev == 0) {
        struct stat plain = {.st_mode = S_IFREG | 0600};
        const char *slash = strrchr(path, '/');
        int dir = slash ? (int)(slash - path + 1) : 0;
        cleanup_free char *whiteout = str_printf("%.*s.wh.%s", dir, path, path + dir);
        return put_entry(w, whiteout, &plain, '0', NULL, 0, &pax, err);
    }
    char type = S_ISCHR(st->st_mode)    ? '3'
                : S_ISBLK(st->st_mode)  ? '4'
                : S_ISFIFO(st->st_mode) ? '6'
                                        : '\0';
    return type ? put_entry(w, path, st, type, NULL, 0, &pax, err) : 0;
}

static int walk(struct tar_writer *w, int parent_fd, const char *name, const char *path, int depth,
                bool follow, struct err *err);

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By name, so that the same tree is the same archive. */
static char **list_names(int fd, size_t *ret_n)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again >= 0 ? fdopendir(again) : NULL;
    char **names = NULL;
    size_t n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if ((n & (n - 1)) == 0)
            names = mem_resize(names, n ? 2 * n : 1, sizeof(*names));
        names[n++] = str_copy(e->d_name);
    }
    if (dir)
        closedir(dir);
    else if (again >= 0)
        close(again);
    if (n)
        qsort(names, n, sizeof(*names), compare_names);
    *ret_n = n;
    return names;
}

static int put_folder(struct tar_writer *w, int fd, const char *path, const struct stat *st,
                      int depth, struct err *err)
{
    cleanup_buf struct buf pax = BUF_INIT;
    bool top = strcmp(path, ".") == 0;
    cleanup_free char *named = top ? str_copy("./") : str_printf("%s/", path);
    int rv = 0;
    if (depth > TAR_DEPTH_MAX)
        return err_set(err, ERR_TOOBIG, "%.100s... is too deep", path);
    put_xattrs(fd, &pax);
    if ((rv = put_entry(w, named, st, '5', NULL, 0, &pax, err)) < 0)
        return rv;
    if (w->o.is_opaque && w->o.is_opaque(w->o.arg, path)) {
        struct stat plain = {.st_mode = S_IFREG | 0600};
        cleanup_free char *mark = str_printf("%s.wh..wh..opq", top ? "" : named);
        buf_reset(&pax);
        if ((rv = put_entry(w, mark, &plain, '0', NULL, 0, &pax, err)) < 0)
            return rv;
    }
    size_t n;
    char **names = list_names(fd, &n);
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *below = top ? str_copy(names[i]) : str_printf("%s%s", named, names[i]);
        if (rv == 0)
            rv = walk(w, fd, names[i], below, depth + 1, false, err);
        free(names[i]);
    }
    free(names);
    return rv;
}

/* What is gone meanwhile is left out. */
static int walk(struct tar_writer *w, int parent_fd, const char *name, const char *path, int depth,
                bool follow, struct err *err)
{
    struct stat st, opened;
    if (fstatat(parent_fd, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT && depth > 0 ? 0 : err_errno(err, errno, "look at %.100s", path);
    bool file = S_ISREG(st.st_mode);
    if (!file && !S_ISDIR(st.st_mode))
        return put_node(w, parent_fd, name, path, &st, err);
    cleanup_close int fd = openat(parent_fd, name,
                                  O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                                      (file ? 0 : O_DIRECTORY) | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0 && depth > 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR))
        return 0;
    if (fd < 0 || fstat(fd, &opened) < 0)
        return err_errno(err, errno, "open %.100s", path);
    if ((opened.st_mode & S_IFMT) != (st.st_mode & S_IFMT))
        return 0; /* another one by now */
    if (!file)
        return put_folder(w, fd, path, &opened, depth, err);
    const char *earlier = opened.st_nlink > 1 ? earlier_name(w, &opened, path) : NULL;
    cleanup_buf struct buf pax = BUF_INIT;
    if (earlier)
        return put_entry(w, path, &opened, '1', earlier, 0, &pax, err);
    int rv = put_file(w, fd, path, &opened, err);
    return rv < 0 ? err_wrap(err, "%.100s", path) : 0;
}

int tar_write_tree(struct tar_writer *w, int parent_fd, const char *name, const char *as,
                   struct err *err)
{
    return walk(w, parent_fd, name, as, 0, w->o.follow, err);
}

int tar_writer_end(struct tar_writer *w, struct err *err)
{
    static const char zeros[2 * TAR_BLOCK];
    return put(w, zeros, sizeof(zeros), err);
}
