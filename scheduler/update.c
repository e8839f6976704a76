/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/update.h"

#include "scheduler/depends.h"
#include "scheduler/fill.h"
#include "scheduler/supervise.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How far it is. */
struct progress {
    struct rollout_tally tally;
    int64_t starting;   /* tasks on their first way up */
    struct slot **todo; /* slots with a task to replace */
    size_t todo_n;
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

static bool can_hold(const struct slots *slots)
{
    return slots->planner->view->level >= 4;
}

static void survey_held(struct slots *slots, struct progress *progress, struct slot *slot)
{
    int64_t now_ms = slots->planner->view->now_ms;
    bool outdated = is_outdated(slots, slot);
    bool leaving = is_leaving(slots, slot);
    progress->tally.outdated |= outdated;
    if (slot->successor || slot->held) {
        progress->tally.moving++;
        supervise_count(&progress->tally, slot->successor ? slot->successor : slot->held, now_ms);
        return;
    }
    if (!outdated)
        supervise_count(&progress->tally, slot->task, now_ms);
    if (!outdated && !leaving) {
        progress->starting += is_starting(slot->task);
        return;
    }
    if (!progress->todo)
        progress->todo = mem_alloc(slots->n, sizeof(struct slot *));
    progress->todo[progress->todo_n++] = slot;
}

static void survey(struct slots *slots, struct progress *progress)
{
    for (size_t i = 0; i < slots->n; i++) {
        struct slot *slot = &slots->list[i];
        progress->tally.slots += slot->wanted;
        if (slot->state == SLOT_ENDING || slot->state == SLOT_PLACED)
            progress->tally.moving++;
        if (slot->state == SLOT_HELD)
            survey_held(slots, progress, slot);
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

static void note_wait(struct slots *slots, const struct slot *slot, const char *waits_for)
{
    struct unplaced *unplaced = planner_unplaced(slots->planner, slots_service(slots), slot->id);
    str_fill(unplaced->waits_for, sizeof(unplaced->waits_for), waits_for);
}

/* --- steps ----------------------------------------------------------------------------------- */

/* True when the rollout may take its next step now. */
static bool may_roll(struct slots *slots, const struct progress *progress)
{
    struct planner *planner = slots->planner;
    const struct rollout_tally *tally = &progress->tally;
    const struct update_policy *policy = rollout_policy(slots_service(slots));
    /* More than the policy puts up with, and supervise() had said no. */
    int64_t put_up_with = can_hold(slots) ? tally->failed : 0;
    if (!tally->outdated || tally->moving > 0)
        return false;
    if (tally->unsettled > put_up_with)
        return false;
    char waits_for[WAITS_FOR_BYTES];
    if (!depends_let_update(&planner->lookup, slots->service, waits_for)) {
        note_wait(slots, progress->todo[0], waits_for);
        return false;
    }
    int64_t at_ms = INT64_MAX;
    if (!tally->started || policy->delay_ms <= 0)
        return true;
    if (__builtin_add_overflow(tally->newest_ms, policy->delay_ms, &at_ms))
        at_ms = INT64_MAX;
    if (planner->view->now_ms >= at_ms)
        return true;
    planner_wake(planner, at_ms);
    return false;
}

/* Have the task in @slot leave its node. Returns false when it has to wait. */
static bool move(struct slots *slots, struct slot *slot)
{
    char reason[sizeof(((struct step *)0)->reason)];
    bool told = slot->task->move_to != 0 && slot->node->availability != AVAILABLE_DRAIN;
    bool overlap = slots_overlap(slots, slot);
    if (overlap && slot->blocked)
        return false;
    if (overlap && slots_succeed(slots, slot, false))
        return true;
    if (can_hold(slots) && !overlap && !slot->blocked && slots_succeed(slots, slot, true))
        return true;
    if (told)
        return false; /* it stays until there is room */
    slots_why_leaving(slot->task, slot->node, reason, sizeof(reason));
    slots_end(slots, slot, reason);
    return true;
}

/* Have a task of the new revision follow the one in @slot. Returns false when it has to wait. */
static bool roll(struct slots *slots, struct slot *slot)
{
    const struct service *service = slots_service(slots);
    char reason[sizeof(((struct step *)0)->reason)];
    bool over = task_is_terminal(slot->task->state);
    bool start_first = rollout_policy(service)->order == ORDER_START_FIRST && !slots_exclude(slots);
    if (can_hold(slots) && !over) {
        if (slot->blocked)
            return false;
        if (slots_succeed(slots, slot, !start_first))
            return true;
    }
    if (!fill_can_follow(slots, slot))
        return false;
    snprintf(reason, sizeof(reason), "update to revision %" PRId64, service->revision);
    slots_end(slots, slot, reason);
    return true;
}

static void replace(struct slots *slots, const struct progress *progress, bool goes_on)
{
    int64_t parallelism = rollout_policy(slots_service(slots))->parallelism;
    int64_t limit = parallelism > 0 ? parallelism : 1;
    bool may = goes_on && may_roll(slots, progress);
    int64_t left = limit - progress->tally.moving;
    int64_t left_leaving = left - progress->starting;
    for (size_t i = 0; i < progress->todo_n && left > 0; i++) {
        struct slot *slot = progress->todo[i];
        if (is_leaving(slots, slot)) {
            if (left_leaving <= 0 || !move(slots, slot))
                continue;
        } else if (!may || !roll(slots, slot)) {
            continue;
        }
        left--;
        left_leaving--;
    }
}

/* What got ready takes the place of the task it was made for. */
static void hand_over(struct slots *slots)
{
    const struct service *service = slots_service(slots);
    char reason[sizeof(((struct step *)0)->reason)];
    for (size_t i = 0; i < slots->n; i++) {
        struct slot *slot = &slots->list[i];
        if (slot->state != SLOT_HELD || !slot->held)
            continue;
        bool over = task_is_terminal(slot->task->state);
        if (!slot->held->ready && !over) {
            const char *why = slot->held->message;
            char waits_for[sizeof(((struct unplaced *)0)->waits_for)];
            snprintf(waits_for, sizeof(waits_for), "its successor to be ready%s%.60s",
                     *str_or_empty(why) ? ": " : "", str_or_empty(why));
            note_wait(slots, slot, waits_for);
            continue;
        }
        if (is_outdated(slots, slot))
            snprintf(reason, sizeof(reason), "update to revision %" PRId64, service->revision);
        else
            slots_why_leaving(slot->task, slot->node, reason, sizeof(reason));
        slots_end(slots, slot, reason);
    }
}

void update_step(struct slots *slots)
{
    struct progress progress = {0};
    survey(slots, &progress);
    bool goes_on = supervise(slots, &progress.tally);
    if (goes_on)
        hand_over(slots);
    if (progress.todo_n > 0) {
        qsort(progress.todo, progress.todo_n, sizeof(*progress.todo), compare_urgency);
        if (rollout_is_paused(slots_service(slots)) && progress.tally.outdated)
            note_wait(slots, progress.todo[0], "its rollout to go on: it is paused");
        replace(slots, &progress, goes_on);
    }
    free(progress.todo);
}
