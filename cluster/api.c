/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api.h"

/* clang-format off */
static const struct field empty_fields[] = {
    FIELD_INT(struct empty, unused),
};
const struct record_type empty_type = RECORD_TYPE("empty", struct empty, empty_fields);

static const struct field name_request_fields[] = {
    FIELD_STRING(struct name_request, name),
};
const struct record_type name_request_type =
    RECORD_TYPE("name_request", struct name_request, name_request_fields);

static const struct field filter_request_fields[] = {
    FIELD_STRING(struct filter_request, name),
};
const struct record_type filter_request_type =
    RECORD_TYPE("filter_request", struct filter_request, filter_request_fields);

static const struct field init_request_fields[] = {
    FIELD_STRING(struct init_request, pool),
};
const struct record_type init_request_type =
    RECORD_TYPE("init_request", struct init_request, init_request_fields);

static const struct field init_reply_fields[] = {
    FIELD_STRING(struct init_reply, cluster),
    FIELD_STRING(struct init_reply, address),
    FIELD_STRING(struct init_reply, join_token),
};
const struct record_type init_reply_type =
    RECORD_TYPE("init_reply", struct init_reply, init_reply_fields);

static const struct field join_request_fields[] = {
    FIELD_STRING(struct join_request, address),
    FIELD_STRING(struct join_request, token),
    FIELD_BOOL(struct join_request, replace),
};
const struct record_type join_request_type =
    RECORD_TYPE("join_request", struct join_request, join_request_fields);

static const struct field join_reply_fields[] = {
    FIELD_STRING(struct join_reply, cluster),
    FIELD_INT(struct join_reply, node_id),
};
const struct record_type join_reply_type =
    RECORD_TYPE("join_reply", struct join_reply, join_reply_fields);

static const struct field status_reply_fields[] = {
    FIELD_STRING(struct status_reply, cluster),
    FIELD_STRING(struct status_reply, version),
    FIELD_STRING(struct status_reply, node),
    FIELD_INT(struct status_reply, node_id),
    FIELD_STRING(struct status_reply, leader),
    FIELD_INT(struct status_reply, term),
    FIELD_INT(struct status_reply, index),
    FIELD_INT(struct status_reply, behind),
    FIELD_BOOL(struct status_reply, cut_off),
    FIELD_INT(struct status_reply, contact_ms),
    FIELD_INT(struct status_reply, level),
    FIELD_INT(struct status_reply, voters),
    FIELD_INT(struct status_reply, voters_up),
    FIELD_INT(struct status_reply, quorum),
    FIELD_INT(struct status_reply, losable),
    FIELD_INT(struct status_reply, nodes),
    FIELD_INT(struct status_reply, nodes_up),
    FIELD_INT(struct status_reply, services),
    FIELD_INT(struct status_reply, tasks),
    FIELD_INT(struct status_reply, tasks_running),
    FIELD_INT(struct status_reply, tasks_waiting),
    FIELD_STRING(struct status_reply, lock),
    FIELD_STRING(struct status_reply, key),
    FIELD_STRINGS(struct status_reply, warnings),
    FIELD_STRING(struct status_reply, oci_runtime),
    FIELD_STRING(struct status_reply, cgroups),
};
const struct record_type status_reply_type =
    RECORD_TYPE("status_reply", struct status_reply, status_reply_fields);

static const struct field connect_request_fields[] = {
    FIELD_STRING(struct connect_request, address),
};
const struct record_type connect_request_type =
    RECORD_TYPE("connect_request", struct connect_request, connect_request_fields);

static const struct field connect_reply_fields[] = {
    FIELD_INT(struct connect_reply, node_id),
    FIELD_STRING(struct connect_reply, name),
};
const struct record_type connect_reply_type =
    RECORD_TYPE("connect_reply", struct connect_reply, connect_reply_fields);

static const struct field lock_set_request_fields[] = {
    FIELD_STRING(struct lock_set_request, to),
};
const struct record_type lock_set_request_type =
    RECORD_TYPE("lock_set_request", struct lock_set_request, lock_set_request_fields);

static const struct field lock_reply_fields[] = {
    FIELD_STRING(struct lock_reply, unlock_key),
};
const struct record_type lock_reply_type =
    RECORD_TYPE("lock_reply", struct lock_reply, lock_reply_fields);

static const struct field lock_open_request_fields[] = {
    FIELD_SECRET(struct lock_open_request, unlock_key),
};
const struct record_type lock_open_request_type =
    RECORD_TYPE("lock_open_request", struct lock_open_request, lock_open_request_fields);

