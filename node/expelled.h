/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expelled - find out that we were removed while we were away.
 *
 * A member that is removed while it is down never gets the entry that says so: when it comes back
 * its key is no longer pinned and its connections are refused. Out of contact for a while, it asks
 * the others one after the other, as any stranger may, whether it is a member still. One that is in
 * touch with the leader, and whose certificate our CA signed, is believed: our tasks run elsewhere
 * by now, so ours end.
 */
#ifndef WHERRY_NODE_EXPELLED_H
#define WHERRY_NODE_EXPELLED_H

#include <stdint.h>

struct daemon;
struct expelled;

/* Begin: everything happens on the loop of the daemon. */
struct expelled *expelled_new(struct daemon *d);

/* Free it. */
void expelled_free(struct expelled *e);

/* Ask if it is time; @now_ms is boot time. */
void expelled_step(struct expelled *e, int64_t now_ms);

#endif
