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
#include "node/netpath.h"
#include "node/netpaths.h"
#include "node/reconcile.h"
#include "runtime/listeners.h"
#include "runtime/network.h"

#include <arpa/inet.h>
#include <stdio.h>
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
    int64_t generation;             /* asked for */
    struct network_memory *memory; /* of the job that runs */
    struct netpaths *paths;        /* NULL before the first time that all was in place */
    char error[240];
    char held[300]; /* as in the last job, or what rules of others do */
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
    struct network_service *services;
    struct network_prefix *internals;
    bool *internal;      /* in step with networks */
    bool *connected;     /* in step with endpoints */
    char (*waiting)[24]; /* containers whose address another here has still */
    size_t waiting_n;
    char held[200]; /* ports that processes here hold, and are not published; "": none */
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
    job->internals = mem_alloc(n, sizeof(*job->internals));
    job->internal = mem_alloc(n, sizeof(*job->internal));
    for (size_t i = 0; i < n; i++) {
        size_t k = job->state.networks_n;
        if (!parse_prefix(rows[i].prefix, &job->networks[k]))
            continue;
        job->network_ids[k] = rows[i].id;
        job->internal[k] = rows[i].internal;
        if (rows[i].internal)
            job->internals[job->state.internals_n++] = job->networks[k];
        job->state.networks_n++;
    }
    job->state.networks = job->networks;
    job->state.internals = job->internals;
    record_free_list(&network_type, rows, n);
}

static const struct network_prefix *network_of(const struct net_job *job, int64_t id)
{
    for (size_t i = 0; i < job->state.networks_n; i++)
        if (job->network_ids[i] == id)
            return &job->networks[i];
    return NULL;
}

static bool is_internal(const struct net_job *job, int64_t id)
{
    for (size_t i = 0; i < job->state.networks_n; i++)
        if (job->network_ids[i] == id)
            return job->internal[i];
    return false;
}

/* A task without networks has a namespace of its own and nothing in it. */
static bool is_endpoint(const struct agent *a)
{
    return a->has_netns && a->task.addresses_n > 0;
}

/* Of tasks here with one address, which its service asks for by number, the one that is to run has
 * it; of several the newest. */
static bool gives_way(const struct agent *agents, const struct agent *a, const char *address)
{
    for (const struct agent *other = agents; other; other = other->next) {
        if (other == a || !is_endpoint(other) || other->task.service_id != a->task.service_id)
            continue;
        for (size_t i = 0; i < other->task.addresses_n; i++)
            if (str_equal(other->task.addresses[i].address, address) &&
                other->task.desired != DESIRED_READY &&
                (a->task.desired == DESIRED_READY || other->task_id > a->task_id))
                return true;
    }
    return false;
}

/* Those in networks that lead nowhere else come last: the first is what it is outside. */
static void add_addresses(const struct net_job *job, const struct agent *agents,
                          const struct agent *a, bool internal, struct network_endpoint *e)
{
    for (size_t i = 0; i < a->task.addresses_n; i++) {
        const struct task_address *from = &a->task.addresses[i];
        const struct network_prefix *prefix = network_of(job, from->network_id);
        struct network_address *to = &e->addresses[e->addresses_n];
        if (!prefix || e->addresses_n == NETWORK_ENDPOINT_ADDRESSES ||
            is_internal(job, from->network_id) != internal ||
            inet_pton(AF_INET, from->address, &to->address) != 1 ||
            gives_way(agents, a, from->address))
            continue;
        to->network = *prefix;
        e->addresses_n++;
    }
}

