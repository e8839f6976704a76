/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/patience.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

bool patience_holds(struct planner *planner, const struct service *service, const struct task *task,
                    const struct node *node)
{
    int64_t patience_ms = service->spec.failover_ms;
    int64_t now_ms = planner->view->now_ms;
    int64_t until_ms;
    if (patience_ms == 0 || node->availability == AVAILABLE_DRAIN)
        return false;
    if (patience_ms < 0 || __builtin_add_overflow(node->status_ms, patience_ms, &until_ms))
        until_ms = INT64_MAX;
    if (now_ms >= until_ms)
        return false;
    struct unplaced *unplaced = planner_unplaced(planner, service, task->slot);
    if (patience_ms < 0) {
        snprintf(unplaced->waits_for, sizeof(unplaced->waits_for), "node %.60s to come back",
                 str_or_empty(node->name));
    } else {
        snprintf(unplaced->waits_for, sizeof(unplaced->waits_for),
                 "node %.50s to come back (%" PRId64 " s more)", str_or_empty(node->name),
                 (until_ms - now_ms + 999) / 1000);
        planner_wake(planner, until_ms);
    }
    return true;
}
