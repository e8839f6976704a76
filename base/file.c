/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    size_t got = 0;
    for (;;) {
        char *to = buf_reserve(out, 16384);
        ssize_t n = read(fd, to, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read %s", path);
        if (n == 0)
            break;
        got += (size_t)n;
        if (got > max)
            return err_set(err, ERR_TOOBIG, "%s is larger than %zu bytes", path, max);
        out->len += (size_t)n;
    }
    buf_append(out, "", 0);
    return 0;
}

int fd_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return str_copy(".");
    return slash == path ? str_copy("/") : str_printf("%.*s", (int)(slash - path), path);
}

int file_sync_dir(const char *path, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open folder %s", path);
    if (fsync(fd) < 0)
        return err_errno(err, errno, "sync folder %s", path);
    return 0;
}

int file_sync_parent(const char *path, struct err *err)
{
    cleanup_free char *dir = dir_of(path);
    return file_sync_dir(dir, err);
}

static int replace_file(const char *path, const void *data, size_t len, mode_t mode, bool durable,
                        struct err *err)
{
    cleanup_free char *temp = str_printf("%s.tmp.%d.%d", path, (int)getpid(), (int)gettid());
    cleanup_close int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_errno(err, errno, "create %s", temp);
    int rv = fd_write_all(fd, data, len);
    if (rv == 0 && fchmod(fd, mode) < 0)
        rv = -errno;
    if (rv == 0 && durable && fsync(fd) < 0)
        rv = -errno;
    if (rv == 0 && rename(temp, path) < 0)
        rv = -errno;
    if (rv < 0) {
        unlink(temp);
        return err_errno(err, -rv, "write %s", path);
    }
    return durable ? file_sync_parent(path, err) : 0;
}

int file_write(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    return replace_file(path, data, len, mode, true, err);
}

int file_write_fast(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    return replace_file(path, data, len, mode, false, err);
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
    cleanup_free char *copy = str_copy(path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return err_errno(err, errno, "make folder %s", copy);
        *p = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return err_errno(err, errno, "make folder %s", copy);
    struct stat st;
    if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ERR_EXISTS, "%s is not a folder", copy);
    return 0;
}

static int remove_at(int dirfd, const char *name, dev_t dev, int depth)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth > 4096)
        return -ELOOP;
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    DIR *dir = NULL;
    int rv = 0;
    if (fstat(fd, &st) < 0)
        rv = -errno;
    else if (dev && st.st_dev != dev)
        rv = -EXDEV;
    else if (!(dir = fdopendir(fd)))
        rv = -errno;
    if (rv < 0) {
        close(fd);
        return rv;
    }
    for (struct dirent *e; rv == 0 && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rv = remove_at(fd, e->d_name, st.st_dev, depth + 1);
    }
    closedir(dir);
    if (rv == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        rv = -errno;
    return rv;
}

int file_remove_at(int dirfd, const char *name, struct err *err)
{
    int rv = remove_at(dirfd, name, 0, 0);
    return rv < 0 ? err_errno(err, -rv, "remove %s", name) : 0;
}

int file_remove_tree(const char *path, struct err *err)
{
    int rv = remove_at(AT_FDCWD, path, 0, 0);
    return rv < 0 ? err_errno(err, -rv, "remove %s", path) : 0;
}

bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

int64_t file_born_ms(int dirfd, const char *name)
{
    struct statx st;
    if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &st) < 0 ||
        !(st.stx_mask & STATX_BTIME))
        return 0;
    return (int64_t)st.stx_btime.tv_sec * 1000 + st.stx_btime.tv_nsec / 1000000;
}

int file_write_kernel(const char *path, const char *text, struct err *err)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    if (write(fd, text, strlen(text)) < 0)
        return err_errno(err, errno, "write '%s' to %s", text, path);
    return 0;
}

int file_lock(const char *path, int *ret_fd, struct err *err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_BUSY, "%s is locked by another process", path);
        return err_errno(err, errno, "lock %s", path);
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}
