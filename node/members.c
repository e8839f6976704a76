/* SPDX-License-Identifier: Apache-2.0 */
/* Bus peers and raft's configuration follow the table of nodes. */
#include "node/members.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/addresses.h"
#include "node/daemon.h"
#include "node/expelled.h"
#include "node/heartbeat.h"
#include "node/introduce.h"
#include "node/leave.h"
#include "node/level.h"
#include "node/propose.h"
#include "node/reconcile.h"
#include "node/recovered.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEER_MS = 200,
    STEER_RETRY_MS = 1000, /* after a change that failed */
    GOING_MS = 3000,       /* one that goes has gone from the table by then, or will not */
    SULK_MS = 30000,       /* a member that could not get its role is left alone so long */
    DESCRIBE_RETRY_MS = 2000,
    LEAVE_MS = 2000, /* at most, in which a leader that was removed hands on */
    MEMBERS_MAX = 256,
};

struct members {
    struct daemon *daemon;
    uv_timer_t timer;
    bool changing;       /* a change of raft's configuration is under way */
    int64_t going_ms;    /* boot time until which one that goes is waited for, 0: none */
    int64_t assigning;   /* whose role is being changed, 0: none */
    int64_t steer_ms;    /* boot time of the next step at the earliest */
    int64_t sulking;     /* the member that could not get its role last */
    int64_t sulk_ms;     /* until then */
    bool describe_again; /* it became another while it was written */
    bool described;      /* our own row is as it should be: only the level changes it */
    int described_level; /* the cluster's, when that was found */
    bool describing;     /* it is being brought up to date */
    int64_t describe_ms; /* boot time of the next attempt */
    bool was_there;      /* the state had our row */
    struct node *nodes;  /* the members as last given to the bus */
    size_t nodes_n;
    struct expelled *expelled;
    int64_t handing;  /* the leader that was removed last */
    int64_t leave_ms; /* boot time at which it is cut off at the latest; 0: there is none */
    void (*on_freed)(void *arg);
    void *free_arg;
};

void standings_read(struct daemon *d, struct standings *ret)
{
    struct consensus_member raft[MEMBERS_MAX];
    size_t raft_n = consensus_members(d->consensus, raft, MEMBERS_MAX);
    raft_n = raft_n < MEMBERS_MAX ? raft_n : MEMBERS_MAX;
    struct cluster cluster = {0};
    bool known = store_get(d->store, TABLE_CLUSTER, 1, &cluster) == 0;
    const char *spread = str_or_empty(cluster.spread);
    *ret = (struct standings){0};
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &ret->nodes, &ret->nodes_n);
    ret->all = mem_alloc(ret->nodes_n + raft_n, sizeof(*ret->all));
    for (size_t i = 0; i < ret->nodes_n; i++) {
        const struct node *node = &ret->nodes[i];
        if (node->cut_off)
            continue; /* its log is another one's */
        ret->all[ret->n++] =
            (struct standing){.id = node->id,
                              .in_store = true,
                              .up = node->status == NODE_UP,
                              .witness = node->witness,
                              .place = pair_get(node->labels, node->labels_n, spread)};
    }
    for (size_t i = 0; i < raft_n; i++) {
        size_t k = 0;
        while (k < ret->n && ret->all[k].id != raft[i].id)
            k++;
        if (k == ret->n)
            ret->all[ret->n++] = (struct standing){.id = raft[i].id};
        ret->all[k].in_raft = true;
        ret->all[k].role = raft[i].role;
    }
    if (known)
        record_release(&cluster_type, &cluster);
}

void standings_release(struct standings *s)
{
    free(s->all);
    record_free_list(&node_type, s->nodes, s->nodes_n);
    *s = (struct standings){0};
}

static void on_configured(void *arg, int code)
{
    struct members *m = arg;
    m->changing = false;
    if (code != 0) {
        m->steer_ms = clock_boot_ms() + STEER_RETRY_MS;
        if (m->assigning) {
            m->sulking = m->assigning;
            m->sulk_ms = clock_boot_ms() + SULK_MS;
        }
    }
    if (code != 0 && code != ERR_CANCELED && code != ERR_NOTLEADER)
        log_warn("members", "a change of raft's configuration%s failed: %s",
                 m->assigning ? " (a role)" : "", err_text(code));
    m->assigning = 0;
}

static void assign(struct members *m, int64_t id, enum consensus_role role)
{
    log_info("members", "n%lld becomes a %s", (long long)id,
             role == ROLE_VOTER ? "voter" : "standby");
    m->changing = true;
    m->assigning = id;
    consensus_assign(m->daemon->consensus, id, role, on_configured, m);
}

/* True when raft's configuration has the members that the table has. */
static bool follows(const struct standings *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].in_store != s->all[i].in_raft)
            return false;
    return true;
}

