/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the typed tables: the searched columns and the record. */
#include "store/internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define INFO(t)                                                                                    \
    .name = #t, .type = &t##_type, .id = offsetof(struct t, id),                                   \
    .created_index = offsetof(struct t, created_index),                                            \
    .modified_index = offsetof(struct t, modified_index)
#define COLUMN(t, m) {#m, offsetof(struct t, m)}

static const struct table_info tables[TABLE_MAX] = {
    [TABLE_CLUSTER] = {INFO(cluster)},
    [TABLE_STACK] = {INFO(stack), .named = true},
    [TABLE_SERVICE] = {INFO(service), .named = true, .columns = {COLUMN(service, stack_id)}},
    [TABLE_REVISION] = {INFO(revision), .columns = {COLUMN(revision, service_id),
                                                    COLUMN(revision, revision)}},
    [TABLE_TASK] = {INFO(task), .columns = {COLUMN(task, service_id), COLUMN(task, node_id),
                                            COLUMN(task, slot), COLUMN(task, revision)}},
    [TABLE_NODE] = {INFO(node), .named = true},
    [TABLE_NETWORK] = {INFO(network), .named = true, .columns = {COLUMN(network, stack_id)}},
    [TABLE_VOLUME] = {INFO(volume), .named = true, .columns = {COLUMN(volume, stack_id)}},
    [TABLE_TOKEN] = {INFO(token), .named = true},
    [TABLE_EVENT] = {INFO(event)},
    [TABLE_REGISTRY] = {INFO(registry), .named = true},
    [TABLE_CONTENT] = {INFO(content), .named = true},
    [TABLE_DNS_RECORD] = {INFO(dns_record)},
    [TABLE_JOB_RUN] = {INFO(job_run), .columns = {COLUMN(job_run, service_id)}},
};
/* clang-format on */

const struct table_info *table_info(enum table table)
{
    check(table < TABLE_MAX);
    return &tables[table];
}

const struct record_type *store_table_type(enum table table)
{
    return table_info(table)->type;
}

static int64_t int_at(const void *row, size_t offset)
{
    return *(const int64_t *)((const char *)row + offset);
}

/* What a row is found by, as a new string; NULL for tables without names. */
static char *row_name(enum table table, const void *row)
{
    switch (table) {
    case TABLE_STACK:
        return str_copy(str_or_empty(((const struct stack *)row)->name));
    case TABLE_SERVICE: {
        const struct service *service = row;
        return str_printf("%s.%s", str_or_empty(service->stack), str_or_empty(service->name));
    }
    case TABLE_NODE:
        return str_copy(str_or_empty(((const struct node *)row)->name));
    case TABLE_NETWORK:
        return str_copy(str_or_empty(((const struct network *)row)->name));
    case TABLE_VOLUME:
        return str_copy(str_or_empty(((const struct volume *)row)->name));
    case TABLE_REGISTRY:
        return str_copy(str_or_empty(((const struct registry *)row)->name));
    case TABLE_CONTENT: {
        cleanup_free char *source = content_source(row);
        return content_row_name(((const struct content *)row)->kind, source);
    }
    case TABLE_TOKEN: {
        const struct bytes *hash = &((const struct token *)row)->hash;
        char *hex = mem_alloc(2 * hash->len + 1, 1);
        hex_encode(hash->data, hash->len, hex);
        return hex;
    }
    case TABLE_CLUSTER:
    case TABLE_REVISION:
    case TABLE_TASK:
    case TABLE_EVENT:
    case TABLE_JOB_RUN:
    case TABLE_DNS_RECORD:
    case TABLE_MAX:
        break;
    }
    return NULL;
}

/* --- statements ---------------------------------------------------------------------------- */

