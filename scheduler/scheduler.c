/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the services, each on its own: sort its tasks into slots, fill those that are
 * empty, take the next step of an update. They meet in the ledger only, where the lower id comes
 * first. A service whose slots are all held and current costs no look at any node.
 */
#include "scheduler/scheduler.h"

#include "scheduler/elsewhere.h"
#include "scheduler/fill.h"
#include "scheduler/jobs.h"
#include "scheduler/planner.h"
#include "scheduler/rebalance.h"
#include "scheduler/single.h"
#include "scheduler/slots.h"
#include "scheduler/update.h"

#include "base/cleanup.h"

/* End all tasks of @service, which is marked removed or gone; then the service itself goes. */
static void wind_up(struct planner *planner, const struct service_tasks *service)
{
    for (size_t i = 0; i < service->n; i++) {
        const struct task *task = service->tasks[i];
        size_t place;
        bool there = lookup_node(&planner->lookup, task->node_id, &place);
        if (!there && single_holds(planner, service->service, task))
            continue;
        if (!there)
            planner_remove(planner, service->service, task, true);
        else if (task->desired == DESIRED_RUN)
            planner_end(planner, service->service, task, "service removed");
        else if (task_is_terminal(task->state))
            planner_remove(planner, service->service, task, false);
    }
    if (service->service && service->n == 0)
        planner_remove_service(planner, service->service);
}

static void plan_service(struct planner *planner, const struct service_tasks *service)
{
    struct placement placement;
    struct slots slots;
    placement_init(&placement, planner, service);
    slots_init(&slots, planner, service, &placement);
    fill_slots(&slots);
    update_step(&slots);
    fill_slots(&slots);
    slots_release(&slots);
    placement_release(&placement);
}

void scheduler_plan(const struct view *view, struct plan *plan)
{
    check(plan->steps_n == 0 && plan->unplaced_n == 0);
    struct planner planner = {.view = view, .plan = plan};
    lookup_init(&planner.lookup, view);
    ledger_init(&planner.ledger, &planner.lookup);
    for (size_t i = 0; i < view->services_n; i++) {
        const struct service_tasks *service = &planner.lookup.services[i];
        if (service->service->removed)
            wind_up(&planner, service);
        else if (view->level >= 4 && mode_is_job(service->service->spec.mode))
            jobs_plan(&planner, service);
        else
            plan_service(&planner, service);
    }
    wind_up(&planner, &planner.lookup.orphans);
    elsewhere(&planner);
    rebalance(&planner);
    ledger_release(&planner.ledger);
    lookup_release(&planner.lookup);
}
