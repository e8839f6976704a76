/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/update.h"

#include "scheduler/depends.h"
#include "scheduler/fill.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How far it is. */
struct progress {
    int64_t moving;     /* slots between two tasks */
    int64_t starting;   /* tasks on their first way up */
    int64_t unsettled;  /* tasks of the new revision that do not serve */
    int64_t newest_ms;  /* when the last of the new revision changed its state */
    bool started;       /* there are tasks of the new revision */
    struct slot **todo; /* slots with a task to replace */
    size_t todo_n;
    bool outdated; /* one of them for its revision */
};

static bool is_outdated(const struct slots *slots, const struct slot *slot)
{
    return slot->task->revision != slots_service(slots)->revision;
}

static bool is_leaving(const struct slots *slots, const struct slot *slot)
{
    return slots_is_leaving(slots, slot->task, slot->node);
}

/* True when @task was placed and has neither come up nor gone wrong yet. */
static bool is_starting(const struct task *task)
{
    if (task->run > 1)
        return false;
    switch (task->state) {
    case TASK_NEW:
    case TASK_FETCHING:
    case TASK_CREATING:
    case TASK_STARTING:
        return true;
    case TASK_RUNNING:
        return task->health == HEALTH_STARTING;
    case TASK_WAITING:
    case TASK_COMPLETE:
    case TASK_FAILED:
    case TASK_ENDED:
        return false;
    }
    return false;
}

/* Enter a task of the revision that is wanted. */
static void survey_task(struct progress *progress, const struct task *task)
{
    if (!task_is_healthy(task) && task->state != TASK_COMPLETE)
        progress->unsettled++;
    if (!progress->started || task->state_ms > progress->newest_ms)
        progress->newest_ms = task->state_ms;
    progress->started = true;
}

static void survey(struct slots *slots, struct progress *progress)
{
    for (size_t i = 0; i < slots->n; i++) {
        struct slot *slot = &slots->list[i];
        if (slot->state == SLOT_ENDING || slot->state == SLOT_PLACED)
            progress->moving++;
        if (slot->state != SLOT_HELD)
            continue;
        if (slot->successor) {
            progress->moving++;
            continue;
        }
        bool outdated = is_outdated(slots, slot);
        bool leaving = is_leaving(slots, slot);
        if (!outdated)
            survey_task(progress, slot->task);
        if (!outdated && !leaving) {
            progress->starting += is_starting(slot->task);
            continue;
        }
        if (!progress->todo)
            progress->todo = mem_alloc(slots->n, sizeof(struct slot *));
        progress->todo[progress->todo_n++] = slot;
        progress->outdated = progress->outdated || outdated;
    }
}

/* What does not serve goes first: nobody misses it. Then by slot. */
static int compare_urgency(const void *a, const void *b)
{
    const struct slot *x = *(const struct slot *const *)a;
    const struct slot *y = *(const struct slot *const *)b;
    bool x_serves = task_is_healthy(x->task);
    bool y_serves = task_is_healthy(y->task);
    if (x_serves != y_serves)
        return x_serves - y_serves;
    return (x->id > y->id) - (x->id < y->id);
}

/* True when the rollout may take its next step now. */
static bool may_roll(struct slots *slots, const struct progress *progress)
{
    struct planner *planner = slots->planner;
    const struct service *service = slots_service(slots);
    if (!progress->outdated || progress->moving > 0 || progress->unsettled > 0)
        return false;
    char waits_for[WAITS_FOR_BYTES];
    if (!depends_let_update(&planner->lookup, slots->service, waits_for)) {
        struct unplaced *unplaced = planner_unplaced(planner, service, progress->todo[0]->id);
        str_fill(unplaced->waits_for, sizeof(unplaced->waits_for), waits_for);
        return false;
    }
    int64_t at_ms = INT64_MAX;
    if (!progress->started || service->spec.update.delay_ms <= 0)
        return true;
    if (__builtin_add_overflow(progress->newest_ms, service->spec.update.delay_ms, &at_ms))
        at_ms = INT64_MAX;
    if (planner->view->now_ms >= at_ms)
        return true;
    planner_wake(planner, at_ms);
    return false;
}

/* Have the task in @slot leave its node. Returns false when it has to wait. */
static bool move(struct slots *slots, struct slot *slot)
{
    char reason[sizeof(((struct step *)0)->reason) + 64];
    bool overlap = slots_overlap(slots, slot);
    if (overlap && slot->blocked)
        return false;
    if (overlap && slots_succeed(slots, slot))
        return true;
    snprintf(reason, sizeof(reason), "node %s is draining", str_or_empty(slot->node->name));
    slots_end(slots, slot, reason);
    return true;
}

static void replace(struct slots *slots, const struct progress *progress)
{
    const struct service *service = slots_service(slots);
    int64_t limit = service->spec.update.parallelism > 0 ? service->spec.update.parallelism : 1;
    bool roll = may_roll(slots, progress);
    int64_t left = limit - progress->moving;
    int64_t left_leaving = left - progress->starting;
    char reason[sizeof(((struct step *)0)->reason)];
    for (size_t i = 0; i < progress->todo_n && left > 0; i++) {
        struct slot *slot = progress->todo[i];
        if (is_leaving(slots, slot)) {
            if (left_leaving <= 0 || !move(slots, slot))
                continue;
        } else {
            if (!roll || !fill_can_follow(slots, slot))
                continue;
            snprintf(reason, sizeof(reason), "update to revision %" PRId64, service->revision);
            slots_end(slots, slot, reason);
        }
        left--;
        left_leaving--;
    }
}

void update_step(struct slots *slots)
{
    struct progress progress = {0};
    survey(slots, &progress);
    if (progress.todo_n > 0) {
        qsort(progress.todo, progress.todo_n, sizeof(*progress.todo), compare_urgency);
        replace(slots, &progress);
    }
    free(progress.todo);
}
