/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/tarball.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/tar_write.h"
#include "runtime/fetch/entry.h"
#include "runtime/fetch/report.h"
#include "runtime/fetch/stream.h"
#include "runtime/fetch/tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <locale.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    READ_BYTES = 256 << 10,
    ENTRIES_MAX = 2000000,
};

/* --- the tree --------------------------------------------------------------------------------- */

/* A copy of all mounts of the container, out of its own mount namespace. */
static int clone_mounts(int *ret_fd, struct err *err)
{
    cleanup_close int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    cleanup_close int its = openat(TARBALL_TREE_FD, "ns/mnt", O_RDONLY | O_CLOEXEC);
    cleanup_close int root = openat(TARBALL_TREE_FD, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (own < 0 || its < 0 || root < 0 || setns(its, CLONE_NEWNS) < 0)
        return err_errno(err, errno, "enter the container's mounts (it may have ended)");
    int fd = (int)syscall(SYS_open_tree, root, "",
                          AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int failed = errno;
    if (setns(own, CLONE_NEWNS) < 0) {
        if (fd >= 0)
            close(fd);
        return err_errno(err, errno, "leave the container's mounts");
    }
    if (fd < 0)
        return err_errno(err, failed, "copy the container's mounts");
    *ret_fd = fd;
    return 0;
}

int tarball_open_tree(bool live, struct err *err)
{
    cleanup_close int fd = -1;
    if (live) {
        int rv = clone_mounts(&fd, err);
        if (rv < 0)
            return rv;
        if (dup2(fd, TARBALL_TREE_FD) < 0)
            return err_errno(err, errno, "place a descriptor");
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
    if (mount_setattr(TARBALL_TREE_FD, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return err_errno(err, errno, "restrict the container's mounts");
    return 0;
}

/* Returns a descriptor or -errno. */
static int open_in_tree(const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd;
    int tries = 0;
    do
        fd = syscall(SYS_openat2, TARBALL_TREE_FD, path, &how, sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < 100);
    return fd < 0 ? -errno : (int)fd;
}

/* The folder that holds @path, and the last name in it: "." for a path that ends with a folder. */
static int open_parent(const char *path, char base[NAME_MAX + 1], struct err *err)
{
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    bool folder = path[len] == '/' || len == 0;
    size_t begin = len;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    size_t n = len - begin;
    if (n > NAME_MAX)
        return err_set(err, ERR_INVALID, "%.100s...: a name is too long", path);
    bool dots = n == 0 || (n == 1 && path[begin] == '.') ||
                (n == 2 && path[begin] == '.' && path[begin + 1] == '.');
    cleanup_free char *dir = folder || dots ? str_copy(path) : str_printf("%.*s", (int)begin, path);
    int fd = open_in_tree(*dir ? dir : "/", O_PATH | O_DIRECTORY);
    if (fd < 0)
        return err_errno(err, -fd, "%.150s", path);
    if (folder || dots) {
        memcpy(base, ".", 2);
    } else {
        memcpy(base, path + begin, n);
        base[n] = '\0';
    }
    return fd;
}

/* The name that @path has in an archive. */
static char *last_name(const char *path)
{
    cleanup_free char *copy = str_copy(path);
    size_t len = strlen(copy);
    while (len > 0 &&
           (copy[len - 1] == '/' || (copy[len - 1] == '.' && (len == 1 || copy[len - 2] == '/'))))
        copy[--len] = '\0';
    const char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    return str_copy(*name && strcmp(name, "..") != 0 ? name : ".");
}

int tarball_look(const char *path, struct err *err)
{
    char base[NAME_MAX + 1], link[4096] = "";
    struct stat st;
    struct err missing;
    cleanup_close int dir = open_parent(path, base, &missing);
    if (dir < 0) {
        if (missing.code != ERR_NOTFOUND && !strstr(missing.msg, strerror(ENOTDIR))) {
            *err = missing;
            return err->code;
        }
        report_path("look", "none 0 0 0 ");
        return 0;
    }
    if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return err_errno(err, errno, "%.150s", path);
        report_path("look", "none 1 0 0 ");
        return 0;
    }
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(dir, base, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
    }
    const char *kind = S_ISREG(st.st_mode)   ? "file"
                       : S_ISDIR(st.st_mode) ? "folder"
                       : S_ISLNK(st.st_mode) ? "link"
                                             : "other";
    cleanup_free char *text =
        str_printf("%s 1 %u %lld %s", kind, st.st_mode & 07777, (long long)st.st_size, link);
    report_path("look", text);
    return 0;
}

/* --- out -------------------------------------------------------------------------------------- */

static bool on_progress(void *arg, int64_t bytes)
{
    const int64_t *max = arg;
    report_progress(bytes, *max);
    return true;
}

static int write_tree(const struct tar_options *o, int fd, const char *name, const char *as,
                      struct err *err)
{
    struct tar_writer *w = tar_writer_new(o);
    int rv = tar_write_tree(w, fd, name, as, err);
    if (rv == 0)
        rv = tar_writer_end(w, err);
    tar_writer_free(w);
    return rv;
}

int tarball_out(const char *path, int64_t max_bytes, struct err *err)
{
    char base[NAME_MAX + 1];
    cleanup_close int dir = open_parent(path, base, err);
    if (dir < 0)
        return dir;
    cleanup_free char *as = last_name(path);
    struct tar_options o = {.fd = TARBALL_ARCHIVE_FD,
                            .max_bytes = max_bytes,
                            .owners = true,
                            .on_progress = on_progress,
                            .arg = &max_bytes};
    return write_tree(&o, dir, base, as, err);
}

static bool is_opaque(void *arg, const char *path)
{
    (void)arg;
    return report_ask("opaque", path);
}

int tarball_layer(int64_t max_bytes, struct err *err)
{
    struct tar_options o = {
        .fd = TARBALL_ARCHIVE_FD, .max_bytes = max_bytes, .owners = true, .is_opaque = is_opaque};
    return write_tree(&o, TARBALL_TREE_FD, ".", ".", err);
}

/* --- in --------------------------------------------------------------------------------------- */

struct unpack {
    struct tree tree;
    struct archive *archive;
    bool owners;
    bool root; /* the folder that is unpacked into takes what the archive says of it */
    int64_t left;
    int64_t entries;
};

static int check_kind(struct archive_entry *entry, const char *path, struct err *err)
{
    mode_t type = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry) || type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK ||
        type == AE_IFIFO)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "'%.150s' is a device or socket: those are not copied into containers", path);
}

static int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *err)
{
    char path[TREE_PATH_MAX];
    const char *name = archive_entry_pathname(entry);
    if (!name)
        return err_set(err, ERR_UNSUPPORTED, "the archive has a name that is not UTF-8");
    int rv = tree_clean(name, path, err);
    if (rv < 0)
        return rv;
    if (++u->entries > ENTRIES_MAX)
        return err_set(err, ERR_TOOBIG, "the archive has more than %d entries", ENTRIES_MAX);
    if (strcmp(path, ".") == 0) /* the folder itself is there */
        return u->root && archive_entry_filetype(entry) == AE_IFDIR
                   ? entry_set_folder(entry, u->tree.root_fd, ".", ".", err)
                   : 0;
    cleanup_close int parent = -1;
    const char *base;
    struct stat st;
    bool folder = !archive_entry_hardlink(entry) && archive_entry_filetype(entry) == AE_IFDIR;
    if ((rv = check_kind(entry, path, err)) < 0 ||
        (rv = tree_parent(&u->tree, path, &parent, &base, err)) < 0)
        return rv;
    if (!u->owners) {
        archive_entry_set_uid(entry, 0);
        archive_entry_set_gid(entry, 0);
    }
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (folder && S_ISDIR(st.st_mode))
            return 0;
        if (folder || S_ISDIR(st.st_mode))
            return err_set(err, ERR_EXISTS,
                           folder ? "'%.100s' is no folder there, and is not replaced by one"
                                  : "'%.100s' is a folder there, and is not replaced by a file",
                           path);
        if (unlinkat(parent, base, 0) < 0)
            return err_errno(err, errno, "replace '%.100s'", path);
    }
    return entry_make(&u->tree, u->archive, entry, parent, base, path, &u->left, err);
}

