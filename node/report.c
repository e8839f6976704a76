/* SPDX-License-Identifier: Apache-2.0 */
#include "node/report.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/propose.h"
#include "store/level.h"

#include <stdlib.h>

enum {
    GATHER_MS = 10,
    RETRY_MS = 1000,
    BATCH_MAX = 512, /* observations in one change */
};

struct report {
    struct daemon *daemon;
    uv_timer_t timer;
    struct task_observation *waiting;
    size_t waiting_n;
    struct change_task_report sent; /* under way */
    bool stopping;
};

static void put(struct report *r, const struct task_observation *o)
{
    size_t i = 0;
    while (i < r->waiting_n && r->waiting[i].task_id != o->task_id)
        i++;
    if (i == r->waiting_n) {
        r->waiting = mem_resize(r->waiting, ++r->waiting_n, sizeof(*o));
    } else if (r->waiting[i].sequence >= o->sequence) {
        return;
    } else {
        record_release(&task_observation_type, &r->waiting[i]);
    }
    record_copy(&task_observation_type, o, &r->waiting[i]);
}

static void on_timer(uv_timer_t *timer);

static void on_written(void *arg, const struct change_result *result)
{
    struct report *r = arg;
    bool written = result->err.code == 0;
    if (!written && !r->stopping) {
        log_debug("node", "a report was not written: %s", result->err.msg);
        for (size_t i = 0; i < r->sent.observations_n; i++)
            put(r, &r->sent.observations[i]);
    }
    record_release(&change_task_report_type, &r->sent);
    if (!r->stopping && r->waiting_n > 0)
        uv_timer_start(&r->timer, on_timer, written ? GATHER_MS : RETRY_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct report *r = timer->data;
    if (r->sent.observations_n > 0 || r->waiting_n == 0)
        return;
    size_t n = r->waiting_n < BATCH_MAX ? r->waiting_n : BATCH_MAX;
    int level = store_level(r->daemon->store);
    r->sent.node_id = r->daemon->id;
    r->sent.observations = mem_alloc(n, sizeof(*r->waiting));
    r->sent.observations_n = n;
    for (size_t i = 0; i < n; i++) {
        r->sent.observations[i] = r->waiting[i];
        record_lower(&task_observation_type, &r->sent.observations[i], level);
    }
    r->waiting_n -= n;
    for (size_t i = 0; i < r->waiting_n; i++)
        r->waiting[i] = r->waiting[i + n];
    propose_change(r->daemon->propose, CHANGE_TASK_REPORT, &r->sent, NULL, PROPOSE_TIMEOUT_MS,
                   on_written, r);
}

struct report *report_new(struct daemon *d)
{
    struct report *r = mem_alloc(1, sizeof(*r));
    r->daemon = d;
    uv_timer_init(&d->loop, &r->timer);
    r->timer.data = r;
    return r;
}

void report_stop(struct report *r)
{
    r->stopping = true;
    uv_close((uv_handle_t *)&r->timer, NULL);
}

void report_free(struct report *r)
{
    record_free_list(&task_observation_type, r->waiting, r->waiting_n);
    record_release(&change_task_report_type, &r->sent);
    free(r);
}

void report_task(struct report *r, const struct task_observation *observation)
{
    if (r->stopping)
        return;
    for (size_t i = 0; i < r->sent.observations_n; i++)
        if (r->sent.observations[i].task_id == observation->task_id &&
            r->sent.observations[i].sequence >= observation->sequence)
            return;
    put(r, observation);
    if (r->sent.observations_n == 0 && !uv_is_active((uv_handle_t *)&r->timer))
        uv_timer_start(&r->timer, on_timer, GATHER_MS, 0);
}
