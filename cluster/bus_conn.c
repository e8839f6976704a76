/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/bus_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEEPALIVE_S = 10,
    OUTGOING_COST = 64,    /* bytes a queued message costs beside its own */
    SMALL_ROOM = 256,      /* a long message does not begin in less */
    KEEP_BYTES = 64 << 10, /* a buffer larger than that is freed when it is empty */
};

/* --- life ---------------------------------------------------------------------------------- */

struct conn *conn_new(struct bus *bus, const struct conn_ops *ops)
{
    struct conn *c = mem_alloc(1, sizeof(*c));
    c->bus = bus;
    c->ops = ops;
    c->state = CONN_CONNECT;
    c->message_max = BUS_STRANGER_MAX;
    c->last = &c->first;
    check(uv_tcp_init(bus->config.loop, &c->tcp) == 0);
    c->tcp.data = c;
    bus->handles++;
    c->next = bus->conns;
    if (c->next)
        c->next->prev = c;
    bus->conns = c;
    return c;
}

static void free_queue(struct conn *c)
{
    while (c->first) {
        struct outgoing *m = c->first;
        c->first = m->next;
        free(m);
    }
    c->last = &c->first;
    c->queued = 0;
    c->replies = 0;
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct bus *bus = c->bus;
    if (c->prev)
        c->prev->next = c->next;
    else
        bus->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    tls_free(c->tls);
    free_queue(c);
    buf_release(&c->message);
    buf_release(&c->held);
    free(c);
    bus_handle_closed(bus);
}

void conn_close(struct conn *c, const char *fmt, ...)
{
    if (c->state == CONN_CLOSED)
        return;
    char reason[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);
    c->ops->on_closed(c, reason);
    c->state = CONN_CLOSED;
    c->deadline_ms = 0;
    c->peer = NULL;
    c->stranger = NULL;
    c->join = NULL;
    c->connecting = NULL;
    free_queue(c);
    uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
}

bool conn_has_key(const struct conn *c, const struct bytes *key)
{
    struct bytes own = {0};
    if (tls_peer_key(c->tls, &own) < 0)
        return false;
    bool same = own.len == key->len && memcmp(own.data, key->data, key->len) == 0;
    bytes_set(&own, NULL, 0);
    return same;
}

/* --- in ------------------------------------------------------------------------------------ */

static void deliver(struct conn *c, const void *data, size_t len)
{
    c->ops->on_frame(c, c->message_kind, data, len);
    if (c->message.cap > KEEP_BYTES)
        buf_release(&c->message);
    else
        buf_reset(&c->message);
}

/* The header of a frame is complete. False: it was refused and the connection closed. */
static bool begin_frame(struct conn *c)
{
    const unsigned char *h = c->header;
    size_t len = (size_t)h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16 | (size_t)h[3] << 24;
    unsigned kind = h[4];
    if (len > BUS_FRAME_MAX || h[5] > FRAME_MORE) {
        conn_close(c, "it sent a damaged frame");
        return false;
    }
    if (c->message_open && kind != c->message_kind) {
        conn_close(c, "it mixed two messages");
        return false;
    }
    if (len > c->message_max - c->message.len) {
        conn_close(c, "it sent a message of more than %zu bytes", c->message_max);
        return false;
    }
    c->message_kind = kind;
    c->message_open = h[5] == FRAME_MORE;
    c->payload_left = len;
    return true;
}

void conn_parse(struct conn *c, const char *p, size_t n)
{
    while (c->state != CONN_CLOSED) {
        if (c->header_len < FRAME_HEADER) {
            if (n == 0)
                return;
            c->header[c->header_len++] = (unsigned char)*p++;
            n--;
            if (c->header_len == FRAME_HEADER && !begin_frame(c))
                return;
            continue;
        }
        size_t part = n < c->payload_left ? n : c->payload_left;
        bool whole = part == c->payload_left;
        if (whole && !c->message_open && c->message.len == 0) {
            /* The usual case: a message of one frame, all here. */
            c->header_len = 0;
            c->payload_left = 0;
            deliver(c, p, part);
        } else {
            buf_append(&c->message, p, part);
            c->payload_left -= part;
            if (whole) {
                c->header_len = 0;
                if (!c->message_open)
                    deliver(c, c->message.data, c->message.len);
            } else {
                return;
            }
        }
        p += part;
        n -= part;
    }
}

