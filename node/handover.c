/* SPDX-License-Identifier: Apache-2.0 */
#include "node/handover.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/members.h"

#include <stdlib.h>

enum {
    POLL_MS = 5,
    ATTEMPT_MS = 400, /* libraft gives an attempt up after its election time */
};

struct handover {
    struct daemon *daemon;
    uv_timer_t timer;
    int64_t begin_ms;
    int64_t asked_ms; /* when the one below was asked */
    int64_t heir;     /* 0: nobody yet */
    void (*done)(struct daemon *d);
};

/* Who is next, after @last; 0: nobody. */
static int64_t next_heir(struct daemon *d, int64_t last)
{
    struct standings s;
    standings_read(d, &s);
    int64_t heir = shape_heir(s.all, s.n, d->id, last);
    standings_release(&s);
    return heir;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end(struct handover *h)
{
    struct daemon *d = h->daemon;
    void (*done)(struct daemon * d) = h->done;
    uv_close((uv_handle_t *)&h->timer, on_closed);
    done(d);
}

static void on_timer(uv_timer_t *timer)
{
    struct handover *h = timer->data;
    struct daemon *d = h->daemon;
    int64_t now = clock_boot_ms();
    if (consensus_leader(d->consensus) != d->id) {
        log_info("raft", "leadership handed on after %lld ms", (long long)(now - h->begin_ms));
        end(h);
        return;
    }
    if (now - h->begin_ms >= HANDOVER_MS) {
        log_warn("raft", "nobody took the leadership within %d ms", HANDOVER_MS);
        end(h);
        return;
    }
    if (h->heir && now - h->asked_ms < ATTEMPT_MS)
        return;
    h->heir = next_heir(d, h->heir);
    h->asked_ms = now;
    if (h->heir)
        consensus_transfer_to(d->consensus, h->heir);
}

void handover(struct daemon *d, void (*done)(struct daemon *d))
{
    if (!d->consensus || consensus_leader(d->consensus) != d->id || !next_heir(d, 0)) {
        done(d);
        return;
    }
    struct handover *h = mem_alloc(1, sizeof(*h));
    *h = (struct handover){.daemon = d, .begin_ms = clock_boot_ms(), .done = done};
    uv_timer_init(&d->loop, &h->timer);
    h->timer.data = h;
    uv_timer_start(&h->timer, on_timer, 0, POLL_MS);
}