static const struct field ca_member_fields[] = {
    FIELD_STRING(struct ca_member, name),
    FIELD_STRING(struct ca_member, status),
    FIELD_BOOL(struct ca_member, current),
    FIELD_INT(struct ca_member, until_ms),
};
static const struct record_type ca_member_type =
    RECORD_TYPE("ca_member", struct ca_member, ca_member_fields);

static const struct field ca_info_fields[] = {
    FIELD_STRING(struct ca_info, ca),
    FIELD_INT(struct ca_info, until_ms),
    FIELD_STRING(struct ca_info, before),
    FIELD_INT(struct ca_info, tokens_before),
    FIELD_INT(struct ca_info, members_before),
    FIELD_LIST(struct ca_info, members, ca_member_type),
};
const struct record_type ca_info_type = RECORD_TYPE("ca_info", struct ca_info, ca_info_fields);

static const struct field wait_request_fields[] = {
    FIELD_INT(struct wait_request, after),
    FIELD_INT(struct wait_request, wait_ms),
};
const struct record_type wait_request_type =
    RECORD_TYPE("wait_request", struct wait_request, wait_request_fields);

static const struct field wait_reply_fields[] = {
    FIELD_INT(struct wait_reply, index),
};
const struct record_type wait_reply_type =
    RECORD_TYPE("wait_reply", struct wait_reply, wait_reply_fields);

static const struct field session_reply_fields[] = {
    FIELD_STRING(struct session_reply, cluster),
    FIELD_STRING(struct session_reply, node),
    FIELD_STRING(struct session_reply, name),
    FIELD_STRING(struct session_reply, role),
    FIELD_STRINGS(struct session_reply, stacks),
    FIELD_INT(struct session_reply, expires_ms),
    FIELD_STRINGS(struct session_reply, addresses),
};
const struct record_type session_reply_type =
    RECORD_TYPE("session_reply", struct session_reply, session_reply_fields);

static const struct field token_request_fields[] = {
    FIELD_ENUM(struct token_request, kind, token_kind_names),
    FIELD_INT(struct token_request, ttl_ms),
    FIELD_STRING(struct token_request, name),
    FIELD_ENUM(struct token_request, role, token_role_names),
    FIELD_STRINGS(struct token_request, stacks),
    FIELD_BOOL(struct token_request, witness),
};
const struct record_type token_request_type =
    RECORD_TYPE("token_request", struct token_request, token_request_fields);

static const struct field token_reply_fields[] = {
    FIELD_STRING(struct token_reply, token),
    FIELD_STRING(struct token_reply, address),
    FIELD_INT(struct token_reply, expires_ms),
    FIELD_INT(struct token_reply, id),
    FIELD_STRING(struct token_reply, name),
    FIELD_ENUM(struct token_reply, kind, token_kind_names),
    FIELD_ENUM(struct token_reply, role, token_role_names),
    FIELD_STRINGS(struct token_reply, stacks),
};
const struct record_type token_reply_type =
    RECORD_TYPE("token_reply", struct token_reply, token_reply_fields);

static const struct field token_info_fields[] = {
    FIELD_INT(struct token_info, id),
    FIELD_STRING(struct token_info, name),
    FIELD_STRING(struct token_info, kind),
    FIELD_STRING(struct token_info, role),
    FIELD_STRINGS(struct token_info, stacks),
    FIELD_STRING(struct token_info, created_by),
    FIELD_INT(struct token_info, created_ms),
    FIELD_INT(struct token_info, expires_ms),
    FIELD_BOOL(struct token_info, expired),
};
const struct record_type token_info_type =
    RECORD_TYPE("token_info", struct token_info, token_info_fields);

static const struct field token_list_reply_fields[] = {
    FIELD_LIST(struct token_list_reply, tokens, token_info_type),
};
const struct record_type token_list_reply_type =
    RECORD_TYPE("token_list_reply", struct token_list_reply, token_list_reply_fields);

static const struct field resource_info_fields[] = {
    FIELD_STRING(struct resource_info, name),
    FIELD_INT(struct resource_info, count),
    FIELD_INT(struct resource_info, reserved),
};
static const struct record_type resource_info_type =
    RECORD_TYPE("resource_info", struct resource_info, resource_info_fields);

