/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/index_db.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>

int index_fail(struct index *index, struct err *err)
{
    int rc = sqlite3_errcode(index->db) & 0xff;
    int code = ERR_IO;
    if (rc == SQLITE_FULL)
        code = ERR_NOSPACE;
    if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
        code = ERR_CORRUPT;
    return err_set(err, code, "image index %s: %s", index->path, sqlite3_errmsg(index->db));
}

int index_run(struct index *index, const char *sql, struct err *err)
{
    if (sqlite3_exec(index->db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return index_fail(index, err);
}

int index_prepare(struct index *index, sqlite3_stmt **ret_st, struct err *err, const char *sql,
                  const char *types, ...)
{
    if (sqlite3_prepare_v2(index->db, sql, -1, ret_st, NULL) != SQLITE_OK)
        return index_fail(index, err);
    va_list args;
    va_start(args, types);
    for (int i = 0; types[i]; i++) {
        if (types[i] == 's')
            sqlite3_bind_text(*ret_st, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        else
            sqlite3_bind_int64(*ret_st, i + 1, va_arg(args, int64_t));
    }
    va_end(args);
    return 0;
}

int index_step(struct index *index, sqlite3_stmt *st, struct err *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : index_fail(index, err);
}

int index_finish(struct index *index, int rv, struct err *err)
{
    if (rv == 0)
        rv = index_run(index, "COMMIT", err);
    if (rv != 0)
        sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
    return rv;
}

const char *index_text(sqlite3_stmt *st, int i)
{
    return str_or_empty((const char *)sqlite3_column_text(st, i));
}

void index_unlock(struct index **index)
{
    check(pthread_mutex_unlock(&(*index)->lock) == 0);
}

void index_finalize(sqlite3_stmt **st)
{
    sqlite3_finalize(*st);
}
