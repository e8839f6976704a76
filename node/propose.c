/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One proposal's way:
 *
 *   WAITING ──leader is us──────► LOCAL ───────applied──────────────► done
 *      ▲    ──leader is another─► FORWARDED ──reply──► CATCHING_UP ──► done
 *      └── no leader, not leader, lost: try again (try_again) ──┘
 *
 * start_attempt() leaves WAITING, on_proposed() LOCAL, on_forwarded() FORWARDED, propose_on_apply()
 * CATCHING_UP; the timer looks too, and ends what is past its deadline.
 */
#include "node/propose.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/keys.h"
#include "node/level.h"
#include "node/members.h"
#include "node/rights.h"
#include "node/space.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>

enum proposal_state {
    PROPOSAL_WAITING,
    PROPOSAL_LOCAL,
    PROPOSAL_FORWARDED,
    PROPOSAL_CATCHING_UP,
};

struct proposal {
    struct proposal *next;
    struct propose *owner;
    struct change change;
    struct caller caller; /* on whose behalf */
    enum proposal_state state;
    bool maybe_done; /* an attempt's outcome is not known */
    bool abandoned;  /* the caller was answered; waits for its attempt to end */
    int64_t deadline_ms;
    int64_t retry_ms;
    int64_t leader;     /* FORWARDED: to whom */
    int64_t forward_id; /* FORWARDED: the call */
    struct err busy;    /* why the leader did not take it the last time */
    struct change_result result;
    struct err refused; /* not proposed, for this */
    propose_cb cb;
    void *arg;
};

struct propose {
    struct daemon *daemon;
    uv_timer_t timer;
    struct proposal *proposals;
    bool stopping;
    void (*on_freed)(void *arg);
    void *free_arg;
};

enum {
    TICK_MS = 10,
    RETRY_MS = 50,
    ATTEMPT_MS = 5000,
};

#define TOO_BIG "the change is larger than one entry may be (1 MiB)"

/* What a leader answers to a forwarded change. */
struct proposed {
    int64_t code; /* wire number */
    char *message;
    int64_t id;
    int64_t index;
};
static const struct field proposed_fields[] = {
    FIELD_INT(struct proposed, code),
    FIELD_STRING(struct proposed, message),
    FIELD_INT(struct proposed, id),
    FIELD_INT(struct proposed, index),
};
static const struct record_type proposed_type =
    RECORD_TYPE("proposed", struct proposed, proposed_fields);

/* Changes that a member makes because it leads. */
static bool is_leaders_own(int kind)
{
    return kind == CHANGE_NODE_STATUS || kind == CHANGE_TASK_CREATE || kind == CHANGE_TASK_END ||
           kind == CHANGE_TASK_REMOVE || kind == CHANGE_SERVICE_REMOVE ||
           kind == CHANGE_LEVEL_RAISE || kind == CHANGE_RECOVERED;
}

static void unlink_free(struct proposal *q)
{
    for (struct proposal **link = &q->owner->proposals; *link; link = &(*link)->next)
        if (*link == q) {
            *link = q->next;
            break;
        }
    change_release(&q->change);
    caller_release(&q->caller);
    free(q);
}

static void complete(struct proposal *q, const struct change_result *result)
{
    bool under_way = q->state == PROPOSAL_LOCAL || q->state == PROPOSAL_FORWARDED;
    if (!q->abandoned)
        q->cb(q->arg, result);
    q->abandoned = true;
    if (!under_way)
        unlink_free(q);
}

static void end_unknown(struct proposal *q)
{
    struct change_result result = {0};
    struct daemon *d = q->owner->daemon;
    if (q->state == PROPOSAL_CATCHING_UP)
        result = q->result; /* it is done, only not here yet */
    else if (q->refused.code != 0 && !q->maybe_done)
        result.err = q->refused;
    else if (q->owner->stopping && !q->maybe_done)
        err_set(&result.err, ERR_CANCELED, "this member is stopping");
    else if (!q->maybe_done && q->state == PROPOSAL_WAITING && is_leaders_own((int)q->change.kind))
        err_set(&result.err, ERR_NOTLEADER, "this member does not lead any more");
    else if (q->maybe_done || q->state != PROPOSAL_WAITING)
        err_set(&result.err, ERR_UNKNOWN,
                "outcome unknown: contact with the leader was lost; look before you repeat it");
    else if (d->removed)
        err_set(&result.err, ERR_DENIED,
                "this machine was removed from the cluster: stop its daemon, delete %s and join "
                "again",
                d->data_dir);
    else if (consensus_leader(d->consensus) == 0)
        err_set(&result.err, ERR_UNAVAILABLE,
                "the cluster has no leader now: too few voters can be reached ('wherry status')");
    else if (q->busy.code != 0)
        result.err = q->busy;
    else
        err_set(&result.err, ERR_UNAVAILABLE, "the leader cannot be reached from this member");
    complete(q, &result);
}

