/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_schema - the tables of the index and how older files come to have them.
 *
 * PRAGMA user_version is the number of the last step that was made. A step is never changed once a
 * release has it.
 *
 *     1   0.1.0: names, manifests, blobs, layers, holds
 *     2   0.3.0: when an image was last used; whether a name came from an archive; the digest and
 *         size of unpacked trees and whether one was found damaged; folders of replaced layers that
 *         a container still stands on; what services need
 */
#include "runtime/index_db.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUSY_TIMEOUT_MS = 5000,
    RESERVE_BYTES = 1 << 20, /* more than the pages after which a checkpoint is made */
};

static const char *const steps[] = {
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
    "CREATE INDEX IF NOT EXISTS hold_digest ON hold(digest);",

    "ALTER TABLE manifest ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE manifest SET used_ms=created_ms;"
    "ALTER TABLE name ADD COLUMN loaded INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE layer ADD COLUMN tree TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE layer ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE layer ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE layer ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE replaced(number INTEGER NOT NULL, holder TEXT NOT NULL,"
    " PRIMARY KEY(number, holder)) WITHOUT ROWID;"
    "CREATE TABLE keep(ref TEXT PRIMARY KEY) WITHOUT ROWID;",
};

static int read_version(struct index *index, int *ret, struct err *err)
{
    cleanup_stmt sqlite3_stmt *st = NULL;
    int rv = index_prepare(index, &st, err, "PRAGMA user_version", "");
    if (rv < 0 || (rv = index_step(index, st, err)) < 0)
        return rv;
    *ret = sqlite3_column_int(st, 0);
    return 0;
}

/* Who gives space back must not need any: the write-ahead log has its blocks before the disk is
 * full, and keeps them while nobody has the index open
 * (sqlite.org/c3ref/c_fcntl_begin_atomic_write.html, SQLITE_FCNTL_PERSIST_WAL). Locks are on other
 * files, so it may be opened and closed. Without room the index works all the same. */
static void reserve(struct index *index)
{
    int on = 1;
    sqlite3_file_control(index->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    cleanup_free char *path = str_printf("%s-wal", index->path);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE_BYTES) < 0)
        log_debug("image", "no blocks for %s: %s", path, strerror(errno));
}

/* Exclusive before the first use of the write-ahead log: its index is then in the heap, not in a
 * mapped file, where a write without a block for it ends the process by SIGBUS
 * (sqlite.org/wal.html, "Use of WAL Without Shared-Memory"). */
int index_set_up(struct index *index, struct err *err)
{
    int version = 0;
    char pragma[40];
    sqlite3_busy_timeout(index->db, BUSY_TIMEOUT_MS);
    int rv = index_run(index,
                       "PRAGMA locking_mode=EXCLUSIVE;"
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                       "PRAGMA cache_size=-256; PRAGMA trusted_schema=OFF;"
                       "PRAGMA wal_autocheckpoint=200;",
                       err);
    if (rv < 0 || (rv = read_version(index, &version, err)) < 0)
        return rv;
    reserve(index);
    if (version < 0 || version > (int)ARRAY_SIZE(steps))
        return err_set(err, ERR_UNSUPPORTED,
                       "image index %s has version %d, this program knows %zu: it was written by a "
                       "newer wherry",
                       index->path, version, ARRAY_SIZE(steps));
    if (version == (int)ARRAY_SIZE(steps))
        return 0;
    if ((rv = index_run(index, "BEGIN IMMEDIATE", err)) < 0)
        return rv;
    for (size_t i = (size_t)version; rv == 0 && i < ARRAY_SIZE(steps); i++)
        rv = index_run(index, steps[i], err);
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%zu", ARRAY_SIZE(steps));
    if (rv == 0)
        rv = index_run(index, pragma, err);
    return index_finish(index, rv, err);
}
