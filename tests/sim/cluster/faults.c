/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong: one thing after the other, at random, most of it for a while only. */
#include "sim.h"

#include "base/log.h"

const char *const fault_names[FAULT_MAX] = {
    [FAULT_KILL] = "kills",
    [FAULT_POWER] = "power cuts",
    [FAULT_TORN] = "torn writes",
    [FAULT_PAUSE] = "pauses",
    [FAULT_CUT] = "cut links",
    [FAULT_ONE_WAY] = "links cut one way",
    [FAULT_ISOLATE] = "members cut off",
    [FAULT_SPLIT] = "splits",
    [FAULT_LOSS] = "times of loss",
    [FAULT_DOUBLES] = "times of doubles",
    [FAULT_DELAY] = "times of delay",
    [FAULT_RESET] = "connections reset",
    [FAULT_SLOW_DISK] = "slow disks",
    [FAULT_STUCK_DISK] = "stuck disks",
    [FAULT_FULL_DISK] = "full disks",
    [FAULT_CLOCK] = "clocks set",
    [FAULT_TRANSFER] = "handed-over leaderships",
};

/* How often each comes, of 100. */
static const unsigned char weights[FAULT_MAX] = {
    [FAULT_KILL] = 10,     [FAULT_POWER] = 8,      [FAULT_TORN] = 8,      [FAULT_PAUSE] = 10,
    [FAULT_CUT] = 6,       [FAULT_ONE_WAY] = 6,    [FAULT_ISOLATE] = 6,   [FAULT_SPLIT] = 4,
    [FAULT_LOSS] = 4,      [FAULT_DOUBLES] = 4,    [FAULT_DELAY] = 4,     [FAULT_RESET] = 12,
    [FAULT_SLOW_DISK] = 6, [FAULT_STUCK_DISK] = 3, [FAULT_FULL_DISK] = 3, [FAULT_CLOCK] = 2,
    [FAULT_TRANSFER] = 4,
};

static raft_time in(struct sim *s, unsigned least, unsigned most)
{
    return s->now + least + sim_below(s, most - least + 1);
}

static void cut(struct sim *s, int64_t from, int64_t to, enum link_state state, raft_time until)
{
    if (from == to)
        return;
    s->links[from][to] = state;
    s->link_since[from][to] = s->now;
    s->link_until[from][to] = until;
}

static void cut_both(struct sim *s, int64_t a, int64_t b, enum link_state state, raft_time until)
{
    cut(s, a, b, state, until);
    cut(s, b, a, state, until);
    if (state == LINK_REFUSED && a != b)
        bus_reset(s, a, b);
}

static enum link_state some_state(struct sim *s)
{
    return sim_chance(s, 50) ? LINK_SILENT : LINK_REFUSED;
}

static void split(struct sim *s)
{
    uint64_t side = random_next(&s->seed);
    raft_time until = in(s, 200, 6000);
    enum link_state state = some_state(s);
    for (int a = 1; a <= s->n; a++)
        for (int b = a + 1; b <= s->n; b++)
            if ((side >> a & 1) != (side >> b & 1))
                cut_both(s, a, b, state, until);
}

static void isolate(struct sim *s, struct member *m)
{
    raft_time until = in(s, 200, 8000);
    enum link_state state = some_state(s);
    for (int id = 1; id <= s->n; id++)
        cut_both(s, m->id, id, state, until);
}

static bool crash(struct sim *s, struct member *m, enum fault how)
{
    if (!m->running)
        return false;
    member_crash(m, how);
    m->start_at = sim_chance(s, 40) ? in(s, 20, 300) : in(s, 300, 6000);
    return true;
}

static bool spoil_disk(struct sim *s, struct member *m, enum fault how)
{
    m->disk_until = in(s, 300, 4000);
    if (how == FAULT_SLOW_DISK)
        m->disk.delay_ms = 20 + sim_below(s, 300);
    else if (how == FAULT_STUCK_DISK)
        m->disk.least_delay_ms = 500 + sim_below(s, 4000);
    else if (m->running)
        m->disk.fault = RAFT_NOSPACE;
    return true;
}

