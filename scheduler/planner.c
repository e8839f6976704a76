/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/planner.h"

#include "scheduler/companion.h"

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

void planner_release(struct planner *planner, const struct service *service,
                     const struct task *task)
{
    add_task_step(planner, STEP_RELEASE, service, task);
}

void planner_move(struct planner *planner, const struct service *service, const struct task *task,
                  int64_t node_id, const char *fmt, ...)
{
    struct step *step = add_task_step(planner, STEP_MOVE, service, task);
    va_list args;
    step->node_id = node_id;
    va_start(args, fmt);
    vsnprintf(step->reason, sizeof(step->reason), fmt, args);
    va_end(args);
}

void planner_rollout(struct planner *planner, const struct service *service,
                     enum rollout_state rollout, const char *fmt, ...)
{
    struct step *step = add_step(planner, STEP_ROLLOUT, service);
    va_list args;
    step->revision = service->revision;
    step->rollout = rollout;
    va_start(args, fmt);
    vsnprintf(step->reason, sizeof(step->reason), fmt, args);
    va_end(args);
}

void planner_create(struct planner *planner, const struct service *service, int64_t slot,
                    int64_t node_id, bool beside, bool hold)
{
    struct step *step = add_step(planner, STEP_CREATE, service);
    step->slot = slot;
    step->node_id = node_id;
    step->beside = beside;
    step->hold = hold;
    if (service_is_companion(service))
        step->network_task = companion_host(planner, service, slot)->id;
}

void planner_create_of(struct planner *planner, const struct service *service,
                       const struct job_run *run, int64_t slot, int64_t node_id)
{
    struct step *step = add_step(planner, STEP_CREATE, service);
    step->slot = slot;
    step->node_id = node_id;
    step->job_id = run->id;
}

void planner_job_start(struct planner *planner, const struct service *service, int64_t scheduled_ms,
                       const char *cause)
{
    struct step *step = add_step(planner, STEP_JOB_START, service);
    step->scheduled_ms = scheduled_ms;
    str_fill(step->reason, sizeof(step->reason), cause);
}

void planner_job_skip(struct planner *planner, const struct service *service, int64_t scheduled_ms,
                      const char *reason)
{
    struct step *step = add_step(planner, STEP_JOB_SKIP, service);
    step->scheduled_ms = scheduled_ms;
    str_fill(step->reason, sizeof(step->reason), reason);
}

void planner_job_end(struct planner *planner, const struct service *service,
                     const struct job_run *run, enum job_state state, const char *reason)
{
    struct step *step = add_step(planner, STEP_JOB_END, service);
    step->job_id = run->id;
    step->job_state = state;
    str_fill(step->reason, sizeof(step->reason), reason);
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
    str_fill(unplaced->platform, sizeof(unplaced->platform), str_or_empty(service->spec.platform));
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
