/* SPDX-License-Identifier: Apache-2.0 */
#include "node/netstate.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/netpath.h"
#include "node/netpaths.h"
#include "node/reconcile.h"
#include "runtime/listeners.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VXLAN_PORT = 4789,
};

/* A range of @row, of either family; one that is none is left out. */
static void add_range(struct netstate *net, const struct network *row, const char *prefix)
{
    size_t k = net->state.networks_n;
    if (!netprefix_parse(str_or_empty(prefix), &net->networks[k]))
        return;
    net->network_ids[k] = row->id;
    net->internal[k] = row->internal;
    if (row->internal)
        net->internals[net->state.internals_n++] = net->networks[k];
    net->state.networks_n++;
}

/* A network on the machines' own link is no range of ours. */
static void add_lan(struct netstate *net, const struct network *row)
{
    struct netstate_lan *lan = &net->lans[net->lans_n];
    *lan = (struct netstate_lan){.id = row->id};
    if (!netprefix_parse(str_or_empty(row->prefix), &lan->of.prefix))
        return;
    str_fill(lan->of.parent, sizeof(lan->of.parent), str_or_empty(row->lan.parent));
    if (!netip_parse(str_or_empty(row->lan.gateway), &lan->of.gateway))
        lan->of.gateway = (struct in6_addr){0};
    net->lans_n++;
}

static const struct network_lan *lan_of(const struct netstate *net, int64_t network_id)
{
    for (size_t i = 0; i < net->lans_n; i++)
        if (net->lans[i].id == network_id)
            return &net->lans[i].of;
    return NULL;
}

static void add_networks(struct netstate *net, struct store *store)
{
    struct network *rows;
    size_t n;
    store_list(store, TABLE_NETWORK, BY_NONE, 0, &rows, &n);
    net->networks = mem_alloc(2 * n, sizeof(*net->networks));
    net->network_ids = mem_alloc(2 * n, sizeof(*net->network_ids));
    net->internals = mem_alloc(2 * n, sizeof(*net->internals));
    net->internal = mem_alloc(2 * n, sizeof(*net->internal));
    net->lans = mem_alloc(n, sizeof(*net->lans));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].lan.on) {
            add_lan(net, &rows[i]);
            continue;
        }
        add_range(net, &rows[i], rows[i].prefix);
        if (net->ipv6)
            add_range(net, &rows[i], rows[i].prefix6);
    }
    net->state.networks = net->networks;
    net->state.internals = net->internals;
    record_free_list(&network_type, rows, n);
}

static const struct network_prefix *network_of(const struct netstate *net, int64_t id,
                                               const struct in6_addr *address)
{
    for (size_t i = 0; i < net->state.networks_n; i++)
        if (net->network_ids[i] == id && netprefix_is4(&net->networks[i]) == netip_is4(address))
            return &net->networks[i];
    return NULL;
}

/* One of an address' two texts, where this machine can have it. */
static bool read_address(const struct netstate *net, const struct task_address *from, bool six,
                         struct in6_addr *ret)
{
    return (!six || net->ipv6) &&
           netip_parse(str_or_empty(six ? from->address6 : from->address), ret);
}

static bool is_internal(const struct netstate *net, int64_t id)
{
    for (size_t i = 0; i < net->state.networks_n; i++)
        if (net->network_ids[i] == id)
            return net->internal[i];
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
            if ((str_equal(other->task.addresses[i].address, address) ||
                 str_equal(other->task.addresses[i].address6, address)) &&
                other->task.desired != DESIRED_READY &&
                (a->task.desired == DESIRED_READY || other->task_id > a->task_id))
                return true;
    }
    return false;
}

