/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - the verbs of a member: what each is asked and what it answers.
 *
 * One table serves every carrier. A verb is a name, the record of its request and the record of its
 * reply. Any member takes any verb: what changes the state goes on to the leader and is answered
 * once this member has applied it too; what belongs to another machine (logs, commands) goes on to
 * that one.
 *
 * To follow something, ask again: cluster.wait answers when the state has moved past an index,
 * logs.read and image.progress when there is more or wait_ms is over.
 */
#ifndef WHERRY_CLUSTER_API_H
#define WHERRY_CLUSTER_API_H

#include "cluster/api_container.h"
#include "cluster/api_content.h"
#include "cluster/api_event.h"
#include "cluster/api_exec.h"
#include "cluster/api_host.h"
#include "cluster/api_image.h"
#include "cluster/api_network.h"
#include "cluster/api_registry.h"
#include "cluster/api_service.h"
#include "cluster/api_standalone.h"
#include "store/model.h"

/* name, request, reply */
#define API_VERBS(X)                                                                               \
    X("cluster.init", init_request, init_reply)                                                    \
    X("cluster.join", join_request, join_reply)                                                    \
    X("cluster.status", empty, status_reply)                                                       \
    X("cluster.wait", wait_request, wait_reply)                                                    \
    X("cluster.session", empty, session_reply)                                                     \
    X("cluster.connect", connect_request, connect_reply)                                           \
    X("cluster.leave", leave_request, node_change_reply)                                           \
    X("cluster.inspect", empty, cluster_info)                                                      \
    X("cluster.set", cluster_set_request, empty)                                                   \
    X("token.create", token_request, token_reply)                                                  \
    X("token.list", empty, token_list_reply)                                                       \
    X("token.remove", name_request, empty)                                                         \
    X("token.rotate", name_request, token_reply)                                                   \
    X("key.rotate", empty, empty)                                                                  \
    X("lock.set", lock_set_request, lock_reply)                                                    \
    X("lock.key", empty, lock_reply)                                                               \
    X("lock.open", lock_open_request, empty)                                                       \
    X("ca.inspect", empty, ca_info)                                                                \
    X("ca.rotate", empty, empty)                                                                   \
    X("ca.finish", empty, empty)                                                                   \
    X("node.list", empty, node_list_reply)                                                         \
    X("node.inspect", name_request, node_info)                                                     \
    X("node.set", node_set_request, node_change_reply)                                             \
    X("node.repair", empty, empty)                                                                 \
    X("node.remove", node_remove_request, node_change_reply)                                       \
    X("stack.deploy", deploy_request, deploy_reply)                                                \
    X("stack.plan", deploy_request, plan_reply)                                                    \
    X("stack.remove", name_request, empty)                                                         \
    X("service.list", filter_request, service_list_reply)                                          \
    X("service.inspect", name_request, service_info)                                               \
    X("service.scale", scale_request, empty)                                                       \
    X("service.act", service_act_request, empty)                                                   \
    X("service.history", name_request, history_reply)                                              \
    X("service.why", filter_request, why_reply)                                                    \
    X("service.foresee", dry_run_request, plan_reply)                                              \
    X("job.list", filter_request, job_list_reply)                                                  \
    X("task.move", task_move_request, empty)                                                       \
    X("event.list", event_request, event_reply)                                                    \
    X("task.list", filter_request, task_list_reply)                                                \
    X("logs.read", logs_request, logs_reply)                                                       \
    X("exec.start", exec_request, session_started)                                                 \
    X("attach.start", attach_request, session_started)                                             \
    X("session.read", session_read_request, session_read_reply)                                    \
    X("session.write", session_write_request, session_write_reply)                                 \
    X("session.end", session_request, empty)                                                       \
    X("image.upload", upload_request, upload_reply)                                                \
    X("image.load", image_load_request, job_reply)                                                 \
    X("image.pull", image_pull_request, job_reply)                                                 \
    X("image.push", image_push_request, job_reply)                                                 \
    X("image.progress", job_request, job_progress)                                                 \
    X("image.list", image_list_request, image_list_reply)                                          \
    X("image.remove", image_request, image_names_reply)                                            \
    X("image.tag", image_tag_request, image_names_reply)                                           \
    X("image.inspect", image_request, image_record)                                                \
    X("image.save", image_save_request, image_save_reply)                                          \
    X("image.prune", image_prune_request, job_reply)                                               \
    X("image.check", image_check_request, job_reply)                                               \
    X("registry.set", registry_set_request, empty)                                                 \
    X("registry.list", empty, registry_list_reply)                                                 \
    X("registry.remove", name_request, empty)                                                      \
    X("content.set", content_set_request, content_set_reply)                                       \
    X("content.list", content_request, content_list_reply)                                         \
    X("content.remove", content_request, empty)                                                    \
    X("network.create", network_create_request, empty)                                             \
    X("network.list", name_request, network_list_reply)                                            \
    X("network.remove", name_request, empty)                                                       \
    X("network.ports", network_ports_request, network_ports_reply)                                 \
    X("network.status", network_status_request, network_status_reply)                              \
    X("dns.set", dns_request, empty)                                                               \
    X("dns.list", empty, dns_list_reply)                                                           \
    X("dns.remove", dns_request, empty)                                                            \
    X("cluster.restore", restore_request, restore_reply)                                           \
    X("backup.read", backup_read_request, backup_read_reply)                                       \
    CONTAINER_VERBS(X)                                                                             \
    STANDALONE_VERBS(X)                                                                            \
    X("debug.stalls", empty, stalls_reply)

