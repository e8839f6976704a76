/* SPDX-License-Identifier: Apache-2.0 */
#include "node/exchange.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "node/daemon.h"
#include "node/forward.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A call on its way from a job to the loop. */
struct ask {
    struct ask *next;
    struct exchange *exchange;
    int64_t to; /* 0: all */
    uint64_t tag;
    const char *verb; /* a literal */
    struct buf body;
    int64_t timeout_ms;
};

struct exchanges {
    struct daemon *daemon;
    uv_async_t async;
    pthread_mutex_t lock;
    struct ask *first, **last; /* under the lock */
};

/* The job has one reference, each call another. */
struct exchange {
    struct exchanges *all;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t references; /* from here on under the lock */
    size_t pending;    /* answers, and calls to give out */
    struct exchange_answer *first, **last;
};

/* A call that was sent. */
struct sent {
    struct exchange *exchange;
    struct exchange_answer *answer; /* without its result */
};

void exchange_answer_free(struct exchange_answer *answer)
{
    if (answer)
        bytes_set(&answer->body, NULL, 0);
    free(answer);
}

/* Give a reference back. With the lock, which is gone when it was the last. */
static void unref_locked(struct exchange *x)
{
    bool last = --x->references == 0;
    pthread_mutex_unlock(&x->lock);
    if (!last)
        return;
    while (x->first) {
        struct exchange_answer *answer = x->first;
        x->first = answer->next;
        exchange_answer_free(answer);
    }
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->wake);
    free(x);
}

/* --- on the loop ------------------------------------------------------------------------------ */

/* The end of one call, or of giving it out: what is answered, if anything, goes to the job. */
static void deliver(struct exchange *x, struct exchange_answer *answer)
{
    pthread_mutex_lock(&x->lock);
    if (answer) {
        answer->next = NULL;
        *x->last = answer;
        x->last = &answer->next;
    }
    x->pending--;
    pthread_cond_signal(&x->wake);
    unref_locked(x);
}

static struct exchange_answer *new_answer(const struct ask *ask, int64_t from)
{
    struct exchange_answer *answer = mem_alloc(1, sizeof(*answer));
    answer->from = from;
    answer->tag = ask->tag;
    return answer;
}

static void on_reply(void *arg, const struct err *err, const struct reply *reply)
{
    struct sent *sent = arg;
    struct exchange_answer *answer = sent->answer;
    answer->err = *err;
    if (err->code == 0 && reply_get_err(reply, &answer->err) == 0)
        bytes_set(&answer->body, reply->body.data, reply->body.len);
    deliver(sent->exchange, answer);
    free(sent);
}

static void send_to(struct daemon *d, const struct ask *ask, const struct node *node)
{
    struct sent *sent = mem_alloc(1, sizeof(*sent));
    struct exchange_answer *answer = new_answer(ask, node->id);
    struct node self;
    str_fill(answer->name, sizeof(answer->name), str_or_empty(node->name));
    if (store_get(d->store, TABLE_NODE, d->id, &self) == 0) {
        answer->same_machine = str_equal(self.os, node->os) && str_equal(self.arch, node->arch);
        record_release(&node_type, &self);
    }
    *sent = (struct sent){.exchange = ask->exchange, .answer = answer};
    pthread_mutex_lock(&ask->exchange->lock);
    ask->exchange->references++;
    ask->exchange->pending++;
    pthread_mutex_unlock(&ask->exchange->lock);
    struct call call = {.verb = (char *)(uintptr_t)ask->verb,
                        .body = {(unsigned char *)ask->body.data, ask->body.len}};
    forward_call(d->forward, node->id, &call, ask->timeout_ms, on_reply, sent);
}