static void try_again(struct proposal *q, bool maybe_done)
{
    q->state = PROPOSAL_WAITING;
    q->maybe_done |= maybe_done;
    q->retry_ms = clock_boot_ms() + RETRY_MS;
    if (q->abandoned)
        unlink_free(q);
}

static void on_proposed(void *arg, int code, const struct change_result *result)
{
    struct proposal *q = arg;
    if (code == 0) {
        q->state = PROPOSAL_CATCHING_UP;
        complete(q, result);
        return;
    }
    if (code == ERR_TOOBIG) {
        struct change_result refused = {0};
        err_set(&refused.err, ERR_TOOBIG, "%s", TOO_BIG);
        q->state = PROPOSAL_WAITING;
        complete(q, &refused);
        return;
    }
    try_again(q, code == ERR_UNKNOWN);
}

static void on_forwarded(void *arg, const struct err *err, const struct reply *reply)
{
    struct proposal *q = arg;
    struct err remote = {0};
    struct proposed answer;
    if (err->code != 0) {
        /* Also when we stop: it is on its way. The others say that it was not sent. */
        try_again(q, err->code == ERR_UNKNOWN || err->code == ERR_TIMEOUT ||
                         err->code == ERR_CANCELED);
        return;
    }
    if (reply_get_err(reply, &remote) < 0) {
        /* It does not lead (any more), has its hands full, or stops. */
        if (remote.code == ERR_NOTLEADER || remote.code == ERR_UNKNOWN || remote.code == ERR_BUSY ||
            remote.code == ERR_CANCELED) {
            if (remote.code == ERR_BUSY)
                q->busy = remote;
            try_again(q, remote.code == ERR_UNKNOWN);
            return;
        }
        q->state = PROPOSAL_WAITING;
        struct change_result refused = {.err = remote};
        complete(q, &refused);
        return;
    }
    if (record_decode(&proposed_type, reply->body.data, reply->body.len, false, &answer, &remote) <
        0) {
        try_again(q, true);
        return;
    }
    q->result = (struct change_result){.id = answer.id, .index = answer.index};
    if (answer.code != 0)
        err_set(&q->result.err, err_from_wire((long)answer.code), "%s",
                str_or_empty(answer.message));
    record_release(&proposed_type, &answer);
    q->state = PROPOSAL_CATCHING_UP;
    if (q->abandoned || store_index(q->owner->daemon->store) >= q->result.index)
        complete(q, &q->result);
}

/* We lead: may it be proposed, by the room on our disk, by its caller and by the level of the
 * cluster? ERR_BUSY: not now. */
static int check_here(const struct proposal *q, struct err *err)
{
    struct daemon *d = q->owner->daemon;
    if (space_check(d, err) < 0)
        return err->code;
    if (!caller_is_valid(d->store, &q->caller, daemon_now_ms(d)))
        return err_set(err, ERR_DENIED, "the token was taken back, or has expired");
    if (rights_check_change(d->store, &q->caller, (int)q->change.kind, q->change.body, err) < 0)
        return err->code;
    int rv = level_check(d, &q->change, err);
    return rv < 0 ? rv : members_check_going(d->members, &q->change, err);
}

