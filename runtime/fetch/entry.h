/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry - make one file of a layer from its archive entry.
 */
#ifndef WHERRY_RUNTIME_FETCH_ENTRY_H
#define WHERRY_RUNTIME_FETCH_ENTRY_H

#include <stdint.h>
#include <time.h>

struct archive;
struct archive_entry;
struct err;
struct tree;

/* Make @base in @parent_fd, where nothing is, with content, owner, mode, xattrs and time. @path is
 * for errors. A regular file's content comes from @archive; its size is at most *@left, which is
 * reduced. A hard link's target is looked up in @tree. Folders get all but their time. */
int entry_make(const struct tree *tree, struct archive *archive, struct archive_entry *entry,
               int parent_fd, const char *base, const char *path, int64_t *left, struct err *err);

/* Give the folder @fd the ACL that what is made in it inherits, if the entry has one: when nothing
 * more is made in it. */
int entry_set_default_acl(struct archive_entry *entry, int fd, const char *path, struct err *err);

/* Give the folder @base, which is there, the entry's owner, mode and xattrs. */
int entry_set_folder(struct archive_entry *entry, int parent_fd, const char *base, const char *path,
                     struct err *err);

/* The entry's time of modification. */
struct timespec entry_time(struct archive_entry *entry);

#endif
