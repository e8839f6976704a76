/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netplan - what the kernel's network should hold, worked out from a network_state.
 *
 * Pure: no system call. The plan is sorted and free of duplicates and of rows that make no sense
 * (an address outside the pool, a remote of an unknown peer, …): one bad row must not take the
 * network down, so it is left out and the first of them is told in plan->problem. The plan borrows
 * from the state.
 *
 * Names and numbers of ours are made here and nowhere else.
 */
#ifndef WHERRY_RUNTIME_NETPLAN_H
#define WHERRY_RUNTIME_NETPLAN_H

#include "base/err.h"
#include "runtime/network.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETPLAN_TUNNEL      "wherry0" /* the VXLAN device */
#define NETPLAN_PORT_PREFIX "wv"      /* host ends of veths: this and 8 hexadecimal digits */
#define NETPLAN_INNER       "eth0"    /* the container's end */

enum {
    NETPLAN_NAME = 16,            /* IFNAMSIZ */
    NETPLAN_MAC = 6,              /* ETH_ALEN */
    NETPLAN_PROTOCOL = 87,        /* of our routes and rules */
    NETPLAN_RULE_PRIORITY = 8700, /* of our rules */
    NETPLAN_MARK = 0x57480000,    /* + node id: reply through this peer; also the table's number */
    NETPLAN_MARK_MASK = 0xffff0000,
    NETPLAN_TABLE_MAIN = 254,
};

/* A route. Key: table, prefix. */
struct net_route {
    uint32_t table;
    struct network_prefix prefix;
    uint8_t type;           /* RTN_UNICAST or RTN_UNREACHABLE */
    char dev[NETPLAN_NAME]; /* "" for an unreachable one */
    struct in_addr via;     /* 0: the destination is on the link */
    struct in_addr source;  /* address that this machine uses towards it; 0: the kernel's choice */
};

/* A fixed neighbour. Key: dev, address. */
struct net_neighbor {
    char dev[NETPLAN_NAME];
    struct in_addr address;
    uint8_t mac[NETPLAN_MAC];
};

/* Where the VXLAN device sends frames for a peer. Key: mac. */
struct net_tunnel {
    uint8_t mac[NETPLAN_MAC];
    struct in_addr underlay;
};

/* Packets with this mark are routed by the table of the same number. */
struct net_rule {
    uint32_t mark;
};

/* The veth of an endpoint. Key: name. */
struct net_port {
    char name[NETPLAN_NAME];
    uint8_t mac[NETPLAN_MAC]; /* of the container's end */
    const struct network_endpoint *endpoint;
};

struct netplan {
    const struct network_state *state;
    struct in_addr source; /* address of this machine as containers here see it */
    bool tunnelled;        /* there is an underlay to build a VXLAN device on */
    struct network_prefix *networks;
    size_t networks_n;
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
    struct err problem; /* the first row left out; code 0: none */
};

/* Work out the plan of @state. ERR_INVALID, with nothing to release, when the node id, the pool,
 * the VXLAN port or id make no sense. */
int netplan_init(struct netplan *plan, const struct network_state *state, struct err *err);

/* Free what netplan_init made. */
void netplan_release(struct netplan *plan);
#define cleanup_netplan __attribute__((cleanup(netplan_release)))

/* The published port of the plan, or NULL. */
const struct network_publish *netplan_find_publish(const struct netplan *plan, uint8_t protocol,
                                                   uint16_t port);

/* True when a container here or on a peer has @address. */
bool netplan_has_address(const struct netplan *plan, struct in_addr address);

/* The first and the last address of a prefix, in host byte order. */
uint32_t netplan_first(const struct network_prefix *prefix);
uint32_t netplan_last(const struct network_prefix *prefix);

/* True when @address lies in @prefix. */
bool netplan_contains(const struct network_prefix *prefix, struct in_addr address);

/* True when @prefix is well formed: a length of at most 32 and no bit set behind it. */
bool netplan_prefix_valid(const struct network_prefix *prefix);

/* The name of the host end for the container @id. */
void netplan_port_name(const char *id, char out[NETPLAN_NAME]);

/* True for names that netplan_port_name makes. */
bool netplan_is_port_name(const char *name);

/* The MAC of a member's VXLAN device. */
void netplan_peer_mac(uint32_t id, uint8_t out[NETPLAN_MAC]);

/* The next hop that stands for a member; its VXLAN device has this address. */
struct in_addr netplan_peer_hop(uint32_t id);

/* The MAC of every host end. */
extern const uint8_t netplan_gateway_mac[NETPLAN_MAC];

/* 169.254.1.1. */
struct in_addr netplan_gateway(void);

/* Orders by key; routes by table, prefix and so on. For qsort and netdiff. */
int netplan_compare_routes(const void *a, const void *b);
int netplan_compare_neighbors(const void *a, const void *b);
int netplan_compare_tunnels(const void *a, const void *b);
int netplan_compare_rules(const void *a, const void *b);

/* How two lists of one kind are brought together. */
struct netdiff {
    size_t size;                                  /* of one item */
    int (*compare)(const void *a, const void *b); /* by key */
    bool (*same)(const void *a, const void *b);   /* all of it; NULL: equal keys suffice */
    /* @wanted is missing, or differs from the @present of the same key. */
    void (*put)(void *ctx, const void *wanted, const void *present);
    /* @present is wanted no longer. */
    void (*drop)(void *ctx, const void *present);
};

/* Call put and drop so that @present becomes @wanted. Both are sorted here; duplicates by key in
 * @present beyond the first are dropped. */
void netdiff_run(const struct netdiff *diff, void *wanted, size_t wanted_n, void *present,
                 size_t present_n, void *ctx);

#endif
