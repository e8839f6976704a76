/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk - a raft_io in memory and virtual time: what raft_uv is to a real member.
 *
 * Writes wait in a queue and reach the platter in order, each after a while. A crash writes some of
 * the queue's head, forgets the rest, and calls nobody back until the close. Term and vote are
 * written at once, as raft_uv does.
 */
#ifndef WHERRY_TESTS_SIM_DISK_H
#define WHERRY_TESTS_SIM_DISK_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cluster/transport.h"

#include <raft.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A generator of our own, so that a seed means the same everywhere (xorshift64*). */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* From 0 to @n - 1. */
static inline unsigned random_below(uint64_t *state, unsigned n)
{
    return (unsigned)((random_next(state) >> 32) % n);
}

struct disk_entry {
    raft_term term;
    unsigned short type;
    size_t len;
    char *data;
};

struct disk_snapshot {
    raft_index index; /* 0: none */
    raft_term term;
    struct raft_configuration configuration;
    raft_index configuration_index;
    struct buf data;
};

enum operation_kind {
    WRITE_ENTRIES,
    WRITE_TRUNCATE,
    WRITE_SNAPSHOT,
    READ_SNAPSHOT,
    DO_WORK
};

/* What is done in order; one lane does not wait for the other. */
enum lane {
    LANE_LOG,  /* entries, truncations, a snapshot that replaces the log */
    LANE_SIDE, /* own snapshots, reading one, work: beside the log, as raft_uv does */
};

struct operation {
    struct operation *next;
    enum operation_kind kind;
    enum lane lane;
    raft_time due;
    void *req; /* raft's */
    void (*cb)(void);
    /* entries, or truncate from @index on */
    struct disk_entry *entries;
    unsigned n;
    raft_index index;
    /* snapshot */
    struct disk_snapshot snapshot;
    unsigned trailing;
};

struct disk {
    raft_time *now; /* the world's */
    uint64_t *seed;
    unsigned delay_ms, least_delay_ms; /* of a write: at most this more than that */
    bool lanes;                        /* false: all in one order */
    /* durable */
    raft_term term;
    raft_id vote;
    raft_index start; /* index of entries[0] */
    struct disk_entry *entries;
    size_t n;
    struct disk_snapshot snapshot;
    int fault; /* raft's code that every write of entries ends with from now on, 0: none */
    /* lost in a crash */
    struct operation *operations;
    bool crashed;
    struct raft_io *io;
    raft_io_tick_cb tick;
    unsigned tick_ms;
    raft_time ticked_at;
};

static inline struct disk *disk_of(struct raft_io *io)
{
    return io->impl;
}

static inline void disk_cut(struct disk *d, raft_index index)
{
    while (d->n > 0 && d->start + d->n > index)
        free(d->entries[--d->n].data);
}

static inline void disk_cut_front(struct disk *d, raft_index first)
{
    size_t gone = 0;
    while (gone < d->n && d->start + gone < first)
        free(d->entries[gone++].data);
    if (gone) {
        memmove(d->entries, d->entries + gone, (d->n - gone) * sizeof(*d->entries));
        d->n -= gone;
        d->start += gone;
    }
    if (d->n == 0 && d->start < first)
        d->start = first;
}

static inline void disk_push(struct disk *d, const struct disk_entry *entry)
{
    d->entries = mem_resize(d->entries, d->n + 1, sizeof(*d->entries));
    d->entries[d->n] = *entry;
    d->entries[d->n++].data = mem_copy(entry->data, entry->len);
}

static inline void snapshot_release(struct disk_snapshot *s)
{
    raft_configuration_close(&s->configuration);
    buf_release(&s->data);
}

/* @op reaches the platter. */
static inline void operation_write(struct disk *d, struct operation *op)
{
    switch (op->kind) {
    case WRITE_ENTRIES:
        for (unsigned i = 0; i < op->n && !d->fault; i++)
            disk_push(d, &op->entries[i]);
        break;
    case WRITE_TRUNCATE:
        disk_cut(d, op->index);
        break;
    case WRITE_SNAPSHOT:
        if (d->snapshot.index)
            snapshot_release(&d->snapshot);
        d->snapshot = op->snapshot;
        op->snapshot = (struct disk_snapshot){0};
        if (op->trailing == 0) {
            disk_cut(d, 0);
            d->start = d->snapshot.index + 1;
        } else if (d->snapshot.index > op->trailing) {
            disk_cut_front(d, d->snapshot.index - op->trailing + 1);
        }
        break;
    case READ_SNAPSHOT:
    case DO_WORK:
        break;
    }
}

static inline struct raft_snapshot *snapshot_load(const struct disk_snapshot *s)
{
    struct raft_snapshot *out = raft_calloc(1, sizeof(*out));
    out->index = s->index;
    out->term = s->term;
    out->configuration_index = s->configuration_index;
    transport_copy_configuration(&s->configuration, &out->configuration);
    out->bufs = raft_calloc(1, sizeof(*out->bufs));
    out->n_bufs = 1;
    out->bufs[0].len = s->data.len;
    out->bufs[0].base = raft_malloc(s->data.len);
    memcpy(out->bufs[0].base, s->data.data, s->data.len);
    return out;
}

