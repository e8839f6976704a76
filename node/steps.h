/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps - the change that a step of a plan asks for.
 */
#ifndef WHERRY_NODE_STEPS_H
#define WHERRY_NODE_STEPS_H

#include "scheduler/scheduler.h"
#include "store/change.h"

/* A change, and room for its body. */
struct step_change {
    enum change_kind kind;
    union {
        struct change_task_create create;
        struct change_task_release release;
        struct change_task_move move;
        struct change_rollout_set rollout;
        struct change_task_end end;
        struct change_task_remove remove;
        struct change_service_remove service_remove;
        struct change_job_start job_start;
        struct change_job_end job_end;
    } body; /* borrows the texts of the step */
};

/* What @step asks for, in *@ret. */
void step_to_change(const struct step *step, struct step_change *ret);

#endif
