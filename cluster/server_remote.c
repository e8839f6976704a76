/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote callers: nng's request/reply protocol (SP over TLS over TCP), spoken here on our own loop.
 *
 * nng's own TLS listener does not outlive its callers: one that breaks off at the wrong moment
 * blocks the thread that frees connections for good, and anybody who reaches the port can do that.
 * Of the protocol a server needs little: a header of 8 bytes each way, then messages, each after
 * its length as 8 bytes, big-endian. A request begins with a word whose top bit is set; its reply
 * repeats it.
 *
 *     accepted ──► HANDSHAKE ──on_secure──► HEADER ──take_header──► READY ──► caller_close
 *
 * Nobody has shown who he is before his first call, so what strangers can hold is bounded: their
 * number (the one that was silent longest makes room), their time until READY, the time a message
 * may take, and the bytes of all incomplete messages together.
 */
#include "cluster/server_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/address.h"
#include "cluster/identity.h"
#include "cluster/source.h"
#include "cluster/tls.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKLOG = 128,
    READ_BYTES = 64 << 10,
    KEEP_BYTES = 64 << 10, /* a larger buffer is freed when it is empty */
    SP_HEADER = 8,
    SP_LENGTH = 8,
    SP_REQUEST = 4,
    READY_MS = 5000,    /* until both headers were exchanged */
    MESSAGE_MS = 20000, /* from a message's first byte to its last */
    ENDING_MS = 2000,   /* for what was written before it is closed */
    TICK_MS = 500,      /* how often deadlines are looked at */
    KEEPALIVE_S = 10,
    USER_TIMEOUT_MS = 20000, /* unacknowledged bytes end a connection */
};

static const unsigned char req_header[SP_HEADER] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
static const unsigned char rep_header[SP_HEADER] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};

enum caller_state {
    CALLER_HANDSHAKE,
    CALLER_HEADER,
    CALLER_READY,
    CALLER_CLOSED,
};

/* A connection. */
struct caller {
    struct remote *remote;
    struct caller *next, *prev;
    enum caller_state state;
    uv_tcp_t tcp;
    struct tls *tls;
    struct buf in;  /* decrypted, not taken apart yet */
    size_t counted; /* of in: what remote->waiting has of it */
    size_t calls_n;
    bool paused; /* not reading: it has too much under way */
    bool parsing;
    bool ending;          /* close when what was written is sent, or at the deadline */
    uint64_t deadline_ms; /* 0: none */
    uint64_t used_at;     /* when it last said something */
    int64_t tag;          /* who he has shown to be */
    char source[SOURCE_TEXT];
};

/* A call of it that waits for its reply. */
struct remote_slot {
    struct caller *caller;
    unsigned char request[SP_REQUEST];
};

struct remote {
    struct server *server;
    uv_tcp_t listener;
    uv_timer_t timer;
    const struct identity *identity;
    struct tls_context *tls;
    unsigned tls_version; /* of the identity, when it was made */
    struct caller *callers;
    size_t callers_n;
    size_t calls_n;
    size_t waiting; /* bytes of incomplete messages */
    struct sources sources;
    int handles;
    char read_buf[READ_BYTES];
    char text[TLS_RECORD_MAX];
};

/* --- the end -------------------------------------------------------------------------------- */

static void on_handle_closed(struct remote *remote)
{
    struct server *server = remote->server;
    if (--remote->handles > 0)
        return;
    tls_context_free(remote->tls);
    free(remote);
    server_handle_closed(server);
}

static void on_own_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void on_caller_closed(uv_handle_t *handle)
{
    struct caller *c = handle->data;
    struct remote *remote = c->remote;
    tls_free(c->tls);
    buf_release(&c->in);
    free(c);
    on_handle_closed(remote);
}

