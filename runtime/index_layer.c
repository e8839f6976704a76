/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_layer - the unpacked layers, and the blobs they come from.
 */
#include "runtime/index.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/index_db.h"

#include <stdlib.h>

/* One integer, 0 without a row. */
static int number_of(struct index *index, const char *sql, const char *types, const char *text,
                     int64_t number, int64_t *ret, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = types[0] == 's' ? index_prepare(index, &st, err, sql, types, text)
                             : index_prepare(index, &st, err, sql, types, number);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv >= 0)
        *ret = rv == 1 ? sqlite3_column_int64(st, 0) : 0;
    return rv < 0 ? rv : 0;
}

int index_layer_known(struct index *index, int64_t number, bool *ret_known, struct err *err)
{
    int64_t n;
    int rv = number_of(index,
                       "SELECT 1 FROM (SELECT number FROM layer UNION SELECT number FROM replaced)"
                       " WHERE number=?",
                       "i", NULL, number, &n, err);
    if (rv == 0)
        *ret_known = n != 0;
    return rv;
}

int index_layer_max(struct index *index, int64_t *ret_number, struct err *err)
{
    return number_of(index,
                     "SELECT max(number) FROM (SELECT number FROM layer"
                     " UNION SELECT number FROM replaced)",
                     "", NULL, 0, ret_number, err);
}

int index_blob_known(struct index *index, const char *digest, bool *ret_known, struct err *err)
{
    int64_t n;
    int rv = number_of(index, "SELECT 1 FROM blob WHERE digest=?", "s", digest, 0, &n, err);
    if (rv == 0)
        *ret_known = n != 0;
    return rv;
}

int index_layer_replace(struct index *index, int64_t number, bool *ret_in_use, struct err *err)
{
    LOCK_INDEX(index);
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    rv = INDEX_RUN(index, err,
                   "INSERT OR IGNORE INTO replaced SELECT l.number, h.holder FROM layer l"
                   " JOIN manifest_layer m USING(chain_id) JOIN hold h USING(digest)"
                   " WHERE l.number=?",
                   "i", number);
    bool in_use = rv == 0 && sqlite3_changes(index->db) > 0;
    if (rv == 0)
        rv = INDEX_RUN(index, err, "DELETE FROM layer WHERE number=?", "i", number);
    rv = index_finish(index, rv, err);
    if (rv == 0)
        *ret_in_use = in_use;
    return rv;
}

int index_layer_mark(struct index *index, int64_t number, struct err *err)
{
    LOCK_INDEX(index);
    return INDEX_RUN(index, err, "UPDATE layer SET damaged=1 WHERE number=?", "i", number);
}

int index_layer_measure(struct index *index, const struct index_layer *layer, struct err *err)
{
    LOCK_INDEX(index);
    return INDEX_RUN(index, err,
                     "UPDATE layer SET tree=?, bytes=?, entries=? WHERE number=? AND tree=''",
                     "siii", layer->tree, layer->bytes, layer->entries, layer->number);
}

static void read_layer(sqlite3_stmt *st, struct index_layer *layer)
{
    *layer = (struct index_layer){.number = sqlite3_column_int64(st, 1),
                                  .bytes = sqlite3_column_int64(st, 3),
                                  .entries = sqlite3_column_int64(st, 4),
                                  .damaged = sqlite3_column_int(st, 5) != 0};
    str_fill(layer->chain_id, sizeof(layer->chain_id), index_text(st, 0));
    str_fill(layer->tree, sizeof(layer->tree), index_text(st, 2));
}

static int read_layers(struct index *index, sqlite3_stmt *st, struct index_layer **ret_layers,
                       size_t *ret_n, struct err *err)
{
    cleanup_free struct index_layer *layers = NULL;
    size_t n = 0;
    int rv;
    while ((rv = index_step(index, st, err)) == 1) {
        layers = mem_resize(layers, n + 1, sizeof(*layers));
        read_layer(st, &layers[n++]);
    }
    if (rv < 0)
        return rv;
    *ret_layers = steal(&layers);
    *ret_n = n;
    return 0;
}

int index_layer_find(struct index *index, const char *chain_id, struct index_layer *ret,
                     struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT chain_id, number, tree, bytes, entries, damaged FROM layer"
                           " WHERE chain_id=?",
                           "s", chain_id);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv == 1)
        read_layer(st, ret);
    else if (rv == 0)
        *ret = (struct index_layer){0};
    return rv < 0 ? rv : 0;
}

int index_layers(struct index *index, struct index_layer **ret_layers, size_t *ret_n,
                 struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT chain_id, number, tree, bytes, entries, damaged FROM layer"
                           " ORDER BY number",
                           "");
    return rv < 0 ? rv : read_layers(index, st, ret_layers, ret_n, err);
}

int index_manifest_layers(struct index *index, const char *digest,
                          char ret_config[INDEX_DIGEST_SIZE], struct index_layer **ret_layers,
                          size_t *ret_n, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv =
        index_prepare(index, &st, err, "SELECT config FROM manifest WHERE digest=?", "s", digest);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", digest);
    if (rv < 0)
        return rv;
    cleanup_stmt sqlite3_stmt *layers = NULL;
    rv = index_prepare(index, &layers, err,
                       "SELECT m.chain_id, l.number, l.tree, l.bytes, l.entries, l.damaged"
                       " FROM manifest_layer m LEFT JOIN layer l USING(chain_id)"
                       " WHERE m.digest=? ORDER BY m.position",
                       "s", digest);
    if (rv == 0)
        rv = read_layers(index, layers, ret_layers, ret_n, err);
    if (rv == 0)
        str_fill(ret_config, INDEX_DIGEST_SIZE, index_text(st, 0));
    return rv;
}

int index_strings(struct index *index, sqlite3_stmt *st, char ***ret, struct err *err)
{
    size_t n = 0;
    char **strings = mem_alloc(1, sizeof(*strings));
    int rv;
    while ((rv = index_step(index, st, err)) == 1) {
        strings = mem_resize(strings, n + 2, sizeof(*strings));
        strings[n++] = str_copy(index_text(st, 0));
    }
    strings[n] = NULL;
    if (rv == 0) {
        *ret = strings;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        free(strings[i]);
    free(strings);
    return rv;
}

int index_blobs(struct index *index, char ***ret_digests, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err, "SELECT DISTINCT digest FROM blob ORDER BY digest", "");
    return rv < 0 ? rv : index_strings(index, st, ret_digests, err);
}

int index_manifests(struct index *index, char ***ret_digests, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err, "SELECT digest FROM manifest ORDER BY digest", "");
    return rv < 0 ? rv : index_strings(index, st, ret_digests, err);
}

int index_users_of_blob(struct index *index, const char *digest, char ***ret_manifests,
                        struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(
        index, &st, err, "SELECT manifest FROM blob WHERE digest=? ORDER BY manifest", "s", digest);
    return rv < 0 ? rv : index_strings(index, st, ret_manifests, err);
}

int index_users_of_layer(struct index *index, const char *chain_id, char ***ret_manifests,
                         struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT DISTINCT digest FROM manifest_layer WHERE chain_id=?"
                           " ORDER BY digest",
                           "s", chain_id);
    return rv < 0 ? rv : index_strings(index, st, ret_manifests, err);
}

int index_integrity(struct index *index, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err, "PRAGMA quick_check(1)", "");
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv < 0)
        return rv;
    if (str_equal(index_text(st, 0), "ok"))
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "image index %s is damaged (%.100s): move it away, then load or pull images "
                   "anew",
                   index->path, index_text(st, 0));
}
