/* SPDX-License-Identifier: Apache-2.0 */
#include "store/model.h"

#include "base/mem.h"

#include <string.h>

const char *const protocol_names[] = {"tcp", "udp", NULL};
static const char *const port_mode_names[] = {"ingress", "host", NULL};
const char *const content_kind_names[] = {"config", "secret", NULL};
static const char *const mount_kind_names[] = {"volume", "bind", NULL};
static const char *const restart_condition_names[] = {"any", "on-failure", "none", NULL};
static const char *const depends_condition_names[] = {"service_started", "service_healthy",
                                                      "service_completed_successfully", NULL};
static const char *const init_choice_names[] = {"default", "yes", "no", NULL};
static const char *const pull_policy_names[] = {"missing", "always", "never", NULL};
static const char *const probe_kind_names[] = {"command", "http", "tcp", "grpc", NULL};
static const char *const unhealthy_action_names[] = {"restart", "keep", NULL};
static const char *const update_failure_names[] = {"pause", "continue", "rollback", NULL};
static const char *const update_order_names[] = {"stop-first", "start-first", NULL};
const char *const concurrency_names[] = {"forbid", "allow", "replace", NULL};
static const char *const endpoint_mode_names[] = {"default", "dnsrr", "vip", NULL};
const char *const job_state_names[] = {"running",  "succeeded", "failed",
                                       "canceled", "skipped",   NULL};
const char *const service_mode_names[] = {"replicated", "global", "replicated-job", "global-job",
                                          NULL};
const char *const rollout_state_names[] = {"none",         "updating",        "paused",      "done",
                                           "rolling back", "rollback paused", "rolled back", NULL};
const char *const task_desired_names[] = {"run", "end", "ready", NULL};
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
    FIELD_ENUM(struct port_spec, mode, port_mode_names, .since = 5),
};
const struct record_type port_spec_type = RECORD_TYPE("port", struct port_spec, port_spec_fields);

static const struct field attachment_fields[] = {
    FIELD_STRING(struct attachment, network),
    FIELD_STRINGS(struct attachment, aliases),
    FIELD_BOOL(struct attachment, full, .since = 5),
    FIELD_STRING(struct attachment, address, .since = 5),
    FIELD_STRING(struct attachment, address6, .since = 6),
};
const struct record_type attachment_type =
    RECORD_TYPE("attachment", struct attachment, attachment_fields);

static const struct field mount_spec_fields[] = {
    FIELD_ENUM(struct mount_spec, kind, mount_kind_names),
    FIELD_STRING(struct mount_spec, source),
    FIELD_STRING(struct mount_spec, target),
    FIELD_BOOL(struct mount_spec, read_only),
    FIELD_STRING(struct mount_spec, propagation, .since = 3),
    FIELD_BOOL(struct mount_spec, create_source, .since = 3),
    FIELD_STRING(struct mount_spec, subpath, .since = 5),
    FIELD_BOOL(struct mount_spec, no_copy, .since = 5),
};
const struct record_type mount_spec_type =
    RECORD_TYPE("mount", struct mount_spec, mount_spec_fields);

static const struct field content_ref_fields[] = {
    FIELD_STRING(struct content_ref, source, .since = 5),
    FIELD_STRING(struct content_ref, target, .since = 5),
    FIELD_STRING(struct content_ref, uid, .since = 5),
    FIELD_STRING(struct content_ref, gid, .since = 5),
    FIELD_INT(struct content_ref, mode, .since = 5),
};
const struct record_type content_ref_type =
    RECORD_TYPE("content", struct content_ref, content_ref_fields);

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
    FIELD_INT(struct health_spec, start_interval_ms, .since = 4),
    FIELD_ENUM(struct health_spec, probe, probe_kind_names, .since = 4),
    FIELD_INT(struct health_spec, port, .since = 4),
    FIELD_STRING(struct health_spec, path, .since = 4),
    FIELD_STRING(struct health_spec, host, .since = 4),
    FIELD_STRING(struct health_spec, service, .since = 4),
    FIELD_ENUM(struct health_spec, on_unhealthy, unhealthy_action_names, .since = 4),
};
const struct record_type health_spec_type =
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
    FIELD_ENUM(struct update_policy, failure, update_failure_names, .since = 4),
    FIELD_INT(struct update_policy, monitor_ms, .since = 4),
    FIELD_INT(struct update_policy, max_failure_permille, .since = 4),
    FIELD_ENUM(struct update_policy, order, update_order_names, .since = 4),
};
const struct record_type update_policy_type =
    RECORD_TYPE("update", struct update_policy, update_policy_fields);