static void caller_close(struct caller *c)
{
    struct remote *remote = c->remote;
    if (c->state == CALLER_CLOSED)
        return;
    c->state = CALLER_CLOSED;
    if (c->prev)
        c->prev->next = c->next;
    else
        remote->callers = c->next;
    if (c->next)
        c->next->prev = c->prev;
    remote->callers_n--;
    remote->waiting -= c->counted;
    c->counted = 0;
    uv_close((uv_handle_t *)&c->tcp, on_caller_closed);
    for (struct server_call *call = remote->server->calls, *next; call; call = next) {
        next = call->next;
        struct remote_slot *slot = call->slot;
        if (!slot || slot->caller != c)
            continue;
        remote->calls_n--;
        free(slot);
        server_call_gone(call);
    }
}

/* --- out ------------------------------------------------------------------------------------ */

struct writing {
    uv_write_t request;
    struct caller *caller;
    struct buf data;
};

static void parse(struct caller *c);

static void on_written(uv_write_t *request, int status)
{
    struct writing *w = (struct writing *)request;
    struct caller *c = w->caller;
    buf_release(&w->data);
    free(w);
    if (c->state == CALLER_CLOSED)
        return;
    if (status < 0 || (c->ending && uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) == 0))
        caller_close(c);
    else if (c->paused && !c->parsing)
        parse(c);
}

static size_t unread_by(const struct caller *c)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

/* With @more to come: when too much waits for callers to read it, who leaves most unread goes. */
static void keep_unread_small(struct remote *remote, size_t more)
{
    for (;;) {
        struct caller *worst = NULL;
        size_t all = more;
        for (struct caller *o = remote->callers; o; o = o->next) {
            all += unread_by(o);
            if (!worst || unread_by(o) > unread_by(worst))
                worst = o;
        }
        if (all <= REMOTE_UNREAD_MAX || !worst || unread_by(worst) == 0)
            return;
        caller_close(worst);
    }
}

/* Hand to libuv what TLS has to send. */
static void flush(struct caller *c)
{
    struct buf *out = tls_out(c->tls);
    if (c->state == CALLER_CLOSED || out->len == 0)
        return;
    if (unread_by(c) > (size_t)4 * WIRE_MESSAGE_MAX) {
        caller_close(c); /* it does not read */
        return;
    }
    keep_unread_small(c->remote, out->len);
    if (c->state == CALLER_CLOSED)
        return;
    struct writing *w = mem_alloc(1, sizeof(*w));
    w->caller = c;
    w->data = *out;
    *out = (struct buf)BUF_INIT;
    uv_buf_t data = uv_buf_init(w->data.data, (unsigned)w->data.len);
    if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &data, 1, on_written) < 0) {
        buf_release(&w->data);
        free(w);
        caller_close(c);
    }
}

static void send_text(struct caller *c, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        size_t part = len < TLS_RECORD_MAX ? len : TLS_RECORD_MAX;
        if (tls_write(c->tls, p, part) < 0) {
            caller_close(c);
            return;
        }
        p += part;
        len -= part;
    }
}

static uint64_t now_ms(const struct remote *remote)
{
    return uv_now(remote->server->config.loop);
}

static void put_length(struct buf *out, size_t at, size_t len)
{
    for (size_t i = 0; i < SP_LENGTH; i++)
        out->data[at + i] = (char)(len >> (8 * (SP_LENGTH - 1 - i)) & 0xff);
}

void remote_reply(struct remote_slot *slot, const struct reply *reply)
{
    struct caller *c = slot->caller;
    cleanup_buf struct buf out = BUF_INIT;
    buf_append(&out, rep_header, SP_LENGTH); /* room for the length */
    buf_append(&out, slot->request, SP_REQUEST);
    record_encode(&reply_type, reply, &out);
    if (out.len - SP_LENGTH - SP_REQUEST > WIRE_MESSAGE_MAX) {
        struct err err;
        struct reply instead = {.id = reply->id};
        err_set(&err, ERR_TOOBIG, "the answer has more than 4 MiB; ask for less");
        reply_set_err(&instead, &err);
        out.len = SP_LENGTH + SP_REQUEST;
        record_encode(&reply_type, &instead, &out);
        record_release(&reply_type, &instead);
    }
    put_length(&out, 0, out.len - SP_LENGTH);
    free(slot);
    check(c->calls_n > 0);
    c->calls_n--;
    c->remote->calls_n--;
    send_text(c, out.data, out.len);
    flush(c);
}

