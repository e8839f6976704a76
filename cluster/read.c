/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linearizable reads without writing (§6.4 of Ongaro's dissertation, "ReadIndex").
 *
 *     consensus_read ──► asked ──next round──► out ──majority──► awaited ──applied──► done ──► cb
 *     consensus_await ──────────────────────────────────────────►
 *
 * A round: the ready leader notes its commit index and asks every voter whether its term is still
 * ours. A majority that says so after the round began never voted in a later term before it began,
 * so nobody else can have committed anything by then, and what was committed is at or below the
 * index that was noted. One round is out at a time; what is asked meanwhile joins the next one. A
 * question that gets lost is asked again every heartbeat; a leader without a majority steps down,
 * which ends the round.
 *
 * Messages, numbers little-endian:
 *
 *     u32 magic "WHQ1" | u32 version | u32 type | u32 zero | u64 term | u64 round
 */
#include "cluster/consensus_internal.h"
#include "store/store.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAGIC = 0x31514857, /* "WHQ1" */
    VERSION = 1,
    TYPE_ASK = 1,
    TYPE_CONFIRM = 2,
    MESSAGE_BYTES = 32,
};

struct read {
    struct read *next;
    int64_t index;
    int code;
    consensus_read_cb cb;
    void *arg;
};

/* --- lists ------------------------------------------------------------------------------------ */

static void push(struct reads *list, struct read *read)
{
    read->next = NULL;
    if (list->last)
        list->last->next = read;
    else
        list->first = read;
    list->last = read;
}

static struct read *pop(struct reads *list)
{
    struct read *read = list->first;
    if (read) {
        list->first = read->next;
        if (!list->first)
            list->last = NULL;
    }
    return read;
}

static void finish(struct consensus *c, struct read *read, int code)
{
    read->code = code;
    push(&c->reads_done, read);
    consensus_wake(c);
}

static void finish_all(struct consensus *c, struct reads *list, int code)
{
    for (struct read *read; (read = pop(list));)
        finish(c, read, code);
}

static struct read *new_read(struct consensus *c, consensus_read_cb cb, void *arg)
{
    struct read *read = mem_alloc(1, sizeof(*read));
    read->cb = cb;
    read->arg = arg;
    c->reads_n++;
    return read;
}

static int refuse(const struct consensus *c)
{
    if (c->phase != RUNNING)
        return ERR_CANCELED;
    return c->reads_n > CONSENSUS_READS_MAX ? ERR_BUSY : 0;
}

void consensus_read(struct consensus *c, consensus_read_cb cb, void *arg)
{
    struct read *read = new_read(c, cb, arg);
    int code = refuse(c);
    if (code == 0 && !consensus_is_ready(c))
        code = ERR_NOTLEADER;
    if (code < 0) {
        finish(c, read, code);
        return;
    }
    push(&c->reads_asked, read);
    consensus_wake(c);
}

void consensus_await(struct consensus *c, int64_t index, consensus_read_cb cb, void *arg)
{
    struct read *read = new_read(c, cb, arg);
    int code = refuse(c);
    read->index = index;
    if (code < 0) {
        finish(c, read, code);
        return;
    }
    push(&c->reads_awaited, read);
    c->reads_awaited_at = 0;
    consensus_wake(c);
}

/* --- a round ---------------------------------------------------------------------------------- */

static void encode(uint32_t type, uint64_t term, uint64_t round, struct buf *out)
{
    buf_reset(out);
    buf_put_u32(out, MAGIC);
    buf_put_u32(out, VERSION);
    buf_put_u32(out, type);
    buf_put_u32(out, 0);
    buf_put_u64(out, term);
    buf_put_u64(out, round);
}

static bool is_voter(const struct raft_server *server)
{
    return server->role == RAFT_VOTER;
}

static bool has_confirmed(struct consensus *c, int64_t id)
{
    return id == c->config.id || shim_peer(c, id)->read_round == c->read_round;
}

/* Ask the voters that did not answer. What cannot be sent is asked again. */
static void ask(struct consensus *c)
{
    const struct raft_configuration *members = &c->raft.configuration;
    encode(TYPE_ASK, c->read_term, c->read_round, &c->message);
    for (unsigned i = 0; i < members->n; i++) {
        int64_t id = (int64_t)members->servers[i].id;
        if (is_voter(&members->servers[i]) && !has_confirmed(c, id))
            gate_send(c, id, false, c->message.data, c->message.len);
    }
    c->read_asked_at = c->io.time(&c->io);
}

