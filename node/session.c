/* SPDX-License-Identifier: Apache-2.0 */
#include "node/session.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/session_internal.h"
#include "node/waiters.h"
#include "runtime/attach.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 100, /* deadlines only: what arrives is told when it does */
};

/* --- calls that wait ---------------------------------------------------------------------------
 */

static void hold(struct held *h, struct api_call *c, int64_t wait_ms)
{
    int64_t wait = wait_ms < 0 ? 0 : wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
    h->call = c;
    h->until_ms = clock_boot_ms() + wait;
}

static void fail_held(struct held *h, const struct err *err)
{
    if (h->call)
        api_fail(steal(&h->call), err);
}

static void answer_starter(struct session *s)
{
    struct session_started reply = {.node_id = s->all->daemon->id,
                                    .session = s->id,
                                    .run = s->run,
                                    .place = (int64_t)s->base,
                                    .tty = s->flags & SHIM_HAS_TTY,
                                    .has_input = s->flags & SHIM_HAS_INPUT};
    api_reply(steal(&s->starter.call), &reply);
}

static void answer_reader(struct session *s)
{
    struct session_read_reply reply = {.output = {(unsigned char *)s->out.data, s->out.len},
                                       .place = (int64_t)s->base};
    if (s->out.len == 0 && s->phase == SESSION_ENDED) {
        reply.ended = true;
        reply.has_code = s->has_code;
        reply.code = s->code;
    }
    s->used_ms = clock_boot_ms();
    api_reply(steal(&s->reader.call), &reply);
}

static void answer_writer(struct session *s)
{
    struct session_write_reply reply = {.taken = (int64_t)s->taken,
                                        .ended = s->phase == SESSION_ENDED};
    record_release(&session_write_request_type, &s->writing);
    s->used_ms = clock_boot_ms();
    api_reply(steal(&s->writer.call), &reply);
}

/* --- the connection ----------------------------------------------------------------------------
 */

static void session_unlink(struct session *s)
{
    for (struct session **link = &s->all->list; *link; link = &(*link)->next)
        if (*link == s) {
            *link = s->next;
            s->all->n--;
            break;
        }
}

static void on_poll_closed(uv_handle_t *handle)
{
    session_free_memory(handle->data);
}

void session_free_memory(struct session *s)
{
    if (s->fd >= 0)
        close(s->fd);
    record_release(&session_write_request_type, &s->writing);
    buf_release(&s->out);
    free(s->owner);
    free(s);
}

/* Nobody finds it any more; its calls are answered. */
static void discard(struct session *s, const struct err *err)
{
    session_unlink(s);
    fail_held(&s->starter, err);
    fail_held(&s->reader, err);
    fail_held(&s->writer, err);
    if (s->polling)
        uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    else
        session_free_memory(s);
}

static void on_ended(struct session *s, bool has_code, int code)
{
    s->phase = SESSION_ENDED;
    s->has_code = has_code;
    s->code = code;
}

static void on_output(struct session *s, const struct shim_message *m)
{
    /* Something was left out: what waits here goes too, so that the caller sees one gap. */
    if (m->offset != s->base + s->out.len) {
        buf_reset(&s->out);
        s->base = m->offset;
    }
    buf_append(&s->out, m->data, m->len);
}

static void on_message(struct session *s, const struct shim_message *m)
{
    switch (m->kind) {
    case SHIM_WELCOME:
        s->welcome = true;
        s->flags = m->flags;
        if (s->out.len == 0)
            s->base = m->offset;
        s->taken = m->other;
        break;
    case SHIM_OUTPUT:
        on_output(s, m);
        break;
    case SHIM_TAKEN:
        s->taken = m->offset;
        s->may_send = true;
        break;
    case SHIM_EXITED:
        on_ended(s, true, m->code);
        break;
    case SHIM_HELLO:
    case SHIM_INPUT:
    case SHIM_CLOSE_INPUT:
    case SHIM_RESIZE:
    case SHIM_ACK:
    case SHIM_END:
        break; /* not for us */
    }
}

