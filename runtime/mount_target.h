/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_target - where in a container something may be mounted.
 *
 * What an OCI runtime mounts at /proc, /sys and /dev it relies on afterwards: it takes /dev/null
 * there to mask files with, and writes to /proc what keeps the container in. Who can put a folder
 * of his own there can have it follow his links instead (CVE-2019-16884, CVE-2025-31133). So a
 * target is there by what it says, which takes an admin (node/privilege.h), or not at all: a link
 * of the image may not lead there.
 */
#ifndef WHERRY_RUNTIME_MOUNT_TARGET_H
#define WHERRY_RUNTIME_MOUNT_TARGET_H

#include <stdbool.h>

struct container_spec;
struct err;

/* True for a path that covers /proc, /sys or /dev or is below one, but for /dev/shm and /dev/mqueue
 * with all below them. By the text alone; pure. */
bool mount_target_is_system(const char *target);

/* Refuse mounts and tmpfs of @spec whose targets look harmless and lead into /proc, /sys or /dev by
 * links below @root_fd. ERR_DENIED. The root must not change meanwhile. */
int mount_target_check(const struct container_spec *spec, int root_fd, struct err *err);

#endif
