/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ruleset_sets.h"

#include "base/cleanup.h"
#include "runtime/netplan.h"
#include "runtime/nft.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* A key of two addresses. */
struct pair {
    struct in_addr from, to;
};

/* Addresses that may come from each host end. */
static void build_endpoints(struct nft_batch *b, const struct netplan *plan)
{
    struct nft_set *set =
        nft_set(b, "endpoints", 0, nft_type_pair(NFT_TYPE_IFNAME, NFT_TYPE_IPV4), NETNAME_NAME + 4);
    nft_set_loose(set);
    for (size_t i = 0; i < plan->ports_n; i++) {
        const struct net_port *port = &plan->ports[i];
        for (size_t j = 0; j < port->endpoint->addresses_n; j++) {
            char key[NETNAME_NAME + 4];
            memcpy(key, port->name, NETNAME_NAME);
            memcpy(key + NETNAME_NAME, &port->endpoint->addresses[j].address, 4);
            nft_set_add(set, key, NULL, NULL);
        }
    }
    nft_set_end(b, set);
}

/* Networks: from a prefix to the same prefix. */
static void build_pairs(struct nft_batch *b, const struct netplan *plan)
{
    struct nft_set *set =
        nft_set(b, "pairs", 0, nft_type_pair(NFT_TYPE_IPV4, NFT_TYPE_IPV4), sizeof(struct pair));
    nft_set_ranges(set);
    for (size_t i = 0; i < plan->networks_n; i++) {
        struct in_addr first = plan->networks[i].address;
        struct in_addr last = {htonl(netprefix_last(&plan->networks[i]))};
        const struct pair from = {first, first}, to = {last, last};
        nft_set_add(set, &from, &to, NULL);
    }
    nft_set_end(b, set);
}

static void add_ranges(struct nft_batch *b, const char *name, const struct network_prefix *prefixes,
                       size_t n)
{
    struct nft_set *set = nft_set(b, name, 0, NFT_TYPE_IPV4, 4);
    nft_set_intervals(set);
    for (size_t i = 0; i < n; i++) {
        struct in_addr first = prefixes[i].address, last = {htonl(netprefix_last(&prefixes[i]))};
        nft_set_add(set, &first, &last, NULL);
    }
    nft_set_end(b, set);
}

/* (source, destination) that are both the same local container's: it would not take a packet that
 * claims to come from itself. */
