/* SPDX-License-Identifier: Apache-2.0 */
#include "node/clocks.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/consensus.h"
#include "node/clock_judge.h"
#include "node/daemon.h"
#include "node/members.h"
#include "node/shape.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000,
    ASK_MS = 10000,
    JUMP_MS = 1000,        /* our clock moved by so much against the time since boot: ask at once */
    ROUND_TRIP_MS = 2000,  /* an answer that took longer says nothing */
    COMPARED_MS = 10000,   /* without an answer for so long nobody is there */
    LEADERLESS_MS = 10000, /* without a leader for so long even a wrong clock may lead */
    MINUTE_MS = 60 * 1000,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
};

/* A question, answered by the same with the sender's time. */
struct tell {
    bool answer;
    int64_t asked_ms; /* the asker's time since boot, given back */
    int64_t wall_ms;  /* answers: the time */
};
static const struct field tell_fields[] = {
    FIELD_BOOL(struct tell, answer),
    FIELD_INT(struct tell, asked_ms),
    FIELD_INT(struct tell, wall_ms),
};
static const struct record_type tell_type = RECORD_TYPE("tell", struct tell, tell_fields);

/* Another member's clock. */
struct other {
    int64_t id;
    int64_t offset_ms; /* its clock less ours */
    bool known;
};

#define OFFSET_MAX_MS (INT64_C(1000) * 365 * DAY_MS) /* no clock is that wrong */

struct clocks {
    struct daemon *daemon;
    uv_timer_t timer;
    struct other *others; /* those that are connected */
    size_t others_n;
    int64_t ask_ms;     /* boot time of the next question */
    int64_t delta_ms;   /* our clock less the time since boot, as of the last tick */
    int64_t started_ms; /* boot time */
    int64_t leader_ms;  /* boot time at which there was a leader last */
    int64_t last_heir;  /* to whom leadership was handed last */
    bool said;          /* the log has it that our clock is wrong */
    struct clock_judgement judgement;
    void (*on_freed)(void *arg);
    void *free_arg;
};

static int64_t delta_now(void)
{
    return clock_wall_ms() - clock_boot_ms();
}

static void tell(struct clocks *c, int64_t to, const struct tell *what)
{
    cleanup_buf struct buf message = BUF_INIT;
    record_encode(&tell_type, what, &message);
    bus_send(c->daemon->bus, to, BUS_CLOCK, false, message.data, message.len);
}

static void ask(struct clocks *c, int64_t id)
{
    tell(c, id, &(struct tell){.asked_ms = clock_boot_ms()});
}

static struct other *other_of(struct clocks *c, int64_t id)
{
    for (size_t i = 0; i < c->others_n; i++)
        if (c->others[i].id == id)
            return &c->others[i];
    return NULL;
}

/* --- the judgement ---------------------------------------------------------------------------- */

/* "3 days ahead", "40 s behind". */
static void put_offset(int64_t offset_ms, struct buf *out)
{
    int64_t ms = offset_ms < 0 ? -offset_ms : offset_ms;
    const char *side = offset_ms < 0 ? "behind" : "ahead";
    if (ms >= 2LL * DAY_MS)
        buf_printf(out, "%lld days %s", (long long)((ms + DAY_MS / 2) / DAY_MS), side);
    else if (ms >= 2LL * HOUR_MS)
        buf_printf(out, "%lld hours %s", (long long)((ms + HOUR_MS / 2) / HOUR_MS), side);
    else
        buf_printf(out, "%lld s %s", (long long)(ms / 1000), side);
}

static void say(struct clocks *c)
{
    cleanup_buf struct buf text = BUF_INIT;
    if (c->judgement.wrong == c->said)
        return;
    c->said = c->judgement.wrong;
    if (!c->said) {
        log_info("clock", "this machine's clock is right again");
        return;
    }
    put_offset(-c->judgement.reference_ms, &text);
    log_warn("clock", "this machine's clock is %s: set it, by NTP best", text.data);
}

/* We lead with a wrong clock: another voter is to. The next attempt asks another one. */
static void hand_on(struct clocks *c)
{
    struct daemon *d = c->daemon;
    struct standings s;
    standings_read(d, &s);
    c->last_heir = shape_heir(s.all, s.n, d->id, c->last_heir);
    standings_release(&s);
    if (c->last_heir == 0)
        return;
    log_warn("clock", "a member with a wrong clock does not lead: handing on to n%lld",
             (long long)c->last_heir);
    consensus_transfer_to(d->consensus, c->last_heir);
}

