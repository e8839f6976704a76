/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One raft entry becomes one transaction, each of its changes a savepoint:
 *
 *     decode all → BEGIN → for each change: known request? its old result
 *                            perhaps known once? refused
 *                            else SAVEPOINT → handler → refused? ROLLBACK TO
 *                            → RELEASE → remember the request
 *                → meta → COMMIT → watchers
 */
#include "store/apply.h"
#include "store/level.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- what handlers use --------------------------------------------------------------------- */

int64_t apply_next_id(struct apply *apply)
{
    return ++apply->store->meta.last_id;
}

static int64_t *index_at(void *row, size_t offset)
{
    return (int64_t *)(void *)((char *)row + offset);
}

void apply_put(struct apply *apply, enum table table, void *row)
{
    const struct table_info *info = table_info(table);
    if (*index_at(row, info->created_index) == 0)
        *index_at(row, info->created_index) = apply->index;
    *index_at(row, info->modified_index) = apply->index;
    row_put(apply->store, table, row);
    apply->changed |= 1U << table;
    if (table == TABLE_CLUSTER)
        apply->store->level = 0;
}

void apply_delete(struct apply *apply, enum table table, int64_t id)
{
    row_delete(apply->store, table, id);
    apply->changed |= 1U << table;
}

void apply_event(struct apply *apply, const char *kind, const char *object, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    cleanup_free char *kind_copy = str_copy(kind);
    cleanup_free char *object_copy = str_copy(object);
    struct event event = {.id = ++apply->store->meta.last_event_id,
                          .at_ms = apply->now_ms,
                          .kind = kind_copy,
                          .object = object_copy,
                          .text = text};
    apply_put(apply, TABLE_EVENT, &event);
    if (event.id <= EVENTS_KEPT)
        return;
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_EVENT_DROP);
    sql_int(stmt, 1, event.id - EVENTS_KEPT);
    sql_run(stmt);
}

/* --- one change ---------------------------------------------------------------------------- */

static int dispatch(struct apply *apply, const struct change *change, struct err *err)
{
    if (change->kind != CHANGE_CLUSTER_INIT && store_count(apply->store, TABLE_CLUSTER) == 0)
        return err_set(err, ERR_UNAVAILABLE, "there is no cluster yet: start it with wherry init");
    switch (change->kind) {
#define X(name, number, noun)                                                                      \
    case CHANGE_##name:                                                                            \
        return apply_##noun(apply, change->body, err);
        CHANGE_KINDS(X)
#undef X
    }
    check(!"a kind of change without a handler");
    return ERR_INTERNAL;
}

/* Returns the tables changed. */
static unsigned apply_new(struct store *store, const struct change *change,
                          struct change_result *ret_result)
{
    struct apply apply = {
        .store = store, .index = store->meta.index, .now_ms = store->meta.time_ms};
    struct store_meta before = store->meta;
    struct err err = {0};
    sql_run(sql(&store->sql, SQL_SAVEPOINT));
    bool refused = dispatch(&apply, change, &err) < 0;
    if (refused) {
        check(err.code != 0);
        sql_run(sql(&store->sql, SQL_ROLLBACK));
        store->meta = before;
        store->level = 0;
    }
    sql_run(sql(&store->sql, SQL_RELEASE));
    *ret_result = (struct change_result){.index = apply.index};
    if (refused)
        ret_result->err = err;
    else
        ret_result->id = apply.made;
    return refused ? 0 : apply.changed;
}

static unsigned apply_change(struct store *store, const struct change *change,
                             struct change_result *ret_result)
{
    if (change->has_request_id && store_request(store, change->request_id, ret_result))
        return 0;
    if (change->has_request_id && request_may_be_forgotten(store, change->begin)) {
        *ret_result = (struct change_result){.index = store->meta.index};
        err_set(
            &ret_result->err, ERR_UNKNOWN,
            "outcome unknown: so much was changed since this was asked for that it is not known "
            "any more whether it was done; look before you repeat it");
        return 0;
    }
    unsigned changed = apply_new(store, change, ret_result);
    if (change->has_request_id)
        request_put(store, change->request_id, ret_result);
    return changed;
}

/* What this build only pretends not to know must stop it like what it does not know. */
static int check_known(const struct store *store, const struct change *changes, size_t n,
                       struct err *err)
{
    for (size_t i = 0; i < n && store->pretend_level != 0; i++)
        if (change_level(&changes[i]) > store->pretend_level)
            return change_unknown((uint64_t)changes[i].kind, err);
    return 0;
}

int store_apply(struct store *store, int64_t index, const void *batch, size_t len,
                struct change_result **ret_results, size_t *ret_n, struct err *err)
{
    check(index > store->meta.index && !store->applying);
    int64_t now_ms;
    struct change *changes;
    size_t n;
    int rv = batch_decode(batch, len, &now_ms, &changes, &n, err);
    if (rv < 0)
        return rv;
    rv = check_known(store, changes, n, err);
    if (rv < 0) {
        for (size_t i = 0; i < n; i++)
            change_release(&changes[i]);
        free(changes);
        return rv;
    }
    struct change_result *results = mem_alloc(n, sizeof(*results));
    unsigned changed = 0;
    store->meta.index = index;
    if (now_ms > store->meta.time_ms)
        store->meta.time_ms = now_ms;
    sql_run(sql(&store->sql, SQL_BEGIN));
    for (size_t i = 0; i < n; i++) {
        changed |= apply_change(store, &changes[i], &results[i]);
        change_release(&changes[i]);
    }
    meta_save(&store->sql, &store->meta);
    sql_run(sql(&store->sql, SQL_COMMIT));
    free(changes);
    *ret_results = results;
    *ret_n = n;
    store_notify(store, changed);
    return 0;
}
