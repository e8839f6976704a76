/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/index.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/index_db.h"

#include <stdlib.h>
#include <string.h>

enum {
    INDEX_VERSION = 1,
    BUSY_TIMEOUT_MS = 5000,
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS manifest(digest TEXT PRIMARY KEY, config TEXT NOT NULL,"
    " size_bytes INTEGER NOT NULL, created_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS name(name TEXT PRIMARY KEY, digest TEXT NOT NULL"
    " REFERENCES manifest(digest), created_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS name_digest ON name(digest);"
    "CREATE TABLE IF NOT EXISTS layer(chain_id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE)"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS manifest_layer(digest TEXT NOT NULL REFERENCES manifest(digest)"
    " ON DELETE CASCADE, position INTEGER NOT NULL, chain_id TEXT NOT NULL,"
    " PRIMARY KEY(digest, position)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS manifest_layer_chain ON manifest_layer(chain_id);"
    "CREATE TABLE IF NOT EXISTS blob(digest TEXT NOT NULL, manifest TEXT NOT NULL"
    " REFERENCES manifest(digest) ON DELETE CASCADE, PRIMARY KEY(digest, manifest)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS blob_manifest ON blob(manifest);"
    "CREATE TABLE IF NOT EXISTS hold(holder TEXT PRIMARY KEY, digest TEXT NOT NULL"
    " REFERENCES manifest(digest)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS hold_digest ON hold(digest);";

static int set_up(struct index *index, struct err *err)
{
    sqlite3_busy_timeout(index->db, BUSY_TIMEOUT_MS);
    int rv = index_run(index,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                       "PRAGMA cache_size=-256; PRAGMA trusted_schema=OFF;",
                       err);
    if (rv < 0)
        return rv;
    cleanup_stmt sqlite3_stmt *st = NULL;
    if ((rv = index_prepare(index, &st, err, "PRAGMA user_version", "")) < 0)
        return rv;
    if ((rv = index_step(index, st, err)) < 0)
        return rv;
    int version = sqlite3_column_int(st, 0);
    sqlite3_reset(st);
    if (version > INDEX_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "image index %s has version %d, this program knows %d: it was written by a "
                       "newer wherry",
                       index->path, version, INDEX_VERSION);
    if ((rv = index_run(index, "BEGIN IMMEDIATE", err)) < 0)
        return rv;
    rv = index_run(index, schema, err);
    if (rv == 0)
        rv = index_run(index, "PRAGMA user_version=1", err);
    return index_finish(index, rv, err);
}

static int make_folder(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    cleanup_free char *folder = str_printf("%.*s", (int)(slash - path), path);
    return file_mkdirs(folder, 0700, err);
}

int index_open(const char *path, struct index **ret_index, struct err *err)
{
    struct index *index = mem_alloc(1, sizeof(*index));
    index->path = str_copy(path);
    check(pthread_mutex_init(&index->lock, NULL) == 0);
    check(pthread_mutex_init(&index->content.lock, NULL) == 0);
    atomic_init(&index->content.garbage, true);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    int rv = make_folder(path, err);
    if (rv == 0 && sqlite3_open_v2(path, &index->db, flags, NULL) != SQLITE_OK)
        rv = index_fail(index, err);
    if (rv == 0)
        rv = set_up(index, err);
    if (rv == ERR_CORRUPT)
        err_set(err, rv,
                "image index %s is damaged (%s): move it away, then load or pull images anew", path,
                sqlite3_errmsg(index->db));
    if (rv < 0) {
        index_close(index);
        return rv;
    }
    *ret_index = index;
    return 0;
}

void index_close(struct index *index)
{
    if (!index)
        return;
    sqlite3_close(index->db);
    pthread_mutex_destroy(&index->lock);
    pthread_mutex_destroy(&index->content.lock);
    free(index->path);
    free(index);
}

struct index_content *index_content(struct index *index)
{
    return &index->content;
}

static int record_layers(struct index *index, const struct index_manifest *m, struct err *err)
{
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < m->layers_n; i++) {
        const struct index_layer *l = &m->layers[i];
        rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO layer VALUES(?,?)", "si", l->chain_id,
                       l->number);
        if (rv == 0)
            rv = INDEX_RUN(index, err, "INSERT INTO manifest_layer VALUES(?,?,?)", "sis", m->digest,
                           (int64_t)i, l->chain_id);
        if (rv == 0)
            rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO blob VALUES(?,?)", "ss", l->blob,
                           m->digest);
    }
    return rv;
}

