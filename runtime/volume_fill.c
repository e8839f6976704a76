/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/volume_fill.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 128,
    XATTR_NAMES_MAX = 65536,
    XATTR_VALUE_MAX = 65536,
    CHUNK_BYTES = 1 << 20,
};

/* The folder at @path below @root_fd, whose links lead nowhere else. -1 when there is none. */
static int open_below(int root_fd, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

static bool is_empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    bool empty = dir != NULL;
    for (struct dirent *e; dir && (e = readdir(dir));)
        /* What mkfs makes at the root of a file system. */
        empty &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                 strcmp(e->d_name, "lost+found") == 0;
    if (dir)
        closedir(dir);
    return empty;
}

/* --- one file --------------------------------------------------------------------------------- */

static int copy_xattrs(int from, int to, struct err *err)
{
    cleanup_free char *names = mem_alloc(XATTR_NAMES_MAX, 1);
    cleanup_free char *value = mem_alloc(XATTR_VALUE_MAX, 1);
    ssize_t n = flistxattr(from, names, XATTR_NAMES_MAX);
    for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
        if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0)
            continue;
        ssize_t len = fgetxattr(from, name, value, XATTR_VALUE_MAX);
        if (len >= 0 && fsetxattr(to, name, value, (size_t)len, 0) < 0 && errno != EOPNOTSUPP)
            return err_errno(err, errno, "set extended attribute %.60s", name);
    }
    return 0;
}

/* Owner before mode, which chown(2) takes the setuid bit of. */
static int copy_owner(int from, int to, const struct stat *st, struct err *err)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
        return err_errno(err, errno, "set owner and mode");
    int rv = copy_xattrs(from, to, err);
    if (rv == 0 && futimens(to, times) < 0)
        rv = err_errno(err, errno, "set times");
    return rv;
}

static int copy_bytes(int from, int to, struct err *err)
{
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, CHUNK_BYTES, 0);
        if (n == 0)
            return 0;
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP))
            break;
        if (n < 0)
            return err_errno(err, errno, "copy");
    }
    cleanup_free char *chunk = mem_alloc(CHUNK_BYTES, 1);
    for (ssize_t n; (n = read(from, chunk, CHUNK_BYTES)) != 0;) {
        if (n < 0)
            return err_errno(err, errno, "read");
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(to, chunk + done, (size_t)(n - done));
            if (w < 0)
                return err_errno(err, errno, "write");
            done += w;
        }
    }
    return 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st,
                     struct err *err)
{
    cleanup_close int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    cleanup_close int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return err_errno(err, errno, "open %.100s", name);
    int rv = copy_bytes(from, to, err);
    return rv < 0 ? rv : copy_owner(from, to, st, err);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st,
                     struct err *err)
{
    char target[4096];
    ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);
    if (n < 0)
        return err_errno(err, errno, "read link %.100s", name);
    target[n] = '\0';
    if (symlinkat(target, to_dir, name) < 0 ||
        fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "make link %.100s", name);
    return 0;
}

static int copy_special(int to_dir, const char *name, const struct stat *st, struct err *err)
{
    if (S_ISSOCK(st->st_mode))
        return 0; /* of nobody any more */
    if (mknodat(to_dir, name, st->st_mode & (S_IFMT | 07777), st->st_rdev) < 0 ||
        fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
        return err_errno(err, errno, "make %.100s", name);
    return 0;
}

/* --- folders ---------------------------------------------------------------------------------- */

static int copy_tree(int from, int to, int depth, struct err *err);

static int copy_folder(int from_dir, int to_dir, const char *name, int depth, struct err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (mkdirat(to_dir, name, 0700) < 0)
        return err_errno(err, errno, "make folder %.100s", name);
    cleanup_close int from = openat(from_dir, name, flags);
    cleanup_close int to = openat(to_dir, name, flags);
    if (from < 0 || to < 0)
        return err_errno(err, errno, "open folder %.100s", name);
    return copy_tree(from, to, depth + 1, err);
}

static int copy_entry(int from, int to, const char *name, int depth, struct err *err)
{
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "look at %.100s", name);
    if (S_ISDIR(st.st_mode))
        return copy_folder(from, to, name, depth, err);
    if (S_ISREG(st.st_mode))
        return copy_file(from, to, name, &st, err);
    return S_ISLNK(st.st_mode) ? copy_link(from, to, name, &st, err)
                               : copy_special(to, name, &st, err);
}

/* All of folder @from into @to, and its own owner and mode. */
static int copy_tree(int from, int to, int depth, struct err *err)
{
    struct stat st;
    int rv = 0;
    if (depth > DEPTH_MAX)
        return err_set(err, ERR_TOOBIG, "more than %d folders in one another", DEPTH_MAX);
    int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir || fstat(from, &st) < 0) {
        rv = err_errno(err, errno, "read a folder");
        if (dir)
            closedir(dir);
        else if (copy >= 0)
            close(copy);
        return rv;
    }
    for (struct dirent *e; rv == 0 && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rv = copy_entry(from, to, e->d_name, depth, err);
    closedir(dir);
    return rv < 0 ? rv : copy_owner(from, to, &st, err);
}

/* --- the volume ------------------------------------------------------------------------------- */

/* Another file system is mounted there: it is filled in place, as it cannot be replaced. */
static bool is_mount(int fd, const char *parent)
{
    struct stat here, above;
    return fstat(fd, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

static int fill_beside(int from, const char *folder, const char *parent, struct err *err)
{
    const char *name = strrchr(folder, '/') + 1;
    cleanup_free char *beside = str_printf("%s/.fill-%s", parent, name);
    struct err ignored;
    file_remove_tree(beside, &ignored);
    if (mkdir(beside, 0700) < 0)
        return err_errno(err, errno, "make %s", beside);
    if (disk_quota_follow(beside, folder, err) < 0)
        return err->code;
    cleanup_close int to = open(beside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rv = to < 0 ? err_errno(err, errno, "open %s", beside) : copy_tree(from, to, 0, err);
    if (rv == 0 && syncfs(to) < 0)
        rv = err_errno(err, errno, "sync %s", beside);
    if (rv == 0 && rename(beside, folder) < 0)
        rv = err_errno(err, errno, "put %s in its place", beside);
    if (rv == 0)
        rv = file_sync_dir(parent, err);
    else
        file_remove_tree(beside, &ignored);
    return rv;
}

int volume_fill(int root_fd, const char *target, const char *folder, struct err *err)
{
    cleanup_free char *parent = str_copy(folder);
    char *slash = strrchr(parent, '/');
    check(slash && slash != parent);
    *slash = '\0';
    cleanup_close int to = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0)
        return err_errno(err, errno, "open volume %s", folder);
    cleanup_close int from = open_below(root_fd, target);
    if (from < 0 || !is_empty(to))
        return 0;
    int rv =
        is_mount(to, parent) ? copy_tree(from, to, 0, err) : fill_beside(from, folder, parent, err);
    return rv < 0 ? err_wrap(err, "fill volume %s with what the image has at %.100s", slash + 1,
                             target)
                  : 0;
}
