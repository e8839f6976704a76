/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/elsewhere.h"

#include "scheduler/companion.h"
#include "scheduler/filter.h"

#include "base/mem.h"

#include <inttypes.h>

static bool may_leave(const struct service *service)
{
    const struct spec *spec = &service->spec;
    bool rolling = service->rollout != ROLLOUT_NONE && service->rollout != ROLLOUT_DONE &&
                   service->rollout != ROLLOUT_ROLLED_BACK;
    if (spec->mode != MODE_REPLICATED || service->removed || service->stopped || rolling ||
        service_is_companion(service))
        return false;
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (spec->mounts[i].kind == MOUNT_VOLUME && *str_or_empty(spec->mounts[i].source))
            return false;
    return true;
}

static bool keeps_failing(const struct planner *planner, const struct service *service,
                          const struct task *task)
{
    int64_t doublings = task->hops < ELSEWHERE_DOUBLINGS_MAX ? task->hops : ELSEWHERE_DOUBLINGS_MAX;
    size_t place;
    return task->desired == DESIRED_RUN && task->state == TASK_WAITING &&
           task->revision == service->revision &&
           task->attempts >= ELSEWHERE_ATTEMPTS << doublings &&
           lookup_node(&planner->lookup, task->node_id, &place) &&
           planner->view->nodes[place].status == NODE_UP;
}

/* The task of @service that is to go; NULL: none, or one is on its way. */
static const struct task *pick(const struct planner *planner, const struct service_tasks *service)
{
    const struct task *found = NULL;
    for (size_t i = 0; i < service->n; i++) {
        const struct task *task = service->tasks[i];
        bool over = task_is_terminal(task->state);
        if (!over && (task->desired != DESIRED_RUN || task->move_to != 0))
            return NULL;
        if (!found && keeps_failing(planner, service->service, task))
            found = task;
    }
    return found;
}

/* Where the service did not fail lately and its task fits; the fewest of its own, then of all. */
static const struct node_ledger *find(const struct planner *planner, const struct demand *demand,
                                      int64_t from_id)
{
    const struct node_ledger *best = NULL;
    for (size_t i = 0; i < planner->ledger.n; i++) {
        const struct node_ledger *page = &planner->ledger.nodes[i];
        if (page->node->id == from_id || page->failing || filter_node(demand, page) != REFUSED_MAX)
            continue;
        if (!best || page->own < best->own || (page->own == best->own && page->tasks < best->tasks))
            best = page;
    }
    return best;
}

void elsewhere(struct planner *planner)
{
    const struct view *view = planner->view;
    if (view->level < 4)
        return;
    for (size_t i = 0; i < view->services_n; i++) {
        const struct service *service = &view->services[i];
        const struct service_tasks *tasks = &planner->lookup.services[i];
        const struct task *task = may_leave(service) ? pick(planner, tasks) : NULL;
        if (!task)
            continue;
        struct demand demand;
        ledger_focus(&planner->ledger, &planner->lookup, tasks);
        demand_init(&demand, &planner->lookup, service);
        const struct node_ledger *to = find(planner, &demand, task->node_id);
        if (to)
            planner_move(planner, service, task, to->node->id, "failed %" PRId64 " times here",
                         task->attempts);
    }
}
