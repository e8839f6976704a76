/* SPDX-License-Identifier: Apache-2.0 */
#include "store/model.h"

#include "base/mem.h"

#include <string.h>

const char *const protocol_names[] = {"tcp", "udp", NULL};
static const char *const mount_kind_names[] = {"volume", "bind", NULL};
static const char *const restart_condition_names[] = {"any", "on-failure", "none", NULL};
static const char *const depends_condition_names[] = {"service_started", "service_healthy",
                                                      "service_completed_successfully", NULL};
const char *const service_mode_names[] = {"replicated", "global", "replicated-job", NULL};
const char *const task_desired_names[] = {"run", "end", NULL};
const char *const task_state_names[] = {"new",     "fetching", "creating", "waiting", "starting",
                                        "running", "complete", "failed",   "ended",   NULL};
const char *const task_health_names[] = {"none", "starting", "healthy", "unhealthy", NULL};
const char *const availability_names[] = {"active", "pause", "drain", NULL};
const char *const node_status_names[] = {"up", "down", NULL};
const char *const token_kind_names[] = {"join", "call", NULL};
const char *const token_role_names[] = {"admin", "deployer", "viewer", NULL};

/* clang-format off */
static const struct field pair_fields[] = {
    FIELD_STRING(struct pair, key),
    FIELD_STRING(struct pair, value),
};
const struct record_type pair_type = RECORD_TYPE("pair", struct pair, pair_fields);

static const struct field port_spec_fields[] = {
    FIELD_ENUM(struct port_spec, protocol, protocol_names),
    FIELD_INT(struct port_spec, published),
    FIELD_INT(struct port_spec, target),
};
const struct record_type port_spec_type = RECORD_TYPE("port", struct port_spec, port_spec_fields);

static const struct field attachment_fields[] = {
    FIELD_STRING(struct attachment, network),
    FIELD_STRINGS(struct attachment, aliases),
};
const struct record_type attachment_type =
    RECORD_TYPE("attachment", struct attachment, attachment_fields);

static const struct field mount_spec_fields[] = {
    FIELD_ENUM(struct mount_spec, kind, mount_kind_names),
    FIELD_STRING(struct mount_spec, source),
    FIELD_STRING(struct mount_spec, target),
    FIELD_BOOL(struct mount_spec, read_only),
};
const struct record_type mount_spec_type =
    RECORD_TYPE("mount", struct mount_spec, mount_spec_fields);

static const struct field restart_policy_fields[] = {
    FIELD_ENUM(struct restart_policy, condition, restart_condition_names),
    FIELD_INT(struct restart_policy, delay_ms),
    FIELD_INT(struct restart_policy, max_attempts),
    FIELD_INT(struct restart_policy, window_ms),
};
static const struct record_type restart_policy_type =
    RECORD_TYPE("restart", struct restart_policy, restart_policy_fields);

static const struct field depends_spec_fields[] = {
    FIELD_STRING(struct depends_spec, service),
    FIELD_ENUM(struct depends_spec, condition, depends_condition_names),
};
static const struct record_type depends_spec_type =
    RECORD_TYPE("depends_on", struct depends_spec, depends_spec_fields);

static const struct field health_spec_fields[] = {
    FIELD_STRINGS(struct health_spec, test),
    FIELD_INT(struct health_spec, interval_ms),
    FIELD_INT(struct health_spec, timeout_ms),
    FIELD_INT(struct health_spec, retries),
    FIELD_INT(struct health_spec, start_period_ms),
};
static const struct record_type health_spec_type =
    RECORD_TYPE("healthcheck", struct health_spec, health_spec_fields);

static const struct field constraint_fields[] = {
    FIELD_STRING(struct constraint, key),
    FIELD_BOOL(struct constraint, negated),
    FIELD_STRING(struct constraint, value),
};
const struct record_type constraint_type =
    RECORD_TYPE("constraint", struct constraint, constraint_fields);

