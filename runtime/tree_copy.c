/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tree_copy.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 128,
    XATTR_NAMES_MAX = 65536,
    XATTR_VALUE_MAX = 65536,
    CHUNK_BYTES = 1 << 20,
};

/* A file of several names that was copied. */
struct linked {
    dev_t device;
    ino_t inode;
    char *path; /* of the copy */
};

struct copying {
    int depth;
    struct linked *links;
    size_t links_n;
};

/* --- one file --------------------------------------------------------------------------------- */

static int copy_xattrs(int from, int to, struct err *err)
{
    cleanup_free char *names = mem_alloc(XATTR_NAMES_MAX, 1);
    cleanup_free char *value = mem_alloc(XATTR_VALUE_MAX, 1);
    ssize_t n = flistxattr(from, names, XATTR_NAMES_MAX);
    for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
        if (strncmp(name, "user.", 5) != 0 && strncmp(name, "system.posix_acl_", 17) != 0 &&
            strcmp(name, "security.capability") != 0)
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
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
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

/* The copy of a file that has several names; "": it has none yet. */
static const char *copy_of(const struct copying *c, const struct stat *st)
{
    for (size_t i = 0; i < c->links_n; i++)
        if (c->links[i].inode == st->st_ino && c->links[i].device == st->st_dev)
            return c->links[i].path;
    return "";
}

/* @name in @to_dir is the copy of a file that has more names. */
static int note_copy(struct copying *c, int to_dir, const char *name, const struct stat *st,
                     struct err *err)
{
    char folder[4096];
    cleanup_free char *self = str_printf("/proc/self/fd/%d", to_dir);
    ssize_t n = readlink(self, folder, sizeof(folder) - 1);
    if (n < 0)
        return err_errno(err, errno, "the folder of %.100s", name);
    folder[n] = '\0';
    if ((c->links_n & (c->links_n - 1)) == 0) /* grow at powers of two */
        c->links = mem_resize(c->links, c->links_n ? c->links_n * 2 : 1, sizeof(*c->links));
    c->links[c->links_n++] = (struct linked){
        .device = st->st_dev, .inode = st->st_ino, .path = str_printf("%s/%s", folder, name)};
    return 0;
}

static int copy_file(struct copying *c, int from_dir, int to_dir, const char *name,
                     const struct stat *st, struct err *err)
{
    const char *copied = st->st_nlink > 1 ? copy_of(c, st) : "";
    if (*copied)
        return linkat(AT_FDCWD, copied, to_dir, name, 0) < 0
                   ? err_errno(err, errno, "link %.100s", name)
                   : 0;
    cleanup_close int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    cleanup_close int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return err_errno(err, errno, "open %.100s", name);
    int rv = copy_bytes(from, to, err);
    if (rv == 0)
        rv = copy_owner(from, to, st, err);
    return rv == 0 && st->st_nlink > 1 ? note_copy(c, to_dir, name, st, err) : rv;
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

static int copy_tree(struct copying *c, int from, int to, struct err *err);

static int copy_folder(struct copying *c, int from_dir, int to_dir, const char *name,
                       struct err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (mkdirat(to_dir, name, 0700) < 0)
        return err_errno(err, errno, "make folder %.100s", name);
    cleanup_close int from = openat(from_dir, name, flags);
    cleanup_close int to = openat(to_dir, name, flags);
    if (from < 0 || to < 0)
        return err_errno(err, errno, "open folder %.100s", name);
    c->depth++;
    int rv = copy_tree(c, from, to, err);
    c->depth--;
    return rv;
}

static int copy_entry(struct copying *c, int from, int to, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "look at %.100s", name);
    if (S_ISDIR(st.st_mode))
        return copy_folder(c, from, to, name, err);
    if (S_ISREG(st.st_mode))
        return copy_file(c, from, to, name, &st, err);
    return S_ISLNK(st.st_mode) ? copy_link(from, to, name, &st, err)
                               : copy_special(to, name, &st, err);
}

/* All of folder @from into @to, and its own owner and mode. */
static int copy_tree(struct copying *c, int from, int to, struct err *err)
{
    struct stat st;
    int rv = 0;
    if (c->depth > DEPTH_MAX)
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
            rv = copy_entry(c, from, to, e->d_name, err);
    closedir(dir);
    return rv < 0 ? rv : copy_owner(from, to, &st, err);
}

int tree_copy(int from, int to, struct err *err)
{
    struct copying c = {0};
    int rv = copy_tree(&c, from, to, err);
    for (size_t i = 0; i < c.links_n; i++)
        free(c.links[i].path);
    free(c.links);
    return rv;
}
