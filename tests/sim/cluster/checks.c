/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold. The linker gives us store_apply(), store_snapshot() and store_restore_trusted()
 * before they get to the store (--wrap), so each entry is looked at on each member, at its very
 * index.
 *
 *  - At an index every member applies the same bytes with the same results, always, also when it
 *    applies its log anew after a restart; equal index, equal digest.
 *  - A request id is executed once: whenever it comes again its result is the one it had. What a
 *    client is told is such a result. Ids of rows only grow.
 *  - Who is ready to lead has all that any client was ever told.
 *  - At most one member leads a term.
 *  - A slot has at most one task that is to run, but for one that takes over from a draining node;
 *    what is reserved on a node is there.
 */
#include "sim.h"

#include "base/digest.h"
#include "base/log.h"

#include <stdio.h>
#include <uthash.h>

enum {
    INDEXES_MAX = 1 << 16,
    TERMS_MAX = 1 << 14,
    DIGEST_EVERY = 16, /* entries */
    LOOK_MS = 500,     /* between two looks for what was acknowledged, on each member */
};

/* What is known of an index. */
struct entry_record {
    uint64_t batch, results; /* hashes, 0: not applied yet */
    bool digested;
    unsigned char digest[DIGEST_BYTES];
};

struct executed {
    unsigned char id[REQUEST_ID_BYTES];
    int64_t index, made;
    int code;
    UT_hash_handle hh;
};

struct reservation {
    struct {
        int64_t service_id, revision;
    } key;
    int64_t cpu_milli;
    UT_hash_handle hh;
};

struct checks {
    struct sim *sim;
    struct entry_record *entries;
    int64_t *leader_of;
    struct executed *executed;
    struct reservation *reservations;
    int64_t last_id, last_node_id;
    int64_t told_index; /* the highest that a client was told of */
    raft_time look_at[IDS_MAX + 1];
};

static struct checks *watching;

struct checks *checks_new(struct sim *s)
{
    struct checks *k = mem_alloc(1, sizeof(*k));
    k->sim = s;
    k->entries = mem_alloc(INDEXES_MAX, sizeof(*k->entries));
    k->leader_of = mem_alloc(TERMS_MAX, sizeof(*k->leader_of));
    watching = k;
    return k;
}

void checks_free(struct checks *k)
{
    struct executed *e, *e_next;
    struct reservation *r, *r_next;
    HASH_ITER(hh, k->executed, e, e_next)
    {
        HASH_DEL(k->executed, e);
        free(e);
    }
    HASH_ITER(hh, k->reservations, r, r_next)
    {
        HASH_DEL(k->reservations, r);
        free(r);
    }
    free(k->entries);
    free(k->leader_of);
    free(k);
    watching = NULL;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_results(const struct change_result *results, size_t n)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) {
        hash = hash_bytes(hash, &results[i].id, sizeof(results[i].id));
        hash = hash_bytes(hash, &results[i].index, sizeof(results[i].index));
        hash = hash_bytes(hash, &results[i].err.code, sizeof(results[i].err.code));
        if (results[i].err.code != 0)
            hash = hash_bytes(hash, results[i].err.msg, strlen(results[i].err.msg));
    }
    return hash | 1;
}

static int64_t member_of(const struct checks *k, const struct store *store)
{
    for (int id = 1; id <= k->sim->n; id++)
        if (k->sim->members[id].d && k->sim->members[id].d->store == store)
            return id;
    return 0;
}

static struct entry_record *record_at(struct checks *k, int64_t index)
{
    check(index >= 0 && index < INDEXES_MAX);
    return &k->entries[index];
}

static void compare_digest(struct checks *k, struct store *store)
{
    struct entry_record *e = record_at(k, store_index(store));
    unsigned char digest[DIGEST_BYTES];
    store_digest(store, digest);
    k->sim->stats.compared += e->digested;
    SIM_CHECK(k->sim, !e->digested || memcmp(digest, e->digest, sizeof(digest)) == 0,
              "member %" PRId64 " has another state at index %" PRId64, member_of(k, store),
              store_index(store));
    e->digested = true;
    memcpy(e->digest, digest, sizeof(digest));
}

/* --- an entry that is applied for the first time ------------------------------------------------
 */

static void check_made(struct checks *k, const struct change *change,
                       const struct change_result *result)
{
    int64_t *last = change->kind == CHANGE_NODE_ADD ? &k->last_node_id : &k->last_id;
    if (change->kind != CHANGE_NODE_ADD && change->kind != CHANGE_TOKEN_ADD &&
        change->kind != CHANGE_TASK_CREATE)
        return;
    SIM_CHECK(k->sim, result->id > *last,
              "%s at index %" PRId64 " made id %" PRId64 " after %" PRId64,
              change_name((int)change->kind), result->index, result->id, *last);
    *last = result->id;
}

