/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of the bodies of changes. */
#include "store/change.h"

#include "store/model.h"

/* clang-format off */
static const struct field change_cluster_init_fields[] = {
    FIELD_RECORD(struct change_cluster_init, cluster, cluster_type),
    FIELD_RECORD(struct change_cluster_init, node, node_type),
};

static const struct field change_cluster_set_fields[] = {
    FIELD_BOOL(struct change_cluster_set, set_spread),
    FIELD_STRING(struct change_cluster_set, spread),
    FIELD_BOOL(struct change_cluster_set, set_rebalance, .since = 4),
    FIELD_BOOL(struct change_cluster_set, no_rebalance, .since = 4),
};

static const struct field change_node_add_fields[] = {
    FIELD_RECORD(struct change_node_add, node, node_type),
    FIELD_BYTES(struct change_node_add, token_hash),
    FIELD_BOOL(struct change_node_add, replace, .since = 2),
};

static const struct field change_node_update_fields[] = {
    FIELD_INT(struct change_node_update, node_id),
    FIELD_BOOL(struct change_node_update, set_self),
    FIELD_BOOL(struct change_node_update, set_availability),
    FIELD_RECORD(struct change_node_update, node, node_type),
};

static const struct field change_node_status_fields[] = {
    FIELD_INT(struct change_node_status, node_id),
    FIELD_ENUM(struct change_node_status, status, node_status_names),
};

static const struct field change_node_remove_fields[] = {
    FIELD_INT(struct change_node_remove, node_id),
    FIELD_BOOL(struct change_node_remove, force),
};

static const struct field change_token_add_fields[] = {
    FIELD_RECORD(struct change_token_add, token, token_type),
};

static const struct field change_token_create_fields[] = {
    FIELD_RECORD(struct change_token_create, token, token_type),
};

static const struct field change_token_rotate_fields[] = {
    FIELD_INT(struct change_token_rotate, token_id),
    FIELD_BYTES(struct change_token_rotate, hash),
    FIELD_BYTES(struct change_token_rotate, ca),
};

static const struct field change_token_delete_fields[] = {
    FIELD_INT(struct change_token_delete, token_id),
};

static const struct field change_token_remove_fields[] = {
    FIELD_INT(struct change_token_remove, token_id),
};

static const struct field deploy_service_fields[] = {
    FIELD_STRING(struct deploy_service, name),
    FIELD_RECORD(struct deploy_service, spec, spec_type),
};
const struct record_type deploy_service_type =
    RECORD_TYPE("deploy_service", struct deploy_service, deploy_service_fields);

static const struct field change_stack_deploy_fields[] = {
    FIELD_STRING(struct change_stack_deploy, name),
    FIELD_STRING(struct change_stack_deploy, project),
    FIELD_INT(struct change_stack_deploy, expected_revision),
    FIELD_BOOL(struct change_stack_deploy, adopt),
    FIELD_BOOL(struct change_stack_deploy, prune),
    FIELD_LIST(struct change_stack_deploy, services, deploy_service_type),
    FIELD_STRINGS(struct change_stack_deploy, networks),
    FIELD_STRINGS(struct change_stack_deploy, volumes),
    FIELD_LIST(struct change_stack_deploy, own_networks, deploy_network_type, .since = 5),
    FIELD_LIST(struct change_stack_deploy, own_volumes, deploy_volume_type, .since = 5),
};

static const struct field change_stack_remove_fields[] = {
    FIELD_STRING(struct change_stack_remove, name),
};

static const struct field change_service_scale_fields[] = {
    FIELD_STRING(struct change_service_scale, stack),
    FIELD_STRING(struct change_service_scale, service),
    FIELD_INT(struct change_service_scale, replicas),
};

static const struct field change_service_remove_fields[] = {
    FIELD_INT(struct change_service_remove, service_id),
};

static const struct field change_task_create_fields[] = {
    FIELD_INT(struct change_task_create, service_id),
    FIELD_INT(struct change_task_create, service_index),
    FIELD_INT(struct change_task_create, slot),
    FIELD_INT(struct change_task_create, node_id),
    FIELD_BOOL(struct change_task_create, beside, .since = 2),
    FIELD_BOOL(struct change_task_create, hold, .since = 4),
    FIELD_INT(struct change_task_create, job_id, .since = 4),
    FIELD_INT(struct change_task_create, network_task, .since = 7),
};

