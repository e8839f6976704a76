/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot - a container's root: the image's layers below, its own writable layer on top
 * (overlayfs).
 *
 * The mount is handed on as a descriptor (open_tree(2)) and never stays in our mount namespace:
 * the shim attaches it where the OCI runtime sees it, and it ends with the container's own
 * namespace. So nothing is left mounted, whoever dies when.
 */
#ifndef WHERRY_RUNTIME_SNAPSHOT_H
#define WHERRY_RUNTIME_SNAPSHOT_H

struct err;

/* Make upper/ and work/ below folder @dir; the root gets the mode and owner of @top_layer, NULL for
 * an image without layers. */
int snapshot_create(const char *dir, const char *top_layer, struct err *err);

/* Mount @layer_dirs (lowest first, NULL-terminated, may be empty) below the writable layer in @dir.
 * @scratch is an empty folder to do it on, free again afterwards. *@ret_fd is the detached mount.
 */
int snapshot_mount(const char *dir, const char *const *layer_dirs, const char *scratch, int *ret_fd,
                   struct err *err);

#endif
