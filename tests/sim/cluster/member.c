/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member: what node/daemon.c puts together, less containers, network, sockets and files of its
 * own. Its loop is run when something of it is due, and turns as a daemon's does: timers first,
 * then (in the hook) the disk, messages and the consensus.
 */
#include "sim.h"

#include "base/file.h"
#include "base/log.h"
#include "cluster/bus.h"
#include "cluster/identity.h"
#include "node/core.h"
#include "node/heartbeat.h"
#include "node/job.h"
#include "node/members.h"
#include "node/reconcile.h"
#include "node/report.h"
#include "store/level.h"

#include <stdio.h>

enum {
    CPU_MILLI = 4000,
    LOOP_TURNS_MAX = 64, /* to close */
};

/* --- what the parts of node/ ask their daemon for ----------------------------------------------
 */

bool daemon_is_synced(const struct daemon *d)
{
    return d->heartbeat && heartbeat_is_synced(d->heartbeat);
}

void daemon_node_name(const struct daemon *d, int64_t id, char *out, size_t size)
{
    (void)d;
    snprintf(out, size, "n%lld", (long long)id);
}

void daemon_describe(const struct daemon *d, struct node *ret_node)
{
    *ret_node = (struct node){.name = str_copy(d->name),
                              .address = str_copy(d->address),
                              .cpu_milli = CPU_MILLI,
                              .memory_bytes = INT64_C(1) << 33,
                              .level = LEVEL_KNOWN};
    bytes_set(&ret_node->public_key, identity_public_key(d->identity)->data,
              identity_public_key(d->identity)->len);
}

void daemon_stop(struct daemon *d, int code, const struct err *err)
{
    (void)code, (void)err;
    ((struct member *)d->loop.data)->failed = true;
}

/* --- what happens in the cluster ---------------------------------------------------------------
 */

static void on_watch(void *arg, unsigned tables)
{
    struct member *m = arg;
    if (!m->running || m->ending)
        return;
    core_on_watch(m->d, tables);
    reconcile_on_change(m->d->reconcile, tables);
}

static int on_raft_send(void *arg, int64_t to, bool bulk, const void *data, size_t len)
{
    struct member *m = arg;
    return bus_send(&m->bus, to, BUS_RAFT, bulk, data, len);
}

static void on_leader(void *arg, int64_t leader_id, bool ready)
{
    struct member *m = arg;
    if (!m->running || m->ending)
        return;
    if (ready && !m->ready)
        checks_on_ready(m->sim->checks, m);
    m->ready = ready;
    core_on_leader(m->d, leader_id, ready);
}

static void on_fatal(void *arg, const struct err *err)
{
    struct member *m = arg;
    SIM_CHECK(m->sim, m->disk.fault, "member %" PRId64 " cannot go on: %s", m->id, err->msg);
    m->failed = true;
}

static void on_stopped(void *arg)
{
    ((struct member *)arg)->stopped = true;
}

/* --- jobs: done at once, which the loop hears of later ------------------------------------------
 */

struct finished {
    struct finished *next;
    job_done_cb done;
    void *arg;
};

void jobs_run(struct jobs *jobs, job_work_cb work, job_done_cb done, void *arg)
{
    struct member *m = (struct member *)(void *)jobs;
    struct finished *f = mem_alloc(1, sizeof(*f)), **at = &m->finished;
    work(arg);
    f->done = done;
    f->arg = arg;
    while (*at)
        at = &(*at)->next;
    *at = f;
    member_wake(m);
}

static void finish_jobs(struct member *m)
{
    while (m->finished) {
        struct finished *f = m->finished;
        m->finished = f->next;
        f->done(f->arg);
        free(f);
    }
}

/* --- its loop ----------------------------------------------------------------------------------
 */

static void on_hook(uv_prepare_t *hook)
{
    struct member *m = hook->data;
    struct consensus *c = m->d->consensus;
    consensus_turn(c);
    disk_step(&m->disk);
    bus_deliver(m);
    finish_jobs(m);
    agents_step(m->agents);
    consensus_turn(c);
    if (c->sent_first || c->done.first || c->changes || c->changes_done || c->pending.first)
        member_wake(m);
}

void member_wake(struct member *m)
{
    m->active_until = m->sim->now + 1;
}

/* Its loop's time was brought up to now. */
static bool timer_is_due(const struct member *m)
{
    return uv_backend_timeout(&m->d->loop) == 0;
}

void member_step(struct member *m)
{
    struct sim *s = m->sim;
    if (!m->running || s->now < m->paused_until)
        return;
    clock_enter(s, m);
    uv_update_time(&m->d->loop);
    if (m->inbox || s->now <= m->active_until || disk_is_due(&m->disk) || timer_is_due(m)) {
        uv_run(&m->d->loop, UV_RUN_NOWAIT);
        checks_on_step(s->checks, m);
    }
    clock_enter(s, NULL);
    if (m->failed) {
        member_crash(m, FAULT_KILL);
        m->start_at = s->now + 200 + sim_below(s, 2000);
    }
}

/* --- its life ----------------------------------------------------------------------------------
 */

