/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on their way out.
 *
 * libraft puts everything a follower lacks into one AppendEntries and repeats it at every
 * heartbeat. Here only its first CONSENSUS_CONTROL_MAX bytes go (an entry that is larger goes
 * alone) and while one large message to a member is unanswered the next ones go empty, as
 * heartbeats. What was left out is reported as lost: libraft goes back to probing and sends on when
 * the answer comes.
 */
#include "cluster/consensus_internal.h"
#include "cluster/raft_log.h"
#include "cluster/transport.h"

#include "base/mem.h"

#include <stdlib.h>

enum {
    LARGE_BYTES = 64 << 10,
    LARGE_WAIT_MS = 2000,       /* then a large message is taken for lost, */
    SNAPSHOT_WAIT_MS = 3000,    /* a snapshot then, */
    SLOWEST_BYTES_PER_MS = 512, /* plus what its bytes take at this speed */
    KEEP_MESSAGE_BYTES = 1 << 20,
};

struct peer *shim_peer(struct consensus *c, int64_t id)
{
    for (size_t i = 0; i < c->peers_n; i++)
        if (c->peers[i].id == id)
            return &c->peers[i];
    c->peers = mem_resize(c->peers, c->peers_n + 1, sizeof(*c->peers));
    struct peer *peer = &c->peers[c->peers_n++];
    *peer = (struct peer){.id = id};
    return peer;
}

void shim_reset_peers(struct consensus *c)
{
    for (size_t i = 0; i < c->peers_n; i++)
        c->peers[i] = (struct peer){.id = c->peers[i].id};
}

/* A follower claims only what is proved. libraft's answers with all it has on disk, also what an
 * earlier leader left there; its leader would count that as its own entries. What is committed
 * every later leader has. */
static void claim_only_proven(const struct consensus *c, struct raft_append_entries_result *result)
{
    const struct raft *r = &c->raft;
    if (result->rejected || c->hazards.unproven_results)
        return;
    raft_index proven = c->proven_term == r->current_term ? c->proven_index : 0;
    if (proven < r->commit_index)
        proven = r->commit_index;
    if (result->last_log_index > proven)
        result->last_log_index = proven;
}

/* How many of the entries go, and how many bytes that is. */
static unsigned choose_entries(const struct raft_append_entries *p, const struct peer *peer,
                               raft_time now, size_t *ret_bytes)
{
    size_t bytes = 0;
    unsigned n = 0;
    while (n < p->n_entries) {
        size_t more = p->entries[n].buf.len + 16;
        if (n > 0 && bytes + more > CONSENSUS_CONTROL_MAX)
            break;
        bytes += more;
        n++;
    }
    bool large_under_way = peer->large_end && now < peer->large_deadline;
    if (large_under_way && n > 0) {
        bytes = 0;
        n = 0;
    }
    *ret_bytes = bytes;
    return n;
}

static int queue_callback(struct consensus *c, struct raft_io_send *req, raft_io_send_cb cb,
                          int status)
{
    struct sent *sent = mem_alloc(1, sizeof(*sent));
    sent->req = req;
    sent->cb = cb;
    sent->status = status;
    if (c->sent_last)
        c->sent_last->next = sent;
    else
        c->sent_first = sent;
    c->sent_last = sent;
    consensus_wake(c);
    return 0;
}

static int transmit(struct consensus *c, const struct raft_message *m, unsigned n, bool bulk)
{
    buf_reset(&c->message);
    transport_encode(m, n, &c->message);
    int rv = gate_send(c, (int64_t)m->server_id, bulk, c->message.data, c->message.len);
    if (c->message.cap > KEEP_MESSAGE_BYTES)
        buf_release(&c->message);
    struct peer *peer = shim_peer(c, (int64_t)m->server_id);
    peer->refused_at = rv < 0 ? c->io.time(&c->io) : 0;
    return rv;
}

