/* SPDX-License-Identifier: Apache-2.0 */
#include "node/netpaths.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/api.h"
#include "node/daemon.h"
#include "node/netpath.h"

#include <stdlib.h>

enum {
    ROUND_MS = 1000,
};

struct netpaths {
    struct daemon *daemon;
    struct netprobe *probe;
    struct netpath *list;
    size_t n;
    uint32_t mtu;
    uv_timer_t timer;
    uv_poll_t poll;
    int closing; /* handles that are to be closed yet */
    void (*on_change)(void *arg);
    void *arg;
};

static struct netpath *find(const struct netpaths *paths, uint32_t peer)
{
    for (size_t i = 0; i < paths->n; i++)
        if (paths->list[i].peer == peer)
            return &paths->list[i];
    return NULL;
}

const struct netpath *netpaths_find(const struct netpaths *paths, uint32_t peer)
{
    return paths ? find(paths, peer) : NULL;
}

/* The members that are there now. */
static void read_members(struct netpaths *paths)
{
    struct node *rows;
    size_t rows_n, n = 0;
    store_list(paths->daemon->store, TABLE_NODE, BY_NONE, 0, &rows, &rows_n);
    struct netpath *list = mem_alloc(rows_n, sizeof(*list));
    for (size_t i = 0; i < rows_n; i++) {
        if (rows[i].id == paths->daemon->id || rows[i].witness)
            continue;
        const struct netpath *known = find(paths, (uint32_t)rows[i].id);
        if (known)
            list[n] = *known;
        else
            netpath_init(&list[n], (uint32_t)rows[i].id);
        netpath_set_full(&list[n++], (uint16_t)paths->mtu);
    }
    record_free_list(&node_type, rows, rows_n);
    free(paths->list);
    paths->list = list;
    paths->n = n;
}

/* Say what has become of a way that was @before. */
static void tell(const struct netpaths *paths, const struct netpath *before,
                 const struct netpath *now)
{
    struct node node;
    const char *name = "a member";
    if (before->up == now->up && before->plain == now->plain && before->mtu == now->mtu)
        return;
    bool known = store_get(paths->daemon->store, TABLE_NODE, now->peer, &node) == 0;
    if (known)
        name = node.name;
    if (before->up != now->up)
        log_info("network", "%s %s by the tunnel", name,
                 now->up ? "is reached" : "does not answer");
    if (before->plain != now->plain)
        log_info("network", "packets of containers to %s take %s", name,
                 now->plain ? "plain routes" : "the tunnel: plain routes do not work");
    if (before->mtu != now->mtu)
        log_info("network", "packets to %s may have %u bytes in the tunnel", name,
                 now->mtu ? now->mtu : now->full);
    if (known)
        record_release(&node_type, &node);
}

static void ask(struct netpaths *paths, struct netpath *path, enum netprobe_kind kind, size_t size)
{
    uint16_t number = netpath_sent(path, kind, clock_mono_ns());
    if (netprobe_send(paths->probe, path->peer, kind, number, size) < 0)
        netpath_not_sent(path, kind);
}

static void on_round(uv_timer_t *timer)
{
    struct netpaths *paths = timer->data;
    bool changed = false;
    for (size_t i = 0; i < paths->n; i++) {
        const struct netpath before = paths->list[i];
        changed |= netpath_round(&paths->list[i], clock_wall_ms());
        tell(paths, &before, &paths->list[i]);
    }
    read_members(paths);
    for (size_t i = 0; i < paths->n; i++) {
        struct netpath *path = &paths->list[i];
        ask(paths, path, NETPROBE_TUNNEL, 0);
        ask(paths, path, NETPROBE_PLAIN, netpath_plain_size(path));
        uint16_t size = netpath_size_due(path);
        if (size)
            ask(paths, path, NETPROBE_SIZE, size);
    }
    if (changed)
        paths->on_change(paths->arg);
}

static void on_answers(uv_poll_t *poll, int status, int events)
{
    struct netpaths *paths = poll->data;
    struct netprobe_answer answer;
    bool changed = false;
    (void)status;
    (void)events;
    while (netprobe_receive(paths->probe, &answer)) {
        struct netpath *path = find(paths, answer.peer);
        if (!path)
            continue;
        const struct netpath before = *path;
        changed |= netpath_answered(path, &answer, clock_mono_ns(), clock_wall_ms());
        tell(paths, &before, path);
    }
    if (changed)
        paths->on_change(paths->arg);
}

struct netpaths *netpaths_new(struct daemon *d, void (*on_change)(void *arg), void *arg)
{
    struct netprobe *probe;
    struct err err;
    if (netprobe_open((uint32_t)d->id, &probe, &err) < 0) {
        log_warn("network", "ways to other members are not watched: %s", err.msg);
        return NULL;
    }
    struct netpaths *paths = mem_alloc(1, sizeof(*paths));
    *paths = (struct netpaths){.daemon = d, .probe = probe, .on_change = on_change, .arg = arg};
    uv_timer_init(&d->loop, &paths->timer);
    uv_poll_init(&d->loop, &paths->poll, netprobe_fd(probe));
    paths->timer.data = paths->poll.data = paths;
    uv_poll_start(&paths->poll, UV_READABLE, on_answers);
    uv_timer_start(&paths->timer, on_round, 0, ROUND_MS);
    return paths;
}

static void on_closed(uv_handle_t *handle)
{
    struct netpaths *paths = handle->data;
    if (--paths->closing > 0)
        return;
    netprobe_close(paths->probe);
    free(paths->list);
    free(paths);
}

void netpaths_free(struct netpaths *paths)
{
    if (!paths)
        return;
    paths->closing = 2;
    uv_close((uv_handle_t *)&paths->timer, on_closed);
    uv_close((uv_handle_t *)&paths->poll, on_closed);
}

void netpaths_set_mtu(struct netpaths *paths, uint32_t mtu)
{
    if (paths)
        paths->mtu = mtu;
}

static void describe(const struct netpaths *paths, const struct netpath *path,
                     struct network_way *out)
{
    const struct netpath_way *tunnel = &path->ways[NETPROBE_TUNNEL];
    const struct netpath_way *plain = &path->ways[NETPROBE_PLAIN];
    struct node node;
    *out = (struct network_way){.from = str_copy(paths->daemon->name),
                                .plain = path->plain,
                                .up = path->up,
                                .lost_percent = netpath_loss(tunnel),
                                .rtt_us = (int64_t)(tunnel->rtt_ms * 1000),
                                .plain_lost_percent = netpath_loss(plain),
                                .plain_rtt_us = (int64_t)(plain->rtt_ms * 1000),
                                .mtu = path->mtu ? path->mtu : path->full,
                                .since_ms = path->since_ms};
    if (store_get(paths->daemon->store, TABLE_NODE, path->peer, &node) == 0) {
        out->to = str_copy(node.name);
        out->address = str_copy(node.address);
        record_release(&node_type, &node);
    }
}

void netpaths_describe(const struct netpaths *paths, struct network_status_reply *reply)
{
    size_t n = paths ? paths->n : 0;
    reply->ways = mem_alloc(n, sizeof(*reply->ways));
    for (size_t i = 0; i < n; i++)
        describe(paths, &paths->list[i], &reply->ways[reply->ways_n++]);
}