static const struct field resources_fields[] = {
    FIELD_INT(struct resources, cpu_milli),
    FIELD_INT(struct resources, memory_bytes),
    FIELD_INT(struct resources, pids),
};
static const struct record_type resources_type =
    RECORD_TYPE("resources", struct resources, resources_fields);

static const struct field update_policy_fields[] = {
    FIELD_INT(struct update_policy, parallelism),
    FIELD_INT(struct update_policy, delay_ms),
};
static const struct record_type update_policy_type =
    RECORD_TYPE("update", struct update_policy, update_policy_fields);

static const struct field spec_fields[] = {
    FIELD_STRING(struct spec, image),
    FIELD_STRINGS(struct spec, entrypoint),
    FIELD_BOOL(struct spec, entrypoint_set),
    FIELD_STRINGS(struct spec, command),
    FIELD_BOOL(struct spec, command_set),
    FIELD_STRINGS(struct spec, environment),
    FIELD_LIST(struct spec, labels, pair_type),
    FIELD_STRING(struct spec, user),
    FIELD_STRING(struct spec, working_dir),
    FIELD_STRING(struct spec, hostname),
    FIELD_STRING(struct spec, stop_signal),
    FIELD_INT(struct spec, stop_grace_ms),
    FIELD_BOOL(struct spec, read_only),
    FIELD_LIST(struct spec, ports, port_spec_type),
    FIELD_LIST(struct spec, networks, attachment_type),
    FIELD_LIST(struct spec, mounts, mount_spec_type),
    FIELD_RECORD(struct spec, restart, restart_policy_type),
    FIELD_LIST(struct spec, depends_on, depends_spec_type),
    FIELD_RECORD(struct spec, health, health_spec_type),
    FIELD_ENUM(struct spec, mode, service_mode_names),
    FIELD_INT(struct spec, replicas),
    FIELD_LIST(struct spec, constraints, constraint_type),
    FIELD_INT(struct spec, max_per_node),
    FIELD_RECORD(struct spec, reservations, resources_type),
    FIELD_RECORD(struct spec, limits, resources_type),
    FIELD_RECORD(struct spec, update, update_policy_type),
};
const struct record_type spec_type = RECORD_TYPE("spec", struct spec, spec_fields);

static const struct field sealed_fields[] = {
    FIELD_INT(struct sealed, generation, .since = 2),
    FIELD_BYTES(struct sealed, data, .since = 2),
};
const struct record_type sealed_type = RECORD_TYPE("sealed", struct sealed, sealed_fields);

static const struct field cluster_keys_fields[] = {
    FIELD_INT(struct cluster_keys, generation, .since = 2),
    FIELD_BYTES(struct cluster_keys, check, .since = 2),
    FIELD_RECORD(struct cluster_keys, ca_key, sealed_type, .since = 2),
    FIELD_BOOL(struct cluster_keys, locked, .since = 2),
    FIELD_RECORD(struct cluster_keys, wrap, sealed_type, .since = 2),
    FIELD_RECORD(struct cluster_keys, unlock, sealed_type, .since = 2),
    FIELD_INT(struct cluster_keys, revision, .since = 2),
};
const struct record_type cluster_keys_type =
    RECORD_TYPE("keys", struct cluster_keys, cluster_keys_fields);

static const struct field cluster_fields[] = {
    FIELD_INT(struct cluster, id),
    FIELD_STRING(struct cluster, uuid),
    FIELD_STRING(struct cluster, ca),
    FIELD_STRING(struct cluster, ca_old, .since = 2),
    FIELD_STRING(struct cluster, ca_cross, .since = 2),
    FIELD_RECORD(struct cluster, keys, cluster_keys_type, .since = 2),
    FIELD_STRING(struct cluster, pool),
    FIELD_INT(struct cluster, vxlan_id),
    FIELD_STRING(struct cluster, spread, .since = 2),
    FIELD_INT(struct cluster, level, .since = 2),
    FIELD_INT(struct cluster, epoch, .since = 2),
    FIELD_INT(struct cluster, created_ms),
    FIELD_INT(struct cluster, created_index),
    FIELD_INT(struct cluster, modified_index),
};
const struct record_type cluster_type = RECORD_TYPE("cluster", struct cluster, cluster_fields);