/* Those in networks that lead nowhere else come last: the first is what it is outside. */
static void add_addresses(const struct netstate *net, const struct agent *agents,
                          const struct agent *a, bool internal, struct network_endpoint *e)
{
    for (size_t i = 0; i < 2 * a->task.addresses_n; i++) {
        const struct task_address *from = &a->task.addresses[i / 2];
        const bool six = i % 2;
        struct in6_addr ip;
        if (e->addresses_n == NETWORK_ENDPOINT_ADDRESSES ||
            is_internal(net, from->network_id) != internal || !read_address(net, from, six, &ip) ||
            gives_way(agents, a, six ? from->address6 : from->address))
            continue;
        const struct network_prefix *prefix = network_of(net, from->network_id, &ip);
        if (prefix)
            e->addresses[e->addresses_n++] = (struct network_address){ip, *prefix};
    }
}

/* What it has on the machine's own links. */
static void add_lans(const struct netstate *net, const struct agent *agents, const struct agent *a,
                     struct network_endpoint *e)
{
    for (size_t i = 0; i < a->task.addresses_n; i++) {
        const struct task_address *from = &a->task.addresses[i];
        const struct network_lan *lan = lan_of(net, from->network_id);
        struct in6_addr ip;
        if (!lan || e->lans_n == NETWORK_ENDPOINT_LANS || !read_address(net, from, false, &ip) ||
            gives_way(agents, a, from->address))
            continue;
        e->lans[e->lans_n] = *lan;
        e->lans[e->lans_n++].address = ip;
    }
}

static void add_endpoints(struct netstate *net, const struct agent *agents)
{
    size_t n = 0;
    for (const struct agent *a = agents; a; a = a->next)
        n += is_endpoint(a);
    net->connected = mem_alloc(n, sizeof(*net->connected));
    net->endpoints = mem_alloc(n, sizeof(*net->endpoints));
    net->waiting = mem_alloc(n, sizeof(*net->waiting));
    for (const struct agent *a = agents; a; a = a->next) {
        struct network_endpoint *e = &net->endpoints[net->state.endpoints_n];
        if (!is_endpoint(a))
            continue;
        add_addresses(net, agents, a, false, e);
        add_addresses(net, agents, a, true, e);
        add_lans(net, agents, a, e);
        if (e->addresses_n == 0) {
            str_fill(net->waiting[net->waiting_n++], sizeof(*net->waiting), a->id);
            continue;
        }
        e->id = str_copy(a->id);
        e->netns = str_copy(a->netns);
        net->state.endpoints_n++;
    }
    net->state.endpoints = net->endpoints;
}

static void add_peers(struct netstate *net, struct store *store, const struct netpaths *paths)
{
    struct node *rows;
    size_t n;
    store_list(store, TABLE_NODE, BY_NONE, 0, &rows, &n);
    net->peers = mem_alloc(n, sizeof(*net->peers));
    for (size_t i = 0; i < n; i++) {
        char ip[64];
        struct network_peer *p = &net->peers[net->state.peers_n];
        str_fill(ip, sizeof(ip), str_or_empty(rows[i].address));
        ip[strcspn(ip, ":")] = '\0';
        if (rows[i].id == net->state.node_id || inet_pton(AF_INET, ip, &p->underlay) != 1)
            continue;
        p->id = (uint32_t)rows[i].id;
        const struct netpath *path = netpaths_find(paths, p->id);
        p->plain = path && path->plain;
        p->mtu = path ? path->mtu : 0;
        net->state.peers_n++;
    }
    net->state.peers = net->peers;
    record_free_list(&node_type, rows, n);
}

static bool is_peer(const struct netstate *net, int64_t id)
{
    for (size_t i = 0; i < net->state.peers_n; i++)
        if (net->peers[i].id == id)
            return true;
    return false;
}