static int send_append(struct consensus *c, struct raft_io_send *req, const struct raft_message *m,
                       raft_io_send_cb cb)
{
    raft_time now = c->io.time(&c->io);
    struct peer *peer = shim_peer(c, (int64_t)m->server_id);
    const struct raft_append_entries *p = &m->append_entries;
    /* Not connected a moment ago: save the work of encoding. */
    if (peer->refused_at && now - peer->refused_at < c->raft.heartbeat_timeout / 2)
        return RAFT_NOCONNECTION;
    size_t bytes;
    unsigned n = choose_entries(p, peer, now, &bytes);
    if (transmit(c, m, n, bytes > CONSENSUS_CONTROL_MAX) < 0)
        return RAFT_NOCONNECTION;
    peer->told_committed =
        p->leader_commit < p->prev_log_index + n ? p->leader_commit : p->prev_log_index + n;
    if (bytes > LARGE_BYTES) {
        peer->large_end = p->prev_log_index + n;
        peer->large_deadline = now + LARGE_WAIT_MS + bytes / SLOWEST_BYTES_PER_MS;
    }
    return queue_callback(c, req, cb, n < p->n_entries ? RAFT_NOCONNECTION : 0);
}

void shim_announce_commit(struct consensus *c)
{
    const struct raft *r = &c->raft;
    raft_index commit = r->commit_index;
    if (r->state != RAFT_LEADER || commit != raft_last_index(&c->raft))
        return;
    for (size_t i = 0; i < c->peers_n; i++) {
        struct peer *peer = &c->peers[i];
        if (peer->matched < commit || peer->told_committed >= commit)
            continue;
        struct raft_message m = {
            .type = RAFT_IO_APPEND_ENTRIES,
            .server_id = (raft_id)peer->id,
            .append_entries = {.term = r->current_term,
                               .prev_log_index = commit,
                               .prev_log_term = raft_log_term(&r->log, commit),
                               .leader_commit = commit},
        };
        /* What is lost the next heartbeat makes good. */
        peer->told_committed = commit;
        if (m.append_entries.prev_log_term != 0)
            transmit(c, &m, 0, false);
    }
}

static int send_snapshot(struct consensus *c, struct raft_io_send *req,
                         const struct raft_message *m, raft_io_send_cb cb)
{
    raft_time now = c->io.time(&c->io);
    struct peer *peer = shim_peer(c, (int64_t)m->server_id);
    if (peer->snapshot_index && now < peer->snapshot_deadline)
        return RAFT_NOCONNECTION;
    if (transmit(c, m, 0, true) < 0)
        return RAFT_NOCONNECTION;
    peer->snapshot_index = m->install_snapshot.last_index;
    size_t wait_ms = SNAPSHOT_WAIT_MS + m->install_snapshot.data.len / SLOWEST_BYTES_PER_MS;
    peer->snapshot_deadline = now + wait_ms;
    raft_set_install_snapshot_timeout(&c->raft, (unsigned)wait_ms);
    return queue_callback(c, req, cb, 0);
}

int shim_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *message,
              raft_io_send_cb cb)
{
    struct consensus *c = shim_consensus(io);
    if (message->type == RAFT_IO_APPEND_ENTRIES)
        return send_append(c, req, message, cb);
    if (message->type == RAFT_IO_INSTALL_SNAPSHOT)
        return send_snapshot(c, req, message, cb);
    if (message->type == RAFT_IO_TIMEOUT_NOW)
        return transmit(c, message, 0, false) < 0 ? RAFT_NOCONNECTION
                                                  : queue_callback(c, req, cb, 0);
    struct raft_message copy = *message;
    if (copy.type == RAFT_IO_APPEND_ENTRIES_RESULT)
        claim_only_proven(c, &copy.append_entries_result);
    /* libraft refuses a pre-vote with the term that was asked for: who has the better log would
     * never learn that ours is ahead, and nobody could be elected. */
    if (copy.type == RAFT_IO_REQUEST_VOTE_RESULT && !copy.request_vote_result.vote_granted &&
        copy.request_vote_result.term < c->raft.current_term && !c->hazards.silent_refusals)
        copy.request_vote_result.term = c->raft.current_term;
    /* An answer that cannot be sent is lost silently: libraft has freed the question by now and
     * would do so again after an error. A leader that is not known has the id 0. */
    if (copy.server_id != 0)
        transmit(c, &copy, 0, false);
    return queue_callback(c, req, cb, 0);
}

void shim_complete_sends(struct consensus *c, int status)
{
    struct sent *sent = c->sent_first;
    c->sent_first = c->sent_last = NULL;
    while (sent) {
        struct sent *next = sent->next;
        if (sent->cb)
            sent->cb(sent->req, status ? status : sent->status);
        free(sent);
        sent = next;
    }
}
