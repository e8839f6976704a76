/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner - what one call of scheduler_plan() works with, and how it writes its answer.
 */
#ifndef WHERRY_SCHEDULER_PLANNER_H
#define WHERRY_SCHEDULER_PLANNER_H

#include "scheduler/ledger.h"

struct planner {
    const struct view *view;
    struct plan *plan;
    size_t steps_cap;
    size_t unplaced_cap;
    struct lookup lookup;
    struct ledger ledger;
};

/* End @task of @service (NULL: gone), for the reason given. */
void planner_end(struct planner *planner, const struct service *service, const struct task *task,
                 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Forget @task of @service (NULL: gone), which is over or @lost with its node. */
void planner_remove(struct planner *planner, const struct service *service, const struct task *task,
                    bool lost);

/* Forget @service. */
void planner_remove_service(struct planner *planner, const struct service *service);

/* Place @slot of @service on @node_id. @beside: next to the task that it has. @hold: it gets ready
 * and waits to be released. A slot of a companion has its host. */
void planner_create(struct planner *planner, const struct service *service, int64_t slot,
                    int64_t node_id, bool beside, bool hold);

/* As planner_create(), of a run of a job. */
void planner_create_of(struct planner *planner, const struct service *service,
                       const struct job_run *run, int64_t slot, int64_t node_id);

/* A run of @service begins, for @scheduled_ms or 0, because of @cause. */
void planner_job_start(struct planner *planner, const struct service *service, int64_t scheduled_ms,
                       const char *cause);

/* A run of @service that was due at @scheduled_ms is not begun, for the reason given. */
void planner_job_skip(struct planner *planner, const struct service *service, int64_t scheduled_ms,
                      const char *reason);

/* @run of @service is over, for the reason given. */
void planner_job_end(struct planner *planner, const struct service *service,
                     const struct job_run *run, enum job_state state, const char *reason);

/* Start @task, which was held. */
void planner_release(struct planner *planner, const struct service *service,
                     const struct task *task);

/* Have @task go to @node_id (see task.move_to), for the reason given. */
void planner_move(struct planner *planner, const struct service *service, const struct task *task,
                  int64_t node_id, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The rollout of @service is in state @rollout, for the reason given. */
void planner_rollout(struct planner *planner, const struct service *service,
                     enum rollout_state rollout, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Note that @slot of @service waits. Returns the note, to be filled in; it is valid until the next
 * call. */
struct unplaced *planner_unplaced(struct planner *planner, const struct service *service,
                                  int64_t slot);

/* Ask to be called again at @at_ms. */
void planner_wake(struct planner *planner, int64_t at_ms);

#endif
