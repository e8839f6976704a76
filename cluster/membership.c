/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of membership, one at a time, and the hand-over of leadership.
 *
 * Only a ready leader changes membership: before an entry of its own term is committed two
 * majorities need not overlap (Ongaro 2015, "bug in single-server membership changes").
 */
#include "cluster/consensus_internal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int raft_role(enum consensus_role role)
{
    switch (role) {
    case ROLE_STANDBY:
        return RAFT_STANDBY;
    case ROLE_VOTER:
        return RAFT_VOTER;
    case ROLE_SPARE:
        return RAFT_SPARE;
    }
    return RAFT_SPARE;
}

static void finish(struct consensus *c, struct member_change *m, int code)
{
    struct member_change **at = &c->changes_done;
    while (*at)
        at = &(*at)->next;
    m->code = code;
    m->next = NULL;
    *at = m;
    consensus_wake(c);
}

static void on_changed(struct raft_change *req, int status)
{
    struct member_change *m =
        (struct member_change *)(void *)((char *)req - offsetof(struct member_change, req));
    struct consensus *c = m->consensus;
    c->change = NULL;
    finish(c, m, consensus_code(status));
}

static int submit(struct consensus *c, struct member_change *m)
{
    char address[32];
    raft_id id = (raft_id)m->id;
    if (!consensus_is_ready(c))
        return RAFT_NOTLEADER;
    switch (m->what) {
    case MEMBER_ADD:
        snprintf(address, sizeof(address), "n%" PRId64, m->id);
        return raft_add(&c->raft, &m->req, id, address, on_changed);
    case MEMBER_ASSIGN:
        return raft_assign(&c->raft, &m->req, id, raft_role(m->role), on_changed);
    case MEMBER_REMOVE:
        return raft_remove(&c->raft, &m->req, id, on_changed);
    }
    return RAFT_INVALID;
}

/* libraft says BADROLE also for the role it has already. */
static bool has_role(const struct consensus *c, const struct member_change *m)
{
    const struct raft_configuration *conf = &c->raft.configuration;
    for (unsigned i = 0; i < conf->n; i++)
        if (conf->servers[i].id == (raft_id)m->id)
            return conf->servers[i].role == raft_role(m->role);
    return false;
}

static void start(struct consensus *c, struct member_change *m)
{
    if (c->change) {
        finish(c, m, ERR_BUSY);
        return;
    }
    c->change = m;
    int rv = submit(c, m);
    if (rv == 0)
        return;
    c->change = NULL;
    /* A failed raft_assign() leaves its request behind. */
    if (c->raft.state == RAFT_LEADER && c->raft.leader_state.change == &m->req)
        c->raft.leader_state.change = NULL;
    bool fine = rv == RAFT_BADROLE && m->what == MEMBER_ASSIGN && has_role(c, m);
    finish(c, m, fine ? 0 : consensus_code(rv));
}

void membership_flush(struct consensus *c)
{
    while (c->changes) {
        struct member_change *m = c->changes;
        c->changes = m->next;
        start(c, m);
    }
}

bool membership_deliver(struct consensus *c)
{
    struct member_change *m = c->changes_done;
    c->changes_done = NULL;
    bool any = m;
    while (m) {
        struct member_change *next = m->next;
        m->cb(m->arg, m->code);
        free(m);
        m = next;
    }
    return any;
}

void membership_give_up(struct consensus *c, int code)
{
    while (c->changes) {
        struct member_change *m = c->changes;
        c->changes = m->next;
        finish(c, m, code);
    }
}

static void ask(struct consensus *c, struct member_change proto)
{
    struct member_change *m = mem_copy(&proto, sizeof(proto));
    m->consensus = c;
    m->id = ids_raft(c, proto.id);
    if (c->phase != RUNNING) {
        finish(c, m, ERR_CANCELED);
        return;
    }
    struct member_change **at = &c->changes;
    while (*at)
        at = &(*at)->next;
    *at = m;
    consensus_wake(c);
}

void consensus_add(struct consensus *c, int64_t id, consensus_change_cb cb, void *arg)
{
    ask(c, (struct member_change){.what = MEMBER_ADD, .id = id, .cb = cb, .arg = arg});
}

void consensus_assign(struct consensus *c, int64_t id, enum consensus_role role,
                      consensus_change_cb cb, void *arg)
{
    ask(c, (struct member_change){
               .what = MEMBER_ASSIGN, .id = id, .role = role, .cb = cb, .arg = arg});
}

void consensus_remove(struct consensus *c, int64_t id, consensus_change_cb cb, void *arg)
{
    ask(c, (struct member_change){.what = MEMBER_REMOVE, .id = id, .cb = cb, .arg = arg});
}

size_t consensus_members(const struct consensus *c, struct consensus_member *members, size_t max)
{
    const struct raft_configuration *conf = &c->raft.configuration;
    for (unsigned i = 0; i < conf->n && i < max; i++) {
        int role = conf->servers[i].role;
        members[i].id = ids_node(c, (int64_t)conf->servers[i].id);
        members[i].role = role == RAFT_VOTER     ? ROLE_VOTER
                          : role == RAFT_STANDBY ? ROLE_STANDBY
                                                 : ROLE_SPARE;
    }
    return conf->n;
}

void consensus_set_reluctant(struct consensus *c, bool reluctant)
{
    c->reluctant = reluctant;
}

int consensus_transfer_to(struct consensus *c, int64_t id)
{
    if (c->phase != RUNNING || c->raft.state != RAFT_LEADER)
        return ERR_NOTLEADER;
    if (c->raft.transfer)
        return ERR_BUSY;
    int rv = raft_transfer(&c->raft, &c->transfer, (raft_id)ids_raft(c, id), NULL);
    return rv == 0 ? 0 : ERR_UNAVAILABLE;
}

int consensus_transfer(struct consensus *c)
{
    return consensus_transfer_to(c, 0);
}
