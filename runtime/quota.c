/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/quota.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_PROJECT 0x57000000u /* ours; administrators' own begin at 1 */

enum {
    DEPTH_MAX = 256, /* of folders in a volume that gets a limit when it has content */
};

#ifndef PRJQUOTA
#define PRJQUOTA 2
#endif

/* One takes a number at a time. */
static pthread_mutex_t numbers = PTHREAD_MUTEX_INITIALIZER;

static int control(int fd, int command, uint32_t project, void *arg)
{
    return syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), project, arg) < 0 ? -errno : 0;
}

static int open_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int disk_quota_check(const char *dir, const char *what, struct err *err)
{
    struct fs_quota_stat state = {.qs_version = FS_QSTAT_VERSION};
    cleanup_close int fd = open_folder(dir);
    if (fd < 0)
        return err_errno(err, -fd, "open %s", dir);
    int rv = control(fd, Q_XGETQSTAT, 0, &state);
    if (rv == 0 && state.qs_flags & FS_QUOTA_PDQ_ENFD)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "%.20s: the file system of %.80s has no project quotas%s: it takes "
                   "ext4 of 'mkfs.ext4 -O quota,project' with prjquota, or XFS with pquota",
                   what, dir, rv == -ENOSYS ? " (they take Linux 5.14)" : "");
}

/* The project of folder @path, 0 for none. */
static uint32_t project_of(const char *path)
{
    struct fsxattr attr = {0};
    cleanup_close int fd = open_folder(path);
    return fd >= 0 && ioctl(fd, FS_IOC_FSGETXATTR, &attr) == 0 ? attr.fsx_projid : 0;
}

/* Of an open file or, with @folder, of a folder and what will be made in it. */
static int set_project_of(int fd, const char *path, uint32_t project, bool folder, struct err *err)
{
    struct fsxattr attr = {0};
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0)
        return err_errno(err, errno, "read the project of %s", path);
    attr.fsx_projid = project;
    if (folder)
        attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (ioctl(fd, FS_IOC_FSSETXATTR, &attr) < 0)
        return err_errno(err, errno, "set the project of %s", path);
    return 0;
}

static int set_project(const char *path, uint32_t project, struct err *err)
{
    cleanup_close int fd = open_folder(path);
    if (fd < 0)
        return err_errno(err, -fd, "open %s", path);
    return set_project_of(fd, path, project, true, err);
}

static int set_projects_in(int dir, uint32_t project, int depth, struct err *err);

/* One entry of @dir, and what is in it. Links, devices and the like take no room that counts; what
 * went meanwhile is gone. */
static int set_project_at(int dir, const char *name, uint32_t project, int depth, struct err *err)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
        return 0;
    cleanup_close int fd = openat(dir, name, flags);
    if (fd < 0 || fstat(fd, &st) < 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
        return 0;
    int rv = set_project_of(fd, name, project, S_ISDIR(st.st_mode), err);
    return rv == 0 && S_ISDIR(st.st_mode) ? set_projects_in(fd, project, depth + 1, err) : rv;
}