static struct daemon *make_daemon(struct member *m)
{
    struct daemon *d = mem_alloc(1, sizeof(*d));
    check(uv_loop_init(&d->loop) == 0);
    d->loop.data = m;
    d->name = str_copy(m->name);
    d->address = str_copy(m->address);
    d->data_dir = str_copy(m->dir);
    d->id = m->id;
    d->bus = &m->bus;
    d->identity = (struct identity *)(void *)m;
    d->jobs = (struct jobs *)(void *)m;
    d->store = store_new();
    store_watch(d->store, on_watch, m);
    return d;
}

static void start_consensus(struct member *m, bool bootstrap)
{
    struct sim *s = m->sim;
    struct raft_io io = disk_io(&m->disk);
    struct consensus_options options = {.io = &io, .hazards = s->options.hazards};
    cleanup_free char *dir = str_printf("%s/raft", m->dir);
    struct consensus_config config = {
        .dir = dir,
        .id = m->id,
        .store = m->d->store,
        .bootstrap = bootstrap,
        .snapshot_threshold = s->threshold,
        .snapshot_trailing = s->trailing,
        .send = on_raft_send,
        .on_leader = on_leader,
        .on_fatal = on_fatal,
        .arg = m,
    };
    struct err err;
    if (consensus_start_with(&config, &options, &m->d->consensus, &err) < 0)
        sim_violation(s, "member %" PRId64 " cannot start: %s", m->id, err.msg);
}

static void start_parts(struct member *m)
{
    struct daemon *d = m->d;
    m->peers = 0;
    core_start(d);
    d->reconcile = reconcile_new(d);
    m->running = true;
    members_on_change(d->members);
    on_leader(m, consensus_leader(d->consensus), consensus_is_ready(d->consensus));
    check(uv_prepare_init(&d->loop, &m->hook) == 0);
    m->hook.data = m;
    uv_prepare_start(&m->hook, on_hook);
}

void member_start(struct member *m, bool bootstrap)
{
    struct sim *s = m->sim;
    struct err err;
    cleanup_free char *identity = str_printf("%s/identity", m->dir);
    check(!m->d && !m->gone);
    check(file_mkdirs(identity, 0700, &err) == 0);
    bus_on_start(m);
    clock_enter(s, m);
    m->known = true;
    m->key = (struct bytes){(unsigned char *)m->name, strlen(m->name)};
    m->dark = m->failed = m->stopped = m->ready = m->ending = false;
    m->start_at = m->paused_until = 0;
    m->disk.crashed = false;
    m->disk.fault = 0;
    m->d = make_daemon(m);
    start_consensus(m, bootstrap);
    start_parts(m);
    agents_on_start(m->agents);
    sim_trace_number(s, m->id);
    log_debug("node", "starts at index %lld", (long long)store_index(m->d->store));
    clock_enter(s, NULL);
    member_wake(m);
}

static void close_loop(struct daemon *d)
{
    int turns = 0;
    while (uv_run(&d->loop, UV_RUN_NOWAIT) != 0)
        check(turns++ < LOOP_TURNS_MAX);
    check(uv_loop_close(&d->loop) == 0);
}

static void free_daemon(struct daemon *d)
{
    store_free(d->store);
    free(d->reconcile);
    free(d->name);
    free(d->address);
    free(d->data_dir);
    free(d);
}

/* Closed in the order in which node/daemon.c does. */
static void tear_down(struct member *m)
{
    struct daemon *d = m->d;
    d->stopping = true;
    report_stop(d->report);
    consensus_stop(d->consensus, on_stopped, m);
    while (!m->stopped)
        consensus_turn(d->consensus);
    core_close(d);
    uv_close((uv_handle_t *)&m->hook, NULL);
    close_loop(d);
    finish_jobs(m);
    core_free(d);
    free_daemon(d);
    m->d = NULL;
}

void member_crash(struct member *m, enum fault mode)
{
    struct sim *s = m->sim;
    sim_trace_number(s, -m->id);
    if (mode == FAULT_KILL)
        disk_crash(&m->disk, UINT32_MAX);
    else if (mode != FAULT_TORN || !disk_tear(&m->disk))
        disk_crash(&m->disk, sim_below(s, 3));
    m->d->consensus->failed = m->d->consensus->failure_told = true; /* it saves nothing more */
    m->ending = true;
    m->dark = mode != FAULT_KILL && sim_chance(s, 50);
    clock_enter(s, m);
    agents_on_crash(m->agents, mode != FAULT_KILL);
    tear_down(m);
    clock_enter(s, NULL);
    m->running = m->ready = false;
    bus_on_crash(m);
}

struct member *sim_leader(struct sim *s)
{
    struct member *leader = NULL;
    for (int id = 1; id <= s->n; id++) {
        struct member *m = &s->members[id];
        if (m->running && m->ready &&
            (!leader || consensus_term(m->d->consensus) > consensus_term(leader->d->consensus)))
            leader = m;
    }
    return leader;
}

int sim_count_up(const struct sim *s)
{
    int up = 0;
    for (int id = 1; id <= s->n; id++)
        up += s->members[id].running;
    return up;
}

int sim_count_members(const struct sim *s)
{
    int n = 0;
    for (int id = 1; id <= s->n; id++)
        n += s->members[id].known && !s->members[id].gone;
    return n;
}
