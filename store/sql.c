/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sql.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* New statements come at the end, never between: a database whose statements are the first ones of
 * these, at least SCHEMA_FIRST of them, is one of an earlier release and gets the others when it
 * is opened.
 *
 * The columns that are searched, plus the record. Leases: who holds number @number of @pool, a
 * network's id or 0 for the cluster's range; owner 0 is free since index @freed. */
static const char *const schema[] = {
    "CREATE TABLE meta(key INTEGER PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE cluster(id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "CREATE TABLE stack(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)",
    "CREATE TABLE service(id INTEGER PRIMARY KEY, stack_id INTEGER NOT NULL,"
    " name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)",
    "CREATE TABLE revision(id INTEGER PRIMARY KEY, service_id INTEGER NOT NULL,"
    " revision INTEGER NOT NULL, record BLOB NOT NULL, UNIQUE(service_id, revision))",
    "CREATE TABLE task(id INTEGER PRIMARY KEY, service_id INTEGER NOT NULL,"
    " node_id INTEGER NOT NULL, slot INTEGER NOT NULL, revision INTEGER NOT NULL,"
    " record BLOB NOT NULL)",
    "CREATE TABLE node(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)",
    "CREATE TABLE network(id INTEGER PRIMARY KEY, stack_id INTEGER NOT NULL,"
    " name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)",
    "CREATE TABLE volume(id INTEGER PRIMARY KEY, stack_id INTEGER NOT NULL,"
    " name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)",
    "CREATE TABLE token(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)",
    "CREATE TABLE event(id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "CREATE TABLE request(seq INTEGER PRIMARY KEY, request BLOB NOT NULL UNIQUE,"
    " code INTEGER NOT NULL, message TEXT NOT NULL, made INTEGER NOT NULL, at INTEGER NOT NULL)",
    "CREATE TABLE port(number INTEGER PRIMARY KEY, service_id INTEGER NOT NULL)",
    "CREATE TABLE lease(pool INTEGER NOT NULL, number INTEGER NOT NULL, owner INTEGER NOT NULL,"
    " freed INTEGER NOT NULL, PRIMARY KEY(pool, number)) WITHOUT ROWID",
    "CREATE INDEX service_stack ON service(stack_id)",
    "CREATE INDEX task_slot ON task(service_id, slot)",
    "CREATE INDEX task_revision ON task(service_id, revision)",
    "CREATE INDEX task_node ON task(node_id)",
    "CREATE INDEX network_stack ON network(stack_id)",
    "CREATE INDEX volume_stack ON volume(stack_id)",
    "CREATE INDEX port_service ON port(service_id)",
    "CREATE INDEX lease_free ON lease(pool, freed, number) WHERE owner = 0",
    "CREATE TABLE registry(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " record BLOB NOT NULL)",
    "CREATE TABLE job_run(id INTEGER PRIMARY KEY, service_id INTEGER NOT NULL,"
    " record BLOB NOT NULL)",
    "CREATE INDEX job_run_service ON job_run(service_id)",
    "CREATE TABLE content(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL)",
    "CREATE TABLE dns_record(id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
};

/* How many of them a release of @level knows. */
static size_t schema_of(int level)
{
    return level < 3   ? SCHEMA_FIRST
           : level < 4 ? SCHEMA_THIRD
           : level < 5 ? SCHEMA_FOURTH
                       : ARRAY_SIZE(schema);
}

/* Of each connection, not of the database. The log is the durable copy, so there is no journal on
 * anything; what a rollback needs is in memory. */
static const char *const pragmas[] = {
    "PRAGMA journal_mode = MEMORY",    "PRAGMA synchronous = OFF",  "PRAGMA temp_store = MEMORY",
    "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA cache_size = -1024", "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
};

static _Noreturn void broken(sqlite3 *db, const char *what)
{
    fprintf(stderr, "wherry: store: %s: %s\n", what, sqlite3_errmsg(db));
    abort();
}

static void execute(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        broken(db, text);
}

