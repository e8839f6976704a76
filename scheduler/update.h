/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update - replace tasks that run though they should run otherwise, a few at a time.
 *
 * Reasons: the service has a newer revision, the node is to be emptied, the task is to move. From
 * level 4 on the successor is made first:
 *
 *     create beside, held ─► ready ─► end the old one ─► over ─► release       stop-first
 *     create beside ─► healthy ─► end the old one                              start-first
 *
 * Where no node has room for both, and below level 4, the old task is over before the new one of
 * its slot is created.
 *
 * A node is emptied as fast as spec.update.parallelism lets it: the next task goes when the former
 * has started elsewhere, well or not, since an operator asked for it. A revision is rolled out with
 * more care: the next step is taken when every task of the new revision serves and update.delay_ms
 * has passed since, and only for a task whose successor finds a node. So a revision that is broken
 * breaks one step's worth of tasks, and one that fits nowhere breaks none; the next revision then
 * replaces what is broken first.
 */
#ifndef WHERRY_SCHEDULER_UPDATE_H
#define WHERRY_SCHEDULER_UPDATE_H

#include "scheduler/slots.h"

/* Take the next step of what is being replaced in @slots, which were filled. Slots whose task was
 * over already are MISSING afterwards: fill again. */
void update_step(struct slots *slots);

#endif
