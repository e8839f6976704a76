/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of incarnation.h between connections.
 *
 * What comes in only notes what it says and wakes the bus's timer; vouch_check_due() judges. So
 * nothing is closed or let in from inside the end of another connection.
 */
#include "cluster/bus_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* FRAME_WHO, FRAME_WHO_IS and FRAME_HOLDS. */
struct who {
    int64_t id;        /* the member it is about */
    int64_t candidate; /* WHO: the incarnation that asks to be let in; WHO_IS: likewise */
    int64_t alive;     /* WHO_IS, HOLDS: the one that is connected; 0: none */
    int64_t age_ms;    /* HOLDS: for how long it has been the one */
    char *host;        /* where the one that is alive is */
};

static const struct field who_fields[] = {
    FIELD_INT(struct who, id),     FIELD_INT(struct who, candidate), FIELD_INT(struct who, alive),
    FIELD_INT(struct who, age_ms), FIELD_STRING(struct who, host),
};
static const struct record_type who_type = RECORD_TYPE("who", struct who, who_fields);

/* FRAME_REFUSED. */
struct refusal {
    char *host; /* where the other one is */
};

static const struct field refusal_fields[] = {
    FIELD_STRING(struct refusal, host),
};
static const struct record_type refusal_type =
    RECORD_TYPE("refusal", struct refusal, refusal_fields);

enum {
    HOST_MAX = 63,
};

/* --- small parts ---------------------------------------------------------------------------- */

static struct conn *control_of(const struct peer *p)
{
    return p->channels[CHANNEL_CONTROL].conn;
}

static bool is_alive(const struct peer *p)
{
    return control_of(p) || p->channels[CHANNEL_BULK].conn;
}

static void say(struct conn *c, unsigned kind, const struct who *who)
{
    cleanup_buf struct buf out = BUF_INIT;
    record_encode(&who_type, who, &out);
    conn_queue(c, kind, out.data, out.len);
}

/* The host of "10.0.0.3:7400" and "[fd00::3]:7400". */
static void note_host(struct peer *p, const char *remote)
{
    str_fill(p->host, sizeof(p->host), remote);
    char *colon = strrchr(p->host, ':');
    if (colon)
        *colon = '\0';
}

/* Tell the other side of @c that it is a copy; it is closed a little later. */
static void refuse(struct conn *c)
{
    struct peer *p = c->peer;
    cleanup_buf struct buf out = BUF_INIT;
    struct refusal refusal = {.host = p->host};
    if (peer_may_warn(p, c->bus))
        log_error("bus",
                  "n%" PRId64 " is alive twice: the one at %s was there first, the one at %s is "
                  "refused. Its disk is a copy: it must be stopped and its data folder deleted",
                  p->id, p->host, c->remote);
    record_encode(&refusal_type, &refusal, &out);
    conn_queue(c, FRAME_REFUSED, out.data, out.len);
    /* Down first, so that nothing is expected of it any more. */
    c->state = CONN_REFUSED;
    peer_on_closed(c, "it is alive twice");
    c->deadline_ms = bus_now(c->bus) + LAME_MS;
    bus_schedule(c->bus);
}

/* A connection on which @p hears us: it may still wait for our verdict, but then it has our hello
 * if we dialled. Two that wait for each other's word would wait in vain otherwise. */
static struct conn *hearing(const struct bus *bus, const struct peer *p)
{
    if (control_of(p))
        return control_of(p);
    for (struct conn *c = bus->conns; c; c = c->next)
        if (c->peer == p && c->state == CONN_WAIT && !c->accepted)
            return c;
    return NULL;
}

/* Answer those who asked about @p: its current process is alive or it is not. */
static void answer_askers(struct bus *bus, struct peer *p, bool alive)
{
    for (size_t i = 0; i < p->askers_n; i++) {
        const struct peer *to = peer_find(bus, p->askers[i].member);
        struct conn *c = to ? hearing(bus, to) : NULL;
        if (c)
            say(c, FRAME_WHO_IS,
                &(struct who){.id = p->id,
                              .candidate = (int64_t)p->askers[i].candidate,
                              .alive = alive ? (int64_t)p->who.current : 0,
                              .host = alive ? p->host : NULL});
    }
    p->askers_n = 0;
}

static void ping(struct bus *bus, struct peer *p)
{
    if (p->pinged || !is_alive(p))
        return;
    p->pinged = true;
    p->ping_until_ms = bus_now(bus) + INCARNATION_PROBE_MS;
    struct conn *c = control_of(p) ? control_of(p) : p->channels[CHANNEL_BULK].conn;
    conn_queue(c, FRAME_PING, NULL, 0);
    bus_schedule(bus);
}

/* --- whom to let in -------------------------------------------------------------------------- */

static void hold_back(struct conn *c, int64_t until_ms)
{
    c->state = CONN_WAIT;
    c->deadline_ms = until_ms;
    c->message_max = HELD_MAX;
    bus_schedule(c->bus);
}

