/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - what the files of store/ share: the store itself, and rows by table.
 */
#ifndef WHERRY_STORE_INTERNAL_H
#define WHERRY_STORE_INTERNAL_H

#include "store/sql.h"
#include "store/store.h"

enum {
    REPLICAS_MAX = 10000, /* of a service */
    SERVICES_MAX = 1000,  /* of a stack */
    WATCHERS_MAX = 8,
    REQUESTS_KEPT = 65536,
    ALL_TABLES = (1 << TABLE_MAX) - 1,
};

#define CPU_MILLI_MAX    INT64_C(1000000000)
#define MEMORY_BYTES_MAX (INT64_C(1) << 50)
#define DURATION_MS_MAX  (INT64_C(366) * 24 * 3600 * 1000)

/* Numbers of the state that are no rows; table meta holds them by position. Kept in memory and
 * written when a batch or a snapshot ends. */
struct store_meta {
    int64_t index;
    int64_t time_ms;
    int64_t last_id; /* given out: of anything but nodes and events */
    int64_t last_node_id;
    int64_t last_event_id;
    int64_t last_request; /* number of the newest row of table request */
};

struct watcher {
    store_watch_cb cb;
    void *arg;
};

struct store {
    struct sql sql;
    struct store_meta meta;
    struct watcher watchers[WATCHERS_MAX];
    size_t watchers_n;
    bool applying;     /* watchers must not apply */
    int level;         /* the active one, 0: to be read from the cluster's row */
    int pretend_level; /* 0: no */
};

/* How a table of rows maps to its record. Columns end at a NULL name. */
struct table_info {
    const char *name;
    const struct record_type *type;
    size_t id, created_index, modified_index; /* offsets */
    bool named;
    struct {
        const char *name;
        size_t offset;
    } columns[5];
};

const struct table_info *table_info(enum table table);

/* Insert or replace @row. It must have its id; a name that another row has is a defect. */
void row_put(struct store *store, enum table table, const void *row);

/* Delete row @id. It need not be there. */
void row_delete(struct store *store, enum table table, int64_t id);

/* Decode column 0 of the row @stmt stands on into @ret_row. */
void row_decode(enum table table, sqlite3_stmt *stmt, void *ret_row);

/* Check that every row of @sql decodes and has the id and columns that its record says. */
int rows_verify(struct sql *sql, struct err *err);

/* Read and write the meta table. */
int meta_load(struct sql *sql, struct store_meta *ret_meta, struct err *err);
void meta_save(struct sql *sql, const struct store_meta *meta);

/* True when a request that began at @begin may have been applied and forgotten since. */
bool request_may_be_forgotten(struct store *store, int64_t begin);

/* Remember @result under request @id, and forget the oldest beyond REQUESTS_KEPT. */
void request_put(struct store *store, const unsigned char id[REQUEST_ID_BYTES],
                 const struct change_result *result);

/* Call the watchers with @tables, if any. */
void store_notify(struct store *store, unsigned tables);

#endif