static void add_remotes(struct netstate *net, const struct task *tasks, size_t n)
{
    size_t max = 0;
    for (size_t i = 0; i < n; i++)
        max += 2 * tasks[i].addresses_n;
    net->remotes = mem_alloc(max, sizeof(*net->remotes));
    for (size_t i = 0; i < n; i++) {
        if (task_is_terminal(tasks[i].state) || !is_peer(net, tasks[i].node_id))
            continue;
        for (size_t k = 0; k < 2 * tasks[i].addresses_n; k++) {
            struct network_remote *r = &net->remotes[net->state.remotes_n];
            if (lan_of(net, tasks[i].addresses[k / 2].network_id) ||
                !read_address(net, &tasks[i].addresses[k / 2], k % 2, &r->address))
                continue;
            r->peer = (uint32_t)tasks[i].node_id;
            net->state.remotes_n++;
        }
    }
    net->state.remotes = net->remotes;
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

/* What a published port leads to: its first address of a family that is ours. */
static bool backend_address(const struct netstate *net, const struct task *task, bool six,
                            struct in6_addr *ret)
{
    for (size_t i = 0; i < task->addresses_n; i++)
        if (!lan_of(net, task->addresses[i].network_id) &&
            read_address(net, &task->addresses[i], six, ret))
            return true;
    return false;
}

/* True when it is in a network that has IPv6. */
static bool has_ipv6(const struct service *service)
{
    for (size_t i = 0; i < service->addresses_n; i++)
        if (*str_or_empty(service->addresses[i].address6))
            return true;
    return false;
}

static void add_publish(struct netstate *net, const struct service *service,
                        const struct port_spec *port, const struct serving *serving)
{
    size_t n;
    const struct task *const *tasks = serving_of(serving, service->id, &n);
    struct network_publish *p = &net->publishes[net->state.publishes_n];
    struct network_backend *backends = mem_alloc(2 * n, sizeof(*backends));
    *p = (struct network_publish){.protocol =
                                      port->protocol == PROTOCOL_UDP ? IPPROTO_UDP : IPPROTO_TCP,
                                  .port = (uint16_t)port->published,
                                  .has6 = net->ipv6 && has_ipv6(service),
                                  .backends = backends};
    for (size_t i = 0; i < 2 * n; i++) {
        struct network_backend *b = &backends[p->backends_n];
        const struct task *task = tasks[i / 2];
        if ((port->mode == PORT_HOST && task->node_id != net->state.node_id) ||
            !backend_address(net, task, i % 2, &b->address))
            continue;
        b->port = (uint16_t)port->target;
        p->has6 |= i % 2;
        p->backends_n++;
    }
    /* Where no task is, a port of its machine alone is the machine's. */
    if (port->mode == PORT_HOST && p->backends_n == 0)
        free(backends);
    else
        net->state.publishes_n++;
}

/* The address of a service in one network stands for its tasks' there. */
static void add_service(struct netstate *net, const struct service *service,
                        const struct task_address *address, bool six, const struct serving *serving)
{
    size_t n;
    const struct task *const *tasks = serving_of(serving, service->id, &n);
    struct network_service *s = &net->services[net->state.services_n];
    if (!read_address(net, address, six, &s->address))
        return;
    struct in6_addr *backends = mem_alloc(n, sizeof(*backends));
    s->backends = backends;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < tasks[i]->addresses_n; k++)
            if (tasks[i]->addresses[k].network_id == address->network_id &&
                read_address(net, &tasks[i]->addresses[k], six, &backends[s->backends_n]))
                s->backends_n++;
    net->state.services_n++;
}

static void add_services(struct netstate *net, struct store *store, const struct serving *serving)
{
    struct service *services;
    size_t services_n;
    size_t ports = 0, addresses = 0;
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    for (size_t i = 0; i < services_n; i++) {
        ports += services[i].spec.ports_n;
        addresses += services[i].addresses_n;
    }
    net->publishes = mem_alloc(ports, sizeof(*net->publishes));
    net->services = mem_alloc(2 * addresses, sizeof(*net->services));
    for (size_t i = 0; i < services_n; i++) {
        for (size_t k = 0; k < services[i].spec.ports_n && !services[i].removed; k++)
            add_publish(net, &services[i], &services[i].spec.ports[k], serving);
        for (size_t k = 0; k < 2 * services[i].addresses_n; k++)
            add_service(net, &services[i], &services[i].addresses[k / 2], k % 2, serving);
    }
    net->state.publishes = net->publishes;
    net->state.services = net->services;
    record_free_list(&service_type, services, services_n);
}

