/* SPDX-License-Identifier: Apache-2.0 */
#include "node/api.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/server.h"
#include "node/callers.h"
#include "node/certs.h"
#include "node/copy.h"
#include "node/daemon.h"
#include "node/introduce.h"
#include "node/keys.h"
#include "node/propose.h"
#include "node/read.h"
#include "node/repair.h"
#include "node/space.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERB(verb, req, rep, fn, bits)                                                             \
    {                                                                                              \
        .name = (verb), .request = &req##_type, .reply = &rep##_type, .handler = (fn),             \
        .flags = (bits)                                                                            \
    }

/* Who may call each is listed a second time in tests/unit/node/rights_test.c. */
static const struct verb verbs[] = {
    VERB("cluster.init", init_request, init_reply, api_init, VERB_ANYTIME | VERB_LOCAL),
    VERB("cluster.join", join_request, join_reply, api_join, VERB_ANYTIME | VERB_LOCAL),
    VERB("cluster.status", empty, status_reply, api_status, VERB_ANYTIME | VERB_SEE),
    VERB("cluster.wait", wait_request, wait_reply, api_wait, VERB_SEE),
    VERB("cluster.session", empty, session_reply, api_session, VERB_SEE),
    VERB("cluster.connect", connect_request, connect_reply, api_connect, VERB_LOCAL),
    VERB("cluster.leave", leave_request, node_change_reply, api_leave, VERB_LOCAL),
    VERB("cluster.inspect", empty, cluster_info, api_cluster_inspect, VERB_READ | VERB_SEE),
    VERB("cluster.set", cluster_set_request, empty, api_cluster_set, 0),
    VERB("token.create", token_request, token_reply, api_token, 0),
    VERB("token.list", empty, token_list_reply, api_token_list, VERB_READ),
    VERB("token.remove", name_request, empty, api_token_remove, VERB_FRESH),
    VERB("token.rotate", name_request, token_reply, api_token_rotate, VERB_FRESH),
    VERB("key.rotate", empty, empty, api_key_rotate, VERB_FRESH),
    VERB("lock.set", lock_set_request, lock_reply, api_lock_set, VERB_FRESH),
    VERB("lock.key", empty, lock_reply, api_lock_key, VERB_READ),
    VERB("lock.open", lock_open_request, empty, api_lock_open, VERB_FRESH),
    VERB("ca.inspect", empty, ca_info, api_ca_inspect, VERB_READ | VERB_VIEWER),
    VERB("ca.rotate", empty, empty, api_ca_rotate, VERB_FRESH),
    VERB("ca.finish", empty, empty, api_ca_finish, VERB_FRESH),
    VERB("node.list", empty, node_list_reply, api_node_list, VERB_READ | VERB_SEE),
    VERB("node.inspect", name_request, node_info, api_node_inspect, VERB_READ | VERB_SEE),
    VERB("node.set", node_set_request, node_change_reply, api_node_set, VERB_FRESH),
    VERB("node.repair", empty, empty, api_node_repair, VERB_ANYTIME | VERB_LOCAL),
    VERB("node.remove", node_remove_request, node_change_reply, api_node_remove, VERB_FRESH),
    VERB("stack.deploy", deploy_request, deploy_reply, api_deploy, VERB_FRESH | VERB_DEPLOY),
    VERB("stack.plan", deploy_request, plan_reply, api_plan, VERB_READ | VERB_SEE),
    VERB("stack.remove", name_request, empty, api_stack_remove, VERB_DEPLOY),
    VERB("service.list", filter_request, service_list_reply, api_service_list,
         VERB_READ | VERB_SEE),
    VERB("service.inspect", name_request, service_info, api_service_inspect, VERB_READ | VERB_SEE),
    VERB("service.scale", scale_request, empty, api_scale, VERB_DEPLOY),
    VERB("task.list", filter_request, task_list_reply, api_task_list, VERB_READ | VERB_SEE),
    VERB("logs.read", logs_request, logs_reply, api_logs, VERB_MEMBERS | VERB_SEE),
    VERB("image.upload", upload_request, upload_reply, api_upload, VERB_ANYTIME | VERB_DEPLOYER),
    VERB("image.load", image_load_request, job_reply, api_image_load, VERB_ANYTIME | VERB_DEPLOYER),
    VERB("image.pull", image_pull_request, job_reply, api_image_pull, VERB_ANYTIME | VERB_DEPLOYER),
    VERB("image.progress", job_request, job_progress, api_image_progress,
         VERB_ANYTIME | VERB_DEPLOYER),
    VERB("image.list", empty, image_list_reply, api_image_list, VERB_ANYTIME | VERB_VIEWER),
    VERB("image.remove", name_request, empty, api_image_remove, VERB_ANYTIME | VERB_DEPLOYER),
    VERB("cluster.restore", restore_request, restore_reply, api_restore, VERB_ANYTIME | VERB_LOCAL),
    VERB("backup.read", backup_read_request, backup_read_reply, api_backup_read, VERB_READ),
    VERB("debug.stalls", empty, stalls_reply, api_stalls, VERB_ANYTIME),
};