/* One step from raft's configuration towards the table of nodes. */
static void steer(struct members *m)
{
    struct daemon *d = m->daemon;
    struct standings s;
    standings_read(d, &s);
    for (size_t i = 0; i < s.n; i++)
        s.all[i].sulks = s.all[i].id == m->sulking && clock_boot_ms() < m->sulk_ms;
    if (!follows(&s)) /* whoever goes is not in the table any more */
        m->going_ms = 0;
    struct shape_step next = shape_next(s.all, s.n, d->id, d->removed || leave_is_going(d));
    standings_release(&s);
    switch (next.kind) {
    case SHAPE_STAY:
        break;
    case SHAPE_ADD:
        m->changing = true;
        consensus_add(d->consensus, next.id, on_configured, m);
        break;
    case SHAPE_REMOVE:
        if (next.id > 0)
            log_info("members", "n%lld leaves", (long long)next.id);
        else
            log_info("members", "raft's member %lld leaves: its log is no more",
                     (long long)-next.id);
        m->changing = true;
        consensus_remove(d->consensus, next.id, on_configured, m);
        break;
    case SHAPE_ASSIGN:
        assign(m, next.id, next.role);
        break;
    case SHAPE_TRANSFER:
        m->steer_ms = clock_boot_ms() + STEER_RETRY_MS;
        consensus_transfer_to(d->consensus, next.id);
        break;
    }
}

static void on_described(void *arg, const struct change_result *result)
{
    struct members *m = arg;
    m->describing = false;
    m->described = result->err.code == 0 && !m->describe_again;
    m->describe_again = false;
    m->describe_ms = clock_boot_ms() + DESCRIBE_RETRY_MS;
    if (result->err.code != 0 && result->err.code != ERR_CANCELED)
        log_warn("members", "our description was not written: %s", result->err.msg);
}

/* Keep our own row true: address, labels, capacity, version. */
static void describe(struct members *m)
{
    struct daemon *d = m->daemon;
    struct node row;
    int level = store_level(d->store);
    if ((m->described && m->described_level == level) || m->describing ||
        clock_boot_ms() < m->describe_ms || !heartbeat_is_synced(d->heartbeat) ||
        store_get(d->store, TABLE_NODE, d->id, &row) < 0)
        return;
    struct change_node_update change = {.node_id = d->id, .set_self = true};
    daemon_describe(d, &change.node);
    struct node merged;
    record_copy(&node_type, &change.node, &merged);
    level_lower(d, &merged);
    /* What is not ours to say. */
    merged.id = row.id;
    if (!str_equal(merged.name, row.name)) {
        log_warn("members", "this machine joined as '%s' and keeps that name, not '%s'", row.name,
                 merged.name);
        free(merged.name);
        merged.name = str_copy(row.name);
    }
    merged.cut_off = row.cut_off;
    merged.raft_id = row.raft_id;
    merged.availability = row.availability;
    merged.status = row.status;
    merged.status_ms = row.status_ms;
    merged.joined_ms = row.joined_ms;
    merged.created_index = row.created_index;
    merged.modified_index = row.modified_index;
    m->described = record_equal(&node_type, &merged, &row);
    m->described_level = level;
    if (!m->described) {
        m->describing = true;
        propose_change(d->propose, CHANGE_NODE_UPDATE, &change, NULL, PROPOSE_TIMEOUT_MS,
                       on_described, m);
    }
    record_release(&node_type, &merged);
    record_release(&node_type, &change.node);
    record_release(&node_type, &row);
}

void members_describe(struct members *m)
{
    m->described = false;
    m->describe_again = m->describing;
    m->describe_ms = 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct members *m = timer->data;
    int64_t now = clock_boot_ms();
    if (m->leave_ms)
        members_on_change(m); /* it has handed on, or its time is over */
    if (!m->described || m->described_level != store_level(m->daemon->store))
        describe(m);
    expelled_step(m->expelled, now);
    introduce_step(m->daemon->introduce, now);
    if (consensus_is_ready(m->daemon->consensus) && recovered_step(m->daemon) && !m->changing &&
        now >= m->steer_ms)
        steer(m);
    if (consensus_is_ready(m->daemon->consensus))
        level_step(m->daemon);
}

#define REJOIN "to use it again stop this daemon, delete %s and join anew"

static char *removed_path(const struct daemon *d)
{
    return str_printf("%s/identity/removed", d->data_dir);
}

struct members *members_new(struct daemon *d)
{
    struct members *m = mem_alloc(1, sizeof(*m));
    cleanup_free char *path = removed_path(d);
    m->daemon = d;
    m->expelled = expelled_new(d);
    d->removed = file_exists(path);
    if (d->removed)
        log_error("members", "this machine was removed from the cluster; " REJOIN, d->data_dir);
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
    record_free_list(&node_type, m->nodes, m->nodes_n);
    expelled_free(m->expelled);
    free(m);
    on_freed(arg);
}

void members_free(struct members *m, void (*on_freed)(void *arg), void *arg)
{
    m->on_freed = on_freed;
    m->free_arg = arg;
    uv_close((uv_handle_t *)&m->timer, on_closed);
}

static bool has_node(const struct node *nodes, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].id == id)
            return true;
    return false;
}

