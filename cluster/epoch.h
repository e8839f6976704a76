/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch - which life of the cluster a member's log belongs to.
 *
 * A cluster that lost its quorum is recovered on one member (recovery.h): from there its log may
 * contradict those of the others. That member draws a new, higher number, in DIR/epoch; it
 * stands before each message of raft:
 *
 *     u32 magic "WHI1" | u32 version | u64 epoch | message (may be empty: only to be told)
 *
 * Without it the message is of epoch 0. A message of a lower one is dropped and answered with
 * ours. One of a higher one says to a member whose log has entries that the cluster went on without
 * it: it is cut off, which DIR/cut-off remembers, and neither sends nor takes messages any more. A
 * member without a log takes the number over.
 *
 *     text: "wherry-epoch 1 NUMBER SHA256\n", the hash being of what comes before it
 *
 * Both files are replaced durably. Blocking, small.
 */
#ifndef WHERRY_CLUSTER_EPOCH_H
#define WHERRY_CLUSTER_EPOCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* Read DIR/epoch, 0 when it is missing, and DIR/cut-off, 0 likewise. ERR_CORRUPT,
 * ERR_UNSUPPORTED. */
int epoch_load(const char *dir, int64_t *ret_own, int64_t *ret_cut_off_by, struct err *err);

/* Replace DIR/epoch. */
int epoch_save(const char *dir, int64_t number, struct err *err);

/* Write DIR/cut-off: the cluster is in epoch @number, without this member. */
int epoch_save_cut_off(const char *dir, int64_t number, struct err *err);

/* Append what stands before a message; nothing for 0. */
void epoch_encode(int64_t number, struct buf *out);

/* Take it off a message: *@data and *@len are moved. False when it is damaged or of an unknown
 * version. */
bool epoch_decode(const void **data, size_t *len, int64_t *ret_number);

#endif
