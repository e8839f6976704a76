/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/planner.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct step *add_step(struct planner *planner, enum step_kind kind,
                             const struct service *service)
{
    struct plan *plan = planner->plan;
    if (plan->steps_n == planner->steps_cap) {
        planner->steps_cap = planner->steps_cap ? 2 * planner->steps_cap : 16;
        plan->steps = mem_resize(plan->steps, planner->steps_cap, sizeof(*plan->steps));
    }
    struct step *step = &plan->steps[plan->steps_n++];
    *step = (struct step){.kind = kind};
    if (service) {
        step->service_id = service->id;
        step->service_index = service->modified_index;
    }
    return step;
}

/* A step about @task. */
static struct step *add_task_step(struct planner *planner, enum step_kind kind,
                                  const struct service *service, const struct task *task)
{
    struct step *step = add_step(planner, kind, service);
    step->service_id = task->service_id;
    step->slot = task->slot;
    step->node_id = task->node_id;
    step->task_id = task->id;
    return step;
}

void planner_end(struct planner *planner, const struct service *service, const struct task *task,
                 const char *fmt, ...)
{
    struct step *step = add_task_step(planner, STEP_END, service, task);
    va_list args;
    va_start(args, fmt);
    vsnprintf(step->reason, sizeof(step->reason), fmt, args);
    va_end(args);
}

void planner_remove(struct planner *planner, const struct service *service, const struct task *task,
                    bool lost)
{
    add_task_step(planner, STEP_REMOVE, service, task)->lost = lost;
}

void planner_remove_service(struct planner *planner, const struct service *service)
{
    add_step(planner, STEP_REMOVE_SERVICE, service);
}

void planner_create(struct planner *planner, const struct service *service, int64_t slot,
                    int64_t node_id, bool beside)
{
    struct step *step = add_step(planner, STEP_CREATE, service);
    step->slot = slot;
    step->node_id = node_id;
    step->beside = beside;
}

struct unplaced *planner_unplaced(struct planner *planner, const struct service *service,
                                  int64_t slot)
{
    struct plan *plan = planner->plan;
    if (plan->unplaced_n == planner->unplaced_cap) {
        planner->unplaced_cap = planner->unplaced_cap ? 2 * planner->unplaced_cap : 16;
        plan->unplaced = mem_resize(plan->unplaced, planner->unplaced_cap, sizeof(*plan->unplaced));
    }
    struct unplaced *unplaced = &plan->unplaced[plan->unplaced_n++];
    *unplaced = (struct unplaced){.service_id = service->id, .slot = slot};
    return unplaced;
}

void planner_wake(struct planner *planner, int64_t at_ms)
{
    struct plan *plan = planner->plan;
    if (!plan->wake_ms || at_ms < plan->wake_ms)
        plan->wake_ms = at_ms;
}

void plan_release(struct plan *plan)
{
    free(plan->steps);
    free(plan->unplaced);
    *plan = (struct plan){0};
}
