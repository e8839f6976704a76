/* SPDX-License-Identifier: Apache-2.0 */
/* The store's life, its numbers, its queries beyond single tables, and who watches it. */
#include "store/internal.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct store *store_new(void)
{
    struct store *store = mem_alloc(1, sizeof(*store));
    sql_open(&store->sql);
    meta_save(&store->sql, &store->meta);
    return store;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    sql_close(&store->sql);
    free(store);
}

void store_advance(struct store *store, int64_t index)
{
    check(index > store->meta.index && !store->applying);
    store->meta.index = index;
}

int64_t store_index(const struct store *store)
{
    return store->meta.index;
}

int64_t store_time_ms(const struct store *store)
{
    return store->meta.time_ms;
}

/* --- the meta table ------------------------------------------------------------------------ */

/* The places of the numbers in the table are their keys: never change the order. */
static int64_t *meta_at(struct store_meta *meta, size_t key)
{
    int64_t *const numbers[] = {&meta->index,        &meta->time_ms,       &meta->last_id,
                                &meta->last_node_id, &meta->last_event_id, &meta->last_request};
    return key < ARRAY_SIZE(numbers) ? numbers[key] : NULL;
}

void meta_save(struct sql *sql_, const struct store_meta *meta)
{
    struct store_meta copy = *meta;
    for (size_t key = 0; meta_at(&copy, key); key++) {
        sqlite3_stmt *stmt = sql(sql_, SQL_META_PUT);
        sql_int(stmt, 1, (int64_t)key);
        sql_int(stmt, 2, *meta_at(&copy, key));
        sql_run(stmt);
    }
}

int meta_load(struct sql *sql_, struct store_meta *ret_meta, struct err *err)
{
    struct store_meta meta = {0};
    size_t n = 0;
    sqlite3_stmt *stmt = sql(sql_, SQL_META_ALL);
    while (sql_step(stmt)) {
        int64_t *number = meta_at(&meta, n);
        if (!number || sqlite3_column_int64(stmt, 0) != (int64_t)n ||
            sqlite3_column_int64(stmt, 1) < 0) {
            sql_reset(stmt);
            return err_set(err, ERR_CORRUPT, "snapshot: its numbers are damaged");
        }
        *number = sqlite3_column_int64(stmt, 1);
        n++;
    }
    if (meta_at(&meta, n))
        return err_set(err, ERR_CORRUPT, "snapshot: numbers are missing");
    *ret_meta = meta;
    return 0;
}

/* --- queries ------------------------------------------------------------------------------- */

void store_events(struct store *store, int64_t after, size_t max, struct event **ret_events,
                  size_t *ret_n, bool *ret_lost)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_EVENT_OLDEST);
    check(sql_step(stmt));
    int64_t oldest = sqlite3_column_int64(stmt, 0); /* 0 when there is none */
    sql_reset(stmt);
    if (max > EVENTS_KEPT)
        max = EVENTS_KEPT;
    struct event *events = mem_alloc(max, sizeof(*events));
    size_t n = 0;
    stmt = sql(&store->sql, SQL_EVENT_AFTER);
    sql_int(stmt, 1, after);
    sql_int(stmt, 2, (int64_t)max);
    while (sql_step(stmt))
        row_decode(TABLE_EVENT, stmt, &events[n++]);
    *ret_events = events;
    *ret_n = n;
    *ret_lost = oldest > 1 && after < oldest - 1;
}

int store_task_spec(struct store *store, const struct task *task, struct spec *ret_spec)
{
    struct service service;
    int rv = store_get(store, TABLE_SERVICE, task->service_id, &service);
    if (rv < 0)
        return rv;
    if (service.revision == task->revision) {
        *ret_spec = service.spec;
        service.spec = (struct spec){0};
        record_release(&service_type, &service);
        return 0;
    }
    record_release(&service_type, &service);
    sqlite3_stmt *stmt = sql(&store->sql, SQL_REVISION_FIND);
    sql_int(stmt, 1, task->service_id);
    sql_int(stmt, 2, task->revision);
    if (!sql_step(stmt))
        return ERR_NOTFOUND;
    struct revision revision;
    row_decode(TABLE_REVISION, stmt, &revision);
    sql_reset(stmt);
    *ret_spec = revision.spec;
    revision.spec = (struct spec){0};
    record_release(&revision_type, &revision);
    return 0;
}

/* --- requests ------------------------------------------------------------------------------ */

bool store_request(struct store *store, const unsigned char id[REQUEST_ID_BYTES],
                   struct change_result *ret_result)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_REQUEST_GET);
    sql_blob(stmt, 1, id, REQUEST_ID_BYTES);
    if (!sql_step(stmt))
        return false;
    *ret_result = (struct change_result){.id = sqlite3_column_int64(stmt, 2),
                                         .index = sqlite3_column_int64(stmt, 3)};
    int code = sqlite3_column_int(stmt, 0);
    if (code != 0)
        err_set(&ret_result->err, code, "%s", (const char *)sqlite3_column_text(stmt, 1));
    sql_reset(stmt);
    return true;
}

bool request_may_be_forgotten(struct store *store, int64_t begin)
{
    int64_t oldest = store->meta.last_request - REQUESTS_KEPT + 1;
    if (begin == 0 || oldest <= 1)
        return false;
    /* It was applied after @begin, if at all; what was forgotten, at this index at the latest. */
    sqlite3_stmt *stmt = sql(&store->sql, SQL_REQUEST_AT);
    sql_int(stmt, 1, oldest);
    if (!sql_step(stmt))
        return false;
    bool forgotten = begin < sqlite3_column_int64(stmt, 0);
    sql_reset(stmt);
    return forgotten;
}

void request_put(struct store *store, const unsigned char id[REQUEST_ID_BYTES],
                 const struct change_result *result)
{
    int64_t seq = ++store->meta.last_request;
    sqlite3_stmt *stmt = sql(&store->sql, SQL_REQUEST_PUT);
    sql_int(stmt, 1, seq);
    sql_blob(stmt, 2, id, REQUEST_ID_BYTES);
    sql_int(stmt, 3, result->err.code);
    sql_text(stmt, 4, result->err.msg);
    sql_int(stmt, 5, result->id);
    sql_int(stmt, 6, result->index);
    sql_run(stmt);
    if (seq <= REQUESTS_KEPT)
        return;
    stmt = sql(&store->sql, SQL_REQUEST_DROP);
    sql_int(stmt, 1, seq - REQUESTS_KEPT);
    sql_run(stmt);
}

/* --- watchers ------------------------------------------------------------------------------ */

void store_watch(struct store *store, store_watch_cb cb, void *arg)
{
    check(store->watchers_n < WATCHERS_MAX);
    store->watchers[store->watchers_n++] = (struct watcher){.cb = cb, .arg = arg};
}

void store_notify(struct store *store, unsigned tables)
{
    if (tables == 0)
        return;
    if (tables & 1U << TABLE_CLUSTER)
        store->level = 0;
    store->applying = true;
    for (size_t i = 0; i < store->watchers_n; i++)
        store->watchers[i].cb(store->watchers[i].arg, tables);
    store->applying = false;
}
