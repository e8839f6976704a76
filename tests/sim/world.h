/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - a cluster of real members in one process: consensus, its shim, libraft and the store;
 * virtual time, disks in memory (disk.h), and a network that loses, delays, reorders and splits.
 *
 * A step is a millisecond. Everything comes from one seed, so a failure comes again.
 */
#ifndef WHERRY_TESTS_SIM_WORLD_H
#define WHERRY_TESTS_SIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../unit/cluster/writes.h"
#include "disk.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "cluster/consensus_internal.h"
#include "cluster/raft_log.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    MEMBERS_MAX = 9,
    INDEXES_MAX = 1 << 16,
    TERMS_MAX = 1 << 14,
};

struct world;

struct member {
    struct world *world;
    int64_t id;
    char dir[128];
    struct disk disk;
    struct store *store;
    struct consensus *consensus; /* NULL: down */
    bool ready;
    bool stopped;
    bool gone; /* taken out of the cluster, for good */
};

struct parcel {
    struct parcel *next;
    raft_time due;
    int64_t from, to;
    size_t len;
    char data[];
};

struct world {
    raft_time now;
    uint64_t seed, first_seed;
    char root[64];
    struct member members[MEMBERS_MAX + 1]; /* by id */
    int n;
    struct consensus_hazards hazards;
    unsigned threshold, trailing;
    /* the network */
    bool cut[MEMBERS_MAX + 1][MEMBERS_MAX + 1]; /* from, to */
    unsigned loss_percent, latency_ms;
    bool reorder;
    struct parcel *parcels;
    /* see the messages; false: it is lost. For tests that stage something. */
    bool (*on_parcel)(struct world *w, int64_t from, int64_t to, struct raft_message *message);
    bool may_fail, failed; /* a member may stop; one did */
    /* what was seen */
    int64_t leader_of[TERMS_MAX];
    unsigned char (*digest_of)[DIGEST_BYTES]; /* by index */
    bool *digest_known;
};

#define WORLD_CHECK(w, condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            char text_[400];                                                                       \
            snprintf(text_, sizeof(text_), __VA_ARGS__);                                           \
            fail_msg("SIM_SEED=%" PRIu64 " at %llu ms: %s", (w)->first_seed, (w)->now, text_);     \
        }                                                                                          \
    } while (0)

static inline int world_send(void *arg, int64_t to, bool bulk, const void *data, size_t len)
{
    struct member *member = arg;
    struct world *w = member->world;
    (void)bulk;
    if (to < 1 || to > w->n || w->cut[member->id][to])
        return ERR_UNAVAILABLE;
    struct parcel *p = mem_alloc(1, sizeof(*p) + len), **at = &w->parcels;
    p->from = member->id;
    p->to = to;
    p->len = len;
    memcpy(p->data, data, len);
    p->due = w->now + 1 + random_below(&w->seed, w->latency_ms);
    for (; *at; at = &(*at)->next)
        if (!w->reorder && (*at)->from == p->from && (*at)->to == to && (*at)->due > p->due)
            p->due = (*at)->due;
    *at = p;
    return 0;
}

static inline void world_on_leader(void *arg, int64_t leader, bool ready)
{
    struct member *member = arg;
    (void)leader;
    member->ready = ready;
}

static inline void world_on_fatal(void *arg, const struct err *err)
{
    struct member *member = arg;
    member->world->failed = true;
    WORLD_CHECK(member->world, member->world->may_fail, "member %" PRId64 " failed: %s", member->id,
                err->msg);
}

static inline void world_on_stopped(void *arg)
{
    struct member *member = arg;
    member->stopped = true;
}

static inline int64_t world_now_ms(void *arg)
{
    struct member *member = arg;
    return 1700000000000 + (int64_t)member->world->now;
}

static inline bool parcel_passes(struct world *w, struct parcel *p)
{
    if (w->cut[p->from][p->to] || !w->members[p->to].consensus ||
        random_below(&w->seed, 100) < w->loss_percent)
        return false;
    if (!w->on_parcel)
        return true;
    struct raft_message message;
    struct err err;
    if (transport_decode(p->data, p->len, &message, &err) < 0)
        fail_msg("%s", err.msg);
    bool passes = w->on_parcel(w, p->from, p->to, &message);
    transport_release(&message);
    return passes;
}

static inline void world_deliver(struct world *w)
{
    struct parcel **at = &w->parcels;
    while (*at) {
        struct parcel *p = *at;
        if (p->due > w->now) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        if (parcel_passes(w, p))
            consensus_receive(w->members[p->to].consensus, p->from, p->data, p->len);
        free(p);
        at = &w->parcels;
    }
}

/* At most one leader a term; equal index, equal state. */
static inline void member_inspect(struct member *member)
{
    struct world *w = member->world;
    const struct raft *r = &member->consensus->raft;
    if (r->state == RAFT_LEADER) {
        check(r->current_term < TERMS_MAX);
        int64_t *leader = &w->leader_of[r->current_term];
        WORLD_CHECK(w, *leader == 0 || *leader == member->id,
                    "members %" PRId64 " and %" PRId64 " both lead term %llu", *leader, member->id,
                    r->current_term);
        *leader = member->id;
    }
}

static inline void member_compare(struct member *member)
{
    struct world *w = member->world;
    unsigned char digest[DIGEST_BYTES];
    int64_t index = store_index(member->store);
    check(index < INDEXES_MAX);
    store_digest(member->store, digest);
    if (!w->digest_known[index]) {
        w->digest_known[index] = true;
        memcpy(w->digest_of[index], digest, sizeof(digest));
    }
    WORLD_CHECK(w, memcmp(w->digest_of[index], digest, sizeof(digest)) == 0,
                "member %" PRId64 " has another state at index %" PRId64, member->id, index);
}

