/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as libraft's state machine.
 *
 * A snapshot is taken in three steps: snapshot() copies the store on the loop, snapshot_async()
 * makes the header on a thread and touches nothing but the copy, finalize() frees it.
 */
#include "cluster/consensus_internal.h"
#include "cluster/entry.h"
#include "cluster/raft_log.h"
#include "store/store.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A snapshot is due after so many changes, however few entries they came in: to apply them takes a
 * start about a second. */
enum {
    SNAPSHOT_CHANGES = 32768,
    SNAPSHOT_ENTRIES = 8192, /* at the latest, when the configuration says nothing else */
};

void fsm_count_changes(struct consensus *c, size_t n)
{
    unsigned entries = c->config.snapshot_threshold;
    c->changes_since_snapshot = n == 0 ? 0 : c->changes_since_snapshot + n;
    if (c->changes_since_snapshot > SNAPSHOT_CHANGES)
        entries = 1;
    raft_set_snapshot_threshold(&c->raft, entries ? entries : SNAPSHOT_ENTRIES);
}

static void release_applied(struct consensus *c)
{
    free(c->applied.results);
    c->applied = (struct applied){0};
}

/* The frame of @buf, which a test may have left unpadded. */
static int open_entry(const struct consensus *c, const struct raft_buffer *buf, char **ret_copy,
                      const void **ret_payload, size_t *ret_len, struct err *err)
{
    if (!c->hazards.unpadded_entries)
        return entry_decode(buf->base, buf->len, ret_payload, ret_len, err);
    size_t padded = (buf->len + 7) & ~(size_t)7;
    *ret_copy = mem_alloc(1, padded);
    memcpy(*ret_copy, buf->base, buf->len);
    return entry_decode(*ret_copy, padded, ret_payload, ret_len, err);
}

/* Apply the entry at @index unless the store has it already, from what was known at start. */
static int apply_entry(struct consensus *c, raft_index index, const struct raft_buffer *buf,
                       struct err *err)
{
    release_applied(c);
    if ((int64_t)index <= store_index(c->config.store))
        return 0;
    const void *payload;
    size_t len;
    cleanup_free char *copy = NULL;
    int rv = open_entry(c, buf, &copy, &payload, &len, err);
    if (rv == 0)
        rv = store_apply(c->config.store, (int64_t)index, payload, len, &c->applied.results,
                         &c->applied.n, err);
    return rv < 0 ? err_wrap(err, "apply entry %llu of the log in %s", index, c->dir) : 0;
}

static int on_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct consensus *c = fsm->data;
    struct err err;
    if (c->failed)
        return RAFT_SHUTDOWN;
    if (apply_entry(c, c->raft.last_applied + 1, buf, &err) < 0) {
        consensus_fail(c, &err);
        return RAFT_SHUTDOWN;
    }
    if (c->applied.n > 0)
        fsm_count_changes(c, c->applied.n);
    *result = &c->applied;
    return 0;
}

static int on_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct consensus *c = fsm->data;
    fsm_advance(c);
    fsm_count_changes(c, 0);
    c->snapshot_index = store_index(c->config.store);
    buf_reset(&c->snapshot);
    store_snapshot(c->config.store, &c->snapshot);
    *bufs = NULL;
    *n_bufs = 0;
    return 0;
}

/* On a thread of libuv's pool: nothing here but the copy. */
static int on_snapshot_async(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct consensus *c = fsm->data;
    snapshot_header_encode(c->snapshot.data, c->snapshot.len, c->snapshot_index,
                           c->snapshot_header);
    c->snapshot_bufs[0] =
        (struct raft_buffer){.base = c->snapshot_header, .len = sizeof(c->snapshot_header)};
    c->snapshot_bufs[1] = (struct raft_buffer){.base = c->snapshot.data, .len = c->snapshot.len};
    *bufs = c->snapshot_bufs;
    *n_bufs = ARRAY_SIZE(c->snapshot_bufs);
    return 0;
}

static int on_snapshot_finalize(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct consensus *c = fsm->data;
    buf_release(&c->snapshot);
    *bufs = NULL;
    *n_bufs = 0;
    return 0;
}

static int restore(struct consensus *c, const struct raft_buffer *buf, struct err *err)
{
    const void *payload = (const char *)buf->base + SNAPSHOT_HEADER_BYTES;
    size_t len = buf->len - SNAPSHOT_HEADER_BYTES;
    int64_t index;
    int rv = 0;
    if (c->hazards.unchecked_snapshot)
        return store_restore(c->config.store, payload, len, err);
    rv = snapshot_decode(buf->base, buf->len, &payload, &len, &index, err);
    if (rv == 0)
        rv = store_restore_trusted(c->config.store, payload, len, err);
    return rv;
}

static int on_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct consensus *c = fsm->data;
    struct err err;
    if (restore(c, buf, &err) < 0) {
        if (c->started)
            err_wrap(&err, "snapshot of the leader");
        else
            err_wrap(&err, "%s/snapshot-%llu-%llu-*", c->dir, c->loaded_term, c->loaded_index);
        consensus_fail(c, &err);
        return RAFT_CORRUPT;
    }
    raft_free(buf->base);
    return 0;
}

void fsm_init(struct consensus *c)
{
    c->fsm = (struct raft_fsm){
        .version = 3,
        .data = c,
        .apply = on_apply,
        .snapshot = on_snapshot,
        .restore = on_restore,
        .snapshot_finalize = on_snapshot_finalize,
        .snapshot_async = on_snapshot_async,
    };
}

int fsm_apply_known(struct consensus *c, struct err *err)
{
    struct raft *r = &c->raft;
    raft_index known = (raft_index)c->progress_saved, last = raft_last_index(r);
    raft_index must_have = known > c->acknowledged.index ? known : c->acknowledged.index;
    if (must_have > last)
        return err_set(err, ERR_CORRUPT,
                       "the log in %s ends at entry %llu but entries up to %llu were acknowledged: "
                       "it lost entries",
                       c->dir, last, must_have);
    if (r->state != RAFT_FOLLOWER || known <= r->last_applied)
        return 0;
    for (raft_index i = r->last_applied + 1; i <= known; i++) {
        const struct raft_entry *entry = raft_log_get(&r->log, i);
        if (!entry)
            return err_set(err, ERR_CORRUPT, "the log in %s lacks entry %llu", c->dir, i);
        if (entry->type == RAFT_COMMAND && apply_entry(c, i, &entry->buf, err) < 0)
            return err->code;
        if (entry->type == RAFT_COMMAND && c->applied.n > 0)
            fsm_count_changes(c, c->applied.n);
    }
    r->commit_index = r->last_applied = known;
    return 0;
}

void fsm_advance(struct consensus *c)
{
    if ((int64_t)c->raft.last_applied > store_index(c->config.store))
        store_advance(c->config.store, (int64_t)c->raft.last_applied);
}

void fsm_release(struct consensus *c)
{
    release_applied(c);
    buf_release(&c->snapshot);
}