static int set_projects_in(int dir, uint32_t project, int depth, struct err *err)
{
    int rv = 0;
    int copy = depth < DEPTH_MAX ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (depth >= DEPTH_MAX)
        return err_set(err, ERR_TOOBIG, "its folders are more than %d deep", DEPTH_MAX);
    if (!list)
        return err_errno(err, errno, "list a folder of the volume");
    for (struct dirent *e; rv == 0 && (e = readdir(list));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rv = set_project_at(dir, e->d_name, project, depth, err);
    closedir(list);
    return rv;
}

static int set_limit(const char *dir, uint32_t project, int64_t bytes, struct err *err)
{
    struct if_dqblk limit = {.dqb_valid = QIF_BLIMITS};
    cleanup_close int fd = open_folder(dir);
    if (fd < 0)
        return err_errno(err, -fd, "open %s", dir);
    limit.dqb_bhardlimit = (uint64_t)bytes / QIF_DQBLKSIZE + (bytes % QIF_DQBLKSIZE != 0);
    limit.dqb_bsoftlimit = limit.dqb_bhardlimit;
    int rv = control(fd, Q_SETQUOTA, project, &limit);
    return rv < 0 ? err_errno(err, -rv, "set the quota of %s", dir) : 0;
}

/* Raise *@next above the projects of what is in @folder, or of @part of each. */
static int skip_projects(const char *data_dir, const char *folder, const char *part, uint32_t *next,
                         struct err *err)
{
    cleanup_free char *path = str_printf("%s/%s", data_dir, folder);
    DIR *list = opendir(path);
    if (!list)
        return err_errno(err, errno, "list %s", path);
    for (struct dirent *e; (e = readdir(list));) {
        cleanup_free char *one = str_printf("%s/%s%s", path, e->d_name, part);
        uint32_t project =
            strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ? 0 : project_of(one);
        if (project >= *next)
            *next = project + 1;
    }
    closedir(list);
    return 0;
}

/* A number that no container or volume here has. */
static int free_project(const char *data_dir, uint32_t *ret, struct err *err)
{
    *ret = FIRST_PROJECT;
    int rv = skip_projects(data_dir, "containers", "/upper", ret, err);
    return rv < 0 ? rv : skip_projects(data_dir, "volumes", "", ret, err);
}

int disk_quota_set(const char *data_dir, const char *dir, int64_t bytes, struct err *err)
{
    cleanup_free char *upper = str_printf("%s/upper", dir);
    cleanup_free char *work = str_printf("%s/work", dir);
    uint32_t project = 0;
    check(pthread_mutex_lock(&numbers) == 0);
    int rv = free_project(data_dir, &project, err);
    if (rv == 0)
        rv = set_project(upper, project, err);
    check(pthread_mutex_unlock(&numbers) == 0);
    if (rv == 0) /* the same: overlayfs renames from one to the other */
        rv = set_project(work, project, err);
    return rv < 0 ? rv : set_limit(dir, project, bytes, err);
}

int disk_quota_join(const char *dir, struct err *err)
{
    cleanup_free char *upper = str_printf("%s/upper", dir);
    cleanup_free char *work = str_printf("%s/work", dir);
    uint32_t project = project_of(upper);
    return project ? set_project(work, project, err) : 0;
}

void disk_quota_clear(const char *dir)
{
    cleanup_free char *upper = str_printf("%s/upper", dir);
    uint32_t project = project_of(upper);
    if (project >= FIRST_PROJECT)
        set_limit(dir, project, 0, NULL);
}

/* --- volumes ------------------------------------------------------------------------------- */

int64_t disk_quota_of(const char *dir)
{
    struct if_dqblk limit = {0};
    uint32_t project = project_of(dir);
    cleanup_close int fd = open_folder(dir);
    if (fd < 0 || project < FIRST_PROJECT || control(fd, Q_GETQUOTA, project, &limit) < 0)
        return 0;
    return (int64_t)(limit.dqb_bhardlimit * QIF_DQBLKSIZE);
}

/* Give the volume at @dir a project of its own. */
static int take_project(const char *data_dir, const char *dir, uint32_t *ret, struct err *err)
{
    check(pthread_mutex_lock(&numbers) == 0);
    int rv = free_project(data_dir, ret, err);
    if (rv == 0)
        rv = set_project(dir, *ret, err);
    check(pthread_mutex_unlock(&numbers) == 0);
    return rv;
}

int disk_quota_limit(const char *data_dir, const char *dir, int64_t bytes, struct err *err)
{
    uint32_t project = project_of(dir);
    if (bytes == 0 && project < FIRST_PROJECT)
        return 0;
    if (bytes > 0 && disk_quota_check(dir, "size", err) < 0)
        return err->code;
    int64_t now = disk_quota_of(dir);
    if (now > 0 && now / QIF_DQBLKSIZE == bytes / QIF_DQBLKSIZE + (bytes % QIF_DQBLKSIZE != 0))
        return 0;
    int rv = project < FIRST_PROJECT ? take_project(data_dir, dir, &project, err) : 0;
    /* Until there is a limit the walk may have been cut short. */
    cleanup_close int fd = open_folder(dir);
    if (rv == 0 && now == 0)
        rv = fd < 0 ? err_errno(err, -fd, "open %s", dir) : set_projects_in(fd, project, 0, err);
    return rv < 0 ? rv : set_limit(dir, project, bytes, err);
}

int disk_quota_follow(const char *dir, const char *from, struct err *err)
{
    uint32_t project = project_of(from);
    return project >= FIRST_PROJECT ? set_project(dir, project, err) : 0;
}
