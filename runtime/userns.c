/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/userns.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/idmap.h"
#include "runtime/netns.h"
#include "runtime/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Mounts are made in a namespace of a thread's own, which ends with it. */
struct work {
    const struct userns_tree *tree;
    int userns_fd;
    int fd; /* the result */
    int rv;
    struct err *err;
};

static int new_tmpfs(const char *path, struct err *err)
{
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=64k") < 0)
        return err_errno(err, errno, "userns: mount a tmpfs on %s", path);
    return 0;
}

/* Attach @fd, which is closed, at @path, which is made: a folder, or a file for a file. */
static int attach(int fd, const char *path, struct err *err)
{
    struct stat st;
    cleanup_close int mounted = fd;
    if (fstat(mounted, &st) < 0)
        return err_errno(err, errno, "userns: attach %s", path);
    int made = S_ISDIR(st.st_mode) ? mkdir(path, 0711) : mknod(path, S_IFREG | 0600, 0);
    if (made < 0 ||
        syscall(SYS_move_mount, mounted, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, errno, "userns: attach %s", path);
    return 0;
}

static int attach_mapped(struct work *w, const char *source, const char *name, bool mapped,
                         bool deep, struct err *err)
{
    int fd = -1;
    cleanup_free char *path = str_printf("%s/%s", w->tree->scratch, name);
    int rv = idmap_mount(source, mapped ? w->userns_fd : -1, deep, &fd, err);
    return rv == 0 ? attach(fd, path, err) : rv;
}

/* The root as a detached mount: all layers mapped, on a tmpfs that goes again. */
static int make_root(struct work *w, int *ret_fd, struct err *err)
{
    const struct userns_tree *t = w->tree;
    size_t n = 0;
    while (t->layer_dirs && t->layer_dirs[n])
        n++;
    cleanup_free const char **layers = mem_alloc(n + 1, sizeof(*layers));
    int rv = new_tmpfs(t->scratch, err);
    for (size_t i = 0; i < n && rv == 0; i++) {
        cleanup_free char *name = str_printf("%zu", i);
        layers[i] = str_printf("%s/%zu", t->scratch, i);
        rv = attach_mapped(w, t->layer_dirs[i], name, true, false, err);
    }
    cleanup_free char *upper = str_printf("%s/c", t->scratch);
    cleanup_free char *target = str_printf("%s/m", t->scratch);
    if (rv == 0)
        rv = attach_mapped(w, t->data_dir, "c", true, false, err);
    if (rv == 0 && mkdir(target, 0700) < 0)
        rv = err_errno(err, errno, "userns: make %s", target);
    if (rv == 0) {
        idmap_enter(t->base);
        rv = snapshot_mount(upper, layers, target, ret_fd, err);
        idmap_leave();
    }
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)layers[i]);
    umount2(t->scratch, MNT_DETACH);
    return rv;
}

static int make_tree(struct work *w, int root_fd, struct err *err)
{
    const struct userns_tree *t = w->tree;
    cleanup_free char *root = str_printf("%s/root", t->scratch);
    cleanup_free char *etc = str_printf("%s/etc", t->data_dir);
    int rv = new_tmpfs(t->scratch, err);
    if (rv < 0) {
        close(root_fd);
        return rv;
    }
    if ((rv = attach(root_fd, root, err)) < 0 ||
        (rv = attach_mapped(w, etc, "etc", true, false, err)) < 0 ||
        (rv = attach_mapped(w, t->init, "init", false, false, err)) < 0)
        return rv;
    for (size_t i = 0; i < t->spec->mounts_n; i++) {
        cleanup_free char *name = str_printf("mount-%zu", i);
        rv = attach_mapped(w, t->spec->mounts[i].source, name, true, true, err);
        if (rv < 0)
            return rv;
    }
    return idmap_mount(t->scratch, -1, true, &w->fd, err);
}

static void *mount_all(void *arg)
{
    struct work *w = arg;
    int root_fd = -1;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        w->rv = err_errno(w->err, errno, "userns: make a mount namespace");
    else if ((w->rv = make_root(w, &root_fd, w->err)) == 0)
        w->rv = make_tree(w, root_fd, w->err);
    return NULL;
}

int userns_mount(const struct userns_tree *tree, int *ret_fd, int *ret_root_fd, struct err *err)
{
    cleanup_close int userns_fd = -1;
    pthread_t thread;
    int rv = idmap_userns(tree->base, &userns_fd, err);
    if (rv < 0)
        return rv;
    struct err why = {0};
    struct work work = {.tree = tree, .userns_fd = userns_fd, .fd = -1, .err = &why};
    check(pthread_create(&thread, NULL, mount_all, &work) == 0);
    pthread_join(thread, NULL);
    cleanup_close int fd = work.fd;
    if (work.rv < 0)
        return err_set(err, work.rv, "%s", why.msg);
    int root_fd = openat(fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_errno(err, errno, "userns: open the root");
    *ret_root_fd = root_fd;
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* "net.ipv4.ping_group_range=0 1" in the namespace we are in. */
static int set_parameter(const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    cleanup_free char *path = str_printf("/proc/sys/%.*s", (int)(equals - text), text);
    for (char *p = path + strlen("/proc/sys/"); *p; p++)
        *p = *p == '.' ? '/' : *p;
    int rv = file_write_kernel(path, equals + 1, err);
    if (rv < 0)
        err_wrap(err, "sysctls");
    return rv;
}

int userns_set_network(const struct container_spec *spec, struct err *err)
{
    int home, rv = netns_enter(spec->netns, &home, err);
    if (rv < 0)
        return rv;
    rv = set_parameter("net.ipv4.ip_unprivileged_port_start=0", err);
    if (rv == 0)
        rv = set_parameter("net.ipv4.ping_group_range=0 2147483647", err);
    for (const char *const *s = spec->sysctls; s && *s && rv == 0; s++) {
        if (str_starts(*s, "net."))
            rv = set_parameter(*s, err);
    }
    netns_leave(home);
    return rv;
}