static const struct field stack_fields[] = {
    FIELD_INT(struct stack, id),
    FIELD_STRING(struct stack, name),
    FIELD_STRING(struct stack, project),
    FIELD_INT(struct stack, revision),
    FIELD_INT(struct stack, created_ms),
    FIELD_INT(struct stack, updated_ms),
    FIELD_INT(struct stack, created_index),
    FIELD_INT(struct stack, modified_index),
};
const struct record_type stack_type = RECORD_TYPE("stack", struct stack, stack_fields);

static const struct field service_fields[] = {
    FIELD_INT(struct service, id),
    FIELD_INT(struct service, stack_id),
    FIELD_STRING(struct service, stack),
    FIELD_STRING(struct service, name),
    FIELD_INT(struct service, revision),
    FIELD_BOOL(struct service, removed),
    FIELD_RECORD(struct service, spec, spec_type),
    FIELD_INT(struct service, created_ms),
    FIELD_INT(struct service, updated_ms),
    FIELD_INT(struct service, created_index),
    FIELD_INT(struct service, modified_index),
};
const struct record_type service_type = RECORD_TYPE("service", struct service, service_fields);

static const struct field revision_fields[] = {
    FIELD_INT(struct revision, id),
    FIELD_INT(struct revision, service_id),
    FIELD_INT(struct revision, revision),
    FIELD_RECORD(struct revision, spec, spec_type),
    FIELD_INT(struct revision, created_index),
    FIELD_INT(struct revision, modified_index),
};
const struct record_type revision_type =
    RECORD_TYPE("revision", struct revision, revision_fields);

static const struct field task_address_fields[] = {
    FIELD_INT(struct task_address, network_id),
    FIELD_STRING(struct task_address, address),
};
const struct record_type task_address_type =
    RECORD_TYPE("address", struct task_address, task_address_fields);

static const struct field task_fields[] = {
    FIELD_INT(struct task, id),
    FIELD_INT(struct task, service_id),
    FIELD_STRING(struct task, stack),
    FIELD_STRING(struct task, service),
    FIELD_INT(struct task, slot),
    FIELD_INT(struct task, node_id),
    FIELD_INT(struct task, revision),
    FIELD_ENUM(struct task, desired, task_desired_names),
    FIELD_ENUM(struct task, state, task_state_names),
    FIELD_ENUM(struct task, health, task_health_names),
    FIELD_INT(struct task, run),
    FIELD_INT(struct task, sequence),
    FIELD_INT(struct task, exit_code),
    FIELD_STRING(struct task, message),
    FIELD_LIST(struct task, addresses, task_address_type),
    FIELD_INT(struct task, created_ms),
    FIELD_INT(struct task, state_ms),
    FIELD_INT(struct task, created_index),
    FIELD_INT(struct task, modified_index),
};
const struct record_type task_type = RECORD_TYPE("task", struct task, task_fields);

static const struct field node_fields[] = {
    FIELD_INT(struct node, id),
    FIELD_STRING(struct node, name),
    FIELD_STRING(struct node, address),
    FIELD_INT(struct node, call_port),
    FIELD_BYTES(struct node, public_key),
    FIELD_LIST(struct node, labels, pair_type),
    FIELD_INT(struct node, cpu_milli),
    FIELD_INT(struct node, memory_bytes),
    FIELD_STRING(struct node, version),
    FIELD_INT(struct node, level, .since = 2),
    FIELD_BOOL(struct node, cut_off, .since = 2),
    FIELD_INT(struct node, raft_id, .since = 2),
    FIELD_STRING(struct node, os),
    FIELD_STRING(struct node, arch),
    FIELD_BOOL(struct node, witness, .since = 2),
    FIELD_BYTES(struct node, cert_ca, .since = 2),
    FIELD_INT(struct node, cert_until_ms, .since = 2),
    FIELD_ENUM(struct node, availability, availability_names),
    FIELD_ENUM(struct node, status, node_status_names),
    FIELD_INT(struct node, status_ms),
    FIELD_INT(struct node, joined_ms),
    FIELD_INT(struct node, created_index),
    FIELD_INT(struct node, modified_index),
};
const struct record_type node_type = RECORD_TYPE("node", struct node, node_fields);

