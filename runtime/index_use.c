/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_use - who uses a manifest, and what nobody uses any more.
 */
#include "runtime/index.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/index_db.h"

#include <stdlib.h>
#include <string.h>

/* ERR_BUSY when @name is the last name of a manifest that a container holds. */
static int refuse_held(struct index *index, const char *name, struct err *err)
{
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT min(h.holder) FROM name n JOIN hold h USING(digest)"
                           " WHERE n.name=?1 AND NOT EXISTS"
                           " (SELECT 1 FROM name o WHERE o.digest=n.digest AND o.name<>n.name)",
                           "s", name);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv < 0)
        return rv;
    if (sqlite3_column_type(st, 0) == SQLITE_NULL)
        return 0;
    if (strchr(index_text(st, 0), ' '))
        return err_set(err, ERR_BUSY, "image %s is being saved: try again later", name);
    return err_set(err, ERR_BUSY, "image %s is used by container %s: remove that first", name,
                   index_text(st, 0));
}

#define BY_DIGEST "LIKE '%@sha256:%'"

/* Names by digest come and go with those that users gave; what is taken off by hand is not kept for
 * services either. @digest lost its last other name. */
static int forget_cached(struct index *index, const char *digest, struct err *err)
{
    int rv = INDEX_RUN(index, err,
                       "DELETE FROM keep WHERE ref=?1 OR ref IN"
                       " (SELECT name FROM name WHERE digest=?1)",
                       "s", digest);
    if (rv == 0)
        rv = INDEX_RUN(index, err,
                       "DELETE FROM name WHERE digest=?1 AND NOT EXISTS"
                       " (SELECT 1 FROM hold WHERE digest=?1)",
                       "s", digest);
    return rv;
}

static int remove_name(struct index *index, const char *name, struct err *err)
{
    cleanup_stmt sqlite3_stmt *st = NULL;
    char digest[INDEX_DIGEST_SIZE];
    int rv = index_prepare(index, &st, err,
                           "SELECT digest, EXISTS(SELECT 1 FROM name o WHERE o.digest=n.digest AND"
                           " o.name<>n.name AND o.name NOT " BY_DIGEST ") FROM name n WHERE name=?",
                           "s", name);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", name);
    if (rv < 0)
        return rv;
    str_fill(digest, sizeof(digest), index_text(st, 0));
    bool others = sqlite3_column_int(st, 1) != 0;
    rv = INDEX_RUN(index, err, "DELETE FROM name WHERE name=?", "s", name);
    return rv < 0 || others ? rv : forget_cached(index, digest, err);
}

int index_name_remove(struct index *index, const char *name, struct err *err)
{
    LOCK_INDEX(index);
    int rv = refuse_held(index, name, err);
    if (rv < 0 || (rv = index_run(index, "BEGIN IMMEDIATE", err)) < 0)
        return rv;
    return index_finish(index, remove_name(index, name, err), err);
}

/* SQL: manifest m may be dropped. */
#define DROPPABLE "m.digest NOT IN (SELECT digest FROM hold) AND NOT " INDEX_KEPT

static int drop(struct index *index, const char *digest, struct err *err)
{
    return INDEX_RUN(index, err,
                     "DELETE FROM name WHERE digest IN"
                     " (SELECT digest FROM manifest m WHERE m.digest=? AND " DROPPABLE ")",
                     "s", digest);
}

int index_drop(struct index *index, const char *digest, bool *ret_gone, struct err *err)
{
    LOCK_INDEX(index);
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    cleanup_stmt sqlite3_stmt *st = NULL;
    rv = index_prepare(index, &st, err, "SELECT 1 FROM manifest m WHERE m.digest=? AND " DROPPABLE,
                       "s", digest);
    if (rv == 0)
        rv = index_step(index, st, err);
    bool gone = rv == 1;
    index_finalize(&st);
    st = NULL;
    if (rv >= 0)
        rv = drop(index, digest, err);
    rv = index_finish(index, rv, err);
    if (rv == 0)
        *ret_gone = gone;
    return rv;
}

static int touch(struct index *index, const char *holder, int64_t now_ms, struct err *err)
{
    return INDEX_RUN(index, err,
                     "UPDATE manifest SET used_ms=?2 WHERE digest IN"
                     " (SELECT digest FROM hold WHERE holder=?1)",
                     "si", holder, now_ms);
}

int index_hold(struct index *index, const char *holder, const char *digest, int64_t now_ms,
               struct err *err)
{
    LOCK_INDEX(index);
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    rv = INDEX_RUN(index, err,
                   "INSERT OR REPLACE INTO hold SELECT ?, digest FROM manifest WHERE digest=?",
                   "ss", holder, digest);
    if (rv == 0 && sqlite3_changes(index->db) == 0)
        rv = err_set(err, ERR_NOTFOUND, "image %s is not on this machine", digest);
    if (rv == 0)
        rv = touch(index, holder, now_ms, err);
    return index_finish(index, rv, err);
}

int index_unhold(struct index *index, const char *holder, int64_t now_ms, struct err *err)
{
    LOCK_INDEX(index);
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    rv = touch(index, holder, now_ms, err);
    if (rv == 0)
        rv = INDEX_RUN(index, err, "DELETE FROM hold WHERE holder=?", "s", holder);
    return index_finish(index, rv, err);
}

