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

enum port_mode {
    PORT_INGRESS, /* every member answers on it and hands on to a healthy task anywhere */
    PORT_HOST,    /* only the task's own node does */
};

/* A published port: @target of a task, as @published of members. */
struct port_spec {
    enum protocol protocol;
    int64_t published;
    int64_t target;
    enum port_mode mode;
};

/* A network that the tasks are in. */
struct attachment {
    char *network;  /* of the same stack by its short name ("default"); with @full by its row's */
    char **aliases; /* more names in that network's DNS */
    size_t aliases_n;
    bool full;
    char *address;  /* that the one task has in it; "": one is given out */
    char *address6; /* the same of IPv6 */
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
    char *propagation;  /* of a bind mount: "rshared", "rslave" and their like; "": rprivate */
    bool create_source; /* of a bind mount: make the folder on the node when nothing is there */
    char *subpath;      /* of a volume: this folder of it is mounted; "": all */
    bool no_copy;       /* an empty volume is not filled with what the image has at @target */
};

/* A config or secret as a file of the container. */
struct content_ref {
    char *source; /* which version of it: the name of its row, "app_site@3" */
    char *target; /* absolute path in the container */
    char *uid;    /* "": 0 */
    char *gid;    /* "": 0 */
    int64_t mode; /* permission bits; 0: 0444 */
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

enum probe_kind {
    PROBE_COMMAND, /* health_spec.test, in the container */
    PROBE_HTTP,    /* GET answers 200 to 399 */
    PROBE_TCP,     /* a connection is taken */
    PROBE_GRPC,    /* grpc.health.v1.Health/Check says SERVING */
};

enum {
    PROBE_PATH_MAX = 500, /* bytes */
    PROBE_NAME_MAX = 120, /* bytes of a probe's host or service */
};

enum unhealthy_action {
    UNHEALTHY_RESTART, /* the run is ended and begun anew, as restart_policy says */
    UNHEALTHY_KEEP,    /* it runs on, out of sight of those who look for the service */
};

/* What tells whether a task is healthy; a command without a test: nothing does. */
struct health_spec {
    char **test; /* argv to exec in the container */
    size_t test_n;
    int64_t interval_ms;       /* 0: 30 s */
    int64_t timeout_ms;        /* 0: 30 s */
    int64_t retries;           /* 0: 3 */
    int64_t start_period_ms;   /* failures in it do not count */
    int64_t start_interval_ms; /* between checks until the first success. 0: 1 s */
    enum probe_kind probe;
    int64_t port;  /* of PROBE_HTTP, PROBE_TCP and PROBE_GRPC, at the task's own address */
    char *path;    /* of PROBE_HTTP; "": "/" */
    char *host;    /* of PROBE_HTTP: the header Host; "": the address */
    char *service; /* of PROBE_GRPC: the service asked for; "": the server */
    enum unhealthy_action on_unhealthy;
};

enum service_mode {
    MODE_REPLICATED,
    MODE_GLOBAL,         /* one task on every node that fits */
    MODE_REPLICATED_JOB, /* `replicas` tasks, each runs to success once */
    MODE_GLOBAL_JOB,     /* one such task on every node that fits */
};

enum endpoint_mode {
    ENDPOINT_DEFAULT,
    ENDPOINT_DNSRR, /* the service's name has the addresses of its tasks */
    ENDPOINT_VIP,   /* … one address of its own */
};

/* "node.labels.zone == a" and its like. */
struct constraint {
    /* "node.id", "node.hostname" (the node's name), "node.platform.os", "node.platform.arch" or
     * "node.labels.KEY" */
    char *key;
    bool negated;
    char *value;
};

struct resources {
    int64_t cpu_milli;
    int64_t memory_bytes;
    int64_t pids;
};

enum {
    SPREAD_MAX = 8, /* labels that tasks are spread over, one within the other */
};

enum {
    RESOURCES_MAX = 8, /* kinds of what a node lends, or a task takes */
    RESOURCE_COUNT_MAX = 1000000000,
};

/* So many of what a node has to lend beside processors and memory: GPUs, licences. */
struct resource {
    char *name;
    int64_t count;
};

enum update_failure {
    FAILURE_PAUSE, /* the rollout stops where it is until somebody decides */
    FAILURE_CONTINUE,
    FAILURE_ROLLBACK, /* the revision before comes back; of a rollback: as FAILURE_PAUSE */
};

enum update_order {
    ORDER_STOP_FIRST,
    ORDER_START_FIRST,
};

/* How tasks of one revision take the place of another's. */
struct update_policy {
    int64_t parallelism; /* 0: 1 */
    int64_t delay_ms;    /* between two steps */
    enum update_failure failure;
    int64_t monitor_ms;           /* a task that fails so soon after it came up counts; 0: 5 s */
    int64_t max_failure_permille; /* more of the slots failing are a failed rollout */
    enum update_order order;
};

enum concurrency {
    CONCURRENCY_FORBID, /* a run that is due while one is under way is skipped */
    CONCURRENCY_ALLOW,
    CONCURRENCY_REPLACE, /* … ends that one */
};

/* What MODE_REPLICATED_JOB and MODE_GLOBAL_JOB say of their runs. */
struct job_spec {
    int64_t parallelism; /* tasks of a run at once; 0: all */
    int64_t deadline_ms; /* a run that takes longer has failed; 0: none */
    char *schedule;      /* crontab(5), "0 3 * * *"; "": one run for each revision */
    char *time_zone;     /* "Europe/Berlin"; "": UTC */
    enum concurrency concurrency;
    int64_t catch_up_ms; /* a run missed by no more than this is made up for; 0: 60 s; -1: never */
    int64_t history;     /* ended runs that are kept; 0: 5 */
};

/* A device of the task's node. */
struct device_spec {
    char *source; /* absolute path on the node */
    char *target; /* in the container; "": as on the node */
    char *access; /* of "rwm"; "": all */
};

/* A limit of setrlimit(2) by its short name, "nofile"; -1 is unlimited. */
struct ulimit_spec {
    char *name;
    int64_t soft;
    int64_t hard;
};

/* A file system in memory. */
struct tmpfs_spec {
    char *target;
    int64_t size_bytes; /* 0: half of the memory, as the kernel has it */
    int64_t mode;       /* permission bits; 0: 1777 */
    char **options;     /* further ones of mount(8): "noexec", "uid=1000" */
    size_t options_n;
};

/* A limit or weight of one block device of the task's node. */
struct io_spec {
    char *path;
    int64_t value; /* bytes or operations a second, or a weight */
};

struct blkio_spec {
    int64_t weight; /* 10 to 1000; 0: not given */
    struct io_spec *weights;
    size_t weights_n;
    struct io_spec *read_bps;
    size_t read_bps_n;
    struct io_spec *write_bps;
    size_t write_bps_n;
    struct io_spec *read_iops;
    size_t read_iops_n;
    struct io_spec *write_iops;
    size_t write_iops_n;
};

/* Where the output of a task goes. */
struct logging_spec {
    char *driver;         /* "" and "json-file": kept by the node; "none": thrown away */
    struct pair *options; /* "max-size" in bytes, "max-file": decimal numbers */
    size_t options_n;
};

enum init_choice {
    INIT_DEFAULT, /* of the node: no */
    INIT_YES,     /* a small init is process 1 of the container, reaping and passing signals on */
    INIT_NO,
};

/* What a container may and may not: the keys of a Compose service of the same names. Empty means
 * the default everywhere. */
struct container_options {
    char **group_add; /* names or numbers */
    size_t group_add_n;
    char *domainname;
    char **extra_hosts; /* "NAME ADDRESS"; the address "host-gateway" is the task's node's */
    size_t extra_hosts_n;
    char **dns; /* addresses: asked instead of the node's for what the cluster does not know */
    size_t dns_n;
    char **dns_search;
    size_t dns_search_n;
    char **dns_opt;
    size_t dns_opt_n;
    struct tmpfs_spec *tmpfs;
    size_t tmpfs_n;
    int64_t shm_bytes;
    char **cap_add; /* "NET_ADMIN", "ALL" */
    size_t cap_add_n;
    char **cap_drop;
    size_t cap_drop_n;
    bool privileged;
    struct device_spec *devices;
    size_t devices_n;
    char **device_rules; /* "c 1:3 rwm" */
    size_t device_rules_n;
    bool no_new_privileges;
    char *seccomp;  /* "": the default profile; "unconfined"; else the profile's JSON */
    char *apparmor; /* "": none; a profile's name */
    struct pair *sysctls;
    size_t sysctls_n;
    struct ulimit_spec *ulimits;
    size_t ulimits_n;
    enum init_choice init;
    bool stdin_open;
    bool tty;
    char *pid;              /* "": its own; "host" */
    char *ipc;              /* "": its own; "private", "host", "none" */
    char *uts;              /* "": its own; "host" */
    char *userns;           /* "": the node's, none; "host": none; "auto": a range of its own */
    char *cgroup;           /* "": its own where cgroups are version 2; "host", "private" */
    int64_t memswap_bytes;  /* memory and swap together; 0: as the memory limit; -1: unlimited */
    int64_t swappiness_set; /* 1 + mem_swappiness (0 to 100); 0: not given */
    int64_t reserved_bytes; /* soft limit of memory */
    char *cpuset;           /* "0-3,7" */
    int64_t cpu_shares;
    struct blkio_spec blkio;
    int64_t oom_score_adj;
    bool oom_kill_disable;
    struct logging_spec logging;
    char *runtime;         /* "": the node's; "runc", "crun", or one of the node's by name */
    int64_t storage_bytes; /* of the writable layer; 0: no limit */
    struct pair *annotations;
    size_t annotations_n;
    bool network_host; /* the node's network instead of networks of the stack */
};

enum pull_policy {
    PULL_MISSING, /* what is on the node is used */
    PULL_ALWAYS,  /* each deploy asks the registry what the name stands for */
    PULL_NEVER,   /* it must be on a member already */
};

struct spec {
    char *image;
    /* What the name stood for when the service was deployed, "docker.io/library/web@sha256:…"; "":
     * nobody knew. Every task runs these bits. */
    char *image_digest;
    enum pull_policy pull_policy;
    char *platform; /* "linux/arm64"; "": the node's own */
    struct container_options options;
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
    /* Each task is in the network of the task in the same slot of this service of the stack, on its
     * node, and has none of its own. "": not so. */
    char *network_of;
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
    struct update_policy rollback;
    struct job_spec job;
    struct resource *resources; /* taken from the node's */
    size_t resources_n;
    char **spread; /* labels, "node.labels.zone": as many tasks for each value, the first first */
    size_t spread_n;
    enum endpoint_mode endpoint_mode;
    bool single;         /* never two tasks of a slot at once, whatever is cut off or frozen */
    int64_t lease_ms;    /* of a single service; 0: 15 s */
    int64_t failover_ms; /* tasks of a lost node wait so long for it; 0: not; -1: for ever */
    int64_t drain_ms;    /* from leaving DNS and ports to the signal; 0: the default; -1: none */
    int64_t rollout_deadline_ms; /* a rollout without progress for so long failed. 0: 10 min */
    bool no_rebalance;           /* a task that runs stays where it is */
    int64_t restarts;            /* counts `restart` by hand, each of which is a rollout */
    struct content_ref *configs;
    size_t configs_n;
    struct content_ref *secrets;
    size_t secrets_n;
    /* A changed config or secret is put in its place and the process gets this signal ("SIGHUP"),
     * instead of new tasks. "": new tasks. */
    char *on_change;
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
    char *pool;        /* range of all networks, "10.192.0.0/10" */
    int64_t vxlan_id;  /* drawn at init, so that two clusters on one link do not mix */
    char *spread;      /* the node label whose values voters are spread over; "": none */
    int64_t level;     /* of changes that may be used (level.h); 0 is the first */
    bool no_rebalance; /* tasks stay where they are when there is more room elsewhere */
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

/* Where the replacement of tasks by those of service.revision is. */
enum rollout_state {
    ROLLOUT_NONE, /* the first revision, or one before there were states */
    ROLLOUT_UPDATING,
    ROLLOUT_PAUSED, /* rollout_message says why; goes on when told to */
    ROLLOUT_DONE,
    ROLLOUT_ROLLING_BACK, /* the revision is a copy of an earlier one */
    ROLLOUT_ROLLBACK_PAUSED,
    ROLLOUT_ROLLED_BACK,
};

struct task_address {
    int64_t network_id;
    char *address;  /* "10.192.16.5" */
    char *address6; /* "fd00::5"; "": its network has no IPv6 */
};

struct service {
    int64_t id;
    int64_t stack_id;
    char *stack;      /* the stack's name */
    char *name;       /* short name, "web"; users say "stack.web" */
    int64_t revision; /* of its spec, from 1; a deploy that changes nothing keeps it */
    bool removed;     /* going away: its tasks are being ended */
    bool stopped;     /* by hand: it is to have no tasks until it is started */
    struct spec spec;
    char *cause;         /* of the revision: "deployed", "rolled back to 3", "restarted" */
    int64_t revision_ms; /* when it was made */
    enum rollout_state rollout;
    int64_t rollout_ms;    /* since when */
    char *rollout_message; /* why it is paused or went back */
    int64_t
        stable_revision;  /* the last before it that was rolled out whole; a rollback goes there */
    int64_t scheduled_ms; /* of a job with a schedule: the last time that was dealt with */
    int64_t runs;         /* of a job: begun so far */
    struct task_address *addresses; /* that stand for its healthy tasks, one a network */
    size_t addresses_n;
    struct task_address *reserved; /* what its attachments' @address keep for it */
    size_t reserved_n;
    int64_t created_ms;
    int64_t updated_ms;
    int64_t created_index;
    int64_t modified_index;
};

enum {
    REVISIONS_KEPT = 10, /* of a service, besides its newest and those that tasks run */
};

/* A spec that a service had before. */
struct revision {
    int64_t id;
    int64_t service_id;
    int64_t revision;
    struct spec spec;
    char *cause; /* as in struct service */
    int64_t revision_ms;
    int64_t created_index;
    int64_t modified_index;
};

enum job_state {
    JOB_RUNNING,
    JOB_SUCCEEDED, /* all its tasks completed */
    JOB_FAILED,    /* a task gave up, or it took too long */
    JOB_CANCELED,  /* by hand, by a newer run, or its service was stopped or changed */
    JOB_SKIPPED,   /* due, but not begun: the one before still ran, or nobody was there to begin */
};

/* One run of a service that is a job. */
struct job_run {
    int64_t id;
    int64_t service_id;
    int64_t number;       /* counts the service's runs, from 1 */
    int64_t revision;     /* of the spec it began with */
    int64_t scheduled_ms; /* when it was due; 0: it follows no schedule */
    int64_t started_ms;
    int64_t ended_ms; /* 0: it runs */
    enum job_state state;
    char *cause;   /* "schedule", "deployed", "by hand" */
    char *message; /* why it ended as it did */
    int64_t created_index;
    int64_t modified_index;
};

enum {
    JOB_HISTORY_DEFAULT = 5, /* ended runs of a service that are kept */
    JOB_HISTORY_MAX = 100,
    JOB_ACTIVE_MAX = 16, /* runs of one service at once */
    CATCH_UP_DEFAULT_MS = 60000,
    LEASE_DEFAULT_MS = 15000,
    LEASE_MIN_MS = 5000,
    LEASE_MAX_MS = 600000,
    SCHEDULE_MAX = 200, /* bytes of a schedule */
    TIME_ZONE_MAX = 64,
};

enum task_desired {
    DESIRED_RUN,
    DESIRED_END,   /* stop it; then the leader removes the task */
    DESIRED_READY, /* get the image, make the container and wait (TASK_WAITING) to be released */
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
    int64_t run;          /* starts so far on its node */
    int64_t sequence;     /* of the node's report: (run, sequence) never goes back */
    int64_t exit_code;    /* of the last run that ended */
    int64_t attempts;     /* restarts, and tries to make it, since it last ran for long enough */
    int64_t hops;         /* how often its slot had left a member because it failed there */
    bool ready;           /* DESIRED_READY: all is there, it waits to be released */
    char *message;        /* why it waits or failed */
    int64_t move_to;      /* a node to go to, -1: any other than its own; 0: it stays */
    char *move_reason;    /* "by hand", "n4 has more room" */
    int64_t job_id;       /* of the run that it belongs to */
    int64_t network_task; /* whose network it is in (spec.network_of); 0: its own */
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
    int64_t cpu_milli;          /* capacity */
    int64_t memory_bytes;       /* capacity */
    struct resource *resources; /* further ones, sorted by name */
    size_t resources_n;
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

/* A network that is a link of the machines, where tasks are as machines of their own (macvlan). */
struct lan_spec {
    bool on;       /* it is one; the rest is empty otherwise */
    char *parent;  /* the machines' link, "eth0.20"; "": the one that has the member's address */
    char *gateway; /* of the link, by which its tasks reach all else; "": as without it */
};

struct network {
    int64_t id;
    int64_t stack_id; /* 0: made by hand, it stays until it is removed by hand */
    char *name;       /* full name, "stack_default" */
    char *prefix;     /* "10.192.16.0/20", given out by apply, or as it was asked for */
    bool own_range;   /* … the latter: it lies outside the cluster's pool */
    char *prefix6;    /* of IPv6, "fd6b:12:9::ac0:1000/116"; "": it has none */
    bool own_range6;  /* … as it was asked for */
    char *ip_range;   /* part of @prefix that addresses are given out of; "": all of it */
    bool internal;    /* no way from it to anything outside */
    bool attachable;  /* other stacks may be in it */
    struct lan_spec lan;
    struct pair *labels; /* sorted by key */
    size_t labels_n;
    int64_t created_index;
    int64_t modified_index;
};

struct volume {
    int64_t id;
    int64_t stack_id;
    char *name;           /* full name, "stack_data" */
    int64_t home_node_id; /* where its content is; 0 until a task of it was placed */
    char *home_name;      /* after a restore: the member that had it and has not come back yet */
    /* As of Docker's driver "local": type, device and o. Empty: a folder of the home. */
    struct pair *options;
    size_t options_n;
    struct pair *labels; /* sorted by key */
    size_t labels_n;
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

enum {
    REGISTRIES_MAX = 64,
    REGISTRY_NAME_MAX = 255, /* bytes of its host and port */
    REGISTRY_USER_MAX = 256,
    REGISTRY_PASSWORD_MAX = 8192, /* access tokens are long */
    REGISTRY_CA_MAX = 32 << 10,   /* of certificates in PEM */
    REGISTRY_MIRRORS_MAX = 8,
    REGISTRY_MIRROR_MAX = 512, /* bytes of one's URL */
};

/* How one registry of images is reached, by every member. */
struct registry {
    int64_t id;
    char *name;             /* host and perhaps port, "docker.io", "registry.example:5000" */
    char *username;         /* "": nobody has logged in */
    struct sealed password; /* or an access token; none after a restore: a login is due */
    char *ca;               /* PEM of certificates to trust besides the system's */
    char **mirrors;         /* base URLs that are tried before it, in order */
    size_t mirrors_n;
    bool plain_http; /* no TLS */
    int64_t created_ms;
    int64_t modified_ms;
    int64_t created_index;
    int64_t modified_index;
};

/* A network of a deploy that says more than its name. */
struct deploy_network {
    char *name;     /* short; with @full that of the row */
    bool full;      /* … "name:" of the file */
    char *prefix;   /* asked for; "": one of the pool's */
    bool ipv6;      /* it has IPv6 too … */
    char *prefix6;  /* … this range; "": one of the cluster's */
    char *ip_range; /* as in struct network */
    bool internal;
    bool attachable;
    struct lan_spec lan;
    struct pair *labels; /* sorted by key */
    size_t labels_n;
};

/* A volume of a deploy that says more than its name. */
struct deploy_volume {
    char *name;           /* full */
    struct pair *options; /* as in struct volume */
    size_t options_n;
    struct pair *labels;
    size_t labels_n;
};

enum content_kind {
    CONTENT_CONFIG,
    CONTENT_SECRET,
};

enum {
    CONTENT_BYTES_MAX = 500 << 10, /* of one, as Docker has it */
    CONTENT_SEALED_MAX = CONTENT_BYTES_MAX + 64,
    CONTENTS_MAX = 10000,   /* versions of all */
    CONTENT_NAME_MAX = 120, /* bytes */
};

/* One version of a config or secret. It never changes; another content is another version. */
struct content {
    int64_t id;
    enum content_kind kind;
    char *base;          /* what users call it, "app_site" */
    int64_t version;     /* of those of @base, from 1 */
    char *stack;         /* the stack whose file it came with; "": made by hand */
    struct bytes data;   /* of a secret: sealed by @key */
    struct sealed key;   /* of a secret: the key of its own, sealed by the cluster's */
    int64_t size;        /* bytes of the content itself */
    struct pair *labels; /* sorted by key */
    size_t labels_n;
    int64_t created_ms;
    int64_t created_index;
    int64_t modified_index;
};

enum {
    DNS_RECORDS_MAX = 10000,
    DNS_NAME_MAX = 253,
    DNS_VALUE_MAX = 1024,
    DNS_TTL_DEFAULT = 60,
};

/* A name of the user's own that members answer for: in no zone, as it stands. */
struct dns_record {
    int64_t id;
    char *name;  /* in lower case, without the last dot */
    char *type;  /* "A", "AAAA", "CNAME", "TXT", "SRV", "MX" */
    char *value; /* as in a zone file (RFC 1035, section 5) */
    int64_t ttl; /* seconds */
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
    constraint_type, container_options_type, spec_type, task_address_type, sealed_type,
    cluster_keys_type, resource_type, update_policy_type, job_spec_type, health_spec_type,
    content_ref_type;
extern const struct record_type cluster_type, stack_type, service_type, revision_type, task_type,
    node_type, network_type, volume_type, token_type, event_type, registry_type, job_run_type,
    content_type, dns_record_type, deploy_network_type, deploy_volume_type, lan_spec_type;

/* The names of the enums' values, as users see them. */
extern const char *const task_state_names[];
extern const char *const task_desired_names[];
extern const char *const task_health_names[];
extern const char *const service_mode_names[];
extern const char *const rollout_state_names[];
extern const char *const job_state_names[];
extern const char *const concurrency_names[];
extern const char *const node_status_names[];
extern const char *const availability_names[];
extern const char *const protocol_names[];
extern const char *const token_kind_names[];
extern const char *const token_role_names[];
extern const char *const content_kind_names[];

/* True when something tells whether a task is healthy. */
bool health_is_checked(const struct health_spec *health);

/* How long a lease of a single service is good. */
int64_t spec_lease_ms(const struct spec *spec);

/* True for services whose tasks run to their end. */
bool mode_is_job(enum service_mode mode);

/* True for services that have a task on each node that fits. */
bool mode_is_global(enum service_mode mode);

/* True for the states after which a task never runs again. */
bool task_is_terminal(enum task_state state);

/* True when the task serves: running, and healthy if it has a check. */
bool task_is_healthy(const struct task *task);

/* True for volumes whose content is not on a member: nfs, cifs and the like, and tmpfs. */
bool volume_is_anywhere(const struct volume *volume);

/* The row's name of the network that @attachment of a service of @stack means, as a new string. */
char *attachment_network(const char *stack, const struct attachment *attachment);

/* The row's name of a version: "config app_site@3", as a new string. */
char *content_row_name(enum content_kind kind, const char *source);

/* "app_site@3" of a version, as a new string. */
char *content_source(const struct content *content);

/* Names of configs and secrets: letters, digits, '_', '.' and '-', at most CONTENT_NAME_MAX. */
bool content_name_is_valid(const char *name);

/* Names that users give: [a-z0-9] first, then [a-z0-9_-], at most 63 bytes. Stacks, services and
 * nodes (nodes may also have dots and upper case). */
bool name_is_valid(const char *name);
bool node_name_is_valid(const char *name);

/* Keys of labels: 1 to 63 printable characters of ASCII, no blank, no '='. */
bool label_key_is_valid(const char *key);

/* What a node lends, or a task takes: at most RESOURCES_MAX, in order and once each by name, of 1
 * to RESOURCE_COUNT_MAX. Names are as those of stacks, in upper case too. */
bool resources_are_valid(const struct resource *resources, size_t n);

/* Tokens: as nodes, but not digits alone, which are an id. */
bool token_name_is_valid(const char *name);

/* Registries, as they stand in the names of images: a host of letters, digits, '.' and '-', or an
 * IPv6 address in brackets, in lower case, and perhaps a port. */
bool registry_name_is_valid(const char *name);

/* The value of @key in @n sorted or unsorted pairs, or NULL. Borrowed. */
const char *pair_get(const struct pair *pairs, size_t n, const char *key);

#endif
