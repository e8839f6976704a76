/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api_container.h"

#include "cluster/api.h"

/* clang-format off */
static const struct field container_info_fields[] = {
    FIELD_STRING(struct container_info, id),
    FIELD_STRING(struct container_info, name),
    FIELD_STRING(struct container_info, node),
    FIELD_STRING(struct container_info, image),
    FIELD_STRING(struct container_info, state),
    FIELD_INT(struct container_info, run),
    FIELD_INT(struct container_info, restarts),
    FIELD_INT(struct container_info, pid),
    FIELD_INT(struct container_info, exit_code),
    FIELD_BOOL(struct container_info, oom_killed),
    FIELD_INT(struct container_info, started_ms),
    FIELD_INT(struct container_info, finished_ms),
};
const struct record_type container_info_type =
    RECORD_TYPE("container_info", struct container_info, container_info_fields);

static const struct field container_io_limit_fields[] = {
    FIELD_INT(struct container_io_limit, kind),
    FIELD_STRING(struct container_io_limit, path),
    FIELD_INT(struct container_io_limit, value),
};
const struct record_type container_io_limit_type =
    RECORD_TYPE("container_io_limit", struct container_io_limit, container_io_limit_fields);

static const struct field container_usage_fields[] = {
    FIELD_STRING(struct container_usage, id),
    FIELD_STRING(struct container_usage, name),
    FIELD_STRING(struct container_usage, node),
    FIELD_INT(struct container_usage, time_ns),
    FIELD_INT(struct container_usage, run),
    FIELD_INT(struct container_usage, cpu_ns),
    FIELD_INT(struct container_usage, cpu_user_ns),
    FIELD_INT(struct container_usage, cpu_system_ns),
    FIELD_INT(struct container_usage, cpu_limit_milli),
    FIELD_INT(struct container_usage, periods),
    FIELD_INT(struct container_usage, throttled_periods),
    FIELD_INT(struct container_usage, throttled_ns),
    FIELD_INT(struct container_usage, memory_bytes),
    FIELD_INT(struct container_usage, memory_working_bytes),
    FIELD_INT(struct container_usage, memory_file_bytes),
    FIELD_INT(struct container_usage, memory_peak_bytes),
    FIELD_INT(struct container_usage, memory_limit_bytes),
    FIELD_INT(struct container_usage, machine_memory_bytes),
    FIELD_INT(struct container_usage, swap_bytes),
    FIELD_INT(struct container_usage, oom_kills),
    FIELD_INT(struct container_usage, read_bytes),
    FIELD_INT(struct container_usage, write_bytes),
    FIELD_INT(struct container_usage, reads),
    FIELD_INT(struct container_usage, writes),
    FIELD_INT(struct container_usage, pids),
    FIELD_INT(struct container_usage, pids_limit),
    FIELD_BOOL(struct container_usage, pressure_known),
    FIELD_INT(struct container_usage, cpu_some_centi),
    FIELD_INT(struct container_usage, cpu_full_centi),
    FIELD_INT(struct container_usage, memory_some_centi),
    FIELD_INT(struct container_usage, memory_full_centi),
    FIELD_INT(struct container_usage, io_some_centi),
    FIELD_INT(struct container_usage, io_full_centi),
    FIELD_BOOL(struct container_usage, network_known),
    FIELD_INT(struct container_usage, rx_bytes),
    FIELD_INT(struct container_usage, rx_packets),
    FIELD_INT(struct container_usage, rx_dropped),
    FIELD_INT(struct container_usage, tx_bytes),
    FIELD_INT(struct container_usage, tx_packets),
    FIELD_INT(struct container_usage, tx_dropped),
    FIELD_INT(struct container_usage, cpu_centi),
};
const struct record_type container_usage_type =
    RECORD_TYPE("container_usage", struct container_usage, container_usage_fields);

static const struct field container_process_info_fields[] = {
    FIELD_INT(struct container_process_info, pid),
    FIELD_INT(struct container_process_info, inside_pid),
    FIELD_INT(struct container_process_info, parent_pid),
    FIELD_INT(struct container_process_info, uid),
    FIELD_STRING(struct container_process_info, user),
    FIELD_STRING(struct container_process_info, state),
    FIELD_INT(struct container_process_info, threads),
    FIELD_INT(struct container_process_info, cpu_ms),
    FIELD_INT(struct container_process_info, rss_bytes),
    FIELD_INT(struct container_process_info, started_ms),
    FIELD_STRING(struct container_process_info, command),
};
const struct record_type container_process_info_type =
    RECORD_TYPE("container_process_info", struct container_process_info, container_process_info_fields);

static const struct field container_change_info_fields[] = {
    FIELD_STRING(struct container_change_info, kind),
    FIELD_STRING(struct container_change_info, path),
};
const struct record_type container_change_info_type =
    RECORD_TYPE("container_change_info", struct container_change_info, container_change_info_fields);