/* Parameters: 1 the id, 2 the record, 3 the name or unused, 4 … the columns. */
static void put_text(const struct table_info *info, struct buf *out)
{
    buf_printf(out, "INSERT INTO %s(id, record%s", info->name, info->named ? ", name" : "");
    for (size_t i = 0; info->columns[i].name; i++)
        buf_printf(out, ", %s", info->columns[i].name);
    buf_printf(out, ") VALUES(?1, ?2%s", info->named ? ", ?3" : "");
    for (size_t i = 0; info->columns[i].name; i++)
        buf_printf(out, ", ?%zu", i + 4);
    buf_puts(out, ") ON CONFLICT(id) DO UPDATE SET record = excluded.record");
    if (info->named)
        buf_puts(out, ", name = excluded.name");
    for (size_t i = 0; info->columns[i].name; i++)
        buf_printf(out, ", %s = excluded.%s", info->columns[i].name, info->columns[i].name);
}

static void row_text(const struct table_info *info, enum row_statement statement, struct buf *out)
{
    const char *name = info->name;
    switch (statement) {
    case ROW_GET:
        buf_printf(out, "SELECT record FROM %s WHERE id = ?1", name);
        break;
    case ROW_FIND:
        buf_printf(out, "SELECT record FROM %s WHERE name = ?1", name);
        break;
    case ROW_PUT:
        put_text(info, out);
        break;
    case ROW_DELETE:
        buf_printf(out, "DELETE FROM %s WHERE id = ?1", name);
        break;
    case ROW_COUNT:
        buf_printf(out, "SELECT count(*) FROM %s", name);
        break;
    case ROW_LIST:
        buf_printf(out, "SELECT record FROM %s ORDER BY id", name);
        break;
    case ROW_LIST_STACK:
        buf_printf(out, "SELECT record FROM %s WHERE stack_id = ?1 ORDER BY id", name);
        break;
    case ROW_LIST_SERVICE:
        buf_printf(out, "SELECT record FROM %s WHERE service_id = ?1 ORDER BY id", name);
        break;
    case ROW_LIST_NODE:
        buf_printf(out, "SELECT record FROM %s WHERE node_id = ?1 ORDER BY id", name);
        break;
    case ROW_MAX:
        break;
    }
}

static sqlite3_stmt *row_sql(struct sql *sql, enum table table, enum row_statement statement)
{
    sqlite3_stmt **stmt = &sql->rows[table][statement];
    cleanup_buf struct buf text = BUF_INIT;
    if (!*stmt)
        row_text(table_info(table), statement, &text);
    return sql_cached(sql, stmt, text.data);
}

/* --- one row ------------------------------------------------------------------------------- */