/* Returns how many members it went to. */
static size_t send_ask(struct daemon *d, const struct ask *ask)
{
    struct node *nodes;
    size_t n;
    size_t sent = 0;
    if (!d->waiters || d->stopping)
        return 0;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n; i++) {
        bool wanted = ask->to ? nodes[i].id == ask->to : !nodes[i].witness;
        if (!wanted || nodes[i].id == d->id || !bus_is_connected(d->bus, nodes[i].id))
            continue;
        send_to(d, ask, &nodes[i]);
        sent++;
    }
    record_free_list(&node_type, nodes, n);
    return sent;
}

static struct ask *next_ask(struct exchanges *all)
{
    pthread_mutex_lock(&all->lock);
    struct ask *ask = all->first;
    if (ask) {
        all->first = ask->next;
        if (!all->first)
            all->last = &all->first;
    }
    pthread_mutex_unlock(&all->lock);
    return ask;
}

static void on_async(uv_async_t *async)
{
    struct exchanges *all = async->data;
    for (struct ask *ask; (ask = next_ask(all));) {
        struct exchange_answer *failed = NULL;
        if (send_ask(all->daemon, ask) == 0 && ask->to) {
            failed = new_answer(ask, ask->to);
            err_set(&failed->err, ERR_UNAVAILABLE, "member n%lld is not connected",
                    (long long)ask->to);
        }
        deliver(ask->exchange, failed);
        buf_release(&ask->body);
        free(ask);
    }
}

struct exchanges *exchanges_new(struct daemon *d)
{
    struct exchanges *all = mem_alloc(1, sizeof(*all));
    all->daemon = d;
    all->last = &all->first;
    check(pthread_mutex_init(&all->lock, NULL) == 0);
    check(uv_async_init(&d->loop, &all->async, on_async) == 0);
    all->async.data = all;
    return all;
}

static void on_closed(uv_handle_t *handle)
{
    struct exchanges *all = handle->data;
    pthread_mutex_destroy(&all->lock);
    free(all);
}

void exchanges_free(struct exchanges *all)
{
    if (!all)
        return;
    on_async(&all->async);
    uv_close((uv_handle_t *)&all->async, on_closed);
}

/* --- in a job --------------------------------------------------------------------------------- */

struct exchange *exchange_open(struct exchanges *all)
{
    struct exchange *x = mem_alloc(1, sizeof(*x));
    pthread_condattr_t attr;
    x->all = all;
    x->references = 1;
    x->last = &x->first;
    check(pthread_mutex_init(&x->lock, NULL) == 0);
    check(pthread_condattr_init(&attr) == 0);
    check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    check(pthread_cond_init(&x->wake, &attr) == 0);
    pthread_condattr_destroy(&attr);
    return x;
}

void exchange_ask(struct exchange *x, int64_t to, uint64_t tag, const char *verb,
                  const struct record_type *type, const void *request, int64_t timeout_ms)
{
    struct exchanges *all = x->all;
    struct ask *ask = mem_alloc(1, sizeof(*ask));
    *ask =
        (struct ask){.exchange = x, .to = to, .tag = tag, .verb = verb, .timeout_ms = timeout_ms};
    record_encode(type, request, &ask->body);
    pthread_mutex_lock(&x->lock);
    x->references++;
    x->pending++;
    pthread_mutex_unlock(&x->lock);
    pthread_mutex_lock(&all->lock);
    *all->last = ask;
    all->last = &ask->next;
    pthread_mutex_unlock(&all->lock);
    uv_async_send(&all->async);
}

struct exchange_answer *exchange_next(struct exchange *x, int64_t wait_ms)
{
    struct timespec until;
    check(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&x->lock);
    while (!x->first && x->pending > 0 && pthread_cond_timedwait(&x->wake, &x->lock, &until) == 0)
        continue;
    struct exchange_answer *answer = x->first;
    if (answer) {
        x->first = answer->next;
        if (!x->first)
            x->last = &x->first;
    }
    pthread_mutex_unlock(&x->lock);
    return answer;
}

bool exchange_is_open(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool open = x->pending > 0 || x->first;
    pthread_mutex_unlock(&x->lock);
    return open;
}

void exchange_close(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    unref_locked(x);
}
