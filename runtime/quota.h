/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota - how much a container's writable layer or a volume may take: a project quota of the file
 * system (ext4 mounted with prjquota, XFS with pquota; quotactl(2), ioctl_xfs_fsgetxattr(2)).
 *
 * upper/ and work/ of a container, and the folder of a volume, belong to a project of their own,
 * which what is made in them inherits; its number is on the folders themselves and nowhere else.
 * Any thread.
 */
#ifndef WHERRY_RUNTIME_QUOTA_H
#define WHERRY_RUNTIME_QUOTA_H

#include <stdint.h>

struct err;

/* Can the file system of @dir limit a folder? ERR_UNSUPPORTED says of @what (for messages) why not
 * and what to do. */
int disk_quota_check(const char *dir, const char *what, struct err *err);

/* Limit the new, empty folders upper/ and work/ of @dir to @bytes together. @data_dir is the
 * runtime's: projects that its containers and volumes have are not taken. */
int disk_quota_set(const char *data_dir, const char *dir, int64_t bytes, struct err *err);

/* Limit the volume at @dir to @bytes (0: no limit), with what is in it already. Fine when that is
 * so. Containers may write to it meanwhile. */
int disk_quota_limit(const char *data_dir, const char *dir, int64_t bytes, struct err *err);

/* The limit of the volume at @dir in bytes; 0: none. */
int64_t disk_quota_of(const char *dir);

/* The new, empty folder @dir, which is to take the place of the volume at @from, joins its project.
 */
int disk_quota_follow(const char *dir, const char *from, struct err *err);

/* work/ of @dir was made anew: it joins the project of upper/, if that has one. */
int disk_quota_join(const char *dir, struct err *err);

/* Lift the limit of @dir, if it has one: before its files go. */
void disk_quota_clear(const char *dir);

#endif
