/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network - this machine's part of the routed network.
 *
 * Routed, not bridged. Each container has one veth with /32 addresses; its gateway is 169.254.1.1,
 * which every machine holds on its loopback device; for IPv6 it has /128 addresses beside, and
 * fe80::1, which nobody holds: neighbours are told, not asked for. Between machines there are /32
 * routes over one VXLAN device with static neighbours and forwarding entries; what containers of
 * one network send each other takes plain routes instead where both machines are on one link and
 * the caller found that such packets get through (network_peer.plain). A container may also be on a
 * link of the machine itself (network_lan). One nftables table holds
 * isolation, published ports, service addresses and masquerading. All of it is a function of one
 * struct network_state: apply it as often as you like, what is already so is left alone, what is
 * not in it goes away, and what a stranger flushed comes back.
 *
 * Everything happens in the network namespace of the calling thread. Links, routes, rules and
 * tables carry our names (device "wherry0", veths "wv…", table inet "wherry", route protocol 87,
 * rule priority 8700, marks and tables 0x5748nnnn) and nothing else is touched but ip_forward,
 * which is turned on (where a network has IPv6 also forwarding of that; accept_ra of 1 becomes 2,
 * so that routers' advertisements count as before), and Docker's chain for the rules of others
 * (foreign.h).
 *
 * A server at the gateway address (DNS) must bind to it: what answers from 0.0.0.0 would answer
 * with another source.
 *
 * Not thread-safe: one thread at a time per network namespace.
 */
#ifndef WHERRY_RUNTIME_NETWORK_H
#define WHERRY_RUNTIME_NETWORK_H

#include "base/netip.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    NETWORK_ENDPOINT_ADDRESSES = 32,
    NETWORK_ENDPOINT_LANS = 4,
    NETWORK_LINK_NAME = 16, /* IFNAMSIZ */
};

#define NETWORK_GATEWAY "169.254.1.1"

/* One address of a container in one network, of IPv4 or IPv6; each network is of one of them. */
struct network_address {
    struct in6_addr address;
    struct network_prefix network;
};

/* An IPv4 address of a container on a link of this machine, where it is as a machine of its own
 * (macvlan). That link and the container do not see each other there; by veth they do. */
struct network_lan {
    char parent[NETWORK_LINK_NAME]; /* the link; "": the one that has this machine's address */
    struct in6_addr address;
    struct network_prefix prefix; /* who is on the link */
    struct in6_addr gateway;      /* its way to all else, before that by veth; "::": none */
};

/* A container on this machine. */
struct network_endpoint {
    const char *id;    /* the container's id */
    const char *netns; /* where its namespace is bind-mounted */
    struct network_address addresses[NETWORK_ENDPOINT_ADDRESSES];
    /* … the first of each family is what it is outside; one of IPv4 it has in any case */
    size_t addresses_n;
    struct network_lan lans[NETWORK_ENDPOINT_LANS]; /* of those with a gateway the first counts */
    size_t lans_n;
};

/* Another member. */
struct network_peer {
    uint32_t id;             /* its node id, 1..65535: makes its MAC and its tunnel address */
    struct in_addr underlay; /* where its VXLAN packets go */
    bool plain;              /* plain routes work: taken if it is on our link too */
    uint16_t mtu;            /* the largest packet that gets through the tunnel; 0: our device's */
};

/* A container address that lives on another member. Of several rows for one address the last
 * counts; a container here comes before all. */
struct network_remote {
    struct in6_addr address;
    uint32_t peer; /* node id */
};

struct network_backend {
    struct in6_addr address;
    uint16_t port; /* in the container */
};

/* A port that every member answers on. */
struct network_publish {
    uint8_t protocol;                       /* IPPROTO_TCP or IPPROTO_UDP */
    uint16_t port;                          /* on the member's own addresses, 127.0.0.1 included */
    bool has6;                              /* it is answered over IPv6 too */
    const struct network_backend *backends; /* healthy tasks anywhere, by each family's address;
                                             * none: the port is refused */
    size_t backends_n;
};

/* An address that stands for several containers, in one network. Who reaches the address reaches
 * one of them by chance, and stays with it while the connection lasts. */
struct network_service {
    struct in6_addr address;
    const struct in6_addr *backends; /* of its healthy tasks anywhere; none: it is refused */
    size_t backends_n;
};

struct network_state {
    uint32_t node_id;           /* ours */
    struct in_addr underlay;    /* our address on the machines' network */
    struct network_prefix pool; /* range of all networks that have none of their own */
    uint16_t vxlan_port;        /* 4789 */
    uint32_t vxlan_id;          /* 7400 + something of the cluster's own */
    const struct network_prefix
        *networks; /* all networks; containers of one reach each other only */
    size_t networks_n;
    const struct network_endpoint *endpoints;
    size_t endpoints_n;
    const struct network_peer *peers;
    size_t peers_n;
    const struct network_remote *remotes;
    size_t remotes_n;
    const struct network_publish *publishes;
    size_t publishes_n;
    const struct network_service *services;
    size_t services_n;
    const struct network_prefix *internals; /* those networks that lead nowhere else */
    size_t internals_n;
};

/* Whether the kernel has IPv6. Where it has none no network of it may be in a state. */
bool network_has_ipv6(void);

/* Make the kernel agree with @state: VXLAN device, gateway address, sysctls, veths and addresses in
 * each endpoint's namespace, routes, neighbours, rules and the nftables table. Reply traffic of a
 * connection that came through another member's published port goes back through that member, so
 * that containers see the client's own address.
 *
 * On error the rest was still tried; *err has the first. A row of @state that makes no sense is
 * left out and is such an error. Containers are not newly connected while the nftables table, which
 * keeps networks apart, cannot be put in place. A few ms when there is nothing to do. */
int network_apply(const struct network_state *state, struct err *err);

/* What an application leaves for the next one: how the kernel's rules were, so that of a thousand
 * services only the one that changed is told to it. */
struct network_memory;
struct network_memory *network_memory_new(void);
void network_memory_free(struct network_memory *memory);

/* As network_apply; and set @ret_connected[i] to whether the container of state->endpoints[i] is
 * connected, with the table that guards it in place. So that one whose namespace is gone does not
 * hold up the others. */
int network_apply_each(struct network_memory *memory, const struct network_state *state,
                       bool *ret_connected, struct err *err);

/* The size of the message that the last application changed the rules with; 0 when it changed none,
 * or all of them. */
size_t network_rules_bytes(const struct network_memory *memory);

/* The largest packet of a container, by the link that the last application found. */
uint32_t network_mtu(const struct network_memory *memory);

/* What rules of others, which the last application found, do to containers, and what to do about
 * it; "": nothing. Borrowed. */
const char *network_warning(const struct network_memory *memory);

/* Take everything of ours out of this namespace again. The ip_forward setting stays. */
int network_clear(struct err *err);

/* Make a network namespace with its loopback up, bind-mounted at @path (made with its folder). Fine
 * when it exists. */
int network_netns_create(const char *path, struct err *err);

/* Unmount and delete @path; the veth goes with the namespace's last process. A missing one is
 * fine. */
int network_netns_remove(const char *path, struct err *err);

/* The first global IPv4 address of this machine by the default route, else of any link. */
int network_default_address(struct in_addr *ret_address, struct err *err);

#endif
