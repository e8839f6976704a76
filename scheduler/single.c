/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/single.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    SLACK_MS = 500,
    DRIFT_DIVISOR = 50, /* both clocks off by 1 %, in opposite directions */
};

int64_t single_over_ms(int64_t since_ms, int64_t lease_ms)
{
    return since_ms + lease_ms + lease_ms / DRIFT_DIVISOR + SLACK_MS;
}

static const struct outage *find(const struct view *view, int64_t node_id)
{
    for (size_t i = 0; i < view->outages_n; i++)
        if (view->outages[i].node_id == node_id)
            return &view->outages[i];
    return NULL;
}

bool single_holds(struct planner *planner, const struct service *service, const struct task *task)
{
    const struct view *view = planner->view;
    const struct spec *spec = lookup_spec(&planner->lookup, service, task);
    size_t place;
    if (!spec || !spec->single || task_is_terminal(task->state) ||
        (lookup_node(&planner->lookup, task->node_id, &place) &&
         view->nodes[place].status == NODE_UP))
        return false;
    const struct outage *outage = find(view, task->node_id);
    if (!outage)
        return true;
    int64_t over_ms = single_over_ms(outage->since_ms, spec_lease_ms(spec));
    if (view->now_ms >= over_ms)
        return false;
    planner_wake(planner, over_ms);
    return true;
}

void single_note(struct planner *planner, const struct service *service, const struct task *task)
{
    const struct view *view = planner->view;
    const struct outage *outage = find(view, task->node_id);
    const struct spec *spec = lookup_spec(&planner->lookup, service, task);
    struct unplaced *unplaced = planner_unplaced(planner, service, task->slot);
    char name[80], left[32] = "";
    size_t place;
    if (lookup_node(&planner->lookup, task->node_id, &place))
        str_fill(name, sizeof(name), str_or_empty(view->nodes[place].name));
    else
        snprintf(name, sizeof(name), "the removed member %" PRId64, task->node_id);
    if (outage && spec)
        snprintf(left, sizeof(left), " (%" PRId64 " s)",
                 (single_over_ms(outage->since_ms, spec_lease_ms(spec)) - view->now_ms) / 1000 + 1);
    snprintf(unplaced->waits_for, sizeof(unplaced->waits_for), "its lease on %.50s to run out%s",
             name, left);
}
