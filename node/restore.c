/* SPDX-License-Identifier: Apache-2.0 */
#include "node/restore.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "cluster/log_found.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/keys.h"
#include "node/level.h"
#include "node/members.h"
#include "store/level.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    UUID_BYTES = 16,
};

/* Work on a thread: it owns all of it. */
struct restoring {
    struct daemon *daemon;
    char *path;
    char *dir; /* raft.restored */
    bool dry_run;
    struct refound refound;
    struct backup_header header;
    struct refound_result result;
    struct err err;
    restore_cb cb;
    void *arg;
};

static char *restored_dir(const struct daemon *d)
{
    return str_printf("%s/raft.restored", d->data_dir);
}

/* --- on a thread ------------------------------------------------------------------------------ */

static int write_folder(struct restoring *r, struct store *store)
{
    cleanup_buf struct buf image = BUF_INIT;
    if (file_remove_tree(r->dir, &r->err) < 0)
        return r->err.code;
    store_snapshot(store, &image);
    return log_found(r->dir, 1, store_index(store), image.data, image.len, &r->err);
}

static int restore_state(struct restoring *r, const void *state, size_t len)
{
    struct store *store = store_new();
    store_pretend_level(store, 0);
    int rv = store_restore(store, state, len, &r->err);
    if (rv == 0 && store_level(store) > LEVEL_KNOWN)
        rv = err_set(&r->err, ERR_UNSUPPORTED,
                     "the backup is of a cluster at level %d, and this wherry knows %d: use a "
                     "newer one",
                     store_level(store), LEVEL_KNOWN);
    if (rv == 0)
        rv = store_refound(store, &r->refound, &r->result, &r->err);
    if (rv == 0 && !r->dry_run)
        rv = write_folder(r, store);
    store_free(store);
    return rv;
}

static void work(void *arg)
{
    struct restoring *r = arg;
    cleanup_buf struct buf file = BUF_INIT;
    const void *state;
    size_t len;
    size_t max = (size_t)BACKUP_PREFIX_BYTES + BACKUP_HEADER_MAX + BACKUP_STATE_MAX;
    if (file_read(r->path, max, &file, &r->err) < 0)
        return;
    if (backup_open(file.data, file.len, &r->header, &state, &len, &r->err) == 0)
        restore_state(r, state, len);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void restoring_free(struct restoring *r)
{
    unlink(r->path);
    record_release(&cluster_type, &r->refound.cluster);
    record_release(&node_type, &r->refound.founder);
    record_release(&backup_header_type, &r->header);
    refound_result_release(&r->result);
    free(r->path);
    free(r->dir);
    free(r);
}

/* From here on this machine is the new cluster, whatever happens. */
static int become_member(struct restoring *r, struct err *err)
{
    struct daemon *d = r->daemon;
    if (d->stopping)
        return err_set(err, ERR_CANCELED, "this daemon is stopping");
    int rv = members_forget_founding(d, err);
    if (rv == 0)
        rv = identity_set_member(d->identity, r->refound.cluster.uuid, 1, err);
    if (rv < 0)
        return rv;
    rv = daemon_start_member(d, false, err);
    if (rv < 0) {
        err_wrap(err, "the cluster is restored, but the daemon must be started again");
        daemon_stop(d, rv, err);
        return rv;
    }
    keys_founded(d);
    return 0;
}

static void done(void *arg)
{
    struct restoring *r = arg;
    struct daemon *d = r->daemon;
    d->joining = false;
    if (r->err.code == 0 && !r->dry_run)
        become_member(r, &r->err);
    if (r->err.code != 0 && !identity_is_member(d->identity))
        restore_clean(d);
    r->cb(r->arg, &r->err, &r->header, &r->result);
    restoring_free(r);
}

static int check_free(struct daemon *d, struct err *err)
{
    cleanup_free char *raft = str_printf("%s/raft", d->data_dir);
    if (identity_is_member(d->identity))
        return err_set(
            err, ERR_EXISTS,
            "this machine is a member of cluster %.8s already: a backup is restored on a "
            "machine that is in no cluster",
            identity_cluster(d->identity));
    if (d->joining)
        return err_set(err, ERR_BUSY, "this machine is joining or restoring a cluster right now");
    if (d->witness)
        return err_set(err, ERR_INVALID,
                       "a witness cannot be the first member of a cluster: start this daemon "
                       "without --witness");
    if (file_exists(raft))
        return err_set(err, ERR_EXISTS, "%s is of an earlier cluster: move it away first", raft);
    return 0;
}

/* What CHANGE_CLUSTER_INIT has of a cluster that begins with nothing. */
static int prepare(struct restoring *r, struct err *err)
{
    struct daemon *d = r->daemon;
    struct cluster *c = &r->refound.cluster;
    unsigned char raw[UUID_BYTES];
    char uuid[2 * UUID_BYTES + 1];
    uint32_t random;
    random_bytes(raw, sizeof(raw));
    random_bytes(&random, sizeof(random));
    hex_encode(raw, sizeof(raw), uuid);
    c->uuid = str_copy(uuid);
    c->vxlan_id = 1 + random % 0xfffffe;
    c->level = LEVEL_KNOWN;
    daemon_describe(d, &r->refound.founder);
    if (r->dry_run)
        return 0;
    int rv = *identity_ca_cert(d->identity) ? 0 : identity_make_ca(d->identity, err);
    if (rv == 0)
        rv = keys_found(d, &c->keys, err);
    c->ca = str_copy(identity_ca_cert(d->identity));
    return rv;
}

void restore_begin(struct daemon *d, const char *path, bool forget_homes, bool dry_run,
                   restore_cb cb, void *arg)
{
    struct restoring *r = mem_alloc(1, sizeof(*r));
    struct err err = {0};
    r->daemon = d;
    r->path = str_copy(path);
    r->dir = restored_dir(d);
    r->dry_run = dry_run;
    r->refound.forget_homes = forget_homes;
    r->refound.now_ms = clock_wall_ms();
    r->cb = cb;
    r->arg = arg;
    if (check_free(d, &err) < 0 || prepare(r, &err) < 0) {
        cb(arg, &err, &r->header, &r->result);
        restoring_free(r);
        return;
    }
    d->joining = true;
    jobs_run(d->jobs, work, done, r);
}

int restore_adopt(struct daemon *d, struct err *err)
{
    cleanup_free char *from = restored_dir(d);
    cleanup_free char *to = str_printf("%s/raft", d->data_dir);
    if (!file_exists(from))
        return 0;
    if (rename(from, to) < 0)
        return err_errno(err, errno, "rename %s to %s", from, to);
    return file_sync_dir(d->data_dir, err);
}

void restore_clean(struct daemon *d)
{
    cleanup_free char *dir = restored_dir(d);
    struct err err;
    if (file_exists(dir) && file_remove_tree(dir, &err) < 0)
        log_warn("node", "%s", err.msg);
}