static const struct field node_info_fields[] = {
    FIELD_INT(struct node_info, id),
    FIELD_STRING(struct node_info, name),
    FIELD_STRING(struct node_info, address),
    FIELD_STRING(struct node_info, status),
    FIELD_STRING(struct node_info, availability),
    FIELD_STRING(struct node_info, role),
    FIELD_BOOL(struct node_info, votes),
    FIELD_BOOL(struct node_info, leader),
    FIELD_LIST(struct node_info, labels, pair_type),
    FIELD_INT(struct node_info, cpu_milli),
    FIELD_INT(struct node_info, memory_bytes),
    FIELD_INT(struct node_info, cpu_reserved_milli),
    FIELD_INT(struct node_info, memory_reserved_bytes),
    FIELD_LIST(struct node_info, resources, resource_info_type),
    FIELD_INT(struct node_info, tasks),
    FIELD_STRING(struct node_info, version),
    FIELD_STRING(struct node_info, os),
    FIELD_STRING(struct node_info, arch),
    FIELD_INT(struct node_info, joined_ms),
    FIELD_INT(struct node_info, status_ms),
    FIELD_INT(struct node_info, clock_offset_ms),
    FIELD_BOOL(struct node_info, disk_full),
    FIELD_INT(struct node_info, disk_free_bytes),
};
const struct record_type node_info_type =
    RECORD_TYPE("node_info", struct node_info, node_info_fields);

static const struct field node_list_reply_fields[] = {
    FIELD_LIST(struct node_list_reply, nodes, node_info_type),
};
const struct record_type node_list_reply_type =
    RECORD_TYPE("node_list_reply", struct node_list_reply, node_list_reply_fields);

static const struct field node_remove_request_fields[] = {
    FIELD_STRING(struct node_remove_request, name),
    FIELD_BOOL(struct node_remove_request, force),
    FIELD_BOOL(struct node_remove_request, yes),
};
const struct record_type node_remove_request_type =
    RECORD_TYPE("node_remove_request", struct node_remove_request, node_remove_request_fields);

static const struct field node_set_request_fields[] = {
    FIELD_STRING(struct node_set_request, name),
    FIELD_STRING(struct node_set_request, availability),
    FIELD_BOOL(struct node_set_request, yes),
};
const struct record_type node_set_request_type =
    RECORD_TYPE("node_set_request", struct node_set_request, node_set_request_fields);

static const struct field node_change_reply_fields[] = {
    FIELD_BOOL(struct node_change_reply, done),
    FIELD_STRING(struct node_change_reply, warning),
};
const struct record_type node_change_reply_type =
    RECORD_TYPE("node_change_reply", struct node_change_reply, node_change_reply_fields);

static const struct field leave_request_fields[] = {
    FIELD_BOOL(struct leave_request, yes),
};
const struct record_type leave_request_type =
    RECORD_TYPE("leave_request", struct leave_request, leave_request_fields);

static const struct field cluster_info_fields[] = {
    FIELD_STRING(struct cluster_info, cluster),
    FIELD_STRING(struct cluster_info, pool),
    FIELD_STRING(struct cluster_info, spread),
    FIELD_BOOL(struct cluster_info, rebalance),
    FIELD_INT(struct cluster_info, vxlan_id),
    FIELD_INT(struct cluster_info, created_ms),
};
const struct record_type cluster_info_type =
    RECORD_TYPE("cluster_info", struct cluster_info, cluster_info_fields);

static const struct field cluster_set_request_fields[] = {
    FIELD_BOOL(struct cluster_set_request, set_spread),
    FIELD_STRING(struct cluster_set_request, spread),
    FIELD_BOOL(struct cluster_set_request, set_rebalance),
    FIELD_BOOL(struct cluster_set_request, rebalance),
};
const struct record_type cluster_set_request_type =
    RECORD_TYPE("cluster_set_request", struct cluster_set_request, cluster_set_request_fields);

static const struct field deploy_spec_fields[] = {
    FIELD_STRING(struct deploy_spec, name),
    FIELD_RECORD(struct deploy_spec, spec, spec_type),
};
const struct record_type deploy_spec_type =
    RECORD_TYPE("deploy_spec", struct deploy_spec, deploy_spec_fields);

static const struct field deploy_request_fields[] = {
    FIELD_STRING(struct deploy_request, name),
    FIELD_STRING(struct deploy_request, project),
    FIELD_BOOL(struct deploy_request, adopt),
    FIELD_BOOL(struct deploy_request, prune),
    FIELD_BOOL(struct deploy_request, pull),
    FIELD_BOOL(struct deploy_request, brief),
    FIELD_LIST(struct deploy_request, services, deploy_spec_type),
    FIELD_STRINGS(struct deploy_request, networks),
    FIELD_STRINGS(struct deploy_request, volumes),
    FIELD_LIST(struct deploy_request, own_networks, deploy_network_type),
    FIELD_LIST(struct deploy_request, own_volumes, deploy_volume_type),
    FIELD_LIST(struct deploy_request, contents, content_type),
};
const struct record_type deploy_request_type =
    RECORD_TYPE("deploy_request", struct deploy_request, deploy_request_fields);

