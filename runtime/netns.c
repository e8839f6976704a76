/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netns.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

static const char self_path[] = "/proc/thread-self/ns/net";

static int open_self(int *ret_fd, struct err *err)
{
    int fd = open(self_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s", self_path);
    *ret_fd = fd;
    return 0;
}

int netns_enter(const char *path, int *ret_home, struct err *err)
{
    cleanup_close int home = -1;
    int rc = open_self(&home, err);
    if (rc < 0)
        return rc;
    cleanup_close int there = open(path, O_RDONLY | O_CLOEXEC);
    if (there < 0)
        return err_errno(err, errno, "open network namespace %s", path);
    if (setns(there, CLONE_NEWNET) < 0)
        return err_errno(err, errno, "enter network namespace %s", path);
    *ret_home = steal_fd(&home);
    return 0;
}

void netns_leave(int home)
{
    check(setns(home, CLONE_NEWNET) == 0);
    close(home);
}

int netns_inode(const char *path, ino_t *ret_inode, struct err *err)
{
    struct statfs fs;
    struct stat st;
    if (statfs(path, &fs) < 0 || stat(path, &st) < 0)
        return err_errno(err, errno, "network namespace %s", path);
    if (fs.f_type != NSFS_MAGIC)
        return err_set(err, ERR_NOTFOUND, "no network namespace is mounted at %s", path);
    *ret_inode = st.st_ino;
    return 0;
}

static int loopback_up(struct err *err)
{
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, errno, "open a socket");
    struct ifreq request = {.ifr_name = "lo"};
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return err_errno(err, errno, "read the flags of lo");
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return err_errno(err, errno, "bring lo up");
    return 0;
}

/* Make the file that the namespace is mounted on. */
static int make_mount_point(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return err_set(err, ERR_INVALID, "network namespace \"%s\": not a path", path);
    cleanup_free char *folder = mem_copy(path, (size_t)(slash - path) + 1);
    folder[slash - path] = 0;
    int rc = file_mkdirs(folder, 0755, err);
    if (rc < 0)
        return rc;
    cleanup_close int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
    if (fd < 0)
        return err_errno(err, errno, "make %s", path);
    return 0;
}

int network_netns_create(const char *path, struct err *err)
{
    ino_t inode;
    struct err ignored;
    if (netns_inode(path, &inode, &ignored) == 0)
        return 0;
    int rc = make_mount_point(path, err);
    if (rc < 0)
        return rc;
    int home = -1;
    rc = open_self(&home, err);
    if (rc < 0)
        return rc;
    if (unshare(CLONE_NEWNET) < 0) {
        rc = err_errno(err, errno, "make a network namespace");
        close(home);
        return rc;
    }
    rc = loopback_up(err);
    if (rc == 0 && mount(self_path, path, NULL, MS_BIND, NULL) < 0)
        rc = err_errno(err, errno, "mount a network namespace at %s", path);
    netns_leave(home);
    return rc;
}

int network_netns_remove(const char *path, struct err *err)
{
    /* EINVAL: nothing is mounted there, as after a reboot. */
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return err_errno(err, errno, "unmount %s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(err, errno, "remove %s", path);
    return 0;
}
