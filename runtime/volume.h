/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume - named local volumes: folders of this machine that outlive containers.
 *
 * DATA_DIR/volumes/NAME. There is no record of them besides: what a volume is called is its
 * folder's name, and who uses it is what the containers' records say. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_VOLUME_H
#define WHERRY_RUNTIME_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct runtime;

/* Make volume @name ([a-zA-Z0-9_.-], at most 128 bytes) if it is missing, durably, and write its
 * absolute folder to *@ret_path, which the caller frees. */
int volume_ensure(struct runtime *rt, const char *name, char **ret_path, struct err *err);

/* Can volumes be limited here? ERR_UNSUPPORTED says why not. */
int volume_can_limit(struct runtime *rt, struct err *err);

/* Limit volume @name, which is there, to @bytes on disk with all that is in it; 0: no limit.
 * ERR_UNSUPPORTED: its file system has no project quotas. */
int volume_limit(struct runtime *rt, const char *name, int64_t bytes, struct err *err);

/* How a volume is mounted, as Docker's driver "local" has it (mount(8)): file system type, device,
 * options with commas. */
struct volume_mount {
    const char *type;    /* "nfs", "cifs", "tmpfs", "none" for a bind, … */
    const char *device;  /* may be "" of a tmpfs */
    const char *options; /* may be "" */
};

/* Mount the volume at @path, its folder, if nothing is mounted there yet. The names of servers in
 * "addr=" are resolved. Blocks for as long as the server takes. ERR_DENIED, ERR_IO and the like say
 * what the kernel said. */
int volume_mount(const char *path, const struct volume_mount *mount, struct err *err);

/* Check a folder @subpath of the volume at @path, made if it is missing; no link of it leads
 * outside. Its absolute path to *@ret_path. */
int volume_subpath(const char *path, const char *subpath, char **ret_path, struct err *err);

/* Delete volume @name with its content. A missing one is fine. Whoever has it mounted keeps seeing
 * what is left of it. */
int volume_remove(struct runtime *rt, const char *name, struct err *err);

/* True for a name that a volume may have. */
bool volume_name_ok(const char *name);

struct volume_state {
    char *name;
    char *path;
    char **users; /* ids of the containers that mount it, or a folder in it; running or not */
    size_t users_n;
    int64_t created_ms;  /* of the folder; 0: the file system does not say */
    int64_t size_bytes;  /* on disk, volume_measure() */
    bool size_cut;       /* there is more: the count was given up */
    int64_t limit_bytes; /* 0: none */
};

/* All volumes by name, or only @name (NULL: all; a missing one is an empty list), with who uses
 * them. A container whose record cannot be read fails it with ERR_CORRUPT unless @tolerant: who
 * deletes by this list must know all users. Free with volume_list_free(). */
int volume_list(struct runtime *rt, const char *name, bool tolerant, struct volume_state **ret,
                size_t *ret_n, struct err *err);
void volume_list_free(struct volume_state *volumes, size_t n);

/* Fill limit_bytes and size_bytes: hard links once or more, nothing of other file systems mounted
 * in it. At most
 * *@entries files and folders are looked at, which is counted down. */
void volume_measure(struct volume_state *volume, int64_t *entries);

#endif