static void build_itself(struct nft_batch *b, const struct netplan *plan)
{
    struct nft_set *set =
        nft_set(b, "itself", 0, nft_type_pair(NFT_TYPE_IPV4, NFT_TYPE_IPV4), sizeof(struct pair));
    nft_set_loose(set);
    for (size_t i = 0; i < plan->ports_n; i++) {
        const struct network_endpoint *endpoint = plan->ports[i].endpoint;
        for (size_t j = 0; j < endpoint->addresses_n; j++)
            for (size_t k = 0; k < endpoint->addresses_n; k++) {
                const struct pair pair = {endpoint->addresses[j].address,
                                          endpoint->addresses[k].address};
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

/* The data of a backend: address and port, a register each. */
static void backend_data(const struct network_backend *backend, unsigned char data[8])
{
    const uint16_t network = htons(backend->port);
    memset(data, 0, 8);
    memcpy(data, &backend->address, 4);
    memcpy(data + 4, &network, sizeof(network));
}

/* FNV-1a, 64 bits (isthe.com/chongo/tech/comp/fnv): of one service's backends to the next ones. */
static uint64_t hash(uint64_t so_far, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        so_far = (so_far ^ bytes[i]) * 0x100000001b3;
    return so_far;
}

/* The name of a chain stands for what is in it. */
static void port_chain(const struct network_publish *publish, char out[NFT_KEY_MAX])
{
    uint64_t content = HASH_START;
    for (size_t i = 0; i < publish->backends_n; i++) {
        unsigned char data[8];
        backend_data(&publish->backends[i], data);
        content = hash(content, data, sizeof(data));
    }
    snprintf(out, NFT_KEY_MAX, "%s_%u_%016" PRIx64,
             publish->protocol == IPPROTO_TCP ? "tcp" : "udp", publish->port, content);
}

/* The chain of one port: to one of its backends by chance. */
static void build_port(struct nft_batch *b, const struct network_publish *publish,
                       const char *chain)
{
    if (!nft_chain(b, chain))
        return;
    struct nft_set *set = nft_set(b, "__map%d", NFT_SET_ANONYMOUS | NFT_SET_CONSTANT,
                                  NFT_TYPE_INTEGER, sizeof(uint32_t));
    nft_set_data(set, nft_type_pair(NFT_TYPE_IPV4, NFT_TYPE_SERVICE), 8);
    for (uint32_t i = 0; i < publish->backends_n; i++) {
        unsigned char data[8];
        backend_data(&publish->backends[i], data);
        nft_set_add(set, &i, NULL, data);
    }
    uint32_t id = nft_set_end(b, set);
    struct nftnl_rule *rule = nft_rule(b, chain);
    nft_random(rule, (uint32_t)publish->backends_n, NFT_REG_1);
    nft_map(rule, "__map%d", id, NFT_REG_1, NFT_REG_1);
    nft_nat(rule, NFT_NAT_DNAT, NFT_REG_1, NFT_REG32_01);
    nft_rule_end(b, rule);
    nft_chain_end(b);
}

static void build_ports(struct nft_batch *b, const struct netplan *plan)
{
    const uint32_t type = nft_type_pair(NFT_TYPE_PROTOCOL, NFT_TYPE_SERVICE);
    struct nft_set *ports = nft_set(b, "ports", 0, type, 8);
    struct nft_set *closed = nft_set(b, "closed", 0, type, 8);
    nft_set_data(ports, NFT_DATA_VERDICT, 0);
    nft_set_loose(ports);
    nft_set_loose(closed);
    for (size_t i = 0; i < plan->publishes_n; i++) {
        const struct network_publish *publish = plan->publishes[i];
        unsigned char key[8];
        char chain[NFT_KEY_MAX];
        port_key(publish, key);
        if (publish->backends_n == 0) {
            nft_set_add(closed, key, NULL, NULL);
            continue;
        }
        port_chain(publish, chain);
        build_port(b, publish, chain);
        nft_set_add_goto(ports, key, chain);
    }
    nft_set_end(b, ports);
    nft_set_end(b, closed);
}

static void service_chain(const struct network_service *service, char out[NFT_KEY_MAX])
{
    uint64_t content =
        hash(HASH_START, service->backends, service->backends_n * sizeof(*service->backends));
    snprintf(out, NFT_KEY_MAX, "s_%08x_%016" PRIx64, ntohl(service->address.s_addr), content);
}

/* The chain of one service address: to one of its backends by chance, whatever the port. */
static void build_service(struct nft_batch *b, const struct network_service *service,
                          const char *chain)
{
    if (!nft_chain(b, chain))
        return;
    struct nft_set *set = nft_set(b, "__map%d", NFT_SET_ANONYMOUS | NFT_SET_CONSTANT,
                                  NFT_TYPE_INTEGER, sizeof(uint32_t));
    nft_set_data(set, NFT_TYPE_IPV4, sizeof(struct in_addr));
    for (uint32_t i = 0; i < service->backends_n; i++)
        nft_set_add(set, &i, NULL, &service->backends[i]);
    uint32_t id = nft_set_end(b, set);
    struct nftnl_rule *rule = nft_rule(b, chain);
    nft_random(rule, (uint32_t)service->backends_n, NFT_REG_1);
    nft_map(rule, "__map%d", id, NFT_REG_1, NFT_REG_1);
    nft_nat(rule, NFT_NAT_DNAT, NFT_REG_1, 0);
    nft_rule_end(b, rule);
    nft_chain_end(b);
}

static void build_services(struct nft_batch *b, const struct netplan *plan)
{
    struct nft_set *services = nft_set(b, "services", 0, NFT_TYPE_IPV4, 4);
    nft_set_data(services, NFT_DATA_VERDICT, 0);
    nft_set_loose(services);
    for (size_t i = 0; i < plan->services_n; i++) {
        const struct network_service *service = plan->services[i];
        char chain[NFT_KEY_MAX];
        if (service->backends_n == 0)
            continue;
        service_chain(service, chain);
        build_service(b, service, chain);
        nft_set_add_goto(services, &service->address, chain);
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

void ruleset_build_sets(struct nft_batch *b, const struct netplan *plan)
{
    build_endpoints(b, plan);
    build_pairs(b, plan);
    add_ranges(b, "ranges", plan->ranges, plan->ranges_n);
    add_ranges(b, "internals", plan->state->internals, plan->state->internals_n);
    build_itself(b, plan);
    build_members(b, plan);
    build_machines(b, plan);
    build_ports(b, plan);
    build_services(b, plan);
}