static const struct field network_fields[] = {
    FIELD_INT(struct network, id),
    FIELD_INT(struct network, stack_id),
    FIELD_STRING(struct network, name),
    FIELD_STRING(struct network, prefix),
    FIELD_INT(struct network, created_index),
    FIELD_INT(struct network, modified_index),
};
const struct record_type network_type = RECORD_TYPE("network", struct network, network_fields);

static const struct field volume_fields[] = {
    FIELD_INT(struct volume, id),
    FIELD_INT(struct volume, stack_id),
    FIELD_STRING(struct volume, name),
    FIELD_INT(struct volume, home_node_id),
    FIELD_STRING(struct volume, home_name, .since = 2),
    FIELD_INT(struct volume, created_index),
    FIELD_INT(struct volume, modified_index),
};
const struct record_type volume_type = RECORD_TYPE("volume", struct volume, volume_fields);

static const struct field token_fields[] = {
    FIELD_INT(struct token, id),
    FIELD_STRING(struct token, name, .since = 2),
    FIELD_ENUM(struct token, kind, token_kind_names),
    FIELD_ENUM(struct token, role, token_role_names, .since = 2),
    FIELD_STRINGS(struct token, stacks, .since = 2),
    FIELD_BOOL(struct token, witness, .since = 2),
    FIELD_STRING(struct token, created_by, .since = 2),
    FIELD_BYTES(struct token, hash),
    FIELD_BYTES(struct token, ca, .since = 2),
    FIELD_INT(struct token, expires_ms),
    FIELD_INT(struct token, created_ms),
    FIELD_INT(struct token, created_index),
    FIELD_INT(struct token, modified_index),
};
const struct record_type token_type = RECORD_TYPE("token", struct token, token_fields);

static const struct field event_fields[] = {
    FIELD_INT(struct event, id),
    FIELD_INT(struct event, at_ms),
    FIELD_STRING(struct event, kind),
    FIELD_STRING(struct event, object),
    FIELD_STRING(struct event, text),
    FIELD_INT(struct event, created_index),
    FIELD_INT(struct event, modified_index),
};
const struct record_type event_type = RECORD_TYPE("event", struct event, event_fields);
/* clang-format on */

bool task_is_terminal(enum task_state state)
{
    return state >= TASK_COMPLETE;
}

bool task_is_healthy(const struct task *task)
{
    return task->state == TASK_RUNNING &&
           (task->health == HEALTH_NONE || task->health == HEALTH_HEALTHY);
}

static bool name_of(const char *name, const char *inner)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(name);
    if (len == 0 || len > 63)
        return false;
    return (strchr(first, name[0]) ||
            (name[0] >= 'A' && name[0] <= 'Z' && strchr(inner, name[0]))) &&
           strspn(name, inner) == len;
}

bool name_is_valid(const char *name)
{
    return name_of(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
}

bool node_name_is_valid(const char *name)
{
    return name_of(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
}

bool label_key_is_valid(const char *key)
{
    size_t len = strlen(key);
    if (len == 0 || len > 63)
        return false;
    for (size_t i = 0; i < len; i++)
        if (key[i] <= ' ' || key[i] > '~' || key[i] == '=')
            return false;
    return true;
}

bool token_name_is_valid(const char *name)
{
    return node_name_is_valid(name) && strspn(name, "0123456789") < strlen(name);
}

const char *pair_get(const struct pair *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(pairs[i].key, key))
            return str_or_empty(pairs[i].value);
    return NULL;
}
