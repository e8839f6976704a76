/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup - the file that holds the whole state of a cluster.
 *
 *     u32 magic "WHK1" | u32 version | u64 length of the header record | u64 length of the state |
 *     u64 zero | SHA-256 of the 32 bytes before, the header record and the state |
 *     header record | state
 *
 * All numbers are little-endian. The header record is struct backup_header in msgpack (record.h):
 * what is inside, for people. The state is what store_snapshot() gives, an SQLite database; what is
 * sealed in it stays sealed, and the key to it is not in the file.
 *
 * A scan checks such a file as it comes, piece by piece, in bounded memory. What it is fed is
 * hostile until backup_scan_end() returned 0. Pure functions; any thread.
 */
#ifndef WHERRY_CLUSTER_BACKUP_H
#define WHERRY_CLUSTER_BACKUP_H

#include "store/model.h"

struct backup_scan;
struct buf;
struct err;

enum {
    BACKUP_VERSION = 1,
    BACKUP_PREFIX_BYTES = 64,
    BACKUP_HEADER_MAX = 8 << 20,
    BACKUP_STATE_MAX = 1 << 30,
};

struct backup_stack {
    char *name;
    int64_t services;
};

struct backup_volume {
    char *name;
    char *home; /* name of the member that has its content; "": none yet */
};

struct backup_header {
    char *cluster; /* uuid */
    int64_t index; /* of the state */
    int64_t term;
    int64_t time_ms; /* when it was made, by the clock of the member that made it */
    char *node;      /* that member */
    char *version;   /* its wherry */
    int64_t level;   /* of changes in the state (store/level.h); 0 is the first */
    char **members;
    size_t members_n;
    struct backup_stack *stacks;
    size_t stacks_n;
    struct backup_volume *volumes;
    size_t volumes_n;
    int64_t services;
    int64_t tasks;
    int64_t networks;
    int64_t tokens;
    int64_t events;
};
extern const struct record_type backup_header_type, backup_stack_type, backup_volume_type;

/* Append what stands before the @len bytes of @state: together they are the file. */
void backup_begin(const struct backup_header *header, const void *state, size_t len,
                  struct buf *out);

/* Start to check a file. */
struct backup_scan *backup_scan_new(void);

/* The next @len bytes of it. ERR_CORRUPT or ERR_UNSUPPORTED as soon as it can be told. */
int backup_scan_feed(struct backup_scan *scan, const void *data, size_t len, struct err *err);

/* Total bytes of the file, 0 until its first BACKUP_PREFIX_BYTES came. */
int64_t backup_scan_size(const struct backup_scan *scan);

/* That was all of it: ERR_CORRUPT when it is cut short or does not match its checksum. @ret_header
 * is the caller's to release. */
int backup_scan_end(struct backup_scan *scan, struct backup_header *ret_header, struct err *err);

/* Free. NULL is fine. */
void backup_scan_free(struct backup_scan *scan);

/* Check a whole file in memory and borrow its state. */
int backup_open(const void *data, size_t len, struct backup_header *ret_header,
                const void **ret_state, size_t *ret_len, struct err *err);

#endif
