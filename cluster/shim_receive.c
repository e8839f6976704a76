/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on their way in: each is checked against our own state before libraft, whose assertions
 * are compiled out, acts on it.
 */
#include "cluster/consensus_internal.h"
#include "cluster/entry.h"
#include "cluster/raft_log.h"
#include "cluster/transport.h"

#include "base/log.h"

#include <inttypes.h>

void shim_complain(struct consensus *c, int64_t from, const char *why)
{
    raft_time now = c->io.time(&c->io);
    c->complaints++;
    if (c->complained_at && now - c->complained_at < 1000)
        return;
    log_warn("raft", "dropped a message of member %" PRId64 " (%lu so far): %s", from,
             c->complaints, why);
    c->complained_at = now;
}

static void note_proven(struct consensus *c, raft_term term, raft_index index)
{
    if (c->proven_term != term) {
        c->proven_term = term;
        c->proven_index = 0;
    }
    if (c->proven_index < index)
        c->proven_index = index;
}

/* Make it a heartbeat at our commit index, which every later leader has in common with us. False
 * when that index is not in the log. */
static bool make_heartbeat(const struct consensus *c, struct raft_message *m)
{
    const struct raft *r = &c->raft;
    raft_term term = raft_log_term(&r->log, r->commit_index);
    if (term == 0)
        return false;
    transport_release(m);
    struct raft_append_entries *p = &m->append_entries;
    p->prev_log_index = r->commit_index;
    p->prev_log_term = term;
    if (p->leader_commit > r->commit_index)
        p->leader_commit = r->commit_index;
    return true;
}

/* libraft rolls back a change of membership by reading the entry before it, which a snapshot may
 * have removed (it crashes then), and not at all when it was loaded from disk. Do it here. */
static void roll_back_membership(struct consensus *c, const struct raft_append_entries *p)
{
    struct raft *r = &c->raft;
    raft_index conflict = 0;
    for (unsigned i = 0; i < p->n_entries && !conflict; i++) {
        raft_term term = raft_log_term(&r->log, p->prev_log_index + 1 + i);
        if (term != 0 && term != p->entries[i].term)
            conflict = p->prev_log_index + 1 + i;
    }
    if (!conflict || conflict <= r->commit_index || c->hazards.library_rollback ||
        (r->configuration_uncommitted_index < conflict && r->configuration_index < conflict))
        return;
    struct raft_configuration configuration;
    raft_index index;
    if (!shim_configuration_at(c, conflict - 1, &configuration, &index))
        return;
    raft_configuration_close(&r->configuration);
    r->configuration = configuration;
    r->configuration_index = index;
    r->configuration_uncommitted_index = 0;
}

/* A new leader's barrier is let in: without it nobody could even read. */
static bool needs_room(const struct raft_append_entries *p)
{
    for (unsigned i = 0; i < p->n_entries; i++)
        if (p->entries[i].type != RAFT_BARRIER)
            return true;
    return false;
}

static bool check_append(struct consensus *c, struct raft_message *m)
{
    struct raft *r = &c->raft;
    struct raft_append_entries *p = &m->append_entries;
    if (p->term < r->current_term)
        return true; /* raft says no */
    if (p->term == r->current_term && r->state == RAFT_LEADER) {
        shim_complain(c, (int64_t)m->server_id, "it says that it leads the term we lead");
        return false;
    }
    /* Entries from the very first on, which libraft would put behind the log when a snapshot has
     * replaced its beginning. */
    if (p->n_entries > 0 && p->prev_log_index == 0 && r->log.offset > 0 && !make_heartbeat(c, m))
        return false;
    /* Without room for them: as if the leader had none. */
    if (c->no_room && needs_room(p))
        return make_heartbeat(c, m);
    if (p->prev_log_index != 0 && raft_log_term(&r->log, p->prev_log_index) != p->prev_log_term)
        return true; /* raft says no */
    if (shim_is_installing(c) && p->n_entries > 0)
        return true; /* raft drops it */
    note_proven(c, p->term, p->prev_log_index + p->n_entries);
    roll_back_membership(c, p);
    return true;
}