static bool has_majority(struct consensus *c)
{
    const struct raft_configuration *members = &c->raft.configuration;
    unsigned voters = 0, confirmed = 0;
    for (unsigned i = 0; i < members->n; i++) {
        if (!is_voter(&members->servers[i]))
            continue;
        voters++;
        confirmed += has_confirmed(c, (int64_t)members->servers[i].id);
    }
    return confirmed > voters / 2;
}

static void end_round(struct consensus *c)
{
    for (struct read *read; (read = pop(&c->reads_out));) {
        read->index = c->read_index;
        push(&c->reads_awaited, read);
    }
    c->reads_awaited_at = 0;
}

static void begin_round(struct consensus *c)
{
    c->reads_out = c->reads_asked;
    c->reads_asked = (struct reads){0};
    c->read_term = c->raft.current_term;
    c->read_index = (int64_t)c->raft.commit_index;
    c->read_round++;
    if (c->hazards.unconfirmed_reads || has_majority(c))
        end_round(c); /* the only voter */
    else
        ask(c);
}

/* Those that wait for an index the store has now. */
static void look_at_awaited(struct consensus *c)
{
    int64_t index = store_index(c->config.store);
    if (!c->reads_awaited.first || index == c->reads_awaited_at)
        return;
    struct reads awaited = c->reads_awaited;
    c->reads_awaited = (struct reads){0};
    c->reads_awaited_at = index;
    for (struct read *read; (read = pop(&awaited));) {
        if (read->index <= index)
            finish(c, read, 0);
        else
            push(&c->reads_awaited, read);
    }
}

void reads_flush(struct consensus *c)
{
    if (!consensus_is_ready(c)) {
        finish_all(c, &c->reads_asked, ERR_NOTLEADER);
        finish_all(c, &c->reads_out, ERR_NOTLEADER);
    } else {
        if (c->reads_out.first && c->read_term != c->raft.current_term)
            finish_all(c, &c->reads_out, ERR_NOTLEADER); /* lost and won again meanwhile */
        if (c->reads_out.first && has_majority(c))
            end_round(c);
        else if (c->reads_out.first &&
                 c->io.time(&c->io) - c->read_asked_at >= c->raft.heartbeat_timeout)
            ask(c);
        if (!c->reads_out.first && c->reads_asked.first)
            begin_round(c);
    }
    look_at_awaited(c);
}

bool reads_deliver(struct consensus *c)
{
    struct reads done = c->reads_done;
    c->reads_done = (struct reads){0};
    bool any = done.first;
    for (struct read *read; (read = pop(&done));) {
        c->reads_n--;
        read->cb(read->arg, read->code, read->index);
        free(read);
    }
    return any;
}

void reads_give_up(struct consensus *c, int code)
{
    finish_all(c, &c->reads_asked, code);
    finish_all(c, &c->reads_out, code);
    finish_all(c, &c->reads_awaited, code);
}

/* --- messages --------------------------------------------------------------------------------- */

static uint64_t get(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | p[n];
    return value;
}

bool reads_is_message(const void *data, size_t len)
{
    return len >= 4 && get(data, 4) == MAGIC;
}

static void on_ask(struct consensus *c, int64_t from, uint64_t term, uint64_t round)
{
    /* In another term there is nothing to say: raft tells whoever is behind. */
    if (term != c->raft.current_term || c->raft.state == RAFT_LEADER)
        return;
    encode(TYPE_CONFIRM, term, round, &c->message);
    gate_send(c, from, false, c->message.data, c->message.len);
}

static void on_confirm(struct consensus *c, int64_t from, uint64_t term, uint64_t round)
{
    if (!c->reads_out.first || term != c->read_term || round != c->read_round)
        return; /* of an earlier round */
    shim_peer(c, from)->read_round = round;
    consensus_wake(c);
}

void reads_receive(struct consensus *c, int64_t from, const void *data, size_t len)
{
    const unsigned char *p = data;
    if (len != MESSAGE_BYTES || get(p + 12, 4) != 0) {
        shim_complain(c, from, "it is no question or answer about our term");
        return;
    }
    uint64_t type = get(p + 8, 4), term = get(p + 16, 8), round = get(p + 24, 8);
    if (get(p + 4, 4) != VERSION)
        shim_complain(c, from, "it asks or answers about our term in another version");
    else if (type == TYPE_ASK)
        on_ask(c, from, term, round);
    else if (type == TYPE_CONFIRM)
        on_confirm(c, from, term, round);
    else
        shim_complain(c, from, "it is no question or answer about our term");
}
