/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netplan.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODE_ID_MAX = 65535,
    MTU6_MIN = 1280, /* RFC 8200, section 5 */
    VXLAN_ID_MAX = 0xffffff,
    PREFIX_MIN = 8, /* bits of a network outside the pool */
    PREFIX6_MAX = 126,
};

/* Order of two numbers. */
static int order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_prefixes(const void *a, const void *b)
{
    const struct network_prefix *x = a, *y = b;
    int by_address = netip_compare(&x->address, &y->address);
    return by_address ? by_address : order(x->length, y->length);
}

int netplan_compare_routes(const void *a, const void *b)
{
    const struct net_route *x = a, *y = b;
    int by_table = order(x->table, y->table);
    return by_table ? by_table : compare_prefixes(&x->prefix, &y->prefix);
}

int netplan_compare_neighbors(const void *a, const void *b)
{
    const struct net_neighbor *x = a, *y = b;
    int by_dev = strcmp(x->dev, y->dev);
    return by_dev ? by_dev : netip_compare(&x->address, &y->address);
}

int netplan_compare_tunnels(const void *a, const void *b)
{
    const struct net_tunnel *x = a, *y = b;
    return memcmp(x->mac, y->mac, NETNAME_MAC);
}

int netplan_compare_rules(const void *a, const void *b)
{
    const struct net_rule *x = a, *y = b;
    if (x->six != y->six)
        return order(x->six, y->six);
    return x->mark != y->mark ? order(x->mark, y->mark)
                              : memcmp(&x->from, &y->from, sizeof(x->from));
}

