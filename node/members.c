/* SPDX-License-Identifier: Apache-2.0 */
/* Bus peers and raft's configuration follow the table of nodes. */
#include "node/members.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/propose.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEER_MS = 200,
    VOTERS_MAX = 5,
    MEMBERS_MAX = 256,
};

struct members {
    struct daemon *daemon;
    uv_timer_t timer;
    bool changing;   /* a change of raft's configuration is under way */
    bool describing; /* our own row is being brought up to date */
    void (*on_freed)(void *arg);
    void *free_arg;
};

/* A member as raft and the store see it. */
struct standing {
    int64_t id;
    bool in_store;
    bool up;
    bool in_raft;
    enum consensus_role role;
};

static size_t read_standings(struct daemon *d, struct standing *out, size_t max)
{
    struct node *nodes;
    size_t nodes_n;
    size_t n = 0;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &nodes_n);
    for (size_t i = 0; i < nodes_n && n < max; i++)
        out[n++] = (struct standing){
            .id = nodes[i].id, .in_store = true, .up = nodes[i].status == NODE_UP};
    record_free_list(&node_type, nodes, nodes_n);
    struct consensus_member raft[MEMBERS_MAX];
    size_t raft_n = consensus_members(d->consensus, raft, MEMBERS_MAX);
    for (size_t i = 0; i < raft_n && i < MEMBERS_MAX; i++) {
        size_t k = 0;
        while (k < n && out[k].id != raft[i].id)
            k++;
        if (k == n && n < max)
            out[n++] = (struct standing){.id = raft[i].id};
        if (k < n) {
            out[k].in_raft = true;
            out[k].role = raft[i].role;
        }
    }
    return n;
}

static void on_configured(void *arg, int code)
{
    struct members *m = arg;
    m->changing = false;
    if (code != 0 && code != ERR_CANCELED)
        log_warn("members", "a change of raft's configuration failed: %s", err_text(code));
}

static void assign(struct members *m, int64_t id, enum consensus_role role)
{
    log_info("members", "n%lld becomes a %s", (long long)id,
             role == ROLE_VOTER ? "voter" : "standby");
    m->changing = true;
    consensus_assign(m->daemon->consensus, id, role, on_configured, m);
}

/* The first member that @pick likes, or NULL. */
static const struct standing *find(const struct standing *s, size_t n, int64_t self,
                                   bool (*pick)(const struct standing *, int64_t self))
{
    for (size_t i = 0; i < n; i++)
        if (pick(&s[i], self))
            return &s[i];
    return NULL;
}

static bool is_gone(const struct standing *s, int64_t self)
{
    return s->in_raft && !s->in_store && s->id != self;
}

static bool is_new(const struct standing *s, int64_t self)
{
    (void)self;
    return s->in_store && !s->in_raft;
}

static bool is_idle_spare(const struct standing *s, int64_t self)
{
    (void)self;
    return s->in_store && s->in_raft && s->role == ROLE_SPARE;
}

static bool may_be_promoted(const struct standing *s, int64_t self)
{
    (void)self;
    return s->in_store && s->in_raft && s->role == ROLE_STANDBY && s->up;
}

static bool is_down_voter(const struct standing *s, int64_t self)
{
    return s->in_raft && s->role == ROLE_VOTER && !s->up && s->id != self;
}

static bool is_other_voter(const struct standing *s, int64_t self)
{
    return s->in_raft && s->role == ROLE_VOTER && s->id != self;
}

