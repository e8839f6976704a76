/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about the cluster as a whole: init, join, status, wait, tokens. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/level.h"
#include "node/members.h"
#include "node/propose.h"
#include "node/stalls.h"
#include "node/waiters.h"
#include "runtime/runtime.h"
#include "scheduler/scheduler.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>

enum {
    DAY_MS = 24 * 3600 * 1000,
    TTL_DAYS_MAX = 36500,
};

/* --- tokens ----------------------------------------------------------------------------------- */

struct token_work {
    struct api_call *call;
    char *token;
    int64_t expires_ms;
    void (*done)(struct token_work *work, const struct err *err);
};

static void on_token_added(void *arg, const struct change_result *result)
{
    struct token_work *work = arg;
    work->done(work, &result->err);
    free(work->token);
    free(work);
}

static int add_token(struct api_call *c, enum token_kind kind, int64_t ttl_ms,
                     void (*done)(struct token_work *, const struct err *), struct err *err)
{
    struct daemon *d = c->daemon;
    char *token;
    unsigned char ca_hash[32];
    unsigned char secret_hash[32];
    if (token_make(d->identity, kind, &token, err) < 0)
        return err->code;
    check(token_parse(token, &kind, ca_hash, secret_hash, err) == 0);
    struct token_work *work = mem_alloc(1, sizeof(*work));
    int64_t now = clock_wall_ms();
    *work = (struct token_work){
        .call = c, .token = token, .expires_ms = ttl_ms ? now + ttl_ms : 0, .done = done};
    struct change_token_add change = {
        .token = {.kind = kind, .expires_ms = work->expires_ms, .created_ms = now}};
    bytes_set(&change.token.hash, secret_hash, sizeof(secret_hash));
    propose_change(d->propose, CHANGE_TOKEN_ADD, &change, NULL, PROPOSE_TIMEOUT_MS, on_token_added,
                   work);
    record_release(&token_type, &change.token);
    return 0;
}

static void on_token(struct token_work *work, const struct err *err)
{
    struct token_reply reply = {.token = work->token,
                                .address = work->call->daemon->address,
                                .expires_ms = work->expires_ms};
    if (err->code != 0)
        api_fail(work->call, err);
    else
        api_reply(work->call, &reply);
}

void api_token(struct api_call *c, const void *request)
{
    const struct token_request *r = request;
    struct err err;
    int64_t ttl = r->ttl_ms;
    if (ttl < 0 || ttl > (int64_t)TTL_DAYS_MAX * DAY_MS)
        err_set(&err, ERR_INVALID, "the time to live must be from 0 to %d days", TTL_DAYS_MAX);
    else if (add_token(c, r->kind, ttl == 0 && r->kind == TOKEN_JOIN ? DAY_MS : ttl, on_token,
                       &err) == 0)
        return;
    api_fail(c, &err);
}

/* --- init and join ---------------------------------------------------------------------------- */

static void on_first_token(struct token_work *work, const struct err *err)
{
    struct daemon *d = work->call->daemon;
    struct init_reply reply = {.cluster = (char *)(uintptr_t)identity_cluster(d->identity),
                               .address = d->address,
                               .join_token = work->token};
    if (err->code != 0)
        api_fail(work->call, err);
    else
        api_reply(work->call, &reply);
}

static void on_founded(void *arg, const struct err *failed)
{
    struct api_call *c = arg;
    struct err err = *failed;
    if (err.code != 0 || add_token(c, TOKEN_JOIN, DAY_MS, on_first_token, &err) < 0)
        api_fail(c, &err);
}

void api_init(struct api_call *c, const void *request)
{
    const struct init_request *r = request;
    members_found(c->daemon, str_or_empty(r->pool), on_founded, c);
}

static void on_joined(void *arg, const struct err *err)
{
    struct api_call *c = arg;
    struct daemon *d = c->daemon;
    struct join_reply reply = {.cluster = (char *)(uintptr_t)identity_cluster(d->identity),
                               .node_id = d->id};
    if (err->code != 0)
        api_fail(c, err);
    else
        api_reply(c, &reply);
}