static void begin_inquiry(struct conn *c)
{
    struct bus *bus = c->bus;
    struct peer *p = c->peer;
    int64_t asked[INCARNATION_ASKED_MAX];
    size_t n = 0;
    for (struct peer *other = bus->peers; other && n < INCARNATION_ASKED_MAX; other = other->next) {
        if (other == p || !control_of(other))
            continue;
        asked[n++] = other->id;
        say(control_of(other), FRAME_WHO,
            &(struct who){.id = p->id, .candidate = (int64_t)c->incarnation});
    }
    incarnation_ask(&p->who, c->incarnation, is_alive(p), asked, n, bus_now(bus));
    ping(bus, p);
}

bool vouch_hello(struct conn *c)
{
    struct bus *bus = c->bus;
    struct peer *p = c->peer;
    int64_t now = bus_now(bus);
    switch (incarnation_met(&p->who, c->incarnation, now)) {
    case INCARNATION_ACCEPT:
        return true;
    case INCARNATION_REFUSE:
        refuse(c);
        return false;
    case INCARNATION_PROVE:
        c->proving = true;
        conn_queue(c, FRAME_PING, NULL, 0);
        hold_back(c, now + INCARNATION_PROBE_MS);
        return false;
    case INCARNATION_ASK:
        break;
    }
    if (p->who.inquiry.candidate == 0) {
        begin_inquiry(c);
        int64_t next_ms;
        if (incarnation_judge(&p->who, now, &next_ms) == INCARNATION_ACCEPT) {
            /* Nobody to ask. */
            incarnation_accept(&p->who, c->incarnation, now);
            note_host(p, c->remote);
            return true;
        }
    } else if (p->who.inquiry.candidate != c->incarnation) {
        conn_close(c, "another one is being looked at");
        return false;
    }
    hold_back(c, now + INCARNATION_ASK_MS + LAME_MS);
    return false;
}

/* The current process of @p is another one than it was: let its connections in. */
static void let_in(struct bus *bus, struct peer *p)
{
    p->pinged = false;
    answer_askers(bus, p, false);
    for (struct conn *c = bus->conns; c; c = c->next) {
        if (c->peer != p || c->state != CONN_WAIT || c->incarnation != p->who.current)
            continue;
        note_host(p, c->remote);
        peer_settle(c);
    }
}

static void close_others(struct bus *bus, struct peer *p, bool copies)
{
    for (struct conn *c = bus->conns; c; c = c->next) {
        if (c->peer != p || c->incarnation == 0 || c->incarnation == p->who.current ||
            c->state == CONN_REFUSED)
            continue;
        if (copies)
            refuse(c);
        else
            conn_close(c, "it was started anew");
    }
}

static void judge(struct bus *bus, struct peer *p, int64_t *next_ms)
{
    int64_t at_ms = 0;
    uint64_t candidate = p->who.inquiry.candidate;
    switch (incarnation_judge(&p->who, bus_now(bus), &at_ms)) {
    case INCARNATION_ACCEPT:
        incarnation_accept(&p->who, candidate, bus_now(bus));
        close_others(bus, p, false);
        let_in(bus, p);
        break;
    case INCARNATION_REFUSE:
        incarnation_refuse(&p->who, bus_now(bus));
        for (struct conn *c = bus->conns; c; c = c->next)
            if (c->peer == p && c->state == CONN_WAIT && c->incarnation == candidate)
                refuse(c);
        break;
    case INCARNATION_ASK:
    case INCARNATION_PROVE:
        bus_earlier(next_ms, at_ms);
        break;
    }
}

void vouch_check_due(struct bus *bus, int64_t *next_ms)
{
    for (struct peer *p = bus->peers; p; p = p->next) {
        if (p->pinged && bus_now(bus) >= p->ping_until_ms) {
            p->pinged = false;
            answer_askers(bus, p, false);
        }
        if (p->pinged)
            bus_earlier(next_ms, p->ping_until_ms);
        if (p->who.inquiry.candidate != 0)
            judge(bus, p, next_ms);
    }
}

/* --- what comes in --------------------------------------------------------------------------- */

static void on_pong(struct conn *c)
{
    struct bus *bus = c->bus;
    struct peer *p = c->peer;
    if (c->state == CONN_WAIT && c->proving) {
        /* It was replaced and is alive all the same: there are two, and it is the elder. */
        incarnation_oust(&p->who, c->incarnation, bus_now(bus));
        note_host(p, c->remote);
        close_others(bus, p, true);
        let_in(bus, p);
        return;
    }
    if (c->incarnation != p->who.current || !p->pinged)
        return;
    p->pinged = false;
    incarnation_pong(&p->who);
    answer_askers(bus, p, true);
    bus_schedule(bus);
}

static void on_who(struct conn *c, const struct who *who)
{
    struct bus *bus = c->bus;
    struct peer *p = peer_find(bus, who->id);
    if (!p || p == c->peer || p->askers_n == ASKERS_MAX)
        return;
    p->askers[p->askers_n++] =
        (struct asker){.member = c->peer->id, .candidate = (uint64_t)who->candidate};
    if (is_alive(p) && p->who.current != (uint64_t)who->candidate)
        ping(bus, p);
    else
        answer_askers(bus, p, is_alive(p));
}