static const struct field change_task_end_fields[] = {
    FIELD_INT(struct change_task_end, task_id),
    FIELD_STRING(struct change_task_end, reason),
};

static const struct field change_task_remove_fields[] = {
    FIELD_INT(struct change_task_remove, task_id),
    FIELD_BOOL(struct change_task_remove, lost),
};

static const struct field task_observation_fields[] = {
    FIELD_INT(struct task_observation, task_id),
    FIELD_ENUM(struct task_observation, state, task_state_names),
    FIELD_ENUM(struct task_observation, health, task_health_names),
    FIELD_INT(struct task_observation, run),
    FIELD_INT(struct task_observation, sequence),
    FIELD_INT(struct task_observation, exit_code),
    FIELD_STRING(struct task_observation, message),
    FIELD_INT(struct task_observation, state_ms),
    FIELD_INT(struct task_observation, attempts, .since = 4),
    FIELD_BOOL(struct task_observation, ready, .since = 4),
};
const struct record_type task_observation_type =
    RECORD_TYPE("observation", struct task_observation, task_observation_fields);

static const struct field change_task_report_fields[] = {
    FIELD_INT(struct change_task_report, node_id),
    FIELD_LIST(struct change_task_report, observations, task_observation_type),
};

static const struct field change_node_renew_fields[] = {
    FIELD_INT(struct change_node_renew, node_id),
    FIELD_BYTES(struct change_node_renew, public_key),
};

static const struct field change_level_raise_fields[] = {
    FIELD_INT(struct change_level_raise, level),
};

static const struct field change_recovered_fields[] = {
    FIELD_INT(struct change_recovered, epoch),
    FIELD_INT(struct change_recovered, node_id),
};

static const struct field resealed_fields[] = {
    FIELD_INT(struct resealed, registry_id, .since = 3),
    FIELD_INT(struct resealed, expected_index, .since = 3),
    FIELD_RECORD(struct resealed, password, sealed_type, .since = 3),
};
const struct record_type resealed_type =
    RECORD_TYPE("resealed", struct resealed, resealed_fields);

static const struct field content_key_fields[] = {
    FIELD_INT(struct content_key, content_id, .since = 5),
    FIELD_RECORD(struct content_key, key, sealed_type, .since = 5),
};
const struct record_type content_key_type =
    RECORD_TYPE("content_key", struct content_key, content_key_fields);

static const struct field change_key_set_fields[] = {
    FIELD_INT(struct change_key_set, expected_revision),
    FIELD_RECORD(struct change_key_set, keys, cluster_keys_type),
    FIELD_LIST(struct change_key_set, registries, resealed_type, .since = 3),
    FIELD_LIST(struct change_key_set, contents, content_key_type, .since = 5),
};

static const struct field change_registry_set_fields[] = {
    FIELD_RECORD(struct change_registry_set, registry, registry_type),
    FIELD_INT(struct change_registry_set, expected_index),
};

static const struct field change_registry_remove_fields[] = {
    FIELD_INT(struct change_registry_remove, registry_id),
    FIELD_INT(struct change_registry_remove, expected_index),
};

static const struct field change_ca_rotate_fields[] = {
    FIELD_INT(struct change_ca_rotate, expected_revision),
    FIELD_STRING(struct change_ca_rotate, ca),
    FIELD_STRING(struct change_ca_rotate, cross),
    FIELD_RECORD(struct change_ca_rotate, ca_key, sealed_type),
};

static const struct field change_service_stop_fields[] = {
    FIELD_STRING(struct change_service_stop, stack),
    FIELD_STRING(struct change_service_stop, service),
    FIELD_BOOL(struct change_service_stop, start),
};

static const struct field change_service_rollback_fields[] = {
    FIELD_STRING(struct change_service_rollback, stack),
    FIELD_STRING(struct change_service_rollback, service),
    FIELD_INT(struct change_service_rollback, expected_revision),
    FIELD_INT(struct change_service_rollback, revision),
};