static void add_endpoints(struct net_job *job, const struct agent *agents)
{
    size_t n = 0;
    for (const struct agent *a = agents; a; a = a->next)
        n += is_endpoint(a);
    job->connected = mem_alloc(n, sizeof(*job->connected));
    job->endpoints = mem_alloc(n, sizeof(*job->endpoints));
    job->waiting = mem_alloc(n, sizeof(*job->waiting));
    for (const struct agent *a = agents; a; a = a->next) {
        struct network_endpoint *e = &job->endpoints[job->state.endpoints_n];
        if (!is_endpoint(a))
            continue;
        add_addresses(job, agents, a, false, e);
        add_addresses(job, agents, a, true, e);
        if (e->addresses_n == 0) {
            str_fill(job->waiting[job->waiting_n++], sizeof(*job->waiting), a->id);
            continue;
        }
        e->id = str_copy(a->id);
        e->netns = str_copy(a->netns);
        job->state.endpoints_n++;
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
        const struct netpath *path = netpaths_find(job->netsync->paths, p->id);
        p->plain = path && path->plain;
        p->mtu = path ? path->mtu : 0;
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

/* Tasks that serve, by service. */
struct serving {
    const struct task **tasks;
    size_t n;
};

static int compare_serving(const void *a, const void *b)
{
    const struct task *const *x = a, *const *y = b;
    if ((*x)->service_id != (*y)->service_id)
        return (*x)->service_id < (*y)->service_id ? -1 : 1;
    return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

static struct serving find_serving(const struct task *tasks, size_t n)
{
    struct serving serving = {.tasks = mem_alloc(n, sizeof(*serving.tasks))};
    for (size_t i = 0; i < n; i++)
        if (tasks[i].desired == DESIRED_RUN && task_is_healthy(&tasks[i]) &&
            tasks[i].addresses_n > 0)
            serving.tasks[serving.n++] = &tasks[i];
    qsort(serving.tasks, serving.n, sizeof(*serving.tasks), compare_serving);
    return serving;
}

/* Those of one service: *@ret_n of them from here on. */
static const struct task *const *serving_of(const struct serving *serving, int64_t service_id,
                                            size_t *ret_n)
{
    size_t low = 0, high = serving->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (serving->tasks[middle]->service_id < service_id)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < serving->n && serving->tasks[high]->service_id == service_id;)
        high++;
    *ret_n = high - low;
    return serving->tasks + low;
}

static void add_publish(struct net_job *job, const struct service *service,
                        const struct port_spec *port, const struct serving *serving)
{
    size_t n;
    const struct task *const *tasks = serving_of(serving, service->id, &n);
    struct network_publish *p = &job->publishes[job->state.publishes_n];
    struct network_backend *backends = mem_alloc(n, sizeof(*backends));
    *p = (struct network_publish){.protocol =
                                      port->protocol == PROTOCOL_UDP ? IPPROTO_UDP : IPPROTO_TCP,
                                  .port = (uint16_t)port->published,
                                  .backends = backends};
    for (size_t i = 0; i < n; i++) {
        struct network_backend *b = &backends[p->backends_n];
        if ((port->mode == PORT_HOST && tasks[i]->node_id != job->state.node_id) ||
            inet_pton(AF_INET, tasks[i]->addresses[0].address, &b->address) != 1)
            continue;
        b->port = (uint16_t)port->target;
        p->backends_n++;
    }
    /* Where no task is, a port of its machine alone is the machine's. */
    if (port->mode == PORT_HOST && p->backends_n == 0)
        free(backends);
    else
        job->state.publishes_n++;
}

/* The address of a service in one network stands for its tasks' there. */
static void add_service(struct net_job *job, const struct service *service,
                        const struct task_address *address, const struct serving *serving)
{
    size_t n;
    const struct task *const *tasks = serving_of(serving, service->id, &n);
    struct network_service *s = &job->services[job->state.services_n];
    if (inet_pton(AF_INET, address->address, &s->address) != 1)
        return;
    struct in_addr *backends = mem_alloc(n, sizeof(*backends));
    s->backends = backends;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < tasks[i]->addresses_n; k++)
            if (tasks[i]->addresses[k].network_id == address->network_id &&
                inet_pton(AF_INET, tasks[i]->addresses[k].address, &backends[s->backends_n]) == 1)
                s->backends_n++;
    job->state.services_n++;
}

static void add_services(struct net_job *job, struct store *store, const struct serving *serving)
{
    struct service *services;
    size_t services_n;
    size_t ports = 0, addresses = 0;
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    for (size_t i = 0; i < services_n; i++) {
        ports += services[i].spec.ports_n;
        addresses += services[i].addresses_n;
    }
    job->publishes = mem_alloc(ports, sizeof(*job->publishes));
    job->services = mem_alloc(addresses, sizeof(*job->services));
    for (size_t i = 0; i < services_n; i++) {
        for (size_t k = 0; k < services[i].spec.ports_n && !services[i].removed; k++)
            add_publish(job, &services[i], &services[i].spec.ports[k], serving);
        for (size_t k = 0; k < services[i].addresses_n; k++)
            add_service(job, &services[i], &services[i].addresses[k], serving);
    }
    job->state.publishes = job->publishes;
    job->state.services = job->services;
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
    struct serving serving = find_serving(tasks, tasks_n);
    add_services(job, d->store, &serving);
    free(serving.tasks);
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
    for (size_t i = 0; i < job->state.services_n; i++)
        free((void *)(uintptr_t)job->services[i].backends);
    free(job->services);
    free(job->internals);
    free(job->internal);
    free(job->networks);
    free(job->network_ids);
    free(job->endpoints);
    free(job->peers);
    free(job->remotes);
    free(job->publishes);
    free(job->waiting);
    free(job->connected);
    free(job);
}

/* A machine's own server keeps its port: what was published there would be taken from it. */
static void leave_held_ports(struct net_job *job)
{
    struct listener *list = NULL;
    size_t n = 0, kept = 0;
    struct err err;
    if (job->state.publishes_n == 0)
        return;
    if (listeners_read(&list, &n, &err) < 0) {
        log_warn("network", "which ports are held: %s", err.msg);
        return;
    }
    for (size_t i = 0; i < job->state.publishes_n; i++) {
        struct network_publish *p = &job->publishes[i];
        const struct listener *held = listeners_find(list, n, p->protocol, p->port);
        char holder[LISTENERS_HOLDER];
        if (!held) {
            job->publishes[kept++] = *p;
            continue;
        }
        if (!job->held[0]) {
            listener_holder(held, holder);
            snprintf(job->held, sizeof(job->held),
                     "port %u/%s is held by %s: it is not published on this machine", p->port,
                     p->protocol == IPPROTO_UDP ? "udp" : "tcp", holder);
        }
        free((void *)(uintptr_t)p->backends);
    }
    job->state.publishes_n = kept;
    free(list);
}

static void work(void *arg)
{
    struct net_job *job = arg;
    leave_held_ports(job);
    network_apply_each(job->netsync->memory, &job->state, job->connected, &job->err);
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
        note_held(n, job->held[0] ? job->held : network_warning(n->memory));
        dns_listen(n->daemon->dns);
        watch_paths(n, &job->err);
        for (size_t i = 0; i < job->state.endpoints_n; i++)
            reconcile_on_network(n->daemon->reconcile, job->endpoints[i].id, job->generation,
                                 job->connected[i]);
        /* They may get ready all the same. */
        for (size_t i = 0; i < job->waiting_n; i++)
            reconcile_on_network(n->daemon->reconcile, job->waiting[i], job->generation, true);
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