/* The elder one that another member holds is alive there: ours is the copy. */
static void yield(struct peer *p, struct bus *bus, const char *host)
{
    int64_t now = bus_now(bus);
    if (!incarnation_yields(&p->who, p->claim.incarnation, now - p->claim.since_ms, now))
        return;
    str_fill(p->host, sizeof(p->host), str_or_empty(host));
    close_others(bus, p, true);
}

static void on_who_is(struct conn *c, const struct who *who)
{
    struct peer *p = peer_find(c->bus, who->id);
    if (p && p->claim.incarnation != 0 && p->claim.incarnation == (uint64_t)who->alive &&
        p->who.current == (uint64_t)who->candidate && is_alive(p))
        yield(p, c->bus, who->host);
    if (!p || p->who.inquiry.candidate == 0 || p->who.inquiry.candidate != (uint64_t)who->candidate)
        return;
    incarnation_answer(&p->who, c->peer->id, (uint64_t)who->alive);
    if (who->alive != 0 && !is_alive(p))
        str_fill(p->host, sizeof(p->host), str_or_empty(who->host));
    bus_schedule(c->bus);
}

/* A connection to a machine that died stands for seconds: ask whether that one still answers. */
static void on_holds(struct conn *c, const struct who *who)
{
    struct peer *p = peer_find(c->bus, who->id);
    int64_t now = bus_now(c->bus);
    if (!p || p == c->peer || !is_alive(p) || who->age_ms < 0)
        return;
    if (!incarnation_is_elder(&p->who, (uint64_t)who->alive, who->age_ms, now))
        return;
    p->claim.incarnation = (uint64_t)who->alive;
    p->claim.since_ms = now - who->age_ms;
    say(c, FRAME_WHO, &(struct who){.id = p->id, .candidate = (int64_t)p->who.current});
}

static void on_refusal(struct conn *c, const void *data, size_t len)
{
    const struct bus_config *config = &c->bus->config;
    struct refusal r;
    struct err err;
    char host[HOST_MAX + 1];
    if (record_decode(&refusal_type, data, len, false, &r, &err) < 0) {
        conn_close(c, "%s", err.msg);
        return;
    }
    str_fill(host, sizeof(host), str_or_empty(r.host));
    record_release(&refusal_type, &r);
    c->refused = true;
    if (config->on_refused)
        config->on_refused(config->arg, c->peer->id, host);
    conn_close(c, "it holds that we are a copy");
}

/* Keep a frame until @c is let in. */
static void hold(struct conn *c, unsigned kind, const void *data, size_t len)
{
    uint32_t kind32 = kind;
    uint64_t len64 = len;
    if (len > HELD_MAX || c->held.len > HELD_MAX) {
        conn_close(c, "it said too much before it was let in");
        return;
    }
    buf_append(&c->held, &kind32, sizeof(kind32));
    buf_append(&c->held, &len64, sizeof(len64));
    buf_append(&c->held, data, len);
}

bool vouch_frame(struct conn *c, unsigned kind, const void *data, size_t len)
{
    struct who who;
    struct err err;
    if (c->state == CONN_REFUSED)
        return true;
    switch (kind) {
    case FRAME_PING:
        if (c->queued + c->in_flight < BUS_CONTROL_QUEUE_MAX)
            conn_queue(c, FRAME_PONG, NULL, 0);
        return true;
    case FRAME_PONG:
        on_pong(c);
        return true;
    case FRAME_REFUSED:
        on_refusal(c, data, len);
        return true;
    case FRAME_WHO:
    case FRAME_WHO_IS:
    case FRAME_HOLDS:
        if (c->state != CONN_UP && (c->state != CONN_WAIT || kind != FRAME_WHO))
            break;
        if (record_decode(&who_type, data, len, false, &who, &err) < 0) {
            conn_close(c, "%s", err.msg);
            return true;
        }
        if (kind == FRAME_WHO)
            on_who(c, &who);
        else if (kind == FRAME_WHO_IS)
            on_who_is(c, &who);
        else
            on_holds(c, &who);
        record_release(&who_type, &who);
        return true;
    default:
        break;
    }
    if (c->state != CONN_WAIT)
        return false;
    hold(c, kind, data, len);
    return true;
}

/* --- up and down ------------------------------------------------------------------------------ */

void vouch_on_up(struct peer *p, struct bus *bus)
{
    struct conn *c = control_of(p);
    for (const struct peer *other = bus->peers; other && c; other = other->next)
        if (other != p && is_alive(other) && other->who.current != 0)
            say(c, FRAME_HOLDS,
                &(struct who){.id = other->id,
                              .alive = (int64_t)other->who.current,
                              .age_ms = bus_now(bus) - other->who.since_ms,
                              .host = (char *)(uintptr_t)other->host});
}

void vouch_on_down(struct peer *p, struct bus *bus)
{
    if (!control_of(p))
        for (struct peer *other = bus->peers; other; other = other->next)
            incarnation_answer(&other->who, p->id, 0);
    if (is_alive(p))
        return;
    p->pinged = false;
    incarnation_gone(&p->who);
    answer_askers(bus, p, false);
    bus_schedule(bus);
}
