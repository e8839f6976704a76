/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/untar.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tar_write.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum {
    PAX_MAX = 4 << 20,
    MAP_MAX = 4 << 20, /* bytes of a sparse file's map */
    XATTRS_MAX = 256,
    COPY_BYTES = 256 << 10,
};

/* An entry of the archive. */
struct entry {
    char type;
    char *path;
    char *link;
    mode_t mode;
    int64_t uid, gid;
    int64_t size;     /* of what follows in the archive */
    int64_t realsize; /* of the file */
    struct timespec time;
    bool sparse;
    struct buf pax; /* its extended header: xattrs are taken from there */
};

/* A folder whose mode and time are set at the end. */
struct folder {
    char *path;
    mode_t mode;
    struct timespec time;
};

struct untar {
    int fd;
    int dir_fd;
    const char *name;
    bool owners;
    char *root; /* what the archive calls the first entry; "" for "." */
    struct folder *folders;
    size_t folders_n;
    char *copy;
};

/* --- reading -----------------------------------------------------------------------------------
 */

static int read_full(int fd, void *data, size_t len, struct err *err)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, (char *)data + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read the archive");
        if (n == 0)
            return err_set(err, ERR_CORRUPT, "the archive ends too early");
        got += (size_t)n;
    }
    return 0;
}

static int skip(struct untar *u, int64_t len, struct err *err)
{
    len = (len + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    while (len > 0) {
        size_t n = len < COPY_BYTES ? (size_t)len : COPY_BYTES;
        int rv = read_full(u->fd, u->copy, n, err);
        if (rv < 0)
            return rv;
        len -= (int64_t)n;
    }
    return 0;
}

static int64_t octal(const char *field, size_t size)
{
    int64_t value = 0;
    for (size_t i = 0; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (field[i] - '0');
    return value;
}

static bool checksum_ok(const unsigned char *block)
{
    unsigned sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return sum == (unsigned)octal((const char *)block + 148, 8);
}

static void entry_release(struct entry *e)
{
    free(e->path);
    free(e->link);
    buf_release(&e->pax);
    *e = (struct entry){0};
}

/* The next "LEN KEY=VALUE\n" of @pax from *@at on; the pieces are borrowed. */
static bool next_record(const struct buf *pax, size_t *at, const char **key, size_t *key_len,
                        const char **value, size_t *value_len)
{
    if (*at >= pax->len)
        return false;
    char *end;
    const char *record = pax->data + *at;
    unsigned long long len = strtoull(record, &end, 10);
    if (*end != ' ' || len > pax->len - *at || len < (size_t)(end - record) + 3 ||
        record[len - 1] != '\n')
        return false;
    *key = end + 1;
    const char *equals = memchr(*key, '=', (size_t)(record + len - *key));
    if (!equals)
        return false;
    *key_len = (size_t)(equals - *key);
    *value = equals + 1;
    *value_len = (size_t)(record + len - 1 - *value);
    *at += len;
    return true;
}

static void apply_pax(struct entry *e)
{
    const char *key, *value;
    size_t key_len, value_len;
    for (size_t at = 0; next_record(&e->pax, &at, &key, &key_len, &value, &value_len);) {
        cleanup_free char *k = str_printf("%.*s", (int)key_len, key);
        cleanup_free char *v = str_printf("%.*s", (int)value_len, value);
        if (strcmp(k, "path") == 0 || strcmp(k, "GNU.sparse.name") == 0) {
            free(e->path);
            e->path = steal(&v);
        } else if (strcmp(k, "linkpath") == 0) {
            free(e->link);
            e->link = steal(&v);
        } else if (strcmp(k, "size") == 0)
            e->size = strtoll(v, NULL, 10);
        else if (strcmp(k, "uid") == 0)
            e->uid = strtoll(v, NULL, 10);
        else if (strcmp(k, "gid") == 0)
            e->gid = strtoll(v, NULL, 10);
        else if (strcmp(k, "GNU.sparse.major") == 0)
            e->sparse = true;
        else if (strcmp(k, "GNU.sparse.realsize") == 0)
            e->realsize = strtoll(v, NULL, 10);
        else if (strcmp(k, "mtime") == 0) {
            char *dot;
            e->time.tv_sec = strtoll(v, &dot, 10);
            e->time.tv_nsec = *dot == '.' ? strtol(dot + 1, NULL, 10) : 0;
            if (e->time.tv_nsec < 0 || e->time.tv_nsec > 999999999)
                e->time.tv_nsec = 0;
        }
    }
}

/* Read the next header. 1: *@e is an entry; 0: the end. */
static int read_entry(struct untar *u, struct entry *e, struct err *err)
{
    unsigned char block[TAR_BLOCK];
    for (;;) {
        int rv = read_full(u->fd, block, sizeof(block), err);
        if (rv < 0)
            return rv;
        if (block[0] == '\0')
            return 0;
        if (!checksum_ok(block))
            return err_set(err, ERR_CORRUPT, "the archive is damaged: a header's sum is wrong");
        int64_t size = octal((char *)block + 124, 12);
        if (block[156] != 'x') {
            e->type = (char)block[156];
            e->path = str_printf("%.100s", (char *)block);
            e->link = str_printf("%.100s", (char *)block + 157);
            e->mode = (mode_t)octal((char *)block + 100, 8) & 07777;
            e->uid = octal((char *)block + 108, 8);
            e->gid = octal((char *)block + 116, 8);
            e->time.tv_sec = octal((char *)block + 136, 12);
            e->size = size;
            apply_pax(e);
            if (!e->sparse)
                e->realsize = e->size;
            if (e->size < 0 || e->realsize < 0)
                return err_set(err, ERR_CORRUPT, "the archive is damaged: a size is below 0");
            return 1;
        }
        if (size > PAX_MAX)
            return err_set(err, ERR_TOOBIG, "the archive has an extended header of %lld bytes",
                           (long long)size);
        size_t whole = ((size_t)size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        buf_reset(&e->pax);
        if ((rv = read_full(u->fd, buf_reserve(&e->pax, whole), whole, err)) < 0)
            return rv;
        e->pax.len = (size_t)size;
        e->pax.data[size] = '\0';
    }
}

/* --- names -------------------------------------------------------------------------------------
 */

/* "./a//b/" → "a/b", "" for the top; NULL for one that leads out. */
static char *clean(const char *path)
{
    struct buf out = BUF_INIT;
    buf_append(&out, "", 0);
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            buf_release(&out);
            return NULL;
        }
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (out.len)
                buf_putc(&out, '/');
            buf_append(&out, p, n);
        }
        p += n;
        p += *p == '/';
    }
    return buf_take(&out);
}

