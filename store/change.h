/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change - one step of the replicated state, and the batch that carries steps through raft.
 *
 * A change is a kind and a body (a record). It carries everything apply needs: times, random
 * values and the modified_index of the rows it was planned from; apply reads no clock. A batch is
 * the payload of one raft entry:
 *
 *     u32 magic "WHB1" | u32 version | i64 now_ms | msgpack array of changes,
 *     each an array [kind, request, body]; request: nil, the 16 bytes of its id, or these and the
 *     u64 index at which it began
 *
 * A kind's number never changes its meaning; new ones are added at the end, and wait until all
 * members know them (level.h).
 */
#ifndef WHERRY_STORE_CHANGE_H
#define WHERRY_STORE_CHANGE_H

#include "store/model.h"

#include "base/err.h"

/* kind, number, body: CHANGE_NODE_ADD has the body struct change_node_add … */
#define CHANGE_KINDS(X)                                                                            \
    X(CLUSTER_INIT, 1, cluster_init)                                                               \
    X(NODE_ADD, 2, node_add)                                                                       \
    X(NODE_UPDATE, 3, node_update)                                                                 \
    X(NODE_STATUS, 4, node_status)                                                                 \
    X(NODE_REMOVE, 5, node_remove)                                                                 \
    X(TOKEN_ADD, 6, token_add)                                                                     \
    X(TOKEN_REMOVE, 7, token_remove)                                                               \
    X(STACK_DEPLOY, 8, stack_deploy)                                                               \
    X(STACK_REMOVE, 9, stack_remove)                                                               \
    X(SERVICE_SCALE, 10, service_scale)                                                            \
    X(TASK_CREATE, 11, task_create)                                                                \
    X(TASK_END, 12, task_end)                                                                      \
    X(TASK_REMOVE, 13, task_remove)                                                                \
    X(TASK_REPORT, 14, task_report)                                                                \
    X(SERVICE_REMOVE, 15, service_remove)                                                          \
    X(CLUSTER_SET, 16, cluster_set)                                                                \
    X(KEY_SET, 20, key_set)                                                                        \
    X(CA_ROTATE, 21, ca_rotate)                                                                    \
    X(CA_FINISH, 22, ca_finish)                                                                    \
    X(LEVEL_RAISE, 25, level_raise)                                                                \
    X(RECOVERED, 26, recovered)                                                                    \
    X(NODE_RENEW, 30, node_renew)                                                                  \
    X(TOKEN_CREATE, 35, token_create)                                                              \
    X(TOKEN_ROTATE, 36, token_rotate)                                                              \
    X(TOKEN_DELETE, 37, token_delete)                                                              \
    X(REGISTRY_SET, 40, registry_set)                                                              \
    X(REGISTRY_REMOVE, 41, registry_remove)                                                        \
    X(SERVICE_STOP, 42, service_stop)                                                              \
    X(SERVICE_ROLLBACK, 43, service_rollback)                                                      \
    X(SERVICE_RESTART, 44, service_restart)                                                        \
    X(SERVICE_RETIRE, 45, service_retire)                                                          \
    X(ROLLOUT_SET, 46, rollout_set)                                                                \
    X(TASK_MOVE, 47, task_move)                                                                    \
    X(TASK_RELEASE, 48, task_release)                                                              \
    X(JOB_START, 49, job_start)                                                                    \
    X(JOB_END, 50, job_end)                                                                        \
    X(CONTENT_ADD, 51, content_add)                                                                \
    X(CONTENT_REMOVE, 52, content_remove)                                                          \
    X(NETWORK_CREATE, 53, network_create)                                                          \
    X(NETWORK_REMOVE, 54, network_remove)                                                          \
    X(VOLUME_CREATE, 55, volume_create)                                                            \
    X(VOLUME_REMOVE, 56, volume_remove)                                                            \
    X(VOLUME_HOME, 57, volume_home)                                                                \
    X(DNS_SET, 58, dns_set)                                                                        \
    X(DNS_REMOVE, 59, dns_remove)

enum change_kind {
#define X(kind, number, body) CHANGE_##kind = (number),
    CHANGE_KINDS(X)
#undef X
};

/* The first change of a cluster: its row and its first member. */
struct change_cluster_init {
    struct cluster cluster; /* without id and indexes */
    struct node node;       /* likewise; it becomes node 1 */
};

/* An operator sets what holds for the whole cluster. Only the given parts change. */
struct change_cluster_set {
    bool set_spread;
    char *spread; /* key of a node label, "" for none */
    bool set_rebalance;
    bool no_rebalance;
};

/* A machine joins. Refused (ERR_EXISTS) when a member has its name or key, (ERR_DENIED) when no
 * join token has the hash, it has expired at the batch's time, or it lets witnesses join only.
 * Result id: the node's. */