static bool check_snapshot(struct consensus *c, const struct raft_message *m)
{
    const struct raft *r = &c->raft;
    const struct raft_install_snapshot *p = &m->install_snapshot;
    if (p->term < r->current_term)
        return true;
    if (c->no_room)
        return false;
    const void *payload;
    size_t len;
    int64_t index;
    struct err err;
    if (!c->hazards.unchecked_snapshot &&
        snapshot_decode(p->data.base, p->data.len, &payload, &len, &index, &err) < 0) {
        shim_complain(c, (int64_t)m->server_id, err.msg);
        return false;
    }
    if (p->term == r->current_term && r->state == RAFT_LEADER) {
        shim_complain(c, (int64_t)m->server_id, "it says that it leads the term we lead");
        return false;
    }
    raft_term term = raft_log_term(&r->log, p->last_index);
    bool have_it = r->log.snapshot.last_index >= p->last_index || term == p->last_term;
    if (p->last_index <= r->commit_index && !have_it) {
        shim_complain(c, (int64_t)m->server_id, "its snapshot contradicts what is committed");
        return false;
    }
    if (have_it || term < p->last_term)
        note_proven(c, p->term, p->last_index);
    return true;
}

static void check_result(struct consensus *c, struct raft_message *m)
{
    struct raft *r = &c->raft;
    struct raft_append_entries_result *p = &m->append_entries_result;
    if (r->state != RAFT_LEADER || p->term != r->current_term)
        return;
    struct peer *peer = shim_peer(c, (int64_t)m->server_id);
    if (p->rejected || p->last_log_index >= peer->large_end)
        peer->large_end = 0;
    /* While it writes a snapshot it refuses every heartbeat. */
    if (p->rejected == peer->snapshot_index ||
        (!p->rejected && p->last_log_index >= peer->snapshot_index))
        peer->snapshot_index = 0;
    if (p->rejected)
        return;
    bool impossible = p->last_log_index > raft_last_index(r);
    /* Until our barrier is on our disk raft must not count replicas: it would commit entries of
     * older terms by it (§5.4.2). That the member lives is all we tell it. */
    bool held = r->last_stored < c->barrier_index && !c->hazards.no_hold && !c->hazards.no_barrier;
    if ((impossible && !c->hazards.unproven_results) || held)
        p->last_log_index = 0;
    if (peer->matched < p->last_log_index)
        peer->matched = p->last_log_index;
}

/* Refused by one whose term is ahead of what we would stand for: take the term over. libraft does
 * so for a request, here of somebody with an empty log, whom nobody votes for. */
static void learn_term(const struct consensus *c, struct raft_message *m)
{
    const struct raft *r = &c->raft;
    const struct raft_request_vote_result *p = &m->request_vote_result;
    if (p->vote_granted || p->term <= r->current_term + 1 || r->state != RAFT_CANDIDATE)
        return;
    m->type = RAFT_IO_REQUEST_VOTE;
    m->request_vote = (struct raft_request_vote){.term = p->term, .candidate_id = m->server_id};
}

static bool check_message(struct consensus *c, struct raft_message *m)
{
    switch (m->type) {
    case RAFT_IO_APPEND_ENTRIES:
        return check_append(c, m);
    case RAFT_IO_INSTALL_SNAPSHOT:
        return check_snapshot(c, m);
    case RAFT_IO_REQUEST_VOTE_RESULT:
        learn_term(c, m);
        return true;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        check_result(c, m);
        return true;
    case RAFT_IO_REQUEST_VOTE:
        if (m->request_vote.candidate_id == m->server_id)
            return true;
        shim_complain(c, (int64_t)m->server_id, "it asks for a vote in another's name");
        return false;
    case RAFT_IO_TIMEOUT_NOW:
        if (c->reluctant)
            return false;
        return !shim_is_installing(c) || c->hazards.candidate_while_install;
    default:
        return true;
    }
}

/* Who asks for votes counts those of the voters that it knows of, so which ones count is its
 * business; a member that its own log does not call a voter may be one in a log that goes further.
 * libraft would not vote then. Our entry in its configuration, which is to be a voter's for the
 * time of this message, or NULL. */
static struct raft_server *lend_vote(const struct consensus *c, const struct raft_message *m)
{
    const struct raft_configuration *configuration = &c->raft.configuration;
    if (m->type != RAFT_IO_REQUEST_VOTE || c->hazards.votes_by_own_log)
        return NULL;
    for (unsigned i = 0; i < configuration->n; i++) {
        struct raft_server *server = &configuration->servers[i];
        if (server->id == c->raft.id)
            return server->role == RAFT_VOTER ? NULL : server;
    }
    return NULL;
}

void shim_receive(struct consensus *c, struct raft_message *m)
{
    if (!check_message(c, m)) {
        transport_release(m);
        return;
    }
    struct raft_server *lent = lend_vote(c, m);
    int role = lent ? lent->role : 0;
    if (lent)
        lent->role = RAFT_VOTER;
    c->recv(&c->io, m);
    if (lent)
        lent->role = role;
    consensus_after_raft(c);
}
