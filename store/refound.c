/* SPDX-License-Identifier: Apache-2.0 */
#include "store/refound.h"

#include "store/address.h"
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>

/* --- what goes -------------------------------------------------------------------------------- */

/* A complete task of a job keeps its row, on no member. */
static void keep_complete(struct apply *apply, struct task *task)
{
    addresses_return(apply->store, task->addresses, task->addresses_n, task->id);
    record_free_list(&task_address_type, task->addresses, task->addresses_n);
    task->addresses = NULL;
    task->addresses_n = 0;
    task->node_id = 0;
    apply_put(apply, TABLE_TASK, task);
}

static void drop_tasks(struct apply *apply, struct refound_result *result)
{
    struct task *tasks;
    size_t n;
    store_list(apply->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        if (tasks[i].state == TASK_COMPLETE && tasks[i].desired == DESIRED_RUN) {
            keep_complete(apply, &tasks[i]);
        } else {
            task_delete(apply, &tasks[i]);
            result->tasks++;
        }
    }
    record_free_list(&task_type, tasks, n);
}

static void drop_tokens(struct apply *apply, struct refound_result *result)
{
    struct token *tokens;
    size_t n;
    store_list(apply->store, TABLE_TOKEN, BY_NONE, 0, &tokens, &n);
    for (size_t i = 0; i < n; i++)
        apply_delete(apply, TABLE_TOKEN, tokens[i].id);
    result->tokens = (int64_t)n;
    record_free_list(&token_type, tokens, n);
}

static void drop_nodes(struct apply *apply, const struct node *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        apply_delete(apply, TABLE_NODE, nodes[i].id);
    apply->store->meta.last_node_id = 0;
}

static void drop_requests(struct apply *apply)
{
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_REQUEST_DROP);
    sql_int(stmt, 1, apply->store->meta.last_request);
    sql_run(stmt);
}

/* The new cluster's key opens none of what the old one's sealed. */
static void drop_logins(struct apply *apply, struct refound_result *result)
{
    struct registry *registries;
    size_t n;
    size_t dropped = 0;
    store_list(apply->store, TABLE_REGISTRY, BY_NONE, 0, &registries, &n);
    result->logins = mem_alloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        if (registries[i].password.data.len == 0)
            continue;
        bytes_set(&registries[i].password.data, NULL, 0);
        registries[i].password.generation = 0;
        apply_put(apply, TABLE_REGISTRY, &registries[i]);
        result->logins[dropped++] = str_copy(registries[i].name);
    }
    record_free_list(&registry_type, registries, n);
}

/* Nor does it open secrets: they are there by name, and due. */
static void empty_secrets(struct apply *apply, struct refound_result *result)
{
    struct content *contents;
    size_t n;
    store_list(apply->store, TABLE_CONTENT, BY_NONE, 0, &contents, &n);
    for (size_t i = 0; i < n; i++) {
        if (contents[i].kind != CONTENT_SECRET || contents[i].key.data.len == 0)
            continue;
        bytes_set(&contents[i].data, NULL, 0);
        bytes_set(&contents[i].key.data, NULL, 0);
        contents[i].key.generation = 0;
        apply_put(apply, TABLE_CONTENT, &contents[i]);
        result->secrets++;
    }
    record_free_list(&content_type, contents, n);
}

/* --- volumes ---------------------------------------------------------------------------------- */

static const char *name_of(const struct node *nodes, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].id == id)
            return nodes[i].name;
    return "";
}

/* Their content is on machines that may come back under the same name. */
static void unsettle_volumes(struct apply *apply, const struct node *nodes, size_t nodes_n,
                             const struct refound *refound, struct refound_result *result)
{
    struct volume *volumes;
    size_t n;
    store_list(apply->store, TABLE_VOLUME, BY_NONE, 0, &volumes, &n);
    for (size_t i = 0; i < n; i++) {
        struct volume *v = &volumes[i];
        if (v->home_node_id != 0) {
            free(v->home_name);
            v->home_name = str_copy(name_of(nodes, nodes_n, v->home_node_id));
            v->home_node_id = 0;
        }
        if (*str_or_empty(v->home_name) == '\0')
            continue;
        if (refound->forget_homes) {
            free(v->home_name);
            v->home_name = NULL;
            result->homes_forgot++;
        } else if (str_equal(v->home_name, refound->founder.name)) {
            result->homes_here++; /* add_node() makes it so */
        } else {
            result->homes_away++;
        }
        apply_put(apply, TABLE_VOLUME, v);
    }
    record_free_list(&volume_type, volumes, n);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int put_cluster(struct apply *apply, struct cluster *old, const struct refound *refound,
                       struct err *err)
{
    struct cluster cluster;
    record_copy(&cluster_type, &refound->cluster, &cluster);
    free(cluster.pool);
    cluster.pool = str_copy(old->pool);
    free(cluster.spread);
    cluster.spread = str_copy(old->spread);
    cluster.id = 1;
    cluster.created_ms = apply->now_ms;
    cluster.created_index = 0;
    int rv = cluster_validate(&cluster, err);
    if (rv == 0) {
        apply_put(apply, TABLE_CLUSTER, &cluster);
        apply_event(apply, "cluster", cluster.uuid,
                    "founded from a backup of cluster %.32s, which was at index %lld", old->uuid,
                    (long long)apply->index - 1);
    }
    record_release(&cluster_type, &cluster);
    return rv;
}

static int refound_all(struct apply *apply, const struct refound *refound,
                       struct refound_result *result, struct err *err)
{
    struct cluster old;
    struct node *nodes;
    size_t n;
    if (store_get(apply->store, TABLE_CLUSTER, 1, &old) < 0)
        return err_set(err, ERR_NOTFOUND, "the backup has no cluster in it");
    store_list(apply->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    drop_requests(apply);
    drop_tasks(apply, result);
    drop_tokens(apply, result);
    drop_logins(apply, result);
    empty_secrets(apply, result);
    unsettle_volumes(apply, nodes, n, refound, result);
    drop_nodes(apply, nodes, n);
    int rv = put_cluster(apply, &old, refound, err);
    if (rv == 0)
        rv = node_join(apply, &refound->founder, err);
    record_free_list(&node_type, nodes, n);
    record_release(&cluster_type, &old);
    return rv;
}

int store_refound(struct store *store, const struct refound *refound,
                  struct refound_result *ret_result, struct err *err)
{
    struct refound_result result = {0};
    check(!store->applying);
    store->meta.index++;
    if (refound->now_ms > store->meta.time_ms)
        store->meta.time_ms = refound->now_ms;
    struct apply apply = {
        .store = store, .index = store->meta.index, .now_ms = store->meta.time_ms};
    sql_run(sql(&store->sql, SQL_BEGIN));
    int rv = refound_all(&apply, refound, &result, err);
    meta_save(&store->sql, &store->meta);
    sql_run(sql(&store->sql, SQL_COMMIT));
    store_notify(store, ALL_TABLES);
    if (rv == 0)
        *ret_result = result;
    else
        refound_result_release(&result);
    return rv;
}

void refound_result_release(struct refound_result *result)
{
    for (size_t i = 0; result->logins && result->logins[i]; i++)
        free(result->logins[i]);
    free(result->logins);
    *result = (struct refound_result){0};
}
