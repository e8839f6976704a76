/* SPDX-License-Identifier: Apache-2.0 */
#include "node/blob_plan.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>

/* --- pieces ----------------------------------------------------------------------------------- */

static size_t piece_len(const struct blob_plan *plan, size_t i)
{
    int64_t left = plan->size - (int64_t)i * BLOB_PIECE;
    return left < BLOB_PIECE ? (size_t)left : BLOB_PIECE;
}

static void note_done(struct blob_plan *plan, size_t i, size_t origin)
{
    plan->pieces[i].done = true;
    plan->pieces[i].filled = true;
    plan->pieces[i].origin = (unsigned char)origin;
    plan->done_n++;
    while (plan->first_open < plan->pieces_n && plan->pieces[plan->first_open].done)
        plan->first_open++;
}

static void want_again(struct blob_plan *plan, size_t i)
{
    if (!plan->pieces[i].done)
        return;
    plan->pieces[i].done = false;
    plan->done_n--;
    if (i < plan->first_open)
        plan->first_open = i;
}

void blob_plan_init(struct blob_plan *plan, int64_t size, int64_t have)
{
    *plan = (struct blob_plan){.size = size};
    check(size >= 0 && have >= 0);
    plan->pieces_n = (size_t)((size + BLOB_PIECE - 1) / BLOB_PIECE);
    plan->pieces = mem_alloc(plan->pieces_n + 1, sizeof(*plan->pieces));
    for (size_t i = 0; i < plan->pieces_n; i++) {
        if ((int64_t)i * BLOB_PIECE + (int64_t)piece_len(plan, i) > have)
            break;
        note_done(plan, i, 0);
    }
}

void blob_plan_release(struct blob_plan *plan)
{
    free(plan->pieces);
    *plan = (struct blob_plan){0};
}

bool blob_plan_is_whole(const struct blob_plan *plan)
{
    return plan->done_n == plan->pieces_n;
}

int64_t blob_plan_bytes(const struct blob_plan *plan)
{
    int64_t bytes = (int64_t)plan->done_n * BLOB_PIECE;
    if (plan->pieces_n > 0 && plan->pieces[plan->pieces_n - 1].done)
        bytes -= BLOB_PIECE - (int64_t)piece_len(plan, plan->pieces_n - 1);
    return bytes;
}

int64_t blob_plan_prefix(const struct blob_plan *plan)
{
    int64_t bytes = (int64_t)plan->first_open * BLOB_PIECE;
    return bytes < plan->size ? bytes : plan->size;
}

int64_t blob_plan_only_origin(const struct blob_plan *plan)
{
    size_t origin = plan->pieces_n ? plan->pieces[0].origin : 0;
    for (size_t i = 1; i < plan->pieces_n; i++)
        if (plan->pieces[i].origin != origin)
            return 0;
    return origin ? plan->peers[origin - 1].id : 0;
}

/* --- members ---------------------------------------------------------------------------------- */

static struct blob_peer *find_peer(struct blob_plan *plan, int64_t id)
{
    for (size_t i = 0; i < plan->peers_n; i++)
        if (plan->peers[i].id == id)
            return &plan->peers[i];
    return NULL;
}

void blob_plan_add(struct blob_plan *plan, int64_t id)
{
    if (find_peer(plan, id) || plan->peers_n == BLOB_PEERS_MAX)
        return;
    plan->peers[plan->peers_n++] = (struct blob_peer){.id = id};
}

static bool may_ask(const struct blob_plan *plan, size_t i)
{
    return !plan->peers[i].out && (plan->solo == 0 || plan->solo == i + 1);
}

bool blob_plan_is_stuck(const struct blob_plan *plan)
{
    for (size_t i = 0; i < plan->peers_n; i++)
        if (may_ask(plan, i))
            return false;
    return !blob_plan_is_whole(plan);
}

void blob_plan_ban(struct blob_plan *plan, int64_t id)
{
    struct blob_peer *peer = find_peer(plan, id);
    if (!peer)
        return;
    peer->out = peer->bad = true;
    size_t origin = (size_t)(peer - plan->peers) + 1;
    for (size_t i = 0; i < plan->pieces_n; i++)
        if (plan->pieces[i].origin == origin)
            want_again(plan, i);
    plan->solo = 0;
}

int64_t blob_plan_solo(struct blob_plan *plan)
{
    size_t best = 0;
    plan->solo = 0;
    for (size_t i = 0; i < plan->peers_n; i++)
        if (may_ask(plan, i) && (!best || plan->peers[i].bytes > plan->peers[best - 1].bytes))
            best = i + 1;
    if (!best)
        return 0;
    plan->solo = best;
    for (size_t i = 0; i < plan->pieces_n; i++)
        if (plan->pieces[i].origin != best)
            want_again(plan, i);
    return plan->peers[best - 1].id;
}

/* --- questions -------------------------------------------------------------------------------- */

/* The member to ask, with the fewest pieces on their way, of these the one that sent least; not one
 * that was asked for @piece already. peers_n: none. */