static inline void world_compare(struct world *w)
{
    for (int id = 1; id <= w->n; id++)
        if (w->members[id].consensus)
            member_compare(&w->members[id]);
}

static inline void world_step(struct world *w)
{
    w->now++;
    world_deliver(w);
    for (int id = 1; id <= w->n; id++) {
        struct member *member = &w->members[id];
        if (!member->consensus)
            continue;
        disk_step(&member->disk);
        consensus_turn(member->consensus);
        member_inspect(member);
    }
}

static inline void world_run(struct world *w, unsigned ms)
{
    while (ms-- > 0)
        world_step(w);
}

#define WORLD_UNTIL(w, condition)                                                                  \
    do {                                                                                           \
        raft_time end_ = (w)->now + 60000;                                                         \
        while (!(condition)) {                                                                     \
            WORLD_CHECK(w, (w)->now < end_, "waited a minute in vain for %s", #condition);         \
            world_step(w);                                                                         \
        }                                                                                          \
    } while (0)

static inline struct world *world_new(uint64_t seed, int n)
{
    struct world *w = mem_alloc(1, sizeof(*w));
    log_set_level(LOG_LEVEL_ERROR);
    w->first_seed = seed;
    w->seed = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    w->n = n;
    w->latency_ms = 5;
    w->digest_of = mem_alloc(INDEXES_MAX, sizeof(*w->digest_of));
    w->digest_known = mem_alloc(INDEXES_MAX, sizeof(*w->digest_known));
    snprintf(w->root, sizeof(w->root), "%s/wherry-sim-XXXXXX",
             file_exists("/dev/shm") ? "/dev/shm" : "/tmp");
    check(mkdtemp(w->root));
    for (int id = 1; id <= MEMBERS_MAX; id++) {
        struct member *member = &w->members[id];
        member->world = w;
        member->id = id;
        snprintf(member->dir, sizeof(member->dir), "%s/%d", w->root, id);
        member->disk = (struct disk){.now = &w->now, .seed = &w->seed, .delay_ms = 5, .start = 1};
    }
    return w;
}

static inline void member_start(struct member *member, bool bootstrap)
{
    struct world *w = member->world;
    struct raft_io io = disk_io(&member->disk);
    struct consensus_options options = {.io = &io, .hazards = w->hazards};
    struct consensus_config config = {
        .dir = member->dir,
        .id = member->id,
        .bootstrap = bootstrap,
        .snapshot_threshold = w->threshold,
        .snapshot_trailing = w->trailing,
        .send = world_send,
        .on_leader = world_on_leader,
        .on_fatal = world_on_fatal,
        .now_ms = world_now_ms,
        .arg = member,
    };
    struct err err;
    member->disk.crashed = member->stopped = member->ready = false;
    config.store = member->store = store_new();
    if (consensus_start_with(&config, &options, &member->consensus, &err) < 0)
        WORLD_CHECK(w, false, "start: %s", err.msg);
}

/* Stop it; the power may have gone before. */
static inline void member_stop(struct member *member)
{
    consensus_stop(member->consensus, world_on_stopped, member);
    while (!member->stopped)
        consensus_turn(member->consensus);
    member->consensus = NULL;
    member->ready = false;
    store_free(steal(&member->store));
}

static inline void member_crash(struct member *member, unsigned keep_writes)
{
    disk_crash(&member->disk, keep_writes);
    member->consensus->failed = member->consensus->failure_told = true; /* it saves nothing more */
    member_stop(member);
}

static inline void world_free(struct world *w)
{
    struct err err;
    for (int id = 1; id <= MEMBERS_MAX; id++) {
        if (w->members[id].consensus)
            member_stop(&w->members[id]);
        disk_free(&w->members[id].disk);
    }
    while (w->parcels) {
        struct parcel *p = w->parcels;
        w->parcels = p->next;
        free(p);
    }
    file_remove_tree(w->root, &err);
    free(w->digest_of);
    free(w->digest_known);
    free(w);
}

struct answer {
    bool done;
    int code;
    int64_t index;
};

static inline void on_answer(void *arg, int code, const struct change_result *result)
{
    struct answer *a = arg;
    a->done = true;
    a->code = code ? code : result->err.code;
    a->index = result ? result->index : 0;
}

static inline void on_change_answer(void *arg, int code)
{
    on_answer(arg, code, &(struct change_result){0});
}

/* Members 1 to @voters, all voters and idle, 1 leading. */
static inline void world_form(struct world *w, int voters)
{
    struct consensus *c;
    struct answer a = {0};
    member_start(&w->members[1], true);
    c = w->members[1].consensus;
    WORLD_UNTIL(w, w->members[1].ready);
    propose_cluster(c, on_answer, &a);
    WORLD_UNTIL(w, a.done);
    for (int id = 2; id <= voters; id++) {
        member_start(&w->members[id], false);
        a.done = false;
        consensus_add(c, id, on_change_answer, &a);
        WORLD_UNTIL(w, a.done);
        a.done = false;
        consensus_assign(c, id, ROLE_VOTER, on_change_answer, &a);
        WORLD_UNTIL(w, a.done);
    }
    for (int id = 1; id <= voters; id++)
        WORLD_UNTIL(w, store_index(w->members[id].store) == store_index(w->members[1].store));
}

/* Cut or mend what goes between @a and @b. */
static inline void world_cut(struct world *w, int a, int b, bool cut)
{
    w->cut[a][b] = w->cut[b][a] = cut;
}

#endif