int index_holders(struct index *index, const char *digest, char ***ret_holders, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT holder FROM hold WHERE ?1='' OR digest=?1 ORDER BY holder", "s",
                           str_or_empty(digest));
    return rv < 0 ? rv : index_strings(index, st, ret_holders, err);
}

int index_keep(struct index *index, const char *const *refs, bool *ret_changed, struct err *err)
{
    LOCK_INDEX(index);
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    rv = index_run(index,
                   "CREATE TEMP TABLE IF NOT EXISTS wanted(ref TEXT PRIMARY KEY) WITHOUT ROWID;"
                   "DELETE FROM temp.wanted",
                   err);
    for (size_t i = 0; rv == 0 && refs && refs[i]; i++)
        rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO temp.wanted VALUES(?)", "s", refs[i]);
    int before = sqlite3_total_changes(index->db);
    if (rv == 0)
        rv = index_run(index,
                       "DELETE FROM keep WHERE ref NOT IN (SELECT ref FROM temp.wanted);"
                       "INSERT INTO keep SELECT ref FROM temp.wanted"
                       " WHERE ref NOT IN (SELECT ref FROM keep)",
                       err);
    bool changed = sqlite3_total_changes(index->db) != before;
    rv = index_finish(index, rv, err);
    if (rv == 0)
        *ret_changed = changed;
    return rv;
}

#define UNUSED                                                                                     \
    "SELECT digest FROM manifest m WHERE digest NOT IN (SELECT digest FROM name) AND " DROPPABLE
#define UNUSED_LAYERS "FROM layer WHERE chain_id NOT IN (SELECT chain_id FROM manifest_layer)"
/* Folders that were replaced while a container stood on them, and no longer one of those. */
#define UNUSED_REPLACED                                                                            \
    "FROM replaced WHERE number NOT IN"                                                            \
    " (SELECT number FROM replaced JOIN hold USING(holder))"

static int collect_blobs(struct index *index, struct index_garbage *garbage, struct err *err)
{
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT DISTINCT digest FROM blob WHERE manifest IN (" UNUSED ")"
                           " AND digest NOT IN"
                           " (SELECT digest FROM blob WHERE manifest NOT IN (" UNUSED "))",
                           "");
    while (rv == 0 && (rv = index_step(index, st, err)) == 1) {
        garbage->blobs = mem_resize(garbage->blobs, garbage->blobs_n + 1, sizeof(*garbage->blobs));
        str_fill(garbage->blobs[garbage->blobs_n++], INDEX_DIGEST_SIZE, index_text(st, 0));
        rv = 0;
    }
    return rv;
}

static int collect_layers(struct index *index, struct index_garbage *g, struct err *err)
{
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT number, bytes " UNUSED_LAYERS
                           " UNION SELECT DISTINCT number, 0 " UNUSED_REPLACED,
                           "");
    while (rv == 0 && (rv = index_step(index, st, err)) == 1) {
        g->layers = mem_resize(g->layers, g->layers_n + 1, sizeof(*g->layers));
        g->layer_bytes = mem_resize(g->layer_bytes, g->layers_n + 1, sizeof(*g->layer_bytes));
        g->layers[g->layers_n] = sqlite3_column_int64(st, 0);
        g->layer_bytes[g->layers_n++] = sqlite3_column_int64(st, 1);
        rv = 0;
    }
    return rv;
}

/* In a transaction. */
static int collect(struct index *index, struct index_garbage *garbage, struct err *err)
{
    int rv = collect_blobs(index, garbage, err);
    if (rv == 0) /* its layers and blobs go with it */
        rv = index_run(index, "DELETE FROM manifest WHERE digest IN (" UNUSED ")", err);
    if (rv == 0)
        rv = collect_layers(index, garbage, err);
    if (rv == 0)
        rv = index_run(index, "DELETE " UNUSED_LAYERS ";DELETE " UNUSED_REPLACED, err);
    return rv;
}

int index_collect(struct index *index, struct index_garbage *ret_garbage, struct err *err)
{
    LOCK_INDEX(index);
    struct index_garbage garbage = {0};
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    rv = index_finish(index, collect(index, &garbage, err), err);
    if (rv < 0)
        index_garbage_release(&garbage);
    else
        *ret_garbage = garbage;
    return rv;
}

int index_forecast(struct index *index, const char *const *digests, size_t n,
                   struct index_garbage *ret_garbage, struct err *err)
{
    LOCK_INDEX(index);
    struct index_garbage garbage = {0};
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; rv == 0 && i < n; i++)
        rv = drop(index, digests[i], err);
    if (rv == 0)
        rv = collect(index, &garbage, err);
    int undone = index_run(index, "ROLLBACK", rv == 0 ? err : NULL);
    if (rv == 0)
        rv = undone;
    if (rv < 0)
        index_garbage_release(&garbage);
    else
        *ret_garbage = garbage;
    return rv;
}

void index_garbage_release(struct index_garbage *garbage)
{
    free(garbage->blobs);
    free(garbage->layers);
    free(garbage->layer_bytes);
    *garbage = (struct index_garbage){0};
}