static inline void operation_answer(struct disk *d, struct operation *op, int status)
{
    switch (op->kind) {
    case WRITE_ENTRIES:
        ((raft_io_append_cb)op->cb)(op->req, status ? status : d->fault);
        break;
    case WRITE_TRUNCATE:
        break;
    case WRITE_SNAPSHOT:
        ((raft_io_snapshot_put_cb)op->cb)(op->req, status);
        break;
    case READ_SNAPSHOT:
        ((raft_io_snapshot_get_cb)op->cb)(op->req, status ? NULL : snapshot_load(&d->snapshot),
                                          status);
        break;
    case DO_WORK: {
        struct raft_io_async_work *work = op->req;
        ((raft_io_async_work_cb)op->cb)(work, status ? status : work->work(work));
        break;
    }
    }
}

static inline void operation_free(struct operation *op)
{
    for (unsigned i = 0; i < op->n; i++)
        free(op->entries[i].data);
    free(op->entries);
    snapshot_release(&op->snapshot);
    free(op);
}

/* Queue it; those of a lane one after the other. */
static inline struct operation *operation_new(struct raft_io *io, enum lane lane,
                                              enum operation_kind kind, void *req, void (*cb)(void))
{
    struct disk *d = disk_of(io);
    struct operation *op = mem_alloc(1, sizeof(*op)), **at = &d->operations;
    op->kind = kind;
    op->lane = d->lanes ? lane : LANE_LOG;
    op->req = req;
    op->cb = cb;
    op->due = *d->now + 1 + d->least_delay_ms + random_below(d->seed, d->delay_ms);
    for (; *at; at = &(*at)->next)
        if ((*at)->lane == op->lane && (*at)->due > op->due)
            op->due = (*at)->due;
    *at = op;
    return op;
}

#define OPERATION(io, lane, kind, req, cb)                                                         \
    operation_new(io, lane, kind, req, (void (*)(void))(uintptr_t)(cb))

static inline int disk_append(struct raft_io *io, struct raft_io_append *req,
                              const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct operation *op = OPERATION(io, LANE_LOG, WRITE_ENTRIES, req, cb);
    op->entries = mem_alloc(n, sizeof(*op->entries));
    op->n = n;
    for (unsigned i = 0; i < n; i++) {
        op->entries[i].term = entries[i].term;
        op->entries[i].type = entries[i].type;
        op->entries[i].len = entries[i].buf.len;
        op->entries[i].data = mem_copy(entries[i].buf.base, entries[i].buf.len);
    }
    return 0;
}

static inline int disk_truncate(struct raft_io *io, raft_index index)
{
    OPERATION(io, LANE_LOG, WRITE_TRUNCATE, NULL, NULL)->index = index;
    return 0;
}

static inline int disk_snapshot_put(struct raft_io *io, unsigned trailing,
                                    struct raft_io_snapshot_put *req,
                                    const struct raft_snapshot *snapshot,
                                    raft_io_snapshot_put_cb cb)
{
    struct operation *op =
        OPERATION(io, trailing == 0 ? LANE_LOG : LANE_SIDE, WRITE_SNAPSHOT, req, cb);
    op->trailing = trailing;
    op->snapshot.index = snapshot->index;
    op->snapshot.term = snapshot->term;
    op->snapshot.configuration_index = snapshot->configuration_index;
    transport_copy_configuration(&snapshot->configuration, &op->snapshot.configuration);
    for (unsigned i = 0; i < snapshot->n_bufs; i++)
        buf_append(&op->snapshot.data, snapshot->bufs[i].base, snapshot->bufs[i].len);
    return 0;
}

static inline int disk_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                                    raft_io_snapshot_get_cb cb)
{
    OPERATION(io, LANE_SIDE, READ_SNAPSHOT, req, cb);
    return 0;
}

static inline int disk_async_work(struct raft_io *io, struct raft_io_async_work *req,
                                  raft_io_async_work_cb cb)
{
    OPERATION(io, LANE_SIDE, DO_WORK, req, cb);
    return 0;
}

static inline int disk_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                            struct raft_snapshot **snapshot, raft_index *start_index,
                            struct raft_entry *entries[], size_t *n_entries)
{
    struct disk *d = disk_of(io);
    /* Entries that end before the snapshot are of no use. */
    if (d->snapshot.index >= d->start + d->n) {
        disk_cut(d, 0);
        d->start = d->snapshot.index + 1;
    }
    *term = d->term;
    *voted_for = d->vote;
    *snapshot = d->snapshot.index ? snapshot_load(&d->snapshot) : NULL;
    *start_index = d->start;
    *n_entries = d->n;
    *entries = NULL;
    if (d->n == 0)
        return 0;
    size_t len = 0;
    for (size_t i = 0; i < d->n; i++)
        len += d->entries[i].len;
    char *batch = raft_malloc(len);
    *entries = raft_calloc(d->n, sizeof(**entries));
    len = 0;
    for (size_t i = 0; i < d->n; i++) {
        struct raft_entry *entry = &(*entries)[i];
        entry->term = d->entries[i].term;
        entry->type = d->entries[i].type;
        entry->buf.len = d->entries[i].len;
        entry->buf.base = batch + len;
        entry->batch = batch;
        memcpy(batch + len, d->entries[i].data, d->entries[i].len);
        len += d->entries[i].len;
    }
    return 0;
}

