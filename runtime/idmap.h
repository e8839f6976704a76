/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap - ranges of user ids for containers with a user namespace, and mounts that shift by them.
 *
 * Id 0 of the container is @base on this machine, for 65,536 ids of users and as many of groups. On
 * disk files keep the container's ids, so that an image's owners stay as they are: what is mounted
 * for the container is mapped (mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12; layers of overlayfs
 * 5.19).
 */
#ifndef WHERRY_RUNTIME_IDMAP_H
#define WHERRY_RUNTIME_IDMAP_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct runtime;

enum {
    IDMAP_SIZE = 65536,
    IDMAP_BASE_DEFAULT = 1000000,
};

/* Give the container in folder @dir, which is data_dir/containers/.new-ID, a range that no other
 * container here has, and note it there durably: the lease ends with the folder. Callers in other
 * threads wait. ERR_UNAVAILABLE when all are taken. */
int idmap_lease(const struct runtime *rt, const char *dir, struct err *err);

/* The base of container @id's range. ERR_CORRUPT when its note is missing or damaged. */
int idmap_base(const struct runtime *rt, const char *id, uint32_t *ret_base, struct err *err);

/* A user namespace with the range from @base, as a descriptor that keeps it. */
int idmap_userns(uint32_t base, int *ret_fd, struct err *err);

/* @path, with the mounts below it if @deep, as a detached mount whose ids are mapped by the user
 * namespace @userns_fd (-1: not mapped). ERR_UNSUPPORTED when its file system cannot do that. */
int idmap_mount(const char *path, int userns_fd, bool deep, int *ret_fd, struct err *err);

/* From here to idmap_leave() this thread makes files as the range's user 0, with its capabilities
 * kept: whose ids a mapped mount does not have cannot make any there. */
void idmap_enter(uint32_t base);
void idmap_leave(void);

#endif
