/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/bus_internal.h"

#include "base/err.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_port[] = "7400";

/* A name is resolved, then conn dials, then cb is called. */
struct connecting {
    struct connecting *next;
    struct bus *bus;
    struct conn *conn;
    uv_getaddrinfo_t resolve;
    bool resolving; /* libuv still holds @resolve */
    bool ended;     /* cb was called; waits for @resolve only */
    char *address;
    bus_connect_cb cb;
    void *arg;
    int64_t deadline_ms;
    struct err err; /* what to end with at the deadline; code 0: a time-out */
    int64_t id;     /* who answered; then it ends well */
};

static void connecting_free(struct connecting *k)
{
    free(k->address);
    free(k);
}

/* The one end. @err->code 0: k->id is connected. */
static void connect_end(struct connecting *k, const struct err *err)
{
    struct connecting **link = &k->bus->connectings;
    while (*link != k)
        link = &(*link)->next;
    *link = k->next;
    struct conn *c = k->conn;
    k->conn = NULL;
    if (c) {
        c->connecting = NULL;
        if (err->code != 0)
            conn_close(c, "it took too long");
    }
    k->cb(k->arg, err, k->id);
    k->ended = true;
    if (k->resolving)
        uv_cancel((uv_req_t *)&k->resolve);
    else
        connecting_free(k);
}

/* End at the next turn of the loop: never from inside bus_connect(). */
static void end_soon(struct connecting *k)
{
    k->deadline_ms = 0;
    bus_schedule(k->bus);
}

/* --- the connection ------------------------------------------------------------------------ */

static void numeric_text(const union socket_address *sa, char *out, size_t size)
{
    char host[48] = "";
    if (sa->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &sa->v6.sin6_addr, host, sizeof(host));
        snprintf(out, size, "[%s]:%u", host, (unsigned)ntohs(sa->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &sa->v4.sin_addr, host, sizeof(host));
        snprintf(out, size, "%s:%u", host, (unsigned)ntohs(sa->v4.sin_port));
    }
}

static void on_connect_secure(struct conn *c)
{
    struct peer *p = peer_find_key(c->bus, c);
    if (!p) {
        c->code = ERR_DENIED;
        conn_close(c, "who answers there is no member of this cluster");
        return;
    }
    c->peer = p;
    c->channel = CHANNEL_CONTROL;
    peer_say_hello(c);
}

/* True when the member is connected, by @c or by another connection that stayed. */
static bool is_through(const struct conn *c)
{
    return c->peer && c->peer->channels[CHANNEL_CONTROL].conn;
}

static void note_success(struct conn *c)
{
    struct connecting *k = c->connecting;
    if (!k || !is_through(c))
        return;
    k->id = c->peer->id;
    peer_add_address(c->bus, c->peer, c->remote);
    end_soon(k);
}

static void on_connect_frame(struct conn *c, unsigned kind, const void *data, size_t len)
{
    peer_on_frame(c, kind, data, len);
    if (c->state != CONN_CLOSED)
        note_success(c);
}

static void on_connect_closed(struct conn *c, const char *reason)
{
    struct connecting *k = c->connecting;
    if (c->peer) {
        note_success(c);
        peer_on_closed(c, reason);
    }
    if (!k)
        return;
    k->conn = NULL;
    if (k->id == 0)
        err_set(&k->err, c->code == ERR_DENIED ? ERR_DENIED : ERR_UNAVAILABLE,
                "no member answers at %s: %s", k->address, reason);
    end_soon(k);
}

static const struct conn_ops connect_ops = {
    .on_secure = on_connect_secure,
    .on_frame = on_connect_frame,
    .on_closed = on_connect_closed,
};

static void connect_to(struct connecting *k, const union socket_address *to)
{
    struct conn *c = conn_new(k->bus, &connect_ops);
    c->connecting = k;
    c->deadline_ms = bus_now(k->bus) + HANDSHAKE_MS;
    numeric_text(to, c->remote, sizeof(c->remote));
    k->conn = c;
    conn_dial(c, to);
}

/* --- names --------------------------------------------------------------------------------- */

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct connecting *k = request->data;
    struct bus *bus = k->bus;
    k->resolving = false;
    if (k->ended) {
        connecting_free(k);
    } else if (status < 0 || !found || found->ai_addrlen > sizeof(union socket_address)) {
        err_set(&k->err, ERR_UNAVAILABLE, "cannot find %s: %s", k->address,
                status < 0 ? uv_strerror(status) : "it has no address");
        end_soon(k);
    } else {
        union socket_address to = {0};
        memcpy(&to, found->ai_addr, found->ai_addrlen);
        connect_to(k, &to);
    }
    uv_freeaddrinfo(found);
    bus_handle_closed(bus);
}

static void resolve(struct connecting *k, const struct address *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    k->resolve.data = k;
    int rv = uv_getaddrinfo(k->bus->config.loop, &k->resolve, on_resolved, address->host,
                            address->port, &hints);
    if (rv < 0) {
        err_set(&k->err, ERR_UNAVAILABLE, "cannot find %s: %s", k->address, uv_strerror(rv));
        k->deadline_ms = 0;
        return;
    }
    k->resolving = true;
    k->bus->handles++;
}

void bus_connect(struct bus *bus, const char *address, bus_connect_cb cb, void *arg)
{
    struct connecting *k = mem_alloc(1, sizeof(*k));
    k->bus = bus;
    k->address = str_copy(address);
    k->cb = cb;
    k->arg = arg;
    k->deadline_ms = bus_now(bus) + CONNECT_MS;
    k->next = bus->connectings;
    bus->connectings = k;
    struct address split;
    union socket_address to;
    struct err ignored;
    if (address_split(address, default_port, &split, &k->err) < 0)
        k->deadline_ms = 0;
    else if (address_numeric(&split, &to, &ignored) == 0)
        connect_to(k, &to);
    else
        resolve(k, &split);
    bus_schedule(bus);
}

/* --- the end ------------------------------------------------------------------------------- */

void connect_check_due(struct bus *bus, int64_t *next_ms)
{
    for (struct connecting *k = bus->connectings, *next; k; k = next) {
        next = k->next;
        if (k->deadline_ms > bus_now(bus)) {
            bus_earlier(next_ms, k->deadline_ms);
            continue;
        }
        struct err err = {0};
        if (k->id == 0)
            err = k->err;
        if (k->id == 0 && err.code == 0)
            err_set(&err, ERR_TIMEOUT, "nobody answered at %s in %d s", k->address,
                    CONNECT_MS / 1000);
        connect_end(k, &err);
    }
}

void connect_cancel_all(struct bus *bus)
{
    struct err err;
    err_set(&err, ERR_CANCELED, "the daemon stops");
    while (bus->connectings)
        connect_end(bus->connectings, &err);
}
