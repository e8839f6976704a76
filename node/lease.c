/* SPDX-License-Identifier: Apache-2.0 */
#include "node/lease.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/read.h"
#include "node/reconcile.h"

#include <stdlib.h>

enum {
    TICK_MS = 1000,
    ASK_MS = 4000,
};

struct lease {
    struct daemon *daemon;
    uv_timer_t timer;
    bool asking;
    bool stopped;
    int64_t asked_ms;
    int64_t from_ms;
};

int64_t lease_from_ms(const struct lease *l)
{
    return l->from_ms;
}

static void on_confirmed(void *arg, const struct err *err)
{
    struct lease *l = arg;
    l->asking = false;
    if (err->code != 0 || l->stopped)
        return;
    /* The store has what the leader had when it confirmed; what runs by it must have it too, before
     * anything starts: a member that comes back may not know yet what was taken from it. */
    reconcile_read(l->daemon->reconcile);
    l->from_ms = l->asked_ms;
    reconcile_on_lease(l->daemon->reconcile);
}

static void on_timer(uv_timer_t *timer)
{
    struct lease *l = timer->data;
    struct daemon *d = l->daemon;
    if (d->stopping || !reconcile_has_single(d->reconcile))
        return;
    reconcile_on_lease(d->reconcile); /* it may be running out */
    if (l->asking)
        return;
    l->asked_ms = clock_boot_ms();
    l->asking = read_barrier_wait(d->read, ASK_MS, on_confirmed, l) == 0;
}

struct lease *lease_new(struct daemon *d)
{
    struct lease *l = mem_alloc(1, sizeof(*l));
    l->daemon = d;
    uv_timer_init(&d->loop, &l->timer);
    l->timer.data = l;
    uv_timer_start(&l->timer, on_timer, 0, TICK_MS);
    return l;
}

void lease_stop(struct lease *l)
{
    l->stopped = true;
    uv_close((uv_handle_t *)&l->timer, NULL);
}

void lease_free(struct lease *l)
{
    free(l);
}
