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
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_PROJECT 0x57000000u /* ours; administrators' own begin at 1 */

#ifndef PRJQUOTA
#define PRJQUOTA 2
#endif

/* One container takes a number at a time. */
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

int disk_quota_check(const char *dir, struct err *err)
{
    struct fs_quota_stat state = {.qs_version = FS_QSTAT_VERSION};
    cleanup_close int fd = open_folder(dir);
    if (fd < 0)
        return err_errno(err, -fd, "open %s", dir);
    int rv = control(fd, Q_XGETQSTAT, 0, &state);
    if (rv == 0 && state.qs_flags & FS_QUOTA_PDQ_ENFD)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "storage_bytes: the file system of %.80s has no project quotas%s: it takes "
                   "ext4 of 'mkfs.ext4 -O quota,project' with prjquota, or XFS with pquota",
                   dir, rv == -ENOSYS ? " (they take Linux 5.14)" : "");
}

/* The project of folder @path, 0 for none. */
static uint32_t project_of(const char *path)
{
    struct fsxattr attr = {0};
    cleanup_close int fd = open_folder(path);
    return fd >= 0 && ioctl(fd, FS_IOC_FSGETXATTR, &attr) == 0 ? attr.fsx_projid : 0;
}

static int set_project(const char *path, uint32_t project, struct err *err)
{
    struct fsxattr attr = {0};
    cleanup_close int fd = open_folder(path);
    if (fd < 0)
        return err_errno(err, -fd, "open %s", path);
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0)
        return err_errno(err, errno, "read the project of %s", path);
    attr.fsx_projid = project;
    attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (ioctl(fd, FS_IOC_FSSETXATTR, &attr) < 0)
        return err_errno(err, errno, "set the project of %s", path);
    return 0;
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

/* A number that no container here has. */
static int free_project(const char *containers, uint32_t *ret, struct err *err)
{
    uint32_t next = FIRST_PROJECT;
    DIR *list = opendir(containers);
    if (!list)
        return err_errno(err, errno, "list %s", containers);
    for (struct dirent *e; (e = readdir(list));) {
        cleanup_free char *upper = str_printf("%s/%s/upper", containers, e->d_name);
        uint32_t project = e->d_name[0] == '.' && !str_starts(e->d_name, ".new-") &&
                                   !str_starts(e->d_name, ".old-")
                               ? 0
                               : project_of(upper);
        if (project >= next)
            next = project + 1;
    }
    closedir(list);
    *ret = next;
    return 0;
}

int disk_quota_set(const char *containers, const char *dir, int64_t bytes, struct err *err)
{
    cleanup_free char *upper = str_printf("%s/upper", dir);
    cleanup_free char *work = str_printf("%s/work", dir);
    uint32_t project = 0;
    check(pthread_mutex_lock(&numbers) == 0);
    int rv = free_project(containers, &project, err);
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