static const struct field deploy_reply_fields[] = {
    FIELD_INT(struct deploy_reply, revision),
    FIELD_INT(struct deploy_reply, index),
    FIELD_STRINGS(struct deploy_reply, left),
    FIELD_STRINGS(struct deploy_reply, warnings),
};
const struct record_type deploy_reply_type =
    RECORD_TYPE("deploy_reply", struct deploy_reply, deploy_reply_fields);

static const struct field plan_item_fields[] = {
    FIELD_STRING(struct plan_item, action),
    FIELD_STRING(struct plan_item, object),
    FIELD_STRING(struct plan_item, node),
    FIELD_STRING(struct plan_item, detail),
};
const struct record_type plan_item_type =
    RECORD_TYPE("plan_item", struct plan_item, plan_item_fields);

static const struct field plan_reply_fields[] = {
    FIELD_BOOL(struct plan_reply, changes),
    FIELD_LIST(struct plan_reply, items, plan_item_type),
    FIELD_STRINGS(struct plan_reply, warnings),
};
const struct record_type plan_reply_type =
    RECORD_TYPE("plan_reply", struct plan_reply, plan_reply_fields);

static const struct field service_info_fields[] = {
    FIELD_INT(struct service_info, id),
    FIELD_STRING(struct service_info, name),
    FIELD_STRING(struct service_info, stack),
    FIELD_STRING(struct service_info, mode),
    FIELD_STRING(struct service_info, image),
    FIELD_INT(struct service_info, replicas),
    FIELD_INT(struct service_info, running),
    FIELD_INT(struct service_info, healthy),
    FIELD_INT(struct service_info, complete),
    FIELD_INT(struct service_info, updated),
    FIELD_INT(struct service_info, revision),
    FIELD_BOOL(struct service_info, removed),
    FIELD_STRING(struct service_info, state),
    FIELD_STRING(struct service_info, message),
    FIELD_STRINGS(struct service_info, ports),
    FIELD_BOOL(struct service_info, stopped),
    FIELD_STRING(struct service_info, cause),
    FIELD_STRING(struct service_info, rollout),
    FIELD_STRING(struct service_info, rollout_message),
    FIELD_RECORD(struct service_info, spec, spec_type),
    FIELD_INT(struct service_info, created_ms),
    FIELD_INT(struct service_info, updated_ms),
};
const struct record_type service_info_type =
    RECORD_TYPE("service_info", struct service_info, service_info_fields);

static const struct field service_list_reply_fields[] = {
    FIELD_LIST(struct service_list_reply, services, service_info_type),
};
const struct record_type service_list_reply_type =
    RECORD_TYPE("service_list_reply", struct service_list_reply, service_list_reply_fields);

static const struct field scale_request_fields[] = {
    FIELD_STRING(struct scale_request, name),
    FIELD_INT(struct scale_request, replicas),
};
const struct record_type scale_request_type =
    RECORD_TYPE("scale_request", struct scale_request, scale_request_fields);

static const struct field task_info_fields[] = {
    FIELD_INT(struct task_info, id),
    FIELD_STRING(struct task_info, name),
    FIELD_STRING(struct task_info, service),
    FIELD_INT(struct task_info, slot),
    FIELD_STRING(struct task_info, node),
    FIELD_STRING(struct task_info, image),
    FIELD_STRING(struct task_info, desired),
    FIELD_STRING(struct task_info, state),
    FIELD_STRING(struct task_info, health),
    FIELD_INT(struct task_info, run),
    FIELD_INT(struct task_info, restarts),
    FIELD_INT(struct task_info, exit_code),
    FIELD_STRING(struct task_info, message),
    FIELD_STRINGS(struct task_info, addresses),
    FIELD_STRING(struct task_info, network_of),
    FIELD_INT(struct task_info, revision),
    FIELD_INT(struct task_info, created_ms),
    FIELD_INT(struct task_info, state_ms),
    FIELD_STRING(struct task_info, moves_to),
    FIELD_STRING(struct task_info, move_reason),
};
const struct record_type task_info_type =
    RECORD_TYPE("task_info", struct task_info, task_info_fields);