static const struct field resource_fields[] = {
    FIELD_STRING(struct resource, name, .since = 4),
    FIELD_INT(struct resource, count, .since = 4),
};
const struct record_type resource_type = RECORD_TYPE("resource", struct resource, resource_fields);

static const struct field job_spec_fields[] = {
    FIELD_INT(struct job_spec, parallelism, .since = 4),
    FIELD_INT(struct job_spec, deadline_ms, .since = 4),
    FIELD_STRING(struct job_spec, schedule, .since = 4),
    FIELD_STRING(struct job_spec, time_zone, .since = 4),
    FIELD_ENUM(struct job_spec, concurrency, concurrency_names, .since = 4),
    FIELD_INT(struct job_spec, catch_up_ms, .since = 4),
    FIELD_INT(struct job_spec, history, .since = 4),
};
const struct record_type job_spec_type = RECORD_TYPE("job", struct job_spec, job_spec_fields);

static const struct field device_spec_fields[] = {
    FIELD_STRING(struct device_spec, source, .since = 3),
    FIELD_STRING(struct device_spec, target, .since = 3),
    FIELD_STRING(struct device_spec, access, .since = 3),
};
static const struct record_type device_spec_type =
    RECORD_TYPE("device", struct device_spec, device_spec_fields);

static const struct field ulimit_spec_fields[] = {
    FIELD_STRING(struct ulimit_spec, name, .since = 3),
    FIELD_INT(struct ulimit_spec, soft, .since = 3),
    FIELD_INT(struct ulimit_spec, hard, .since = 3),
};
static const struct record_type ulimit_spec_type =
    RECORD_TYPE("ulimit", struct ulimit_spec, ulimit_spec_fields);

static const struct field tmpfs_spec_fields[] = {
    FIELD_STRING(struct tmpfs_spec, target, .since = 3),
    FIELD_INT(struct tmpfs_spec, size_bytes, .since = 3),
    FIELD_INT(struct tmpfs_spec, mode, .since = 3),
    FIELD_STRINGS(struct tmpfs_spec, options, .since = 3),
};
static const struct record_type tmpfs_spec_type =
    RECORD_TYPE("tmpfs", struct tmpfs_spec, tmpfs_spec_fields);

static const struct field io_spec_fields[] = {
    FIELD_STRING(struct io_spec, path, .since = 3),
    FIELD_INT(struct io_spec, value, .since = 3),
};
static const struct record_type io_spec_type =
    RECORD_TYPE("io", struct io_spec, io_spec_fields);

static const struct field blkio_spec_fields[] = {
    FIELD_INT(struct blkio_spec, weight, .since = 3),
    FIELD_LIST(struct blkio_spec, weights, io_spec_type, .since = 3),
    FIELD_LIST(struct blkio_spec, read_bps, io_spec_type, .since = 3),
    FIELD_LIST(struct blkio_spec, write_bps, io_spec_type, .since = 3),
    FIELD_LIST(struct blkio_spec, read_iops, io_spec_type, .since = 3),
    FIELD_LIST(struct blkio_spec, write_iops, io_spec_type, .since = 3),
};
static const struct record_type blkio_spec_type =
    RECORD_TYPE("blkio", struct blkio_spec, blkio_spec_fields);

static const struct field logging_spec_fields[] = {
    FIELD_STRING(struct logging_spec, driver, .since = 3),
    FIELD_LIST(struct logging_spec, options, pair_type, .since = 3),
};
static const struct record_type logging_spec_type =
    RECORD_TYPE("logging", struct logging_spec, logging_spec_fields);

