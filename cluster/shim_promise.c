/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this member promises is recorded: how far its log is durable, its term and its vote.
 *
 * The index follows the log's writes, so it may be behind the log, never ahead. Where the log's end
 * is cut off it is lowered before, and the writes that were under way then no longer count.
 */
#include "cluster/consensus_internal.h"
#include "cluster/log_dir.h"

#include "base/err.h"

int promise_open(struct consensus *c, bool known, const struct log_content *content,
                 struct err *err)
{
    if (!known) {
        c->acknowledged = (struct acknowledged){.raft_id = (uint64_t)c->config.id,
                                                .index = content->last_index,
                                                .term = content->term,
                                                .vote = content->vote,
                                                .term_before = content->term,
                                                .vote_before = content->vote};
        if (acknowledged_create(c->dir, &c->acknowledged, err) < 0)
            return err->code;
    }
    return acknowledged_open(c->dir, &c->acknowledged_fd, err);
}

static int fail(struct consensus *c, struct err *err)
{
    err_wrap(err, "%s/acknowledged", c->dir);
    consensus_fail(c, err);
    return err->code == ERR_NOSPACE ? RAFT_NOSPACE : RAFT_IOERR;
}

void promise_written(struct consensus *c, const struct write *w)
{
    struct err err;
    if (w->generation != c->disk_generation || w->last <= c->acknowledged.index)
        return;
    c->acknowledged.index = w->last;
    if (acknowledged_write(c->acknowledged_fd, &c->acknowledged, &err) < 0)
        fail(c, &err);
}

int promise_lower(struct consensus *c, uint64_t last)
{
    struct err err;
    c->disk_generation++;
    c->disk_last = last;
    if (c->acknowledged.index <= last)
        return 0;
    c->acknowledged.index = last;
    if (acknowledged_write_synced(c->acknowledged_fd, &c->acknowledged, &err) < 0)
        return fail(c, &err);
    return 0;
}

void promise_snapshot(struct consensus *c, uint64_t index)
{
    struct err err;
    if (index <= c->acknowledged.index)
        return;
    c->acknowledged.index = index;
    if (acknowledged_write(c->acknowledged_fd, &c->acknowledged, &err) < 0)
        fail(c, &err);
}

/* First here, then in libraft's file: a crash between the two leaves what was before there. */
static int write_term(struct consensus *c, uint64_t term, uint64_t vote)
{
    struct acknowledged *a = &c->acknowledged;
    struct err err;
    if (!c->own_disk) /* a test's, whose term and vote are not in the folder */
        return 0;
    a->term_before = a->term;
    a->vote_before = a->vote;
    a->term = term;
    a->vote = vote;
    return acknowledged_write_synced(c->acknowledged_fd, a, &err) < 0 ? fail(c, &err) : 0;
}

/* libraft's file has it too now: what was before need no longer be looked for. The next write of
 * the index says so. */
static int stored(struct consensus *c, int rv)
{
    if (rv == 0) {
        c->acknowledged.term_before = c->acknowledged.term;
        c->acknowledged.vote_before = c->acknowledged.vote;
    }
    return rv;
}

int promise_bootstrap(struct consensus *c, struct err *err)
{
    if (c->acknowledged.term == 0 && write_term(c, 1, 0) != 0) {
        *err = c->failure;
        return err->code;
    }
    return 0;
}

void promise_bootstrapped(struct consensus *c)
{
    stored(c, 0);
}

int promise_set_term(struct raft_io *io, raft_term term)
{
    struct consensus *c = shim_consensus(io);
    int rv = write_term(c, term, 0);
    return rv == 0 ? stored(c, c->inner.set_term(io, term)) : rv;
}

int promise_set_vote(struct raft_io *io, raft_id vote)
{
    struct consensus *c = shim_consensus(io);
    int rv = write_term(c, c->acknowledged.term, vote);
    return rv == 0 ? stored(c, c->inner.set_vote(io, vote)) : rv;
}
