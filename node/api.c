/* SPDX-License-Identifier: Apache-2.0 */
#include "node/api.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/server.h"
#include "node/blobs.h"
#include "node/callers.h"
#include "node/certs.h"
#include "node/copy.h"
#include "node/daemon.h"
#include "node/http.h"
#include "node/introduce.h"
#include "node/keys.h"
#include "node/propose.h"
#include "node/read.h"
#include "node/repair.h"
#include "node/space.h"
#include "node/web.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERB(verb, req, rep, fn, bits)                                                             \
    {                                                                                              \
        .name = (verb), .request = &req##_type, .reply = &rep##_type, .handler = (fn),             \
        .flags = (bits)                                                                            \
    }

/* About the images of a machine, which needs no cluster for that; another may be asked for them. */
#define VERB_IMAGE (VERB_ANYTIME | VERB_MEMBERS)

/* The same of its containers and volumes. */
#define VERB_CONTAINER (VERB_ANYTIME | VERB_MEMBERS)

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
    VERB("service.act", service_act_request, empty, api_service_act, VERB_FRESH | VERB_DEPLOY),
    VERB("service.history", name_request, history_reply, api_service_history, VERB_READ | VERB_SEE),
    VERB("service.why", filter_request, why_reply, api_service_why, VERB_READ | VERB_SEE),
    VERB("service.foresee", dry_run_request, plan_reply, api_service_foresee, VERB_READ | VERB_SEE),
    VERB("job.list", filter_request, job_list_reply, api_job_list, VERB_READ | VERB_SEE),
    VERB("task.move", task_move_request, empty, api_task_move, VERB_FRESH | VERB_DEPLOY),
    VERB("task.list", filter_request, task_list_reply, api_task_list, VERB_READ | VERB_SEE),
    VERB("event.list", event_request, event_reply, api_event_list, VERB_SEE),
    VERB("logs.read", logs_request, logs_reply, api_logs, VERB_MEMBERS | VERB_SEE),
    VERB("exec.start", exec_request, session_started, api_exec, VERB_CONTAINER | VERB_DEPLOY),
    VERB("attach.start", attach_request, session_started, api_attach, VERB_CONTAINER | VERB_DEPLOY),
    VERB("session.read", session_read_request, session_read_reply, api_session_read,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("session.write", session_write_request, session_write_reply, api_session_write,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("session.end", session_request, empty, api_session_end, VERB_CONTAINER | VERB_DEPLOY),
    VERB("image.upload", upload_request, upload_reply, api_upload, VERB_ANYTIME | VERB_DEPLOYER),
    VERB("image.load", image_load_request, job_reply, api_image_load, VERB_ANYTIME | VERB_DEPLOYER),
    VERB("image.pull", image_pull_request, job_reply, api_image_pull, VERB_IMAGE | VERB_DEPLOYER),
    VERB("image.push", image_push_request, job_reply, api_image_push, VERB_IMAGE | VERB_DEPLOYER),
    VERB("image.progress", job_request, job_progress, api_image_progress,
         VERB_IMAGE | VERB_DEPLOYER),
    VERB("image.list", image_list_request, image_list_reply, api_image_list,
         VERB_IMAGE | VERB_VIEWER),
    VERB("image.remove", image_request, image_names_reply, api_image_remove,
         VERB_IMAGE | VERB_DEPLOYER),
    VERB("image.tag", image_tag_request, image_names_reply, api_image_tag,
         VERB_IMAGE | VERB_DEPLOYER),
    VERB("image.inspect", image_request, image_record, api_image_inspect, VERB_IMAGE | VERB_VIEWER),
    VERB("image.save", image_save_request, image_save_reply, api_image_save,
         VERB_IMAGE | VERB_DEPLOYER),
    VERB("image.prune", image_prune_request, job_reply, api_image_prune,
         VERB_IMAGE | VERB_DEPLOYER),
    VERB("image.check", image_check_request, job_reply, api_image_check,
         VERB_IMAGE | VERB_DEPLOYER),
    VERB("registry.set", registry_set_request, empty, api_registry_set, VERB_FRESH),
    VERB("registry.list", empty, registry_list_reply, api_registry_list, VERB_READ | VERB_VIEWER),
    VERB("registry.remove", name_request, empty, api_registry_remove, VERB_FRESH),
    VERB("content.set", content_set_request, content_set_reply, api_content_set,
         VERB_FRESH | VERB_DEPLOYER),
    VERB("content.list", content_request, content_list_reply, api_content_list,
         VERB_READ | VERB_SEE),
    VERB("content.remove", content_request, empty, api_content_remove, VERB_FRESH | VERB_DEPLOYER),
    VERB("network.create", network_create_request, empty, api_network_create, VERB_DEPLOYER),
    VERB("network.list", name_request, network_list_reply, api_network_list, VERB_READ | VERB_SEE),
    VERB("network.remove", name_request, empty, api_network_remove, VERB_DEPLOYER),
    VERB("network.ports", network_ports_request, network_ports_reply, api_network_ports,
         VERB_MEMBERS | VERB_DEPLOYER),
    VERB("network.status", network_status_request, network_status_reply, api_network_status,
         VERB_MEMBERS | VERB_VIEWER),
    VERB("dns.set", dns_request, empty, api_dns_set, VERB_FRESH),
    VERB("dns.list", empty, dns_list_reply, api_dns_list, VERB_READ | VERB_VIEWER),
    VERB("dns.remove", dns_request, empty, api_dns_remove, VERB_FRESH),
    VERB("cluster.restore", restore_request, restore_reply, api_restore, VERB_ANYTIME | VERB_LOCAL),
    VERB("backup.read", backup_read_request, backup_read_reply, api_backup_read, VERB_READ),
    VERB("container.list", container_request, container_list_reply, api_container_list,
         VERB_CONTAINER | VERB_SEE),
    VERB("container.inspect", container_request, container_text_reply, api_container_inspect,
         VERB_CONTAINER | VERB_SEE),
    VERB("container.stats", container_request, container_stats_reply, api_container_stats,
         VERB_CONTAINER | VERB_SEE),
    VERB("container.top", container_request, container_top_reply, api_container_top,
         VERB_CONTAINER | VERB_SEE),
    VERB("container.logs", container_logs_request, logs_reply, api_container_logs,
         VERB_CONTAINER | VERB_SEE),
    VERB("container.wait", container_wait_request, container_wait_reply, api_container_wait,
         VERB_CONTAINER | VERB_SEE),
    VERB("container.diff", container_request, container_diff_reply, api_container_diff,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.look", container_path_request, container_path_reply, api_container_look,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.upload", container_upload_request, upload_reply, api_container_upload,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.read", container_read_request, container_read_reply, api_container_read,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.copy_out", container_path_request, job_reply, api_container_copy_out,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.copy_in", container_copy_in_request, job_reply, api_container_copy_in,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.commit", container_commit_request, job_reply, api_container_commit,
         VERB_CONTAINER | VERB_DEPLOYER),
    VERB("container.checkpoint", container_checkpoint_request, job_reply, api_container_checkpoint,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.job", container_job_request, container_job_reply, api_container_job,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.signal", container_signal_request, empty, api_container_signal,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.pause", container_request, empty, api_container_pause,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.resume", container_request, empty, api_container_resume,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.update", container_update_request, empty, api_container_update,
         VERB_CONTAINER | VERB_DEPLOY),
    VERB("container.create", container_create_request, container_create_reply, api_container_create,
         VERB_CONTAINER),
    VERB("container.start", container_request, empty, api_container_start, VERB_CONTAINER),
    VERB("container.stop", container_stop_request, empty, api_container_stop, VERB_CONTAINER),
    VERB("container.remove", container_remove_request, empty, api_container_remove, VERB_CONTAINER),
    VERB("container.idle", container_request, container_idle_reply, api_container_idle,
         VERB_CONTAINER),
    VERB("volume.list", volume_request, volume_list_reply, api_volume_list, VERB_CONTAINER),
    VERB("volume.inspect", volume_request, volume_list_reply, api_volume_inspect, VERB_CONTAINER),
    VERB("volume.create", volume_request, empty, api_volume_create, VERB_CONTAINER),
    VERB("volume.remove", volume_remove_request, empty, api_volume_remove, VERB_CONTAINER),
    VERB("volume.pack", volume_copy_request, job_reply, api_volume_pack, VERB_CONTAINER),
    VERB("volume.unpack", volume_copy_request, job_reply, api_volume_unpack, VERB_CONTAINER),
    VERB("volume.home", volume_home_request, empty, api_volume_home, VERB_FRESH),
    VERB("volume.prune", volume_prune_request, volume_list_reply, api_volume_prune, VERB_CONTAINER),
    VERB("snapshot.create", snapshot_request, snapshot_list_reply, api_snapshot_create,
         VERB_CONTAINER),
    VERB("snapshot.list", snapshot_request, snapshot_list_reply, api_snapshot_list, VERB_CONTAINER),
    VERB("snapshot.remove", snapshot_request, empty, api_snapshot_remove, VERB_CONTAINER),
    VERB("snapshot.restore", snapshot_request, empty, api_snapshot_restore, VERB_CONTAINER),
    VERB("debug.stalls", empty, stalls_reply, api_stalls, VERB_ANYTIME),
};

const struct verb *api_verbs(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(verbs);
    return verbs;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* What is large goes over the bulk connection; where that has no room, the caller hears of it. */
static void say_to_member(struct api_call *c, const struct reply *reply)
{
    struct bus *bus = c->daemon->bus;
    cleanup_buf struct buf message = BUF_INIT;
    record_encode(&reply_type, reply, &message);
    int rv = bus_send(bus, c->from, BUS_REPLY, c->bulk, message.data, message.len);
    if (rv == 0 || !c->bulk)
        return;
    struct err err;
    struct reply failed = {.id = reply->id, .index = reply->index};
    err_set(&err, rv, "the bulk connection to n%lld: %s", (long long)c->from, err_text(rv));
    reply_set_err(&failed, &err);
    buf_reset(&message);
    record_encode(&reply_type, &failed, &message);
    bus_send(bus, c->from, BUS_REPLY, false, message.data, message.len);
    free(failed.message);
}

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
    } else if (c->http) {
        web_reply(c, reply);
    } else if (d->bus) {
        say_to_member(c, reply);
    }
}

