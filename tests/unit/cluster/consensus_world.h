/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members on real disks and one real loop; messages pass through a queue in memory.
 */
#ifndef WHERRY_TESTS_CONSENSUS_WORLD_H
#define WHERRY_TESTS_CONSENSUS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus_internal.h"
#include "cluster/progress.h"
#include "store/store.h"
#include "writes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MEMBERS_MAX = 4
};

struct world;

struct member {
    struct world *world;
    int64_t id;
    char dir[128];
    struct store *store;
    struct consensus *consensus;
    struct consensus_hazards hazards;
    unsigned threshold, trailing;
    bool cut; /* nothing goes in or out */
    bool expect_log, damaged, recover;
    int64_t raft_id; /* 0: the id */
    bool ready;
    int64_t leader;
    bool failed;
    struct err failure;
    bool stopped;
};

struct flight {
    struct flight *next;
    int64_t from, to;
    size_t len;
    char data[];
};

struct world {
    uv_loop_t loop;
    char root[64];
    struct member members[MEMBERS_MAX + 1]; /* by id */
    struct flight *first, *last;
    int64_t tokens; /* made so far, for unique hashes */
};

static inline int world_send(void *arg, int64_t to, bool bulk, const void *data, size_t len)
{
    struct member *m = arg;
    (void)bulk;
    if (m->cut || m->world->members[to].cut || !m->world->members[to].consensus)
        return ERR_UNAVAILABLE;
    struct flight *f = mem_alloc(1, sizeof(*f) + len);
    f->from = m->id;
    f->to = to;
    f->len = len;
    memcpy(f->data, data, len);
    if (m->world->last)
        m->world->last->next = f;
    else
        m->world->first = f;
    m->world->last = f;
    return 0;
}

static inline void world_on_leader(void *arg, int64_t leader, bool ready)
{
    struct member *m = arg;
    m->leader = leader;
    m->ready = ready;
}

static inline void world_on_fatal(void *arg, const struct err *err)
{
    struct member *m = arg;
    m->failed = true;
    m->failure = *err;
}

static inline void world_on_stopped(void *arg)
{
    struct member *m = arg;
    m->stopped = true;
    m->consensus = NULL; /* freed */
}

static inline void world_deliver(struct world *w)
{
    struct flight *f = w->first;
    w->first = w->last = NULL;
    while (f) {
        struct flight *next = f->next;
        struct member *to = &w->members[f->to];
        if (to->consensus && !to->cut && !w->members[f->from].cut)
            consensus_receive(to->consensus, f->from, f->data, f->len);
        free(f);
        f = next;
    }
}

