/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiters gather in a queue; a question takes all of them:
 *
 *   queue ──start──► ASKING (here or at the leader) ──index──► CATCHING_UP ──applied──► answered
 *     ▲                  │ not the leader, lost
 *     └──────put_back────┘
 *
 * start() leaves the queue, on_read_here() and on_reply() ASKING, on_caught_up() CATCHING_UP. At
 * most one question is in ASKING. The timer ends waiters that are past their deadline, wherever
 * they are, and starts again what was put back.
 */
#include "node/read.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/forward.h"

#include <stdlib.h>

enum {
    TICK_MS = 20,
    RETRY_MS = 20,
    ATTEMPT_MS = 2000,
};

struct waiter {
    struct waiter *next;
    int64_t deadline_ms;
    read_barrier_cb cb;
    void *arg;
};

struct question {
    struct question *next;
    struct read_barrier *owner;
    struct waiter *waiters;
    int64_t leader;     /* asked over the bus: whom; 0: here */
    int64_t forward_id; /* the call */
};

struct read_barrier {
    struct daemon *daemon;
    uv_timer_t timer;
    struct waiter *queue; /* the newest first */
    struct question *questions;
    struct question *asking; /* the one of them that has no index yet */
    size_t waiting;
    int64_t retry_ms; /* no question before */
    bool stopping;
    void (*on_freed)(void *arg);
    void *free_arg;
};

/* What the leader answers. */
struct read_index {
    int64_t index;
};
static const struct field read_index_fields[] = {
    FIELD_INT(struct read_index, index),
};
static const struct record_type read_index_type =
    RECORD_TYPE("read_index", struct read_index, read_index_fields);

static void start(struct read_barrier *b);

/* --- ends ------------------------------------------------------------------------------------- */

static void explain(const struct read_barrier *b, struct err *err)
{
    struct daemon *d = b->daemon;
    if (b->stopping || d->stopping)
        err_set(err, ERR_CANCELED, "this member is stopping");
    else if (d->removed)
        err_set(err, ERR_DENIED,
                "this machine was removed from the cluster: stop its daemon, delete %s and join "
                "again",
                d->data_dir);
    else if (consensus_leader(d->consensus) == 0)
        err_set(err, ERR_UNAVAILABLE,
                "the cluster has no leader now: too few voters can be reached ('wherry status')");
    else
        err_set(err, ERR_UNAVAILABLE,
                "the leader did not confirm in time that it leads ('wherry status')");
}

/* End those of @list for which it is time, or all. */
static void end_late(struct read_barrier *b, struct waiter **list, bool all)
{
    int64_t now = clock_boot_ms();
    struct waiter *late = NULL;
    for (struct waiter **link = list; *link;) {
        struct waiter *w = *link;
        if (!all && now < w->deadline_ms) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->next = late;
        late = w;
    }
    for (struct waiter *next; late; late = next) {
        struct err err = {0};
        next = late->next;
        b->waiting--;
        explain(b, &err);
        late->cb(late->arg, &err);
        free(late);
    }
}

static void free_question(struct question *q)
{
    struct question **link = &q->owner->questions;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    if (q->owner->asking == q)
        q->owner->asking = NULL;
    free(q);
}

/* The store is far enough. */
static void answer(struct question *q)
{
    struct read_barrier *b = q->owner;
    struct waiter *waiters = steal(&q->waiters);
    free_question(q);
    for (struct waiter *next; waiters; waiters = next) {
        struct err none = {0};
        next = waiters->next;
        b->waiting--;
        waiters->cb(waiters->arg, &none);
        free(waiters);
    }
}

static void put_back(struct question *q)
{
    struct read_barrier *b = q->owner;
    while (q->waiters) {
        struct waiter *w = q->waiters;
        q->waiters = w->next;
        w->next = b->queue;
        b->queue = w;
    }
    free_question(q);
    b->retry_ms = clock_boot_ms() + RETRY_MS;
}

/* --- a question ------------------------------------------------------------------------------- */

static void on_read_here(void *arg, int code, int64_t index)
{
    struct question *q = arg;
    struct read_barrier *b = q->owner;
    (void)index;
    if (code != 0)
        put_back(q);
    b->asking = NULL;
    start(b); /* before the answers, which take a while */
    if (code == 0)
        answer(q);
}

static void on_caught_up(void *arg, int code, int64_t index)
{
    struct question *q = arg;
    (void)index;
    if (code == 0)
        answer(q);
    else
        put_back(q);
}

static int read_answer(const struct reply *reply, int64_t *ret_index)
{
    struct err err = {0};
    struct read_index answer;
    if (reply_get_err(reply, &err) < 0 || record_decode(&read_index_type, reply->body.data,
                                                        reply->body.len, false, &answer, &err) < 0)
        return err.code;
    *ret_index = answer.index;
    return 0;
}