/* One step from raft's configuration towards the table of nodes. */
static void steer(struct members *m)
{
    struct daemon *d = m->daemon;
    struct standing all[MEMBERS_MAX];
    size_t n = read_standings(d, all, MEMBERS_MAX);
    const struct standing *s = find(all, n, d->id, is_gone);
    if (s) {
        log_info("members", "n%lld leaves", (long long)s->id);
        m->changing = true;
        consensus_remove(d->consensus, s->id, on_configured, m);
        return;
    }
    s = find(all, n, d->id, is_new);
    if (s) {
        m->changing = true;
        consensus_add(d->consensus, s->id, on_configured, m);
        return;
    }
    s = find(all, n, d->id, is_idle_spare);
    if (s) {
        assign(m, s->id, ROLE_STANDBY);
        return;
    }
    size_t members = 0, voters = 0, voters_up = 0;
    for (size_t i = 0; i < n; i++) {
        bool voter = all[i].in_raft && all[i].role == ROLE_VOTER;
        members += all[i].in_store;
        voters += voter;
        voters_up += voter && (all[i].up || all[i].id == d->id);
    }
    size_t target = members < VOTERS_MAX ? members : VOTERS_MAX;
    target -= target % 2 == 0 && target > 0;
    if (voters_up < target && (s = find(all, n, d->id, may_be_promoted)))
        assign(m, s->id, ROLE_VOTER);
    else if (voters > target && ((s = find(all, n, d->id, is_down_voter)) ||
                                 (s = find(all, n, d->id, is_other_voter))))
        assign(m, s->id, ROLE_STANDBY);
}

static void on_described(void *arg, const struct change_result *result)
{
    struct members *m = arg;
    m->describing = false;
    if (result->err.code != 0 && result->err.code != ERR_CANCELED)
        log_warn("members", "our description was not written: %s", result->err.msg);
}

/* Keep our own row true: address, labels, capacity, version. */
static void describe(struct members *m)
{
    struct daemon *d = m->daemon;
    struct node row;
    if (m->describing || !heartbeat_is_synced(d->heartbeat) ||
        store_get(d->store, TABLE_NODE, d->id, &row) < 0)
        return;
    struct change_node_update change = {.node_id = d->id, .set_self = true};
    daemon_describe(d, &change.node);
    struct node merged;
    record_copy(&node_type, &change.node, &merged);
    /* What is not ours to say. */
    merged.id = row.id;
    merged.availability = row.availability;
    merged.status = row.status;
    merged.status_ms = row.status_ms;
    merged.joined_ms = row.joined_ms;
    merged.created_index = row.created_index;
    merged.modified_index = row.modified_index;
    if (!record_equal(&node_type, &merged, &row)) {
        m->describing = true;
        propose_change(d->propose, CHANGE_NODE_UPDATE, &change, NULL, PROPOSE_TIMEOUT_MS,
                       on_described, m);
    }
    record_release(&node_type, &merged);
    record_release(&node_type, &change.node);
    record_release(&node_type, &row);
}

static void on_timer(uv_timer_t *timer)
{
    struct members *m = timer->data;
    if (consensus_is_ready(m->daemon->consensus) && !m->changing)
        steer(m);
}

struct members *members_new(struct daemon *d)
{
    struct members *m = mem_alloc(1, sizeof(*m));
    m->daemon = d;
    uv_timer_init(&d->loop, &m->timer);
    m->timer.data = m;
    uv_timer_start(&m->timer, on_timer, STEER_MS, STEER_MS);
    return m;
}

static void on_closed(uv_handle_t *handle)
{
    struct members *m = handle->data;
    void (*on_freed)(void *arg) = m->on_freed;
    void *arg = m->free_arg;
    free(m);
    on_freed(arg);
}

void members_free(struct members *m, void (*on_freed)(void *arg), void *arg)
{
    m->on_freed = on_freed;
    m->free_arg = arg;
    uv_close((uv_handle_t *)&m->timer, on_closed);
}

void members_on_change(struct members *m)
{
    struct daemon *d = m->daemon;
    struct node *nodes;
    size_t n;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    struct bus_peer *peers = mem_alloc(n, sizeof(*peers));
    size_t peers_n = 0;
    bool there = false;
    for (size_t i = 0; i < n; i++) {
        there |= nodes[i].id == d->id;
        if (nodes[i].id != d->id)
            peers[peers_n++] = (struct bus_peer){
                .id = nodes[i].id, .address = nodes[i].address, .public_key = nodes[i].public_key};
    }
    /* Until the state that has our own row arrived, the peers of the join (or of the last run) are
     * the better list. */
    if (there || heartbeat_is_synced(d->heartbeat))
        bus_set_peers(d->bus, d->id, peers, peers_n);
    free(peers);
    record_free_list(&node_type, nodes, n);
    if (!there && heartbeat_is_synced(d->heartbeat))
        log_warn("members", "this machine was removed from the cluster");
    describe(m);
}
