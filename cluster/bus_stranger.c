/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/bus_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "cluster/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bus_stranger {
    struct conn *conn; /* NULL when it hung up, or the time was over */
};

/* --- a request to join --------------------------------------------------------------------- */

static void forget_stranger(struct conn *c)
{
    if (!c->stranger)
        return;
    c->stranger->conn = NULL;
    c->stranger = NULL;
    c->bus->strangers_n--;
}

static void on_join_request(struct conn *c, const void *data, size_t len)
{
    struct bus *bus = c->bus;
    if (!identity_is_member(bus->config.identity)) {
        conn_close(c, "this machine is not a member yet");
        return;
    }
    size_t same = 0;
    for (const struct conn *o = bus->conns; o; o = o->next)
        same += o->stranger && strcmp(o->source, c->source) == 0;
    if (bus->strangers_n >= STRANGERS_MAX || same >= STRANGERS_SOURCE_MAX) {
        conn_close(c, "too many ask to join at once");
        return;
    }
    struct bytes key = {0};
    if (tls_peer_key(c->tls, &key) < 0) {
        conn_close(c, "it shows no key");
        return;
    }
    c->stranger = mem_alloc(1, sizeof(*c->stranger));
    c->stranger->conn = c;
    c->state = CONN_STRANGER;
    c->deadline_ms = bus_now(bus) + STRANGER_MS;
    bus->strangers_n++;
    bus_schedule(bus);
    bus->config.on_stranger(bus->config.arg, c->stranger, &key, data, len);
    bytes_set(&key, NULL, 0);
}

const char *bus_stranger_source(const struct bus_stranger *stranger)
{
    return stranger->conn ? stranger->conn->source : "a machine that hung up";
}

void bus_stranger_reply(struct bus_stranger *stranger, const void *data, size_t len)
{
    struct conn *c = stranger->conn;
    if (c && len > JOIN_REPLY_MAX) {
        log_error("bus", "the answer to a join has %zu bytes; at most %d can be sent", len,
                  JOIN_REPLY_MAX);
        conn_close(c, "the answer is too long");
    } else if (c) {
        forget_stranger(c);
        conn_queue(c, FRAME_JOIN_REPLY, data, len);
        c->deadline_ms = bus_now(c->bus) + GOODBYE_MS;
        bus_schedule(c->bus);
    }
    free(stranger);
}

/* --- accepted connections ------------------------------------------------------------------ */

static void on_accept_secure(struct conn *c)
{
    /* What it wants is in its first message. */
    (void)c;
}

static void on_accept_frame(struct conn *c, unsigned kind, const void *data, size_t len)
{
    if (c->peer) {
        peer_on_frame(c, kind, data, len);
        return;
    }
    if (c->state != CONN_HELLO) {
        conn_close(c, "it said more than a stranger may");
    } else if (kind == FRAME_JOIN) {
        on_join_request(c, data, len);
    } else if (kind == FRAME_HELLO) {
        c->peer = peer_find_key(c->bus, c);
        if (c->peer)
            peer_on_frame(c, kind, data, len);
        else
            conn_close(c, "its key is of no member");
    } else {
        conn_close(c, "it did not say hello");
    }
}

static void on_accept_closed(struct conn *c, const char *reason)
{
    if (c->peer) {
        peer_on_closed(c, reason);
        return;
    }
    /* A stranger that got its answer hangs up: no news. */
    if (c->stranger || c->state != CONN_STRANGER)
        bus_log_hostile(c->bus, c, reason);
    forget_stranger(c);
}

static const struct conn_ops accept_ops = {
    .on_secure = on_accept_secure,
    .on_frame = on_accept_frame,
    .on_closed = on_accept_closed,
};

/* Make room among those who have not said who they are: the oldest goes, of the source of the
 * @newest when it has many. Refusing the newest would let anybody keep members out by holding
 * connections open. */
static void limit_pending(struct bus *bus, const struct conn *newest)
{
    struct conn *oldest = NULL;
    struct conn *oldest_same = NULL;
    size_t n = 0;
    size_t same = 0;
    for (struct conn *c = bus->conns; c; c = c->next) {
        if (!c->accepted || c->peer || c->stranger || c->state == CONN_CLOSED)
            continue;
        n++;
        oldest = c; /* new ones are put in front */
        if (strcmp(c->source, newest->source) != 0)
            continue;
        same++;
        oldest_same = c;
    }
    if (same > PENDING_SOURCE_MAX)
        conn_close(oldest_same, "too many connections at once from there");
    else if (n > PENDING_MAX)
        conn_close(oldest, "too many connections at once");
}

static void name_remote(struct conn *c)
{
    unsigned port = sources_name(&c->tcp, c->source);
    snprintf(c->remote, sizeof(c->remote), "%s:%u", c->source, port);
}

void bus_on_accept(uv_stream_t *listener, int status)
{
    struct bus *bus = listener->data;
    if (status < 0 || bus->stopping)
        return;
    struct conn *c = conn_new(bus, &accept_ops);
    c->accepted = true;
    int rv = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (rv < 0) {
        conn_close(c, "%s", uv_strerror(rv));
        return;
    }
    name_remote(c);
    if (!sources_admit(&bus->sources, c->source, bus_now(bus))) {
        conn_close(c, "too many connections from there in a short time");
        return;
    }
    c->deadline_ms = bus_now(bus) + HANDSHAKE_MS;
    conn_start(c);
    limit_pending(bus, c);
    bus_schedule(bus);
}
