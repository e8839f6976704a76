/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_db - what the index's files share: its handle and short forms of SQLite's calls.
 */
#ifndef WHERRY_RUNTIME_INDEX_DB_H
#define WHERRY_RUNTIME_INDEX_DB_H

#include "base/cleanup.h"
#include "runtime/index.h"

#include <pthread.h>
#include <sqlite3.h>

struct err;

struct index {
    sqlite3 *db;
    char *path;
    pthread_mutex_t lock;
    struct index_content content;
};

/* Bring the file to this program's version. ERR_UNSUPPORTED for a newer one. */
int index_set_up(struct index *index, struct err *err);

/* The first column of all rows of @st, NULL-terminated; free with image_strings_free(). */
int index_strings(struct index *index, sqlite3_stmt *st, char ***ret, struct err *err);

/* SQL: is manifest m one that services need, by its digest or by one of its names? */
#define INDEX_KEPT                                                                                 \
    "(m.digest IN (SELECT ref FROM keep) OR EXISTS"                                                \
    " (SELECT 1 FROM name kn JOIN keep ON keep.ref=kn.name WHERE kn.digest=m.digest))"

/* Fill @err from the last SQLite error. Returns its code. */
int index_fail(struct index *index, struct err *err);

/* Run statements without parameters or rows. */
int index_run(struct index *index, const char *sql, struct err *err);

/* Prepare @sql and bind what follows @types: 's' is a const char *, 'i' an int64_t. */
int index_prepare(struct index *index, sqlite3_stmt **ret_st, struct err *err, const char *sql,
                  const char *types, ...);

/* 1: a row; 0: no more; negative: error. */
int index_step(struct index *index, sqlite3_stmt *st, struct err *err);

/* Commit when @rv is 0, else roll back. Returns what became of it. */
int index_finish(struct index *index, int rv, struct err *err);

/* A text column, "" for NULL. Borrowed until the next step. */
const char *index_text(sqlite3_stmt *st, int i);

/* For the attributes below. */
void index_unlock(struct index **index);
void index_finalize(sqlite3_stmt **st);

/* Hold the index until the end of the scope. */
#define LOCK_INDEX(index)                                                                          \
    check(pthread_mutex_lock(&(index)->lock) == 0);                                                \
    __attribute__((cleanup(index_unlock), unused)) struct index *locked_ = (index)

#define cleanup_stmt __attribute__((cleanup(index_finalize)))

/* Run a statement that gives no rows. */
#define INDEX_RUN(index, err, sql, types, ...)                                                     \
    __extension__({                                                                                \
        cleanup_stmt sqlite3_stmt *st_ = NULL;                                                     \
        int rv_ = index_prepare(index, &st_, err, sql, types, __VA_ARGS__);                        \
        rv_ < 0 ? rv_ : index_step(index, st_, err);                                               \
    })

#endif