void api_join(struct api_call *c, const void *request)
{
    const struct join_request *r = request;
    if (!strchr(str_or_empty(r->address), ':')) {
        cleanup_free char *address = str_printf("%s:7400", str_or_empty(r->address));
        members_join(c->daemon, address, str_or_empty(r->token), on_joined, c);
        return;
    }
    members_join(c->daemon, r->address, str_or_empty(r->token), on_joined, c);
}

/* --- status ----------------------------------------------------------------------------------- */

static void count_members(struct daemon *d, struct status_reply *s)
{
    struct consensus_member members[256];
    size_t n = consensus_members(d->consensus, members, ARRAY_SIZE(members));
    struct node *nodes;
    size_t nodes_n;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &nodes_n);
    s->nodes = (int64_t)nodes_n;
    for (size_t i = 0; i < nodes_n; i++) {
        bool up = nodes[i].status == NODE_UP;
        s->nodes_up += up;
        for (size_t k = 0; k < n && k < ARRAY_SIZE(members); k++)
            if (members[k].id == nodes[i].id && members[k].role == ROLE_VOTER) {
                s->voters++;
                s->voters_up += up;
            }
    }
    record_free_list(&node_type, nodes, nodes_n);
    s->quorum = s->voters / 2 + 1;
    s->losable = s->voters_up >= s->quorum ? s->voters_up - s->quorum : 0;
}

static bool is_up(struct daemon *d, int64_t node_id)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, node_id, &node) < 0)
        return false;
    bool up = node.status == NODE_UP;
    record_release(&node_type, &node);
    return up;
}

static void count_tasks(struct daemon *d, struct status_reply *s)
{
    struct task *tasks;
    size_t n;
    store_list(d->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        if (tasks[i].desired != DESIRED_RUN)
            continue;
        s->tasks++;
        s->tasks_running += tasks[i].state == TASK_RUNNING && is_up(d, tasks[i].node_id);
        s->tasks_waiting += tasks[i].state < TASK_RUNNING;
    }
    record_free_list(&task_type, tasks, n);
    s->services = store_count(d->store, TABLE_SERVICE);
}

void api_status(struct api_call *c, const void *request)
{
    struct daemon *d = c->daemon;
    char leader[80] = "";
    (void)request;
    struct status_reply s = {.version = (char *)(uintptr_t)level_version(d),
                             .node = d->name,
                             .node_id = d->id,
                             .leader = leader,
                             .cluster = (char *)(uintptr_t)identity_cluster(d->identity),
                             .oci_runtime = (char *)(uintptr_t)runtime_oci_version(d->runtime),
                             .cgroups = (char *)(uintptr_t)runtime_cgroup_mode(d->runtime)};
    if (d->waiters) {
        int64_t id = consensus_leader(d->consensus);
        if (id != 0)
            daemon_node_name(d, id, leader, sizeof(leader));
        s.term = consensus_term(d->consensus);
        s.index = store_index(d->store);
        s.behind = heartbeat_behind(d->heartbeat);
        s.contact_ms = heartbeat_out_of_contact_ms(d->heartbeat);
        s.level = store_level(d->store);
        count_members(d, &s);
        count_tasks(d, &s);
    }
    api_reply(c, &s);
}

void api_stalls(struct api_call *c, const void *request)
{
    struct stalls_reply reply;
    (void)request;
    stalls_take(c->daemon->stalls, &reply);
    api_reply(c, &reply);
}

/* --- wait ------------------------------------------------------------------------------------- */

struct index_wait {
    struct api_call *call;
    int64_t after;
};

static bool poll_index(void *arg, bool last)
{
    struct index_wait *wait = arg;
    int64_t index = store_index(wait->call->daemon->store);
    if (index <= wait->after && !last)
        return false;
    struct wait_reply reply = {.index = index};
    api_reply(wait->call, &reply);
    free(wait);
    return true;
}

void api_wait(struct api_call *c, const void *request)
{
    const struct wait_request *r = request;
    struct index_wait wait = {.call = c, .after = r->after};
    waiters_add(c->daemon->waiters, r->wait_ms, poll_index, mem_copy(&wait, sizeof(wait)));
}
