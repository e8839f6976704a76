/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/rebalance.h"

#include "scheduler/companion.h"
#include "scheduler/filter.h"

#include "base/mem.h"

#include <stdlib.h>

/* True while a task is on its way somewhere. One that ends again and again goes nowhere. */
static bool is_moving(const struct planner *planner, const struct task *task)
{
    size_t place;
    if (!lookup_node(&planner->lookup, task->node_id, &place) ||
        planner->view->nodes[place].status != NODE_UP || task_is_terminal(task->state))
        return false;
    if (task->desired != DESIRED_RUN || task->move_to != 0)
        return true;
    if (task->run > 1)
        return false;
    return task->state == TASK_NEW || task->state == TASK_FETCHING ||
           task->state == TASK_CREATING || task->state == TASK_STARTING ||
           (task->state == TASK_RUNNING && task->health == HEALTH_STARTING);
}

static bool is_rolling(const struct service *service)
{
    return service->removed || service->rollout == ROLLOUT_UPDATING ||
           service->rollout == ROLLOUT_ROLLING_BACK;
}

/* True when nothing moves and nothing has changed lately. */
static bool is_quiet(struct planner *planner)
{
    const struct view *view = planner->view;
    int64_t at_ms = 0;
    for (size_t i = 0; i < view->tasks_n; i++)
        if (is_moving(planner, &view->tasks[i]))
            return false;
    for (size_t i = 0; i < view->services_n; i++)
        if (is_rolling(&view->services[i]))
            return false;
    for (size_t i = 0; i < view->nodes_n; i++) {
        const struct node *node = &view->nodes[i];
        int64_t since_ms = node->status_ms > node->joined_ms ? node->status_ms : node->joined_ms;
        at_ms = since_ms > at_ms ? since_ms : at_ms;
    }
    if (__builtin_add_overflow(at_ms, (int64_t)REBALANCE_REST_MS, &at_ms))
        return false;
    if (view->now_ms < at_ms)
        planner_wake(planner, at_ms);
    return view->now_ms >= at_ms;
}

/* Services whose tasks are where they are for a reason stay. */
static bool may_move(const struct service *service)
{
    const struct spec *spec = &service->spec;
    if (spec->mode != MODE_REPLICATED || spec->single || spec->no_rebalance || spec->spread_n > 0 ||
        service->stopped || spec->options.network_host || service_is_companion(service))
        return false;
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (spec->mounts[i].kind == MOUNT_VOLUME && *str_or_empty(spec->mounts[i].source))
            return false;
    return true;
}

/* True when a task of the service in focus is better off on @to than on @from. */
static bool gains(const struct node_ledger *from, const struct node_ledger *to)
{
    if (from->own - to->own >= 2)
        return true;
    return from->own > to->own && from->tasks - to->tasks >= REBALANCE_SKEW &&
           from->used >= to->used;
}

/* The healthy task of @service on @node_id that moves: the one of the highest slot. */
static const struct task *pick(const struct service_tasks *service, int64_t node_id)
{
    for (size_t i = service->n; i-- > 0;) {
        const struct task *task = service->tasks[i];
        if (task->node_id == node_id && task->desired == DESIRED_RUN && task_is_healthy(task) &&
            task->revision == service->service->revision)
            return task;
    }
    return NULL;
}

/* Where a task of the service in focus is best placed: the fewest of its own, then of all. */
static const struct node_ledger *best_target(const struct planner *planner,
                                             const struct demand *demand)
{
    const struct node_ledger *best = NULL;
    for (size_t i = 0; i < planner->ledger.n; i++) {
        const struct node_ledger *page = &planner->ledger.nodes[i];
        if (filter_node(demand, page) != REFUSED_MAX)
            continue;
        if (!best || page->own < best->own || (page->own == best->own && page->tasks < best->tasks))
            best = page;
    }
    return best;
}

/* True when a task left a node because it failed there: nothing says that it would not now. */
static bool has_fled(const struct service_tasks *service)
{
    for (size_t i = 0; i < service->n; i++)
        if (service->tasks[i]->hops > 0)
            return true;
    return false;
}

/* Move one task of @service, if that is better. */
static bool move_one(struct planner *planner, const struct service_tasks *service)
{
    struct demand demand;
    if (has_fled(service))
        return false;
    ledger_focus(&planner->ledger, &planner->lookup, service);
    demand_init(&demand, &planner->lookup, service->service);
    const struct node_ledger *to = best_target(planner, &demand);
    const struct node_ledger *from = NULL;
    for (size_t i = 0; to && i < planner->ledger.n; i++) {
        const struct node_ledger *page = &planner->ledger.nodes[i];
        if (page->node->status == NODE_UP && gains(page, to) &&
            (!from || page->own > from->own ||
             (page->own == from->own && page->tasks > from->tasks)))
            from = page;
    }
    const struct task *task = from ? pick(service, from->node->id) : NULL;
    if (!task)
        return false;
    planner_move(planner, service->service, task, to->node->id, "%s has more room",
                 str_or_empty(to->node->name));
    return true;
}

void rebalance(struct planner *planner)
{
    const struct view *view = planner->view;
    if (view->level < 4 || view->no_rebalance || planner->plan->steps_n > 0 || !is_quiet(planner))
        return;
    for (size_t i = 0; i < view->services_n; i++)
        if (may_move(&view->services[i]) && move_one(planner, &planner->lookup.services[i]))
            return;
}