/* Where an entry of the archive goes, "" for the folder itself. */
static int map_path(struct untar *u, const char *path, char **ret, struct err *err)
{
    cleanup_free char *plain = clean(path);
    if (!plain)
        return err_set(err, ERR_CORRUPT, "'%.100s' leads out of the archive", path);
    if (!u->root)
        u->root = str_copy(plain);
    size_t n = strlen(u->root);
    const char *rest = plain;
    if (n > 0) {
        if (strncmp(plain, u->root, n) != 0 || (plain[n] != '/' && plain[n] != '\0'))
            return err_set(err, ERR_CORRUPT, "'%.100s' is outside of what was asked for", path);
        rest = plain + n + (plain[n] == '/');
    }
    if (strcmp(u->name, ".") == 0)
        *ret = str_copy(rest);
    else
        *ret = *rest ? str_printf("%s/%s", u->name, rest) : str_copy(u->name);
    return 0;
}

static int open_beneath(int fd, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long rv = syscall(SYS_openat2, fd, path, &how, sizeof(how));
    return rv < 0 ? -errno : (int)rv;
}

/* The folder that @path is in, and its last name. */
static int open_parent(struct untar *u, const char *path, const char **ret_base, struct err *err)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *dir = slash ? str_printf("%.*s", (int)(slash - path), path) : str_copy(".");
    *ret_base = slash ? slash + 1 : path;
    int fd = open_beneath(u->dir_fd, dir, O_PATH | O_DIRECTORY);
    return fd < 0 ? err_errno(err, -fd, "open folder %.150s", dir) : fd;
}

/* --- files -------------------------------------------------------------------------------------
 */

