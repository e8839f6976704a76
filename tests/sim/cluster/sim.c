/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include "base/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CONVERGE_MS = 120000,
    SETTLE_MS = 5000, /* one that leads from before has found out by then */
    IDLE_MS = 4000,
    LOOK_MS = 100,
};

/* A line on @m for who looks into a failure. */
static void describe(const struct member *m)
{
    static const char *const states[] = {"unavailable", "follower", "candidate", "leader"};
    static const char *const roles[] = {
        [RAFT_STANDBY] = "standby", [RAFT_VOTER] = "voter", [RAFT_SPARE] = "spare"};
    if (!m->running) {
        fprintf(stderr, "n%lld %s\n", (long long)m->id, m->gone ? "gone" : "down");
        return;
    }
    const struct raft *r = &m->d->consensus->raft;
    fprintf(stderr, "n%lld %s of n%lld, term %llu, vote %llu, log to %llu, committed %llu, %s:",
            (long long)m->id, states[r->state], (long long)consensus_leader(m->d->consensus),
            r->current_term, r->voted_for, raft_last_index((struct raft *)(uintptr_t)r),
            r->commit_index, m->d->removed ? "removed" : "member");
    for (unsigned i = 0; i < r->configuration.n; i++)
        fprintf(stderr, " n%llu %s", r->configuration.servers[i].id,
                roles[r->configuration.servers[i].role]);
    fprintf(stderr, "; connected %" PRIx64 "\n", m->up);
}

void sim_violation(const struct sim *s, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fprintf(stderr, "seed %" PRIu64 " at %llu ms: %s\n", s->options.seed, s->now, text);
    for (int id = 1; id <= s->n && s->options.verbose; id++)
        describe(&s->members[id]);
    fflush(stderr);
    sim_clean(getpid());
    _exit(SIM_VIOLATION);
}

static void path_of(pid_t pid, char *out, size_t size)
{
    snprintf(out, size, "%s/wherry-sim-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (int)pid);
}

void sim_clean(pid_t pid)
{
    char path[64];
    struct err err;
    path_of(pid, path, sizeof(path));
    file_remove_tree(path, &err);
}

unsigned sim_below(struct sim *s, unsigned n)
{
    return random_below(&s->seed, n);
}

bool sim_chance(struct sim *s, unsigned percent)
{
    return percent > 0 && sim_below(s, 100) < percent;
}

void sim_trace(struct sim *s, const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t hash = s->stats.trace;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    s->stats.trace = hash;
}

void sim_trace_number(struct sim *s, int64_t number)
{
    sim_trace(s, &number, sizeof(number));
}

static void init_members(struct sim *s)
{
    for (int id = 1; id <= IDS_MAX; id++) {
        struct member *m = &s->members[id];
        m->sim = s;
        m->id = id;
        m->bus.member = m;
        m->inbox_end = &m->inbox;
        snprintf(m->dir, sizeof(m->dir), "%s/%d", s->root, id);
        m->disk = (struct disk){
            .now = &s->now, .seed = &s->seed, .delay_ms = 5, .start = 1, .lanes = true};
        m->agents = agents_new(m);
    }
}

struct sim *sim_new(const struct sim_options *options, int voters)
{
    struct sim *s = mem_alloc(1, sizeof(*s));
    s->options = *options;
    s->seed = (options->seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    s->stats.trace = UINT64_C(0xcbf29ce484222325);
    s->latency_ms = 5;
    s->calm = true;
    s->threshold = 20 + sim_below(s, 300);
    s->trailing = 4 + sim_below(s, s->threshold);
    path_of(getpid(), s->root, sizeof(s->root));
    init_members(s);
    s->checks = checks_new(s);
    s->clients = clients_new(s);
    s->n = 1;
    str_fill(s->members[1].name, sizeof(s->members[1].name), "m1");
    str_fill(s->members[1].address, sizeof(s->members[1].address), "10.0.0.1:7400");
    clock_enter(s, NULL);
    member_start(&s->members[1], true);
    clients_form(s->clients, voters);
    sim_converge(s);
    s->calm = false;
    return s;
}

/* One that was removed, knows it and counts for nothing any more is switched off. */
static void retire(struct sim *s)
{
    struct member *leader = sim_leader(s);
    if (!leader)
        return;
    for (int id = 1; id <= s->n; id++) {
        struct member *m = &s->members[id];
        struct consensus_member members[IDS_MAX];
        size_t n = consensus_members(leader->d->consensus, members, IDS_MAX);
        bool counts = false;
        for (size_t i = 0; i < n; i++)
            counts |= members[i].id == id;
        if (counts || !m->running || !m->d->removed)
            continue;
        member_crash(m, FAULT_KILL);
        m->gone = true;
    }
}

void sim_step(struct sim *s)
{
    s->now++;
    s->stats.steps++;
    bus_step(s);
    for (int id = 1; id <= s->n; id++) {
        struct member *m = &s->members[id];
        if (m->start_at && s->now >= m->start_at && !m->running)
            member_start(m, false);
        member_step(m);
    }
    clients_step(s->clients);
    faults_step(s);
    if (s->now % (raft_time)LOOK_MS == 0)
        retire(s);
}

void sim_heal(struct sim *s)
{
    s->calm = true;
    memset(s->link_until, 0, sizeof(s->link_until));
    s->loss_until = s->doubles_until = s->latency_until = 0;
    for (int id = 1; id <= s->n; id++) {
        struct member *m = &s->members[id];
        m->paused_until = 0;
        m->skew_ms = 0;
        if (m->disk_until)
            m->disk_until = s->now;
        if (m->known && !m->gone && !m->running)
            m->start_at = s->now + 1;
    }
}

void sim_wait_for_leader(struct sim *s)
{
    raft_time settled = s->now + (raft_time)SETTLE_MS, end = s->now + (raft_time)CONVERGE_MS;
    while (s->now < settled || !sim_leader(s)) {
        SIM_CHECK(s, s->now < end, "no leader two minutes after all was mended");
        sim_step(s);
    }
}

void sim_converge(struct sim *s)
{
    raft_time end = s->now + (raft_time)CONVERGE_MS;
    char why[200] = "";
    while (s->now % (raft_time)LOOK_MS != 0 || !sim_has_converged(s, why, sizeof(why))) {
        SIM_CHECK(s, s->now < end, "two minutes after all was mended: %s", why);
        sim_step(s);
    }
    for (int id = 1; id <= s->n; id++)
        if (s->members[id].running)
            clients_check(s->clients, &s->members[id]);
}

void sim_rest(struct sim *s)
{
    int64_t index = store_index(sim_leader(s)->d->store);
    raft_time end = s->now + (raft_time)IDLE_MS;
    while (s->now < end)
        sim_step(s);
    struct member *leader = sim_leader(s);
    SIM_CHECK(s, leader && store_index(leader->d->store) == index,
              "a cluster that is at rest wrote entries after %" PRId64, index);
}

void sim_free(struct sim *s)
{
    for (int id = 1; id <= IDS_MAX; id++) {
        struct member *m = &s->members[id];
        if (m->running)
            member_crash(m, FAULT_KILL);
        disk_free(&m->disk);
        agents_free(m->agents);
    }
    bus_free(s);
    check(clients_waiting(s->clients) == 0);
    clients_free(s->clients);
    checks_free(s->checks);
    clock_enter(NULL, NULL);
    sim_clean(getpid());
    free(s);
}