static int unpack_all(struct unpack *u, struct err *err)
{
    struct archive_entry *entry;
    int rv;
    while ((rv = archive_read_next_header(u->archive, &entry)) == ARCHIVE_OK ||
           rv == ARCHIVE_WARN) {
        if ((rv = unpack_entry(u, entry, err)) < 0)
            return rv;
    }
    return rv == ARCHIVE_EOF ? 0 : archive_err(u->archive, "read the archive", err);
}

int tarball_in(const char *path, bool owners, bool root, int64_t max_bytes, struct err *err)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive converts names to the locale's characters */
    int dir = open_in_tree(path, O_RDONLY | O_DIRECTORY);
    if (dir < 0)
        return err_errno(err, -dir, "%.150s", path);
    struct unpack u = {.tree = {.root_fd = dir, .crosses = true},
                       .archive = archive_read_new(),
                       .owners = owners,
                       .root = root,
                       .left = max_bytes};
    archive_read_support_format_tar(u.archive);
    archive_read_support_filter_gzip(u.archive);
    archive_read_support_filter_zstd(u.archive);
    int rv = 0;
    if (archive_read_open_fd(u.archive, TARBALL_ARCHIVE_FD, READ_BYTES) != ARCHIVE_OK)
        rv = archive_err(u.archive, "read the archive", err);
    if (rv == 0)
        rv = unpack_all(&u, err);
    archive_read_free(u.archive);
    /* Some kernels say only at the sync that there was no room. */
    if (rv == 0 && syncfs(dir) < 0)
        rv = err_errno(err, errno, "sync %.150s", path);
    close(dir);
    return rv;
}
