/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup - copies of the state that callers fetch piece by piece (verb backup.read).
 *
 * A copy is taken on the loop at one index; a job then opens it as a restore would, describes it
 * and makes a file of it (cluster/backup.h), which is kept in memory until it was fetched or nobody
 * asked for a while. Loop thread.
 */
#ifndef WHERRY_NODE_BACKUP_H
#define WHERRY_NODE_BACKUP_H

#include "cluster/backup.h"

#include <stddef.h>
#include <stdint.h>

struct backups;
struct daemon;
struct store;

enum {
    BACKUP_COPIES_MAX = 2,        /* at a time */
    BACKUP_PIECE_MAX = 512 << 10, /* bytes of one answer */
    BACKUP_ID_BYTES = 16 + 1,
};

/* A copy is ready, or could not be made. @id names it. */
typedef void (*backup_ready_cb)(void *arg, const struct err *err, const char *id);

/* Begin: everything happens on the loop of the daemon. */
struct backups *backups_new(struct daemon *d);

/* End, once no job of ours can run any more; @on_freed comes when its memory is gone. */
void backups_free(struct backups *b, void (*on_freed)(void *arg), void *arg);

/* Copy the state as it is now. @cb comes later, exactly once, unless this fails: ERR_BUSY,
 * BACKUP_COPIES_MAX are kept already. */
int backups_take(struct backups *b, backup_ready_cb cb, void *arg, struct err *err);

/* Bytes of copy @id from @offset, at most BACKUP_PIECE_MAX; borrowed until the next call here.
 * ERR_NOTFOUND when there is no such copy (any more), ERR_INVALID for an offset behind its end. */
int backups_read(struct backups *b, const char *id, int64_t offset, const void **ret_data,
                 size_t *ret_len, int64_t *ret_size, struct err *err);

/* Nobody needs copy @id any more. One that is not there is fine. */
void backups_drop(struct backups *b, const char *id);

/* Say what is in @store. Cluster, index, counts and lists are set; the rest is the caller's. */
void backup_describe(struct store *store, struct backup_header *ret_header);

#endif