/* One turn of the loop. */
static inline void world_step(struct world *w)
{
    uv_run(&w->loop, w->first ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    world_deliver(w);
}

#define WORLD_UNTIL(w, condition)                                                                  \
    do {                                                                                           \
        int64_t end_ = clock_boot_ms() + 20000;                                                    \
        while (!(condition)) {                                                                     \
            if (clock_boot_ms() > end_)                                                            \
                fail_msg("waited 20 s in vain for %s", #condition);                                \
            world_step(w);                                                                         \
        }                                                                                          \
    } while (0)

static inline void world_run_ms(struct world *w, int64_t ms)
{
    int64_t end = clock_boot_ms() + ms;
    while (clock_boot_ms() < end)
        world_step(w);
}

static inline struct world *world_new(const char *name)
{
    struct world *w = mem_alloc(1, sizeof(*w));
    struct err err;
    log_set_level(LOG_LEVEL_ERROR);
    snprintf(w->root, sizeof(w->root), "/var/tmp/wherry-%s-XXXXXX", name);
    assert_non_null(mkdtemp(w->root));
    assert_int_equal(uv_loop_init(&w->loop), 0);
    for (int id = 1; id <= MEMBERS_MAX; id++) {
        struct member *m = &w->members[id];
        m->world = w;
        m->id = id;
        snprintf(m->dir, sizeof(m->dir), "%s/%d", w->root, id);
        assert_int_equal(file_mkdirs(m->dir, 0700, &err), 0);
    }
    return w;
}

static inline int member_try_start(struct member *m, bool bootstrap, struct err *err)
{
    struct consensus_config config = {
        .loop = &m->world->loop,
        .dir = m->dir,
        .id = m->id,
        .raft_id = m->raft_id,
        .bootstrap = bootstrap,
        .expect_log = m->expect_log,
        .recover = m->recover,
        .ret_damaged = &m->damaged,
        .snapshot_threshold = m->threshold,
        .snapshot_trailing = m->trailing,
        .send = world_send,
        .on_leader = world_on_leader,
        .on_fatal = world_on_fatal,
        .arg = m,
    };
    struct consensus_options options = {.hazards = m->hazards};
    m->stopped = m->failed = m->ready = m->damaged = false;
    config.store = m->store = store_new();
    int rv = consensus_start_with(&config, &options, &m->consensus, err);
    if (rv < 0) {
        for (int i = 0; i < 20; i++)
            uv_run(&m->world->loop, UV_RUN_NOWAIT);
        store_free(steal(&m->store));
    }
    return rv;
}

static inline void member_start(struct member *m, bool bootstrap)
{
    struct err err;
    if (member_try_start(m, bootstrap, &err) < 0)
        fail_msg("start: %s", err.msg);
}

static inline void member_stop(struct member *m)
{
    if (!m->consensus)
        return;
    consensus_stop(m->consensus, world_on_stopped, m);
    WORLD_UNTIL(m->world, m->stopped);
    store_free(steal(&m->store));
}

static inline void world_free(struct world *w)
{
    struct err err;
    for (int id = 1; id <= MEMBERS_MAX; id++)
        member_stop(&w->members[id]);
    world_deliver(w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(file_remove_tree(w->root, &err), 0);
    free(w);
}

struct outcome {
    bool done;
    int code;
    struct change_result result;
};

static inline void on_outcome(void *arg, int code, const struct change_result *result)
{
    struct outcome *o = arg;
    o->done = true;
    o->code = code;
    if (result)
        o->result = *result;
}

static inline void on_change_outcome(void *arg, int code)
{
    struct outcome *o = arg;
    o->done = true;
    o->code = code;
}

/* Propose the next token; returns its number. */
static inline int64_t member_propose(struct member *m, struct outcome *o)
{
    int64_t number = m->world->tokens++;
    *o = (struct outcome){0};
    propose_token(m->consensus, number, on_outcome, o);
    assert_false(o->done);
    return number;
}

/* Bootstrap @m with the cluster's row. */
static inline void member_found(struct member *m)
{
    struct outcome o = {0};
    member_start(m, true);
    WORLD_UNTIL(m->world, m->ready);
    propose_cluster(m->consensus, on_outcome, &o);
    WORLD_UNTIL(m->world, o.done);
    assert_int_equal(o.code, 0);
    assert_int_equal(o.result.err.code, 0);
}

static inline void member_write(struct member *m, int n)
{
    while (n-- > 0) {
        struct outcome o;
        member_propose(m, &o);
        WORLD_UNTIL(m->world, o.done);
        assert_int_equal(o.code, 0);
        assert_int_equal(o.result.err.code, 0);
    }
}

/* Members 1 to 3, the first leading and ready, all voters. */
static inline void world_form(struct world *w)
{
    struct outcome o;
    member_found(&w->members[1]);
    for (int id = 2; id <= 3; id++) {
        member_start(&w->members[id], false);
        o = (struct outcome){0};
        consensus_add(w->members[1].consensus, id, on_change_outcome, &o);
        WORLD_UNTIL(w, o.done);
        assert_int_equal(o.code, 0);
        o = (struct outcome){0};
        consensus_assign(w->members[1].consensus, id, ROLE_VOTER, on_change_outcome, &o);
        WORLD_UNTIL(w, o.done);
        assert_int_equal(o.code, 0);
    }
}

static inline int64_t member_tokens(const struct member *m)
{
    return store_count(m->store, TABLE_TOKEN);
}

#endif
