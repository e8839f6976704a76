/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - what this member does when it is called.
 *
 * One table of verbs (cluster/api.h) behind every carrier: the local socket, nng and the bus. A
 * handler gets its decoded request, borrowed for the time of the call, and answers now or later,
 * exactly once, with api_reply() or api_fail(). Handlers are grouped by noun in api_*.c. Loop
 * thread.
 */
#ifndef WHERRY_NODE_API_H
#define WHERRY_NODE_API_H

#include "cluster/api.h"
#include "cluster/wire.h"
#include "node/rights.h"

#include "base/err.h"

#include <stdbool.h>

struct callers;
struct daemon;
struct http_request;
struct server_call;
struct web;

/* A call that is being answered. */
struct api_call {
    struct daemon *daemon;
    struct server_call *server; /* where the reply goes; NULL: to @http, or to member @from */
    struct http_request *http;
    int64_t from; /* the member that forwarded it, 0: none */
    int64_t id;
    bool has_request_id;
    unsigned char request_id[16];
    int64_t begin; /* index of the state before the request's first try; 0: this is it */
    const struct verb *verb;
    void *work;              /* its handler's, while it is answered */
    struct caller caller;    /* who calls */
    bool local;              /* over this machine's own socket */
    bool counted;            /* in the quota of @from */
    bool bulk;               /* its answer goes over the bulk connection to @from */
    bool over;               /* it was cut: what is still answered goes nowhere */
    struct callers *watcher; /* callers.c: with the list it is in */
    struct api_call *next, *prev;
    struct web *web; /* web.c: with the list it is in */
    struct api_call *web_next, *web_prev;
};

typedef void (*api_handler)(struct api_call *c, const void *request);

/* A verb without VERB_VIEWER or VERB_DEPLOYER is for admins; one without VERB_SCOPED for tokens of
 * all stacks: its handler does not look at caller_sees(). */
enum verb_flags {
    VERB_ANYTIME = 1,   /* also before this machine is a member */
    VERB_LOCAL = 2,     /* on the local socket only */
    VERB_MEMBERS = 4,   /* also for other members, who forward a caller's request */
    VERB_READ = 8,      /* linearizable: after the read barrier, unless the call says stale */
    VERB_FRESH = 16,    /* a change that is planned from the state: always after the barrier */
    VERB_VIEWER = 32,   /* viewers, deployers and admins may call it */
    VERB_DEPLOYER = 64, /* deployers and admins may */
    VERB_SCOPED = 128,  /* also for tokens of some stacks: it shows and changes no others */
    VERB_SEE = VERB_VIEWER | VERB_SCOPED,
    VERB_DEPLOY = VERB_DEPLOYER | VERB_SCOPED,
};

struct verb {
    const char *name;
    const struct record_type *request;
    const struct record_type *reply;
    api_handler handler;
    unsigned flags;
};

/* The carriers' entrances. */
void api_on_call(void *arg, struct server_call *handle, const struct call *call, bool local);
void api_on_member_call(struct daemon *d, int64_t from, const void *data, size_t len);
/* @call is borrowed for the time of the function; the answer goes to @request. */
void api_on_http(struct daemon *d, struct http_request *request, const struct call *call);

/* A verb by its name; NULL: there is none. */
const struct verb *api_verb(const char *name);

/* Serve @call, whose caller is known. */
void api_dispatch(struct api_call *c, const struct call *call);

/* All verbs. */
const struct verb *api_verbs(size_t *ret_n);

/* Answer with an error now; whoever serves @c answers later all the same, which goes nowhere. */
void api_cut(struct api_call *c, const struct err *err);

/* Close the caller's connection without an answer and free @c. */
void api_hang_up(struct api_call *c);

/* Answer with a record of the verb's reply type (borrowed) and free @c. */
void api_reply(struct api_call *c, const void *record);

/* Answer with an error and free @c. */
void api_fail(struct api_call *c, const struct err *err);