static void call_free(struct api_call *c)
{
    web_end(c);
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
    c->http = NULL;
    free(reply.message);
}

void api_hang_up(struct api_call *c)
{
    if (c->server)
        server_hang_up(c->server);
    else if (c->http)
        web_reply(c, &(struct reply){.code = -ERR_DENIED});
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

const struct verb *api_verb(const char *name)
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
    c->verb = api_verb(call->verb);
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

void api_on_http(struct daemon *d, struct http_request *request, const struct call *call)
{
    struct api_call *c = mem_alloc(1, sizeof(*c));
    c->daemon = d;
    c->http = request;
    c->local = http_is_local(request) && !*str_or_empty(call->token);
    c->caller.trusted = c->local;
    web_begin(d->web, c);
    if (c->local)
        api_dispatch(c, call);
    else
        identify(c, call);
}

static void on_served(void *arg, const struct reply *reply)
{
    struct reply copy = *reply; /* shallow */
    send_reply(arg, &copy);
}

static void on_blob(void *arg, const struct reply *reply, bool bulk)
{
    struct api_call *c = arg;
    c->bulk = bulk;
    on_served(c, reply);
}

/* To one that is down nothing is confirmed, so that it gets no lease (outages.h). */
static bool member_is_down(struct daemon *d, int64_t id)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, id, &node) < 0)
        return true;
    bool down = node.status == NODE_DOWN;
    record_release(&node_type, &node);
    return down;
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
    else if (str_equal(call.verb, "member.read_index") && member_is_down(d, from))
        api_fail_with(c, ERR_UNAVAILABLE, "this member counts as down: it is not heard yet");
    else if (str_equal(call.verb, "member.read_index"))
        read_barrier_on_call(d->read, on_served, c);
    else if (str_equal(call.verb, "member.introduce"))
        introduce_on_call(d, on_served, c);
    else if (keys_on_call(d->keys, from, &call, on_served, c) ||
             certs_on_call(d->certs, from, &call, on_served, c) ||
             blobs_on_call(d, from, &call, on_blob, c))
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
