/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read - the barrier before a linearizable read, on any member.
 *
 * After it this member's store has everything that was acknowledged anywhere before the barrier was
 * asked for. The leader confirms with a majority that it still leads (consensus_read()); another
 * member asks the leader over the bus (verb "member.read_index") and waits until its own store has
 * that index. One question of a member is out at a time; what comes meanwhile shares the next one.
 * Nothing is written. While there is no leader, or it moves, it is tried again until the time-out.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_READ_H
#define WHERRY_NODE_READ_H

#include <stdint.h>

struct call;
struct daemon;
struct err;
struct read_barrier;
struct reply;

enum {
    READ_TIMEOUT_MS = 5000,
    READ_WAITING_MAX = 4096, /* barriers that wait on one member */
};

/* The end: err->code 0, or why it is not known what the state is (ERR_UNAVAILABLE with what to do,
 * ERR_DENIED when this machine was removed, ERR_CANCELED at the stop). */
typedef void (*read_barrier_cb)(void *arg, const struct err *err);

/* Begin: everything happens on the loop of the daemon. */
struct read_barrier *read_barrier_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void read_barrier_free(struct read_barrier *b, void (*on_freed)(void *arg), void *arg);

/* Ask for a barrier. 0: @cb comes later, exactly once, about @timeout_ms from now at the latest.
 * ERR_BUSY: READ_WAITING_MAX wait; it does not come. */
int read_barrier_wait(struct read_barrier *b, int64_t timeout_ms, read_barrier_cb cb, void *arg);

/* A member asked us, as the leader, for the index (verb "member.read_index"). @cb gets the reply,
 * which is borrowed, later, exactly once. */
typedef void (*read_reply_cb)(void *arg, const struct reply *reply);
void read_barrier_on_call(struct read_barrier *b, read_reply_cb cb, void *arg);

#endif
