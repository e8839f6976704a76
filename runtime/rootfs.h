/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs - look into a container's root without being led out of it.
 *
 * What is in there is a stranger's: every path is resolved by openat2(RESOLVE_IN_ROOT), every size
 * is capped.
 */
#ifndef WHERRY_RUNTIME_ROOTFS_H
#define WHERRY_RUNTIME_ROOTFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

enum {
    ROOTFS_GROUPS_MAX = 64,
};

struct rootfs_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[ROOTFS_GROUPS_MAX]; /* of its /etc/group, without gid */
    size_t groups_n;
    char home[256];
};

/* Resolve @user ("", "name", "uid", "user:group") by the passwd and group files below @root_fd.
 * ERR_NOTFOUND for a name that is not there. */
int rootfs_user(int root_fd, const char *user, struct rootfs_user *ret_user, struct err *err);

/* Add @names (names of the group file below @root_fd, or numbers; NULL-terminated, may be NULL) to
 * the groups of @user. ERR_NOTFOUND for a name that is not there. */
int rootfs_groups(int root_fd, const char *const *names, struct rootfs_user *user, struct err *err);

/* Write the name that the passwd file below @root_fd gives @uid to @out; the number when there is
 * none, or no file. */
void rootfs_user_name(int root_fd, int64_t uid, char *out, size_t size);

/* Make folder @path below @root_fd with its parents, where missing, owned by @uid and @gid, which
 * are ids of the container: @base more on this machine when it has a user namespace, else 0. */
int rootfs_mkdirs(int root_fd, const char *path, uid_t uid, gid_t gid, uint32_t base,
                  struct err *err);

#endif
