/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.start, attach.start, session.*: answered by the node of the container; any other member
 * forwards them there.
 * Who may: enter.h.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/container_target.h"
#include "node/daemon.h"
#include "node/elsewhere.h"
#include "node/enter.h"
#include "node/forward.h"
#include "node/session.h"
#include "node/waiters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FORWARD_EXTRA_MS = 10000,
    START_MS = 75000, /* an OCI runtime may take that long on a machine that is short of all */
};

/* --- there -------------------------------------------------------------------------------------
 */

static void on_forwarded(void *arg, const struct err *err, const struct reply *reply)
{
    struct api_call *c = arg;
    const struct record_type *type = c->verb->reply;
    struct err remote = {0};
    cleanup_free void *record = mem_alloc(1, type->size);
    if (err->code != 0)
        api_fail(c, err);
    else if (reply_get_err(reply, &remote) < 0 ||
             record_decode(type, reply->body.data, reply->body.len, false, record, &remote) < 0)
        api_fail(c, &remote);
    else {
        api_reply(c, record);
        record_release(type, record);
    }
}

/* True: @c goes to @node, or was answered that it cannot. */
static bool goes_on(struct api_call *c, int64_t node, const void *request, int64_t wait_ms)
{
    struct daemon *d = c->daemon;
    if (node == d->id || c->from != 0) {
        if (d->sessions)
            return false;
        api_fail_with(c, ERR_UNSUPPORTED, "%s is a witness and runs no containers", d->name);
        return true;
    }
    if (!d->forward) {
        api_fail_with(c, ERR_UNAVAILABLE, "this machine is not a member of a cluster");
        return true;
    }
    cleanup_buf struct buf body = BUF_INIT;
    cleanup_free char *verb = str_copy(c->verb->name);
    record_encode(c->verb->request, request, &body);
    struct call call = {
        .verb = verb, .token = c->caller.secret, .body = {(unsigned char *)body.data, body.len}};
    int64_t wait = wait_ms < 0 ? 0 : wait_ms;
    forward_call(d->forward, node, &call, wait + FORWARD_EXTRA_MS, on_forwarded, c);
    return true;
}

/* --- whose container ---------------------------------------------------------------------------
 */

/* The container to start something in, here; false: the call was answered, or goes on. */
static bool find_container(struct api_call *c, int64_t task_id, const char *container,
                           const char *node, bool privileged, const void *request, char id[40])
{
    struct task task;
    struct container_target target;
    if (task_id == 0) {
        if (!*str_or_empty(container)) {
            api_fail_with(c, ERR_INVALID, "%s names no task and no container", c->verb->name);
            return false;
        }
        if (call_elsewhere(c, node, request, START_MS) ||
            goes_on(c, c->daemon->id, request, START_MS) || !container_find(c, container, &target))
            return false;
        str_fill(id, 40, target.id);
        return enter_container(c, id, privileged);
    }
    if (!enter_find_task(c, task_id, &task))
        return false;
    bool here = enter_task(c, &task, privileged) && !goes_on(c, task.node_id, request, START_MS);
    record_release(&task_type, &task);
    snprintf(id, 40, "t%lld", (long long)task_id);
    return here;
}

/* --- verbs -------------------------------------------------------------------------------------
 */

void api_exec(struct api_call *c, const void *request)
{
    const struct exec_request *r = request;
    char id[40];
    if (r->argv_n == 0)
        api_fail_with(c, ERR_INVALID, "no command was given");
    else if (find_container(c, r->task_id, r->container, r->node, r->privileged, r, id))
        session_exec(c->daemon->sessions, c, id, r);
}

void api_attach(struct api_call *c, const void *request)
{
    const struct attach_request *r = request;
    char id[40];
    if (find_container(c, r->task_id, r->container, r->node, false, r, id))
        session_attach(c->daemon->sessions, c, id, r);
}

/* The session a call is about; else it was answered. */
static struct session *find_session(struct api_call *c, const char *id, int64_t place)
{
    struct sessions *all = c->daemon->sessions;
    struct session *s = session_find(all, str_or_empty(id));
    if (s && !session_is_of(s, c))
        s = NULL;
    else if (!s) {
        /* The token's rights may be others by now. */
        cleanup_free char *container = str_copy(str_or_empty(id));
        container[strcspn(container, "/")] = '\0';
        if (!enter_container(c, container, false))
            return NULL;
        s = session_adopt(all, c, str_or_empty(id), place);
    }
    if (!s)
        api_fail_with(c, ERR_NOTFOUND, "the session is over");
    return s;
}

void api_session_read(struct api_call *c, const void *request)
{
    const struct session_read_request *r = request;
    if (goes_on(c, r->node_id, r, r->wait_ms < WAIT_MAX_MS ? r->wait_ms : WAIT_MAX_MS))
        return;
    struct session *s = find_session(c, r->session, r->place);
    if (s)
        session_read(s, c, r);
}

void api_session_write(struct api_call *c, const void *request)
{
    const struct session_write_request *r = request;
    if (goes_on(c, r->node_id, r, r->wait_ms < WAIT_MAX_MS ? r->wait_ms : WAIT_MAX_MS))
        return;
    /* One that is made anew keeps its output's place for whoever reads. */
    struct session *s = session_find(c->daemon->sessions, str_or_empty(r->session));
    if (!s) {
        api_fail_with(c, ERR_BUSY, "the session is not open: read from it first");
        return;
    }
    if ((s = find_session(c, r->session, 0)))
        session_write(s, c, r);
}

void api_session_end(struct api_call *c, const void *request)
{
    const struct session_request *r = request;
    if (goes_on(c, r->node_id, r, 0))
        return;
    struct session *s = session_find(c->daemon->sessions, str_or_empty(r->session));
    if (s && session_is_of(s, c))
        session_end(s, c);
    else
        api_reply(c, &(struct empty){0});
}
