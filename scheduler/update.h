/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update - replace tasks that run though they should run otherwise, a few at a time.
 *
 * Two reasons: the service has a newer revision, or the node is to be emptied. Always stop first:
 * the old task is over before the new one of its slot is created.
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