static int compare_ports(const void *a, const void *b)
{
    const struct net_port *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_peers(const void *a, const void *b)
{
    const struct network_peer *const *x = a, *const *y = b;
    return order((*x)->id, (*y)->id);
}

static int compare_publishes(const void *a, const void *b)
{
    const struct network_publish *const *x = a, *const *y = b;
    int by_protocol = order((*x)->protocol, (*y)->protocol);
    return by_protocol ? by_protocol : order((*x)->port, (*y)->port);
}

/* Remember the first row that is left out. */
static void problem(struct netplan *plan, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void problem(struct netplan *plan, const char *fmt, ...)
{
    if (plan->problem.code)
        return;
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    err_set(&plan->problem, ERR_INVALID, "%s", text);
}

/* NULL, or why @p cannot be the range of a network. */
static const char *network_fault(const struct network_prefix *pool, const struct network_prefix *p)
{
    unsigned bits = netprefix_bits(p);
    if (!netprefix_valid(p))
        return "not a prefix";
    if (!netprefix_is4(p))
        return bits < PREFIX_MIN || bits > PREFIX6_MAX ? "not a prefix of 8 to 126 bits" : NULL;
    bool inside = netprefix_contains(pool, &p->address);
    if (bits < (inside ? netprefix_bits(pool) : PREFIX_MIN) ||
        (!inside && netprefix_contains(p, &pool->address)))
        return "not a prefix inside the pool, or outside of it";
    return NULL;
}

static void plan_networks(struct netplan *plan)
{
    const struct network_state *state = plan->state;
    struct network_prefix *sorted = mem_alloc(state->networks_n + 1, sizeof(*sorted));
    if (state->networks_n)
        memcpy(sorted, state->networks, state->networks_n * sizeof(*sorted));
    qsort(sorted, state->networks_n, sizeof(*sorted), compare_prefixes);
    for (size_t i = 0; i < state->networks_n; i++) {
        const struct network_prefix *p = &sorted[i];
        const struct network_prefix *before =
            plan->networks_n ? &sorted[plan->networks_n - 1] : NULL;
        const char *fault = network_fault(&state->pool, p);
        char text[INET6_ADDRSTRLEN];
        if (!fault && before && netprefix_contains(before, &p->address))
            fault = "overlaps another network";
        if (fault)
            problem(plan, "network %s/%u: %s", netip_text(&p->address, text), netprefix_bits(p),
                    fault);
        else
            sorted[plan->networks_n++] = *p;
        plan->six |= !fault && !netprefix_is4(p);
    }
    plan->networks = sorted;
}

bool netplan_is_ours(const struct netplan *plan, const struct in6_addr *address)
{
    /* The last range that begins before it: they do not overlap. */
    size_t low = 0, high = plan->ranges_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (netip_compare(&plan->ranges[middle].address, address) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && netprefix_contains(&plan->ranges[low - 1], address);
}

/* The pool, and what lies outside of it, by address. */
static void plan_ranges(struct netplan *plan)
{
    const struct network_prefix *pool = &plan->state->pool;
    plan->ranges = mem_alloc(plan->networks_n + 1, sizeof(*plan->ranges));
    plan->ranges[plan->ranges_n++] = *pool;
    for (size_t i = 0; i < plan->networks_n; i++)
        if (!netprefix_contains(pool, &plan->networks[i].address))
            plan->ranges[plan->ranges_n++] = plan->networks[i];
    qsort(plan->ranges, plan->ranges_n, sizeof(*plan->ranges), compare_prefixes);
}

static const struct network_peer *find_peer(const struct netplan *plan, uint32_t id)
{
    const struct network_peer key = {.id = id}, *key_p = &key;
    const struct network_peer **found =
        bsearch(&key_p, plan->peers, plan->peers_n, sizeof(*plan->peers), compare_peers);
    return found ? *found : NULL;
}

static void plan_peers(struct netplan *plan)
{
    const struct network_state *state = plan->state;
    plan->peers = mem_alloc(state->peers_n + 1, sizeof(*plan->peers));
    for (size_t i = 0; i < state->peers_n; i++) {
        const struct network_peer *peer = &state->peers[i];
        if (peer->id == 0 || peer->id > NODE_ID_MAX || peer->id == state->node_id ||
            peer->underlay.s_addr == 0)
            problem(plan, "peer %u: needs another id from 1 to %d and an address", peer->id,
                    NODE_ID_MAX);
        else
            plan->peers[plan->peers_n++] = peer;
    }
    qsort(plan->peers, plan->peers_n, sizeof(*plan->peers), compare_peers);
    size_t kept = 0;
    for (size_t i = 0; i < plan->peers_n; i++) {
        const struct network_peer *peer = plan->peers[i];
        bool known = peer->underlay.s_addr == state->underlay.s_addr;
        for (size_t j = 0; j < kept; j++)
            known |= plan->peers[j]->id == peer->id ||
                     plan->peers[j]->underlay.s_addr == peer->underlay.s_addr;
        if (known)
            problem(plan, "peer %u: another member has its id or address", peer->id);
        else
            plan->peers[kept++] = peer;
    }
    plan->peers_n = kept;
    if (kept && !plan->tunnelled) {
        problem(plan, "%zu peers but no address of our own to reach them from", kept);
        plan->peers_n = 0;
    }
}

/* Why @endpoint cannot be connected, or NULL. */
static const char *endpoint_fault(const struct netplan *plan,
                                  const struct network_endpoint *endpoint)
{
    if (!endpoint->id || !endpoint->id[0] || !endpoint->netns || !endpoint->netns[0])
        return "needs an id and a network namespace";
    if (endpoint->addresses_n == 0 || endpoint->addresses_n > NETWORK_ENDPOINT_ADDRESSES)
        return "needs 1 to 32 addresses";
    for (size_t i = 0; i < endpoint->addresses_n; i++) {
        const struct network_address *a = &endpoint->addresses[i];
        if (!netprefix_valid(&a->network) || !netprefix_contains(&a->network, &a->address))
            return "an address lies outside its network";
        if (!netplan_is_ours(plan, &a->address))
            return "an address lies outside the cluster's ranges";
        for (size_t j = 0; j < i; j++)
            if (netip_equal(&endpoint->addresses[j].address, &a->address))
                return "has an address twice";
    }
    return NULL;
}

/* An address and which port has it. */
struct owner {
    struct in6_addr address;
    size_t port;
};

static int compare_owners(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    int by_address = netip_compare(&x->address, &y->address);
    return by_address ? by_address : order(x->port, y->port);
}

/* Leave out ports with an address that another has. */
static void unique_port_addresses(struct netplan *plan)
{
    struct owner *owners =
        mem_alloc(plan->ports_n * NETWORK_ENDPOINT_ADDRESSES + 1, sizeof(*owners));
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < plan->ports_n; i++)
        for (size_t j = 0; j < plan->ports[i].endpoint->addresses_n; j++)
            owners[n++] = (struct owner){plan->ports[i].endpoint->addresses[j].address, i};
    qsort(owners, n, sizeof(*owners), compare_owners);
    for (size_t i = 1; i < n; i++) {
        if (!netip_equal(&owners[i].address, &owners[i - 1].address))
            continue;
        struct net_port *port = &plan->ports[owners[i].port];
        if (port->endpoint)
            problem(plan, "container %s: another one has its address", port->endpoint->id);
        port->endpoint = NULL;
    }
    for (size_t i = 0; i < plan->ports_n; i++)
        if (plan->ports[i].endpoint)
            plan->ports[kept++] = plan->ports[i];
    plan->ports_n = kept;
    free(owners);
}

static void plan_ports(struct netplan *plan)
{
    const struct network_state *state = plan->state;
    plan->ports = mem_alloc(state->endpoints_n + 1, sizeof(*plan->ports));
    for (size_t i = 0; i < state->endpoints_n; i++) {
        const struct network_endpoint *endpoint = &state->endpoints[i];
        const char *fault = endpoint_fault(plan, endpoint);
        if (fault) {
            problem(plan, "container %s: %s", str_or_empty(endpoint->id), fault);
            continue;
        }
        struct net_port *port = &plan->ports[plan->ports_n++];
        netname_port_name(endpoint->id, port->name);
        netname_inner_mac(endpoint->id, port->mac);
        port->endpoint = endpoint;
    }
    qsort(plan->ports, plan->ports_n, sizeof(*plan->ports), compare_ports);
    size_t kept = 0;
    for (size_t i = 0; i < plan->ports_n; i++) {
        if (kept && compare_ports(&plan->ports[kept - 1], &plan->ports[i]) == 0)
            problem(plan, "container %s: another one has its device name %s",
                    plan->ports[i].endpoint->id, plan->ports[i].name);
        else
            plan->ports[kept++] = plan->ports[i];
    }
    plan->ports_n = kept;
    unique_port_addresses(plan);
}

/* Add a route. A later one outranks those before it. */
static void add_route(struct netplan *plan, const struct net_route *route)
{
    plan->routes[plan->routes_n] = *route;
    plan->routes[plan->routes_n].rank = (uint32_t)plan->routes_n;
    plan->routes_n++;
}

static void add_neighbor(struct netplan *plan, const char *dev, const struct in6_addr *address,
                         const uint8_t mac[NETNAME_MAC])
{
    struct net_neighbor *neighbor = &plan->neighbors[plan->neighbors_n++];
    str_fill(neighbor->dev, sizeof(neighbor->dev), dev);
    neighbor->address = *address;
    memcpy(neighbor->mac, mac, NETNAME_MAC);
}

/* This machine's address as what is at @address sees it. */
static struct in6_addr source_for(const struct netplan *plan, const struct in6_addr *address)
{
    return netip_is4(address) ? netip_from4(plan->source) : plan->source6;
}

static void plan_port_routes(struct netplan *plan, const struct net_port *port)
{
    for (size_t i = 0; i < port->endpoint->addresses_n; i++) {
        struct net_route route = {.table = NETNAME_TABLE_MAIN, .type = RTN_UNICAST};
        route.prefix = netprefix_of(&port->endpoint->addresses[i].address);
        route.source = source_for(plan, &route.prefix.address);
        str_fill(route.dev, sizeof(route.dev), port->name);
        add_route(plan, &route);
        add_neighbor(plan, port->name, &route.prefix.address, port->mac);
    }
}

static bool is_linked(const struct netplan *plan, const struct network_peer *peer)
{
    struct in6_addr underlay = netip_from4(peer->underlay);
    return plan->link.dev[0] && netprefix_contains(&plan->link.prefix, &underlay);
}

const uint8_t *netplan_peer_mac(const struct netplan *plan, const struct network_peer *peer)
{
    const struct net_link *link = &plan->link;
    struct net_neighbor key = {.address = netip_from4(peer->underlay)};
    memcpy(key.dev, link->dev, sizeof(key.dev));
    const struct net_neighbor *found = link->machines_n && is_linked(plan, peer)
                                           ? bsearch(&key, link->machines, link->machines_n,
                                                     sizeof(key), netplan_compare_neighbors)
                                           : NULL;
    return found ? found->mac : NULL;
}

/* Its hop by a plain route, for probes: where there is none it must not be the tunnel that answers.
 */
static void plan_plain_hop(struct netplan *plan, const struct network_peer *peer)
{
    struct net_route route = {.table = NETNAME_MARK_PLAIN, .type = RTN_UNREACHABLE};
    struct in6_addr hop = netip_from4(netname_peer_hop(peer->id));
    route.prefix = netprefix_of(&hop);
    if (is_linked(plan, peer)) {
        route.type = RTN_UNICAST;
        str_fill(route.dev, sizeof(route.dev), plan->link.dev);
        route.via = netip_from4(peer->underlay);
        plan->linked = true;
    }
    add_route(plan, &route);
}

/* The address that stands for @peer as a next hop, of one family. */
static struct in6_addr hop_of(uint32_t id, bool six)
{
    return six ? netname_peer_hop6(id) : netip_from4(netname_peer_hop(id));
}

/* Packets of IPv6 of fewer bytes than every link takes are none. */
static uint32_t mtu_of(const struct network_peer *peer, bool six)
{
    return six && peer->mtu && peer->mtu < MTU6_MIN ? MTU6_MIN : peer->mtu;
}

/* Of one family: what its mark leads to, and its hop itself, for probes and as what its containers
 * see of it. */
static void plan_peer_family(struct netplan *plan, const struct network_peer *peer,
                             const uint8_t mac[NETNAME_MAC], bool six)
{
    uint32_t mark = NETNAME_MARK | peer->id;
    struct in6_addr hop = hop_of(peer->id, six);
    add_neighbor(plan, NETNAME_TUNNEL, &hop, mac);
    plan->rules[plan->rules_n++] = (struct net_rule){.mark = mark, .six = six};
    struct net_route all = {.table = mark, .type = RTN_UNICAST, .dev = NETNAME_TUNNEL};
    all.prefix = netprefix_all(six);
    all.via = hop;
    all.mtu = mtu_of(peer, six);
    add_route(plan, &all);
    struct net_route itself = {
        .table = NETNAME_TABLE_MAIN, .type = RTN_UNICAST, .dev = NETNAME_TUNNEL};
    itself.prefix = netprefix_of(&hop);
    itself.source = hop_of(plan->state->node_id, six);
    add_route(plan, &itself);
}

static void plan_peer_routes(struct netplan *plan, const struct network_peer *peer)
{
    struct net_tunnel *tunnel = &plan->tunnels[plan->tunnels_n++];
    netname_peer_mac(peer->id, tunnel->mac);
    tunnel->underlay = peer->underlay;
    plan_peer_family(plan, peer, tunnel->mac, false);
    if (plan->six)
        plan_peer_family(plan, peer, tunnel->mac, true);
    plan_plain_hop(plan, peer);
}

static void plan_remote_route(struct netplan *plan, const struct network_remote *remote)
{
    char text[INET6_ADDRSTRLEN];
    const struct network_peer *peer = find_peer(plan, remote->peer);
    bool six = !netip_is4(&remote->address);
    if (!peer || !netplan_is_ours(plan, &remote->address)) {
        problem(plan, "remote address %s: node %u is no peer, or it lies outside the ranges",
                netip_text(&remote->address, text), remote->peer);
        return;
    }
    struct net_route route = {
        .table = NETNAME_TABLE_MAIN, .type = RTN_UNICAST, .dev = NETNAME_TUNNEL};
    route.prefix = netprefix_of(&remote->address);
    route.via = hop_of(remote->peer, six);
    route.source = source_for(plan, &remote->address);
    route.mtu = mtu_of(peer, six);
    route.peer = peer->id;
    add_route(plan, &route);
}

/* Of what goes to peers by IPv4: plain routes beside it where they work. When it is known which of
 * several routes to an address counts. */
static void plan_plain_routes(struct netplan *plan)
{
    size_t n = plan->routes_n;
    for (size_t i = 0; i < n; i++) {
        const struct network_peer *peer =
            plan->routes[i].peer ? find_peer(plan, plan->routes[i].peer) : NULL;
        if (!peer || !peer->plain || !is_linked(plan, peer) ||
            !netprefix_is4(&plan->routes[i].prefix))
            continue;
        struct net_route plain = {.table = NETNAME_MARK_PLAIN, .type = RTN_UNICAST};
        plain.prefix = plan->routes[i].prefix;
        str_fill(plain.dev, sizeof(plain.dev), plan->link.dev);
        plain.via = netip_from4(peer->underlay);
        add_route(plan, &plain);
    }
    qsort(plan->routes, plan->routes_n, sizeof(*plan->routes), netplan_compare_routes);
}

/* The address of a service is this machine's own as far as routing goes: what leads to a backend is
 * translated before that, the rest ends here. */
static void plan_service_routes(struct netplan *plan)
{
    for (size_t i = 0; i < plan->services_n; i++) {
        struct net_route route = {.table = NETNAME_TABLE_LOCAL, .type = RTN_LOCAL, .dev = "lo"};
        route.prefix = netprefix_of(&plan->services[i]->address);
        route.source = source_for(plan, &route.prefix.address);
        add_route(plan, &route);
    }
}

static int compare_ranked(const void *a, const void *b)
{
    const struct net_route *x = a, *y = b;
    int by_key = netplan_compare_routes(x, y);
    return by_key ? by_key : order(y->rank, x->rank);
}

/* One route per destination, that of the highest rank. That there are several is no fault: an
 * address may be given to a successor a moment before the other machine lets go. */
static void unique_routes(struct netplan *plan)
{
    size_t n = 0;
    qsort(plan->routes, plan->routes_n, sizeof(*plan->routes), compare_ranked);
    for (size_t i = 0; i < plan->routes_n; i++)
        if (n == 0 || netplan_compare_routes(&plan->routes[n - 1], &plan->routes[i]) != 0)
            plan->routes[n++] = plan->routes[i];
    plan->routes_n = n;
}

static void plan_routes(struct netplan *plan)
{
    const struct network_state *state = plan->state;
    size_t local = 0, peers = plan->peers_n;
    size_t ways = plan->link.dev[0] ? 2 : 1; /* to what is on a peer */
    for (size_t i = 0; i < plan->ports_n; i++)
        local += plan->ports[i].endpoint->addresses_n;
    plan->routes = mem_alloc(local + 5 * peers + ways * state->remotes_n + plan->ranges_n +
                                 plan->services_n + 2,
                             sizeof(*plan->routes));
    plan->neighbors = mem_alloc(local + 2 * peers + 1, sizeof(*plan->neighbors));
    plan->tunnels = mem_alloc(peers + 1, sizeof(*plan->tunnels));
    plan->rules = mem_alloc(2 * peers + 2, sizeof(*plan->rules));
    if (peers)
        plan->rules[plan->rules_n++].mark = NETNAME_MARK_PLAIN;
    /* What has no container must not leave by the default route. */
    struct net_route unreachable = {.table = NETNAME_TABLE_MAIN, .type = RTN_UNREACHABLE};
    for (size_t i = 0; i < plan->ranges_n; i++) {
        unreachable.prefix = plan->ranges[i];
        add_route(plan, &unreachable);
    }
    plan_service_routes(plan);
    for (size_t i = 0; i < peers; i++)
        plan_peer_routes(plan, plan->peers[i]);
    for (size_t i = 0; i < state->remotes_n; i++)
        plan_remote_route(plan, &state->remotes[i]);
    for (size_t i = 0; i < plan->ports_n; i++)
        plan_port_routes(plan, &plan->ports[i]);
    unique_routes(plan);
    plan_plain_routes(plan);
}

static const char *publish_fault(const struct netplan *plan, const struct network_publish *publish)
{
    if (publish->protocol != IPPROTO_TCP && publish->protocol != IPPROTO_UDP)
        return "the protocol must be TCP or UDP";
    if (publish->port == 0)
        return "the port must not be 0";
    if (publish->protocol == IPPROTO_UDP && publish->port == plan->state->vxlan_port)
        return "the port is the machines' own tunnel";
    for (size_t i = 0; i < publish->backends_n; i++)
        if (publish->backends[i].port == 0 || !netplan_is_ours(plan, &publish->backends[i].address))
            return "a backend has no port or lies outside the ranges";
    return NULL;
}

static void plan_publishes(struct netplan *plan)
{
    const struct network_state *state = plan->state;
    plan->publishes = mem_alloc(state->publishes_n + 1, sizeof(*plan->publishes));
    for (size_t i = 0; i < state->publishes_n; i++) {
        const char *fault = publish_fault(plan, &state->publishes[i]);
        if (fault)
            problem(plan, "published port %u: %s", state->publishes[i].port, fault);
        else
            plan->publishes[plan->publishes_n++] = &state->publishes[i];
    }
    qsort(plan->publishes, plan->publishes_n, sizeof(*plan->publishes), compare_publishes);
    size_t kept = 0;
    for (size_t i = 0; i < plan->publishes_n; i++) {
        if (kept && compare_publishes(&plan->publishes[kept - 1], &plan->publishes[i]) == 0)
            problem(plan, "published port %u: is there twice", plan->publishes[i]->port);
        else
            plan->publishes[kept++] = plan->publishes[i];
    }
    plan->publishes_n = kept;
}

static int compare_services(const void *a, const void *b)
{
    const struct network_service *const *x = a, *const *y = b;
    return netip_compare(&(*x)->address, &(*y)->address);
}

/* NULL, or why @service cannot be there. */
static const char *service_fault(const struct netplan *plan, const struct network_service *service)
{
    if (!netplan_is_ours(plan, &service->address))
        return "it lies outside the ranges";
    for (size_t i = 0; i < service->backends_n; i++)
        if (!netplan_is_ours(plan, &service->backends[i]) ||
            netip_is4(&service->backends[i]) != netip_is4(&service->address))
            return "a backend lies outside the ranges, or is of another family";
    return NULL;
}

static void plan_services(struct netplan *plan)
{
    const struct network_state *state = plan->state;
    char text[INET6_ADDRSTRLEN];
    plan->services = mem_alloc(state->services_n + 1, sizeof(*plan->services));
    for (size_t i = 0; i < state->services_n; i++) {
        const char *fault = service_fault(plan, &state->services[i]);
        if (fault)
            problem(plan, "service address %s: %s", netip_text(&state->services[i].address, text),
                    fault);
        else
            plan->services[plan->services_n++] = &state->services[i];
    }
    qsort(plan->services, plan->services_n, sizeof(*plan->services), compare_services);
    size_t kept = 0;
    for (size_t i = 0; i < plan->services_n; i++) {
        if (kept && compare_services(&plan->services[kept - 1], &plan->services[i]) == 0)
            problem(plan, "service address %s: is there twice",
                    netip_text(&plan->services[i]->address, text));
        else
            plan->services[kept++] = plan->services[i];
    }
    plan->services_n = kept;
}

const struct network_service *netplan_find_service(const struct netplan *plan,
                                                   const struct in6_addr *address)
{
    const struct network_service key = {.address = *address}, *key_p = &key;
    const struct network_service **found = plan->services_n
                                               ? bsearch(&key_p, plan->services, plan->services_n,
                                                         sizeof(*plan->services), compare_services)
                                               : NULL;
    return found ? *found : NULL;
}

const struct network_publish *netplan_find_publish(const struct netplan *plan, uint8_t protocol,
                                                   uint16_t port)
{
    const struct network_publish key = {.protocol = protocol, .port = port}, *key_p = &key;
    const struct network_publish **found = bsearch(&key_p, plan->publishes, plan->publishes_n,
                                                   sizeof(*plan->publishes), compare_publishes);
    return found ? *found : NULL;
}

bool netplan_has_address(const struct netplan *plan, const struct in6_addr *address)
{
    const struct net_route key = {.table = NETNAME_TABLE_MAIN, .prefix = netprefix_of(address)};
    const struct net_route *found =
        bsearch(&key, plan->routes, plan->routes_n, sizeof(key), netplan_compare_routes);
    return found && found->type == RTN_UNICAST;
}

int netplan_init(struct netplan *plan, const struct network_state *state,
                 const struct net_link *link, struct err *err)
{
    if (state->node_id == 0 || state->node_id > NODE_ID_MAX)
        return err_set(err, ERR_INVALID, "network: node id %u is not from 1 to %d", state->node_id,
                       NODE_ID_MAX);
    if (!netprefix_valid(&state->pool) || !netprefix_is4(&state->pool) ||
        netprefix_bits(&state->pool) < 4 || netprefix_bits(&state->pool) > 30)
        return err_set(err, ERR_INVALID,
                       "network: the pool of addresses must be a prefix of 4 to 30 bits");
    if (state->vxlan_port == 0 || state->vxlan_id == 0 || state->vxlan_id > VXLAN_ID_MAX)
        return err_set(err, ERR_INVALID, "network: VXLAN port %u and id %u are not usable",
                       state->vxlan_port, state->vxlan_id);
    *plan = (struct netplan){.state = state,
                             .source = state->underlay,
                             .source6 = netname_peer_hop6(state->node_id),
                             .tunnelled = true};
    if (link)
        plan->link = *link;
    if (state->underlay.s_addr == 0 || (ntohl(state->underlay.s_addr) >> 24) == 127) {
        plan->source = netname_gateway();
        plan->tunnelled = false;
    }
    plan_networks(plan);
    plan_ranges(plan);
    plan_peers(plan);
    plan_ports(plan);
    plan_services(plan);
    plan_routes(plan);
    plan_publishes(plan);
    return 0;
}

void netplan_release(struct netplan *plan)
{
    free(plan->networks);
    free(plan->ports);
    free(plan->routes);
    free(plan->neighbors);
    free(plan->tunnels);
    free(plan->rules);
    free(plan->peers);
    free(plan->publishes);
    free(plan->services);
    free(plan->ranges);
    *plan = (struct netplan){0};
}