static const struct field container_request_fields[] = {
    FIELD_STRING(struct container_request, node),
    FIELD_STRING(struct container_request, container),
};
const struct record_type container_request_type =
    RECORD_TYPE("container_request", struct container_request, container_request_fields);

static const struct field container_list_reply_fields[] = {
    FIELD_LIST(struct container_list_reply, containers, container_info_type),
};
const struct record_type container_list_reply_type =
    RECORD_TYPE("container_list_reply", struct container_list_reply, container_list_reply_fields);

static const struct field container_text_reply_fields[] = {
    FIELD_STRING(struct container_text_reply, json),
};
const struct record_type container_text_reply_type =
    RECORD_TYPE("container_text_reply", struct container_text_reply, container_text_reply_fields);

static const struct field container_signal_request_fields[] = {
    FIELD_STRING(struct container_signal_request, node),
    FIELD_STRING(struct container_signal_request, container),
    FIELD_STRING(struct container_signal_request, signal),
};
const struct record_type container_signal_request_type =
    RECORD_TYPE("container_signal_request", struct container_signal_request, container_signal_request_fields);

static const struct field container_update_request_fields[] = {
    FIELD_STRING(struct container_update_request, node),
    FIELD_STRING(struct container_update_request, container),
    FIELD_INT(struct container_update_request, set),
    FIELD_INT(struct container_update_request, cpu_milli),
    FIELD_INT(struct container_update_request, cpu_shares),
    FIELD_STRING(struct container_update_request, cpuset),
    FIELD_INT(struct container_update_request, memory_bytes),
    FIELD_INT(struct container_update_request, memswap_bytes),
    FIELD_INT(struct container_update_request, reserved_bytes),
    FIELD_INT(struct container_update_request, pids_max),
    FIELD_INT(struct container_update_request, io_weight),
    FIELD_LIST(struct container_update_request, io, container_io_limit_type),
};
const struct record_type container_update_request_type =
    RECORD_TYPE("container_update_request", struct container_update_request, container_update_request_fields);

static const struct field container_wait_request_fields[] = {
    FIELD_STRING(struct container_wait_request, node),
    FIELD_STRING(struct container_wait_request, container),
    FIELD_INT(struct container_wait_request, run),
    FIELD_INT(struct container_wait_request, wait_ms),
};
const struct record_type container_wait_request_type =
    RECORD_TYPE("container_wait_request", struct container_wait_request, container_wait_request_fields);

static const struct field container_wait_reply_fields[] = {
    FIELD_BOOL(struct container_wait_reply, ended),
    FIELD_INT(struct container_wait_reply, run),
    FIELD_INT(struct container_wait_reply, exit_code),
    FIELD_BOOL(struct container_wait_reply, exit_unknown),
    FIELD_BOOL(struct container_wait_reply, oom_killed),
};
const struct record_type container_wait_reply_type =
    RECORD_TYPE("container_wait_reply", struct container_wait_reply, container_wait_reply_fields);

static const struct field container_stats_reply_fields[] = {
    FIELD_LIST(struct container_stats_reply, containers, container_usage_type),
};
const struct record_type container_stats_reply_type =
    RECORD_TYPE("container_stats_reply", struct container_stats_reply, container_stats_reply_fields);

static const struct field container_top_reply_fields[] = {
    FIELD_LIST(struct container_top_reply, processes, container_process_info_type),
};
const struct record_type container_top_reply_type =
    RECORD_TYPE("container_top_reply", struct container_top_reply, container_top_reply_fields);

static const struct field container_logs_request_fields[] = {
    FIELD_STRING(struct container_logs_request, node),
    FIELD_STRING(struct container_logs_request, container),
    FIELD_INT(struct container_logs_request, run),
    FIELD_INT(struct container_logs_request, file),
    FIELD_INT(struct container_logs_request, offset),
    FIELD_BOOL(struct container_logs_request, has_tail),
    FIELD_INT(struct container_logs_request, tail),
    FIELD_INT(struct container_logs_request, wait_ms),
};
const struct record_type container_logs_request_type =
    RECORD_TYPE("container_logs_request", struct container_logs_request, container_logs_request_fields);

static const struct field container_diff_reply_fields[] = {
    FIELD_LIST(struct container_diff_reply, changes, container_change_info_type),
    FIELD_BOOL(struct container_diff_reply, cut),
};
const struct record_type container_diff_reply_type =
    RECORD_TYPE("container_diff_reply", struct container_diff_reply, container_diff_reply_fields);

static const struct field container_path_request_fields[] = {
    FIELD_STRING(struct container_path_request, node),
    FIELD_STRING(struct container_path_request, container),
    FIELD_STRING(struct container_path_request, path),
    FIELD_BOOL(struct container_path_request, follow),
};
const struct record_type container_path_request_type =
    RECORD_TYPE("container_path_request", struct container_path_request, container_path_request_fields);

