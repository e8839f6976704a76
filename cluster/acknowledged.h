/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acknowledged - our own record of what this member has promised to the others.
 *
 * libraft keeps its term and vote without a checksum and takes a log that lost its end for one that
 * never had it. This file says what must be there: the raft id that the log belongs to, the highest
 * index that was durable and may have been acknowledged, the term, and the vote in it.
 *
 *     1024 bytes: two slots of 512 (a sector each), of which the first 88 bytes are used:
 *     8 bytes "WHACK\0\0\1" | u64 sequence | raft id | index | term | vote | term and vote before |
 *     first 24 bytes of the SHA-256 of what comes before
 *
 * All numbers are little endian. The slot with the higher sequence counts; one that was torn or
 * damaged is passed over. The index is written after the log's write was durable, without a sync of
 * its own: it survives the end of the process, and after a power cut it may be behind, never ahead.
 * Term, vote and a lower index are synced, in both slots, before they become true.
 *
 * Blocking, small. One thread at a time.
 */
#ifndef WHERRY_CLUSTER_ACKNOWLEDGED_H
#define WHERRY_CLUSTER_ACKNOWLEDGED_H

#include <stdint.h>

struct err;

struct acknowledged {
    uint64_t sequence; /* of the slot; for this file only */
    uint64_t raft_id;
    uint64_t index;
    uint64_t term, vote;
    uint64_t term_before, vote_before; /* a crash may have come before the new ones were stored */
};

/* Read DIR/acknowledged. ERR_NOTFOUND when there is none, ERR_CORRUPT when no slot is good. */
int acknowledged_load(const char *dir, struct acknowledged *ret_record, struct err *err);

/* Make DIR/acknowledged, durably. */
int acknowledged_create(const char *dir, struct acknowledged *record, struct err *err);

/* Open DIR/acknowledged for acknowledged_write(). */
int acknowledged_open(const char *dir, int *ret_fd, struct err *err);

/* Write the next slot, without a sync. */
int acknowledged_write(int fd, struct acknowledged *record, struct err *err);

/* Write both slots and sync them. */
int acknowledged_write_synced(int fd, struct acknowledged *record, struct err *err);

#endif