/* --- who he is ------------------------------------------------------------------------------ */

const char *remote_source(const struct remote_slot *slot)
{
    return slot->caller->source;
}

void remote_hang_up(struct remote_slot *slot)
{
    struct caller *c = slot->caller;
    check(c->calls_n > 0);
    c->calls_n--;
    c->remote->calls_n--;
    free(slot);
    caller_close(c);
}

void remote_tag(struct remote_slot *slot, int64_t tag)
{
    slot->caller->tag = tag;
}

/* Read no more from @c, and close it when all is sent that was written. */
static void end_caller(struct caller *c)
{
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->ending = true;
    c->deadline_ms = now_ms(c->remote) + ENDING_MS;
    if (uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) == 0)
        caller_close(c);
}

void remote_end_if(struct remote *remote, bool (*is_over)(void *arg, int64_t tag), void *arg)
{
    for (struct caller *c = remote->callers, *next; c; c = next) {
        next = c->next;
        if (c->tag != 0 && !c->ending && is_over(arg, c->tag))
            end_caller(c);
    }
}

/* --- in ------------------------------------------------------------------------------------- */

static void refuse_busy(struct remote_slot *slot)
{
    struct err err;
    struct reply reply = {0};
    err_set(&err, ERR_BUSY, "too many calls at once from other machines; try again");
    reply_set_err(&reply, &err);
    remote_reply(slot, &reply);
    record_release(&reply_type, &reply);
}

static void take_request(struct caller *c, const char *message, size_t len)
{
    struct remote *remote = c->remote;
    struct remote_slot *slot = mem_alloc(1, sizeof(*slot));
    slot->caller = c;
    memcpy(slot->request, message, SP_REQUEST);
    c->calls_n++;
    if (++remote->calls_n > REMOTE_CALLS_MAX)
        refuse_busy(slot);
    else
        server_dispatch(remote->server, NULL, slot, message + SP_REQUEST, len - SP_REQUEST);
}

/* The message at @at is complete: all its bytes with the length, 0 when it is not, or it cannot be
 * one and the connection is closed. */
static size_t whole_message(struct caller *c, size_t at)
{
    if (c->in.len - at < SP_LENGTH)
        return 0;
    const unsigned char *p = (const unsigned char *)c->in.data + at;
    uint64_t len = 0;
    for (int i = 0; i < SP_LENGTH; i++)
        len = len << 8 | p[i];
    if (len < SP_REQUEST || len > WIRE_MESSAGE_MAX + SP_REQUEST) {
        caller_close(c);
        return 0;
    }
    if (c->in.len - at - SP_LENGTH < len)
        return 0;
    if (!(p[SP_LENGTH] & 0x80)) {
        caller_close(c); /* it came through other hops, or is no request */
        return 0;
    }
    return SP_LENGTH + (size_t)len;
}

static bool is_busy(const struct caller *c)
{
    return c->calls_n >= LOCAL_CALLS_MAX ||
           uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp) > WIRE_MESSAGE_MAX;
}

/* Keep the books on incomplete messages. When there are too many bytes of them, the one that takes
 * longest goes. */