struct change_node_add {
    struct node node;
    struct bytes token_hash;
    bool replace; /* a member of its name that is down is taken out for it */
};

/* A member says what it is (address, labels, capacity, version) or an operator changes its
 * availability. Only the given parts change. */
struct change_node_update {
    int64_t node_id;
    bool set_self; /* address, call_port, labels, capacity, version, os, arch of @node */
    bool set_availability;
    struct node node;
};

/* The leader says up or down. */
struct change_node_status {
    int64_t node_id;
    enum node_status status;
};

/* A member is taken out; its tasks are removed with it. Refused while it is up, unless forced. */
struct change_node_remove {
    int64_t node_id;
    bool force;
};

/* A token of before there were names and roles: those fields are empty. */
struct change_token_add {
    struct token token;
};

/* A token. Refused when a part of it is not as model.h says, (ERR_EXISTS) when there is one of its
 * name. Tokens that have expired are deleted. Result id: the token's. */
struct change_token_create {
    struct token token; /* without id and indexes */
};

/* Another secret for a token, whose rights stay as they are. ERR_DENIED when it has expired. Result
 * id: the token's. */
struct change_token_rotate {
    int64_t token_id;
    struct bytes hash;
    struct bytes ca; /* as in struct token */
};

struct change_token_remove {
    int64_t token_id;
};

/* As TOKEN_REMOVE, and an event says so. */
struct change_token_delete {
    int64_t token_id;
};

/* Short name and spec of one service of a deploy. */
struct deploy_service {
    char *name;
    struct spec spec;
};

/* A whole Compose project at once. Refused (ERR_CONFLICT) unless the stack's revision is
 * @expected_revision (0: it must not exist), (ERR_EXISTS) when the stack came from another project
 * and @adopt is not set. Services that are not named stay unless @prune. Result id: the stack's. */
struct change_stack_deploy {
    char *name;
    char *project;
    int64_t expected_revision;
    bool adopt;
    bool prune;
    struct deploy_service *services;
    size_t services_n;
    char **networks; /* short names that must exist */
    size_t networks_n;
    char **volumes; /* full names that must exist */
    size_t volumes_n;
    struct deploy_network *own_networks; /* besides @networks */
    size_t own_networks_n;
    struct deploy_volume *own_volumes; /* besides @volumes */
    size_t own_volumes_n;
};

/* All services of the stack are marked removed; the stack goes with the last task. Volumes stay. */
struct change_stack_remove {
    char *name;
};

/* Replicas of one service. Refused for global services. */
struct change_service_scale {
    char *stack;
    char *service;
    int64_t replicas;
};

/* The leader: a service that is marked removed and has no task is gone. */
struct change_service_remove {
    int64_t service_id;
};

/* The leader places a slot. Refused (ERR_CONFLICT) when the service's modified_index is not
 * @service_index, it is removed, the node is gone or not up, or the slot already has a task that is
 * desired to run; with @beside, unless it is the only one. Such a one is ended before another is
 * released. Addresses are given out here. Result id: the task's. */
struct change_task_create {
    int64_t service_id;
    int64_t service_index;
    int64_t slot;
    int64_t node_id;
    bool beside;
    bool hold; /* it is to get ready only: DESIRED_READY */
    /* Of a job, from level 4 on: the run, which must not have ended. Tasks of other runs may be in
     * the slot. */
    int64_t job_id;
    int64_t network_task; /* of a service with network_of: in that one's slot, on @node_id */
};

/* The leader wants a task ended. Fine when it already does; ERR_NOTFOUND when it is gone. */
struct change_task_end {
    int64_t task_id;
    char *reason; /* for the event: "node n3 is down", "update" */
};

/* The leader removes a task that is desired to end and observed terminal, or whose node is down or
 * gone with @lost set. Refused otherwise. Frees its addresses. */
struct change_task_remove {
    int64_t task_id;
    bool lost;
};

/* What a node says of one task of its own. */
struct task_observation {
    int64_t task_id;
    enum task_state state;
    enum task_health health;
    int64_t run;
    int64_t sequence;
    int64_t exit_code;
    char *message;
    int64_t state_ms;
    int64_t attempts;
    bool ready;
};

/* A batch of observations by one node. Those of tasks that are gone, are not its own, or do not
 * come after what is known, (run, sequence), are skipped. */
struct change_task_report {
    int64_t node_id;
    struct task_observation *observations;
    size_t observations_n;
};

/* The leader: every voter and every member that is up knows @level. Refused unless it is above the
 * active one. */
struct change_level_raise {
    int64_t level;
};

