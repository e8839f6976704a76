/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of cluster/bus: two connections between two members that know each other, each in order,
 * one not with the other. A connection that breaks takes with it what is on its way.
 */
#include "sim.h"

#include "cluster/bus.h"
#include "cluster/identity.h"
#include "cluster/wire.h"
#include "node/admission.h"
#include "node/forward.h"
#include "node/heartbeat.h"
#include "node/propose.h"
#include "node/read.h"

enum {
    PARCEL_ASK = 64, /* a stranger's question whether it is a member still, and the answer */
    PARCEL_TOLD,
};

static bool knows(const struct member *m, int64_t id)
{
    return id > 0 && id <= IDS_MAX && m->peers >> id & 1;
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
    if (m->ending || !knows(m, to) || m->sim->links[m->id][to] == LINK_REFUSED ||
        (!m->sim->members[to].running && !m->sim->members[to].dark))
        return ERR_UNAVAILABLE;
    post(m, to, (int)kind, bulk, data, len);
    return 0;
}

bool bus_is_connected(const struct bus *bus, int64_t id)
{
    const struct member *m = bus->member;
    return knows(m, id) && m->sim->links[m->id][id] != LINK_REFUSED && m->sim->members[id].running;
}

void bus_set_peers(struct bus *bus, int64_t self_id, const struct bus_peer *peers, size_t n)
{
    (void)self_id;
    bus->member->peers = 0;
    for (size_t i = 0; i < n; i++)
        bus->member->peers |= UINT64_C(1) << peers[i].id;
}

void bus_step(struct sim *s)
{
    while (s->parcels && s->parcels->due <= s->now) {
        struct parcel *p = s->parcels;
        struct member *to = &s->members[p->to];
        s->parcels = p->next;
        if (!to->running || s->links[p->from][p->to] != LINK_OPEN) {
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
    } else {
        check(str_equal(call.verb, "member.propose"));
        propose_on_call(m->d->propose, from, &call, on_served, served);
    }
    record_release(&call_type, &call);
}

/* --- a member that asks whether it is one still, as node/join.c answers ------------------------
 */

bool identity_ca_hash(const struct identity *identity, unsigned char out[32])
{
    (void)identity;
    memset(out, 0, 32);
    return true;
}

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
    if (!knows(m, p->from))
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

/* --- connections that break ------------------------------------------------------------------- */

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
    if (!m->running || m->ending || !knows(m, id))
        return;
    clock_enter(m->sim, m);
    uv_update_time(&m->d->loop);
    forward_on_down(m->d->forward, id);
    member_wake(m);
    clock_enter(m->sim, NULL);
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
    for (int id = 1; id <= s->n && !m->dark; id++)
        if (id != m->id)
            tell_down(&s->members[id], m->id);
}

void bus_on_start(struct member *m)
{
    struct sim *s = m->sim;
    drop(s, m->id, 0);
    for (int id = 1; id <= s->n; id++)
        if (id != m->id)
            tell_down(&s->members[id], m->id);
}

void bus_reset(struct sim *s, int64_t a, int64_t b)
{
    drop(s, a, b);
    drop(s, b, a);
    tell_down(&s->members[a], b);
    tell_down(&s->members[b], a);
}

void bus_free(struct sim *s)
{
    drop(s, 0, 0);
}
