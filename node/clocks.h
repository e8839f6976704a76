/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clocks - the members compare their clocks, so that a wrong one does no harm.
 *
 * Every member asks those it is connected with for their time: when they connect, every ten
 * seconds, and when its own clock jumps. An answer that took long counts for nothing. What comes of
 * it (clock_judge.h):
 *  - times that a member gives, in changes and tokens, are by the clock that is right
 *    (daemon_now_ms());
 *  - a member whose clock is wrong, as a majority sees it, gives leadership up and does not stand
 *    for it while there is another who leads;
 *  - it is shown: in the status, in 'wherry node ls' and in the log.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_CLOCKS_H
#define WHERRY_NODE_CLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct clocks;
struct daemon;

/* Begin: everything happens on the loop of the daemon. */
struct clocks *clocks_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void clocks_free(struct clocks *c, void (*on_freed)(void *arg), void *arg);

/* The connection to member @id came up, or went down. */
void clocks_on_peer(struct clocks *c, int64_t id, bool up);

/* A BUS_CLOCK from member @from. */
void clocks_on_message(struct clocks *c, int64_t from, const void *data, size_t len);

/* How far the clock of member @id, which may be ourselves, is from the right time; 0 when it is
 * near, or not known. */
int64_t clocks_offset_ms(const struct clocks *c, int64_t id);

/* True when there was time to compare our clock with the others', or there are none. */
bool clocks_are_compared(const struct clocks *c);

/* Append a line for each clock that is wrong. */
void clocks_warn(const struct clocks *c, struct buf *out);

#endif
