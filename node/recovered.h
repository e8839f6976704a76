/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovered - after a lost quorum was recovered on this member: the state learns of it.
 *
 * `wherry recover` changed this member's log while its daemon was stopped (recover.h). Once it
 * leads, the members that are not in raft's configuration any more are marked as cut off and down,
 * before anything else is steered. Loop thread.
 */
#ifndef WHERRY_NODE_RECOVERED_H
#define WHERRY_NODE_RECOVERED_H

#include <stdbool.h>

struct daemon;

/* The ready leader, now and then. False while the state is of an earlier epoch than the log.
 */
bool recovered_step(struct daemon *d);

#endif