static int write_at(int fd, const char *data, size_t len, int64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

static int copy_data(struct untar *u, int fd, int64_t offset, int64_t len, struct err *err)
{
    while (len > 0) {
        size_t n = len < COPY_BYTES ? (size_t)len : COPY_BYTES;
        int rv = read_full(u->fd, u->copy, n, err);
        if (rv < 0)
            return rv;
        if ((rv = write_at(fd, u->copy, n, offset)) < 0)
            return err_errno(err, -rv, "write");
        offset += (int64_t)n;
        len -= (int64_t)n;
    }
    return 0;
}

/* One decimal number and its newline, from the map's text. */
static bool take_number(struct buf *map, size_t *at, int64_t *ret)
{
    char *end;
    if (*at >= map->len)
        return false;
    *ret = strtoll(map->data + *at, &end, 10);
    if (end == map->data + *at || *end != '\n' || *ret < 0)
        return false;
    *at = (size_t)(end + 1 - map->data);
    return true;
}

/* GNU sparse format 1.0: a map of lines, filled up to a block, then the pieces. */
static int copy_sparse(struct untar *u, const struct entry *e, int fd, struct err *err)
{
    cleanup_buf struct buf map = BUF_INIT;
    int64_t n = 0, offset, len, left = e->size;
    size_t at = 0, lines = 0;
    int rv;
    /* The first line says how many follow; the map ends within the block of the last. */
    for (;;) {
        if (left < TAR_BLOCK || map.len > MAP_MAX)
            return err_set(err, ERR_CORRUPT, "the archive has a damaged map of holes");
        if ((rv = read_full(u->fd, buf_reserve(&map, TAR_BLOCK), TAR_BLOCK, err)) < 0)
            return rv;
        for (size_t i = 0; i < TAR_BLOCK; i++)
            lines += map.data[map.len + i] == '\n';
        map.len += TAR_BLOCK;
        map.data[map.len] = '\0';
        left -= TAR_BLOCK;
        at = 0;
        if (lines > 0 && take_number(&map, &at, &n) && n < MAP_MAX && lines >= 1 + 2 * (size_t)n)
            break;
    }
    for (int64_t i = 0; i < n; i++) {
        if (!take_number(&map, &at, &offset) || !take_number(&map, &at, &len) || len > left ||
            offset > e->realsize || len > e->realsize - offset)
            return err_set(err, ERR_CORRUPT, "the archive has a damaged map of holes");
        if ((rv = copy_data(u, fd, offset, len, err)) < 0)
            return rv;
        left -= len;
    }
    return skip(u, left, err);
}

static void set_xattrs(const struct entry *e, int fd)
{
    static const char prefix[] = "SCHILY.xattr.user.";
    const char *key, *value;
    size_t key_len, value_len;
    int n = 0;
    for (size_t at = 0; next_record(&e->pax, &at, &key, &key_len, &value, &value_len);) {
        if (key_len < sizeof(prefix) - 1 || strncmp(key, prefix, sizeof(prefix) - 1) != 0 ||
            ++n > XATTRS_MAX)
            continue;
        cleanup_free char *name = str_printf("%.*s", (int)(key_len - 13), key + 13);
        fsetxattr(fd, name, value, value_len, 0); /* not every file system has them */
    }
}

static mode_t mode_of(const struct untar *u, const struct entry *e)
{
    return u->owners ? e->mode : e->mode & 01777;
}

static int make_file(struct untar *u, const struct entry *e, int parent, const char *base,
                     struct err *err)
{
    cleanup_close int fd =
        openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "make %.150s", e->path);
    int rv = e->sparse ? copy_sparse(u, e, fd, err) : copy_data(u, fd, 0, e->size, err);
    if (rv == 0 && !e->sparse && e->size % TAR_BLOCK)
        rv = read_full(u->fd, u->copy, (size_t)(TAR_BLOCK - e->size % TAR_BLOCK), err);
    if (rv < 0)
        return err_wrap(err, "%.150s", e->path);
    struct timespec times[2] = {e->time, e->time};
    if (ftruncate(fd, e->realsize) < 0 ||
        (u->owners && fchown(fd, (uid_t)e->uid, (gid_t)e->gid) < 0) ||
        fchmod(fd, mode_of(u, e)) < 0)
        return err_errno(err, errno, "set size, owner and mode of %.150s", e->path);
    set_xattrs(e, fd);
    futimens(fd, times);
    return 0;
}

