/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/bus_internal.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/identity.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKLOG = 128,
    HOSTILE_EVERY_MS = 1000,
};

/* --- time ---------------------------------------------------------------------------------- */

int64_t bus_now(const struct bus *bus)
{
    return (int64_t)uv_now(bus->config.loop);
}

void bus_earlier(int64_t *next_ms, int64_t at_ms)
{
    if (at_ms < *next_ms)
        *next_ms = at_ms;
}

static void on_timer(uv_timer_t *timer);

/* Work off all that is due; returns when the next is, INT64_MAX for never. */
static int64_t work_off(struct bus *bus)
{
    int64_t next_ms = INT64_MAX;
    join_check_due(bus, &next_ms);
    connect_check_due(bus, &next_ms);
    vouch_check_due(bus, &next_ms);
    peer_dial_due(bus, &next_ms);
    /* Closed ones stay in the list until libuv lets them go, later. */
    for (struct conn *c = bus->conns; c; c = c->next) {
        if (c->deadline_ms == 0)
            continue;
        if (c->deadline_ms <= bus_now(bus))
            conn_close(c, c->state == CONN_LAME ? "it was replaced" : "it took too long");
        else
            bus_earlier(&next_ms, c->deadline_ms);
    }
    return next_ms;
}

static void on_timer(uv_timer_t *timer)
{
    struct bus *bus = timer->data;
    int64_t next_ms = work_off(bus);
    if (bus->stopping || next_ms == INT64_MAX)
        return;
    /* What was set meanwhile has started the timer itself; the earlier one counts. */
    int64_t left = next_ms > bus_now(bus) ? next_ms - bus_now(bus) : 0;
    if (!uv_is_active((uv_handle_t *)timer) || (int64_t)uv_timer_get_due_in(timer) > left)
        uv_timer_start(timer, on_timer, (uint64_t)left, 0);
}

void bus_schedule(struct bus *bus)
{
    /* The timer looks at everything and sets itself to what is next. */
    if (!bus->stopping)
        uv_timer_start(&bus->timer, on_timer, 0, 0);
}

static void on_idle(uv_idle_t *idle)
{
    struct bus *bus = idle->data;
    uv_idle_stop(idle);
    for (struct conn *c = bus->conns; c; c = c->next)
        if (c->dirty)
            conn_flush(c);
    peer_free_removed(bus, true);
}

void bus_wake(struct bus *bus)
{
    if (!bus->stopping)
        uv_idle_start(&bus->idle, on_idle);
}

/* --- what the files share ------------------------------------------------------------------ */

struct tls_context *bus_tls(struct bus *bus)
{
    unsigned version = identity_version(bus->config.identity);
    if (bus->tls && bus->tls_version == version)
        return bus->tls;
    struct tls_context *fresh;
    struct err err;
    if (tls_context_new(bus->config.identity, &fresh, &err) < 0) {
        log_error("bus", "no TLS: %s", err.msg);
        return NULL;
    }
    tls_context_free(bus->tls);
    bus->tls = fresh;
    bus->tls_version = version;
    return fresh;
}

void bus_log_hostile(struct bus *bus, const struct conn *conn, const char *what)
{
    if (bus->stopping)
        return;
    if (bus->warned_ms && bus_now(bus) - bus->warned_ms < HOSTILE_EVERY_MS) {
        bus->suppressed++;
        return;
    }
    bus->warned_ms = bus_now(bus);
    log_info("bus", "closed a connection from %s, which is not of a member: %s", conn->remote,
             what);
    if (bus->suppressed)
        log_info("bus", "… and %u others", bus->suppressed);
    bus->suppressed = 0;
}

/* --- starting and stopping ----------------------------------------------------------------- */

static void bus_free(struct bus *bus)
{
    tls_context_free(bus->tls);
    free((char *)(uintptr_t)bus->config.listen);
    free(bus);
}

void bus_handle_closed(struct bus *bus)
{
    check(bus->handles > 0);
    if (--bus->handles > 0 || !bus->stopping)
        return;
    void (*on_stopped)(void *arg) = bus->on_stopped;
    void *arg = bus->stop_arg;
    bus_free(bus);
    if (on_stopped)
        on_stopped(arg);
}

static void on_own_closed(uv_handle_t *handle)
{
    bus_handle_closed(handle->data);
}

static void open_handles(struct bus *bus)
{
    uv_loop_t *loop = bus->config.loop;
    check(uv_tcp_init(loop, &bus->listener) == 0);
    check(uv_timer_init(loop, &bus->timer) == 0);
    check(uv_idle_init(loop, &bus->idle) == 0);
    bus->listener.data = bus;
    bus->timer.data = bus;
    bus->idle.data = bus;
    bus->handles = 3;
}