static void on_reply(void *arg, const struct err *err, const struct reply *reply)
{
    struct question *q = arg;
    struct read_barrier *b = q->owner;
    int64_t index;
    if (err->code != 0 || b->stopping || b->daemon->stopping || read_answer(reply, &index) < 0) {
        put_back(q);
    } else {
        b->asking = NULL;
        consensus_await(b->daemon->consensus, index, on_caught_up, q);
    }
    start(b);
}

/* Ask, if somebody waits and nothing is asked yet. */
static void start(struct read_barrier *b)
{
    struct daemon *d = b->daemon;
    if (b->asking || !b->queue || b->stopping || d->stopping || clock_boot_ms() < b->retry_ms)
        return;
    int64_t leader = consensus_leader(d->consensus);
    bool here = consensus_is_ready(d->consensus);
    if (!here && (leader == 0 || leader == d->id)) {
        b->retry_ms = clock_boot_ms() + RETRY_MS;
        return;
    }
    struct question *q = b->asking = mem_alloc(1, sizeof(*q));
    q->owner = b;
    q->waiters = steal(&b->queue);
    q->next = b->questions;
    b->questions = q;
    if (here) {
        consensus_read(d->consensus, on_read_here, q);
        return;
    }
    struct call call = {.verb = (char[]){"member.read_index"}};
    q->leader = leader;
    q->forward_id = forward_call(d->forward, leader, &call, ATTEMPT_MS, on_reply, q);
}

static void on_timer(uv_timer_t *timer)
{
    struct read_barrier *b = timer->data;
    struct question *asking = b->asking;
    int64_t leader = consensus_leader(b->daemon->consensus);
    end_late(b, &b->queue, false);
    for (struct question *q = b->questions; q; q = q->next)
        end_late(b, &q->waiters, false);
    if (asking && asking->leader != 0 && leader != 0 && leader != asking->leader)
        forward_cancel(b->daemon->forward, asking->forward_id); /* another one leads now */
    start(b);
    if (b->waiting == 0)
        uv_timer_stop(&b->timer);
}

/* --- for others ------------------------------------------------------------------------------- */

struct read_barrier *read_barrier_new(struct daemon *d)
{
    struct read_barrier *b = mem_alloc(1, sizeof(*b));
    b->daemon = d;
    uv_timer_init(&d->loop, &b->timer);
    b->timer.data = b;
    return b;
}

static void on_closed(uv_handle_t *handle)
{
    struct read_barrier *b = handle->data;
    void (*on_freed)(void *arg) = b->on_freed;
    void *arg = b->free_arg;
    check(!b->questions && !b->queue);
    free(b);
    on_freed(arg);
}

/* Consensus and the forwarder were ended before, and with them every question. */
void read_barrier_free(struct read_barrier *b, void (*on_freed)(void *arg), void *arg)
{
    b->stopping = true;
    end_late(b, &b->queue, true);
    b->on_freed = on_freed;
    b->free_arg = arg;
    uv_close((uv_handle_t *)&b->timer, on_closed);
}

int read_barrier_wait(struct read_barrier *b, int64_t timeout_ms, read_barrier_cb cb, void *arg)
{
    check(!b->stopping);
    if (b->waiting >= READ_WAITING_MAX)
        return ERR_BUSY;
    struct waiter *w = mem_alloc(1, sizeof(*w));
    *w = (struct waiter){.deadline_ms = clock_boot_ms() + timeout_ms, .cb = cb, .arg = arg};
    w->next = b->queue;
    b->queue = w;
    b->waiting++;
    if (!uv_is_active((uv_handle_t *)&b->timer))
        uv_timer_start(&b->timer, on_timer, TICK_MS, TICK_MS);
    start(b);
    return 0;
}

/* --- the leader's side ------------------------------------------------------------------------ */

struct served {
    read_reply_cb cb;
    void *arg;
};

static void on_served(void *arg, int code, int64_t index)
{
    struct served *s = arg;
    struct reply reply = {0};
    cleanup_buf struct buf body = BUF_INIT;
    if (code != 0) {
        struct err err;
        err_set(&err, code, "%s", err_text(code));
        reply_set_err(&reply, &err);
        s->cb(s->arg, &reply);
        record_release(&reply_type, &reply);
    } else {
        struct read_index answer = {.index = index};
        record_encode(&read_index_type, &answer, &body);
        reply.body = (struct bytes){(unsigned char *)body.data, body.len};
        s->cb(s->arg, &reply);
    }
    free(s);
}

void read_barrier_on_call(struct read_barrier *b, read_reply_cb cb, void *arg)
{
    struct served served = {.cb = cb, .arg = arg};
    consensus_read(b->daemon->consensus, on_served, mem_copy(&served, sizeof(served)));
}
