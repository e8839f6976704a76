/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - the nouns of a cluster: what the replicated state consists of.
 *
 * Each is a record (record.h) with a struct record_type. Ids are given out by apply from one
 * counter and never used again. Times are wall-clock milliseconds put in by the proposer, durations
 * are milliseconds, sizes bytes, CPU thousandths of a core. An int64_t of 0 and an empty string
 * mean "not given" wherever the comment names no default.
 *
 * created_index and modified_index are the raft index of the change that made or last changed the
 * row: a change planned from a row carries the modified_index it saw.
 */
#ifndef WHERRY_STORE_MODEL_H
#define WHERRY_STORE_MODEL_H

#include "store/record.h"

/* --- what a service runs: the Compose "services" element --------------------------------- */

struct pair {
    char *key;
    char *value;
};

enum protocol {
    PROTOCOL_TCP,
    PROTOCOL_UDP,
};

/* A published port: every member answers on @published and hands to @target of a healthy task. */
struct port_spec {
    enum protocol protocol;
    int64_t published;
    int64_t target;
};

/* A network of the same stack that the tasks are in, by its short name ("default"). */
struct attachment {
    char *network;
    char **aliases; /* more names in that network's DNS */
    size_t aliases_n;
};

enum mount_kind {
    MOUNT_VOLUME, /* a named volume; source is its full name, "stack_data"; "" is anonymous */
    MOUNT_BIND,   /* an absolute path on the task's own node */
};

struct mount_spec {
    enum mount_kind kind;
    char *source;
    char *target; /* absolute path in the container */
    bool read_only;
};

enum restart_condition {
    RESTART_ANY, /* the default: always restart */
    RESTART_ON_FAILURE,
    RESTART_NONE,
};

struct restart_policy {
    enum restart_condition condition;
    int64_t delay_ms;     /* before the first restart; it doubles up to 60 s. 0: 1 s */
    int64_t max_attempts; /* 0: no limit */
    int64_t window_ms;    /* a run this long resets attempts and delay. 0: 10 s */
};

enum depends_condition {
    DEPENDS_STARTED,
    DEPENDS_HEALTHY,
    DEPENDS_COMPLETED,
};

struct depends_spec {
    char *service; /* short name, same stack */
    enum depends_condition condition;
};

/* A command that tells whether a task is healthy; no test means none is made. */
struct health_spec {
    char **test; /* argv to exec in the container */
    size_t test_n;
    int64_t interval_ms;     /* 0: 30 s */
    int64_t timeout_ms;      /* 0: 30 s */
    int64_t retries;         /* 0: 3 */
    int64_t start_period_ms; /* failures in it do not count */
};

enum service_mode {
    MODE_REPLICATED,
    MODE_GLOBAL,         /* one task on every node that fits */
    MODE_REPLICATED_JOB, /* `replicas` tasks, each runs to success once */
};

/* "node.labels.zone == a" and its like. */
struct constraint {
    char *key; /* "node.id", "node.hostname" (the node's name) or "node.labels.KEY" */
    bool negated;
    char *value;
};

struct resources {
    int64_t cpu_milli;
    int64_t memory_bytes;
    int64_t pids;
};

/* Stop-first, `parallelism` at a time. */
struct update_policy {
    int64_t parallelism; /* 0: 1 */
    int64_t delay_ms;    /* between two steps */
};

struct spec {
    char *image;
    char **entrypoint; /* with entrypoint_set: instead of the image's */
    size_t entrypoint_n;
    bool entrypoint_set;
    char **command; /* with command_set: instead of the image's cmd */
    size_t command_n;
    bool command_set;
    char **environment; /* "K=V", sorted by key */
    size_t environment_n;
    struct pair *labels; /* sorted by key */
    size_t labels_n;
    char *user;
    char *working_dir;
    char *hostname;
    char *stop_signal;
    int64_t stop_grace_ms; /* 0: 10 s */
    bool read_only;
    struct port_spec *ports;
    size_t ports_n;
    struct attachment *networks; /* empty: no network but loopback */
    size_t networks_n;
    struct mount_spec *mounts;
    size_t mounts_n;
    struct restart_policy restart;
    struct depends_spec *depends_on;
    size_t depends_on_n;
    struct health_spec health;
    enum service_mode mode;
    int64_t replicas; /* of replicated services and jobs */
    struct constraint *constraints;
    size_t constraints_n;
    int64_t max_per_node; /* 0: no limit */
    struct resources reservations;
    struct resources limits;
    struct update_policy update;
};

/* --- rows of the state ------------------------------------------------------------------- */

/* A value encrypted by a key that the state does not hold (cluster/seal.h). */
struct sealed {
    int64_t generation; /* of the cluster key; 0: by another */
    struct bytes data;
};

/* What the state says of the cluster key, which it does not hold itself: members that are no
 * witnesses do. Generation 0: there is none yet. */