static int listen_on(struct bus *bus, struct err *err)
{
    const char *text = bus->config.listen;
    struct address address;
    union socket_address sa;
    int rv = address_split(text, NULL, &address, err);
    if (rv == 0)
        rv = address_numeric(&address, &sa, err);
    if (rv < 0)
        return rv;
    rv = uv_tcp_bind(&bus->listener, &sa.any, 0);
    if (rv == 0)
        rv = uv_listen((uv_stream_t *)&bus->listener, BACKLOG, bus_on_accept);
    if (rv == UV_EADDRINUSE)
        return err_set(err, ERR_BUSY, "something else listens on %s; give another with --address",
                       text);
    if (rv < 0)
        return err_set(err, ERR_UNAVAILABLE, "cannot listen on %s: %s", text, uv_strerror(rv));
    return 0;
}

int bus_start(const struct bus_config *config, struct bus **ret_bus, struct err *err)
{
    struct bus *bus = mem_alloc(1, sizeof(*bus));
    bus->config = *config;
    bus->config.listen = str_copy(config->listen);
    bus->self_id = identity_node_id(config->identity);
    do {
        random_bytes(&bus->incarnation, sizeof(bus->incarnation));
        bus->incarnation &= INT64_MAX;
    } while (bus->incarnation == 0);
    open_handles(bus);
    int rv = listen_on(bus, err);
    if (rv == 0 && !bus_tls(bus))
        rv = err_set(err, ERR_CORRUPT, "the certificate of this machine is not usable");
    if (rv < 0) {
        bus_stop(bus, NULL, NULL);
        return rv;
    }
    *ret_bus = bus;
    return 0;
}

int bus_port(const struct bus *bus)
{
    union socket_address sa;
    int len = sizeof(sa);
    check(uv_tcp_getsockname(&bus->listener, &sa.any, &len) == 0);
    /* The port is at the same place in both families. */
    return ntohs(sa.v4.sin_port);
}

void bus_stop(struct bus *bus, void (*on_stopped)(void *arg), void *arg)
{
    check(!bus->stopping);
    bus->stopping = true;
    bus->on_stopped = on_stopped;
    bus->stop_arg = arg;
    join_cancel_all(bus);
    connect_cancel_all(bus);
    for (struct conn *c = bus->conns; c; c = c->next) {
        c->peer = NULL;
        conn_close(c, "the daemon stops");
    }
    while (bus->peers) {
        struct peer *p = bus->peers;
        bus->peers = p->next;
        p->next = bus->removed;
        bus->removed = p;
    }
    peer_free_removed(bus, false);
    uv_close((uv_handle_t *)&bus->listener, on_own_closed);
    uv_close((uv_handle_t *)&bus->timer, on_own_closed);
    uv_close((uv_handle_t *)&bus->idle, on_own_closed);
}

/* --- messages ------------------------------------------------------------------------------ */

/* True when @len more bytes would be too many. One message of any size may wait for bulk, where
 * answers have a limit of their own: they do not take raft's room. */
static bool is_full(const struct conn *c, enum bus_kind kind, size_t len)
{
    size_t waiting = c->queued + c->in_flight;
    if (c->channel == CHANNEL_CONTROL)
        return waiting + len > BUS_CONTROL_QUEUE_MAX;
    if (kind == BUS_REPLY)
        return c->replies > 0 && c->replies + len > BULK_REPLIES_MAX;
    return c->queued > c->replies && waiting - c->replies + len > BULK_QUEUE_MAX;
}

int bus_send(struct bus *bus, int64_t to, enum bus_kind kind, bool bulk, const void *data,
             size_t len)
{
    if (len > (bulk ? (size_t)BUS_MESSAGE_MAX : (size_t)BUS_CONTROL_QUEUE_MAX))
        return ERR_TOOBIG;
    const struct peer *p = peer_find(bus, to);
    struct conn *c = p ? p->channels[bulk ? CHANNEL_BULK : CHANNEL_CONTROL].conn : NULL;
    if (!c)
        return ERR_UNAVAILABLE;
    if (is_full(c, kind, len))
        return ERR_BUSY;
    conn_queue(c, kind, data, len);
    return 0;
}

bool bus_is_connected(const struct bus *bus, int64_t id)
{
    const struct peer *p = peer_find(bus, id);
    return p && p->channels[CHANNEL_CONTROL].conn;
}
