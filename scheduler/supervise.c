/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/supervise.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

static bool has_failed(const struct task *task, int64_t now_ms)
{
    if (task->desired == DESIRED_READY)
        return task->state == TASK_FAILED || (task->state == TASK_WAITING && !task->ready &&
                                              now_ms - task->created_ms >= HELD_PATIENCE_MS);
    switch (task->state) {
    case TASK_FAILED:
        return true;
    case TASK_WAITING:
        return task->run > 0;
    case TASK_RUNNING:
        return task->health == HEALTH_UNHEALTHY;
    case TASK_NEW:
    case TASK_FETCHING:
    case TASK_CREATING:
    case TASK_STARTING:
        return task->attempts > 1;
    case TASK_COMPLETE:
    case TASK_ENDED:
        return false;
    }
    return false;
}

void supervise_count(struct rollout_tally *tally, const struct task *task, int64_t now_ms)
{
    int64_t patience_ms = task->created_ms + HELD_PATIENCE_MS;
    if (task->desired == DESIRED_READY && !task->ready && now_ms < patience_ms &&
        (tally->patience_ms == 0 || patience_ms < tally->patience_ms))
        tally->patience_ms = patience_ms;
    if (!task_is_healthy(task) && task->state != TASK_COMPLETE)
        tally->unsettled++;
    if (has_failed(task, now_ms)) {
        tally->failed++;
        tally->culprit = task;
    }
    if (!tally->started || task->state_ms > tally->newest_ms)
        tally->newest_ms = task->state_ms;
    tally->started = true;
}

const struct update_policy *rollout_policy(const struct service *service)
{
    bool back =
        service->rollout == ROLLOUT_ROLLING_BACK || service->rollout == ROLLOUT_ROLLBACK_PAUSED;
    return back ? &service->spec.rollback : &service->spec.update;
}

bool rollout_is_paused(const struct service *service)
{
    return service->rollout == ROLLOUT_PAUSED || service->rollout == ROLLOUT_ROLLBACK_PAUSED;
}

static bool is_going(const struct service *service)
{
    return service->rollout == ROLLOUT_UPDATING || service->rollout == ROLLOUT_ROLLING_BACK;
}

static int64_t later(int64_t ms, int64_t by_ms)
{
    int64_t sum;
    return __builtin_add_overflow(ms, by_ms, &sum) ? INT64_MAX : sum;
}

/* The rollout failed for @reason: true when it goes on all the same. */
static bool on_failure(struct slots *slots, const char *reason)
{
    const struct service *service = slots_service(slots);
    enum update_failure failure = rollout_policy(service)->failure;
    bool back = service->rollout == ROLLOUT_ROLLING_BACK;
    if (failure == FAILURE_CONTINUE)
        return true;
    if (back)
        planner_rollout(slots->planner, service, ROLLOUT_ROLLBACK_PAUSED, "%s", reason);
    else if (failure == FAILURE_ROLLBACK && service->stable_revision > 0)
        planner_rollout(slots->planner, service, ROLLOUT_ROLLING_BACK, "%s", reason);
    else
        planner_rollout(slots->planner, service, ROLLOUT_PAUSED, "%s", reason);
    return false;
}

static bool too_many_failed(const struct slots *slots, const struct rollout_tally *tally)
{
    int64_t allowed = rollout_policy(slots_service(slots))->max_failure_permille;
    return tally->failed > 0 && tally->slots > 0 && tally->failed * 1000 / tally->slots > allowed;
}

static bool finish(struct slots *slots, const struct rollout_tally *tally)
{
    struct planner *planner = slots->planner;
    const struct service *service = slots_service(slots);
    int64_t monitor = rollout_policy(service)->monitor_ms;
    int64_t at_ms = tally->started ? later(tally->newest_ms, monitor ? monitor : ROLLOUT_MONITOR_MS)
                                   : service->rollout_ms;
    if (planner->view->now_ms < at_ms)
        planner_wake(planner, at_ms);
    else if (service->rollout == ROLLOUT_ROLLING_BACK)
        planner_rollout(planner, service, ROLLOUT_ROLLED_BACK, "%s",
                        str_or_empty(service->rollout_message));
    else
        planner_rollout(planner, service, ROLLOUT_DONE, "%s", "");
    return true;
}

bool supervise(struct slots *slots, const struct rollout_tally *tally)
{
    struct planner *planner = slots->planner;
    const struct service *service = slots_service(slots);
    char reason[sizeof(((struct step *)0)->reason)];
    if (!is_going(service))
        return !rollout_is_paused(service);
    if (too_many_failed(slots, tally)) {
        const struct task *task = tally->culprit;
        snprintf(reason, sizeof(reason), "%" PRId64 " of %" PRId64 " failed: %s.%" PRId64 ": %.90s",
                 tally->failed, tally->slots, str_or_empty(service->name), task->slot,
                 *str_or_empty(task->message)       ? task->message
                 : task->health == HEALTH_UNHEALTHY ? "unhealthy"
                                                    : task_state_names[task->state]);
        if (!on_failure(slots, reason))
            return false;
    }
    bool settled = tally->unsettled <= tally->failed || service->stopped;
    if (!tally->outdated && tally->moving == 0 && settled)
        return finish(slots, tally);
    int64_t deadline = service->spec.rollout_deadline_ms;
    int64_t since = service->rollout_ms;
    if (tally->started && tally->newest_ms > since)
        since = tally->newest_ms;
    int64_t at_ms = later(since, deadline ? deadline : ROLLOUT_DEADLINE_MS);
    if (tally->patience_ms > 0)
        planner_wake(planner, tally->patience_ms);
    if (planner->view->now_ms < at_ms) {
        planner_wake(planner, at_ms);
        return true;
    }
    snprintf(reason, sizeof(reason), "no progress for %" PRId64 " s",
             (deadline ? deadline : ROLLOUT_DEADLINE_MS) / 1000);
    return on_failure(slots, reason);
}
