/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recover.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "node/log_state.h"
#include "store/store.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <uv.h>

enum {
    MEMBERS_MAX = 256,
};

/* The member, loaded without a network. */
struct patient {
    char *raft_dir;
    struct identity *identity;
    uv_loop_t loop;
    struct store *store;
    struct consensus *consensus;
    bool stopped;
    bool ready;
    struct err failure; /* of its log, once it was loaded */
};

static int send_nothing(void *arg, int64_t to, bool bulk, const void *data, size_t len)
{
    (void)arg, (void)to, (void)bulk, (void)data, (void)len;
    return ERR_UNAVAILABLE;
}

static void on_leader(void *arg, int64_t leader_id, bool ready)
{
    struct patient *p = arg;
    (void)leader_id;
    p->ready = ready;
}

static void on_fatal(void *arg, const struct err *err)
{
    ((struct patient *)arg)->failure = *err;
}

static void on_stopped(void *arg)
{
    ((struct patient *)arg)->stopped = true;
}

static int load(struct patient *p, const char *data_dir, bool recover, struct err *err)
{
    cleanup_free char *identity_dir = str_printf("%s/identity", data_dir);
    cleanup_free char *member = str_printf("%s/member", identity_dir);
    if (!file_exists(member))
        return err_set(err, ERR_NOTFOUND,
                       "%s is not the data folder of a member of a cluster (--data names another)",
                       data_dir);
    p->raft_dir = str_printf("%s/raft", data_dir);
    check(uv_loop_init(&p->loop) == 0);
    p->store = store_new();
    struct log_state state;
    int rv = identity_open(identity_dir, &p->identity, err);
    if (rv == 0)
        rv = log_state_load(data_dir, p->identity, &state, err);
    if (rv < 0)
        return rv;
    if (state.kind == LOG_REPAIR || (state.written && state.kind == LOG_NEW))
        return err_set(err, ERR_UNAVAILABLE,
                       "this member has no log of its own yet, or gave it up: recover another one");
    struct consensus_config config = {.loop = &p->loop,
                                      .dir = p->raft_dir,
                                      .id = identity_node_id(p->identity),
                                      .raft_id = state.raft_id,
                                      .store = p->store,
                                      .recover = recover,
                                      .send = send_nothing,
                                      .on_leader = on_leader,
                                      .on_fatal = on_fatal,
                                      .arg = p};
    rv = file_exists(p->raft_dir) ? 0 : ERR_NOTFOUND;
    if (rv == 0)
        rv = consensus_start(&config, &p->consensus, err);
    if (rv == ERR_BUSY)
        return err_set(err, ERR_BUSY, "the daemon of %s runs: stop it first", data_dir);
    if (rv == ERR_NOTFOUND || (rv == 0 && consensus_last_index(p->consensus) == 0))
        return err_set(err, ERR_NOTFOUND, "%s holds no log: this member has nothing to go on from",
                       p->raft_dir);
    return rv;
}

static void release(struct patient *p)
{
    if (p->consensus) {
        consensus_stop(p->consensus, on_stopped, p);
        while (!p->stopped)
            uv_run(&p->loop, UV_RUN_ONCE);
    }
    if (p->store) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
        uv_run(&p->loop, UV_RUN_NOWAIT);
        uv_loop_close(&p->loop);
    }
    store_free(p->store);
    identity_free(p->identity);
    free(p->raft_dir);
}

static const char *role_of(const struct consensus_member *members, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (members[i].id == id)
            return members[i].role == ROLE_VOTER     ? "voter"
                   : members[i].role == ROLE_STANDBY ? "standby"
                                                     : "joining";
    return "none";
}

/* Members that have another raft id than their own. */
static void name_members(struct patient *p)
{
    struct node *nodes;
    size_t n;
    store_list(p->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    struct consensus_ids *ids = mem_alloc(n, sizeof(*ids));
    for (size_t i = 0; i < n; i++)
        ids[i] = (struct consensus_ids){.node_id = nodes[i].id, .raft_id = nodes[i].raft_id};
    consensus_set_ids(p->consensus, ids, n);
    free(ids);
    record_free_list(&node_type, nodes, n);
}

static void describe_members(struct patient *p, struct recover_report *r)
{
    struct consensus_member members[MEMBERS_MAX];
    struct node *nodes;
    name_members(p);
    size_t n = consensus_members(p->consensus, members, MEMBERS_MAX);
    n = n < MEMBERS_MAX ? n : MEMBERS_MAX;
    for (size_t i = 0; i < n; i++)
        r->voters += members[i].role == ROLE_VOTER;
    store_list(p->store, TABLE_NODE, BY_NONE, 0, &nodes, &r->members_n);
    r->members = mem_alloc(r->members_n, sizeof(*r->members));
    for (size_t i = 0; i < r->members_n; i++) {
        r->members[i] =
            (struct recover_member){.id = nodes[i].id,
                                    .name = str_copy(nodes[i].name),
                                    .address = str_copy(nodes[i].address),
                                    .role = str_copy(role_of(members, n, nodes[i].id)),
                                    .self = nodes[i].id == identity_node_id(p->identity)};
        if (r->members[i].self) {
            r->node = str_copy(nodes[i].name);
            r->witness = nodes[i].witness;
        }
    }
    r->role = str_copy(role_of(members, n, identity_node_id(p->identity)));
    record_free_list(&node_type, nodes, r->members_n);
}

/* When this member last learned that something was committed. */
static int64_t heard_ms(const struct patient *p)
{
    cleanup_free char *path = str_printf("%s/progress", p->raft_dir);
    struct stat st;
    return stat(path, &st) < 0 ? 0 : (int64_t)st.st_mtime * 1000;
}

static void describe(struct patient *p, struct recover_report *ret)
{
    struct recover_report r = {.cluster = str_copy(identity_cluster(p->identity)),
                               .node_id = identity_node_id(p->identity),
                               .term = consensus_term(p->consensus),
                               .index = consensus_last_index(p->consensus),
                               .index_term = consensus_last_term(p->consensus),
                               .committed = consensus_commit_index(p->consensus),
                               .epoch = consensus_epoch(p->consensus),
                               .cut_off = consensus_is_cut_off(p->consensus),
                               .heard_ms = heard_ms(p),
                               .services = store_count(p->store, TABLE_SERVICE),
                               .tasks = store_count(p->store, TABLE_TASK)};
    describe_members(p, &r);
    *ret = r;
}

int recover_look(const char *data_dir, struct recover_report *ret, struct err *err)
{
    struct patient p = {0};
    log_set_level(LOG_LEVEL_ERROR);
    int rv = load(&p, data_dir, false, err);
    if (rv == 0)
        describe(&p, ret);
    release(&p);
    return rv;
}

int recover_act(const char *data_dir, struct recover_report *ret, struct err *err)
{
    struct patient p = {0};
    log_set_level(LOG_LEVEL_ERROR);
    int rv = load(&p, data_dir, true, err);
    /* As the only voter it leads at once, and all it has is committed. */
    while (rv == 0 && !p.ready && p.failure.code == 0)
        uv_run(&p.loop, UV_RUN_ONCE);
    if (rv == 0 && p.failure.code != 0) {
        *err = p.failure;
        rv = err_wrap(err, "the recovery was not finished, repeat it");
    }
    if (rv == 0)
        describe(&p, ret);
    release(&p);
    return rv;
}