static size_t choose_peer(const struct blob_plan *plan, size_t piece, int64_t now_ms)
{
    size_t best = plan->peers_n;
    for (size_t i = 0; i < plan->peers_n; i++) {
        const struct blob_peer *p = &plan->peers[i];
        bool asked = false;
        for (size_t k = 0; k < BLOB_FLIGHT; k++)
            asked |= plan->flights[k].tag && plan->flights[k].peer == i &&
                     plan->flights[k].piece == piece;
        if (asked || !may_ask(plan, i) || p->pause_until_ms > now_ms ||
            p->in_flight >= (p->strikes ? 1 : BLOB_PEER_FLIGHT))
            continue;
        const struct blob_peer *b = best < plan->peers_n ? &plan->peers[best] : NULL;
        if (!b || p->in_flight < b->in_flight ||
            (p->in_flight == b->in_flight && p->bytes < b->bytes))
            best = i;
    }
    return best;
}

/* The first piece that nobody was asked for; pieces_n: none. */
static size_t first_unasked(const struct blob_plan *plan)
{
    size_t i = plan->first_open;
    while (i < plan->pieces_n && (plan->pieces[i].done || plan->pieces[i].asked > 0))
        i++;
    return i;
}

/* The piece that has been asked for the longest, by one question and for some time. */
static size_t slowest(const struct blob_plan *plan, int64_t now_ms)
{
    const struct blob_flight *oldest = NULL;
    for (size_t k = 0; k < BLOB_FLIGHT; k++) {
        const struct blob_flight *f = &plan->flights[k];
        if (f->tag && !plan->pieces[f->piece].done && plan->pieces[f->piece].asked == 1 &&
            now_ms - f->at_ms >= BLOB_AGAIN_MS && (!oldest || f->at_ms < oldest->at_ms))
            oldest = f;
    }
    return oldest ? oldest->piece : plan->pieces_n;
}

bool blob_plan_next(struct blob_plan *plan, int64_t now_ms, struct blob_question *ret)
{
    struct blob_flight *f = NULL;
    for (size_t k = 0; k < BLOB_FLIGHT && !f; k++)
        if (!plan->flights[k].tag)
            f = &plan->flights[k];
    if (!f)
        return false;
    size_t piece = first_unasked(plan);
    if (piece == plan->pieces_n)
        piece = slowest(plan, now_ms);
    size_t peer = piece < plan->pieces_n ? choose_peer(plan, piece, now_ms) : plan->peers_n;
    if (peer == plan->peers_n)
        return false;
    *f = (struct blob_flight){
        .tag = ++plan->last_tag, .piece = piece, .peer = peer, .at_ms = now_ms};
    plan->pieces[piece].asked++;
    plan->peers[peer].in_flight++;
    *ret = (struct blob_question){.tag = f->tag,
                                  .to = plan->peers[peer].id,
                                  .offset = (int64_t)piece * BLOB_PIECE,
                                  .len = piece_len(plan, piece)};
    return true;
}

/* Take question @tag off the list; false when it is not on it. */
static bool land(struct blob_plan *plan, uint64_t tag, struct blob_flight *ret)
{
    for (size_t k = 0; k < BLOB_FLIGHT; k++) {
        struct blob_flight *f = &plan->flights[k];
        if (tag == 0 || f->tag != tag)
            continue;
        *ret = *f;
        f->tag = 0;
        plan->pieces[ret->piece].asked--;
        plan->peers[ret->peer].in_flight--;
        return true;
    }
    return false;
}

size_t blob_plan_expects(const struct blob_plan *plan, uint64_t tag)
{
    for (size_t k = 0; k < BLOB_FLIGHT; k++)
        if (tag && plan->flights[k].tag == tag)
            return piece_len(plan, plan->flights[k].piece);
    return 0;
}

bool blob_plan_done(struct blob_plan *plan, uint64_t tag, struct blob_place *ret)
{
    struct blob_flight f;
    if (!land(plan, tag, &f))
        return false;
    struct blob_peer *peer = &plan->peers[f.peer];
    peer->strikes = 0;
    if (plan->pieces[f.piece].done || !may_ask(plan, f.peer))
        return false;
    const struct blob_piece *piece = &plan->pieces[f.piece];
    *ret = (struct blob_place){
        .offset = (int64_t)f.piece * BLOB_PIECE,
        .len = piece_len(plan, f.piece),
        .before = piece->filled && piece->origin ? plan->peers[piece->origin - 1].id : 0};
    peer->bytes += (int64_t)ret->len;
    note_done(plan, f.piece, f.peer + 1);
    return true;
}

void blob_plan_failed(struct blob_plan *plan, uint64_t tag, enum blob_failure failure,
                      int64_t now_ms)
{
    struct blob_flight f;
    if (!land(plan, tag, &f))
        return;
    struct blob_peer *peer = &plan->peers[f.peer];
    switch (failure) {
    case BLOB_BUSY:
        peer->pause_until_ms = now_ms + BLOB_PAUSE_MS;
        break;
    case BLOB_LOST:
        peer->pause_until_ms = now_ms + BLOB_PAUSE_MS;
        if (f.at_ms >= peer->struck_ms) { /* several that were on their way together count once */
            peer->struck_ms = now_ms + 1;
            peer->out |= ++peer->strikes >= BLOB_STRIKES;
        }
        break;
    case BLOB_GONE:
        peer->out = true;
        break;
    }
}

void blob_plan_expire(struct blob_plan *plan, int64_t now_ms)
{
    for (size_t k = 0; k < BLOB_FLIGHT; k++) {
        struct blob_flight *f = &plan->flights[k];
        if (f->tag && now_ms - f->at_ms >= BLOB_PATIENCE_MS)
            blob_plan_failed(plan, f->tag, BLOB_LOST, now_ms);
    }
}