static void judge(struct clocks *c)
{
    struct daemon *d = c->daemon;
    int64_t now = clock_boot_ms();
    cleanup_free int64_t *offsets = mem_alloc(c->others_n + 1, sizeof(*offsets));
    size_t n = 0;
    for (size_t i = 0; i < c->others_n; i++)
        if (c->others[i].known)
            offsets[n++] = c->others[i].offset_ms;
    int64_t state_ahead_ms = store_time_ms(d->store) - (now + c->delta_ms);
    clock_judge(offsets, n, state_ahead_ms, &c->judgement);
    d->clock_base_ms = c->delta_ms + c->judgement.reference_ms;
    say(c);
    if (!d->consensus)
        return;
    int64_t leader = consensus_leader(d->consensus);
    if (leader != 0)
        c->leader_ms = now;
    bool alone = now - c->leader_ms >= LEADERLESS_MS;
    consensus_set_reluctant(d->consensus, c->judgement.certain && !alone);
    if (c->judgement.certain && leader == d->id && consensus_is_ready(d->consensus))
        hand_on(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct clocks *c = timer->data;
    int64_t now = clock_boot_ms();
    int64_t delta = delta_now();
    int64_t jump = delta - c->delta_ms;
    c->delta_ms = delta;
    if (jump > JUMP_MS || jump < -JUMP_MS) {
        /* What we knew was by the clock of before. */
        for (size_t i = 0; i < c->others_n; i++)
            c->others[i].offset_ms -= jump;
        c->ask_ms = now;
    }
    if (now >= c->ask_ms) {
        c->ask_ms = now + ASK_MS;
        for (size_t i = 0; i < c->others_n; i++)
            ask(c, c->others[i].id);
    }
    judge(c);
}

/* --- what comes in ---------------------------------------------------------------------------- */

void clocks_on_peer(struct clocks *c, int64_t id, bool up)
{
    struct other *o = other_of(c, id);
    if (!up) {
        if (o)
            *o = c->others[--c->others_n];
        return;
    }
    if (!o) {
        c->others = mem_resize(c->others, c->others_n + 1, sizeof(*c->others));
        c->others[c->others_n++] = (struct other){.id = id};
    }
    ask(c, id);
}

void clocks_on_message(struct clocks *c, int64_t from, const void *data, size_t len)
{
    struct tell t;
    struct err err;
    if (record_decode(&tell_type, data, len, false, &t, &err) < 0) {
        log_warn("bus", "n%lld sent a damaged time: %s", (long long)from, err.msg);
        return;
    }
    if (!t.answer) {
        tell(c, from,
             &(struct tell){.answer = true, .asked_ms = t.asked_ms, .wall_ms = clock_wall_ms()});
        return;
    }
    int64_t now = clock_boot_ms();
    struct other *o = other_of(c, from);
    int64_t offset;
    if (!o || t.asked_ms > now || t.asked_ms < now - ROUND_TRIP_MS ||
        __builtin_sub_overflow(t.wall_ms, now + c->delta_ms, &offset) || offset > OFFSET_MAX_MS ||
        offset < -OFFSET_MAX_MS)
        return;
    o->offset_ms = offset + (now - t.asked_ms) / 2;
    o->known = true;
    judge(c);
}

/* --- what it says ----------------------------------------------------------------------------- */

int64_t clocks_offset_ms(const struct clocks *c, int64_t id)
{
    int64_t clock = 0; /* ours */
    if (!c)
        return 0;
    if (id != c->daemon->id) {
        const struct other *o = NULL;
        for (size_t i = 0; i < c->others_n && !o; i++)
            if (c->others[i].id == id && c->others[i].known)
                o = &c->others[i];
        if (!o)
            return 0;
        clock = o->offset_ms;
    }
    int64_t offset;
    if (__builtin_sub_overflow(clock, c->judgement.reference_ms, &offset))
        return clock;
    return offset > CLOCK_FAR_MS || offset < -CLOCK_FAR_MS ? offset : 0;
}

bool clocks_are_compared(const struct clocks *c)
{
    for (size_t i = 0; i < c->others_n; i++)
        if (c->others[i].known)
            return true;
    return store_count(c->daemon->store, TABLE_NODE) <= 1 ||
           clock_boot_ms() - c->started_ms >= COMPARED_MS;
}

static void warn_of(const struct clocks *c, int64_t id, struct buf *out)
{
    char name[80];
    int64_t offset = clocks_offset_ms(c, id);
    if (offset == 0)
        return;
    daemon_node_name(c->daemon, id, name, sizeof(name));
    buf_printf(out, "the clock of %s is ", name);
    put_offset(offset, out);
    buf_puts(out, ": set it, by NTP best; until then it does not lead\n");
}

void clocks_warn(const struct clocks *c, struct buf *out)
{
    warn_of(c, c->daemon->id, out);
    for (size_t i = 0; i < c->others_n; i++)
        warn_of(c, c->others[i].id, out);
}

/* --- life ------------------------------------------------------------------------------------- */

struct clocks *clocks_new(struct daemon *d)
{
    struct clocks *c = mem_alloc(1, sizeof(*c));
    c->daemon = d;
    c->delta_ms = delta_now();
    d->clock_base_ms = c->delta_ms;
    c->started_ms = c->leader_ms = clock_boot_ms();
    uv_timer_init(&d->loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_timer, TICK_MS, TICK_MS);
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct clocks *c = handle->data;
    void (*on_freed)(void *arg) = c->on_freed;
    void *arg = c->free_arg;
    free(c->others);
    free(c);
    on_freed(arg);
}

void clocks_free(struct clocks *c, void (*on_freed)(void *arg), void *arg)
{
    c->on_freed = on_freed;
    c->free_arg = arg;
    uv_close((uv_handle_t *)&c->timer, on_closed);
}
