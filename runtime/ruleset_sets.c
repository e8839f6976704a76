/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ruleset_sets.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "runtime/netplan.h"
#include "runtime/nft.h"
#include "runtime/ruleset_match.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* A key of two addresses, each as long as the family has them. */
struct pair {
    unsigned char bytes[2 * sizeof(struct in6_addr)];
};

static struct pair pair_of(const struct in6_addr *from, const struct in6_addr *to)
{
    struct pair pair = {0};
    size_t len;
    const void *bytes = netip_bytes(from, &len);
    memcpy(pair.bytes, bytes, len);
    bytes = netip_bytes(to, &len);
    memcpy(pair.bytes + len, bytes, len);
    return pair;
}

static bool is_of(const struct match_family *family, const struct in6_addr *address)
{
    return netip_is4(address) == (family == &match_ip4);
}

/* Addresses that may come from each host end. */
static void build_endpoints(struct nft_batch *b, const struct netplan *plan,
                            const struct match_family *family)
{
    struct nft_set *set =
        nft_set(b, family->endpoints, 0, nft_type_pair(NFT_TYPE_IFNAME, family->type),
                NETNAME_NAME + family->len);
    nft_set_loose(set);
    for (size_t i = 0; i < plan->ports_n; i++) {
        const struct net_port *port = &plan->ports[i];
        for (size_t j = 0; j < port->endpoint->addresses_n; j++) {
            const struct in6_addr *address = &port->endpoint->addresses[j].address;
            char key[NETNAME_NAME + sizeof(*address)];
            size_t len;
            const void *bytes = netip_bytes(address, &len);
            memcpy(key, port->name, NETNAME_NAME);
            memcpy(key + NETNAME_NAME, bytes, len);
            if (is_of(family, address))
                nft_set_add(set, key, NULL, NULL);
        }
    }
    nft_set_end(b, set);
}

/* Networks: from a prefix to the same prefix. */
static void build_pairs(struct nft_batch *b, const struct netplan *plan,
                        const struct match_family *family)
{
    struct nft_set *set =
        nft_set(b, family->pairs, 0, nft_type_pair(family->type, family->type), 2 * family->len);
    nft_set_ranges(set);
    for (size_t i = 0; i < plan->networks_n; i++) {
        const struct in6_addr *first = &plan->networks[i].address;
        const struct in6_addr last = netprefix_last(&plan->networks[i]);
        const struct pair from = pair_of(first, first), to = pair_of(&last, &last);
        if (is_of(family, first))
            nft_set_add(set, &from, &to, NULL);
    }
    nft_set_end(b, set);
}

static void add_ranges(struct nft_batch *b, const char *name, const struct match_family *family,
                       const struct network_prefix *prefixes, size_t n)
{
    struct nft_set *set = nft_set(b, name, 0, family->type, family->len);
    nft_set_intervals(set);
    for (size_t i = 0; i < n; i++) {
        const struct in6_addr *first = &prefixes[i].address;
        const struct in6_addr last = netprefix_last(&prefixes[i]);
        size_t len;
        if (is_of(family, first))
            nft_set_add(set, netip_bytes(first, &len), netip_bytes(&last, &len), NULL);
    }
    nft_set_end(b, set);
}

/* (source, destination) that are both the same local container's: it would not take a packet that
 * claims to come from itself. */
static void build_itself(struct nft_batch *b, const struct netplan *plan,
                         const struct match_family *family)
{
    struct nft_set *set =
        nft_set(b, family->itself, 0, nft_type_pair(family->type, family->type), 2 * family->len);
    nft_set_loose(set);
    for (size_t i = 0; i < plan->ports_n; i++) {
        const struct network_endpoint *endpoint = plan->ports[i].endpoint;
        for (size_t j = 0; j < endpoint->addresses_n; j++)
            for (size_t k = 0; k < endpoint->addresses_n; k++) {
                const struct in6_addr *from = &endpoint->addresses[j].address;
                const struct in6_addr *to = &endpoint->addresses[k].address;
                const struct pair pair = pair_of(from, to);
                if (is_of(family, from) && is_of(family, to))
                    nft_set_add(set, &pair, NULL, NULL);
            }
    }
    nft_set_end(b, set);
}