const struct verb *api_verbs(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(verbs);
    return verbs;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void say(struct api_call *c, struct reply *reply)
{
    struct daemon *d = c->daemon;
    reply->id = c->id;
    reply->index = d->store ? store_index(d->store) : 0;
    reply->members = !c->local && d->callers ? callers_members_sum(d->callers) : 0;
    if (c->over) {
        /* It was answered. */
    } else if (c->server) {
        server_reply(c->server, reply);
    } else if (d->bus) {
        cleanup_buf struct buf message = BUF_INIT;
        record_encode(&reply_type, reply, &message);
        bus_send(d->bus, c->from, BUS_REPLY, false, message.data, message.len);
    }
}

static void call_free(struct api_call *c)
{
    if (c->counted)
        quota_give(&c->daemon->quota, c->from);
    callers_done(c);
    caller_release(&c->caller);
    free(c);
}

static void send_reply(struct api_call *c, struct reply *reply)
{
    say(c, reply);
    call_free(c);
}

void api_cut(struct api_call *c, const struct err *err)
{
    struct reply reply = {0};
    callers_done(c);
    reply_set_err(&reply, err);
    say(c, &reply);
    c->over = true;
    c->server = NULL;
    free(reply.message);
}

void api_hang_up(struct api_call *c)
{
    if (c->server)
        server_hang_up(c->server);
    call_free(c);
}

void api_reply(struct api_call *c, const void *record)
{
    cleanup_buf struct buf body = BUF_INIT;
    record_encode(c->verb->reply, record, &body);
    struct reply reply = {.body = {(unsigned char *)body.data, body.len}};
    send_reply(c, &reply);
}

void api_fail(struct api_call *c, const struct err *err)
{
    struct reply reply = {0};
    reply_set_err(&reply, err);
    send_reply(c, &reply);
    free(reply.message);
}

void api_fail_with(struct api_call *c, int code, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct err err;
    err_set(&err, code, "%s", text);
    api_fail(c, &err);
}

static void on_proposed(void *arg, const struct change_result *result)
{
    struct empty empty = {0};
    if (result->err.code != 0)
        api_fail(arg, &result->err);
    else
        api_reply(arg, &empty);
}

bool api_may_change(struct api_call *c, int kind, const void *body)
{
    struct err err;
    if (rights_check_change(c->daemon->store, &c->caller, kind, body, &err) == 0)
        return true;
    api_fail(c, &err);
    return false;
}

void api_propose(struct api_call *c, int kind, const void *body)
{
    if (api_may_change(c, kind, body))
        propose_request(c->daemon->propose, &c->caller, (enum change_kind)kind, body,
                        c->has_request_id ? c->request_id : NULL, c->begin, PROPOSE_TIMEOUT_MS,
                        on_proposed, c);
}

/* --- entrances -------------------------------------------------------------------------------- */

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (str_equal(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

/* --- the read barrier ------------------------------------------------------------------------- */

struct waiting_call {
    struct api_call *call;
    void *request; /* owned */
};

static bool needs_barrier(const struct api_call *c, const struct call *call)
{
    return (c->verb->flags & VERB_FRESH) || ((c->verb->flags & VERB_READ) && !call->stale);
}

/* A retry of what was done already, where it would not be found any more: answered as it was then.
 */
static bool answer_known(struct api_call *c)
{
    struct change_result known;
    struct node_change_reply done = {.done = true};
    bool of_node = c->verb->reply == &node_change_reply_type;
    if (!c->has_request_id || (c->verb->reply != &empty_type && !of_node) ||
        !store_request(c->daemon->store, c->request_id, &known))
        return false;
    if (of_node && known.err.code == 0)
        api_reply(c, &done);
    else
        on_proposed(c, &known);
    return true;
}

static void on_barrier(void *arg, const struct err *failed)
{
    struct waiting_call *w = arg;
    const struct verb *verb = w->call->verb;
    struct err err = *failed;
    if (w->call->over)
        err_set(&err, ERR_CANCELED, "the call was cut");
    if (err.code == ERR_UNAVAILABLE && space_is_short(w->call->daemon))
        err_set(
            &err, ERR_UNAVAILABLE,
            "the disk of %.63s is full and its copy is behind: ask another member, or make room",
            w->call->daemon->name);
    struct err why = err;
    if (err.code == ERR_UNAVAILABLE && (verb->flags & VERB_READ))
        err_set(&err, ERR_UNAVAILABLE, "%.180s; --stale shows what this member has", why.msg);
    if (err.code != 0)
        api_fail(w->call, &err);
    else if (!answer_known(w->call))
        verb->handler(w->call, w->request);
    record_release(verb->request, w->request);
    free(w->request);
    free(w);
}

static void run_after_barrier(struct api_call *c, void *request)
{
    struct waiting_call w = {.call = c, .request = request};
    int64_t timeout_ms = c->verb->flags & VERB_FRESH ? PROPOSE_TIMEOUT_MS : READ_TIMEOUT_MS;
    struct waiting_call *waiting = mem_copy(&w, sizeof(w));
    if (read_barrier_wait(c->daemon->read, timeout_ms, on_barrier, waiting) == 0)
        return;
    struct err err;
    err_set(&err, ERR_BUSY, "%d reads wait on this member already: try again", READ_WAITING_MAX);
    on_barrier(waiting, &err);
}

void api_dispatch(struct api_call *c, const struct call *call)
{
    struct err err = {0};
    struct daemon *d = c->daemon;
    c->verb = find_verb(call->verb);
    if (d->stopping) {
        api_fail_with(c, ERR_UNAVAILABLE, "this member is stopping");
        return;
    }
    if (!c->verb) {
        api_fail_with(c, ERR_UNSUPPORTED, "this member does not know the verb '%.60s'",
                      str_or_empty(call->verb));
        return;
    }
    if (c->from && !(c->verb->flags & VERB_MEMBERS)) {
        api_fail_with(c, ERR_DENIED, "%s is not for members to call", c->verb->name);
        return;
    }
    if ((c->verb->flags & VERB_LOCAL) && !c->local) {
        api_fail_with(
            c, ERR_DENIED,
            "%s works on the machine's own socket only: there, '--context local' calls it",
            c->verb->name);
        return;
    }
    if (rights_check_verb(&c->caller, c->verb, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    if (!(c->verb->flags & VERB_ANYTIME) && repair_text(d)) {
        api_fail_with(c, ERR_UNAVAILABLE, "%s", repair_text(d));
        return;
    }
    if (!(c->verb->flags & VERB_ANYTIME) && !d->waiters) {
        api_fail_with(c, ERR_UNAVAILABLE,
                      "this machine is not a member of a cluster yet: 'wherry init' founds one, "
                      "'wherry join ADDRESS --token T' joins one");
        return;
    }
    if (d->witness && str_starts(c->verb->name, "image.")) {
        api_fail_with(c, ERR_UNSUPPORTED,
                      "%s is a witness and has no images: call another member (-H ADDRESS)",
                      d->name);
        return;
    }
    if (!(c->verb->flags & VERB_ANYTIME) && d->removed) {
        api_fail_with(c, ERR_DENIED,
                      "this machine was removed from the cluster: stop its daemon, delete %s and "
                      "join anew",
                      d->data_dir);
        return;
    }
    if (!(c->verb->flags & VERB_ANYTIME) && d->is_copy) {
        cleanup_buf struct buf text = BUF_INIT;
        copy_explain(d, &text);
        api_fail_with(c, ERR_DENIED, "%s", text.data);
        return;
    }
    if (call->request_id.len == sizeof(c->request_id)) {
        c->has_request_id = true;
        memcpy(c->request_id, call->request_id.data, sizeof(c->request_id));
        c->begin = call->begin;
    }
    void *request = mem_alloc(1, c->verb->request->size);
    const struct record_type *type = c->verb->request;
    static const unsigned char empty_map = 0x80;
    const void *body = call->body.len ? call->body.data : &empty_map;
    if (record_decode(type, body, call->body.len ? call->body.len : 1, true, request, &err) < 0) {
        err_wrap(&err, "the request of %s", c->verb->name);
        api_fail(c, &err);
    } else if (needs_barrier(c, call)) {
        run_after_barrier(c, request);
        return;
    } else {
        c->verb->handler(c, request);
        record_release(type, request);
    }
    free(request);
}

/* Who calls? The call is served, or refused. */
static void identify(struct api_call *c, const struct call *call)
{
    struct daemon *d = c->daemon;
    struct err err;
    if (!d->callers) {
        api_fail_with(c, ERR_UNAVAILABLE, "this machine is not a member of a cluster");
        return;
    }
    int rv = callers_admit(d->callers, c, call, &err);
    if (rv == 0)
        api_dispatch(c, call);
    else if (rv == ERR_UNAVAILABLE)
        api_fail(c, &err);
}

void api_on_call(void *arg, struct server_call *handle, const struct call *call, bool local)
{
    struct api_call *c = mem_alloc(1, sizeof(*c));
    c->daemon = arg;
    c->server = handle;
    c->id = call->id;
    c->local = local;
    c->caller.trusted = local;
    if (local)
        api_dispatch(c, call);
    else
        identify(c, call);
}

static void on_served(void *arg, const struct reply *reply)
{
    struct reply copy = *reply; /* shallow */
    send_reply(arg, &copy);
}

void api_on_member_call(struct daemon *d, int64_t from, const void *data, size_t len)
{
    struct call call;
    struct err err;
    if (record_decode(&call_type, data, len, false, &call, &err) < 0) {
        log_warn("bus", "n%lld sent a damaged call: %s", (long long)from, err.msg);
        return;
    }
    struct api_call *c = mem_alloc(1, sizeof(*c));
    c->daemon = d;
    c->from = from;
    c->id = call.id;
    /* Without a token it is the member's own, or came over its socket. */
    c->caller.trusted = !*str_or_empty(call.token);
    c->counted = quota_take(&d->quota, from);
    if (!c->counted)
        api_fail_with(c, ERR_BUSY, "%d calls of this member wait already: try again",
                      QUOTA_CALLS_MAX);
    else if (str_equal(call.verb, "member.propose"))
        propose_on_call(d->propose, from, &call, on_served, c);
    else if (str_equal(call.verb, "member.read_index"))
        read_barrier_on_call(d->read, on_served, c);
    else if (str_equal(call.verb, "member.introduce"))
        introduce_on_call(d, on_served, c);
    else if (keys_on_call(d->keys, from, &call, on_served, c) ||
             certs_on_call(d->certs, from, &call, on_served, c))
        ; /* it answers */
    else if (c->caller.trusted)
        api_dispatch(c, &call);
    else
        identify(c, &call);
    record_release(&call_type, &call);
}

/* --- names ------------------------------------------------------------------------------------ */

enum {
    SLOT_DIGITS_MAX = 18,
};

int object_name_parse(const char *text, struct object_name *ret, struct err *err)
{
    struct object_name name = {0};
    cleanup_free char *copy = str_copy(str_or_empty(text));
    char *dot = strchr(copy, '.');
    if (dot)
        *dot = '\0';
    char *service = dot ? dot + 1 : NULL;
    char *slot = service ? strrchr(service, '.') : NULL;
    if (slot) {
        *slot++ = '\0';
        size_t digits = strspn(slot, "0123456789");
        name.slot = digits <= SLOT_DIGITS_MAX ? strtoll(slot, NULL, 10) : 0;
        if (slot[digits] || name.slot < 1)
            return err_set(err, ERR_INVALID, "'%.100s' is no task: STACK.SERVICE.NUMBER is", text);
    }
    if (!name_is_valid(copy) || (service && !name_is_valid(service)))
        return err_set(err, ERR_INVALID,
                       "'%.100s' is not STACK, STACK.SERVICE or STACK.SERVICE.NUMBER",
                       str_or_empty(text));
    name.stack = str_copy(copy);
    name.service = str_copy(service);
    *ret = name;
    return 0;
}

void object_name_release(struct object_name *name)
{
    free(name->stack);
    free(name->service);
    *name = (struct object_name){0};
}
