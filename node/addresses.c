/* SPDX-License-Identifier: Apache-2.0 */
#include "node/addresses.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/peers.h"

#include <stdlib.h>

struct addresses {
    struct daemon *daemon;
    char *dir;           /* of the identity */
    struct peers peers;  /* the members as the file is to have them */
    struct peers stored; /* as it has them */
    bool writing;
};

/* --- the file --------------------------------------------------------------------------------- */

struct write_job {
    struct addresses *addresses;
    char *dir;
    struct peers peers;
    struct err err;
};

static void write_work(void *arg)
{
    struct write_job *job = arg;
    job->err.code = 0;
    peers_save(job->dir, &job->peers, &job->err);
}

static void write_if_changed(struct addresses *a);

static void write_done(void *arg)
{
    struct write_job *job = arg;
    struct addresses *a = job->addresses;
    a->writing = false;
    if (job->err.code == 0) {
        record_release(&peers_type, &a->stored);
        a->stored = job->peers;
        write_if_changed(a);
    } else {
        /* The next change of the table tries again. */
        log_warn("members", "the list of members was not written: %s", job->err.msg);
        record_release(&peers_type, &job->peers);
    }
    free(job->dir);
    free(job);
}

static void write_if_changed(struct addresses *a)
{
    struct daemon *d = a->daemon;
    if (a->writing || d->stopping || record_equal(&peers_type, &a->peers, &a->stored))
        return;
    struct write_job *job = mem_alloc(1, sizeof(*job));
    job->addresses = a;
    job->dir = str_copy(a->dir);
    record_copy(&peers_type, &a->peers, &job->peers);
    a->writing = true;
    jobs_run(d->jobs, write_work, write_done, job);
}

/* --- the bus ---------------------------------------------------------------------------------- */

static void give_to_bus(struct addresses *a, const struct peers *known)
{
    struct daemon *d = a->daemon;
    cleanup_free struct bus_peer *peers = mem_alloc(known->members_n + 1, sizeof(*peers));
    for (size_t i = 0; i < known->members_n; i++)
        peers[i] = (struct bus_peer){.id = known->members[i].id,
                                     .address = str_or_empty(known->members[i].address),
                                     .public_key = known->members[i].public_key};
    bus_set_peers(d->bus, d->id, peers, known->members_n);
}

void addresses_set_members(struct addresses *a, const struct node *nodes, size_t n)
{
    struct peers peers;
    peers_from_nodes(nodes, n, a->daemon->id, &peers);
    give_to_bus(a, &peers);
    record_release(&peers_type, &peers);
}

void addresses_keep(struct addresses *a, const struct node *nodes, size_t n)
{
    record_release(&peers_type, &a->peers);
    peers_from_nodes(nodes, n, a->daemon->id, &a->peers);
    write_if_changed(a);
}

/* --- life ------------------------------------------------------------------------------------- */

struct addresses *addresses_new(struct daemon *d)
{
    struct addresses *a = mem_alloc(1, sizeof(*a));
    struct err err;
    a->daemon = d;
    a->dir = str_printf("%s/identity", d->data_dir);
    int rv = peers_load(a->dir, &a->stored, &err);
    if (rv == 0) {
        record_copy(&peers_type, &a->stored, &a->peers);
        give_to_bus(a, &a->peers);
    } else if (rv != ERR_NOTFOUND) {
        log_warn("members", "the list of members cannot be used: %s", err.msg);
    }
    return a;
}

void addresses_free(struct addresses *a)
{
    if (!a)
        return;
    record_release(&peers_type, &a->peers);
    record_release(&peers_type, &a->stored);
    free(a->dir);
    free(a);
}
