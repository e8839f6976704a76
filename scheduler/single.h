/* SPDX-License-Identifier: Apache-2.0 */
/*
 * single - services of which no slot may run twice at once.
 *
 * A node runs a task of one only on a lease, which it gets from a leader that a majority has just
 * confirmed, and which counts from when it asked. A leader gives none to a node that is down or
 * gone, so that all are over a lease's time after the leader saw it so, whichever leader gave them.
 * Until then a slot whose former task was not seen to end stays empty.
 */
#ifndef WHERRY_SCHEDULER_SINGLE_H
#define WHERRY_SCHEDULER_SINGLE_H

#include "scheduler/planner.h"

/* When leases of @lease_ms are over that a node got until @since_ms: clocks run up to 1 % apart. */
int64_t single_over_ms(int64_t since_ms, int64_t lease_ms);

/* True while @task of @service (NULL: gone), which was not seen to end, may run on a node that is
 * down or gone. Then the plan is made anew when that is over. */
bool single_holds(struct planner *planner, const struct service *service, const struct task *task);

/* Note that the slot of @task, for which single_holds(), waits for that. */
void single_note(struct planner *planner, const struct service *service, const struct task *task);

#endif
