/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netplan - what the kernel's network should hold, worked out from a network_state.
 *
 * Pure: no system call. The plan is sorted and free of duplicates and of rows that make no sense
 * (an address outside the ranges, a remote of an unknown peer, …): one bad row must not take the
 * network down, so it is left out and the first of them is told in plan->problem. The plan borrows
 * from the state.
 */
#ifndef WHERRY_RUNTIME_NETPLAN_H
#define WHERRY_RUNTIME_NETPLAN_H

#include "base/err.h"
#include "runtime/netname.h"
#include "runtime/network.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A route. Key: table, prefix. */
struct net_route {
    uint32_t table;
    struct network_prefix prefix;
    uint8_t type;           /* RTN_UNICAST, RTN_LOCAL or RTN_UNREACHABLE */
    char dev[NETNAME_NAME]; /* "" for an unreachable one */
    struct in6_addr via;    /* "::": the destination is on the link */
    struct in6_addr source; /* that this machine uses towards it; "::": the kernel's choice */
    uint32_t mtu;           /* of packets that take it; 0: the device's */
    uint32_t peer;          /* to an address of this one, in a plan; 0: to none */
    uint32_t rank;          /* of several to one place in a plan the highest stays */
};

/* A fixed neighbour. Key: dev, address. */
struct net_neighbor {
    char dev[NETNAME_NAME];
    struct in6_addr address;
    uint8_t mac[NETNAME_MAC];
};

/* The link that has this machine's address. */
struct net_link {
    char dev[NETNAME_NAME];
    struct network_prefix prefix;        /* who has an address in it is on the link */
    const struct net_neighbor *machines; /* whose MACs are known; sorted by address. Borrowed */
    size_t machines_n;
};

/* Where the VXLAN device sends frames for a peer. Key: mac. */
struct net_tunnel {
    uint8_t mac[NETNAME_MAC];
    struct in_addr underlay;
};

/* Packets of IPv4 or IPv6 with this mark, or those of one source, are routed by the table of the
 * mark's number. */
struct net_rule {
    bool six;
    uint32_t mark;
    struct in6_addr from; /* "::": the mark counts */
};

/* The veth of an endpoint. Key: name. */
struct net_port {
    char name[NETNAME_NAME];
    uint8_t mac[NETNAME_MAC]; /* of the container's end */
    const struct network_endpoint *endpoint;
};

struct netplan {
    const struct network_state *state;
    struct in_addr source;   /* address of this machine as containers here see it … */
    struct in6_addr source6; /* … and by IPv6 */
    bool six;                /* there is a network of IPv6 */
    bool tunnelled;          /* there is an underlay to build a VXLAN device on */
    struct net_link link;    /* dev "": not known */
    bool linked;             /* there are peers on it */
    struct network_prefix *networks;
    size_t networks_n;
    struct network_prefix *ranges; /* the pool, and networks outside of it */
    size_t ranges_n;
    struct net_port *ports;
    size_t ports_n;
    struct net_route *routes;
    size_t routes_n;
    struct net_neighbor *neighbors;
    size_t neighbors_n;
    struct net_tunnel *tunnels;
    size_t tunnels_n;
    struct net_rule *rules;
    size_t rules_n;
    const struct network_peer **peers;
    size_t peers_n;
    const struct network_publish **publishes;
    size_t publishes_n;
    const struct network_service **services;
    size_t services_n;
    struct err problem; /* the first row left out; code 0: none */
};

/* Work out the plan of @state; @link NULL: not known. ERR_INVALID, with nothing to release, when
 * the node id, the pool, the VXLAN port or id make no sense. */
int netplan_init(struct netplan *plan, const struct network_state *state,
                 const struct net_link *link, struct err *err);

/* Free what netplan_init made. */
void netplan_release(struct netplan *plan);
#define cleanup_netplan __attribute__((cleanup(netplan_release)))

/* The published port of the plan, or NULL. */
const struct network_publish *netplan_find_publish(const struct netplan *plan, uint8_t protocol,
                                                   uint16_t port);

/* The service of the plan that has @address, or NULL. */
const struct network_service *netplan_find_service(const struct netplan *plan,
                                                   const struct in6_addr *address);

/* The MAC that @peer has on the link, or NULL. */
const uint8_t *netplan_peer_mac(const struct netplan *plan, const struct network_peer *peer);

/* True when @address is in one of the cluster's ranges. */
bool netplan_is_ours(const struct netplan *plan, const struct in6_addr *address);

/* True when a container here or on a peer has @address. */
bool netplan_has_address(const struct netplan *plan, const struct in6_addr *address);

/* Orders by key; routes by table, prefix and so on. For qsort and netdiff.h. */
int netplan_compare_routes(const void *a, const void *b);
int netplan_compare_neighbors(const void *a, const void *b);
int netplan_compare_tunnels(const void *a, const void *b);
int netplan_compare_rules(const void *a, const void *b);

#endif