struct empty {
    int64_t unused;
};

struct name_request {
    char *name;
};

/* "" for all, "stack", "stack.service" or "stack.service.slot". A part is compared whole. */
struct filter_request {
    char *name;
};

/* --- cluster ------------------------------------------------------------------------------ */

struct init_request {
    char *pool; /* range for all networks; "" for 10.192.0.0/10 */
};

struct init_reply {
    char *cluster;    /* its uuid */
    char *address;    /* where others join */
    char *join_token; /* good for a day */
};

struct join_request {
    char *address;
    char *token;
    bool replace; /* in the place of a member of this machine's name that is down */
};

struct join_reply {
    char *cluster;
    int64_t node_id;
};

struct status_reply {
    char *cluster; /* "" when not a member of one */
    char *version;
    char *node; /* name of the member that answers */
    int64_t node_id;
    char *leader; /* "" when there is none now */
    int64_t term;
    int64_t index;
    int64_t behind;     /* entries this member's copy lacks, as far as it knows */
    bool cut_off;       /* the cluster was recovered without this member: it must join anew */
    int64_t contact_ms; /* since a leader last told it; 0 on the leader */
    int64_t level;      /* of changes that all members know (store/level.h) */
    int64_t voters;
    int64_t voters_up;
    int64_t quorum;
    int64_t losable; /* further voters that may be lost before writes stop */
    int64_t nodes;
    int64_t nodes_up;
    int64_t services;
    int64_t tasks;
    int64_t tasks_running;
    int64_t tasks_waiting; /* desired to run and not running, and slots without a task */
    char *lock;            /* "off"; "on"; "locked": on, and this member has not been opened */
    char *key;       /* of the cluster, here: "held", "locked", "missing", "witness", "none" */
    char **warnings; /* what somebody should look after, a sentence each */
    size_t warnings_n;
    char *oci_runtime;
    char *cgroups;
};

struct cluster_info {
    char *cluster; /* its uuid */
    char *pool;
    char *spread;   /* the node label that voters are spread over, "" for none */
    bool rebalance; /* tasks move to where there is more room */
    int64_t vxlan_id;
    int64_t created_ms;
};

struct leave_request {
    bool yes; /* do it; else only say what it would cost */
};

struct cluster_set_request {
    bool set_spread;
    char *spread;
    bool set_rebalance;
    bool rebalance;
};

struct wait_request {
    int64_t after;
    int64_t wait_ms; /* at most 30000 */
};

struct wait_reply {
    int64_t index;
};

/* What the member knows of its caller, and where the others take calls. */
struct session_reply {
    char *cluster; /* its uuid */
    char *node;    /* name of the member that answers */
    char *name;    /* of the token; "" when it has none */
    char *role;    /* "admin", "deployer", "viewer" */
    char **stacks; /* the only ones it may see; none: all */
    size_t stacks_n;
    int64_t expires_ms; /* 0: never */
    char **addresses;   /* "10.0.0.1:7401", of all members, by node id */
    size_t addresses_n;
};