/* Work on what was fed. */
static void conn_pump(struct conn *c)
{
    if (c->state == CONN_HANDSHAKE) {
        struct err err;
        int rv = tls_handshake(c->tls, &err);
        conn_flush(c);
        if (rv < 0) {
            c->code = rv;
            conn_close(c, "%s", err.msg);
        }
        if (rv <= 0 || c->state == CONN_CLOSED)
            return;
        c->state = CONN_HELLO;
        c->ops->on_secure(c);
    }
    while (c->state != CONN_CLOSED) {
        int n = tls_read(c->tls, c->bus->text, sizeof(c->bus->text));
        if (n == 0)
            break;
        if (n < 0)
            conn_close(c, n == ERR_CORRUPT ? "it sent bytes that are not TLS" : "it hung up");
        else
            conn_parse(c, c->bus->text, (size_t)n);
    }
    /* TLS itself may have something to say. */
    if (c->state != CONN_CLOSED && tls_out(c->tls)->len > 0)
        conn_flush(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = handle->data;
    *buf = uv_buf_init(c->bus->read_buf, sizeof(c->bus->read_buf));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (n == 0 || c->state == CONN_CLOSED)
        return;
    if (n < 0) {
        conn_close(c, "%s", n == UV_EOF ? "it hung up" : uv_strerror((int)n));
        return;
    }
    tls_feed(c->tls, buf->base, (size_t)n);
    conn_pump(c);
}

void conn_start(struct conn *c)
{
    struct tls_context *tls = bus_tls(c->bus);
    if (!tls) {
        conn_close(c, "our own certificate is not usable");
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
    uv_os_fd_t fd;
    int timeout = USER_TIMEOUT_MS;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    c->tls = tls_new(tls, c->accepted);
    if (c->ca_hash)
        tls_expect_ca(c->tls, c->ca_hash);
    c->state = CONN_HANDSHAKE;
    int rv = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (rv < 0)
        conn_close(c, "%s", uv_strerror(rv));
}

static void on_connected(uv_connect_t *request, int status)
{
    struct conn *c = request->data;
    if (c->state == CONN_CLOSED)
        return;
    if (status < 0) {
        conn_close(c, "%s", uv_strerror(status));
        return;
    }
    conn_start(c);
    if (c->state != CONN_CLOSED)
        conn_pump(c);
}

void conn_dial(struct conn *c, const union socket_address *to)
{
    c->connect.data = c;
    int rv = uv_tcp_connect(&c->connect, &c->tcp, &to->any, on_connected);
    if (rv < 0)
        conn_close(c, "%s", uv_strerror(rv));
}

/* --- out ----------------------------------------------------------------------------------- */

/* Where a message of @kind goes in the queue. */
static struct outgoing **place(struct conn *c, unsigned kind)
{
    if (kind != BUS_RAFT || c->channel != CHANNEL_BULK || c->replies == 0)
        return c->last;
    struct outgoing **link = &c->first;
    while (*link && ((*link)->kind != BUS_REPLY || (*link)->sent > 0))
        link = &(*link)->next;
    return link;
}

void conn_queue(struct conn *c, unsigned kind, const void *data, size_t len)
{
    struct outgoing *m = mem_resize(NULL, 1, sizeof(*m) + len); /* not cleared: it is large */
    *m = (struct outgoing){.kind = (unsigned char)kind, .len = len};
    if (len)
        memcpy(m->data, data, len);
    struct outgoing **link = place(c, kind);
    m->next = *link;
    *link = m;
    if (!m->next)
        c->last = &m->next;
    c->queued += len + OUTGOING_COST;
    if (kind == BUS_REPLY)
        c->replies += len + OUTGOING_COST;
    c->dirty = true;
    bus_wake(c->bus);
}

static void put_header(char *out, size_t len, unsigned kind, bool more)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(len >> (8 * i) & 0xff);
    out[4] = (char)kind;
    out[5] = more ? FRAME_MORE : 0;
}

/* Move bytes of the queue to @out as frames. Returns how many there are. */
static size_t fill(struct conn *c, char *out, size_t size)
{
    size_t n = 0;
    while (c->first) {
        struct outgoing *m = c->first;
        size_t left = m->len - m->sent;
        size_t room = size - n;
        if (room < FRAME_HEADER || (room < FRAME_HEADER + left && room < SMALL_ROOM))
            break;
        size_t part = left < room - FRAME_HEADER ? left : room - FRAME_HEADER;
        put_header(out + n, part, m->kind, part < left);
        memcpy(out + n + FRAME_HEADER, m->data + m->sent, part);
        n += FRAME_HEADER + part;
        m->sent += part;
        size_t left_queue = part + (m->sent == m->len ? OUTGOING_COST : 0);
        c->queued -= left_queue;
        if (m->kind == BUS_REPLY)
            c->replies -= left_queue;
        if (m->sent < m->len)
            continue;
        c->first = m->next;
        if (!c->first)
            c->last = &c->first;
        free(m);
    }
    return n;
}

/* A write under way. */
struct writing {
    uv_write_t request;
    struct conn *conn;
    size_t len;
    char data[];
};

static void on_written(uv_write_t *request, int status)
{
    struct writing *w = (struct writing *)request;
    struct conn *c = w->conn;
    c->in_flight -= w->len;
    free(w);
    if (c->state == CONN_CLOSED)
        return;
    if (status < 0)
        conn_close(c, "%s", uv_strerror(status));
    else
        conn_flush(c);
}

/* Hand tls_out() to the kernel, or to libuv what it does not take now. False: closed. */
static bool write_out(struct conn *c)
{
    struct buf *out = tls_out(c->tls);
    size_t done = 0;
    if (c->in_flight == 0 && out->len > 0) {
        uv_buf_t whole = uv_buf_init(out->data, (unsigned)out->len);
        int rv = uv_try_write((uv_stream_t *)&c->tcp, &whole, 1);
        if (rv < 0 && rv != UV_EAGAIN) {
            conn_close(c, "%s", uv_strerror(rv));
            return false;
        }
        done = rv > 0 ? (size_t)rv : 0;
    }
    size_t left = out->len - done;
    if (left > 0) {
        struct writing *w = mem_resize(NULL, 1, sizeof(*w) + left);
        *w = (struct writing){.conn = c, .len = left};
        memcpy(w->data, out->data + done, left);
        uv_buf_t rest = uv_buf_init(w->data, (unsigned)left);
        int rv = uv_write(&w->request, (uv_stream_t *)&c->tcp, &rest, 1, on_written);
        if (rv < 0) {
            free(w);
            conn_close(c, "%s", uv_strerror(rv));
            return false;
        }
        c->in_flight += left;
    }
    if (out->cap > KEEP_BYTES)
        buf_release(out);
    else
        buf_reset(out);
    return true;
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->state == CONN_CONNECT)
        return;
    c->dirty = false;
    size_t encrypted = 0;
    for (;;) {
        bool may = c->state != CONN_HANDSHAKE && c->in_flight == 0;
        while (may && c->first && tls_out(c->tls)->len < FLIGHT_MAX) {
            size_t n = fill(c, c->bus->staging, sizeof(c->bus->staging));
            encrypted += n;
            if (tls_write(c->tls, c->bus->staging, n) < 0) {
                conn_close(c, "TLS failed to encrypt");
                return;
            }
        }
        /* Answers of TLS itself to a peer that does not read are bounded too. */
        if (c->in_flight + tls_out(c->tls)->len > (size_t)2 * FLIGHT_MAX) {
            conn_close(c, "it does not read");
            return;
        }
        if (!write_out(c))
            return;
        if (!may || !c->first || c->in_flight > 0)
            return;
        if (encrypted >= FLUSH_MAX) {
            c->dirty = true;
            bus_wake(c->bus);
            return;
        }
    }
}