/* A member whose log was damaged or cut off starts with an empty one, as a new member to raft: it
 * gets a raft id that was never used. Refused (ERR_DENIED) unless @public_key is the member's.
 * Result id: the raft id. */
struct change_node_renew {
    int64_t node_id;
    struct bytes public_key;
};

/* The leader, after this cluster lost its quorum and was recovered on one member
 * (cluster/recovery.h): members other than @node_id are cut off and down. Refused (ERR_EXISTS)
 * unless @epoch is above the cluster's. */
struct change_recovered {
    int64_t epoch;
    int64_t node_id;
};

/* The password of a registry, sealed anew. */
struct resealed {
    int64_t registry_id;
    int64_t expected_index; /* modified_index of the row it was in */
    struct sealed password;
};

/* The key of a secret, sealed anew. */
struct content_key {
    int64_t content_id;
    struct sealed key;
};

/* The cluster key is made, replaced (its generation is the next one) or locked or unlocked. Refused
 * (ERR_CONFLICT) unless the keys' revision is @expected_revision; that of @keys is given by apply.
 * A new key comes with all that was sealed by the one before: also refused (ERR_CONFLICT) when the
 * password of a registry is not in @registries, or is another by now, or a secret not in
 * @contents. */
struct change_key_set {
    int64_t expected_revision;
    struct cluster_keys keys;
    struct resealed *registries;
    size_t registries_n;
    struct content_key *contents; /* of all secrets */
    size_t contents_n;
};

/* A new CA takes over; the one before stays beside it. Refused (ERR_CONFLICT) as above, or while an
 * earlier change of the CA is not finished. */
struct change_ca_rotate {
    int64_t expected_revision;
    char *ca;             /* its certificate, PEM */
    char *cross;          /* its key certified by the CA before, PEM */
    struct sealed ca_key; /* its private key */
};

/* The CA before is forgotten, and tokens that do not name the present one go. Refused
 * (ERR_CONFLICT) as above, (ERR_NOTFOUND) when there is no CA before. */
struct change_ca_finish {
    int64_t expected_revision;
    struct bytes ca_hash; /* of the present CA */
};

/* How a registry is reached, as a whole. Refused when a part of it is not as model.h says,
 * (ERR_CONFLICT) unless the modified_index of the row of its name is @expected_index (0: there must
 * be none), or when the password was sealed by another key than the cluster's. Result id: the
 * registry's. */
struct change_registry_set {
    struct registry registry; /* without id, times and indexes */
    int64_t expected_index;
};

/* It is forgotten, with the login. Refused (ERR_NOTFOUND) when it is not there, (ERR_CONFLICT)
 * unless its modified_index is @expected_index. */
struct change_registry_remove {
    int64_t registry_id;
    int64_t expected_index;
};

/* All tasks of a service end and none is placed until it is started again; replicas and revision
 * stay. Fine when it is so already. */
struct change_service_stop {
    char *stack;
    char *service;
    bool start;
};

/* The spec of an earlier revision becomes a new revision of the service. Refused (ERR_NOTFOUND)
 * when it is not kept any more, (ERR_CONFLICT) when the service's revision is not
 * @expected_revision. Replicas stay as they are. Result id: the service's. */
struct change_service_rollback {
    char *stack;
    char *service;
    int64_t expected_revision;
    int64_t revision; /* 0: the last stable one before the present */
};

/* All its tasks are replaced, as a rollout. Result id: the service's. */
struct change_service_restart {
    char *stack;
    char *service;
};

/* One service of a stack is marked removed; the stack goes with its last one. */
struct change_service_retire {
    char *stack;
    char *service;
};

/* The leader, as the rollout goes, or an operator, who pauses it or has it go on. Refused
 * (ERR_CONFLICT) when the service's revision is not @revision. ROLLOUT_ROLLING_BACK makes the spec
 * of stable_revision a new revision. */
struct change_rollout_set {
    int64_t service_id;
    int64_t revision;
    enum rollout_state state;
    char *message; /* why */
};

/* A task is to go to another node: its successor is made ready there first. @node_id as
 * task.move_to. Refused when the task is to end or (ERR_INVALID) is of a global service. */
struct change_task_move {
    int64_t task_id;
    int64_t node_id;
    char *reason;
};

/* The leader: a task that was held (DESIRED_READY) starts. Refused (ERR_CONFLICT) while another of
 * its slot is meant to run. */
struct change_task_release {
    int64_t task_id;
};

/* A run of a job begins, or is skipped. Refused (ERR_INVALID) when the service is none,
 * (ERR_CONFLICT) when its modified_index is not @service_index, it is removed or stopped, or as
 * many runs as may be are under way. The first run takes the tasks that were there before there
 * were runs. Result id: the run's. */
