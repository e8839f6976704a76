/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proposals: pending → (one batch a turn is one log entry) under way → done → answered.
 *
 * Every raft_apply() sends one message to each member, so what came in one turn of the loop travels
 * as one entry. Entries under way are bounded; what does not fit waits.
 */
#include "cluster/consensus_internal.h"
#include "cluster/entry.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

enum {
    ARRAY_HEAD_BYTES = 5, /* of msgpack, at most */
    BATCH_CHANGES_MAX = 512,
    FLYING_CHANGES_MAX = 1024,  /* all that is committed is applied in one turn of the loop */
    FLYING_BYTES_MAX = 8 << 20, /* entries under way */
};

static const size_t CHANGES_BYTES_MAX = BATCH_BYTES_MAX - BATCH_HEADER_BYTES - ARRAY_HEAD_BYTES;

static void push(struct proposals *list, struct proposal *p)
{
    p->next = NULL;
    if (list->last)
        list->last->next = p;
    else
        list->first = p;
    list->last = p;
}

static struct proposal *pop(struct proposals *list)
{
    struct proposal *p = list->first;
    if (p) {
        list->first = p->next;
        if (!list->first)
            list->last = NULL;
    }
    return p;
}

static void finish(struct consensus *c, struct proposal *p, int code)
{
    p->code = code;
    push(&c->done, p);
    consensus_wake(c);
}

/* What a proposal of @len encoded bytes takes while it waits. */
static size_t cost(size_t len)
{
    return len + sizeof(struct proposal);
}

static int refuse(const struct consensus *c, size_t len)
{
    if (c->phase != RUNNING)
        return ERR_CANCELED;
    if (len > CHANGES_BYTES_MAX)
        return ERR_TOOBIG;
    if (!consensus_is_ready(c))
        return ERR_NOTLEADER;
    return c->pending_bytes + cost(len) > CONSENSUS_PENDING_MAX ? ERR_BUSY : 0;
}

void consensus_propose(struct consensus *c, const struct change *change, consensus_propose_cb cb,
                       void *arg)
{
    struct proposal *p = mem_alloc(1, sizeof(*p));
    p->cb = cb;
    p->arg = arg;
    change_encode(change, &p->encoded);
    int code = refuse(c, p->encoded.len);
    if (code < 0) {
        finish(c, p, code);
        return;
    }
    c->pending_bytes += cost(p->encoded.len);
    push(&c->pending, p);
    consensus_wake(c);
}

static void free_batch(struct batch *b)
{
    struct consensus *c = b->consensus;
    struct batch **at = &c->batches;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    c->flying_bytes -= b->bytes;
    c->flying_changes -= b->changes;
    free(b);
}

static void on_applied(struct raft_apply *req, int status, void *result)
{
    struct batch *b = (struct batch *)(void *)((char *)req - offsetof(struct batch, req));
    struct consensus *c = b->consensus;
    const struct applied *applied = result;
    size_t i = 0;
    for (struct proposal *p; (p = pop(&b->proposals)); i++) {
        if (status == 0) {
            check(applied && i < applied->n);
            p->result = applied->results[i];
        }
        finish(c, p, status == 0 ? 0 : ERR_UNKNOWN);
    }
    free_batch(b);
}

/* Take from what is pending as much as fits an entry. */
static struct batch *next_batch(struct consensus *c, struct buf *out)
{
    struct batch *b = mem_alloc(1, sizeof(*b));
    struct buf *changes = mem_alloc(BATCH_CHANGES_MAX, sizeof(*changes));
    size_t n = 0, bytes = 0;
    while (c->pending.first && n < BATCH_CHANGES_MAX &&
           bytes + c->pending.first->encoded.len <= CHANGES_BYTES_MAX) {
        struct proposal *p = pop(&c->pending);
        bytes += p->encoded.len;
        changes[n++] = p->encoded;
        push(&b->proposals, p);
    }
    c->pending_bytes -= bytes + n * cost(0);
    int64_t now_ms = c->config.now_ms ? c->config.now_ms(c->config.arg) : clock_wall_ms();
    batch_encode(now_ms, changes, n, out);
    free(changes);
    b->consensus = c;
    b->changes = n;
    c->flying_changes += n;
    b->next = c->batches;
    c->batches = b;
    return b;
}

static void fail_batch(struct consensus *c, struct batch *b, int status)
{
    struct err err;
    for (struct proposal *p; (p = pop(&b->proposals));)
        finish(c, p, status == RAFT_NOTLEADER ? ERR_NOTLEADER : ERR_UNKNOWN);
    free_batch(b);
    if (status != RAFT_NOTLEADER) {
        err_set(&err, consensus_code(status), "append to the log in %s: %s", c->dir,
                raft_strerror(status));
        consensus_fail(c, &err);
    }
}

static void propose_batch(struct consensus *c)
{
    cleanup_buf struct buf payload = BUF_INIT;
    struct batch *b = next_batch(c, &payload);
    size_t size =
        c->hazards.unpadded_entries ? ENTRY_HEADER_BYTES + payload.len : entry_size(payload.len);
    struct raft_buffer entry = {.base = raft_malloc(entry_size(payload.len)), .len = size};
    check(entry.base);
    entry_encode(payload.data, payload.len, entry.base);
    b->bytes = size;
    c->flying_bytes += size;
    int rv = raft_apply(&c->raft, &b->req, &entry, 1, on_applied);
    if (rv != 0) {
        raft_free(entry.base);
        fail_batch(c, b, rv);
    }
}

void propose_flush(struct consensus *c)
{
    while (c->pending.first && c->flying_bytes < FLYING_BYTES_MAX &&
           c->flying_changes < FLYING_CHANGES_MAX) {
        if (!consensus_is_ready(c)) {
            propose_give_up(c, ERR_NOTLEADER);
            return;
        }
        propose_batch(c);
    }
}

bool propose_deliver(struct consensus *c)
{
    struct proposals done = c->done;
    c->done = (struct proposals){0};
    bool any = done.first;
    for (struct proposal *p; (p = pop(&done));) {
        p->cb(p->arg, p->code, p->code == 0 ? &p->result : NULL);
        buf_release(&p->encoded);
        free(p);
    }
    return any;
}

void propose_give_up(struct consensus *c, int code)
{
    for (struct proposal *p; (p = pop(&c->pending));)
        finish(c, p, code);
    c->pending_bytes = 0;
}