/* By default a database in memory is full at 1 GiB. */
static void raise_limit(sqlite3 *db)
{
    sqlite3_int64 limit = (sqlite3_int64)1 << 36;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_SIZE_LIMIT, &limit) != SQLITE_OK)
        broken(db, "raise the size limit");
}

/* A name without a slash is private to this handle in the vfs "memdb"; unlike ":memory:" it can be
 * serialized without going through every page. */
static sqlite3 *open_database(void)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2("state", &db, flags, "memdb") != SQLITE_OK)
        broken(db, "open the state");
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    return db;
}

void sql_open(struct sql *sql)
{
    *sql = (struct sql){.db = open_database()};
    raise_limit(sql->db);
    for (size_t i = 0; i < ARRAY_SIZE(pragmas); i++)
        execute(sql->db, pragmas[i]);
    char text[64];
    snprintf(text, sizeof(text), "PRAGMA user_version = %d", SCHEMA_VERSION);
    execute(sql->db, text);
    snprintf(text, sizeof(text), "PRAGMA application_id = %d", APPLICATION_ID);
    execute(sql->db, text);
    execute(sql->db, "BEGIN");
    for (size_t i = 0; i < ARRAY_SIZE(schema); i++)
        execute(sql->db, schema[i]);
    execute(sql->db, "COMMIT");
}

/* "CREATE TABLE secret(…" to "DROP TABLE secret". */
static void drop_statement(const char *create, char *out, size_t size)
{
    bool index = str_starts(create, "CREATE INDEX ");
    const char *name = create + strlen(index ? "CREATE INDEX " : "CREATE TABLE ");
    snprintf(out, size, "DROP %s %.*s", index ? "INDEX" : "TABLE", (int)strcspn(name, " ("), name);
}

void sql_trim_schema(struct sql *sql, int level)
{
    char text[80];
    for (size_t i = ARRAY_SIZE(schema); i > schema_of(level); i--) {
        drop_statement(schema[i - 1], text, sizeof(text));
        execute(sql->db, text);
    }
}

void sql_fill_schema(struct sql *sql, int level)
{
    for (size_t i = schema_of(level); i < ARRAY_SIZE(schema); i++)
        execute(sql->db, schema[i]);
}

void sql_close(struct sql *sql)
{
    for (size_t i = 0; i < SQL_MAX; i++)
        sqlite3_finalize(sql->statements[i]);
    for (size_t t = 0; t < TABLE_MAX; t++)
        for (size_t i = 0; i < ROW_MAX; i++)
            sqlite3_finalize(sql->rows[t][i]);
    check(sqlite3_close(sql->db) == SQLITE_OK);
    *sql = (struct sql){0};
}

/* --- a database from outside --------------------------------------------------------------- */

/* The first column of the first row as a number, or -1. */
static int64_t ask(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static bool pages_are_sound(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    bool sound = false;
    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        sound = str_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    return sound;
}

/* Exactly our tables and indexes, or those of an earlier release: nothing else can hide in the
 * database, such as a trigger. @ret_n is how many of our statements there are. */
static bool schema_is_ours(sqlite3 *db, size_t *ret_n)
{
    static const char text[] = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
        return false;
    size_t n = 0;
    bool ours = true;
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && ours) {
        ours = n < ARRAY_SIZE(schema) &&
               str_equal((const char *)sqlite3_column_text(stmt, 0), schema[n]);
        n++;
    }
    sqlite3_finalize(stmt);
    *ret_n = n;
    return ours && rc == SQLITE_DONE && n >= SCHEMA_FIRST;
}