static const struct field container_options_fields[] = {
    FIELD_STRINGS(struct container_options, group_add, .since = 3),
    FIELD_STRING(struct container_options, domainname, .since = 3),
    FIELD_STRINGS(struct container_options, extra_hosts, .since = 3),
    FIELD_STRINGS(struct container_options, dns, .since = 3),
    FIELD_STRINGS(struct container_options, dns_search, .since = 3),
    FIELD_STRINGS(struct container_options, dns_opt, .since = 3),
    FIELD_LIST(struct container_options, tmpfs, tmpfs_spec_type, .since = 3),
    FIELD_INT(struct container_options, shm_bytes, .since = 3),
    FIELD_STRINGS(struct container_options, cap_add, .since = 3),
    FIELD_STRINGS(struct container_options, cap_drop, .since = 3),
    FIELD_BOOL(struct container_options, privileged, .since = 3),
    FIELD_LIST(struct container_options, devices, device_spec_type, .since = 3),
    FIELD_STRINGS(struct container_options, device_rules, .since = 3),
    FIELD_BOOL(struct container_options, no_new_privileges, .since = 3),
    FIELD_STRING(struct container_options, seccomp, .since = 3),
    FIELD_STRING(struct container_options, apparmor, .since = 3),
    FIELD_LIST(struct container_options, sysctls, pair_type, .since = 3),
    FIELD_LIST(struct container_options, ulimits, ulimit_spec_type, .since = 3),
    FIELD_ENUM(struct container_options, init, init_choice_names, .since = 3),
    FIELD_BOOL(struct container_options, stdin_open, .since = 3),
    FIELD_BOOL(struct container_options, tty, .since = 3),
    FIELD_STRING(struct container_options, pid, .since = 3),
    FIELD_STRING(struct container_options, ipc, .since = 3),
    FIELD_STRING(struct container_options, uts, .since = 3),
    FIELD_STRING(struct container_options, userns, .since = 3),
    FIELD_STRING(struct container_options, cgroup, .since = 3),
    FIELD_INT(struct container_options, memswap_bytes, .since = 3),
    FIELD_INT(struct container_options, swappiness_set, .since = 3),
    FIELD_INT(struct container_options, reserved_bytes, .since = 3),
    FIELD_STRING(struct container_options, cpuset, .since = 3),
    FIELD_INT(struct container_options, cpu_shares, .since = 3),
    FIELD_RECORD(struct container_options, blkio, blkio_spec_type, .since = 3),
    FIELD_INT(struct container_options, oom_score_adj, .since = 3),
    FIELD_BOOL(struct container_options, oom_kill_disable, .since = 3),
    FIELD_RECORD(struct container_options, logging, logging_spec_type, .since = 3),
    FIELD_STRING(struct container_options, runtime, .since = 3),
    FIELD_INT(struct container_options, storage_bytes, .since = 3),
    FIELD_LIST(struct container_options, annotations, pair_type, .since = 3),
    FIELD_BOOL(struct container_options, network_host, .since = 3),
};
const struct record_type container_options_type =
    RECORD_TYPE("options", struct container_options, container_options_fields);

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
    FIELD_ENUM(struct spec, mode, service_mode_names, .newer = MODE_GLOBAL_JOB, .newer_since = 4),
    FIELD_INT(struct spec, replicas),
    FIELD_LIST(struct spec, constraints, constraint_type),
    FIELD_INT(struct spec, max_per_node),
    FIELD_RECORD(struct spec, reservations, resources_type),
    FIELD_RECORD(struct spec, limits, resources_type),
    FIELD_RECORD(struct spec, update, update_policy_type),
    FIELD_STRING(struct spec, image_digest, .since = 3),
    FIELD_ENUM(struct spec, pull_policy, pull_policy_names, .since = 3),
    FIELD_STRING(struct spec, platform, .since = 3),
    FIELD_RECORD(struct spec, options, container_options_type, .since = 3),
    FIELD_RECORD(struct spec, rollback, update_policy_type, .since = 4),
    FIELD_RECORD(struct spec, job, job_spec_type, .since = 4),
    FIELD_LIST(struct spec, resources, resource_type, .since = 4),
    FIELD_STRINGS(struct spec, spread, .since = 4),
    FIELD_ENUM(struct spec, endpoint_mode, endpoint_mode_names, .since = 4,
               .newer = ENDPOINT_VIP, .newer_since = 5),
    FIELD_BOOL(struct spec, single, .since = 4),
    FIELD_INT(struct spec, lease_ms, .since = 4),
    FIELD_INT(struct spec, failover_ms, .since = 4),
    FIELD_INT(struct spec, drain_ms, .since = 4),
    FIELD_INT(struct spec, rollout_deadline_ms, .since = 4),
    FIELD_BOOL(struct spec, no_rebalance, .since = 4),
    FIELD_INT(struct spec, restarts, .since = 4),
    FIELD_LIST(struct spec, configs, content_ref_type, .since = 5),
    FIELD_LIST(struct spec, secrets, content_ref_type, .since = 5),
    FIELD_STRING(struct spec, on_change, .since = 5),
    FIELD_STRING(struct spec, network_of, .since = 7),
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
    FIELD_BOOL(struct cluster, no_rebalance, .since = 4),
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