static void count_waiting(struct caller *c)
{
    struct remote *remote = c->remote;
    remote->waiting += c->in.len - c->counted;
    c->counted = c->in.len;
    if (c->in.len == 0)
        c->deadline_ms = 0;
    else if (c->deadline_ms == 0)
        c->deadline_ms = now_ms(remote) + MESSAGE_MS;
    while (remote->waiting > REMOTE_WAITING_MAX) {
        struct caller *worst = NULL;
        for (struct caller *o = remote->callers; o; o = o->next)
            if (o->counted > 0 && (!worst || o->deadline_ms < worst->deadline_ms))
                worst = o;
        check(worst);
        caller_close(worst);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct caller *c = handle->data;
    *buf = uv_buf_init(c->remote->read_buf, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* Pass on the calls that are complete; stop reading while too many are under way. */
static void parse(struct caller *c)
{
    size_t at = 0;
    size_t size;
    c->parsing = true;
    while (c->state == CALLER_READY && !c->ending && !is_busy(c) &&
           (size = whole_message(c, at)) > 0) {
        take_request(c, c->in.data + at + SP_LENGTH, size - SP_LENGTH);
        at += size;
    }
    c->parsing = false;
    if (c->state == CALLER_CLOSED || c->ending)
        return;
    buf_consume(&c->in, at);
    if (at > 0)
        c->deadline_ms = 0;
    if (c->in.len == 0 && c->in.cap > KEEP_BYTES)
        buf_release(&c->in);
    count_waiting(c);
    if (c->state == CALLER_CLOSED)
        return;
    bool pause = is_busy(c);
    if (pause) /* that it is not read on is our doing */
        c->deadline_ms = 0;
    if (pause && !c->paused)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (!pause && c->paused)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    c->paused = pause;
}

static void take_header(struct caller *c)
{
    if (c->in.len < SP_HEADER)
        return;
    if (memcmp(c->in.data, req_header, SP_HEADER) != 0) {
        caller_close(c);
        return;
    }
    buf_consume(&c->in, SP_HEADER);
    c->state = CALLER_READY;
    c->deadline_ms = 0;
}

/* Work on what was fed. */
static void pump(struct caller *c)
{
    struct err err;
    if (c->state == CALLER_HANDSHAKE) {
        int rv = tls_handshake(c->tls, &err);
        if (rv == 1) {
            c->state = CALLER_HEADER;
            send_text(c, rep_header, SP_HEADER);
        }
        flush(c);
        if (rv < 0)
            caller_close(c);
        if (rv <= 0)
            return;
    }
    int n = 0;
    while (c->state != CALLER_CLOSED &&
           (n = tls_read(c->tls, c->remote->text, sizeof(c->remote->text))) > 0)
        buf_append(&c->in, c->remote->text, (size_t)n);
    if (n < 0)
        caller_close(c);
    if (c->state == CALLER_HEADER)
        take_header(c);
    if (c->state == CALLER_READY)
        parse(c);
    flush(c); /* TLS itself may have something to say */
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct caller *c = stream->data;
    if (n == 0 || c->state == CALLER_CLOSED)
        return;
    if (n < 0) {
        caller_close(c);
        return;
    }
    c->used_at = now_ms(c->remote);
    tls_feed(c->tls, buf->base, (size_t)n);
    pump(c);
}

/* --- accepting ------------------------------------------------------------------------------ */

/* Of those with no call under way, from the source of @c or all, the one that was silent longest;
 * else @c. */
static struct caller *silent_longest(struct remote *remote, struct caller *c, bool same_source)
{
    struct caller *oldest = c;
    for (struct caller *o = remote->callers; o; o = o->next)
        if (o->calls_n == 0 && o->used_at <= oldest->used_at &&
            (!same_source || strcmp(o->source, c->source) == 0))
            oldest = o; /* new ones are put in front */
    return oldest;
}

/* One source must not push out the others; all of them together have a limit too. */
static void limit_callers(struct remote *remote, struct caller *c)
{
    size_t n = 0;
    for (struct caller *o = remote->callers; o; o = o->next)
        n += strcmp(o->source, c->source) == 0;
    if (n > REMOTE_SOURCE_MAX)
        caller_close(silent_longest(remote, c, true));
    else if (remote->callers_n > REMOTE_CALLERS_MAX)
        caller_close(silent_longest(remote, c, false));
}

/* A new certificate is shown from the next connection on. When it cannot be used the last one is
 * shown on. */
static struct tls_context *current_tls(struct remote *remote)
{
    struct tls_context *fresh;
    struct err err;
    unsigned version = identity_version(remote->identity);
    if (remote->tls_version == version)
        return remote->tls;
    remote->tls_version = version;
    if (tls_context_new_calls(remote->identity, &fresh, &err) < 0) {
        log_error("server", "no TLS: %s", err.msg);
        return remote->tls;
    }
    tls_context_free(remote->tls);
    return remote->tls = fresh;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct remote *remote = listener->data;
    if (status < 0 || remote->server->stopping)
        return;
    struct caller *c = mem_alloc(1, sizeof(*c));
    c->remote = remote;
    check(uv_tcp_init(remote->server->config.loop, &c->tcp) == 0);
    c->tcp.data = c;
    c->tls = tls_new(current_tls(remote), true);
    c->used_at = now_ms(remote);
    c->deadline_ms = c->used_at + READY_MS;
    c->next = remote->callers;
    if (c->next)
        c->next->prev = c;
    remote->callers = c;
    remote->callers_n++;
    remote->handles++;
    bool accepted = uv_accept(listener, (uv_stream_t *)&c->tcp) == 0;
    if (accepted)
        sources_name(&c->tcp, c->source);
    if (!accepted || !sources_admit(&remote->sources, c->source, (int64_t)c->used_at) ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0) {
        caller_close(c);
        return;
    }
    uv_os_fd_t fd;
    int timeout = USER_TIMEOUT_MS;
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    limit_callers(remote, c);
    if (!uv_is_active((uv_handle_t *)&remote->timer))
        uv_timer_again(&remote->timer);
}

static void on_timer(uv_timer_t *timer)
{
    struct remote *remote = timer->data;
    for (struct caller *c = remote->callers, *next; c; c = next) {
        next = c->next;
        if (c->deadline_ms != 0 && c->deadline_ms <= now_ms(remote))
            caller_close(c);
    }
    if (!remote->callers)
        uv_timer_stop(timer);
}

/* --- starting and stopping ------------------------------------------------------------------ */

void remote_stop(struct remote *remote)
{
    while (remote->callers)
        caller_close(remote->callers);
    uv_close((uv_handle_t *)&remote->listener, on_own_closed);
    uv_close((uv_handle_t *)&remote->timer, on_own_closed);
}

static int start_listener(struct remote *remote, const char *listen, struct err *err)
{
    struct address address;
    union socket_address sa;
    int rv = address_split(listen, NULL, &address, err);
    if (rv == 0)
        rv = address_numeric(&address, &sa, err);
    if (rv < 0)
        return rv;
    rv = uv_tcp_bind(&remote->listener, &sa.any, 0);
    if (rv == 0)
        rv = uv_listen((uv_stream_t *)&remote->listener, BACKLOG, on_connection);
    if (rv == UV_EADDRINUSE)
        return err_set(err, ERR_BUSY, "something else listens on %s", listen);
    if (rv < 0)
        return err_set(err, ERR_UNAVAILABLE, "cannot listen on %s: %s", listen, uv_strerror(rv));
    return 0;
}

int server_listen_remote(struct server *server, const char *listen, const struct identity *identity,
                         struct err *err)
{
    check(!server->remote);
    struct tls_context *tls;
    int rv = tls_context_new_calls(identity, &tls, err);
    if (rv < 0)
        return rv;
    struct remote *remote = mem_alloc(1, sizeof(*remote));
    remote->server = server;
    remote->tls = tls;
    remote->identity = identity;
    remote->tls_version = identity_version(identity);
    check(uv_tcp_init(server->config.loop, &remote->listener) == 0);
    check(uv_timer_init(server->config.loop, &remote->timer) == 0);
    uv_timer_start(&remote->timer, on_timer, TICK_MS, TICK_MS);
    remote->listener.data = remote;
    remote->timer.data = remote;
    remote->handles = 2;
    server->handles++;
    rv = start_listener(remote, listen, err);
    if (rv < 0) {
        remote_stop(remote);
        return rv;
    }
    server->remote = remote;
    return 0;
}