/* As api_fail with err_set(). */
void api_fail_with(struct api_call *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Propose a change for @c; when it is applied, answer with an empty record, or with the refusal. */
void api_propose(struct api_call *c, int kind, const void *body);

/* May the caller of @c have this change made? False: @c was answered with why not. */
bool api_may_change(struct api_call *c, int kind, const void *body);

/* Split "stack", "stack.service", "stack.service.3" into owned parts; parts not given are NULL,
 * slot 0. ERR_INVALID says how it should look. */
struct object_name {
    char *stack;
    char *service;
    int64_t slot;
};
int object_name_parse(const char *text, struct object_name *ret, struct err *err);
void object_name_release(struct object_name *name);

/* Make a token of a kind with rights as in @request, on behalf of @c, and say so: the reply has
 * everything but the address, or an error; both are borrowed. False: @err says why not. */
typedef void (*token_made_cb)(struct api_call *c, const struct err *err,
                              const struct token_reply *reply);
bool api_token_make(struct api_call *c, const struct token_request *request, token_made_cb cb,
                    struct err *err);

/* False after @c failed: what is mounted at volume @name by its options is not in its folder. */
bool api_volume_is_folder(struct api_call *c, const char *name);

/* Delete what uploads of an earlier process left. */
void api_clean_uploads(struct daemon *d);

/* --- handlers by noun ------------------------------------------------------------------------- */

/* One for each verb of cluster/api.h, which says what is asked and answered. */
/* clang-format off */
#define API_HANDLERS(X)                                          \
    X(init) X(join) X(status) X(wait) X(session) X(connect)     \
    X(leave) X(cluster_inspect) X(cluster_set) X(stalls)         \
    X(token) X(token_list) X(token_remove) X(token_rotate)       \
    X(key_rotate) X(lock_set) X(lock_key) X(lock_open)           \
    X(ca_inspect) X(ca_rotate) X(ca_finish)                      \
    X(node_list) X(node_inspect) X(node_set) X(node_remove)      \
    X(node_repair)                                               \
    X(deploy) X(plan) X(stack_remove)                            \
    X(service_list) X(service_inspect) X(scale) X(task_list)     \
    X(service_act) X(service_history) X(service_why) X(task_move) \
    X(job_list) X(service_foresee) X(event_list)                 \
    X(logs) X(exec) X(attach)                                    \
    X(session_read) X(session_write) X(session_end)              \
    X(upload) X(image_load) X(image_pull) X(image_push)          \
    X(image_progress)                                            \
    X(image_list) X(image_remove) X(image_tag) X(image_inspect)  \
    X(image_save) X(image_prune) X(image_check)                  \
    X(registry_set) X(registry_list) X(registry_remove)          \
    X(content_set) X(content_list) X(content_remove)             \
    X(network_create) X(network_list) X(network_remove)          \
    X(network_status) X(network_ports)                           \
    X(dns_set) X(dns_list) X(dns_remove)                         \
    X(backup_read) X(restore)                                    \
    X(container_list) X(container_inspect) X(container_signal)   \
    X(container_pause) X(container_resume) X(container_update)   \
    X(container_wait) X(container_stats) X(container_top)        \
    X(container_logs) X(container_diff) X(container_look)        \
    X(container_upload) X(container_read)                        \
    X(container_copy_out) X(container_copy_in)                   \
    X(container_commit) X(container_checkpoint) X(container_job) \
    X(container_create) X(container_start) X(container_stop)     \
    X(container_remove) X(container_idle)                        \
    X(volume_list) X(volume_inspect) X(volume_create)            \
    X(volume_remove) X(volume_prune)                             \
    X(volume_pack) X(volume_unpack) X(volume_home)               \
    X(snapshot_create) X(snapshot_list) X(snapshot_remove)       \
    X(snapshot_restore)
/* clang-format on */

#define X(noun) void api_##noun(struct api_call *c, const void *request);
API_HANDLERS(X)
#undef X

#endif
