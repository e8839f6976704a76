/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume_snapshot - what was in a volume at one moment, kept beside it.
 *
 * DATA_DIR/volumes/.snapshots/VOLUME/NAME: a copy that shares its blocks with the volume, so that
 * it takes no time and no room for what stays the same. It takes a file system with reflinks (XFS,
 * btrfs; ioctl_ficlonerange(2)). The containers that mount the volume are frozen meanwhile, so that
 * all of it is of one moment: what a power cut would have left. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_VOLUME_SNAPSHOT_H
#define WHERRY_RUNTIME_VOLUME_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct runtime;

struct volume_snapshot {
    char *volume;
    char *name;
    int64_t created_ms; /* 0: the file system does not say */
};

/* Make snapshot @name (a name as volumes have) of @volume, durably. Unless @running its containers
 * are frozen meanwhile, for *ret_frozen_ms. ERR_UNSUPPORTED: no reflinks; ERR_EXISTS; ERR_NOTFOUND.
 * A failure leaves none. */
int volume_snapshot_make(struct runtime *rt, const char *volume, const char *name, bool running,
                         int64_t *ret_frozen_ms, struct err *err);

/* The snapshots of @volume, or of all (NULL), by volume and then by name. Free with
 * volume_snapshots_free(). */
int volume_snapshots(struct runtime *rt, const char *volume, struct volume_snapshot **ret,
                     size_t *ret_n, struct err *err);
void volume_snapshots_free(struct volume_snapshot *snapshots, size_t n);

/* The folder of a snapshot, as a new string. ERR_NOTFOUND. */
int volume_snapshot_path(struct runtime *rt, const char *volume, const char *name, char **ret,
                         struct err *err);

/* Delete a snapshot. ERR_NOTFOUND. */
int volume_snapshot_remove(struct runtime *rt, const char *volume, const char *name,
                           struct err *err);

/* Put the content of a snapshot in the place of the volume's, at once and durably; the snapshot
 * stays. The volume is made if it is missing. ERR_CONFLICT when a container has it. */
int volume_snapshot_restore(struct runtime *rt, const char *volume, const char *name,
                            struct err *err);

/* At the start of a daemon: let those containers go on that another one froze and could not thaw.
 */
void volume_snapshot_recover(struct runtime *rt);

#endif