static const struct field task_address_fields[] = {
    FIELD_INT(struct task_address, network_id),
    FIELD_STRING(struct task_address, address),
    FIELD_STRING(struct task_address, address6, .since = 6),
};
const struct record_type task_address_type =
    RECORD_TYPE("address", struct task_address, task_address_fields);

static const struct field service_fields[] = {
    FIELD_INT(struct service, id),
    FIELD_INT(struct service, stack_id),
    FIELD_STRING(struct service, stack),
    FIELD_STRING(struct service, name),
    FIELD_INT(struct service, revision),
    FIELD_BOOL(struct service, removed),
    FIELD_BOOL(struct service, stopped, .since = 4),
    FIELD_RECORD(struct service, spec, spec_type),
    FIELD_STRING(struct service, cause, .since = 4),
    FIELD_INT(struct service, revision_ms, .since = 4),
    FIELD_ENUM(struct service, rollout, rollout_state_names, .since = 4),
    FIELD_INT(struct service, rollout_ms, .since = 4),
    FIELD_STRING(struct service, rollout_message, .since = 4),
    FIELD_INT(struct service, stable_revision, .since = 4),
    FIELD_INT(struct service, scheduled_ms, .since = 4),
    FIELD_INT(struct service, runs, .since = 4),
    FIELD_LIST(struct service, addresses, task_address_type, .since = 5),
    FIELD_LIST(struct service, reserved, task_address_type, .since = 5),
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
    FIELD_STRING(struct revision, cause, .since = 4),
    FIELD_INT(struct revision, revision_ms, .since = 4),
    FIELD_INT(struct revision, created_index),
    FIELD_INT(struct revision, modified_index),
};
const struct record_type revision_type =
    RECORD_TYPE("revision", struct revision, revision_fields);

static const struct field job_run_fields[] = {
    FIELD_INT(struct job_run, id),
    FIELD_INT(struct job_run, service_id),
    FIELD_INT(struct job_run, number),
    FIELD_INT(struct job_run, revision),
    FIELD_INT(struct job_run, scheduled_ms),
    FIELD_INT(struct job_run, started_ms),
    FIELD_INT(struct job_run, ended_ms),
    FIELD_ENUM(struct job_run, state, job_state_names),
    FIELD_STRING(struct job_run, cause),
    FIELD_STRING(struct job_run, message),
    FIELD_INT(struct job_run, created_index),
    FIELD_INT(struct job_run, modified_index),
};
const struct record_type job_run_type = RECORD_TYPE("job_run", struct job_run, job_run_fields);

