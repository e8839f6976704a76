/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer and the disk between libraft and its raft_io.
 *
 * A failed write never reaches libraft: its leader crashes on one, its follower stands still. It is
 * kept until the stop, when libraft is unavailable and only frees what the write held.
 */
#include "cluster/consensus_internal.h"
#include "cluster/raft_log.h"
#include "cluster/transport.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>

struct consensus *shim_consensus(struct raft_io *io)
{
    return (struct consensus *)(void *)((char *)io - offsetof(struct consensus, io));
}

bool shim_is_installing(const struct consensus *c)
{
    /* raft itself stands there while it writes a snapshot of its own. */
    return c->raft.snapshot.put.data && c->raft.snapshot.put.data != &c->raft;
}

/* Time that our loop did not run is not time in which a leader was silent: its messages may wait
 * unread. Count one heartbeat of it at most. */
static void forgive_stall(struct consensus *c)
{
    struct raft *r = &c->raft;
    raft_time now = c->io.time(&c->io), heartbeat = r->heartbeat_timeout;
    if (c->ticked_at && now - c->ticked_at > 2 * heartbeat) {
        r->election_timer_start += now - c->ticked_at - heartbeat;
        if (r->election_timer_start > now)
            r->election_timer_start = now;
    }
    c->ticked_at = now;
}

enum {
    NO_ROOM_MS = 3000 /* so long others have who may lead */
};

/* A leader that has no room takes no changes: those who have some come first. */
static void leave_it_to_others(struct consensus *c)
{
    raft_time now = c->io.time(&c->io);
    bool led = c->raft.state != RAFT_FOLLOWER || c->raft.follower_state.current_leader.id != 0;
    if (led || c->led_at == 0)
        c->led_at = now;
    if (c->no_room && c->raft.state == RAFT_FOLLOWER && now - c->led_at < NO_ROOM_MS &&
        c->raft.configuration.n > 1)
        c->raft.election_timer_start = now;
}

static bool has_vote(const struct raft *r)
{
    for (unsigned i = 0; i < r->configuration.n; i++)
        if (r->configuration.servers[i].id == r->id)
            return r->configuration.servers[i].role == RAFT_VOTER;
    return false;
}

/* libraft's followers without a vote believe in their leader for ever, and who believes in one
 * refuses to vote. In the configuration of others it may have a vote already, by an entry that it
 * does not have yet, and without it there may be no majority. */
static void doubt_leader(struct raft *r, raft_time now)
{
    if (r->state != RAFT_FOLLOWER || r->follower_state.current_leader.id == 0 || has_vote(r) ||
        now - r->election_timer_start < 2 * (raft_time)r->election_timeout)
        return;
    raft_free(r->follower_state.current_leader.address);
    r->follower_state.current_leader.id = 0;
    r->follower_state.current_leader.address = NULL;
}

static void on_tick(struct raft_io *io)
{
    struct consensus *c = shim_consensus(io);
    if (c->failed || !c->started)
        return;
    forgive_stall(c);
    doubt_leader(&c->raft, io->time(io));
    /* libraft's log says what the snapshot will hold before that is on disk; a candidate would
     * ask for votes with it, and the end of the write finds a state it does not expect. */
    if (shim_is_installing(c) && !c->hazards.candidate_while_install)
        c->raft.election_timer_start = io->time(io);
    if (c->reluctant && raft_state(&c->raft) == RAFT_FOLLOWER)
        c->raft.election_timer_start = io->time(io);
    leave_it_to_others(c);
    c->tick(io);
    consensus_after_raft(c);
}

/* raft_uv calls this for messages of its own transport, of which there are none. */
static void on_message(struct raft_io *io, struct raft_message *message)
{
    (void)io;
    transport_release(message);
}

static int shim_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                      raft_io_recv_cb recv)
{
    struct consensus *c = shim_consensus(io);
    c->tick = tick;
    c->recv = recv;
    return c->inner.start(io, msecs, on_tick, on_message);
}

static void note_snapshot_bytes(struct consensus *c, const struct raft_snapshot *snapshot)
{
    c->snapshot_bytes = 0;
    for (unsigned i = 0; i < snapshot->n_bufs; i++)
        c->snapshot_bytes += (int64_t)snapshot->bufs[i].len;
}

static int shim_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                     struct raft_snapshot **snapshot, raft_index *start_index,
                     struct raft_entry *entries[], size_t *n_entries)
{
    struct consensus *c = shim_consensus(io);
    int rv = c->inner.load(io, term, voted_for, snapshot, start_index, entries, n_entries);
    if (rv == 0)
        c->disk_last = *start_index + *n_entries - 1;
    if (rv == 0 && *snapshot) {
        note_snapshot_bytes(c, *snapshot);
        transport_copy_configuration(&(*snapshot)->configuration, &c->snapshot_configuration);
        c->snapshot_configuration_index = (*snapshot)->configuration_index;
        c->loaded_term = (*snapshot)->term;
        c->loaded_index = (*snapshot)->index;
    }
    return rv;
}

static void fail_io(struct consensus *c, int status, const char *what)
{
    struct err err;
    err_set(&err, status == RAFT_NOSPACE ? ERR_NOSPACE : ERR_IO, "%s in %s: %s: %s", what, c->dir,
            raft_strerror(status), c->io.errmsg);
    consensus_fail(c, &err);
}

/* At the stop raft is unavailable by now and frees what the write held, whatever became of it. Told
 * of a failure it would cut its log too, at an index that may be past its end. */
