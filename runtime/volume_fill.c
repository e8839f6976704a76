/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/volume_fill.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/quota.h"
#include "runtime/tree_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
    int rv = to < 0 ? err_errno(err, errno, "open %s", beside) : tree_copy(from, to, err);
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
        is_mount(to, parent) ? tree_copy(from, to, err) : fill_beside(from, folder, parent, err);
    return rv < 0 ? err_wrap(err, "fill volume %s with what the image has at %.100s", slash + 1,
                             target)
                  : 0;
}
