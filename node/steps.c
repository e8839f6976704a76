/* SPDX-License-Identifier: Apache-2.0 */
#include "node/steps.h"

#include <stddef.h>

void step_to_change(const struct step *step, struct step_change *ret)
{
    char *reason = (char *)(uintptr_t)step->reason;
    bool skip = step->kind == STEP_JOB_SKIP;
    switch (step->kind) {
    case STEP_CREATE:
        ret->kind = CHANGE_TASK_CREATE;
        ret->body.create = (struct change_task_create){.service_id = step->service_id,
                                                       .service_index = step->service_index,
                                                       .slot = step->slot,
                                                       .node_id = step->node_id,
                                                       .beside = step->beside,
                                                       .hold = step->hold,
                                                       .job_id = step->job_id,
                                                       .network_task = step->network_task};
        break;
    case STEP_RELEASE:
        ret->kind = CHANGE_TASK_RELEASE;
        ret->body.release = (struct change_task_release){.task_id = step->task_id};
        break;
    case STEP_MOVE:
        ret->kind = CHANGE_TASK_MOVE;
        ret->body.move = (struct change_task_move){
            .task_id = step->task_id, .node_id = step->node_id, .reason = reason};
        break;
    case STEP_ROLLOUT:
        ret->kind = CHANGE_ROLLOUT_SET;
        ret->body.rollout = (struct change_rollout_set){.service_id = step->service_id,
                                                        .revision = step->revision,
                                                        .state = step->rollout,
                                                        .message = reason};
        break;
    case STEP_END:
        ret->kind = CHANGE_TASK_END;
        ret->body.end = (struct change_task_end){.task_id = step->task_id, .reason = reason};
        break;
    case STEP_REMOVE:
        ret->kind = CHANGE_TASK_REMOVE;
        ret->body.remove =
            (struct change_task_remove){.task_id = step->task_id, .lost = step->lost};
        break;
    case STEP_REMOVE_SERVICE:
        ret->kind = CHANGE_SERVICE_REMOVE;
        ret->body.service_remove = (struct change_service_remove){.service_id = step->service_id};
        break;
    case STEP_JOB_START:
    case STEP_JOB_SKIP:
        ret->kind = CHANGE_JOB_START;
        ret->body.job_start =
            (struct change_job_start){.service_id = step->service_id,
                                      .service_index = step->service_index,
                                      .scheduled_ms = step->scheduled_ms,
                                      .cause = skip ? (char *)(uintptr_t) "schedule" : reason,
                                      .skip = skip,
                                      .message = skip ? reason : NULL};
        break;
    case STEP_JOB_END:
        ret->kind = CHANGE_JOB_END;
        ret->body.job_end = (struct change_job_end){
            .job_id = step->job_id, .state = step->job_state, .message = reason};
        break;
    }
}
