/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userns - the files of a container with a user namespace.
 *
 * The OCI runtime gets one small tree, mounted where the root of another container would be:
 *
 *     ROOTFS/root      the container's root: its layers and its writable layer, mapped (idmap.h)
 *     ROOTFS/etc       hosts, hostname and resolv.conf, mapped
 *     ROOTFS/init      the program that is process 1 when the spec says so
 *     ROOTFS/mount-N   what mount number N of the spec mounts, mapped
 *
 * So neither the OCI runtime nor the shim has to know of mapped mounts.
 */
#ifndef WHERRY_RUNTIME_USERNS_H
#define WHERRY_RUNTIME_USERNS_H

#include <stdint.h>

struct container_spec;
struct err;

struct userns_tree {
    const struct container_spec *spec;
    const char *data_dir;          /* the container's: upper/, work/, etc/ */
    const char *const *layer_dirs; /* lowest first, NULL-terminated */
    const char *init;
    const char *scratch; /* an empty folder; nothing stays mounted on it */
    uint32_t base;
};

/* Build it, detached. *@ret_fd is the tree, *@ret_root_fd its root/. */
int userns_mount(const struct userns_tree *tree, int *ret_fd, int *ret_root_fd, struct err *err);

/* Set @spec's parameters net.* in its network namespace, and let the container have ports below
 * 1024 and ping there: it is not the user namespace's own, so its root has no power over it. */
int userns_set_network(const struct container_spec *spec, struct err *err);

#endif