static void receive(struct session *s)
{
    static unsigned char packet[SHIM_MESSAGE_MAX + 1];
    struct shim_message m;
    while (s->phase == SESSION_OPEN && s->out.len < SESSION_BYTES) {
        int rv = attach_receive(s->fd, packet, &m);
        if (rv == 0)
            return;
        if (rv < 0)
            on_ended(s, false, 0);
        else
            on_message(s, &m);
    }
}

/* Send. False: not now; step() comes again when there is room. */
static bool send_message(struct session *s, const struct shim_message *m)
{
    int rv = s->phase == SESSION_OPEN ? attach_send(s->fd, m) : -1;
    s->blocked = s->blocked || rv > 0;
    return rv == 0;
}

/* The next piece of what a call writes. One is under way at a time. */
static void send_input(struct session *s)
{
    const struct session_write_request *w = &s->writing;
    if (w->rows > 0 && w->columns > 0 && !s->resized)
        s->resized = send_message(s, &(struct shim_message){.kind = SHIM_RESIZE,
                                                            .rows = (uint16_t)w->rows,
                                                            .columns = (uint16_t)w->columns});
    uint64_t done = s->taken - (uint64_t)w->place;
    if (done < w->input.len && s->may_send) {
        size_t left = w->input.len - (size_t)done;
        struct shim_message m = {.kind = SHIM_INPUT,
                                 .offset = s->taken,
                                 .data = w->input.data + done,
                                 .len = left < SHIM_DATA_MAX ? left : SHIM_DATA_MAX};
        s->may_send = !send_message(s, &m);
    }
    if (done >= w->input.len && w->close && !s->closed)
        s->closed = send_message(s, &(struct shim_message){.kind = SHIM_CLOSE_INPUT});
}

static bool is_written(const struct session *s)
{
    const struct session_write_request *w = &s->writing;
    return s->taken >= (uint64_t)w->place + w->input.len && (!w->close || s->closed) &&
           (w->rows == 0 || s->resized);
}

static void watch(struct session *s);

/* Look at everything: what has come, who waits for it. May end @s. */
static void step(struct session *s)
{
    int64_t now = clock_boot_ms();
    if (s->phase == SESSION_CONNECTING)
        return;
    receive(s);
    if (s->starter.call && (s->welcome || s->phase == SESSION_ENDED))
        answer_starter(s);
    if (!s->welcome && s->phase == SESSION_OPEN)
        return watch(s);
    s->blocked = false;
    if (s->owes_ack)
        s->owes_ack = !send_message(s, &(struct shim_message){.kind = SHIM_ACK, .offset = s->base});
    bool early = s->writer.call && (uint64_t)s->writing.place > s->taken;
    if (s->writer.call && !early && s->phase == SESSION_OPEN)
        send_input(s);
    if (s->writer.call &&
        (early || is_written(s) || s->phase == SESSION_ENDED || now >= s->writer.until_ms))
        answer_writer(s);
    if (s->reader.call &&
        (s->out.len > 0 || s->phase == SESSION_ENDED || now >= s->reader.until_ms))
        answer_reader(s);
    watch(s);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    step(poll->data);
}

static void watch(struct session *s)
{
    int events = (s->out.len < SESSION_BYTES ? UV_READABLE : 0) | (s->blocked ? UV_WRITABLE : 0);
    if (s->phase != SESSION_OPEN || events == 0)
        uv_poll_stop(&s->poll);
    else
        uv_poll_start(&s->poll, events, on_poll);
}

static void end_now(struct session *s)
{
    struct err err;
    err_set(&err, ERR_NOTFOUND, "the session is over");
    if (s->exec && s->fd >= 0)
        attach_send(s->fd, &(struct shim_message){.kind = SHIM_END});
    discard(s, &err);
}

void session_on_connected(struct session *s, int fd, const struct err *err)
{
    struct daemon *d = s->all->daemon;
    struct err stopping;
    err_set(&stopping, ERR_UNAVAILABLE, "this member is stopping");
    s->fd = fd;
    if (fd < 0 || d->stopping) {
        discard(s, fd < 0 ? err : &stopping);
        return;
    }
    s->phase = SESSION_OPEN;
    s->used_ms = clock_boot_ms();
    s->may_send = true;
    if (s->end_wanted) {
        end_now(s);
        return;
    }
    check(uv_poll_init(&d->loop, &s->poll, fd) == 0);
    s->polling = true;
    s->poll.data = s;
    step(s);
}

