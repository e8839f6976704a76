/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/snapshot.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

enum {
    OPTIONS_MAX = 4095, /* mount(2) takes one page */
    LAYERS_MAX = 500,   /* the kernel's own bound */
};

int snapshot_create(const char *dir, const char *top_layer, struct err *err)
{
    cleanup_free char *upper = str_printf("%s/upper", dir);
    cleanup_free char *work = str_printf("%s/work", dir);
    cleanup_free char *empty = str_printf("%s/empty", dir);
    struct stat st = {.st_mode = 0755};
    if (top_layer && stat(top_layer, &st) < 0)
        return err_errno(err, errno, "layer %s", top_layer);
    if (mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0 || (!top_layer && mkdir(empty, 0755) < 0))
        return err_errno(err, errno, "make the writable layer in %s", dir);
    if (chown(upper, st.st_uid, st.st_gid) < 0 || chmod(upper, st.st_mode & 07777) < 0)
        return err_errno(err, errno, "set the mode of %s", upper);
    return 0;
}

static void put_upper(const char *dir, struct buf *out)
{
    buf_printf(out, ",upperdir=%s/upper,workdir=%s/work,index=off,metacopy=off,redirect_dir=off",
               dir, dir);
}

/* Overlayfs wants the topmost layer first. */
static void put_options(const char *dir, const char *const *layers, size_t n, struct buf *out)
{
    buf_puts(out, "lowerdir=");
    for (size_t i = n; i-- > 0;)
        buf_printf(out, "%s%s", layers[i], i > 0 ? ":" : "");
    if (n == 0)
        buf_printf(out, "%s/empty", dir);
    put_upper(dir, out);
}

/* The same with short names: each layer as a descriptor of ours. */
static int put_short_options(const char *dir, const char *const *layers, size_t n, int *fds,
                             struct buf *out, struct err *err)
{
    buf_puts(out, "lowerdir=");
    for (size_t i = n; i-- > 0;) {
        fds[i] = open(layers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fds[i] < 0)
            return err_errno(err, errno, "layer %s", layers[i]);
        buf_printf(out, "/proc/self/fd/%d%s", fds[i], i > 0 ? ":" : "");
    }
    put_upper(dir, out);
    if (out->len > OPTIONS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "an image of %zu layers is too deep for overlayfs", n);
    return 0;
}

/* A work folder that a crash left behind may not be taken again; it holds nothing of value. */
static int mount_overlay(const char *dir, const char *options, const char *target, struct err *err)
{
    if (mount("overlay", target, "overlay", 0, options) == 0)
        return 0;
    int first = errno;
    cleanup_free char *work = str_printf("%s/work", dir);
    if (first != ENODEV && first != EPERM && file_remove_tree(work, NULL) == 0 &&
        mkdir(work, 0700) == 0 && disk_quota_join(dir, NULL) == 0 &&
        mount("overlay", target, "overlay", 0, options) == 0)
        return 0;
    return err_errno(err, first, "mount the overlay of %s", dir);
}

static int detach(const char *target, int *ret_fd, struct err *err)
{
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, target, OPEN_TREE_CLONE | O_CLOEXEC);
    int saved = errno;
    if (umount2(target, MNT_DETACH) < 0 && fd >= 0) {
        saved = errno;
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        return err_errno(err, saved, "detach the mount %s (Linux 5.2 or later is needed)", target);
    *ret_fd = fd;
    return 0;
}

int snapshot_mount(const char *dir, const char *const *layer_dirs, const char *scratch, int *ret_fd,
                   struct err *err)
{
    size_t n = 0;
    while (layer_dirs && layer_dirs[n])
        n++;
    if (n > LAYERS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "an image of %zu layers is too deep for overlayfs", n);
    /* One that a killed process left there. */
    while (umount2(scratch, MNT_DETACH) == 0)
        ;
    cleanup_buf struct buf options = BUF_INIT;
    int fds[LAYERS_MAX];
    for (size_t i = 0; i < n; i++)
        fds[i] = -1;
    put_options(dir, layer_dirs, n, &options);
    int rv = 0;
    if (options.len > OPTIONS_MAX) {
        buf_reset(&options);
        rv = put_short_options(dir, layer_dirs, n, fds, &options, err);
    }
    if (rv == 0)
        rv = mount_overlay(dir, options.data, scratch, err);
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return rv == 0 ? detach(scratch, ret_fd, err) : rv;
}