struct change_job_start {
    int64_t service_id;
    int64_t service_index;
    int64_t scheduled_ms; /* the time that it is for; 0: none */
    char *cause;
    bool skip;     /* only note that it was due */
    char *message; /* why it is skipped */
};

/* A run ends as @state, which is not JOB_RUNNING. Fine when it has ended; ERR_NOTFOUND when it is
 * gone. */
struct change_job_end {
    int64_t job_id;
    enum job_state state;
    char *message;
};

/* A version of a config or secret. Refused (ERR_CONFLICT) unless it is the one after the newest of
 * its kind and name, or when its key was sealed by another than the cluster's; (ERR_EXISTS) when
 * that one belongs to another stack. One made by hand: services that have the version before get
 * this one, as a new revision. Result id: its. */
struct change_content_add {
    struct content content; /* without id, time and indexes */
};

/* All versions of one made by hand go. Refused (ERR_CONFLICT) while a service has it,
 * (ERR_NOTFOUND) when it is not there, (ERR_DENIED) when it came with a stack. */
struct change_content_remove {
    enum content_kind kind;
    char *base;
};

/* A network of no stack. Refused (ERR_EXISTS) when there is one of its name, or its range meets
 * another's. Result id: the network's. */
struct change_network_create {
    struct network network; /* without id, stack and indexes; prefix may be empty */
    bool ipv6;              /* it has IPv6 too; network.prefix6 may be empty */
};

/* Refused (ERR_CONFLICT) while a service is in it, (ERR_DENIED) when it is a stack's. */
struct change_network_remove {
    char *name;
};

/* A volume of no stack. Refused (ERR_EXISTS) when there is one of its name. Result id: its. */
struct change_volume_create {
    struct volume volume; /* without id, stack and indexes */
};

/* It is forgotten; its content is the caller's business. Refused (ERR_CONFLICT) while a service has
 * it, or when its home is not @home_node_id. */
struct change_volume_remove {
    char *name;
    int64_t home_node_id;
};

/* Its content is on @to_node_id from now on; 0: nowhere, the next task makes it anew. Refused
 * (ERR_CONFLICT) unless its home is @from_node_id, or while a task that is not over has it. */
struct change_volume_home {
    char *name;
    int64_t from_node_id;
    int64_t to_node_id;
};

/* A record of the user's own. One of the same name, type and value gets the time to live given.
 * Result id: the record's. */
struct change_dns_set {
    char *name;
    char *type;
    char *value;
    int64_t ttl;
};

/* All records of a name, of one type, or the one of that value go. ERR_NOTFOUND: there is none. */
struct change_dns_remove {
    char *name;
    char *type;  /* "": all */
    char *value; /* "": all */
};

extern const struct record_type task_observation_type, deploy_service_type, resealed_type,
    content_key_type;
#define X(kind, number, body) extern const struct record_type change_##body##_type;
CHANGE_KINDS(X)
#undef X

enum {
    REQUEST_ID_BYTES = 16,
    BATCH_BYTES_MAX = 1 << 20,
    BATCH_HEADER_BYTES = 16,
};

/* A change on its way. */
struct change {
    enum change_kind kind;
    bool has_request_id;
    unsigned char request_id[REQUEST_ID_BYTES];
    int64_t begin; /* with a request id: of the state, when it was first asked for; 0: not known */
    void *body;    /* of change_type(kind), owned */
};

/* What became of a change: equal on every member. */
struct change_result {
    struct err err; /* code 0: done */
    int64_t id;     /* of what it made, if anything */
    int64_t index;  /* where it was applied */
};

/* The record type of a kind's body; NULL for a number this build does not know. */
const struct record_type *change_type(int kind);

/* The name of a kind ("STACK_DEPLOY"), "?" when unknown. */
const char *change_name(int kind);

/* Free the body and zero. */
void change_release(struct change *change);

/* Append one change in msgpack, as it stands in a batch. */
void change_encode(const struct change *change, struct buf *out);

/* Decode one change. ERR_UNSUPPORTED for an unknown kind, ERR_CORRUPT otherwise. */
int change_decode(const void *data, size_t len, struct change *ret_change, struct err *err);

/* ERR_UNSUPPORTED for a kind that is not known here. */
int change_unknown(uint64_t kind, struct err *err);

/* Append a batch of already encoded changes to @out: header, then the array. */
void batch_encode(int64_t now_ms, const struct buf *changes, size_t n, struct buf *out);

/* Decode a batch into an array of changes, which the caller releases and frees. ERR_UNSUPPORTED
 * names an unknown version or kind (that member must stop, never diverge), ERR_CORRUPT the rest. */
int batch_decode(const void *data, size_t len, int64_t *ret_now_ms, struct change **ret_changes,
                 size_t *ret_n, struct err *err);

#endif
