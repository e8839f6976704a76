/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql - SQLite as the store uses it: one database in memory, statements prepared once.
 *
 * Inside store/ only. The database is private to its handle, so that many stores live in one
 * process. What the store asks of it can fail only for want of memory or by a defect, and then
 * aborts; bytes from outside are checked before they become a handle (snapshot.c).
 *
 *     sqlite3_stmt *s = sql(h, SQL_META_PUT);
 *     sql_int(s, 1, key);
 *     sql_run(s);
 *
 *     s = sql(h, SQL_META_ALL);
 *     while (sql_step(s))
 *         … sqlite3_column_int64(s, 0) …      a query left before its end needs sql_reset(s)
 */
#ifndef WHERRY_STORE_SQL_H
#define WHERRY_STORE_SQL_H

#include "store/store.h"

#include <sqlite3.h>

enum {
    SCHEMA_VERSION = 1,
    SCHEMA_FIRST = 22,           /* statements of the first release */
    SCHEMA_THIRD = 23,           /* … of those of level 3 */
    SCHEMA_FOURTH = 25,          /* … and of level 4 */
    APPLICATION_ID = 0x57485259, /* "WHRY" */
};

/* Statements besides those of rows.c. */
#define SQL_STATEMENTS(X)                                                                          \
    X(BEGIN, "BEGIN")                                                                              \
    X(COMMIT, "COMMIT")                                                                            \
    X(SAVEPOINT, "SAVEPOINT change")                                                               \
    X(RELEASE, "RELEASE change")                                                                   \
    X(ROLLBACK, "ROLLBACK TO change")                                                              \
    X(META_PUT, "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)")                          \
    X(META_ALL, "SELECT key, value FROM meta ORDER BY key")                                        \
    X(REQUEST_GET, "SELECT code, message, made, at FROM request WHERE request = ?1")               \
    X(REQUEST_PUT, "INSERT INTO request(seq, request, code, message, made, at) "                   \
                   "VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                                               \
    X(REQUEST_AT, "SELECT at FROM request WHERE seq = ?1")                                         \
    X(REQUEST_DROP, "DELETE FROM request WHERE seq <= ?1")                                         \
    X(EVENT_DROP, "DELETE FROM event WHERE id <= ?1")                                              \
    X(EVENT_AFTER, "SELECT record FROM event WHERE id > ?1 ORDER BY id LIMIT ?2")                  \
    X(EVENT_OLDEST, "SELECT min(id) FROM event")                                                   \
    X(TASK_IN_SLOT, "SELECT record FROM task WHERE service_id = ?1 AND slot = ?2 ORDER BY id")     \
    X(TASK_OF_REVISION, "SELECT 1 FROM task WHERE service_id = ?1 AND revision = ?2 LIMIT 1")      \
    X(TASK_OF_SERVICE, "SELECT 1 FROM task WHERE service_id = ?1 LIMIT 1")                         \
    X(SERVICE_OF_STACK, "SELECT 1 FROM service WHERE stack_id = ?1 LIMIT 1")                       \
    X(REVISION_FIND, "SELECT record FROM revision WHERE service_id = ?1 AND revision = ?2")        \
    X(PORT_GET, "SELECT service_id FROM port WHERE number = ?1")                                   \
    X(PORT_PUT, "INSERT INTO port(number, service_id) VALUES(?1, ?2)")                             \
    X(PORT_DROP, "DELETE FROM port WHERE service_id = ?1")                                         \
    X(LEASE_PUT, "INSERT OR REPLACE INTO lease(pool, number, owner, freed) "                       \
                 "VALUES(?1, ?2, ?3, 0)")                                                          \
    X(LEASE_OWNER, "SELECT owner FROM lease WHERE pool = ?1 AND number = ?2")                      \
    X(LEASE_IN, "SELECT max(number) FROM lease WHERE pool = ?1 AND number >= ?2 AND "              \
                "number < ?3")                                                                     \
    X(LEASE_RESTED_IN, "SELECT number FROM lease WHERE pool = ?1 AND owner = 0 AND "               \
                       "number >= ?2 AND number < ?3 AND NOT EXISTS (SELECT 1 FROM lease c "       \
                       "WHERE c.pool = -?1 AND c.number = lease.number AND c.owner != 0) "         \
                       "ORDER BY freed, number LIMIT 1")                                           \
    X(LEASE_FREE, "UPDATE lease SET owner = 0, freed = ?3 WHERE pool = ?1 AND number = ?2 "        \
                  "AND owner = ?4")                                                                \
    X(LEASE_DROP, "DELETE FROM lease WHERE pool = ?1")

enum sql_statement {
#define X(name, text) SQL_##name,
    SQL_STATEMENTS(X)
#undef X
    SQL_MAX
};

/* What a row's own statements do. */
enum row_statement {
    ROW_GET,
    ROW_FIND,
    ROW_PUT,
    ROW_DELETE,
    ROW_COUNT,
    ROW_LIST,
    ROW_LIST_STACK,
    ROW_LIST_SERVICE,
    ROW_LIST_NODE,
    ROW_MAX
};

struct sql {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_MAX];
    sqlite3_stmt *rows[TABLE_MAX][ROW_MAX];
};

/* Open an empty database with the schema. */
void sql_open(struct sql *sql);

/* Open the database in @len bytes at @image, which are copied. The schema and, unless @trusted, the
 * pages are checked, the rows are not. ERR_CORRUPT; then there is nothing to close. */
int sql_open_image(struct sql *sql, const void *image, size_t len, bool trusted, struct err *err);

/* Drop the tables and indexes that releases of @level do not have, which must be empty, and make
 * them again. */
void sql_trim_schema(struct sql *sql, int level);
void sql_fill_schema(struct sql *sql, int level);

/* Close. Fine when zeroed. */
void sql_close(struct sql *sql);

/* The statement, prepared and ready to be bound. Borrowed. */
sqlite3_stmt *sql(struct sql *sql, enum sql_statement statement);

/* Prepare @text once and keep it in *@stmt; then as sql(). */
sqlite3_stmt *sql_cached(struct sql *sql, sqlite3_stmt **stmt, const char *text);

/* Bind parameter @i. Text and blobs are borrowed until the statement is reset. */
void sql_int(sqlite3_stmt *stmt, int i, int64_t value);
void sql_text(sqlite3_stmt *stmt, int i, const char *value);
void sql_blob(sqlite3_stmt *stmt, int i, const void *data, size_t len);

/* True when there is a row; false at the end, when the statement is reset. */
bool sql_step(sqlite3_stmt *stmt);

/* Leave a query before its end. */
void sql_reset(sqlite3_stmt *stmt);

/* Execute a statement that returns nothing. */
void sql_run(sqlite3_stmt *stmt);

#endif
