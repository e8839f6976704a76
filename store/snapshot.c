/* SPDX-License-Identifier: Apache-2.0 */
/* The whole state as bytes, back again, and its digest. */
#include "store/internal.h"
#include "store/level.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"

#include <stdio.h>
#include <string.h>

void store_snapshot(struct store *store, struct buf *out)
{
    check(!store->applying);
    meta_save(&store->sql, &store->meta);
    /* Members of earlier releases must be able to read it while they may be among us. */
    int level = store_level(store);
    sql_trim_schema(&store->sql, level);
    sqlite3_int64 len = 0;
    /* No copy of theirs: the pages as they are in the vfs. */
    const unsigned char *image =
        sqlite3_serialize(store->sql.db, "main", &len, SQLITE_SERIALIZE_NOCOPY);
    check(image && len > 0);
    buf_append(out, image, (size_t)len);
    sql_fill_schema(&store->sql, level);
}

static int64_t largest_id(struct sql *sql_, enum table table)
{
    sqlite3_stmt *stmt = NULL;
    char text[64];
    snprintf(text, sizeof(text), "SELECT max(id) FROM %s", table_info(table)->name);
    sql_cached(sql_, &stmt, text);
    check(sql_step(stmt)); /* NULL, for no row, reads as 0 */
    int64_t id = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return id;
}

/* An id must not be given out twice. */
static int counters_verify(struct sql *sql_, const struct store_meta *meta, struct err *err)
{
    for (int table = 0; table < TABLE_MAX; table++) {
        int64_t last = table == TABLE_NODE      ? meta->last_node_id
                       : table == TABLE_EVENT   ? meta->last_event_id
                       : table == TABLE_CLUSTER ? 1
                                                : meta->last_id;
        if (largest_id(sql_, (enum table)table) > last)
            return err_set(err, ERR_CORRUPT, "snapshot: a %s has an id that was not given out",
                           table_info((enum table)table)->name);
    }
    return 0;
}

/* The other rows of a state whose level is not known here may have fields that are not either. */
static int level_verify(const struct store *store, struct sql *sql_, struct err *err)
{
    int known = store->pretend_level ? store->pretend_level : LEVEL_KNOWN;
    int level = LEVEL_FIRST;
    sqlite3_stmt *stmt = NULL;
    sql_cached(sql_, &stmt, "SELECT record FROM cluster ORDER BY id LIMIT 1");
    if (sql_step(stmt)) {
        struct cluster cluster;
        const void *record = sqlite3_column_blob(stmt, 0);
        size_t len = (size_t)sqlite3_column_bytes(stmt, 0);
        if (record_decode(&cluster_type, record, len, false, &cluster, err) < 0) {
            sqlite3_finalize(stmt);
            return err_wrap(err, "snapshot");
        }
        level = level_of(cluster.level);
        record_release(&cluster_type, &cluster);
    }
    sqlite3_finalize(stmt);
    if (level <= known)
        return 0;
    return err_set(
        err, ERR_UNSUPPORTED,
        "snapshot: of level %d, and this version of wherry knows %d; upgrade this member", level,
        known);
}

static int restore(struct store *store, const void *data, size_t len, bool trusted, struct err *err)
{
    check(!store->applying);
    struct sql sql;
    struct store_meta meta;
    int rv = sql_open_image(&sql, data, len, trusted, err);
    if (rv < 0)
        return rv;
    rv = level_verify(store, &sql, err);
    if (rv == 0 && !trusted)
        rv = rows_verify(&sql, err);
    if (rv == 0)
        rv = meta_load(&sql, &meta, err);
    if (rv == 0)
        rv = counters_verify(&sql, &meta, err);
    if (rv < 0) {
        sql_close(&sql);
        return rv;
    }
    sql_close(&store->sql);
    store->sql = sql;
    store->meta = meta;
    store_notify(store, ALL_TABLES);
    return 0;
}

int store_restore(struct store *store, const void *data, size_t len, struct err *err)
{
    return restore(store, data, len, false, err);
}

int store_restore_trusted(struct store *store, const void *data, size_t len, struct err *err)
{
    return restore(store, data, len, true, err);
}

/* A column as its type, length and bytes, so that no two rows run into each other. */
static void digest_column(struct digest *digest, sqlite3_stmt *stmt, int i)
{
    unsigned char type = (unsigned char)sqlite3_column_type(stmt, i);
    digest_update(digest, &type, 1);
    if (type == SQLITE_INTEGER) {
        int64_t value = sqlite3_column_int64(stmt, i);
        digest_update(digest, &value, sizeof(value));
        return;
    }
    const void *data = sqlite3_column_blob(stmt, i);
    int64_t len = sqlite3_column_bytes(stmt, i);
    digest_update(digest, &len, sizeof(len));
    if (len > 0)
        digest_update(digest, data, (size_t)len);
}

static void digest_query(struct store *store, struct digest *digest, const char *query)
{
    sqlite3_stmt *stmt = NULL;
    digest_update(digest, query, strlen(query));
    sql_cached(&store->sql, &stmt, query);
    while (sql_step(stmt))
        for (int column = 0; column < sqlite3_column_count(stmt); column++)
            digest_column(digest, stmt, column);
    sqlite3_finalize(stmt);
}

void store_digest(struct store *store, unsigned char out[32])
{
    static const char *const queries[] = {
        "SELECT * FROM meta ORDER BY key",    "SELECT * FROM cluster ORDER BY id",
        "SELECT * FROM stack ORDER BY id",    "SELECT * FROM service ORDER BY id",
        "SELECT * FROM revision ORDER BY id", "SELECT * FROM task ORDER BY id",
        "SELECT * FROM node ORDER BY id",     "SELECT * FROM network ORDER BY id",
        "SELECT * FROM volume ORDER BY id",   "SELECT * FROM token ORDER BY id",
        "SELECT * FROM event ORDER BY id",    "SELECT * FROM request ORDER BY seq",
        "SELECT * FROM port ORDER BY number", "SELECT * FROM lease ORDER BY pool, number",
    };
    check(!store->applying);
    meta_save(&store->sql, &store->meta);
    struct digest *digest = digest_new();
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
        digest_query(store, digest, queries[i]);
    /* Not there in earlier releases: a state without any is the same as theirs. */
    if (store_count(store, TABLE_REGISTRY) > 0)
        digest_query(store, digest, "SELECT * FROM registry ORDER BY id");
    if (store_count(store, TABLE_JOB_RUN) > 0)
        digest_query(store, digest, "SELECT * FROM job_run ORDER BY id");
    digest_final(digest, out);
}