static const struct field task_list_reply_fields[] = {
    FIELD_LIST(struct task_list_reply, tasks, task_info_type),
};
const struct record_type task_list_reply_type =
    RECORD_TYPE("task_list_reply", struct task_list_reply, task_list_reply_fields);

static const struct field logs_request_fields[] = {
    FIELD_INT(struct logs_request, task_id),
    FIELD_INT(struct logs_request, run),
    FIELD_INT(struct logs_request, file),
    FIELD_INT(struct logs_request, offset),
    FIELD_BOOL(struct logs_request, has_tail),
    FIELD_INT(struct logs_request, tail),
    FIELD_INT(struct logs_request, wait_ms),
};
const struct record_type logs_request_type =
    RECORD_TYPE("logs_request", struct logs_request, logs_request_fields);

static const struct field logs_reply_fields[] = {
    FIELD_BYTES(struct logs_reply, lines),
    FIELD_INT(struct logs_reply, run),
    FIELD_INT(struct logs_reply, file),
    FIELD_INT(struct logs_reply, offset),
    FIELD_BOOL(struct logs_reply, more),
    FIELD_BOOL(struct logs_reply, ended),
};
const struct record_type logs_reply_type =
    RECORD_TYPE("logs_reply", struct logs_reply, logs_reply_fields);

static const struct field upload_request_fields[] = {
    FIELD_STRING(struct upload_request, id),
    FIELD_INT(struct upload_request, offset),
    FIELD_BYTES(struct upload_request, data),
};
const struct record_type upload_request_type =
    RECORD_TYPE("upload_request", struct upload_request, upload_request_fields);

static const struct field upload_reply_fields[] = {
    FIELD_STRING(struct upload_reply, id),
    FIELD_INT(struct upload_reply, offset),
};
const struct record_type upload_reply_type =
    RECORD_TYPE("upload_reply", struct upload_reply, upload_reply_fields);

static const struct field image_load_request_fields[] = {
    FIELD_STRING(struct image_load_request, upload),
    FIELD_STRING(struct image_load_request, name),
};
const struct record_type image_load_request_type =
    RECORD_TYPE("image_load_request", struct image_load_request, image_load_request_fields);

static const struct field image_pull_request_fields[] = {
    FIELD_STRING(struct image_pull_request, name),
    FIELD_STRINGS(struct image_pull_request, plain_http),
    FIELD_STRING(struct image_pull_request, node),
    FIELD_STRING(struct image_pull_request, platform),
};
const struct record_type image_pull_request_type =
    RECORD_TYPE("image_pull_request", struct image_pull_request, image_pull_request_fields);

static const struct field image_push_request_fields[] = {
    FIELD_STRING(struct image_push_request, name),
    FIELD_STRINGS(struct image_push_request, plain_http),
    FIELD_STRING(struct image_push_request, node),
};
const struct record_type image_push_request_type =
    RECORD_TYPE("image_push_request", struct image_push_request, image_push_request_fields);

static const struct field job_reply_fields[] = {
    FIELD_STRING(struct job_reply, job),
};
const struct record_type job_reply_type =
    RECORD_TYPE("job_reply", struct job_reply, job_reply_fields);

static const struct field job_request_fields[] = {
    FIELD_STRING(struct job_request, job),
    FIELD_STRING(struct job_request, seen),
    FIELD_INT(struct job_request, wait_ms),
    FIELD_STRING(struct job_request, node),
};
const struct record_type job_request_type =
    RECORD_TYPE("job_request", struct job_request, job_request_fields);

static const struct field job_progress_fields[] = {
    FIELD_BOOL(struct job_progress, done),
    FIELD_STRING(struct job_progress, text),
    FIELD_INT(struct job_progress, code),
    FIELD_STRING(struct job_progress, message),
    FIELD_STRINGS(struct job_progress, names),
    FIELD_INT(struct job_progress, bytes),
    FIELD_RECORD(struct job_progress, checked, image_checked_type),
};
const struct record_type job_progress_type =
    RECORD_TYPE("job_progress", struct job_progress, job_progress_fields);

static const struct field image_info_fields[] = {
    FIELD_STRING(struct image_info, name),
    FIELD_STRING(struct image_info, digest),
    FIELD_INT(struct image_info, size_bytes),
    FIELD_INT(struct image_info, created_ms),
    FIELD_INT(struct image_info, used_ms),
    FIELD_INT(struct image_info, containers),
    FIELD_BOOL(struct image_info, kept),
    FIELD_BOOL(struct image_info, damaged),
};
const struct record_type image_info_type =
    RECORD_TYPE("image_info", struct image_info, image_info_fields);

