/* SPDX-License-Identifier: Apache-2.0 */
#include "node/netsync.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/api.h"
#include "node/daemon.h"
#include "node/dns.h"
#include "node/job.h"
#include "node/netpaths.h"
#include "node/netstate.h"
#include "node/reconcile.h"
#include "runtime/network.h"

#include <stdlib.h>
#include <string.h>

enum {
    RELEVANT = 1U << TABLE_CLUSTER | 1U << TABLE_NETWORK | 1U << TABLE_NODE | 1U << TABLE_TASK |
               1U << TABLE_SERVICE,
    GATHER_MS = 5,
    RETRY_MS = 1000,
    MEND_MS = 10000,
};

struct netsync {
    struct daemon *daemon;
    uv_timer_t timer;
    bool stopping;
    bool running;
    bool dirty;
    int64_t generation;            /* asked for */
    struct network_memory *memory; /* of the job that runs */
    struct netpaths *paths;        /* NULL before the first time that all was in place */
    char error[240];
    char held[300]; /* as in the last job, or what rules of others do */
};

/* One application of the state. */
struct net_job {
    struct netsync *netsync;
    int64_t generation;
    struct netstate net;
    struct err err;
};

static void work(void *arg)
{
    struct net_job *job = arg;
    netstate_leave_held_ports(&job->net);
    network_apply_each(job->netsync->memory, &job->net.state, job->net.connected, &job->err);
}

static void on_timer(uv_timer_t *timer);

static void note_error(struct netsync *n, const struct err *err)
{
    if (err->code == 0 && n->error[0])
        log_info("network", "in order again");
    else if (err->code != 0 && strcmp(n->error, err->msg) != 0)
        log_warn("network", "%s", err->msg);
    str_fill(n->error, sizeof(n->error), err->code ? err->msg : "");
}

static void on_paths(void *arg)
{
    netsync_request(arg);
}

/* Ways are asked for when they are there. */
static void watch_paths(struct netsync *n, const struct err *err)
{
    if (!n->paths && err->code == 0)
        n->paths = netpaths_new(n->daemon, on_paths, n);
    netpaths_set_mtu(n->paths, network_mtu(n->memory));
}

/* One thing at a time: a port that is held, else what rules of others do. */
static void note_held(struct netsync *n, const char *held)
{
    if (strcmp(n->held, held) != 0 && held[0])
        log_warn("network", "%s", held);
    str_fill(n->held, sizeof(n->held), held);
}

static void done(void *arg)
{
    struct net_job *job = arg;
    struct netsync *n = job->netsync;
    n->running = false;
    if (!n->stopping) {
        note_error(n, &job->err);
        note_held(n, job->net.held[0] ? job->net.held : network_warning(n->memory));
        dns_listen(n->daemon->dns);
        watch_paths(n, &job->err);
        for (size_t i = 0; i < job->net.state.endpoints_n; i++)
            reconcile_on_network(n->daemon->reconcile, job->net.endpoints[i].id, job->generation,
                                 job->net.connected[i]);
        /* They may get ready all the same. */
        for (size_t i = 0; i < job->net.waiting_n; i++)
            reconcile_on_network(n->daemon->reconcile, job->net.waiting[i], job->generation, true);
        uint64_t next = n->dirty ? GATHER_MS : job->err.code != 0 ? RETRY_MS : MEND_MS;
        uv_timer_start(&n->timer, on_timer, next, 0);
    }
    netstate_release(&job->net);
    free(job);
}

static void on_timer(uv_timer_t *timer)
{
    struct netsync *n = timer->data;
    if (n->running || n->stopping)
        return;
    if (!reconcile_has_read(n->daemon->reconcile))
        return; /* containers that run on must not be cut off: it will request when it knows them */
    n->dirty = false;
    struct net_job *job = mem_alloc(1, sizeof(*job));
    *job = (struct net_job){.netsync = n, .generation = n->generation};
    if (!netstate_init(&job->net, n->daemon, n->paths)) {
        free(job); /* the state has not arrived yet: a change will wake us */
        return;
    }
    n->running = true;
    jobs_run(n->daemon->network_jobs, work, done, job);
}

struct netsync *netsync_new(struct daemon *d)
{
    struct netsync *n = mem_alloc(1, sizeof(*n));
    n->daemon = d;
    n->generation = 1;
    n->memory = network_memory_new();
    uv_timer_init(&d->loop, &n->timer);
    n->timer.data = n;
    uv_timer_start(&n->timer, on_timer, GATHER_MS, 0);
    return n;
}

void netsync_stop(struct netsync *n)
{
    n->stopping = true;
    netpaths_free(steal(&n->paths));
    uv_close((uv_handle_t *)&n->timer, NULL);
}

void netsync_free(struct netsync *n)
{
    check(n->stopping && !n->running);
    network_memory_free(n->memory);
    free(n);
}

void netsync_on_change(struct netsync *n, unsigned tables)
{
    if (tables & RELEVANT)
        netsync_request(n);
}

int64_t netsync_request(struct netsync *n)
{
    n->dirty = true;
    n->generation++;
    if (!n->running && !n->stopping)
        uv_timer_start(&n->timer, on_timer, GATHER_MS, 0);
    return n->generation;
}

void netsync_describe(const struct netsync *n, struct network_status_reply *reply)
{
    reply->problem = str_copy(n->error[0] ? n->error : n->held);
    netpaths_describe(n->paths, reply);
}

const char *netsync_error(const struct netsync *n)
{
    return n->error;
}
