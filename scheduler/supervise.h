/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervise - how a rollout stands, and what follows from it.
 *
 * The state is in the service's row (store/model.h, enum rollout_state); it is judged anew from the
 * tasks each time. A task of the new revision has failed when it gave up, ended and waits for its
 * next run, or is unhealthy; or when it could not be made ready for HELD_PATIENCE_MS. More failed
 * slots than the policy allows, or no progress until the deadline, and the policy's failure action
 * follows: the rollout pauses, or the stable revision comes back. Failed tasks that the policy
 * puts up with hold nothing up. It is done when nothing is left to replace and all others have
 * served for the policy's monitor time.
 */
#ifndef WHERRY_SCHEDULER_SUPERVISE_H
#define WHERRY_SCHEDULER_SUPERVISE_H

#include "scheduler/slots.h"

enum {
    ROLLOUT_MONITOR_MS = 5000,
    ROLLOUT_DEADLINE_MS = 10 * 60 * 1000,
    HELD_PATIENCE_MS = 30 * 1000,
};

/* What the tasks of a service say. */
struct rollout_tally {
    int64_t slots;              /* that are wanted */
    int64_t moving;             /* slots between two tasks */
    int64_t unsettled;          /* tasks of the new revision that do not serve */
    int64_t failed;             /* slots whose task of the new revision failed */
    int64_t newest_ms;          /* when the last of the new revision changed its state */
    bool started;               /* there are tasks of the new revision */
    bool outdated;              /* slots with a task of an older one */
    const struct task *culprit; /* one of the failed */
    int64_t patience_ms; /* when a held task that is not ready has failed; 0: there is none */
};

/* Enter a task of the revision that is wanted. */
void supervise_count(struct rollout_tally *tally, const struct task *task, int64_t now_ms);

/* The policy that the service's rollout follows: of its way on or back. */
const struct update_policy *rollout_policy(const struct service *service);

/* True while the rollout of @service takes no steps: it is paused. */
bool rollout_is_paused(const struct service *service);

/* Write the step to the rollout's next state, if it is due, and when to look again. Returns false
 * when the rollout may not go on for now. */
bool supervise(struct slots *slots, const struct rollout_tally *tally);

#endif
