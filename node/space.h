/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space - the room that the log needs on its file system, watched before it is used up.
 *
 * libraft does not survive a full disk. So below SPACE_MIN_BYTES and two snapshots a member takes
 * no more entries: a follower drops them (it stays in touch and reads go on), a leader hands
 * leadership to a voter that has room, or, where there is none, refuses changes with the reason. It
 * goes on by itself once there is room again. A reserve (DATA/reserve) is given up when almost
 * nothing is left, so that the daemon can start and others' containers do not take the last block,
 * and made again later. Nothing of this is in the log: members say it in their heartbeats.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_SPACE_H
#define WHERRY_NODE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct daemon;
struct err;
struct space;

enum {
    SPACE_MIN_BYTES = 32 << 20, /* dozens of the log's files, a MiB each */
    SPACE_MORE_BYTES = 8 << 20, /* it goes on with so much more */
    SPACE_LAST_BYTES = 8 << 20, /* below it the reserve is given up */
    SPACE_RESERVE_BYTES = 16 << 20,
};

/* Before the log is opened: give the reserve up if the log could not be. */
void space_make_room(const struct daemon *d);

/* Begin to watch. */
struct space *space_new(struct daemon *d);

/* End; its memory is gone some turns of the loop later. NULL is fine. */
void space_free(struct space *space);

/* May we, who lead, take changes? 0; ERR_BUSY: leadership is being handed on, try again;
 * ERR_NOSPACE: no, and *err names machine, folder, what is free and what is needed. */
int space_check(const struct daemon *d, struct err *err);

/* What heartbeats say: bytes that are free (0: not known), and whether that is too little. */
int64_t space_free_bytes(const struct daemon *d);
bool space_is_short(const struct daemon *d);

/* Append the sentence about this member and those about others, a line each. */
void space_explain(struct daemon *d, struct buf *out);

#endif
