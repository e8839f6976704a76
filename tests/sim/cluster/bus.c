/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of cluster/bus: two connections between two members that know each other, each in order,
 * one not with the other. A connection that breaks takes with it what is on its way.
 */
#include "sim.h"

#include "cluster/bus.h"
#include "cluster/wire.h"
#include "node/addresses.h"
#include "node/admission.h"
#include "node/clocks.h"
#include "node/forward.h"
#include "node/heartbeat.h"
#include "node/introduce.h"
#include "node/propose.h"
#include "node/read.h"

enum {
    PARCEL_ASK = 64, /* a stranger's question whether it is a member still, and the answer */
    PARCEL_TOLD,
    DIAL_MS = 500,    /* between two attempts, at most */
    SILENT_MS = 5000, /* then a connection is given up */
};

static bool has_bit(uint64_t bits, int64_t id)
{
    return id > 0 && id <= IDS_MAX && bits >> id & 1;
}

static uint64_t bit(int64_t id)
{
    return UINT64_C(1) << id;
}

static void enqueue(struct sim *s, struct parcel *p)
{
    struct parcel **at = &s->parcels;
    raft_time *last = &s->last_due[p->from][p->to][p->lane];
    p->due = s->now + 1 + sim_below(s, s->latency_ms);
    if (p->due < *last)
        p->due = *last;
    *last = p->due;
    while (*at && (*at)->due <= p->due)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
}

static void post(struct member *from, int64_t to, int kind, bool bulk, const void *data, size_t len)
{
    struct sim *s = from->sim;
    bool doubled = sim_chance(s, s->doubles_percent);
    s->stats.messages++;
    if (s->links[from->id][to] != LINK_OPEN || s->members[to].dark ||
        sim_chance(s, s->loss_percent)) {
        s->stats.lost++;
        return;
    }
    s->stats.doubled += doubled;
    for (int i = 0; i <= doubled; i++) {
        struct parcel *p = mem_alloc(1, sizeof(*p) + len);
        p->from = from->id;
        p->to = to;
        p->kind = kind;
        p->lane = bulk ? BUS_BULK : BUS_CONTROL;
        p->len = len;
        if (len)
            memcpy(p->data, data, len);
        enqueue(s, p);
    }
}

int bus_send(struct bus *bus, int64_t to, enum bus_kind kind, bool bulk, const void *data,
             size_t len)
{
    struct member *m = bus->member;
    if (m->ending || !has_bit(m->up, to))
        return ERR_UNAVAILABLE;
    post(m, to, (int)kind, bulk, data, len);
    return 0;
}

bool bus_is_connected(const struct bus *bus, int64_t id)
{
    return has_bit(bus->member->up, id);
}

void bus_set_peers(struct bus *bus, int64_t self_id, const struct bus_peer *peers, size_t n)
{
    (void)self_id;
    bus->member->peers = 0;
    for (size_t i = 0; i < n; i++)
        bus->member->peers |= bit(peers[i].id);
}

static void move_due(struct sim *s)
{
    while (s->parcels && s->parcels->due <= s->now) {
        struct parcel *p = s->parcels;
        struct member *to = &s->members[p->to];
        s->parcels = p->next;
        if (!to->running || s->links[p->from][p->to] != LINK_OPEN ||
            (p->kind <= (int)BUS_KIND_LAST && !has_bit(to->up, p->from))) {
            s->stats.lost++;
            free(p);
            continue;
        }
        p->next = NULL;
        *to->inbox_end = p;
        to->inbox_end = &p->next;
    }
}

/* --- a call, as node/api.c takes it ----------------------------------------------------------- */

struct served {
    struct member *member;
    struct daemon *daemon; /* that was asked: another one after a restart says nothing */
    int64_t from, id;
};

static void on_served(void *arg, const struct reply *reply)
{
    struct served *served = arg;
    struct reply copy = *reply;
    cleanup_buf struct buf message = BUF_INIT;
    copy.id = served->id;
    record_encode(&reply_type, &copy, &message);
    if (served->member->d == served->daemon)
        bus_send(&served->member->bus, served->from, BUS_REPLY, false, message.data, message.len);
    free(served);
}

