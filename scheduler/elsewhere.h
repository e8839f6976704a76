/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elsewhere - a task that keeps failing on its node is tried on another one.
 *
 * After ELSEWHERE_ATTEMPTS failed tries, if another node takes it on which the service did not fail
 * lately; the next one of the slot after twice as many, and so on (task.hops). One task of a
 * service at a time, and none while a rollout is under way, which judges for itself. It goes by
 * task.move_to, so its successor is ready before it stops. A task that is tied to its node by a
 * volume stays; so does one that gave up: that is what its restart policy asked for.
 */
#ifndef WHERRY_SCHEDULER_ELSEWHERE_H
#define WHERRY_SCHEDULER_ELSEWHERE_H

#include "scheduler/planner.h"

enum {
    ELSEWHERE_ATTEMPTS = 3,
    ELSEWHERE_DOUBLINGS_MAX = 6,
};

/* Write the steps for all services. To be called after their plans are complete. */
void elsewhere(struct planner *planner);

#endif
