/* SPDX-License-Identifier: Apache-2.0 */
#include "node/forward.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "node/daemon.h"

#include <stdlib.h>

struct pending {
    struct pending *next;
    int64_t id;
    int64_t to;
    int64_t deadline_ms;
    struct err failed; /* code not 0: ends at the next tick, never inside forward_call */
    forward_cb cb;
    void *arg;
};

struct forward {
    struct daemon *daemon;
    uv_timer_t timer;
    struct pending *pending;
    size_t pending_n;
    int64_t last_id;
    void (*on_freed)(void *arg);
    void *free_arg;
};

enum {
    FORWARD_TICK_MS = 20,
};

static void complete(struct pending *p, const struct err *err, const struct reply *reply)
{
    p->cb(p->arg, err, reply);
    free(p);
}

/* Unlink the first that @match picks. */
static struct pending *take(struct forward *f, bool (*match)(const struct pending *, int64_t),
                            int64_t key)
{
    for (struct pending **link = &f->pending; *link; link = &(*link)->next) {
        struct pending *p = *link;
        if (match(p, key)) {
            *link = p->next;
            f->pending_n--;
            return p;
        }
    }
    return NULL;
}

static bool has_id(const struct pending *p, int64_t id)
{
    return p->id == id;
}

static bool goes_to(const struct pending *p, int64_t to)
{
    return p->to == to && p->failed.code == 0;
}

static bool is_over(const struct pending *p, int64_t now)
{
    return p->failed.code != 0 || now >= p->deadline_ms;
}

static void on_timer(uv_timer_t *timer)
{
    struct forward *f = timer->data;
    int64_t now = clock_boot_ms();
    for (struct pending *p; (p = take(f, is_over, now));) {
        struct err err = p->failed;
        if (err.code == 0)
            err_set(&err, ERR_TIMEOUT, "member n%lld did not answer in time", (long long)p->to);
        complete(p, &err, NULL);
    }
    if (!f->pending)
        uv_timer_stop(&f->timer);
}

struct forward *forward_new(struct daemon *d)
{
    struct forward *f = mem_alloc(1, sizeof(*f));
    f->daemon = d;
    /* Another process of this member may have asked, and its answer may still be on its way: that
     * must not pass for one to a call of ours. */
    random_bytes(&f->last_id, sizeof(f->last_id));
    f->last_id &= INT64_MAX >> 1;
    uv_timer_init(&d->loop, &f->timer);
    f->timer.data = f;
    return f;
}

static void on_closed(uv_handle_t *handle)
{
    struct forward *f = handle->data;
    void (*on_freed)(void *arg) = f->on_freed;
    void *arg = f->free_arg;
    free(f);
    on_freed(arg);
}

static bool any(const struct pending *p, int64_t key)
{
    (void)p;
    (void)key;
    return true;
}

void forward_free(struct forward *f, void (*on_freed)(void *arg), void *arg)
{
    struct err err;
    err_set(&err, ERR_CANCELED, "this member is stopping");
    for (struct pending *p; (p = take(f, any, 0));)
        complete(p, &err, NULL);
    f->on_freed = on_freed;
    f->free_arg = arg;
    uv_close((uv_handle_t *)&f->timer, on_closed);
}

int64_t forward_call(struct forward *f, int64_t to, const struct call *call, int64_t timeout_ms,
                     forward_cb cb, void *arg)
{
    struct pending *p = mem_alloc(1, sizeof(*p));
    p->id = ++f->last_id;
    p->to = to;
    p->deadline_ms = clock_boot_ms() + timeout_ms;
    p->cb = cb;
    p->arg = arg;
    struct call copy = *call; /* shallow: only encoded */
    copy.version = WIRE_VERSION;
    copy.id = p->id;
    copy.forwarded = true;
    cleanup_buf struct buf message = BUF_INIT;
    record_encode(&call_type, &copy, &message);
    int rv = message.len > WIRE_MESSAGE_MAX ? ERR_TOOBIG
             : f->pending_n >= FORWARD_CALLS_MAX
                 ? ERR_BUSY
                 : bus_send(f->daemon->bus, to, BUS_CALL, false, message.data, message.len);
    if (rv < 0)
        err_set(&p->failed, rv, "member n%lld cannot be reached: %s", (long long)to, err_text(rv));
    p->next = f->pending;
    f->pending = p;
    f->pending_n++;
    if (!uv_is_active((uv_handle_t *)&f->timer))
        uv_timer_start(&f->timer, on_timer, FORWARD_TICK_MS, FORWARD_TICK_MS);
    return p->id;
}

void forward_cancel(struct forward *f, int64_t id)
{
    for (struct pending *p = f->pending; p; p = p->next)
        if (p->id == id && p->failed.code == 0)
            err_set(&p->failed, ERR_UNKNOWN, "the answer of member n%lld is not waited for",
                    (long long)p->to);
}

void forward_on_reply(struct forward *f, int64_t from, const void *data, size_t len)
{
    struct reply reply;
    struct err err = {0};
    if (record_decode(&reply_type, data, len, false, &reply, &err) < 0) {
        log_warn("bus", "n%lld sent a damaged reply: %s", (long long)from, err.msg);
        return;
    }
    struct pending *p = take(f, has_id, reply.id);
    if (p && p->to != from) {
        log_warn("bus", "n%lld answered a call that went to n%lld", (long long)from,
                 (long long)p->to);
        p->next = f->pending;
        f->pending = p;
        f->pending_n++;
    } else if (p) {
        complete(p, &err, &reply);
    }
    record_release(&reply_type, &reply);
}

void forward_on_down(struct forward *f, int64_t id)
{
    struct err err;
    err_set(&err, ERR_UNKNOWN, "the connection to member n%lld broke", (long long)id);
    for (struct pending *p; (p = take(f, goes_to, id));)
        complete(p, &err, NULL);
}