static void on_written(struct raft_io_append *req, int status)
{
    struct write *w = (struct write *)(void *)((char *)req - offsetof(struct write, req));
    struct consensus *c = w->consensus;
    if (status != 0 && c->phase < STOPPING) {
        fail_io(c, status, "write the log");
        w->next = c->failed_writes;
        c->failed_writes = w;
        return;
    }
    struct raft_io_append *inner = w->inner;
    raft_io_append_cb cb = w->cb;
    if (status == 0)
        promise_written(c, w);
    free(w);
    cb(inner, c->phase < STOPPING ? status : 0);
    consensus_after_raft(c);
}

static int shim_append(struct raft_io *io, struct raft_io_append *req,
                       const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct consensus *c = shim_consensus(io);
    struct write *w = mem_alloc(1, sizeof(*w));
    w->consensus = c;
    w->inner = req;
    w->cb = cb;
    w->last = c->disk_last + n;
    w->generation = c->disk_generation;
    int rv = c->inner.append(io, &w->req, entries, n, on_written);
    if (rv != 0) {
        free(w);
        fail_io(c, rv, "write the log");
    } else {
        c->disk_last += n;
    }
    return rv;
}

/* What a leader of before left behind @index - 1 is not part of the log. */
static int shim_truncate(struct raft_io *io, raft_index index)
{
    struct consensus *c = shim_consensus(io);
    int rv = promise_lower(c, index - 1);
    return rv == 0 ? c->inner.truncate(io, index) : rv;
}

bool shim_configuration_at(const struct consensus *c, raft_index index,
                           struct raft_configuration *ret_configuration, raft_index *ret_index)
{
    const struct raft_log *log = &c->raft.log;
    for (raft_index i = index; i > log->offset; i--) {
        const struct raft_entry *entry = raft_log_get(log, i);
        if (!entry || entry->type != RAFT_CHANGE)
            continue;
        *ret_index = i;
        return transport_decode_configuration(entry->buf.base, entry->buf.len, ret_configuration,
                                              NULL) == 0;
    }
    if (c->snapshot_configuration.n == 0)
        return false;
    transport_copy_configuration(&c->snapshot_configuration, ret_configuration);
    *ret_index = c->snapshot_configuration_index;
    return true;
}

static void on_snapshot_written(struct raft_io_snapshot_put *req, int status)
{
    struct consensus *c =
        (struct consensus *)(void *)((char *)req - offsetof(struct consensus, put_req));
    if (status == 0) {
        if (c->put_inner->data != &c->raft)
            promise_snapshot(c, c->put.index);
        raft_configuration_close(&c->snapshot_configuration);
        c->snapshot_configuration = c->put.configuration;
        c->snapshot_configuration_index = c->put.configuration_index;
    } else {
        raft_configuration_close(&c->put.configuration);
        if (c->phase < STOPPING)
            fail_io(c, status, "write a snapshot");
    }
    raft_configuration_init(&c->put.configuration);
    c->put_cb(c->put_inner, status);
    consensus_after_raft(c);
}

/* libraft puts its newest configuration into a snapshot, committed or not; ours has the one that
 * held at the snapshot's index. */
static int shim_snapshot_put(struct raft_io *io, unsigned trailing,
                             struct raft_io_snapshot_put *req, const struct raft_snapshot *snapshot,
                             raft_io_snapshot_put_cb cb)
{
    struct consensus *c = shim_consensus(io);
    if (c->phase >= STOPPING)
        return RAFT_CANCELED;
    c->put = *snapshot;
    note_snapshot_bytes(c, snapshot);
    bool taken_here = req->data == &c->raft;
    if (!taken_here && promise_lower(c, snapshot->index) != 0)
        return RAFT_IOERR;
    if (!taken_here || !shim_configuration_at(c, snapshot->index, &c->put.configuration,
                                              &c->put.configuration_index))
        transport_copy_configuration(&snapshot->configuration, &c->put.configuration);
    c->put_inner = req;
    c->put_cb = cb;
    int rv = c->inner.snapshot_put(io, trailing, &c->put_req, &c->put, on_snapshot_written);
    if (rv != 0) {
        raft_configuration_close(&c->put.configuration);
        raft_configuration_init(&c->put.configuration);
    }
    return rv;
}

/* libraft's disk says that it is closed when nothing of it is under way, but a second time when the
 * handle of a file that it was still closing is gone, and by then raft and the disk would be freed.
 * So its word is passed on some turns of the loop later. */
enum {
    DISK_CLOSE_TURNS = 4
};

static void on_disk_closed(struct raft_io *io)
{
    struct consensus *c = shim_consensus(io);
    if (c->disk_close_turns == 0)
        c->disk_close_turns = DISK_CLOSE_TURNS;
    consensus_wake(c);
}

void shim_pass_on_close(struct consensus *c)
{
    if (c->disk_close_turns > 0 && --c->disk_close_turns == 0)
        c->disk_close_cb(&c->io);
}

static void shim_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct consensus *c = shim_consensus(io);
    shim_complete_sends(c, RAFT_CANCELED);
    while (c->failed_writes) {
        struct write *w = c->failed_writes;
        c->failed_writes = w->next;
        w->cb(w->inner, 0);
        free(w);
    }
    c->disk_close_cb = cb;
    c->inner.close(io, c->own_disk ? on_disk_closed : cb);
}

void shim_install(struct consensus *c)
{
    c->inner = c->io;
    c->io.start = shim_start;
    c->io.load = shim_load;
    c->io.append = shim_append;
    c->io.truncate = shim_truncate;
    c->io.set_term = promise_set_term;
    c->io.set_vote = promise_set_vote;
    c->io.send = shim_send;
    c->io.snapshot_put = shim_snapshot_put;
    c->io.close = shim_close;
}

void shim_release(struct consensus *c)
{
    check(!c->sent_first && !c->failed_writes);
    raft_configuration_close(&c->snapshot_configuration);
    raft_configuration_close(&c->put.configuration);
    buf_release(&c->message);
    free(c->peers);
}