static const struct field task_fields[] = {
    FIELD_INT(struct task, id),
    FIELD_INT(struct task, service_id),
    FIELD_STRING(struct task, stack),
    FIELD_STRING(struct task, service),
    FIELD_INT(struct task, slot),
    FIELD_INT(struct task, node_id),
    FIELD_INT(struct task, revision),
    FIELD_ENUM(struct task, desired, task_desired_names, .newer = DESIRED_READY, .newer_since = 4),
    FIELD_ENUM(struct task, state, task_state_names),
    FIELD_ENUM(struct task, health, task_health_names),
    FIELD_INT(struct task, run),
    FIELD_INT(struct task, sequence),
    FIELD_INT(struct task, exit_code),
    FIELD_INT(struct task, attempts, .since = 4),
    FIELD_INT(struct task, hops, .since = 4),
    FIELD_BOOL(struct task, ready, .since = 4),
    FIELD_STRING(struct task, message),
    FIELD_INT(struct task, move_to, .since = 4),
    FIELD_STRING(struct task, move_reason, .since = 4),
    FIELD_INT(struct task, job_id, .since = 4),
    FIELD_INT(struct task, network_task, .since = 7),
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
    FIELD_LIST(struct node, resources, resource_type, .since = 4),
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

static const struct field lan_spec_fields[] = {
    FIELD_BOOL(struct lan_spec, on, .since = 7),
    FIELD_STRING(struct lan_spec, parent, .since = 7),
    FIELD_STRING(struct lan_spec, gateway, .since = 7),
};
const struct record_type lan_spec_type = RECORD_TYPE("lan", struct lan_spec, lan_spec_fields);

static const struct field network_fields[] = {
    FIELD_INT(struct network, id),
    FIELD_INT(struct network, stack_id),
    FIELD_STRING(struct network, name),
    FIELD_STRING(struct network, prefix),
    FIELD_BOOL(struct network, own_range, .since = 5),
    FIELD_STRING(struct network, prefix6, .since = 6),
    FIELD_BOOL(struct network, own_range6, .since = 6),
    FIELD_STRING(struct network, ip_range, .since = 5),
    FIELD_BOOL(struct network, internal, .since = 5),
    FIELD_BOOL(struct network, attachable, .since = 5),
    FIELD_RECORD(struct network, lan, lan_spec_type, .since = 7),
    FIELD_LIST(struct network, labels, pair_type, .since = 5),
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
    FIELD_LIST(struct volume, options, pair_type, .since = 5),
    FIELD_LIST(struct volume, labels, pair_type, .since = 5),
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

static const struct field registry_fields[] = {
    FIELD_INT(struct registry, id, .since = 3),
    FIELD_STRING(struct registry, name, .since = 3),
    FIELD_STRING(struct registry, username, .since = 3),
    FIELD_RECORD(struct registry, password, sealed_type, .since = 3),
    FIELD_STRING(struct registry, ca, .since = 3),
    FIELD_STRINGS(struct registry, mirrors, .since = 3),
    FIELD_BOOL(struct registry, plain_http, .since = 3),
    FIELD_INT(struct registry, created_ms, .since = 3),
    FIELD_INT(struct registry, modified_ms, .since = 3),
    FIELD_INT(struct registry, created_index, .since = 3),
    FIELD_INT(struct registry, modified_index, .since = 3),
};
const struct record_type registry_type =
    RECORD_TYPE("registry", struct registry, registry_fields);

static const struct field deploy_network_fields[] = {
    FIELD_STRING(struct deploy_network, name, .since = 5),
    FIELD_BOOL(struct deploy_network, full, .since = 5),
    FIELD_STRING(struct deploy_network, prefix, .since = 5),
    FIELD_BOOL(struct deploy_network, ipv6, .since = 6),
    FIELD_STRING(struct deploy_network, prefix6, .since = 6),
    FIELD_STRING(struct deploy_network, ip_range, .since = 5),
    FIELD_BOOL(struct deploy_network, internal, .since = 5),
    FIELD_BOOL(struct deploy_network, attachable, .since = 5),
    FIELD_RECORD(struct deploy_network, lan, lan_spec_type, .since = 7),
    FIELD_LIST(struct deploy_network, labels, pair_type, .since = 5),
};
const struct record_type deploy_network_type =
    RECORD_TYPE("deploy_network", struct deploy_network, deploy_network_fields);

static const struct field deploy_volume_fields[] = {
    FIELD_STRING(struct deploy_volume, name, .since = 5),
    FIELD_LIST(struct deploy_volume, options, pair_type, .since = 5),
    FIELD_LIST(struct deploy_volume, labels, pair_type, .since = 5),
};
const struct record_type deploy_volume_type =
    RECORD_TYPE("deploy_volume", struct deploy_volume, deploy_volume_fields);

static const struct field content_fields[] = {
    FIELD_INT(struct content, id, .since = 5),
    FIELD_ENUM(struct content, kind, content_kind_names, .since = 5),
    FIELD_STRING(struct content, base, .since = 5),
    FIELD_INT(struct content, version, .since = 5),
    FIELD_STRING(struct content, stack, .since = 5),
    FIELD_BYTES(struct content, data, .since = 5, .secret = true),
    FIELD_RECORD(struct content, key, sealed_type, .since = 5),
    FIELD_INT(struct content, size, .since = 5),
    FIELD_LIST(struct content, labels, pair_type, .since = 5),
    FIELD_INT(struct content, created_ms, .since = 5),
    FIELD_INT(struct content, created_index, .since = 5),
    FIELD_INT(struct content, modified_index, .since = 5),
};
const struct record_type content_type = RECORD_TYPE("content", struct content, content_fields);

static const struct field dns_record_fields[] = {
    FIELD_INT(struct dns_record, id, .since = 5),
    FIELD_STRING(struct dns_record, name, .since = 5),
    FIELD_STRING(struct dns_record, type, .since = 5),
    FIELD_STRING(struct dns_record, value, .since = 5),
    FIELD_INT(struct dns_record, ttl, .since = 5),
    FIELD_INT(struct dns_record, created_ms, .since = 5),
    FIELD_INT(struct dns_record, created_index, .since = 5),
    FIELD_INT(struct dns_record, modified_index, .since = 5),
};
const struct record_type dns_record_type =
    RECORD_TYPE("dns_record", struct dns_record, dns_record_fields);

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

bool health_is_checked(const struct health_spec *health)
{
    return health->test_n > 0 || health->probe != PROBE_COMMAND;
}

int64_t spec_lease_ms(const struct spec *spec)
{
    return spec->lease_ms > 0 ? spec->lease_ms : LEASE_DEFAULT_MS;
}

bool mode_is_job(enum service_mode mode)
{
    return mode == MODE_REPLICATED_JOB || mode == MODE_GLOBAL_JOB;
}

bool mode_is_global(enum service_mode mode)
{
    return mode == MODE_GLOBAL || mode == MODE_GLOBAL_JOB;
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

bool resources_are_valid(const struct resource *resources, size_t n)
{
    if (n > RESOURCES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *name = str_or_empty(resources[i].name);
        if (!node_name_is_valid(name) || resources[i].count < 1 ||
            resources[i].count > RESOURCE_COUNT_MAX ||
            (i > 0 && strcmp(resources[i - 1].name, name) >= 0))
            return false;
    }
    return true;
}

bool token_name_is_valid(const char *name)
{
    return node_name_is_valid(name) && strspn(name, "0123456789") < strlen(name);
}

/* ":" and 1 to 65535, or nothing. */
static bool is_port(const char *text)
{
    size_t len = strlen(text);
    if (len == 0)
        return true;
    int port = 0;
    if (text[0] != ':' || len < 2 || len > 6 || strspn(text + 1, "0123456789") != len - 1)
        return false;
    for (const char *c = text + 1; *c; c++)
        port = 10 * port + (*c - '0');
    return port > 0 && port <= 65535;
}

bool registry_name_is_valid(const char *name)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    if (strlen(name) > REGISTRY_NAME_MAX)
        return false;
    if (name[0] == '[') {
        size_t host = strspn(name + 1, "0123456789abcdef:.");
        return host > 1 && name[host + 1] == ']' && is_port(name + host + 2);
    }
    size_t host = strspn(name, inner);
    return host > 0 && !strchr(".-", name[0]) && !strchr(".-", name[host - 1]) &&
           is_port(name + host);
}

const char *pair_get(const struct pair *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(pairs[i].key, key))
            return str_or_empty(pairs[i].value);
    return NULL;
}

char *attachment_network(const char *stack, const struct attachment *attachment)
{
    const char *name = str_or_empty(attachment->network);
    return attachment->full ? str_copy(name) : str_printf("%s_%s", stack, name);
}

char *content_row_name(enum content_kind kind, const char *source)
{
    return str_printf("%s %s", content_kind_names[kind], str_or_empty(source));
}

char *content_source(const struct content *content)
{
    return str_printf("%s@%lld", str_or_empty(content->base), (long long)content->version);
}

bool content_name_is_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);
    return len > 0 && len <= CONTENT_NAME_MAX && name[0] != '.' && strspn(name, allowed) == len;
}

bool volume_is_anywhere(const struct volume *volume)
{
    static const char *const here[] = {"none", "bind", "ext4", "xfs", "btrfs", "vfat"};
    const char *type = pair_get(volume->options, volume->options_n, "type");
    if (!*str_or_empty(type))
        return false;
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
        if (strcmp(type, here[i]) == 0)
            return false;
    return true;
}