static int make_folder(struct untar *u, const struct entry *e, const char *path, int parent,
                       const char *base, struct err *err)
{
    struct stat st;
    if (mkdirat(parent, base, 0700) < 0) {
        if (errno == EEXIST && fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode))
            return 0;
        return err_errno(err, errno, "make folder %.150s", path);
    }
    if (u->owners && fchownat(parent, base, (uid_t)e->uid, (gid_t)e->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "set the owner of %.150s", path);
    if ((u->folders_n & (u->folders_n - 1)) == 0)
        u->folders =
            mem_resize(u->folders, u->folders_n ? 2 * u->folders_n : 1, sizeof(*u->folders));
    u->folders[u->folders_n++] = (struct folder){str_copy(path), mode_of(u, e), e->time};
    return 0;
}

static int make_link(struct untar *u, const struct entry *e, int parent, const char *base,
                     struct err *err)
{
    cleanup_free char *target = NULL;
    const char *target_base;
    if (e->type == '2') {
        if (symlinkat(e->link, parent, base) < 0)
            return err_errno(err, errno, "make the link %.150s", e->path);
        if (u->owners)
            (void)!fchownat(parent, base, (uid_t)e->uid, (gid_t)e->gid, AT_SYMLINK_NOFOLLOW);
        return 0;
    }
    int rv = map_path(u, e->link, &target, err);
    if (rv < 0)
        return rv;
    cleanup_close int dir = open_parent(u, target, &target_base, err);
    if (dir < 0)
        return dir;
    if (linkat(dir, target_base, parent, base, 0) < 0)
        return err_errno(err, errno, "link %.100s to %.100s", e->path, e->link);
    return 0;
}

static int unpack_entry(struct untar *u, const struct entry *e, struct err *err)
{
    cleanup_free char *path = NULL;
    const char *base;
    struct stat st;
    int rv = map_path(u, e->path, &path, err);
    if (rv < 0)
        return rv;
    if (!*path) /* the folder itself is there */
        return e->type == '5' ? 0 : err_set(err, ERR_EXISTS, "a file cannot replace the folder");
    cleanup_close int parent = open_parent(u, path, &base, err);
    if (parent < 0)
        return parent;
    if (e->type == '5')
        return make_folder(u, e, path, parent, base, err);
    if (strchr("346", e->type)) {
        cli_warn("%s is a device or pipe and is left out", e->path);
        return 0;
    }
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode))
            return err_set(err, ERR_EXISTS, "%.150s is a folder, and is not replaced by a file",
                           path);
        if (unlinkat(parent, base, 0) < 0)
            return err_errno(err, errno, "replace %.150s", path);
    }
    if (e->type == '0' || e->type == '\0')
        return make_file(u, e, parent, base, err);
    if (e->type == '1' || e->type == '2')
        return make_link(u, e, parent, base, err);
    return err_set(err, ERR_CORRUPT, "the archive has an entry of an unknown kind");
}

/* From the last to the first: the lower ones stand behind those they are in. */
static void finish_folders(struct untar *u)
{
    for (size_t i = u->folders_n; i-- > 0;) {
        struct folder *f = &u->folders[i];
        struct timespec times[2] = {f->time, f->time};
        cleanup_close int fd = open_beneath(u->dir_fd, f->path, O_RDONLY | O_DIRECTORY);
        if (fd >= 0) {
            futimens(fd, times);
            fchmod(fd, f->mode);
        }
        free(f->path);
    }
    free(u->folders);
}

int untar(int fd, const char *folder, const char *name, bool owners, struct err *err)
{
    cleanup_close int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(err, errno, "%.150s", folder);
    struct untar u = {.fd = fd, .dir_fd = dir, .name = name, .owners = owners};
    u.copy = mem_alloc(1, COPY_BYTES);
    int rv = 1;
    while (rv == 1) {
        struct entry e = {0};
        rv = read_entry(&u, &e, err);
        if (rv == 1) {
            int made = unpack_entry(&u, &e, err);
            rv = made < 0 ? made : 1;
        }
        entry_release(&e);
    }
    finish_folders(&u);
    free(u.root);
    free(u.copy);
    return rv;
}