static void start_attempt(struct proposal *q)
{
    struct daemon *d = q->owner->daemon;
    int64_t leader = consensus_leader(d->consensus);
    struct err refused = {0};
    bool ready = consensus_is_ready(d->consensus);
    int rv = ready ? check_here(q, &refused) : 0;
    if (rv == ERR_BUSY) {
        q->busy = refused;
        q->retry_ms = clock_boot_ms() + RETRY_MS;
    } else if (rv < 0) {
        q->refused = refused;
        q->deadline_ms = 0; /* as below */
    } else if (ready) {
        q->state = PROPOSAL_LOCAL;
        consensus_propose(d->consensus, &q->change, on_proposed, q);
    } else if (is_leaders_own((int)q->change.kind)) {
        q->deadline_ms = 0; /* the timer ends it, never the call that asked */
    } else if (leader != 0 && leader != d->id) {
        cleanup_buf struct buf body = BUF_INIT;
        change_encode(&q->change, &body);
        struct call call = {.verb = (char[]){"member.propose"},
                            .token = q->caller.secret,
                            .body = {(unsigned char *)body.data, body.len}};
        q->state = PROPOSAL_FORWARDED;
        q->leader = leader;
        q->forward_id = forward_call(d->forward, leader, &call, ATTEMPT_MS, on_forwarded, q);
    } else {
        q->retry_ms = clock_boot_ms() + RETRY_MS;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct propose *p = timer->data;
    int64_t now = clock_boot_ms();
    int64_t leader = consensus_leader(p->daemon->consensus);
    propose_on_apply(p); /* a refused change alone wakes no watch */
    for (struct proposal *q = p->proposals, *next; q; q = next) {
        next = q->next;
        if (!q->abandoned && now >= q->deadline_ms)
            end_unknown(q);
        else if (q->state == PROPOSAL_WAITING && now >= q->retry_ms)
            start_attempt(q);
        else if (q->state == PROPOSAL_FORWARDED && leader != 0 && leader != q->leader)
            forward_cancel(p->daemon->forward, q->forward_id); /* another one leads now */
    }
    if (!p->proposals)
        uv_timer_stop(&p->timer);
}

struct propose *propose_new(struct daemon *d)
{
    struct propose *p = mem_alloc(1, sizeof(*p));
    p->daemon = d;
    uv_timer_init(&d->loop, &p->timer);
    p->timer.data = p;
    return p;
}

static void on_closed(uv_handle_t *handle)
{
    struct propose *p = handle->data;
    void (*on_freed)(void *arg) = p->on_freed;
    void *arg = p->free_arg;
    while (p->proposals)
        unlink_free(p->proposals);
    free(p);
    on_freed(arg);
}

void propose_free(struct propose *p, void (*on_freed)(void *arg), void *arg)
{
    p->stopping = true;
    for (struct proposal *q = p->proposals, *next; q; q = next) {
        next = q->next;
        if (!q->abandoned)
            end_unknown(q);
    }
    p->on_freed = on_freed;
    p->free_arg = arg;
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

static struct proposal *add(struct propose *p, int64_t timeout_ms, propose_cb cb, void *arg)
{
    struct proposal *q = mem_alloc(1, sizeof(*q));
    q->owner = p;
    q->deadline_ms = clock_boot_ms() + timeout_ms;
    q->cb = cb;
    q->arg = arg;
    q->next = p->proposals;
    p->proposals = q;
    if (!uv_is_active((uv_handle_t *)&p->timer))
        uv_timer_start(&p->timer, on_timer, TICK_MS, TICK_MS);
    return q;
}

void propose_change(struct propose *p, enum change_kind kind, const void *body,
                    const unsigned char *request_id, int64_t timeout_ms, propose_cb cb, void *arg)
{
    struct caller machine = {.trusted = true};
    propose_change_for(p, &machine, kind, body, request_id, timeout_ms, cb, arg);
}

void propose_change_for(struct propose *p, const struct caller *caller, enum change_kind kind,
                        const void *body, const unsigned char *request_id, int64_t timeout_ms,
                        propose_cb cb, void *arg)
{
    propose_request(p, caller, kind, body, request_id, 0, timeout_ms, cb, arg);
}

void propose_request(struct propose *p, const struct caller *caller, enum change_kind kind,
                     const void *body, const unsigned char *request_id, int64_t begin,
                     int64_t timeout_ms, propose_cb cb, void *arg)
{
    check(!p->stopping);
    struct proposal *q = add(p, timeout_ms, cb, arg);
    caller_copy(caller, &q->caller);
    const struct record_type *type = change_type((int)kind);
    q->change.kind = kind;
    q->change.has_request_id = true;
    if (request_id)
        memcpy(q->change.request_id, request_id, REQUEST_ID_BYTES);
    else
        random_bytes(q->change.request_id, REQUEST_ID_BYTES);
    if (store_level(p->daemon->store) >= CHANGE_BEGIN_LEVEL)
        q->change.begin = begin > 0 ? begin : store_index(p->daemon->store);
    q->change.body = mem_alloc(1, type->size);
    record_copy(type, body, q->change.body);
    if (kind == CHANGE_NODE_UPDATE)
        level_lower(p->daemon, &((struct change_node_update *)q->change.body)->node);
    else if (kind == CHANGE_NODE_ADD)
        level_lower(p->daemon, &((struct change_node_add *)q->change.body)->node);
    start_attempt(q);
}

void propose_on_apply(struct propose *p)
{
    int64_t index = store_index(p->daemon->store);
    for (struct proposal *q = p->proposals, *next; q; q = next) {
        next = q->next;
        if (q->state == PROPOSAL_CATCHING_UP && index >= q->result.index)
            complete(q, &q->result);
    }
}

/* --- the leader's side ---------------------------------------------------------------------- */

struct served {
    propose_reply_cb cb;
    void *arg;
};

static void reply_with(const struct served *s, const struct err *err)
{
    struct reply reply = {0};
    reply_set_err(&reply, err);
    s->cb(s->arg, &reply);
    record_release(&reply_type, &reply);
}

static void on_served(void *arg, int code, const struct change_result *result)
{
    struct served *s = arg;
    if (code != 0) {
        struct err err;
        err_set(&err, code, "%s", code == ERR_TOOBIG ? TOO_BIG : err_text(code));
        reply_with(s, &err);
    } else {
        struct proposed answer = {.code = -result->err.code,
                                  .message = (char *)(uintptr_t)result->err.msg,
                                  .id = result->id,
                                  .index = result->index};
        if (result->err.code == 0)
            answer.message = NULL;
        cleanup_buf struct buf body = BUF_INIT;
        record_encode(&proposed_type, &answer, &body);
        struct reply reply = {.body = {(unsigned char *)body.data, body.len}};
        s->cb(s->arg, &reply);
    }
    free(s);
}

/* A member speaks for its own tasks and itself only, and not in the leader's place. */
static int check_sender(struct store *store, const struct change *change, int64_t from,
                        struct err *err)
{
    struct node node;
    /* One that was removed stays on the bus a moment, to learn of it. */
    if (store_get(store, TABLE_NODE, from, &node) < 0)
        return err_set(err, ERR_DENIED, "n%lld is no member any more", (long long)from);
    bool holder = keys_are_for(&node);
    record_release(&node_type, &node);
    if (!holder && (change->kind == CHANGE_KEY_SET || change->kind == CHANGE_CA_ROTATE ||
                    change->kind == CHANGE_CA_FINISH))
        return err_set(err, ERR_DENIED, "n%lld is a witness and may not change the cluster's keys",
                       (long long)from);
    if (is_leaders_own((int)change->kind) || change->kind == CHANGE_CLUSTER_INIT)
        return err_set(err, ERR_DENIED, "n%lld may not speak for the leader", (long long)from);
    if (change->kind == CHANGE_TASK_REPORT &&
        ((const struct change_task_report *)change->body)->node_id != from)
        return err_set(err, ERR_DENIED, "n%lld may not report for another node", (long long)from);
    const struct change_node_update *update = change->body;
    if (change->kind == CHANGE_NODE_UPDATE && update->set_self && update->node_id != from)
        return err_set(err, ERR_DENIED, "n%lld may not describe another node", (long long)from);
    return 0;
}

/* A change on behalf of a remote caller shows its token, which is looked at again: the member that
 * took the call is not to be believed. One without is the member's own, or came over its socket. */
static int check_caller(const struct daemon *d, const struct change *change, const char *token,
                        struct err *err)
{
    struct caller caller;
    if (!*str_or_empty(token))
        return 0;
    if (caller_from_token(d->store, token, daemon_now_ms(d), &caller, err) < 0)
        return err->code;
    int rv = rights_check_change(d->store, &caller, (int)change->kind, change->body, err);
    caller_release(&caller);
    return rv;
}

/* What only the leader knows; one that is none says so by itself. */
static int check_leading(struct daemon *d, const struct change *change, struct err *err)
{
    if (!consensus_is_ready(d->consensus))
        return 0;
    int rv = space_check(d, err);
    if (rv == 0)
        rv = level_check(d, change, err);
    return rv < 0 ? rv : members_check_going(d->members, change, err);
}

void propose_on_call(struct propose *p, int64_t from, const struct call *call, propose_reply_cb cb,
                     void *arg)
{
    struct err err = {0};
    struct change change;
    struct served served = {.cb = cb, .arg = arg};
    if (change_decode(call->body.data, call->body.len, &change, &err) < 0) {
        reply_with(&served, &err);
        return;
    }
    if (check_sender(p->daemon->store, &change, from, &err) < 0 ||
        check_caller(p->daemon, &change, call->token, &err) < 0 ||
        check_leading(p->daemon, &change, &err) < 0)
        reply_with(&served, &err);
    else
        consensus_propose(p->daemon->consensus, &change, on_served,
                          mem_copy(&served, sizeof(served)));
    change_release(&change);
}
