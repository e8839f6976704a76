/* SPDX-License-Identifier: Apache-2.0 */
#include "node/netsync.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/dns.h"
#include "node/job.h"
#include "node/reconcile.h"
#include "runtime/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
    RELEVANT = 1U << TABLE_CLUSTER | 1U << TABLE_NETWORK | 1U << TABLE_NODE | 1U << TABLE_TASK |
               1U << TABLE_SERVICE,
    GATHER_MS = 5,
    RETRY_MS = 1000,
    MEND_MS = 10000,
    VXLAN_PORT = 4789,
};

struct netsync {
    struct daemon *daemon;
    uv_timer_t timer;
    bool stopping;
    bool running;
    bool dirty;
    int64_t generation; /* asked for */
    char error[240];
};

/* A network state that owns everything it points to. */
struct net_job {
    struct netsync *netsync;
    int64_t generation;
    struct network_state state;
    struct network_prefix *networks;
    int64_t *network_ids; /* in step with networks */
    struct network_endpoint *endpoints;
    struct network_peer *peers;
    struct network_remote *remotes;
    struct network_publish *publishes;
    bool *connected; /* in step with endpoints */
    struct err err;
};

static bool parse_prefix(const char *text, struct network_prefix *ret)
{
    char address[32];
    const char *slash = text ? strchr(text, '/') : NULL;
    if (!slash || (size_t)(slash - text) >= sizeof(address))
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    int length = atoi(slash + 1);
    if (length < 1 || length > 32 || inet_pton(AF_INET, address, &ret->address) != 1)
        return false;
    ret->length = (uint8_t)length;
    return true;
}

static void add_networks(struct net_job *job, struct store *store)
{
    struct network *rows;
    size_t n;
    store_list(store, TABLE_NETWORK, BY_NONE, 0, &rows, &n);
    job->networks = mem_alloc(n, sizeof(*job->networks));
    job->network_ids = mem_alloc(n, sizeof(*job->network_ids));
    for (size_t i = 0; i < n; i++) {
        size_t k = job->state.networks_n;
        if (!parse_prefix(rows[i].prefix, &job->networks[k]))
            continue;
        job->network_ids[k] = rows[i].id;
        job->state.networks_n++;
    }
    job->state.networks = job->networks;
    record_free_list(&network_type, rows, n);
}

static const struct network_prefix *network_of(const struct net_job *job, int64_t id)
{
    for (size_t i = 0; i < job->state.networks_n; i++)
        if (job->network_ids[i] == id)
            return &job->networks[i];
    return NULL;
}

/* A task without networks has a namespace of its own and nothing in it. */
static bool is_endpoint(const struct agent *a)
{
    return a->has_netns && a->task.addresses_n > 0;
}

static void add_endpoints(struct net_job *job, const struct agent *agents)
{
    size_t n = 0;
    for (const struct agent *a = agents; a; a = a->next)
        n += is_endpoint(a);
    job->connected = mem_alloc(n, sizeof(*job->connected));
    job->endpoints = mem_alloc(n, sizeof(*job->endpoints));
    for (const struct agent *a = agents; a; a = a->next) {
        if (!is_endpoint(a))
            continue;
        struct network_endpoint *e = &job->endpoints[job->state.endpoints_n++];
        e->id = str_copy(a->id);
        e->netns = str_copy(a->netns);
        for (size_t i = 0; i < a->task.addresses_n; i++) {
            const struct network_prefix *prefix = network_of(job, a->task.addresses[i].network_id);
            struct network_address *to = &e->addresses[e->addresses_n];
            if (!prefix || e->addresses_n == NETWORK_ENDPOINT_ADDRESSES ||
                inet_pton(AF_INET, a->task.addresses[i].address, &to->address) != 1)
                continue;
            to->network = *prefix;
            e->addresses_n++;
        }
    }
    job->state.endpoints = job->endpoints;
}

static void add_peers(struct net_job *job, struct store *store)
{
    struct node *rows;
    size_t n;
    store_list(store, TABLE_NODE, BY_NONE, 0, &rows, &n);
    job->peers = mem_alloc(n, sizeof(*job->peers));
    for (size_t i = 0; i < n; i++) {
        char ip[64];
        struct network_peer *p = &job->peers[job->state.peers_n];
        str_fill(ip, sizeof(ip), str_or_empty(rows[i].address));
        ip[strcspn(ip, ":")] = '\0';
        if (rows[i].id == job->state.node_id || inet_pton(AF_INET, ip, &p->underlay) != 1)
            continue;
        p->id = (uint32_t)rows[i].id;
        job->state.peers_n++;
    }
    job->state.peers = job->peers;
    record_free_list(&node_type, rows, n);
}

static bool is_peer(const struct net_job *job, int64_t id)
{
    for (size_t i = 0; i < job->state.peers_n; i++)
        if (job->peers[i].id == id)
            return true;
    return false;
}

static void add_remotes(struct net_job *job, const struct task *tasks, size_t n)
{
    size_t max = 0;
    for (size_t i = 0; i < n; i++)
        max += tasks[i].addresses_n;
    job->remotes = mem_alloc(max, sizeof(*job->remotes));
    for (size_t i = 0; i < n; i++) {
        if (task_is_terminal(tasks[i].state) || !is_peer(job, tasks[i].node_id))
            continue;
        for (size_t k = 0; k < tasks[i].addresses_n; k++) {
            struct network_remote *r = &job->remotes[job->state.remotes_n];
            if (inet_pton(AF_INET, tasks[i].addresses[k].address, &r->address) != 1)
                continue;
            r->peer = (uint32_t)tasks[i].node_id;
            job->state.remotes_n++;
        }
    }
    job->state.remotes = job->remotes;
}