/* Dial a member where its address in our book is of no use any more. */
struct connect_request {
    char *address;
};

struct connect_reply {
    int64_t node_id; /* who answered */
    char *name;
};

/* --- tokens ------------------------------------------------------------------------------- */

struct token_request {
    enum token_kind kind;
    int64_t ttl_ms; /* 0: a day for join, for ever for call */
    char *name;     /* may be "" */
    enum token_role role;
    char **stacks;
    size_t stacks_n;
    bool witness;
};

struct token_reply {
    char *token;
    char *address; /* where to use it */
    int64_t expires_ms;
    int64_t id;
    char *name;
    enum token_kind kind;
    enum token_role role;
    char **stacks;
    size_t stacks_n;
};

/* All of a token but its secret, which only its holder knows. */
struct token_info {
    int64_t id;
    char *name;
    char *kind;    /* "join", "call" */
    char *role;    /* "admin", "deployer", "viewer"; of join tokens "member", "witness" */
    char **stacks; /* its scope; none: all */
    size_t stacks_n;
    char *created_by;
    int64_t created_ms;
    int64_t expires_ms; /* 0: never */
    bool expired;
};

struct token_list_reply {
    struct token_info *tokens;
    size_t tokens_n;
};

/* --- nodes -------------------------------------------------------------------------------- */

struct node_info {
    int64_t id;
    char *name;
    char *address;
    char *status;       /* "up", "down" */
    char *availability; /* "active", "pause", "drain" */
    char *role;         /* "voter", "standby", "witness", "joining" */
    bool votes;
    bool leader;
    struct pair *labels;
    size_t labels_n;
    int64_t cpu_milli;
    int64_t memory_bytes;
    int64_t cpu_reserved_milli;
    int64_t memory_reserved_bytes;
    struct resource_info {
        char *name;
        int64_t count;
        int64_t reserved;
    } * resources;
    size_t resources_n;
    int64_t tasks; /* running */
    char *version;
    char *os;
    char *arch;
    int64_t joined_ms;
    int64_t status_ms;
    int64_t clock_offset_ms; /* from the right time, by the member that answers; 0: near */
    bool disk_full;          /* it takes no changes until there is room */
    int64_t disk_free_bytes; /* where its log is; 0: not known here */
};

struct node_list_reply {
    struct node_info *nodes;
    size_t nodes_n;
};

struct node_remove_request {
    char *name;
    bool force; /* also when it is up */
    bool yes;   /* whatever it costs */
};

struct node_set_request {
    char *name;
    char *availability; /* "active", "pause", "drain" */
    bool yes;           /* whatever it costs */
};

/* A change that would cost more than the member it is about is made only with `yes`; else the
 * answer says what it would cost, one thing a line, and nothing is done. */
struct node_change_reply {
    bool done;
    char *warning; /* when it is not */
};

/* --- keys --------------------------------------------------------------------------------- */

struct lock_set_request {
    char *to; /* "on", "off"; "rotate": on, with another unlock key */
};

struct lock_reply {
    char *unlock_key; /* "" for off */
};

struct lock_open_request {
    char *unlock_key;
};

/* A member's certificate. */
struct ca_member {
    char *name;
    char *status;
    bool current;     /* it is of the CA of now */
    int64_t until_ms; /* 0: not known */
};

struct ca_info {
    char *ca; /* SHA-256 of the CA's certificate, as tokens have it */
    int64_t until_ms;
    char *before;           /* while the CA is changed: of the one before; "" else */
    int64_t tokens_before;  /* … and tokens that name it */
    int64_t members_before; /* … and members whose certificate is of it */
    struct ca_member *members;
    size_t members_n;
};

/* --- stacks and services ------------------------------------------------------------------ */

struct deploy_spec {
    char *name; /* short name */
    struct spec spec;
};

