/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota - how much a container's writable layer may take: a project quota of the file system
 * (ext4 mounted with prjquota, XFS with pquota; quotactl(2), ioctl_xfs_fsgetxattr(2)).
 *
 * upper/ and work/ of a container belong to a project of its own, which what is made in them
 * inherits; its number is on the folders themselves and nowhere else. Any thread.
 */
#ifndef WHERRY_RUNTIME_QUOTA_H
#define WHERRY_RUNTIME_QUOTA_H

#include <stdint.h>

struct err;

/* Can the file system of @dir limit a folder? ERR_UNSUPPORTED says why not and what to do. */
int disk_quota_check(const char *dir, struct err *err);

/* Limit the new, empty folders upper/ and work/ of @dir to @bytes together. @containers is the
 * folder of all containers, whose projects are not taken. */
int disk_quota_set(const char *containers, const char *dir, int64_t bytes, struct err *err);

/* work/ of @dir was made anew: it joins the project of upper/, if that has one. */
int disk_quota_join(const char *dir, struct err *err);

/* Lift the limit of @dir, if it has one: before its files go. */
void disk_quota_clear(const char *dir);

#endif
