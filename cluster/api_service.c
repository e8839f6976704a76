/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api_service.h"

/* clang-format off */
static const struct field service_act_request_fields[] = {
    FIELD_STRING(struct service_act_request, name),
    FIELD_STRING(struct service_act_request, action),
    FIELD_INT(struct service_act_request, revision),
};
const struct record_type service_act_request_type =
    RECORD_TYPE("service_act_request", struct service_act_request, service_act_request_fields);

static const struct field dry_run_request_fields[] = {
    FIELD_STRING(struct dry_run_request, action),
    FIELD_STRING(struct dry_run_request, name),
    FIELD_INT(struct dry_run_request, replicas),
};
const struct record_type dry_run_request_type =
    RECORD_TYPE("dry_run_request", struct dry_run_request, dry_run_request_fields);

static const struct field task_move_request_fields[] = {
    FIELD_STRING(struct task_move_request, name),
    FIELD_STRING(struct task_move_request, node),
};
const struct record_type task_move_request_type =
    RECORD_TYPE("task_move_request", struct task_move_request, task_move_request_fields);

static const struct field revision_info_fields[] = {
    FIELD_INT(struct revision_info, revision),
    FIELD_BOOL(struct revision_info, current),
    FIELD_INT(struct revision_info, made_ms),
    FIELD_STRING(struct revision_info, cause),
    FIELD_STRING(struct revision_info, image),
    FIELD_STRING(struct revision_info, state),
    FIELD_STRING(struct revision_info, changes),
    FIELD_RECORD(struct revision_info, spec, spec_type),
};
const struct record_type revision_info_type =
    RECORD_TYPE("revision_info", struct revision_info, revision_info_fields);

static const struct field history_reply_fields[] = {
    FIELD_STRING(struct history_reply, name),
    FIELD_LIST(struct history_reply, revisions, revision_info_type),
};
const struct record_type history_reply_type =
    RECORD_TYPE("history_reply", struct history_reply, history_reply_fields);

static const struct field why_item_fields[] = {
    FIELD_STRING(struct why_item, object),
    FIELD_STRING(struct why_item, node),
    FIELD_STRING(struct why_item, state),
    FIELD_STRING(struct why_item, cause),
    FIELD_STRING(struct why_item, advice),
};
const struct record_type why_item_type = RECORD_TYPE("why_item", struct why_item, why_item_fields);

static const struct field why_reply_fields[] = {
    FIELD_LIST(struct why_reply, items, why_item_type),
    FIELD_BOOL(struct why_reply, cut),
};
const struct record_type why_reply_type =
    RECORD_TYPE("why_reply", struct why_reply, why_reply_fields);

static const struct field run_info_fields[] = {
    FIELD_INT(struct run_info, number),
    FIELD_INT(struct run_info, revision),
    FIELD_STRING(struct run_info, state),
    FIELD_STRING(struct run_info, cause),
    FIELD_STRING(struct run_info, message),
    FIELD_INT(struct run_info, scheduled_ms),
    FIELD_INT(struct run_info, started_ms),
    FIELD_INT(struct run_info, ended_ms),
    FIELD_INT(struct run_info, tasks),
    FIELD_INT(struct run_info, complete),
};
const struct record_type run_info_type = RECORD_TYPE("run_info", struct run_info, run_info_fields);

static const struct field job_info_fields[] = {
    FIELD_STRING(struct job_info, name),
    FIELD_STRING(struct job_info, mode),
    FIELD_STRING(struct job_info, image),
    FIELD_STRING(struct job_info, schedule),
    FIELD_STRING(struct job_info, time_zone),
    FIELD_BOOL(struct job_info, stopped),
    FIELD_INT(struct job_info, next_ms),
    FIELD_LIST(struct job_info, runs, run_info_type),
};
const struct record_type job_info_type = RECORD_TYPE("job_info", struct job_info, job_info_fields);

static const struct field job_list_reply_fields[] = {
    FIELD_LIST(struct job_list_reply, jobs, job_info_type),
};
const struct record_type job_list_reply_type =
    RECORD_TYPE("job_list_reply", struct job_list_reply, job_list_reply_fields);
