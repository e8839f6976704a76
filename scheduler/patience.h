/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience - how long the tasks of a lost node wait for it before they are placed elsewhere.
 *
 * Not at all, unless spec.failover_ms says otherwise. Counted from when the node was said to be
 * down. A node that is being emptied is not waited for.
 */
#ifndef WHERRY_SCHEDULER_PATIENCE_H
#define WHERRY_SCHEDULER_PATIENCE_H

#include "scheduler/planner.h"

/* True while @task of @service waits for @node, which is down. Notes that it waits and until when,
 * and asks to be called again then. */
bool patience_holds(struct planner *planner, const struct service *service, const struct task *task,
                    const struct node *node);

#endif