int index_record(struct index *index, const struct index_manifest *m, const char *name,
                 int64_t now_ms, struct err *err)
{
    LOCK_INDEX(index);
    int rv = index_run(index, "BEGIN IMMEDIATE", err);
    if (rv < 0)
        return rv;
    rv = INDEX_RUN(index, err,
                   "INSERT INTO manifest VALUES(?,?,?,?) ON CONFLICT(digest) DO UPDATE SET"
                   " config=excluded.config, size_bytes=excluded.size_bytes",
                   "ssii", m->digest, m->config, m->size_bytes, now_ms);
    if (rv == 0)
        rv = INDEX_RUN(index, err, "DELETE FROM manifest_layer WHERE digest=?", "s", m->digest);
    if (rv == 0)
        rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO blob VALUES(?,?)", "ss", m->digest,
                       m->digest);
    if (rv == 0)
        rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO blob VALUES(?,?)", "ss", m->config,
                       m->digest);
    if (rv == 0)
        rv = record_layers(index, m, err);
    if (rv == 0 && name)
        rv = INDEX_RUN(index, err, "INSERT OR REPLACE INTO name VALUES(?,?,?)", "ssi", name,
                       m->digest, now_ms);
    return index_finish(index, rv, err);
}

static void read_image(sqlite3_stmt *st, struct index_image *image)
{
    *image = (struct index_image){0};
    if (sqlite3_column_type(st, 0) != SQLITE_NULL)
        image->name = str_copy(index_text(st, 0));
    str_fill(image->digest, sizeof(image->digest), index_text(st, 1));
    image->size_bytes = sqlite3_column_int64(st, 2);
    image->created_ms = sqlite3_column_int64(st, 3);
}

int index_name_find(struct index *index, const char *name, struct index_image *ret_image,
                    struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT n.name, n.digest, m.size_bytes, n.created_ms FROM name n"
                           " JOIN manifest m USING(digest) WHERE n.name=?",
                           "s", name);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", name);
    if (rv == 1)
        read_image(st, ret_image);
    return rv < 0 ? rv : 0;
}

int index_manifest_find(struct index *index, const char *digest, struct index_image *ret_image,
                        struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err,
                           "SELECT (SELECT min(name) FROM name WHERE digest=m.digest), m.digest,"
                           " m.size_bytes, m.created_ms FROM manifest m WHERE m.digest=?",
                           "s", digest);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", digest);
    if (rv == 1)
        read_image(st, ret_image);
    return rv < 0 ? rv : 0;
}

int index_names(struct index *index, struct index_image **ret_images, size_t *ret_n,
                struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    struct index_image *images = NULL;
    size_t n = 0;
    int rv = index_prepare(index, &st, err,
                           "SELECT n.name, n.digest, m.size_bytes, n.created_ms FROM name n"
                           " JOIN manifest m USING(digest) ORDER BY n.name",
                           "");
    while (rv == 0 && (rv = index_step(index, st, err)) == 1) {
        images = mem_resize(images, n + 1, sizeof(*images));
        read_image(st, &images[n++]);
        rv = 0;
        continue;
    }
    if (rv < 0) {
        index_images_free(images, n);
        return rv;
    }
    *ret_images = images;
    *ret_n = n;
    return 0;
}

void index_images_free(struct index_image *images, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(images[i].name);
    free(images);
}

int index_manifest_layers(struct index *index, const char *digest,
                          char ret_config[INDEX_DIGEST_SIZE], int64_t **ret_numbers, size_t *ret_n,
                          struct err *err)
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
                       "SELECT coalesce(l.number, 0) FROM manifest_layer m"
                       " LEFT JOIN layer l USING(chain_id) WHERE m.digest=? ORDER BY m.position",
                       "s", digest);
    cleanup_free int64_t *numbers = NULL;
    size_t n = 0;
    while (rv == 0 && (rv = index_step(index, layers, err)) == 1) {
        numbers = mem_resize(numbers, n + 1, sizeof(*numbers));
        numbers[n++] = sqlite3_column_int64(layers, 0);
        rv = 0;
    }
    if (rv < 0)
        return rv;
    str_fill(ret_config, INDEX_DIGEST_SIZE, index_text(st, 0));
    *ret_numbers = steal(&numbers);
    *ret_n = n;
    return 0;
}

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

int index_layer_find(struct index *index, const char *chain_id, int64_t *ret_number,
                     struct err *err)
{
    return number_of(index, "SELECT number FROM layer WHERE chain_id=?", "s", chain_id, 0,
                     ret_number, err);
}

int index_layer_known(struct index *index, int64_t number, bool *ret_known, struct err *err)
{
    int64_t n;
    int rv = number_of(index, "SELECT 1 FROM layer WHERE number=?", "i", NULL, number, &n, err);
    if (rv == 0)
        *ret_known = n != 0;
    return rv;
}

int index_layer_max(struct index *index, int64_t *ret_number, struct err *err)
{
    return number_of(index, "SELECT max(number) FROM layer", "", NULL, 0, ret_number, err);
}

int index_blob_known(struct index *index, const char *digest, bool *ret_known, struct err *err)
{
    int64_t n;
    int rv = number_of(index, "SELECT 1 FROM blob WHERE digest=?", "s", digest, 0, &n, err);
    if (rv == 0)
        *ret_known = n != 0;
    return rv;
}

int index_layer_forget(struct index *index, int64_t number, struct err *err)
{
    LOCK_INDEX(index);
    return INDEX_RUN(index, err, "DELETE FROM layer WHERE number=?", "i", number);
}
