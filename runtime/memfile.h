/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memfile - files that a container has in memory: its configs and secrets.
 *
 * RUN_DIR/files is a file system of its own in memory (tmpfs, where the kernel can without swap),
 * open to root only: what is in it is never on a disk, and gone after a restart of the machine.
 * Each container has a folder there, with its files numbered; they are mounted into it one by one.
 *
 * A file that is there is overwritten in place, so that a running container sees the new content:
 * whoever reads in that moment may see a part of it.
 *
 * Blocking; any thread, one at a time per container.
 */
#ifndef WHERRY_RUNTIME_MEMFILE_H
#define WHERRY_RUNTIME_MEMFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct runtime;

struct memfile {
    const void *data;
    size_t len;
    uint32_t uid, gid;
    uint32_t mode; /* permission bits */
};

/* Make the files 0, 1, … of container @id be @files; *@ret_changed says whether one was not yet. */
int memfiles_place(struct runtime *rt, const char *id, const struct memfile *files, size_t n,
                   bool *ret_changed, struct err *err);

/* True when all of its @n files are there. */
bool memfiles_are_there(struct runtime *rt, const char *id, size_t n);

/* Where file @i of container @id is, as a new string. */
char *memfile_path(struct runtime *rt, const char *id, size_t i);

/* Delete the files of container @id. Fine when there are none. */
int memfiles_remove(struct runtime *rt, const char *id, struct err *err);

#endif
