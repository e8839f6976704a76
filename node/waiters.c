/* SPDX-License-Identifier: Apache-2.0 */
#include "node/waiters.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <uv.h>

struct waiter {
    struct waiter *next;
    int64_t deadline_ms;
    waiter_poll poll;
    void *arg;
};

struct waiters {
    uv_timer_t timer;
    struct waiter *list;
    void (*on_freed)(void *arg);
    void *free_arg;
};

enum {
    POLL_MS = 100,
};

static void ask_all(struct waiters *w, bool last)
{
    /* A poll may add waiters: work on a list of our own. */
    struct waiter *list = w->list;
    w->list = NULL;
    int64_t now = clock_boot_ms();
    for (struct waiter *next; list; list = next) {
        next = list->next;
        if (list->poll(list->arg, last || now >= list->deadline_ms)) {
            free(list);
        } else {
            list->next = w->list;
            w->list = list;
        }
    }
    if (!w->list)
        uv_timer_stop(&w->timer);
}

static void on_timer(uv_timer_t *timer)
{
    ask_all(timer->data, false);
}

struct waiters *waiters_new(struct uv_loop_s *loop)
{
    struct waiters *w = mem_alloc(1, sizeof(*w));
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct waiters *w = handle->data;
    void (*on_freed)(void *arg) = w->on_freed;
    void *arg = w->free_arg;
    free(w);
    on_freed(arg);
}

void waiters_free(struct waiters *w, void (*on_freed)(void *arg), void *arg)
{
    while (w->list)
        ask_all(w, true);
    w->on_freed = on_freed;
    w->free_arg = arg;
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

void waiters_add(struct waiters *w, int64_t wait_ms, waiter_poll poll, void *arg)
{
    if (poll(arg, wait_ms <= 0))
        return;
    struct waiter *waiter = mem_alloc(1, sizeof(*waiter));
    waiter->deadline_ms = clock_boot_ms() + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
    waiter->poll = poll;
    waiter->arg = arg;
    waiter->next = w->list;
    w->list = waiter;
    if (!uv_is_active((uv_handle_t *)&w->timer))
        uv_timer_start(&w->timer, on_timer, POLL_MS, POLL_MS);
}

void waiters_wake(struct waiters *w)
{
    if (w->list)
        ask_all(w, false);
}
