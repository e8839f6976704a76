/* SPDX-License-Identifier: Apache-2.0 */
#include "node/stalls.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/api.h"

#include <stdlib.h>
#include <uv.h>

struct stalls {
    uv_prepare_t prepare;
    int64_t last_ns;
    uint64_t last_idle_ns;
    struct stalls_reply seen;
};

enum {
    STALL_LOG_MS = 200,
};

/* One turn of the loop lies between two prepares; what it did not idle in poll, it worked. */
static void on_prepare(uv_prepare_t *handle)
{
    struct stalls *s = handle->data;
    int64_t now = clock_mono_ns();
    uint64_t idle = uv_metrics_idle_time(handle->loop);
    int64_t busy_us = (now - s->last_ns - (int64_t)(idle - s->last_idle_ns)) / 1000;
    s->last_ns = now;
    s->last_idle_ns = idle;
    s->seen.turns++;
    if (busy_us > s->seen.longest_us)
        s->seen.longest_us = busy_us;
    s->seen.over_20ms += busy_us > 20000;
    s->seen.over_100ms += busy_us > 100000;
    if (busy_us > STALL_LOG_MS * 1000)
        log_warn("loop", "one turn took %lld ms", (long long)(busy_us / 1000));
}

struct stalls *stalls_new(struct uv_loop_s *loop)
{
    struct stalls *s = mem_alloc(1, sizeof(*s));
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    uv_prepare_init(loop, &s->prepare);
    s->prepare.data = s;
    s->last_ns = clock_mono_ns();
    uv_prepare_start(&s->prepare, on_prepare);
    uv_unref((uv_handle_t *)&s->prepare);
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void stalls_free(struct stalls *s)
{
    uv_close((uv_handle_t *)&s->prepare, on_closed);
}

void stalls_take(struct stalls *s, struct stalls_reply *ret)
{
    *ret = s->seen;
    s->seen = (struct stalls_reply){0};
}

int64_t stalls_now_ms(const struct stalls *s)
{
    return (clock_mono_ns() - s->last_ns) / 1000000;
}