struct cluster_keys {
    int64_t generation;   /* of the cluster key in use, from 1 */
    struct bytes check;   /* its check value, 32 bytes */
    struct sealed ca_key; /* the CA's private key, PEM */
    bool locked;          /* members keep the key in memory only */
    struct sealed wrap;   /* locked: the cluster key by the unlock key */
    struct sealed unlock; /* locked: the unlock key's text by the cluster key */
    int64_t revision;     /* counts changes of keys and CA: a change names the one it saw */
};

/* The cluster itself: one row, id 1. */
struct cluster {
    int64_t id;
    char *uuid;     /* 32 hexadecimal digits */
    char *ca;       /* its certificate, PEM */
    char *ca_old;   /* while the CA is changed: the one before */
    char *ca_cross; /* … and the new one's key, certified by the one before */
    struct cluster_keys keys;
    char *pool;       /* range of all networks, "10.192.0.0/10" */
    int64_t vxlan_id; /* drawn at init, so that two clusters on one link do not mix */
    char *spread;     /* the node label whose values voters are spread over; "": none */
    int64_t level;    /* of changes that may be used (level.h); 0 is the first */
    /* How often it was recovered from a lost quorum. */
    int64_t epoch;
    int64_t created_ms;
    int64_t created_index;
    int64_t modified_index;
};

/* A deployed Compose project. */
struct stack {
    int64_t id;
    char *name;
    char *project;    /* identity of the project it came from */
    int64_t revision; /* counts deploys; a deploy names the one it was planned from */
    int64_t created_ms;
    int64_t updated_ms;
    int64_t created_index;
    int64_t modified_index;
};

struct service {
    int64_t id;
    int64_t stack_id;
    char *stack;      /* the stack's name */
    char *name;       /* short name, "web"; users say "stack.web" */
    int64_t revision; /* of its spec, from 1; a deploy that changes nothing keeps it */
    bool removed;     /* going away: its tasks are being ended */
    struct spec spec;
    int64_t created_ms;
    int64_t updated_ms;
    int64_t created_index;
    int64_t modified_index;
};

/* A spec that a task still runs though its service has a newer one. */
struct revision {
    int64_t id;
    int64_t service_id;
    int64_t revision;
    struct spec spec;
    int64_t created_index;
    int64_t modified_index;
};

enum task_desired {
    DESIRED_RUN,
    DESIRED_END, /* stop it; then the leader removes the task */
};

/* What the task's own node says of it. Within a run it only moves down this list, except that
 * waiting may also follow starting and running: the run is over, the next one comes. */
enum task_state {
    TASK_NEW,      /* placed; the node has said nothing yet */
    TASK_FETCHING, /* waiting for its image */
    TASK_CREATING, /* files, network */
    TASK_WAITING,  /* next run comes after a delay, or a dependency is not there yet */
    TASK_STARTING,
    TASK_RUNNING,
    TASK_COMPLETE, /* exited with 0 and is not to run again */
    TASK_FAILED,   /* gave up: exit_code and message say why */
    TASK_ENDED,    /* stopped as desired; nothing of it is left on the node */
};

enum task_health {
    HEALTH_NONE, /* the spec has no check: running is healthy */
    HEALTH_STARTING,
    HEALTH_HEALTHY,
    HEALTH_UNHEALTHY,
};

struct task_address {
    int64_t network_id;
    char *address; /* "10.192.16.5" */
};

/* One placement of one slot of a service on one node. */
struct task {
    int64_t id;
    int64_t service_id;
    char *stack;
    char *service; /* short name */
    int64_t slot;  /* from 1; the user sees stack.service.slot; of a global service the node's id */
    int64_t node_id;
    int64_t revision; /* of the spec it runs */
    enum task_desired desired;
    enum task_state state;
    enum task_health health;
    int64_t run;       /* starts so far on its node */
    int64_t sequence;  /* of the node's report: (run, sequence) never goes back */
    int64_t exit_code; /* of the last run that ended */
    char *message;     /* why it waits or failed */
    struct task_address *addresses;
    size_t addresses_n;
    int64_t created_ms;
    int64_t state_ms; /* when the state was last reported */
    int64_t created_index;
    int64_t modified_index;
};

enum availability {
    AVAILABLE_ACTIVE,
    AVAILABLE_PAUSE, /* keeps its tasks, gets no new ones */
    AVAILABLE_DRAIN, /* its tasks go elsewhere */
};

enum node_status {
    NODE_UP,
    NODE_DOWN, /* the leader has heard nothing for the time to live */
};

