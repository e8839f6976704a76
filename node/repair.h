/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair - a member whose log is damaged or gone gets a new one from the others.
 *
 *   damaged ──► waiting ──(a member answers with a raft id)──► set aside ──► started, empty
 *                  ▲ │
 *                  └─┘ nobody answers, or they have no leader: asked again, said now and then
 *
 * The member keeps its node id, its name and its containers; raft sees a new member that catches up
 * (store/change.h, NODE_RENEW). It asks the others as any stranger may, proving its key. Nothing is
 * deleted and no folder touched before one of them has answered. A member without others is never
 * repaired by itself: what it has is all there is.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_REPAIR_H
#define WHERRY_NODE_REPAIR_H

#include "store/record.h"

struct admission;
struct bus_stranger;
struct daemon;
struct err;

/* daemon_start_member() failed with @err. Where that was a damaged log (d->log_damaged) and others
 * are known: begin to wait for them and return 0. Else the code of @err, which says what to do. */
int repair_begin(struct daemon *d, struct err *err);

/* Which log to start: *@ret_raft_id, and whether it must be there. Finishes what a crash cut short.
 * With d->log_damaged set: ERR_CORRUPT, an operator asked for a new one. */
int repair_log(struct daemon *d, int64_t *ret_raft_id, bool *ret_expected, struct err *err);

/* The log was started. */
int repair_log_started(struct daemon *d, int64_t raft_id, struct err *err);

/* Why this member is not at work, and what it waits for; NULL when it is. Borrowed. */
const char *repair_text(const struct daemon *d);

/* Stop waiting, if it does; nothing of it is left on the loop after the next turn. */
void repair_stop(struct daemon *d);

/* The other side: a member asks for a new raft id. */
void repair_answer(struct daemon *d, struct bus_stranger *stranger, const struct admission *a,
                   const struct bytes *public_key);

/* Have the log replaced although it is not damaged (`wherry node repair`): the daemon starts itself
 * anew. ERR_UNAVAILABLE where the others have no majority without this member. While it waits: ask
 * at once. */
int repair_force(struct daemon *d, struct err *err);

#endif