static bool spoil_network(struct sim *s, enum fault how)
{
    raft_time until = in(s, 200, 3000);
    if (how == FAULT_LOSS) {
        s->loss_percent = 1 + sim_below(s, 40);
        s->loss_until = until;
    } else if (how == FAULT_DOUBLES) {
        s->doubles_percent = 1 + sim_below(s, 40);
        s->doubles_until = until;
    } else {
        s->latency_ms = 20 + sim_below(s, 200);
        s->latency_until = until;
    }
    return true;
}

/* Do it; false when it would be none now. */
static bool inject(struct sim *s, enum fault what)
{
    struct member *m = &s->members[1 + sim_below(s, (unsigned)s->n)];
    struct member *other = &s->members[1 + sim_below(s, (unsigned)s->n)];
    struct member *leader = sim_leader(s);
    if (leader && sim_chance(s, 25))
        m = leader;
    if (!m->known || m->gone)
        return false;
    switch (what) {
    case FAULT_KILL:
    case FAULT_POWER:
    case FAULT_TORN:
        return crash(s, m, what);
    case FAULT_PAUSE:
        m->paused_until = in(s, 20, 4000);
        return m->running;
    case FAULT_CUT:
        cut_both(s, m->id, other->id, some_state(s), in(s, 100, 5000));
        return m != other;
    case FAULT_ONE_WAY:
        cut(s, m->id, other->id, LINK_SILENT, in(s, 100, 5000));
        return m != other;
    case FAULT_ISOLATE:
        isolate(s, m);
        return true;
    case FAULT_SPLIT:
        split(s);
        return true;
    case FAULT_LOSS:
    case FAULT_DOUBLES:
    case FAULT_DELAY:
        return spoil_network(s, what);
    case FAULT_RESET:
        if (m == other || !m->running || !other->running)
            return false;
        bus_reset(s, m->id, other->id);
        return true;
    case FAULT_SLOW_DISK:
    case FAULT_STUCK_DISK:
    case FAULT_FULL_DISK:
        return spoil_disk(s, m, what);
    case FAULT_CLOCK:
        m->skew_ms = (int64_t)sim_below(s, 10000) - 5000;
        return true;
    case FAULT_TRANSFER:
        if (!m->running || !m->ready || s->now < m->paused_until)
            return false;
        clock_enter(s, m);
        consensus_transfer(m->d->consensus);
        clock_enter(s, NULL);
        member_wake(m);
        return true;
    case FAULT_MAX:
        break;
    }
    return false;
}

/* What was to last until now is over. */
static void end_faults(struct sim *s)
{
    if (s->now >= s->loss_until)
        s->loss_percent = 0;
    if (s->now >= s->doubles_until)
        s->doubles_percent = 0;
    if (s->now >= s->latency_until)
        s->latency_ms = 5;
    for (int id = 1; id <= s->n; id++) {
        struct member *m = &s->members[id];
        if (m->disk_until && s->now >= m->disk_until) {
            m->disk_until = 0;
            m->disk.delay_ms = 5;
            m->disk.least_delay_ms = 0;
            m->disk.fault = 0;
        }
        for (int to = 1; to <= s->n; to++)
            if (s->now >= s->link_until[id][to])
                s->links[id][to] = LINK_OPEN;
    }
}

static enum fault draw(struct sim *s)
{
    unsigned at = sim_below(s, 100);
    enum fault what = 0;
    while (at >= weights[what])
        at -= weights[what++];
    return what;
}

void faults_step(struct sim *s)
{
    end_faults(s);
    if (s->calm || s->now < s->next_fault)
        return;
    s->next_fault = s->now + 1 + sim_below(s, 2 * s->options.fault_ms);
    enum fault what = draw(s);
    if (inject(s, what)) {
        s->stats.faults[what]++;
        sim_trace_number(s, (int64_t)what);
        log_debug("fault", "%s", fault_names[what]);
    }
}
