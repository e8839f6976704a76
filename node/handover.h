/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover - hand leadership on before a planned stop, so that the others need not miss us first.
 */
#ifndef WHERRY_NODE_HANDOVER_H
#define WHERRY_NODE_HANDOVER_H

struct daemon;

enum {
    HANDOVER_MS = 1000, /* at most */
};

/* If we lead and there is another member that can, hand leadership to it: one that is up before
 * others, and another one when the first does not take it. @done comes once somebody else leads,
 * after HANDOVER_MS, or at once, inside this call, when there is nothing to hand on. Loop thread.
 */
void handover(struct daemon *d, void (*done)(struct daemon *d));

#endif