static const struct field image_list_reply_fields[] = {
    FIELD_LIST(struct image_list_reply, images, image_info_type),
};
const struct record_type image_list_reply_type =
    RECORD_TYPE("image_list_reply", struct image_list_reply, image_list_reply_fields);

static const struct field backup_read_request_fields[] = {
    FIELD_STRING(struct backup_read_request, id),
    FIELD_INT(struct backup_read_request, offset),
    FIELD_BOOL(struct backup_read_request, done),
};
const struct record_type backup_read_request_type =
    RECORD_TYPE("backup_read_request", struct backup_read_request, backup_read_request_fields);

static const struct field backup_read_reply_fields[] = {
    FIELD_STRING(struct backup_read_reply, id),
    FIELD_INT(struct backup_read_reply, size),
    FIELD_BYTES(struct backup_read_reply, data),
};
const struct record_type backup_read_reply_type =
    RECORD_TYPE("backup_read_reply", struct backup_read_reply, backup_read_reply_fields);

static const struct field restore_request_fields[] = {
    FIELD_STRING(struct restore_request, upload),
    FIELD_BOOL(struct restore_request, forget_homes),
    FIELD_BOOL(struct restore_request, dry_run),
};
const struct record_type restore_request_type =
    RECORD_TYPE("restore_request", struct restore_request, restore_request_fields);

static const struct field restore_reply_fields[] = {
    FIELD_STRING(struct restore_reply, cluster),
    FIELD_STRING(struct restore_reply, address),
    FIELD_STRING(struct restore_reply, join_token),
    FIELD_STRING(struct restore_reply, from),
    FIELD_INT(struct restore_reply, from_index),
    FIELD_INT(struct restore_reply, from_ms),
    FIELD_INT(struct restore_reply, stacks),
    FIELD_INT(struct restore_reply, services),
    FIELD_INT(struct restore_reply, tasks),
    FIELD_INT(struct restore_reply, tokens),
    FIELD_INT(struct restore_reply, members),
    FIELD_INT(struct restore_reply, homes_here),
    FIELD_INT(struct restore_reply, homes_away),
    FIELD_INT(struct restore_reply, homes_forgot),
    FIELD_STRINGS(struct restore_reply, logins),
    FIELD_INT(struct restore_reply, secrets),
};
const struct record_type restore_reply_type =
    RECORD_TYPE("restore_reply", struct restore_reply, restore_reply_fields);

static const struct field recover_member_fields[] = {
    FIELD_INT(struct recover_member, id),
    FIELD_STRING(struct recover_member, name),
    FIELD_STRING(struct recover_member, address),
    FIELD_STRING(struct recover_member, role),
    FIELD_BOOL(struct recover_member, self),
};
const struct record_type recover_member_type =
    RECORD_TYPE("recover_member", struct recover_member, recover_member_fields);

static const struct field recover_report_fields[] = {
    FIELD_STRING(struct recover_report, cluster),
    FIELD_STRING(struct recover_report, node),
    FIELD_INT(struct recover_report, node_id),
    FIELD_STRING(struct recover_report, role),
    FIELD_BOOL(struct recover_report, witness),
    FIELD_BOOL(struct recover_report, cut_off),
    FIELD_INT(struct recover_report, term),
    FIELD_INT(struct recover_report, index),
    FIELD_INT(struct recover_report, index_term),
    FIELD_INT(struct recover_report, committed),
    FIELD_INT(struct recover_report, epoch),
    FIELD_INT(struct recover_report, heard_ms),
    FIELD_INT(struct recover_report, voters),
    FIELD_INT(struct recover_report, services),
    FIELD_INT(struct recover_report, tasks),
    FIELD_LIST(struct recover_report, members, recover_member_type),
};
const struct record_type recover_report_type =
    RECORD_TYPE("recover_report", struct recover_report, recover_report_fields);

static const struct field stalls_reply_fields[] = {
    FIELD_INT(struct stalls_reply, longest_us),
    FIELD_INT(struct stalls_reply, turns),
    FIELD_INT(struct stalls_reply, over_20ms),
    FIELD_INT(struct stalls_reply, over_100ms),
};
const struct record_type stalls_reply_type =
    RECORD_TYPE("stalls_reply", struct stalls_reply, stalls_reply_fields);
/* clang-format on */
