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
    return err_set(err, ERR_BUSY, "image %s is used by container %s: remove that first", name,
                   index_text(st, 0));
}

int index_name_remove(struct index *index, const char *name, struct err *err)
{
    LOCK_INDEX(index);
    int rv = refuse_held(index, name, err);
    if (rv < 0)
        return rv;
    rv = INDEX_RUN(index, err, "DELETE FROM name WHERE name=?", "s", name);
    if (rv == 0 && sqlite3_changes(index->db) == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", name);
    return rv;
}

int index_hold(struct index *index, const char *holder, const char *digest, struct err *err)
{
    LOCK_INDEX(index);
    int rv = INDEX_RUN(index, err,
                       "INSERT OR REPLACE INTO hold SELECT ?, digest FROM manifest WHERE digest=?",
                       "ss", holder, digest);
    if (rv == 0 && sqlite3_changes(index->db) == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", digest);
    return rv;
}

int index_unhold(struct index *index, const char *holder, struct err *err)
{
    LOCK_INDEX(index);
    return INDEX_RUN(index, err, "DELETE FROM hold WHERE holder=?", "s", holder);
}

#define UNUSED                                                                                     \
    "SELECT digest FROM manifest WHERE digest NOT IN (SELECT digest FROM name)"                    \
    " AND digest NOT IN (SELECT digest FROM hold)"
#define UNUSED_LAYERS "FROM layer WHERE chain_id NOT IN (SELECT chain_id FROM manifest_layer)"

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

static int collect_layers(struct index *index, struct index_garbage *garbage, struct err *err)
{
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err, "SELECT number " UNUSED_LAYERS, "");
    while (rv == 0 && (rv = index_step(index, st, err)) == 1) {
        garbage->layers =
            mem_resize(garbage->layers, garbage->layers_n + 1, sizeof(*garbage->layers));
        garbage->layers[garbage->layers_n++] = sqlite3_column_int64(st, 0);
        rv = 0;
    }
    return rv;
}

int index_collect(struct index *index, struct index_garbage *ret_garbage, struct err *err)
{
    LOCK_INDEX(index);
    struct index_garbage garbage = {0};
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    rv = collect_blobs(index, &garbage, err);
    if (rv == 0) /* its layers and blobs go with it */
        rv = index_run(index, "DELETE FROM manifest WHERE digest IN (" UNUSED ")", err);
    if (rv == 0)
        rv = collect_layers(index, &garbage, err);
    if (rv == 0)
        rv = index_run(index, "DELETE " UNUSED_LAYERS, err);
    rv = index_finish(index, rv, err);
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
    *garbage = (struct index_garbage){0};
}