struct deploy_request {
    char *name;
    char *project; /* identity of where the file is */
    bool adopt;
    bool prune;
    bool pull;  /* ask registries what the images' names stand for now */
    bool brief; /* of a plan: services only, not what becomes of each task */
    struct deploy_spec *services;
    size_t services_n;
    char **networks; /* short names */
    size_t networks_n;
    char **volumes; /* full names */
    size_t volumes_n;
    struct deploy_network *own_networks; /* as in struct change_stack_deploy */
    size_t own_networks_n;
    struct deploy_volume *own_volumes;
    size_t own_volumes_n;
    /* What its configs and secrets are: kind, base, data, labels. Specs have them by base, as they
     * have those that are in the cluster already. */
    struct content *contents;
    size_t contents_n;
};

struct deploy_reply {
    int64_t revision;
    int64_t index;
    char **left; /* services of the stack that are not in the file and stay */
    size_t left_n;
    char **warnings;
    size_t warnings_n;
};

/* One line of a plan: action "create", "update", "scale", "keep", "remove", "leave" for a service;
 * "place", "replace", "move", "stop" and "wait" for what becomes of a slot. */
struct plan_item {
    char *action;
    char *object; /* "app.web" or "app.web.2" */
    char *node;   /* where the slot's task is in the end, or for "stop" was */
    char *detail; /* what changes, or why it waits */
};

struct plan_reply {
    bool changes; /* false: a deploy would do nothing */
    struct plan_item *items;
    size_t items_n;
    char **warnings;
    size_t warnings_n;
};

struct service_info {
    int64_t id;
    char *name; /* "app.web" */
    char *stack;
    char *mode;
    char *image;
    int64_t replicas; /* wanted; of global services the nodes that fit */
    int64_t running;
    int64_t healthy;
    int64_t complete; /* of jobs */
    int64_t updated;  /* running the newest revision */
    int64_t revision;
    bool removed;
    char *state; /* "running", "starting", "updating", "waiting", "failed", "complete", "removing",
                    "stopped", "paused", "rolling back" */
    char *message; /* why not running */
    char **ports;  /* "8080->80/tcp" */
    size_t ports_n;
    bool stopped;
    char *cause;           /* of its revision */
    char *rollout;         /* as rollout_state_names */
    char *rollout_message; /* why it is paused or went back */
    struct spec spec;
    int64_t created_ms;
    int64_t updated_ms;
};

struct service_list_reply {
    struct service_info *services;
    size_t services_n;
};

struct scale_request {
    char *name; /* "app.web" */
    int64_t replicas;
};

struct task_info {
    int64_t id;    /* 0: a slot that has no task yet */
    char *name;    /* "app.web.2" */
    char *service; /* "app.web" */
    int64_t slot;
    char *node; /* its name */
    char *image;
    char *desired;
    char *state; /* as task_state_names, or "pending" for a slot without task */
    char *health;
    int64_t run;
    int64_t restarts;
    int64_t exit_code;
    char *message;
    char **addresses;
    size_t addresses_n;
    char *network_of; /* the task whose network it shares, "app.vpn.1"; "": it has its own */
    int64_t revision;
    int64_t created_ms;
    int64_t state_ms;
    char *moves_to;    /* a member's name, "another member"; "": it stays */
    char *move_reason; /* why it moves, or why it did not */
};

struct task_list_reply {
    struct task_info *tasks;
    size_t tasks_n;
};

/* --- logs --------------------------------------------------------------------------------- */

/* One task's log after the cursor. The first request of a reader has a cursor of zeros and
 * perhaps tail. */
struct logs_request {
    int64_t task_id;
    int64_t run;
    int64_t file;
    int64_t offset;
    bool has_tail;
    int64_t tail;    /* last lines only, with has_tail on the first request */
    int64_t wait_ms; /* wait for more, at most 30000 */
};

struct logs_reply {
    struct bytes lines; /* CRI text format, whole lines */
    int64_t run;
    int64_t file;
    int64_t offset;
    bool more;  /* there is more to read now */
    bool ended; /* the task is gone or will never write again */
};

/* --- images of one member ------------------------------------------------------------------ */

/* A piece of an archive: id "" starts an upload; the reply names it. */
struct upload_request {
    char *id;
    int64_t offset;
    struct bytes data; /* at most 1 MiB */
};

struct upload_reply {
    char *id;
    int64_t offset; /* where to go on */
};