static void take_call(struct member *m, int64_t from, const void *data, size_t len)
{
    struct call call;
    struct err err;
    if (record_decode(&call_type, data, len, false, &call, &err) < 0)
        sim_violation(m->sim, "a call cannot be read: %s", err.msg);
    struct served proto = {.member = m, .daemon = m->d, .from = from, .id = call.id};
    struct served *served = mem_copy(&proto, sizeof(proto));
    if (str_equal(call.verb, "member.read_index")) {
        read_barrier_on_call(m->d->read, on_served, served);
    } else if (str_equal(call.verb, "member.introduce")) {
        introduce_on_call(m->d, on_served, served);
    } else {
        check(str_equal(call.verb, "member.propose"));
        propose_on_call(m->d->propose, from, &call, on_served, served);
    }
    record_release(&call_type, &call);
}

/* --- a member that asks whether it is one still, as node/join.c answers ------------------------
 */

struct question {
    bus_join_cb cb;
    void *arg;
    const struct daemon *daemon;
};

void bus_join(struct bus *bus, const char *address, const unsigned char ca_hash[32],
              const void *data, size_t len, bus_join_cb cb, void *arg)
{
    struct member *m = bus->member;
    struct question question = {.cb = cb, .arg = arg, .daemon = m->d};
    (void)ca_hash, (void)data, (void)len;
    for (int to = 1; to <= m->sim->n; to++)
        if (to != m->id && m->sim->members[to].running &&
            str_equal(m->sim->members[to].address, address))
            post(m, to, PARCEL_ASK, false, &question, sizeof(question));
}

static void answer_question(struct member *m, const struct parcel *p)
{
    struct node node;
    if (!daemon_is_synced(m->d))
        return;
    if (store_get(m->d->store, TABLE_NODE, p->from, &node) < 0)
        post(m, p->from, PARCEL_TOLD, false, p->data, p->len);
    else
        record_release(&node_type, &node);
}

static void take_answer(struct member *m, const struct parcel *p)
{
    struct welcome w = {.code = -ERR_NOTFOUND, .message = (char[]){"no member any more"}};
    struct err none = {0};
    struct question question;
    cleanup_buf struct buf message = BUF_INIT;
    memcpy(&question, p->data, sizeof(question));
    if (question.daemon != m->d)
        return;
    record_encode(&welcome_type, &w, &message);
    question.cb(question.arg, &none, message.data, message.len);
}

/* --- delivery --------------------------------------------------------------------------------- */

static void open_parcel(struct member *m, const struct parcel *p)
{
    struct sim *s = m->sim;
    if (p->kind == PARCEL_ASK || p->kind == PARCEL_TOLD) {
        if (p->kind == PARCEL_ASK)
            answer_question(m, p);
        else
            take_answer(m, p);
        return;
    }
    if (!has_bit(m->peers, p->from))
        return;
    sim_trace_number(s, (int64_t)s->now);
    sim_trace_number(s, p->from << 16 | p->to << 8 | p->kind);
    sim_trace(s, p->data, p->len);
    switch ((enum bus_kind)p->kind) {
    case BUS_RAFT:
        consensus_receive(m->d->consensus, p->from, p->data, p->len);
        break;
    case BUS_HEARTBEAT:
        heartbeat_on_message(m->d->heartbeat, p->from, p->data, p->len);
        break;
    case BUS_CALL:
        take_call(m, p->from, p->data, p->len);
        break;
    case BUS_REPLY:
        forward_on_reply(m->d->forward, p->from, p->data, p->len);
        break;
    case BUS_BOOK:
        addresses_on_message(m->d->addresses, p->from, p->data, p->len);
        break;
    case BUS_CLOCK:
        clocks_on_message(m->d->clocks, p->from, p->data, p->len);
        break;
    }
}