/* --- the clock ---------------------------------------------------------------------------------
 */

static void on_timer(uv_timer_t *timer)
{
    struct sessions *all = timer->data;
    int64_t now = clock_boot_ms();
    for (struct session *s = all->list, *next; s; s = next) {
        next = s->next;
        bool waits = s->starter.call || s->reader.call || s->writer.call;
        if (s->phase != SESSION_CONNECTING && !waits && now - s->used_ms >= SESSION_IDLE_MS)
            end_now(s);
        else if (waits)
            step(s);
    }
    if (!all->list)
        uv_timer_stop(&all->timer);
}

struct sessions *sessions_new(struct daemon *d)
{
    struct sessions *all = mem_alloc(1, sizeof(*all));
    all->daemon = d;
    uv_timer_init(&d->loop, &all->timer);
    all->timer.data = all;
    return all;
}

void sessions_stop(struct sessions *all)
{
    struct err err;
    err_set(&err, ERR_UNAVAILABLE, "this member is stopping");
    for (struct session *s = all->list, *next; s; s = next) {
        next = s->next;
        if (s->phase == SESSION_CONNECTING) {
            /* Its job ends it. */
            fail_held(&s->reader, &err);
            fail_held(&s->writer, &err);
        } else {
            discard(s, &err);
        }
    }
}

static void on_all_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sessions_free(struct sessions *all)
{
    check(!all->list);
    uv_close((uv_handle_t *)&all->timer, on_all_closed);
}

struct session *session_new(struct sessions *all, const char *id, const char *owner)
{
    struct session *s = mem_alloc(1, sizeof(*s));
    s->all = all;
    str_fill(s->id, sizeof(s->id), id);
    s->owner = str_copy(owner);
    s->fd = -1;
    s->next = all->list;
    all->list = s;
    all->n++;
    if (!uv_is_active((uv_handle_t *)&all->timer))
        uv_timer_start(&all->timer, on_timer, TICK_MS, TICK_MS);
    return s;
}

struct session *session_find(struct sessions *all, const char *id)
{
    for (struct session *s = all->list; s; s = s->next)
        if (str_equal(s->id, id))
            return s;
    return NULL;
}

/* --- what is asked -----------------------------------------------------------------------------
 */

void session_read(struct session *s, struct api_call *c, const struct session_read_request *r)
{
    uint64_t place = r->place > 0 ? (uint64_t)r->place : 0;
    if (s->reader.call)
        answer_reader(s);
    if (place > s->base && place <= s->base + s->out.len) {
        buf_consume(&s->out, (size_t)(place - s->base));
        s->base = place;
        s->owes_ack = s->exec;
    }
    hold(&s->reader, c, r->wait_ms);
    step(s);
}

void session_write(struct session *s, struct api_call *c, const struct session_write_request *r)
{
    if (r->place < 0 || r->input.len > SESSION_INPUT_MAX || r->rows < 0 || r->rows > UINT16_MAX ||
        r->columns < 0 || r->columns > UINT16_MAX) {
        api_fail_with(c, ERR_INVALID, "session.write: more than %d bytes, or no size of a terminal",
                      SESSION_INPUT_MAX);
        return;
    }
    if (s->writer.call)
        answer_writer(s);
    if (s->phase != SESSION_CONNECTING && (uint64_t)r->place > s->taken) {
        api_fail_with(c, ERR_INVALID, "session.write: there is no input before this");
        return;
    }
    record_release(&session_write_request_type, &s->writing);
    record_copy(&session_write_request_type, r, &s->writing);
    s->resized = false;
    hold(&s->writer, c, r->wait_ms);
    step(s);
}

void session_end(struct session *s, struct api_call *c)
{
    api_reply(c, &(struct empty){0});
    if (s->phase == SESSION_CONNECTING)
        s->end_wanted = true;
    else
        end_now(s);
}