static const struct field change_service_restart_fields[] = {
    FIELD_STRING(struct change_service_restart, stack),
    FIELD_STRING(struct change_service_restart, service),
};

static const struct field change_service_retire_fields[] = {
    FIELD_STRING(struct change_service_retire, stack),
    FIELD_STRING(struct change_service_retire, service),
};

static const struct field change_rollout_set_fields[] = {
    FIELD_INT(struct change_rollout_set, service_id),
    FIELD_INT(struct change_rollout_set, revision),
    FIELD_ENUM(struct change_rollout_set, state, rollout_state_names),
    FIELD_STRING(struct change_rollout_set, message),
};

static const struct field change_task_move_fields[] = {
    FIELD_INT(struct change_task_move, task_id),
    FIELD_INT(struct change_task_move, node_id),
    FIELD_STRING(struct change_task_move, reason),
};

static const struct field change_task_release_fields[] = {
    FIELD_INT(struct change_task_release, task_id),
};

static const struct field change_job_start_fields[] = {
    FIELD_INT(struct change_job_start, service_id),
    FIELD_INT(struct change_job_start, service_index),
    FIELD_INT(struct change_job_start, scheduled_ms),
    FIELD_STRING(struct change_job_start, cause),
    FIELD_BOOL(struct change_job_start, skip),
    FIELD_STRING(struct change_job_start, message),
};

static const struct field change_job_end_fields[] = {
    FIELD_INT(struct change_job_end, job_id),
    FIELD_ENUM(struct change_job_end, state, job_state_names),
    FIELD_STRING(struct change_job_end, message),
};

static const struct field change_content_add_fields[] = {
    FIELD_RECORD(struct change_content_add, content, content_type),
};

static const struct field change_content_remove_fields[] = {
    FIELD_ENUM(struct change_content_remove, kind, content_kind_names),
    FIELD_STRING(struct change_content_remove, base),
};

static const struct field change_network_create_fields[] = {
    FIELD_RECORD(struct change_network_create, network, network_type),
    FIELD_BOOL(struct change_network_create, ipv6, .since = 6),
};

static const struct field change_network_remove_fields[] = {
    FIELD_STRING(struct change_network_remove, name),
};

static const struct field change_volume_create_fields[] = {
    FIELD_RECORD(struct change_volume_create, volume, volume_type),
};

static const struct field change_volume_remove_fields[] = {
    FIELD_STRING(struct change_volume_remove, name),
    FIELD_INT(struct change_volume_remove, home_node_id),
};

static const struct field change_volume_home_fields[] = {
    FIELD_STRING(struct change_volume_home, name),
    FIELD_INT(struct change_volume_home, from_node_id),
    FIELD_INT(struct change_volume_home, to_node_id),
};

static const struct field change_dns_set_fields[] = {
    FIELD_STRING(struct change_dns_set, name),
    FIELD_STRING(struct change_dns_set, type),
    FIELD_STRING(struct change_dns_set, value),
    FIELD_INT(struct change_dns_set, ttl),
};

static const struct field change_dns_remove_fields[] = {
    FIELD_STRING(struct change_dns_remove, name),
    FIELD_STRING(struct change_dns_remove, type),
    FIELD_STRING(struct change_dns_remove, value),
};

static const struct field change_ca_finish_fields[] = {
    FIELD_INT(struct change_ca_finish, expected_revision),
    FIELD_BYTES(struct change_ca_finish, ca_hash),
};
/* clang-format on */

#define X(kind, number, body)                                                                      \
    const struct record_type change_##body##_type =                                                \
        RECORD_TYPE(#body, struct change_##body, change_##body##_fields);
CHANGE_KINDS(X)
#undef X

const struct record_type *change_type(int kind)
{
    switch (kind) {
#define X(name, number, body)                                                                      \
    case number:                                                                                   \
        return &change_##body##_type;
        CHANGE_KINDS(X)
#undef X
    default:
        return NULL;
    }
}

const char *change_name(int kind)
{
    switch (kind) {
#define X(name, number, body)                                                                      \
    case number:                                                                                   \
        return #name;
        CHANGE_KINDS(X)
#undef X
    default:
        return "?";
    }
}