/* A member. Its id is never used again. */
struct node {
    int64_t id;
    char *name;
    char *address;           /* "10.0.0.1:7400": where its bus listens */
    int64_t call_port;       /* for remote CLIs */
    struct bytes public_key; /* SubjectPublicKeyInfo, DER: who it is */
    struct pair *labels;     /* sorted by key */
    size_t labels_n;
    int64_t cpu_milli;    /* capacity */
    int64_t memory_bytes; /* capacity */
    char *version;
    char *os;     /* "linux" */
    char *arch;   /* "amd64" */
    bool witness; /* it votes and does nothing else: since it joined, for good */
    /* Of changes that it knows (level.h); 0 is the first. */
    int64_t level;
    /* The cluster was recovered without it: its log contradicts the others'. */
    bool cut_off;
    struct bytes cert_ca;  /* SHA-256 of the CA that signed its certificate */
    int64_t cert_until_ms; /* … which is good until then */
    /* Of its log, in raft; 0: its id. A log that was lost is never spoken for again: the one that
     * takes its place has another. */
    int64_t raft_id;
    enum availability availability;
    enum node_status status;
    int64_t status_ms;
    int64_t joined_ms;
    int64_t created_index;
    int64_t modified_index;
};

struct network {
    int64_t id;
    int64_t stack_id;
    char *name;   /* full name, "stack_default" */
    char *prefix; /* "10.192.16.0/20", given out by apply */
    int64_t created_index;
    int64_t modified_index;
};

struct volume {
    int64_t id;
    int64_t stack_id;
    char *name;           /* full name, "stack_data" */
    int64_t home_node_id; /* where its content is; 0 until a task of it was placed */
    char *home_name;      /* after a restore: the member that had it and has not come back yet */
    int64_t created_index;
    int64_t modified_index;
};

enum token_kind {
    TOKEN_JOIN, /* lets a machine join */
    TOKEN_CALL, /* lets a remote CLI call, as admin */
};

/* What whoever shows a call token may do. */
enum token_role {
    TOKEN_ADMIN,    /* everything but what only a machine's own socket takes */
    TOKEN_DEPLOYER, /* reads; deploys, scales and removes stacks; images */
    TOKEN_VIEWER,   /* reads */
};

enum {
    TOKENS_MAX = 1000,     /* that have not expired */
    TOKEN_STACKS_MAX = 64, /* of one token */
    TOKEN_MAKER_MAX = 200, /* bytes of created_by */
};

/* What somebody who comes from outside shows. Only its hash is kept. */
struct token {
    int64_t id;
    char *name; /* as node names, but not digits alone; "" or one that no other token has */
    enum token_kind kind;
    enum token_role role; /* of a call token */
    char **stacks;        /* of a deployer or viewer: the stacks it is for; none: all */
    size_t stacks_n;
    bool witness;       /* of a join token: the machine becomes a witness, else a full member */
    char *created_by;   /* "n1" (its own socket), or "n1, token ci" */
    struct bytes hash;  /* SHA-256 of the secret */
    struct bytes ca;    /* SHA-256 of the CA certificate it names; empty: the cluster's first */
    int64_t expires_ms; /* 0: never */
    int64_t created_ms;
    int64_t created_index;
    int64_t modified_index;
};

/* What a change did. The newest EVENTS_KEPT are kept. */
struct event {
    int64_t id; /* counts up without gaps */
    int64_t at_ms;
    char *kind;   /* "node", "service", "task", … */
    char *object; /* "app.web.2", "n3" */
    char *text;   /* "placed on n2" */
    int64_t created_index;
    int64_t modified_index;
};

enum {
    EVENTS_KEPT = 4096,
};

extern const struct record_type pair_type, port_spec_type, attachment_type, mount_spec_type,
    constraint_type, spec_type, task_address_type, sealed_type, cluster_keys_type;
extern const struct record_type cluster_type, stack_type, service_type, revision_type, task_type,
    node_type, network_type, volume_type, token_type, event_type;

/* The names of the enums' values, as users see them. */
extern const char *const task_state_names[], *const task_desired_names[],
                                                 *const task_health_names[],
                                                     *const service_mode_names[],
                                                         *const node_status_names[],
                                                             *const availability_names[],
                                                                 *const protocol_names[],
                                                                     *const token_kind_names[],
                                                                         *const token_role_names[];

/* True for the states after which a task never runs again. */
bool task_is_terminal(enum task_state state);

/* True when the task serves: running, and healthy if it has a check. */
bool task_is_healthy(const struct task *task);

/* Names that users give: [a-z0-9] first, then [a-z0-9_-], at most 63 bytes. Stacks, services and
 * nodes (nodes may also have dots and upper case). */
bool name_is_valid(const char *name);
bool node_name_is_valid(const char *name);

/* Keys of labels: 1 to 63 printable characters of ASCII, no blank, no '='. */
bool label_key_is_valid(const char *key);

/* Tokens: as nodes, but not digits alone, which are an id. */
bool token_name_is_valid(const char *name);

/* The value of @key in @n sorted or unsorted pairs, or NULL. Borrowed. */
const char *pair_get(const struct pair *pairs, size_t n, const char *key);

#endif