/* The members' own addresses, and the mark of each by its MAC. */
static void build_members(struct nft_batch *b, const struct netplan *plan)
{
    struct nft_set *members = nft_set(b, "members", 0, NFT_TYPE_IPV4, 4);
    struct nft_set *marks = nft_set(b, "marks", 0, NFT_TYPE_ETHER, NETNAME_MAC);
    nft_set_data(marks, NFT_TYPE_MARK, 4);
    nft_set_loose(members);
    nft_set_loose(marks);
    for (size_t i = 0; i < plan->peers_n; i++) {
        const struct network_peer *peer = plan->peers[i];
        uint8_t mac[NETNAME_MAC];
        uint32_t mark = NETNAME_MARK | peer->id;
        netname_peer_mac(peer->id, mac);
        nft_set_add(members, &peer->underlay, NULL, NULL);
        nft_set_add(marks, mac, NULL, &mark);
    }
    nft_set_end(b, members);
    nft_set_end(b, marks);
}

/* The key of a port in the sets of ports. */
static void port_key(const struct network_publish *publish, unsigned char key[8])
{
    const uint16_t network = htons(publish->port);
    memset(key, 0, 8);
    key[0] = publish->protocol;
    memcpy(key + 4, &network, sizeof(network));
}

/* The data of a backend: address and port, which begins a register. Returns its length. */
static uint32_t backend_data(const struct network_backend *backend,
                             unsigned char data[NFT_DATA_MAX])
{
    const uint16_t network = htons(backend->port);
    size_t len;
    const void *bytes = netip_bytes(&backend->address, &len);
    memset(data, 0, NFT_DATA_MAX);
    memcpy(data, bytes, len);
    memcpy(data + len, &network, sizeof(network));
    return (uint32_t)len + 4;
}

/* FNV-1a, 64 bits (isthe.com/chongo/tech/comp/fnv): of one service's backends to the next ones. */
static uint64_t hash(uint64_t so_far, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        so_far = (so_far ^ bytes[i]) * 0x100000001b3;
    return so_far;
}

/* The backends of a port that are of one family. The caller frees the list. */
static struct network_backend *backends_of(const struct network_publish *publish,
                                           const struct match_family *family, uint32_t *ret_n)
{
    struct network_backend *list = mem_alloc(publish->backends_n + 1, sizeof(*list));
    *ret_n = 0;
    for (size_t i = 0; i < publish->backends_n; i++)
        if (is_of(family, &publish->backends[i].address))
            list[(*ret_n)++] = publish->backends[i];
    return list;
}

/* The name of a chain stands for what is in it. */
static void port_chain(const struct network_publish *publish, const struct match_family *family,
                       const struct network_backend *backends, uint32_t n, char out[NFT_KEY_MAX])
{
    uint64_t content = HASH_START;
    for (uint32_t i = 0; i < n; i++) {
        unsigned char data[NFT_DATA_MAX];
        uint32_t len = backend_data(&backends[i], data);
        content = hash(content, data, len);
    }
    snprintf(out, NFT_KEY_MAX, "%s%s_%u_%016" PRIx64,
             publish->protocol == IPPROTO_TCP ? "tcp" : "udp", family == &match_ip4 ? "" : "6",
             publish->port, content);
}

/* The chain of one port: to one of its backends by chance. */
static void build_port(struct nft_batch *b, const struct match_family *family,
                       const struct network_backend *backends, uint32_t n, const char *chain)
{
    if (!nft_chain(b, chain))
        return;
    struct nft_set *set = nft_set(b, "__map%d", NFT_SET_ANONYMOUS | NFT_SET_CONSTANT,
                                  NFT_TYPE_INTEGER, sizeof(uint32_t));
    nft_set_data(set, nft_type_pair(family->type, NFT_TYPE_SERVICE), family->len + 4);
    for (uint32_t i = 0; i < n; i++) {
        unsigned char data[NFT_DATA_MAX];
        backend_data(&backends[i], data);
        nft_set_add(set, &i, NULL, data);
    }
    uint32_t id = nft_set_end(b, set);
    struct nftnl_rule *rule = nft_rule(b, chain);
    nft_random(rule, n, NFT_REG_1);
    nft_map(rule, "__map%d", id, NFT_REG_1, NFT_REG_1);
    nft_nat(rule, family->number, NFT_NAT_DNAT, NFT_REG_1, NFT_REG32_00 + family->len / 4);
    nft_rule_end(b, rule);
    nft_chain_end(b);
}