bool netstate_init(struct netstate *net, struct daemon *d, const struct netpaths *paths)
{
    struct cluster cluster;
    struct task *tasks;
    size_t tasks_n;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return false;
    *net = (struct netstate){.ipv6 = network_has_ipv6(),
                             .state = {.node_id = (uint32_t)d->id,
                                       .underlay = d->ip,
                                       .vxlan_port = VXLAN_PORT,
                                       .vxlan_id = (uint32_t)cluster.vxlan_id}};
    check(netprefix_parse(cluster.pool, &net->state.pool)); /* checked when it was applied */
    record_release(&cluster_type, &cluster);
    store_list(d->store, TABLE_TASK, BY_NONE, 0, &tasks, &tasks_n);
    add_networks(net, d->store);
    add_endpoints(net, reconcile_agents(d->reconcile));
    add_peers(net, d->store, paths);
    add_remotes(net, tasks, tasks_n);
    struct serving serving = find_serving(tasks, tasks_n);
    add_services(net, d->store, &serving);
    free(serving.tasks);
    record_free_list(&task_type, tasks, tasks_n);
    return true;
}

void netstate_release(struct netstate *net)
{
    for (size_t i = 0; i < net->state.endpoints_n; i++) {
        free((void *)(uintptr_t)net->endpoints[i].id);
        free((void *)(uintptr_t)net->endpoints[i].netns);
    }
    for (size_t i = 0; i < net->state.publishes_n; i++)
        free((void *)(uintptr_t)net->publishes[i].backends);
    for (size_t i = 0; i < net->state.services_n; i++)
        free((void *)(uintptr_t)net->services[i].backends);
    free(net->services);
    free(net->internals);
    free(net->lans);
    free(net->internal);
    free(net->networks);
    free(net->network_ids);
    free(net->endpoints);
    free(net->peers);
    free(net->remotes);
    free(net->publishes);
    free(net->waiting);
    free(net->connected);
}

/* Say who holds a port, the first of them. */
static void note_held(struct netstate *net, const struct network_publish *p,
                      const struct listener *held, bool six)
{
    char holder[LISTENERS_HOLDER];
    if (net->held[0])
        return;
    listener_holder(held, holder);
    snprintf(net->held, sizeof(net->held),
             "port %u/%s is held by %s%s: it is not published on this machine%s", p->port,
             p->protocol == IPPROTO_UDP ? "udp" : "tcp", holder, six ? " for IPv6" : "",
             six ? " over IPv6" : "");
}

void netstate_leave_held_ports(struct netstate *net)
{
    struct listener *list = NULL;
    size_t n = 0, kept = 0;
    struct err err;
    if (net->state.publishes_n == 0)
        return;
    if (listeners_read(&list, &n, &err) < 0) {
        log_warn("network", "which ports are held: %s", err.msg);
        return;
    }
    for (size_t i = 0; i < net->state.publishes_n; i++) {
        struct network_publish *p = &net->publishes[i];
        const struct listener *held = listeners_find(list, n, p->protocol, p->port, false);
        const struct listener *held6 =
            p->has6 ? listeners_find(list, n, p->protocol, p->port, true) : NULL;
        if (held || held6)
            note_held(net, p, held ? held : held6, !held);
        if (held) {
            free((void *)(uintptr_t)p->backends);
            continue;
        }
        p->has6 &= !held6;
        net->publishes[kept++] = *p;
    }
    net->state.publishes_n = kept;
    free(list);
}