static int inspect(sqlite3 *db, bool trusted, struct err *err)
{
    size_t statements;
    for (size_t i = 0; i < ARRAY_SIZE(pragmas); i++)
        if (sqlite3_exec(db, pragmas[i], NULL, NULL, NULL) != SQLITE_OK)
            return err_set(err, ERR_CORRUPT, "snapshot: not a database: %s", sqlite3_errmsg(db));
    int64_t version = ask(db, "PRAGMA user_version");
    if (ask(db, "PRAGMA application_id") != APPLICATION_ID)
        return err_set(err, ERR_CORRUPT, "snapshot: not a state of wherry");
    if (version != SCHEMA_VERSION)
        return err_set(err, version > SCHEMA_VERSION ? ERR_UNSUPPORTED : ERR_CORRUPT,
                       "snapshot: schema version %lld, and this build knows %d", (long long)version,
                       SCHEMA_VERSION);
    if (!schema_is_ours(db, &statements))
        return err_set(err, ERR_CORRUPT, "snapshot: its tables are not those of version %d",
                       SCHEMA_VERSION);
    if (!trusted && !pages_are_sound(db))
        return err_set(err, ERR_CORRUPT, "snapshot: its pages are damaged");
    for (; statements < ARRAY_SIZE(schema); statements++)
        execute(db, schema[statements]);
    return 0;
}

int sql_open_image(struct sql *sql, const void *image, size_t len, bool trusted, struct err *err)
{
    /* The first 16 bytes, the page size and the rollback format (not WAL) of a database file. */
    const unsigned char *bytes = image;
    if (len < 512 || memcmp(bytes, "SQLite format 3", 16) != 0 || bytes[18] != 1 || bytes[19] != 1)
        return err_set(err, ERR_CORRUPT, "snapshot: does not start as a database");
    size_t page = (size_t)bytes[16] << 8 | bytes[17];
    if (page < 512 || len % page != 0)
        return err_set(err, ERR_CORRUPT, "snapshot: %zu bytes are not whole pages", len);
    sqlite3 *db = open_database();
    unsigned char *copy = sqlite3_malloc64(len);
    check(copy); /* out of memory */
    memcpy(copy, image, len);
    unsigned flags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE;
    int rc = sqlite3_deserialize(db, "main", copy, (sqlite3_int64)len, (sqlite3_int64)len, flags);
    int rv = rc == SQLITE_OK ? inspect(db, trusted, err)
                             : err_set(err, ERR_CORRUPT, "snapshot: %s", sqlite3_errmsg(db));
    if (rv < 0) {
        check(sqlite3_close(db) == SQLITE_OK);
        return rv;
    }
    raise_limit(db);
    *sql = (struct sql){.db = db};
    return 0;
}

/* --- statements ---------------------------------------------------------------------------- */

sqlite3_stmt *sql_cached(struct sql *sql, sqlite3_stmt **stmt, const char *text)
{
    if (!*stmt &&
        sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK)
        broken(sql->db, text);
    check(!sqlite3_stmt_busy(*stmt));
    return *stmt;
}

sqlite3_stmt *sql(struct sql *sql, enum sql_statement statement)
{
    static const char *const texts[] = {
#define X(name, text) text,
        SQL_STATEMENTS(X)
#undef X
    };
    return sql_cached(sql, &sql->statements[statement], texts[statement]);
}

static void bound(sqlite3_stmt *stmt, int rc)
{
    if (rc != SQLITE_OK)
        broken(sqlite3_db_handle(stmt), sqlite3_sql(stmt));
}

void sql_int(sqlite3_stmt *stmt, int i, int64_t value)
{
    bound(stmt, sqlite3_bind_int64(stmt, i, value));
}

void sql_text(sqlite3_stmt *stmt, int i, const char *value)
{
    bound(stmt, sqlite3_bind_text(stmt, i, value, -1, SQLITE_STATIC));
}

void sql_blob(sqlite3_stmt *stmt, int i, const void *data, size_t len)
{
    bound(stmt, sqlite3_bind_blob64(stmt, i, len ? data : "", len, SQLITE_STATIC));
}

bool sql_step(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        broken(sqlite3_db_handle(stmt), sqlite3_sql(stmt));
    sql_reset(stmt);
    return false;
}

void sql_reset(sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

void sql_run(sqlite3_stmt *stmt)
{
    check(!sql_step(stmt));
}