static const struct field container_path_reply_fields[] = {
    FIELD_STRING(struct container_path_reply, kind),
    FIELD_BOOL(struct container_path_reply, parent),
    FIELD_INT(struct container_path_reply, mode),
    FIELD_INT(struct container_path_reply, size),
    FIELD_STRING(struct container_path_reply, link),
};
const struct record_type container_path_reply_type =
    RECORD_TYPE("container_path_reply", struct container_path_reply, container_path_reply_fields);

static const struct field container_upload_request_fields[] = {
    FIELD_STRING(struct container_upload_request, node),
    FIELD_STRING(struct container_upload_request, container),
    FIELD_STRING(struct container_upload_request, upload),
    FIELD_INT(struct container_upload_request, offset),
    FIELD_BYTES(struct container_upload_request, data),
};
const struct record_type container_upload_request_type =
    RECORD_TYPE("container_upload_request", struct container_upload_request, container_upload_request_fields);

static const struct field container_read_request_fields[] = {
    FIELD_STRING(struct container_read_request, node),
    FIELD_STRING(struct container_read_request, container),
    FIELD_STRING(struct container_read_request, upload),
    FIELD_INT(struct container_read_request, offset),
    FIELD_BOOL(struct container_read_request, done),
};
const struct record_type container_read_request_type =
    RECORD_TYPE("container_read_request", struct container_read_request, container_read_request_fields);

static const struct field container_read_reply_fields[] = {
    FIELD_BYTES(struct container_read_reply, data),
};
const struct record_type container_read_reply_type =
    RECORD_TYPE("container_read_reply", struct container_read_reply, container_read_reply_fields);

static const struct field container_copy_in_request_fields[] = {
    FIELD_STRING(struct container_copy_in_request, node),
    FIELD_STRING(struct container_copy_in_request, container),
    FIELD_STRING(struct container_copy_in_request, path),
    FIELD_STRING(struct container_copy_in_request, upload),
    FIELD_BOOL(struct container_copy_in_request, owners),
};
const struct record_type container_copy_in_request_type =
    RECORD_TYPE("container_copy_in_request", struct container_copy_in_request, container_copy_in_request_fields);

static const struct field container_commit_request_fields[] = {
    FIELD_STRING(struct container_commit_request, node),
    FIELD_STRING(struct container_commit_request, container),
    FIELD_STRING(struct container_commit_request, name),
    FIELD_STRING(struct container_commit_request, author),
    FIELD_STRING(struct container_commit_request, message),
    FIELD_BOOL(struct container_commit_request, no_pause),
    FIELD_BOOL(struct container_commit_request, entrypoint_set),
    FIELD_STRINGS(struct container_commit_request, entrypoint),
    FIELD_BOOL(struct container_commit_request, command_set),
    FIELD_STRINGS(struct container_commit_request, command),
    FIELD_STRINGS(struct container_commit_request, env),
    FIELD_STRINGS(struct container_commit_request, labels),
    FIELD_STRING(struct container_commit_request, working_dir),
    FIELD_STRING(struct container_commit_request, user),
};
const struct record_type container_commit_request_type =
    RECORD_TYPE("container_commit_request", struct container_commit_request, container_commit_request_fields);

static const struct field container_checkpoint_request_fields[] = {
    FIELD_STRING(struct container_checkpoint_request, node),
    FIELD_STRING(struct container_checkpoint_request, container),
    FIELD_STRING(struct container_checkpoint_request, name),
    FIELD_BOOL(struct container_checkpoint_request, leave_running),
};
const struct record_type container_checkpoint_request_type =
    RECORD_TYPE("container_checkpoint_request", struct container_checkpoint_request, container_checkpoint_request_fields);

static const struct field container_job_request_fields[] = {
    FIELD_STRING(struct container_job_request, node),
    FIELD_STRING(struct container_job_request, container),
    FIELD_STRING(struct container_job_request, job),
    FIELD_INT(struct container_job_request, wait_ms),
};
const struct record_type container_job_request_type =
    RECORD_TYPE("container_job_request", struct container_job_request, container_job_request_fields);

static const struct field container_job_reply_fields[] = {
    FIELD_BOOL(struct container_job_reply, done),
    FIELD_STRING(struct container_job_reply, text),
    FIELD_INT(struct container_job_reply, code),
    FIELD_STRING(struct container_job_reply, message),
    FIELD_STRING(struct container_job_reply, upload),
    FIELD_INT(struct container_job_reply, size),
    FIELD_STRING(struct container_job_reply, digest),
    FIELD_STRING(struct container_job_reply, name),
};
const struct record_type container_job_reply_type =
    RECORD_TYPE("container_job_reply", struct container_job_reply, container_job_reply_fields);

/* clang-format on */
