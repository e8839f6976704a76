/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/idmap.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTE "userns"

enum {
    RANGES_MAX = 60000, /* below 2^32 from the default base on */
};

/* The number in a note, 0 when there is none. */
static uint32_t read_note(const char *path)
{
    cleanup_buf struct buf text = BUF_INIT;
    if (file_read(path, 32, &text, NULL) < 0)
        return 0;
    unsigned long long v = strtoull(text.data, NULL, 10);
    return v > UINT32_MAX - IDMAP_SIZE ? 0 : (uint32_t)v;
}

/* Mark the ranges that containers have, those being made or taken away among them. */
static int mark_used(const struct runtime *rt, unsigned char *used, struct err *err)
{
    cleanup_free char *parent = str_printf("%s/containers", rt->data_dir);
    DIR *dir = opendir(parent);
    if (!dir)
        return err_errno(err, errno, "list %s", parent);
    for (struct dirent *e; (e = readdir(dir));) {
        cleanup_free char *path = str_printf("%s/%s/" NOTE, parent, e->d_name);
        uint32_t base = read_note(path);
        if (base >= rt->userns_base && (base - rt->userns_base) / IDMAP_SIZE < RANGES_MAX)
            used[(base - rt->userns_base) / IDMAP_SIZE] = 1;
    }
    closedir(dir);
    return 0;
}

int idmap_lease(const struct runtime *rt, const char *dir, struct err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    cleanup_free unsigned char *used = mem_alloc(RANGES_MAX, 1);
    cleanup_free char *path = str_printf("%s/" NOTE, dir);
    pthread_mutex_lock(&lock);
    int rv = mark_used(rt, used, err);
    uint64_t i = 0;
    while (i < RANGES_MAX && used[i])
        i++;
    uint64_t base = rt->userns_base + i * IDMAP_SIZE;
    if (rv == 0 && (i == RANGES_MAX || base > UINT32_MAX - IDMAP_SIZE))
        rv = err_set(err, ERR_UNAVAILABLE, "userns: every range of user ids has a container");
    if (rv == 0) {
        cleanup_free char *text = str_printf("%llu\n", (unsigned long long)base);
        rv = file_write(path, text, strlen(text), 0600, err);
    }
    pthread_mutex_unlock(&lock);
    return rv;
}

int idmap_base(const struct runtime *rt, const char *id, uint32_t *ret_base, struct err *err)
{
    cleanup_free char *dir = container_data_dir(rt, id);
    cleanup_free char *path = str_printf("%s/" NOTE, dir);
    uint32_t base = read_note(path);
    if (base < IDMAP_SIZE)
        return err_set(err, ERR_CORRUPT, "%s is missing or damaged; remove the container", path);
    *ret_base = base;
    return 0;
}

static int write_map(pid_t pid, const char *name, uint32_t base, struct err *err)
{
    cleanup_free char *path = str_printf("/proc/%d/%s", (int)pid, name);
    cleanup_free char *text = str_printf("0 %u %d", base, (int)IDMAP_SIZE);
    return file_write_kernel(path, text, err);
}

int idmap_userns(uint32_t base, int *ret_fd, struct err *err)
{
    /* A child that only waits for its end holds the namespace until it is open. As a bare system
     * call: nothing of the C library runs in it. */
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0) {
        for (;;)
            syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
    }
    if (pid < 0)
        return err_errno(err, errno, "make a user namespace");
    cleanup_free char *path = str_printf("/proc/%d/ns/user", (int)pid);
    int rv = write_map(pid, "uid_map", base, err);
    if (rv == 0)
        rv = write_map(pid, "gid_map", base, err);
    int fd = rv == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (rv == 0 && fd < 0)
        rv = err_errno(err, errno, "open %s", path);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (rv == 0)
        *ret_fd = fd;
    return rv;
}

int idmap_mount(const char *path, int userns_fd, bool deep, int *ret_fd, struct err *err)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (deep ? AT_RECURSIVE : 0);
    cleanup_close int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);
    if (fd < 0)
        return err_errno(err, errno, "userns: mount %s", path);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64)userns_fd};
    if (userns_fd >= 0 &&
        syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (deep ? AT_RECURSIVE : 0), &attr,
                sizeof(attr)) < 0)
        return err_set(
            err, ERR_UNSUPPORTED,
            "userns: the ids of %s cannot be mapped: its file system or this kernel does "
            "not do that (%s)",
            path, strerror(errno));
    *ret_fd = steal_fd(&fd);
    return 0;
}

void idmap_enter(uint32_t base)
{
    check(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
    setfsgid(base);
    setfsuid(base);
}

void idmap_leave(void)
{
    setfsuid(0);
    setfsgid(0);
    check(prctl(PR_SET_SECUREBITS, 0) == 0);
}