static inline int disk_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                             raft_io_recv_cb recv)
{
    struct disk *d = disk_of(io);
    (void)recv;
    d->io = io;
    d->tick = tick;
    d->tick_ms = msecs;
    d->ticked_at = *d->now;
    return 0;
}

static inline int disk_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io, (void)id, (void)address;
    return 0;
}

static inline int disk_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    struct disk *d = disk_of(io);
    struct raft_buffer encoded;
    if (d->term)
        return RAFT_CANTBOOTSTRAP;
    d->term = 1;
    check(raft_configuration_encode(configuration, &encoded) == 0);
    disk_push(d, &(struct disk_entry){
                     .term = 1, .type = RAFT_CHANGE, .len = encoded.len, .data = encoded.base});
    raft_free(encoded.base);
    return 0;
}

static inline int disk_set_term(struct raft_io *io, raft_term term)
{
    disk_of(io)->term = term;
    disk_of(io)->vote = 0;
    return 0;
}

static inline int disk_set_vote(struct raft_io *io, raft_id vote)
{
    disk_of(io)->vote = vote;
    return 0;
}

static inline raft_time disk_time(struct raft_io *io)
{
    return *disk_of(io)->now;
}

static inline int disk_random(struct raft_io *io, int min, int max)
{
    return min + (int)random_below(disk_of(io)->seed, (unsigned)(max - min));
}

static inline void disk_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct disk *d = disk_of(io);
    d->tick = NULL;
    while (d->operations) {
        struct operation *op = d->operations;
        d->operations = op->next;
        operation_answer(d, op, RAFT_CANCELED);
        operation_free(op);
    }
    cb(io);
}

/* The raft_io of @d. */
static inline struct raft_io disk_io(struct disk *d)
{
    return (struct raft_io){
        .version = 2,
        .impl = d,
        .init = disk_init,
        .close = disk_close,
        .load = disk_load,
        .start = disk_start,
        .bootstrap = disk_bootstrap,
        .set_term = disk_set_term,
        .set_vote = disk_set_vote,
        .append = disk_append,
        .truncate = disk_truncate,
        .snapshot_put = disk_snapshot_put,
        .snapshot_get = disk_snapshot_get,
        .time = disk_time,
        .random = disk_random,
        .async_work = disk_async_work,
    };
}

/* Take the first operation that is due off the queue, NULL: none. */
static inline struct operation *disk_take_due(struct disk *d)
{
    struct operation **at = &d->operations;
    while (*at && (*at)->due > *d->now)
        at = &(*at)->next;
    struct operation *op = *at;
    if (op)
        *at = op->next;
    return op;
}

/* True when disk_step() would do something. */
static inline bool disk_is_due(const struct disk *d)
{
    if (d->crashed)
        return false;
    for (const struct operation *op = d->operations; op; op = op->next)
        if (op->due <= *d->now)
            return true;
    return d->tick && *d->now - d->ticked_at >= d->tick_ms;
}

/* Do what is due at the world's time. */
static inline void disk_step(struct disk *d)
{
    for (struct operation *op; !d->crashed && (op = disk_take_due(d));) {
        operation_write(d, op);
        operation_answer(d, op, 0);
        operation_free(op);
    }
    if (!d->crashed && d->tick && *d->now - d->ticked_at >= d->tick_ms) {
        d->ticked_at = *d->now;
        d->tick(d->io);
    }
}

/* The power goes: the first @keep of the waiting writes made it. */
static inline void disk_crash(struct disk *d, unsigned keep)
{
    d->crashed = true;
    for (struct operation *op = d->operations; op && keep > 0; op = op->next, keep--)
        operation_write(d, op);
}

/* The power goes in the midst of a write: of the entries that it would have written next some made
 * it, not all. False when no such write waits. */
static inline bool disk_tear(struct disk *d)
{
    struct operation *op = d->operations;
    while (op && op->kind != WRITE_ENTRIES && op->kind != WRITE_TRUNCATE)
        op = op->next;
    disk_crash(d, 0);
    if (!op || op->kind != WRITE_ENTRIES)
        return false;
    unsigned n = op->n, some = random_below(d->seed, n);
    op->n = some;
    operation_write(d, op);
    op->n = n;
    return true;
}

static inline void disk_free(struct disk *d)
{
    disk_cut(d, 0);
    free(d->entries);
    if (d->snapshot.index)
        snapshot_release(&d->snapshot);
}

#endif
