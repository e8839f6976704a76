/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebalance - after a node joined or came back, tasks move to it until there is no skew.
 *
 * One task of the whole cluster at a time, and only while nothing else moves: no task is starting,
 * stopping or leaving, no rollout is under way, and every node has been as it is for a while. The
 * task goes by task.move_to, so its successor serves before it stops.
 *
 * A task moves from node A to B, where its service could be placed, when that makes it better:
 *
 *     the service has at least two tasks more on A than on B; or
 *     it has more on A than on B, A has at least three tasks more than B, and a larger share of it
 *     reserved
 *
 * Each of both makes the sum over all nodes of the squares of the service's tasks, or at the same
 * sum that of all tasks, smaller, so it comes to an end and never goes back.
 */
#ifndef WHERRY_SCHEDULER_REBALANCE_H
#define WHERRY_SCHEDULER_REBALANCE_H

#include "scheduler/planner.h"

enum {
    REBALANCE_REST_MS = 10 * 1000, /* every node has been up or down for so long */
    REBALANCE_SKEW = 3,            /* tasks of all services */
};

/* Write the step of the next task to move, if there is one, and when to look again. To be called
 * when the plan is complete; does nothing when it has steps. */
void rebalance(struct planner *planner);

#endif