static void build_ports(struct nft_batch *b, const struct netplan *plan,
                        const struct match_family *family)
{
    const uint32_t type = nft_type_pair(NFT_TYPE_PROTOCOL, NFT_TYPE_SERVICE);
    struct nft_set *ports = nft_set(b, family->ports, 0, type, 8);
    struct nft_set *closed = nft_set(b, family->closed, 0, type, 8);
    nft_set_data(ports, NFT_DATA_VERDICT, 0);
    nft_set_loose(ports);
    nft_set_loose(closed);
    for (size_t i = 0; i < plan->publishes_n; i++) {
        const struct network_publish *publish = plan->publishes[i];
        unsigned char key[8];
        char chain[NFT_KEY_MAX];
        uint32_t n;
        if (family == &match_ip6 && !publish->has6)
            continue;
        cleanup_free struct network_backend *backends = backends_of(publish, family, &n);
        port_key(publish, key);
        if (n == 0) {
            nft_set_add(closed, key, NULL, NULL);
            continue;
        }
        port_chain(publish, family, backends, n, chain);
        build_port(b, family, backends, n, chain);
        nft_set_add_goto(ports, key, chain);
    }
    nft_set_end(b, ports);
    nft_set_end(b, closed);
}

static void service_chain(const struct network_service *service, char out[NFT_KEY_MAX])
{
    uint64_t content =
        hash(HASH_START, service->backends, service->backends_n * sizeof(*service->backends));
    if (netip_is4(&service->address))
        snprintf(out, NFT_KEY_MAX, "s_%08x_%016" PRIx64, ntohl(netip_to4(&service->address).s_addr),
                 content);
    else
        snprintf(out, NFT_KEY_MAX, "s6_%016" PRIx64,
                 hash(content, &service->address, sizeof(service->address)));
}

/* The chain of one service address: to one of its backends by chance, whatever the port. */
static void build_service(struct nft_batch *b, const struct match_family *family,
                          const struct network_service *service, const char *chain)
{
    if (!nft_chain(b, chain))
        return;
    struct nft_set *set = nft_set(b, "__map%d", NFT_SET_ANONYMOUS | NFT_SET_CONSTANT,
                                  NFT_TYPE_INTEGER, sizeof(uint32_t));
    nft_set_data(set, family->type, family->len);
    for (uint32_t i = 0; i < service->backends_n; i++) {
        size_t len;
        nft_set_add(set, &i, NULL, netip_bytes(&service->backends[i], &len));
    }
    uint32_t id = nft_set_end(b, set);
    struct nftnl_rule *rule = nft_rule(b, chain);
    nft_random(rule, (uint32_t)service->backends_n, NFT_REG_1);
    nft_map(rule, "__map%d", id, NFT_REG_1, NFT_REG_1);
    nft_nat(rule, family->number, NFT_NAT_DNAT, NFT_REG_1, 0);
    nft_rule_end(b, rule);
    nft_chain_end(b);
}

static void build_services(struct nft_batch *b, const struct netplan *plan,
                           const struct match_family *family)
{
    struct nft_set *services = nft_set(b, family->services, 0, family->type, family->len);
    nft_set_data(services, NFT_DATA_VERDICT, 0);
    nft_set_loose(services);
    for (size_t i = 0; i < plan->services_n; i++) {
        const struct network_service *service = plan->services[i];
        char chain[NFT_KEY_MAX];
        size_t len;
        if (service->backends_n == 0 || !is_of(family, &service->address))
            continue;
        service_chain(service, chain);
        build_service(b, family, service, chain);
        nft_set_add_goto(services, netip_bytes(&service->address, &len), chain);
    }
    nft_set_end(b, services);
}

/* The MACs that members have on our link. */
static void build_machines(struct nft_batch *b, const struct netplan *plan)
{
    if (!plan->linked)
        return;
    struct nft_set *set = nft_set(b, "machines", 0, NFT_TYPE_ETHER, NETNAME_MAC);
    nft_set_loose(set);
    for (size_t i = 0; i < plan->peers_n; i++) {
        const uint8_t *mac = netplan_peer_mac(plan, plan->peers[i]);
        if (mac)
            nft_set_add(set, mac, NULL, NULL);
    }
    nft_set_end(b, set);
}

/* What there is of each family. */
static void build_family(struct nft_batch *b, const struct netplan *plan,
                         const struct match_family *family)
{
    build_endpoints(b, plan, family);
    build_pairs(b, plan, family);
    add_ranges(b, family->ranges, family, plan->ranges, plan->ranges_n);
    add_ranges(b, family->internals, family, plan->state->internals, plan->state->internals_n);
    build_itself(b, plan, family);
    build_ports(b, plan, family);
    build_services(b, plan, family);
}

void ruleset_build_sets(struct nft_batch *b, const struct netplan *plan)
{
    build_members(b, plan);
    build_machines(b, plan);
    build_family(b, plan, &match_ip4);
    if (plan->six)
        build_family(b, plan, &match_ip6);
}
