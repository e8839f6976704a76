/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/index.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/index_db.h"

#include <stdlib.h>
#include <string.h>

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
    image_flight_init(&index->content.flight);
    atomic_init(&index->content.garbage, true);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    int rv = make_folder(path, err);
    if (rv == 0 && sqlite3_open_v2(path, &index->db, flags, NULL) != SQLITE_OK)
        rv = index_fail(index, err);
    if (rv == 0)
        rv = index_set_up(index, err);
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
    image_flight_release(&index->content.flight);
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
        rv = INDEX_RUN(index, err,
                       "INSERT OR IGNORE INTO layer(chain_id, number, tree, bytes, entries)"
                       " VALUES(?,?,?,?,?)",
                       "sisii", l->chain_id, l->number, l->tree, l->bytes, l->entries);
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
                   "INSERT INTO manifest(digest, config, size_bytes, created_ms, used_ms)"
                   " VALUES(?1,?2,?3,?4,?4) ON CONFLICT(digest) DO UPDATE SET"
                   " config=excluded.config, size_bytes=excluded.size_bytes,"
                   " used_ms=excluded.used_ms",
                   "ssii", m->digest, m->config, m->size_bytes, now_ms);
    if (rv == 0)
        rv = INDEX_RUN(index, err, "DELETE FROM manifest_layer WHERE digest=?", "s", m->digest);
    if (rv == 0)
        rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO blob VALUES(?,?)", "ss", m->digest,
                       m->digest);
    if (rv == 0)
        rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO blob VALUES(?,?)", "ss", m->config,
                       m->digest);
    if (rv == 0 && m->index[0])
        rv = INDEX_RUN(index, err, "INSERT OR IGNORE INTO blob VALUES(?,?)", "ss", m->index,
                       m->digest);
    if (rv == 0)
        rv = record_layers(index, m, err);
    if (rv == 0 && name)
        rv = INDEX_RUN(index, err,
                       "INSERT OR REPLACE INTO name(name, digest, created_ms, loaded)"
                       " VALUES(?,?,?,?)",
                       "ssii", name, m->digest, now_ms, (int64_t)m->loaded);
    return index_finish(index, rv, err);
}

int index_tag(struct index *index, const char *name, const char *digest, int64_t now_ms,
              struct err *err)
{
    LOCK_INDEX(index);
    int rv = INDEX_RUN(index, err,
                       "INSERT OR REPLACE INTO name(name, digest, created_ms, loaded)"
                       " SELECT ?1, digest, ?3, (SELECT ifnull(max(loaded), 0) FROM name"
                       " WHERE digest=?2) FROM manifest WHERE digest=?2",
                       "ssi", name, digest, now_ms);
    if (rv == 0 && sqlite3_changes(index->db) == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", digest);
    return rv;
}

static void read_image(sqlite3_stmt *st, struct index_image *image)
{
    *image = (struct index_image){.size_bytes = sqlite3_column_int64(st, 2),
                                  .created_ms = sqlite3_column_int64(st, 3),
                                  .used_ms = sqlite3_column_int64(st, 4),
                                  .holders = sqlite3_column_int64(st, 5),
                                  .kept = sqlite3_column_int(st, 6) != 0,
                                  .damaged = sqlite3_column_int(st, 7) != 0,
                                  .named = sqlite3_column_int(st, 8) != 0,
                                  .loaded = sqlite3_column_int(st, 9) != 0};
    if (sqlite3_column_type(st, 0) != SQLITE_NULL)
        image->name = str_copy(index_text(st, 0));
    str_fill(image->digest, sizeof(image->digest), index_text(st, 1));
}

/* What read_image() reads behind the name, of manifest m which came at the time @at. */
#define COLUMNS(at)                                                                                \
    "m.digest, m.size_bytes, " at ", m.used_ms,"                                                   \
    " (SELECT count(*) FROM hold h WHERE h.digest=m.digest), " INDEX_KEPT ","                      \
    " EXISTS(SELECT 1 FROM manifest_layer ml LEFT JOIN layer l USING(chain_id)"                    \
    "  WHERE ml.digest=m.digest AND (l.number IS NULL OR l.damaged)),"                             \
    " EXISTS(SELECT 1 FROM name u WHERE u.digest=m.digest AND u.name NOT LIKE '%@sha256:%'),"      \
    " EXISTS(SELECT 1 FROM name u WHERE u.digest=m.digest AND u.loaded)"
#define MIN_NAME "(SELECT min(name) FROM name WHERE digest=m.digest)"

int index_name_find(struct index *index, const char *name, struct index_image *ret_image,
                    struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(
        index, &st, err,
        "SELECT n.name, " COLUMNS("n.created_ms") " FROM name n"
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
                           "SELECT " MIN_NAME
                           ", " COLUMNS("m.created_ms") " FROM manifest m WHERE m.digest=?",
                           "s", digest);
    if (rv == 0)
        rv = index_step(index, st, err);
    if (rv == 0)
        return err_set(err, ERR_NOTFOUND, "image %s is not on this machine", digest);
    if (rv == 1)
        read_image(st, ret_image);
    return rv < 0 ? rv : 0;
}

static int read_images(struct index *index, sqlite3_stmt *st, struct index_image **ret_images,
                       size_t *ret_n, struct err *err)
{
    struct index_image *images = NULL;
    size_t n = 0;
    int rv;
    while ((rv = index_step(index, st, err)) == 1) {
        images = mem_resize(images, n + 1, sizeof(*images));
        read_image(st, &images[n++]);
    }
    if (rv < 0) {
        index_images_free(images, n);
        return rv;
    }
    *ret_images = images;
    *ret_n = n;
    return 0;
}

int index_names(struct index *index, struct index_image **ret_images, size_t *ret_n,
                struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(
        index, &st, err,
        "SELECT n.name, " COLUMNS(
            "ifnull(n.created_ms, m.created_ms)") " FROM manifest m LEFT JOIN name n USING(digest)"
                                                  " ORDER BY n.name IS NULL, n.name, m.digest",
        "");
    return rv < 0 ? rv : read_images(index, st, ret_images, ret_n, err);
}

int index_prefix(struct index *index, const char *digits, struct index_image **ret_images,
                 size_t *ret_n, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    cleanup_free char *pattern = str_printf("sha256:%s*", digits);
    int rv = index_prepare(index, &st, err,
                           "SELECT " MIN_NAME
                           ", " COLUMNS("m.created_ms") " FROM manifest m"
                                                        " WHERE m.digest GLOB ? ORDER BY m.digest",
                           "s", pattern);
    return rv < 0 ? rv : read_images(index, st, ret_images, ret_n, err);
}

int index_unused(struct index *index, struct index_image **ret_images, size_t *ret_n,
                 struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(
        index, &st, err,
        "SELECT " MIN_NAME ", " COLUMNS(
            "m.created_ms") " FROM manifest m"
                            " WHERE m.digest NOT IN (SELECT digest FROM hold) AND NOT " INDEX_KEPT
                            " ORDER BY EXISTS(SELECT 1 FROM name u WHERE u.digest=m.digest AND"
                            " u.loaded), m.used_ms, m.created_ms, m.digest",
        "");
    return rv < 0 ? rv : read_images(index, st, ret_images, ret_n, err);
}

int index_names_of(struct index *index, const char *digest, char ***ret_names, struct err *err)
{
    LOCK_INDEX(index);
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err, "SELECT name FROM name WHERE digest=? ORDER BY name",
                           "s", digest);
    return rv < 0 ? rv : index_strings(index, st, ret_names, err);
}

void index_images_free(struct index_image *images, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(images[i].name);
    free(images);
}