static void note_executed(struct checks *k, int64_t index, const struct change *change,
                          const struct change_result *result)
{
    struct executed *e = NULL;
    if (change->has_request_id)
        HASH_FIND(hh, k->executed, change->request_id, REQUEST_ID_BYTES, e);
    if (e) {
        SIM_CHECK(k->sim,
                  e->index == result->index && e->made == result->id && e->code == result->err.code,
                  "%s at index %" PRId64 " was executed at %" PRId64 " before",
                  change_name((int)change->kind), index, e->index);
        return;
    }
    SIM_CHECK(k->sim, result->index == index,
              "a new change at index %" PRId64 " has the result of %" PRId64, index, result->index);
    if (result->err.code == 0)
        check_made(k, change, result);
    if (!change->has_request_id)
        return;
    e = mem_alloc(1, sizeof(*e));
    memcpy(e->id, change->request_id, REQUEST_ID_BYTES);
    e->index = result->index;
    e->made = result->id;
    e->code = result->err.code;
    HASH_ADD(hh, k->executed, id, REQUEST_ID_BYTES, e);
}

static int64_t reserved_by(struct checks *k, struct store *store, const struct task *task)
{
    struct reservation *r = NULL, key;
    struct spec spec;
    memset(&key, 0, sizeof(key));
    key.key.service_id = task->service_id;
    key.key.revision = task->revision;
    HASH_FIND(hh, k->reservations, &key.key, sizeof(key.key), r);
    if (r)
        return r->cpu_milli;
    if (store_task_spec(store, task, &spec) < 0)
        return 0;
    r = mem_copy(&key, sizeof(key));
    r->cpu_milli = spec.reservations.cpu_milli;
    HASH_ADD(hh, k->reservations, key, sizeof(r->key), r);
    record_release(&spec_type, &spec);
    return r->cpu_milli;
}

static bool is_draining(const struct node *nodes, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].id == id)
            return nodes[i].availability == AVAILABLE_DRAIN;
    return false;
}

static bool share_slot(const struct task *a, const struct task *b)
{
    return a->desired == DESIRED_RUN && b->desired == DESIRED_RUN &&
           a->service_id == b->service_id && a->slot == b->slot && a->job_id == b->job_id;
}

static bool starts_first(struct store *store, const struct task *task)
{
    struct service service;
    if (store_get(store, TABLE_SERVICE, task->service_id, &service) < 0)
        return false;
    bool first = service.spec.update.order == ORDER_START_FIRST;
    record_release(&service_type, &service);
    return first;
}

/* One task a slot is to run; a second one is placed only beside one that leaves its node, or whose
 * service starts the next one first. */
static void check_slots(struct checks *k, struct store *store, const struct task *tasks, size_t n,
                        const struct node *nodes, size_t nodes_n)
{
    int64_t index = store_index(store);
    for (size_t j = 0; j < n; j++) {
        int others = 0;
        for (size_t i = 0; i < j; i++) {
            if (!share_slot(&tasks[i], &tasks[j]))
                continue;
            SIM_CHECK(k->sim,
                      ++others == 1 && (tasks[j].created_index != index || tasks[i].move_to != 0 ||
                                        starts_first(store, &tasks[j]) ||
                                        is_draining(nodes, nodes_n, tasks[i].node_id)),
                      "tasks %" PRId64 " and %" PRId64 " are both to run in slot %" PRId64
                      " at index %" PRId64,
                      tasks[i].id, tasks[j].id, tasks[i].slot, index);
        }
    }
}