static int decode_column(enum table table, sqlite3_stmt *stmt, int column, void *ret_row,
                         struct err *err)
{
    const void *data = sqlite3_column_blob(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    return record_decode(table_info(table)->type, data, len, true, ret_row, err);
}

void row_decode(enum table table, sqlite3_stmt *stmt, void *ret_row)
{
    /* Rows are written by row_put() and verified when they come from outside. */
    check(decode_column(table, stmt, 0, ret_row, NULL) == 0);
}

static int take_one(enum table table, sqlite3_stmt *stmt, void *ret_row)
{
    if (!sql_step(stmt))
        return ERR_NOTFOUND;
    row_decode(table, stmt, ret_row);
    sql_reset(stmt);
    return 0;
}

int store_get(struct store *store, enum table table, int64_t id, void *ret_row)
{
    sqlite3_stmt *stmt = row_sql(&store->sql, table, ROW_GET);
    sql_int(stmt, 1, id);
    return take_one(table, stmt, ret_row);
}

int store_find(struct store *store, enum table table, const char *name, void *ret_row)
{
    check(table_info(table)->named);
    sqlite3_stmt *stmt = row_sql(&store->sql, table, ROW_FIND);
    sql_text(stmt, 1, name);
    return take_one(table, stmt, ret_row);
}

void row_put(struct store *store, enum table table, const void *row)
{
    const struct table_info *info = table_info(table);
    cleanup_buf struct buf record = BUF_INIT;
    cleanup_free char *name = row_name(table, row);
    check(int_at(row, info->id) > 0);
    record_encode(info->type, row, &record);
    sqlite3_stmt *stmt = row_sql(&store->sql, table, ROW_PUT);
    sql_int(stmt, 1, int_at(row, info->id));
    sql_blob(stmt, 2, record.data, record.len);
    if (name)
        sql_text(stmt, 3, name);
    for (size_t i = 0; info->columns[i].name; i++)
        sql_int(stmt, (int)i + 4, int_at(row, info->columns[i].offset));
    sql_run(stmt);
}

void row_delete(struct store *store, enum table table, int64_t id)
{
    sqlite3_stmt *stmt = row_sql(&store->sql, table, ROW_DELETE);
    sql_int(stmt, 1, id);
    sql_run(stmt);
}

/* --- many rows ----------------------------------------------------------------------------- */

static enum row_statement list_statement(enum column column)
{
    switch (column) {
    case BY_NONE:
        break;
    case BY_STACK_ID:
        return ROW_LIST_STACK;
    case BY_SERVICE_ID:
        return ROW_LIST_SERVICE;
    case BY_NODE_ID:
        return ROW_LIST_NODE;
    }
    return ROW_LIST;
}

void store_list(struct store *store, enum table table, enum column column, int64_t value,
                void *ret_rows, size_t *ret_n)
{
    size_t size = table_info(table)->type->size;
    sqlite3_stmt *stmt = row_sql(&store->sql, table, list_statement(column));
    if (column != BY_NONE)
        sql_int(stmt, 1, value);
    char *rows = NULL;
    size_t n = 0;
    size_t cap = 0;
    while (sql_step(stmt)) {
        if (n == cap) {
            cap = cap ? 2 * cap : 8;
            rows = mem_resize(rows, cap, size);
        }
        row_decode(table, stmt, rows + n * size);
        n++;
    }
    *(void **)ret_rows = rows;
    *ret_n = n;
}

int64_t store_count(struct store *store, enum table table)
{
    sqlite3_stmt *stmt = row_sql(&store->sql, table, ROW_COUNT);
    check(sql_step(stmt));
    int64_t n = sqlite3_column_int64(stmt, 0);
    sql_reset(stmt);
    return n;
}

/* --- rows from outside --------------------------------------------------------------------- */

/* @stmt stands on id, record, name or 0, and the columns. */
static bool row_is_true(enum table table, sqlite3_stmt *stmt)
{
    const struct table_info *info = table_info(table);
    cleanup_free void *row = mem_alloc(1, info->type->size);
    if (decode_column(table, stmt, 1, row, NULL) < 0)
        return false;
    cleanup_free char *name = row_name(table, row);
    bool same = int_at(row, info->id) == sqlite3_column_int64(stmt, 0) &&
                int_at(row, info->id) > 0 &&
                (!name || str_equal(name, (const char *)sqlite3_column_text(stmt, 2)));
    for (size_t i = 0; info->columns[i].name; i++)
        same =
            same && int_at(row, info->columns[i].offset) == sqlite3_column_int64(stmt, (int)i + 3);
    record_release(info->type, row);
    return same;
}

static int table_verify(struct sql *sql, enum table table, struct err *err)
{
    const struct table_info *info = table_info(table);
    cleanup_buf struct buf text = BUF_INIT;
    buf_printf(&text, "SELECT id, record, %s", info->named ? "name" : "0");
    for (size_t i = 0; info->columns[i].name; i++)
        buf_printf(&text, ", %s", info->columns[i].name);
    buf_printf(&text, " FROM %s ORDER BY id", info->name);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(sql->db, text.data, -1, &stmt, NULL);
    bool sound = rc == SQLITE_OK;
    while (sound && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        sound = row_is_true(table, stmt);
    sqlite3_finalize(stmt);
    if (!sound || rc != SQLITE_DONE)
        return err_set(err, ERR_CORRUPT, "snapshot: a %s in it is damaged", info->name);
    return 0;
}

int rows_verify(struct sql *sql, struct err *err)
{
    for (int table = 0; table < TABLE_MAX; table++) {
        int rv = table_verify(sql, (enum table)table, err);
        if (rv < 0)
            return rv;
    }
    return 0;
}
