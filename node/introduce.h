/* SPDX-License-Identifier: Apache-2.0 */
/*
 * introduce - learn of members that joined while we were away.
 *
 * A member speaks to those in its table of nodes only. When one that joined meanwhile leads, a
 * member that comes back knows no key for it, refuses it, and so never gets the entries that would
 * tell of it. Out of contact with a leader for a while, it therefore asks the members it is
 * connected to, one after the other, who the others are (verb "member.introduce"). Who is in touch
 * with the leader answers. What we learn counts for the bus alone, and only until the table of
 * nodes has arrived; members that our table has are never changed by it.
 *
 * That a member may introduce others gives it nothing it had not: it proved a key that our table
 * has, and could send us entries as a leader. Loop thread.
 */
#ifndef WHERRY_NODE_INTRODUCE_H
#define WHERRY_NODE_INTRODUCE_H

#include <stdint.h>

struct call;
struct daemon;
struct introduce;
struct reply;

/* Begin: everything happens on the loop of the daemon. */
struct introduce *introduce_new(struct daemon *d);

/* Free it; its calls have ended. */
void introduce_free(struct introduce *i);

/* Ask if it is time; forget what was learned when it is not needed any more. @now_ms is boot time.
 */
void introduce_step(struct introduce *i, int64_t now_ms);

/* A member asks us. @cb gets the reply, which is borrowed, before this returns. */
typedef void (*introduce_reply_cb)(void *arg, const struct reply *reply);
void introduce_on_call(struct daemon *d, introduce_reply_cb cb, void *arg);

#endif
