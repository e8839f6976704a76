/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/memfile.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

static char *root_of(const struct runtime *rt)
{
    return str_printf("%s/files", rt->run_dir);
}

char *memfile_path(struct runtime *rt, const char *id, size_t i)
{
    return str_printf("%s/files/%s/%zu", rt->run_dir, id, i);
}

/* --- the file system ----------------------------------------------------------------------- */

/* True when @path is the root of a file system in memory of its own. */
static bool is_mounted(const char *path, const char *parent)
{
    struct stat here, above;
    struct statfs fs;
    return stat(path, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev &&
           statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static int mount_root(const char *root, const char *parent, struct err *err)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (is_mounted(root, parent))
        return 0;
    if (mkdir(root, 0700) < 0 && errno != EEXIST)
        return err_errno(err, errno, "make %s", root);
    /* Linux 6.4 and later keep it out of swap. */
    if (mount("wherry", root, "tmpfs", flags, "mode=0700,size=50%,noswap") == 0 ||
        mount("wherry", root, "tmpfs", flags, "mode=0700,size=50%") == 0)
        return 0;
    return err_errno(err, errno, "mount a tmpfs at %s", root);
}

/* --- files --------------------------------------------------------------------------------- */

static int write_all(int fd, const char *path, const struct memfile *file, struct err *err)
{
    const char *data = file->data;
    for (size_t done = 0; done < file->len;) {
        ssize_t n = write(fd, data + done, file->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "write %s", path);
        done += (size_t)n;
    }
    return 0;
}

static bool is_so(int fd, const struct memfile *file)
{
    struct stat st;
    char chunk[4096];
    size_t done = 0;
    if (fstat(fd, &st) < 0 || (size_t)st.st_size != file->len)
        return false;
    for (ssize_t n; done < file->len; done += (size_t)n) {
        n = pread(fd, chunk, sizeof(chunk), (off_t)done);
        if (n <= 0 || (size_t)n > file->len - done ||
            memcmp(chunk, (const char *)file->data + done, (size_t)n) != 0)
            return false;
    }
    return true;
}

static int place(const char *path, const struct memfile *file, bool *changed, struct err *err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "make %s", path);
    int rv = 0;
    if (!is_so(fd, file)) {
        *changed = true;
        rv = ftruncate(fd, 0) < 0 ? err_errno(err, errno, "cut %s", path)
                                  : write_all(fd, path, file, err);
    }
    if (rv == 0 && fchown(fd, file->uid, file->gid) < 0)
        rv = err_errno(err, errno, "chown %s", path);
    if (rv == 0 && fchmod(fd, file->mode & 07777) < 0)
        rv = err_errno(err, errno, "chmod %s", path);
    return rv;
}

int memfiles_place(struct runtime *rt, const char *id, const struct memfile *files, size_t n,
                   bool *ret_changed, struct err *err)
{
    *ret_changed = false;
    cleanup_free char *root = root_of(rt);
    cleanup_free char *folder = str_printf("%s/%s", root, id);
    int rv = mount_root(root, rt->run_dir, err);
    if (rv == 0 && mkdir(folder, 0700) < 0 && errno != EEXIST)
        rv = err_errno(err, errno, "make %s", folder);
    for (size_t i = 0; i < n && rv == 0; i++) {
        cleanup_free char *path = memfile_path(rt, id, i);
        rv = place(path, &files[i], ret_changed, err);
    }
    return rv;
}

bool memfiles_are_there(struct runtime *rt, const char *id, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *path = memfile_path(rt, id, i);
        if (!file_exists(path))
            return false;
    }
    return true;
}

int memfiles_remove(struct runtime *rt, const char *id, struct err *err)
{
    cleanup_free char *folder = str_printf("%s/files/%s", rt->run_dir, id);
    return file_exists(folder) ? file_remove_tree(folder, err) : 0;
}