/* May the node that was removed stay on the bus a moment? Only where raft would stand still without
 * it: when it led, until it has handed on and another one has taken it out of raft's configuration,
 * and when it is ourselves. */
static bool may_hand_on(struct members *m, const struct node *removed)
{
    struct daemon *d = m->daemon;
    if (d->removed)
        return true;
    if (removed->id == consensus_leader(d->consensus))
        m->handing = removed->id;
    struct consensus_member raft[MEMBERS_MAX];
    size_t n = consensus_members(d->consensus, raft, MEMBERS_MAX);
    for (size_t i = 0; i < n && i < MEMBERS_MAX && removed->id == m->handing; i++)
        if (raft[i].id == removed->id)
            return true;
    return false;
}

/* Add to the @n of *@nodes those of m->nodes that are not among them and hand on leadership. */
static size_t add_leaving(struct members *m, struct node **nodes, size_t n)
{
    *nodes = mem_resize(*nodes, n + m->nodes_n, sizeof(**nodes));
    size_t all = n;
    for (size_t i = 0; i < m->nodes_n; i++)
        if (!has_node(*nodes, n, m->nodes[i].id) && may_hand_on(m, &m->nodes[i]))
            record_copy(&node_type, &m->nodes[i], &(*nodes)[all++]);
    return all;
}

/* Give the bus @nodes, which are taken over: those that are gone are cut off at once, and learn of
 * it by asking (expelled.h). */
static void set_peers(struct members *m, struct node *nodes, size_t n)
{
    int64_t now = clock_boot_ms();
    bool over = m->leave_ms && now >= m->leave_ms;
    size_t all = over ? n : add_leaving(m, &nodes, n);
    m->leave_ms = all == n ? 0 : m->leave_ms ? m->leave_ms : now + LEAVE_MS;
    addresses_set_members(m->daemon->addresses, nodes, all);
    record_free_list(&node_type, m->nodes, m->nodes_n);
    m->nodes = nodes;
    m->nodes_n = all;
}

bool members_is_locked_out(const struct members *m, int64_t id)
{
    struct node node;
    if (!m->leave_ms || m->daemon->removed)
        return false;
    if (store_get(m->daemon->store, TABLE_NODE, id, &node) < 0)
        return true;
    record_release(&node_type, &node);
    return false;
}

/* Our row is gone: what the others do next is shut us out. Our containers end. */
static void note_removed(struct daemon *d)
{
    struct err err;
    cleanup_free char *path = removed_path(d);
    d->removed = true;
    if (!leave_is_going(d))
        log_error(
            "members",
            "this machine was removed from the cluster: its containers end; after that, " REJOIN,
            d->data_dir);
    if (file_write(path, "", 0, 0600, &err) < 0)
        log_warn("members", "%s", err.msg);
}

void members_on_expelled(struct members *m)
{
    struct daemon *d = m->daemon;
    if (d->removed)
        return;
    note_removed(d);
    members_on_change(m);
    if (!d->witness)
        reconcile_on_change(d->reconcile, 1U << TABLE_TASK);
}

const struct node *members_nodes(const struct members *m, size_t *ret_n)
{
    *ret_n = m->nodes_n;
    return m->nodes;
}

static void set_raft_ids(struct daemon *d, const struct node *nodes, size_t n)
{
    cleanup_free struct consensus_ids *ids = mem_alloc(n + 1, sizeof(*ids));
    for (size_t i = 0; i < n; i++)
        ids[i] = (struct consensus_ids){.node_id = nodes[i].id, .raft_id = nodes[i].raft_id};
    consensus_set_ids(d->consensus, ids, n);
}

int members_check_going(struct members *m, const struct change *change, struct err *err)
{
    if (change->kind != CHANGE_NODE_REMOVE && change->kind != CHANGE_NODE_RENEW)
        return 0;
    struct standings s;
    standings_read(m->daemon, &s);
    bool may = follows(&s) && clock_boot_ms() >= m->going_ms;
    standings_release(&s);
    if (!may)
        return err_set(err, ERR_BUSY,
                       "another member comes or goes at this moment: try again when 'wherry node "
                       "ls' shows it done");
    m->going_ms = clock_boot_ms() + GOING_MS;
    return 0;
}

void members_on_change(struct members *m)
{
    struct daemon *d = m->daemon;
    struct node *nodes;
    size_t n;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    set_raft_ids(d, nodes, n);
    bool there = has_node(nodes, n, d->id);
    if (!there && !d->removed && n > 0 && (m->was_there || heartbeat_is_synced(d->heartbeat)))
        note_removed(d);
    m->was_there |= there;
    if (d->removed) {
        record_free_list(&node_type, nodes, n);
        set_peers(m, NULL, 0);
    } else if (there) {
        addresses_keep(d->addresses, nodes, n);
        set_peers(m, nodes, n);
    } else {
        /* Until the state that has our row arrives, the peers of the file are the better list. */
        record_free_list(&node_type, nodes, n);
    }
    describe(m);
}