static void check_placement(struct checks *k, struct store *store)
{
    struct task *tasks;
    struct node *nodes;
    size_t n, nodes_n;
    int64_t reserved[IDS_MAX + 1] = {0};
    store_list(store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    store_list(store, TABLE_NODE, BY_NONE, 0, &nodes, &nodes_n);
    check_slots(k, store, tasks, n, nodes, nodes_n);
    for (size_t i = 0; i < n; i++)
        if (!task_is_terminal(tasks[i].state))
            reserved[tasks[i].node_id] += reserved_by(k, store, &tasks[i]);
    for (size_t i = 0; i < nodes_n; i++)
        SIM_CHECK(k->sim, reserved[nodes[i].id] <= nodes[i].cpu_milli || nodes[i].cpu_milli == 0,
                  "%" PRId64 " of %" PRId64 " are reserved on node %" PRId64 " at index %" PRId64,
                  reserved[nodes[i].id], nodes[i].cpu_milli, nodes[i].id, store_index(store));
    record_free_list(&task_type, tasks, n);
    record_free_list(&node_type, nodes, nodes_n);
}

static void on_first(struct checks *k, struct store *store, const void *batch, size_t len,
                     const struct change_result *results)
{
    int64_t now_ms, index = store_index(store);
    struct change *changes;
    size_t n;
    struct err err;
    bool places = false;
    k->sim->stats.entries++;
    check(batch_decode(batch, len, &now_ms, &changes, &n, &err) == 0);
    for (size_t i = 0; i < n; i++) {
        note_executed(k, index, &changes[i], &results[i]);
        log_debug("entry", "%lld %s%s%s", (long long)index, change_name((int)changes[i].kind),
                  results[i].err.code ? ": " : "", results[i].err.msg);
        places |= changes[i].kind != CHANGE_TOKEN_ADD && changes[i].kind != CHANGE_TOKEN_REMOVE;
        change_release(&changes[i]);
    }
    free(changes);
    if (places)
        check_placement(k, store);
}

/* --- before it gets to the store -----------------------------------------------------------------
 */

int __real_store_apply(struct store *store, int64_t index, const void *batch, size_t len,
                       struct change_result **ret_results, size_t *ret_n, struct err *err);
int __wrap_store_apply(struct store *store, int64_t index, const void *batch, size_t len,
                       struct change_result **ret_results, size_t *ret_n, struct err *err);
int __wrap_store_apply(struct store *store, int64_t index, const void *batch, size_t len,
                       struct change_result **ret_results, size_t *ret_n, struct err *err)
{
    struct checks *k = watching;
    int rv = __real_store_apply(store, index, batch, len, ret_results, ret_n, err);
    if (rv < 0 || !k)
        return rv;
    struct entry_record *e = record_at(k, index);
    uint64_t batch_hash = hash_bytes(1, batch, len) | 1;
    uint64_t results_hash = hash_results(*ret_results, *ret_n);
    SIM_CHECK(k->sim, !e->batch || e->batch == batch_hash,
              "member %" PRId64 " applies another entry at index %" PRId64, member_of(k, store),
              index);
    SIM_CHECK(k->sim, !e->batch || e->results == results_hash,
              "member %" PRId64 " has other results at index %" PRId64, member_of(k, store), index);
    if (!e->batch)
        on_first(k, store, batch, len, *ret_results);
    e->batch = batch_hash;
    e->results = results_hash;
    sim_trace_number(k->sim, index);
    sim_trace_number(k->sim, (int64_t)results_hash);
    if (index % DIGEST_EVERY == 0)
        compare_digest(k, store);
    return rv;
}

void __real_store_snapshot(struct store *store, struct buf *out);
void __wrap_store_snapshot(struct store *store, struct buf *out);
void __wrap_store_snapshot(struct store *store, struct buf *out)
{
    if (watching)
        compare_digest(watching, store);
    __real_store_snapshot(store, out);
}

int __real_store_restore_trusted(struct store *store, const void *data, size_t len,
                                 struct err *err);
int __wrap_store_restore_trusted(struct store *store, const void *data, size_t len,
                                 struct err *err);
int __wrap_store_restore_trusted(struct store *store, const void *data, size_t len, struct err *err)
{
    int rv = __real_store_restore_trusted(store, data, len, err);
    if (rv == 0 && watching) {
        watching->sim->stats.snapshots++;
        compare_digest(watching, store);
    }
    return rv;
}

void checks_look_away(struct checks *k, bool away)
{
    watching = away ? NULL : k;
}

/* --- what members and clients say ------------------------------------------------------------- */

void checks_on_step(struct checks *k, struct member *m)
{
    struct sim *s = k->sim;
    const struct raft *r = &m->d->consensus->raft;
    if (r->state == RAFT_LEADER) {
        check(r->current_term < TERMS_MAX);
        int64_t *leader = &k->leader_of[r->current_term];
        SIM_CHECK(s, *leader == 0 || *leader == m->id,
                  "members %" PRId64 " and %" PRId64 " both lead term %llu", *leader, m->id,
                  r->current_term);
        s->stats.terms += *leader == 0;
        *leader = m->id;
    }
    if (s->now < k->look_at[m->id])
        return;
    k->look_at[m->id] = s->now + LOOK_MS;
    clients_check(s->clients, m);
}

void checks_on_ready(struct checks *k, struct member *m)
{
    SIM_CHECK(k->sim, store_index(m->d->store) >= k->told_index,
              "member %" PRId64 " leads with index %" PRId64 "; clients were told of %" PRId64,
              m->id, store_index(m->d->store), k->told_index);
    clients_check(k->sim->clients, m);
}

int64_t checks_told(const struct checks *k)
{
    return k->told_index;
}

void checks_on_answer(struct checks *k, const unsigned char *request_id,
                      const struct change_result *result)
{
    struct executed *e;
    HASH_FIND(hh, k->executed, request_id, REQUEST_ID_BYTES, e);
    SIM_CHECK(k->sim, e, "a client was told that its change was applied at %" PRId64 ", it was not",
              result->index);
    SIM_CHECK(k->sim,
              e->index == result->index && e->made == result->id && e->code == result->err.code,
              "a client was told index %" PRId64 " id %" PRId64 " code %d, it was index %" PRId64
              " id %" PRId64 " code %d",
              result->index, result->id, result->err.code, e->index, e->made, e->code);
    if (result->index > k->told_index)
        k->told_index = result->index;
}