void bus_deliver(struct member *m)
{
    while (m->inbox) {
        struct parcel *p = m->inbox;
        m->inbox = p->next;
        if (!m->inbox)
            m->inbox_end = &m->inbox;
        open_parcel(m, p);
        free(p);
    }
}

/* --- connections ------------------------------------------------------------------------------ */

/* Drop what goes from @from to @to (0: to or from whomever). */
static void drop(struct sim *s, int64_t from, int64_t to)
{
    for (struct parcel **at = &s->parcels; *at;) {
        struct parcel *p = *at;
        if ((from && p->from != from) || (to && p->to != to)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        s->stats.lost++;
        free(p);
    }
}

static void tell_down(struct member *m, int64_t id)
{
    if (!has_bit(m->up, id))
        return;
    m->up &= ~bit(id);
    if (!m->running || m->ending)
        return;
    clock_enter(m->sim, m);
    uv_update_time(&m->d->loop);
    clocks_on_peer(m->d->clocks, id, false);
    forward_on_down(m->d->forward, id);
    clock_enter(m->sim, NULL);
    member_wake(m);
}

static void tell_up(struct member *m, int64_t id)
{
    m->up |= bit(id);
    clock_enter(m->sim, m);
    uv_update_time(&m->d->loop);
    clocks_on_peer(m->d->clocks, id, true);
    addresses_on_up(m->d->addresses, id);
    clock_enter(m->sim, NULL);
    member_wake(m);
}

void bus_reset(struct sim *s, int64_t a, int64_t b)
{
    drop(s, a, b);
    drop(s, b, a);
    tell_down(&s->members[a], b);
    tell_down(&s->members[b], a);
    raft_time *dial_at = &s->dial_at[a < b ? a : b][a < b ? b : a];
    *dial_at = s->now + 1 + sim_below(s, DIAL_MS);
}

static bool is_silent(const struct sim *s, int64_t a, int64_t b)
{
    return s->links[a][b] == LINK_SILENT && s->now - s->link_since[a][b] > SILENT_MS;
}

/* Dial, or give up. */
static void look_after(struct sim *s, struct member *a, struct member *b)
{
    bool known = has_bit(a->peers, b->id) && has_bit(b->peers, a->id);
    if (has_bit(a->up, b->id) && has_bit(b->up, a->id)) {
        if (!known || is_silent(s, a->id, b->id) || is_silent(s, b->id, a->id))
            bus_reset(s, a->id, b->id);
        return;
    }
    if (!known || !a->running || !b->running || s->now < s->dial_at[a->id][b->id] ||
        s->now < a->paused_until || s->now < b->paused_until)
        return;
    s->dial_at[a->id][b->id] = s->now + 1 + sim_below(s, DIAL_MS);
    if (s->links[a->id][b->id] != LINK_OPEN || s->links[b->id][a->id] != LINK_OPEN)
        return;
    tell_down(a, b->id); /* it may not know that the other one was away */
    tell_down(b, a->id);
    tell_up(a, b->id);
    tell_up(b, a->id);
}

void bus_step(struct sim *s)
{
    move_due(s);
    for (int a = 1; a <= s->n; a++)
        for (int b = a + 1; b <= s->n; b++)
            if (s->members[a].peers && s->members[b].peers)
                look_after(s, &s->members[a], &s->members[b]);
}

void bus_on_crash(struct member *m)
{
    struct sim *s = m->sim;
    drop(s, 0, m->id);
    while (m->inbox) {
        struct parcel *p = m->inbox;
        m->inbox = p->next;
        free(p);
    }
    m->inbox_end = &m->inbox;
    m->peers = m->up = 0;
    for (int id = 1; id <= s->n && !m->dark; id++)
        tell_down(&s->members[id], m->id);
}

void bus_on_start(struct member *m)
{
    drop(m->sim, m->id, 0);
}

void bus_free(struct sim *s)
{
    drop(s, 0, 0);
}
