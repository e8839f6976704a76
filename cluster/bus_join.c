/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/bus_internal.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char default_port[] = "7400";

/* A join under way: its name is resolved, then conn is there, then cb is called. */
struct join {
    struct join *next;
    struct bus *bus;
    struct conn *conn;
    uv_getaddrinfo_t resolve;
    bool resolving; /* libuv still holds @resolve */
    bool ended;     /* cb was called; waits for @resolve only */
    bool sent;      /* the request left us */
    char *address;
    unsigned char ca_hash[32];
    struct bytes request;
    bus_join_cb cb;
    void *arg;
    int64_t deadline_ms;
    struct err err; /* what to end with at the deadline; code 0: a time-out */
};

static void join_free(struct join *j)
{
    free(j->address);
    bytes_set(&j->request, NULL, 0);
    free(j);
}

/* The one end of a join. @err NULL: @data is the answer. */
static void join_end(struct join *j, const struct err *err, const void *data, size_t len)
{
    static const struct err fine = {0};
    struct join **link = &j->bus->joins;
    while (*link != j)
        link = &(*link)->next;
    *link = j->next;
    struct conn *c = j->conn;
    j->conn = NULL;
    if (c) {
        c->join = NULL;
        conn_close(c, "the join is over");
    }
    if (err)
        j->cb(j->arg, err, NULL, 0);
    else
        j->cb(j->arg, &fine, data, len);
    j->ended = true;
    if (j->resolving)
        uv_cancel((uv_req_t *)&j->resolve);
    else
        join_free(j);
}

/* --- the connection ------------------------------------------------------------------------ */

static void on_join_secure(struct conn *c)
{
    /* The handshake has checked the CA. */
    struct join *j = c->join;
    c->message_max = JOIN_REPLY_MAX;
    j->sent = true;
    conn_queue(c, FRAME_JOIN, j->request.data, j->request.len);
}

static void on_join_frame(struct conn *c, unsigned kind, const void *data, size_t len)
{
    if (kind != FRAME_JOIN_REPLY || !c->join) {
        conn_close(c, "its answer is none");
        return;
    }
    join_end(c->join, NULL, data, len);
}

static void on_join_closed(struct conn *c, const char *reason)
{
    struct join *j = c->join;
    if (!j)
        return;
    c->join = NULL;
    j->conn = NULL;
    struct err err;
    if (j->sent)
        err_set(&err, ERR_UNKNOWN, "%s did not answer the request to join: %s; try again",
                j->address, reason);
    else if (c->code == ERR_DENIED)
        err_set(&err, ERR_DENIED, "%s: %s", j->address, reason);
    else
        err_set(&err, ERR_UNAVAILABLE, "no member answers at %s: %s", j->address, reason);
    /* Not from inside bus_join(): the timer comes at once. */
    j->err = err;
    j->deadline_ms = 0;
    bus_schedule(j->bus);
}

static const struct conn_ops join_ops = {
    .on_secure = on_join_secure,
    .on_frame = on_join_frame,
    .on_closed = on_join_closed,
};

static void connect_to(struct join *j, const union socket_address *to)
{
    struct conn *c = conn_new(j->bus, &join_ops);
    c->join = j;
    c->ca_hash = j->ca_hash;
    str_fill(c->remote, sizeof(c->remote), j->address);
    j->conn = c;
    conn_dial(c, to);
}

/* --- names --------------------------------------------------------------------------------- */

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct join *j = request->data;
    struct bus *bus = j->bus;
    j->resolving = false;
    if (j->ended) {
        join_free(j);
    } else if (status < 0 || !found || found->ai_addrlen > sizeof(union socket_address)) {
        err_set(&j->err, ERR_UNAVAILABLE, "cannot find %s: %s", j->address,
                status < 0 ? uv_strerror(status) : "it has no address");
        j->deadline_ms = 0;
        bus_schedule(bus);
    } else {
        union socket_address to = {0};
        memcpy(&to, found->ai_addr, found->ai_addrlen);
        connect_to(j, &to);
    }
    uv_freeaddrinfo(found);
    bus_handle_closed(bus);
}

static void resolve(struct join *j, const struct address *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    j->resolve.data = j;
    int rv = uv_getaddrinfo(j->bus->config.loop, &j->resolve, on_resolved, address->host,
                            address->port, &hints);
    if (rv < 0) {
        err_set(&j->err, ERR_UNAVAILABLE, "cannot find %s: %s", j->address, uv_strerror(rv));
        j->deadline_ms = 0;
        return;
    }
    j->resolving = true;
    j->bus->handles++;
}

void bus_join(struct bus *bus, const char *address, const unsigned char ca_hash[32],
              const void *data, size_t len, bus_join_cb cb, void *arg)
{
    struct join *j = mem_alloc(1, sizeof(*j));
    j->bus = bus;
    j->address = str_copy(address);
    memcpy(j->ca_hash, ca_hash, sizeof(j->ca_hash));
    bytes_set(&j->request, data, len);
    j->cb = cb;
    j->arg = arg;
    j->deadline_ms = bus_now(bus) + JOIN_MS;
    j->next = bus->joins;
    bus->joins = j;
    struct address split;
    union socket_address to;
    struct err ignored;
    if (len > BUS_STRANGER_MAX) {
        err_set(&j->err, ERR_TOOBIG,
                "the request to join has more than %d bytes; give fewer labels", BUS_STRANGER_MAX);
        j->deadline_ms = 0;
    } else if (address_split(address, default_port, &split, &j->err) < 0) {
        j->deadline_ms = 0;
    } else if (address_numeric(&split, &to, &ignored) == 0) {
        connect_to(j, &to);
    } else {
        resolve(j, &split);
    }
    bus_schedule(bus);
}

/* --- the end ------------------------------------------------------------------------------- */

void join_check_due(struct bus *bus, int64_t *next_ms)
{
    for (struct join *j = bus->joins, *next; j; j = next) {
        next = j->next;
        if (j->deadline_ms > bus_now(bus)) {
            bus_earlier(next_ms, j->deadline_ms);
            continue;
        }
        struct err err = j->err;
        if (err.code == 0)
            err_set(&err, j->sent ? ERR_UNKNOWN : ERR_TIMEOUT, "%s did not answer in %d s",
                    j->address, JOIN_MS / 1000);
        join_end(j, &err, NULL, 0);
    }
}

void join_cancel_all(struct bus *bus)
{
    struct err err;
    err_set(&err, ERR_CANCELED, "the daemon stops");
    while (bus->joins)
        join_end(bus->joins, &err, NULL, 0);
}