static bool serves(const struct task *task, int64_t service_id)
{
    return task->service_id == service_id && task->desired == DESIRED_RUN &&
           task_is_healthy(task) && task->addresses_n > 0;
}

static void add_publish(struct net_job *job, const struct service *service,
                        const struct port_spec *port, const struct task *tasks, size_t n)
{
    struct network_publish *p = &job->publishes[job->state.publishes_n++];
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += serves(&tasks[i], service->id);
    struct network_backend *backends = mem_alloc(count, sizeof(*backends));
    for (size_t i = 0; i < n; i++) {
        if (!serves(&tasks[i], service->id))
            continue;
        struct network_backend *b = &backends[p->backends_n];
        if (inet_pton(AF_INET, tasks[i].addresses[0].address, &b->address) != 1)
            continue;
        b->port = (uint16_t)port->target;
        p->backends_n++;
    }
    p->protocol = port->protocol == PROTOCOL_UDP ? IPPROTO_UDP : IPPROTO_TCP;
    p->port = (uint16_t)port->published;
    p->backends = backends;
}

static void add_publishes(struct net_job *job, struct store *store, const struct task *tasks,
                          size_t n)
{
    struct service *services;
    size_t services_n;
    size_t max = 0;
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    for (size_t i = 0; i < services_n; i++)
        max += services[i].spec.ports_n;
    job->publishes = mem_alloc(max, sizeof(*job->publishes));
    for (size_t i = 0; i < services_n; i++)
        for (size_t k = 0; k < services[i].spec.ports_n; k++)
            if (!services[i].removed)
                add_publish(job, &services[i], &services[i].spec.ports[k], tasks, n);
    job->state.publishes = job->publishes;
    record_free_list(&service_type, services, services_n);
}

static struct net_job *build(struct netsync *n)
{
    struct daemon *d = n->daemon;
    struct cluster cluster;
    struct task *tasks;
    size_t tasks_n;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return NULL;
    struct net_job *job = mem_alloc(1, sizeof(*job));
    job->netsync = n;
    job->generation = n->generation;
    job->state.node_id = (uint32_t)d->id;
    job->state.underlay = d->ip;
    job->state.vxlan_port = VXLAN_PORT;
    job->state.vxlan_id = (uint32_t)cluster.vxlan_id;
    check(parse_prefix(cluster.pool, &job->state.pool)); /* checked when it was applied */
    record_release(&cluster_type, &cluster);
    store_list(d->store, TABLE_TASK, BY_NONE, 0, &tasks, &tasks_n);
    add_networks(job, d->store);
    add_endpoints(job, reconcile_agents(d->reconcile));
    add_peers(job, d->store);
    add_remotes(job, tasks, tasks_n);
    add_publishes(job, d->store, tasks, tasks_n);
    record_free_list(&task_type, tasks, tasks_n);
    return job;
}

static void free_job(struct net_job *job)
{
    for (size_t i = 0; i < job->state.endpoints_n; i++) {
        free((void *)(uintptr_t)job->endpoints[i].id);
        free((void *)(uintptr_t)job->endpoints[i].netns);
    }
    for (size_t i = 0; i < job->state.publishes_n; i++)
        free((void *)(uintptr_t)job->publishes[i].backends);
    free(job->networks);
    free(job->network_ids);
    free(job->endpoints);
    free(job->peers);
    free(job->remotes);
    free(job->publishes);
    free(job->connected);
    free(job);
}

static void work(void *arg)
{
    struct net_job *job = arg;
    network_apply_each(&job->state, job->connected, &job->err);
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

static void done(void *arg)
{
    struct net_job *job = arg;
    struct netsync *n = job->netsync;
    n->running = false;
    if (!n->stopping) {
        note_error(n, &job->err);
        dns_listen(n->daemon->dns);
        for (size_t i = 0; i < job->state.endpoints_n; i++)
            reconcile_on_network(n->daemon->reconcile, job->endpoints[i].id, job->generation,
                                 job->connected[i]);
        uint64_t next = n->dirty ? GATHER_MS : job->err.code != 0 ? RETRY_MS : MEND_MS;
        uv_timer_start(&n->timer, on_timer, next, 0);
    }
    free_job(job);
}

static void on_timer(uv_timer_t *timer)
{
    struct netsync *n = timer->data;
    if (n->running || n->stopping)
        return;
    if (!reconcile_has_read(n->daemon->reconcile))
        return; /* containers that run on must not be cut off: it will request when it knows them */
    n->dirty = false;
    struct net_job *job = build(n);
    if (!job)
        return; /* the state has not arrived yet: a change will wake us */
    n->running = true;
    jobs_run(n->daemon->network_jobs, work, done, job);
}

struct netsync *netsync_new(struct daemon *d)
{
    struct netsync *n = mem_alloc(1, sizeof(*n));
    n->daemon = d;
    n->generation = 1;
    uv_timer_init(&d->loop, &n->timer);
    n->timer.data = n;
    uv_timer_start(&n->timer, on_timer, GATHER_MS, 0);
    return n;
}

void netsync_stop(struct netsync *n)
{
    n->stopping = true;
    uv_close((uv_handle_t *)&n->timer, NULL);
}

void netsync_free(struct netsync *n)
{
    check(n->stopping && !n->running);
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

const char *netsync_error(const struct netsync *n)
{
    return n->error;
}