struct image_load_request {
    char *upload; /* id of a finished upload */
    char *name;   /* for an archive that names nothing */
};

struct image_pull_request {
    char *name;
    char **plain_http; /* registries to speak plain HTTP with */
    size_t plain_http_n;
    char *node;     /* the member that is to have it; "": the one that is called */
    char *platform; /* "linux/arm64"; NULL: the member's own */
};

struct image_push_request {
    char *name;
    char **plain_http;
    size_t plain_http_n;
    char *node;
};

struct job_reply {
    char *job;
};

struct job_request {
    char *job;
    char *seen; /* the text last seen: answered when it is another */
    int64_t wait_ms;
    char *node; /* the member whose job it is; "": the one that is called */
};

struct job_progress {
    bool done;
    char *text;    /* for people */
    int64_t code;  /* wire number, 0: well */
    char *message; /* with a code */
    char **names;  /* of the images, when done */
    size_t names_n;
    int64_t bytes;                /* that a prune gave, or would give */
    struct image_checked checked; /* by a check */
};

struct image_info {
    char *name;
    char *digest;
    int64_t size_bytes;
    int64_t created_ms;
    int64_t used_ms;
    int64_t containers; /* made from it */
    bool kept;          /* a service or an earlier revision of one needs it */
    bool damaged;       /* it cannot be run */
};

struct image_list_reply {
    struct image_info *images;
    size_t images_n;
};

/* --- backup ------------------------------------------------------------------------------- */

/* Id "" takes a copy of the state, which is in the reply's name from then on. A piece of it, or
 * with @done: nobody needs it any more. */
struct backup_read_request {
    char *id;
    int64_t offset;
    bool done;
};

struct backup_read_reply {
    char *id;
    int64_t size;      /* of the whole file, cluster/backup.h */
    struct bytes data; /* from the offset on; none at its end */
};

struct restore_request {
    char *upload;      /* id of a finished upload, which is a backup */
    bool forget_homes; /* volumes start empty wherever they are needed first */
    bool dry_run;      /* check everything, do nothing */
};

struct restore_reply {
    char *cluster;    /* uuid of the new one; "" after a dry run */
    char *address;    /* where others join */
    char *join_token; /* good for a day */
    char *from;       /* uuid of the cluster in the backup */
    int64_t from_index;
    int64_t from_ms; /* when the backup was made */
    int64_t stacks;
    int64_t services;
    int64_t tasks;        /* that are not carried over */
    int64_t tokens;       /* likewise */
    int64_t members;      /* likewise */
    int64_t homes_here;   /* volumes whose home had this machine's name */
    int64_t homes_away;   /* volumes that wait for a member of their home's name */
    int64_t homes_forgot; /* volumes that start empty */
    char **logins;        /* registries that need a login again */
    size_t logins_n;
    int64_t secrets; /* versions of secrets that are to be set again */
};

/* The longest times the loop was away, since the last call. */
struct stalls_reply {
    int64_t longest_us;
    int64_t turns;
    int64_t over_20ms;
    int64_t over_100ms;
};

/* --- recover: what a member whose cluster lost its quorum has; no verb ---------------------- */

struct recover_member {
    int64_t id;
    char *name;
    char *address;
    char *role; /* "voter", "standby", "joining", "none" */
    bool self;
};

struct recover_report {
    char *cluster;
    char *node; /* name of this member; "" when its state does not have it */
    int64_t node_id;
    char *role;
    bool witness;
    bool cut_off; /* the cluster was recovered without it */
    int64_t term;
    int64_t index;      /* of the last entry of its log */
    int64_t index_term; /* … and that one's term */
    int64_t committed;  /* up to there its log is known to be committed */
    int64_t epoch;
    int64_t heard_ms; /* when it last learned of a commit; 0: not known */
    int64_t voters;
    int64_t services;
    int64_t tasks;
    struct recover_member *members;
    size_t members_n;
};
extern const struct record_type recover_report_type, recover_member_type;

#define X(verb, request, reply) extern const struct record_type request##_type, reply##_type;
API_VERBS(X)
#undef X
extern const struct record_type plan_item_type, task_info_type, image_info_type, deploy_spec_type,
    token_info_type;

#endif
