/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netname - names, numbers and addresses of ours in the kernel's network, made here and nowhere
 * else.
 *
 * Pure.
 */
#ifndef WHERRY_RUNTIME_NETNAME_H
#define WHERRY_RUNTIME_NETNAME_H

#include "base/netip.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define NETNAME_TUNNEL      "wherry0" /* the VXLAN device */
#define NETNAME_PORT_PREFIX "wv"      /* host ends of veths: this and 8 hexadecimal digits */
#define NETNAME_INNER       "eth0"    /* the container's end */

enum {
    NETNAME_NAME = 16,            /* IFNAMSIZ */
    NETNAME_MAC = 6,              /* ETH_ALEN */
    NETNAME_PROTOCOL = 87,        /* of our routes and rules */
    NETNAME_RULE_PRIORITY = 8700, /* of our rules */
    NETNAME_MARK = 0x57480000,    /* + node id: reply through this peer; also the table's number */
    NETNAME_MARK_PLAIN = NETNAME_MARK,  /* no node has id 0: by plain routes where there are some */
    NETNAME_MARK_MEMBER = NETNAME_MARK, /* of a connection by IPv6: a member began it */
    NETNAME_MARK_MASK = 0xffff0000,
    NETNAME_TABLE_MAIN = 254,
    NETNAME_TABLE_LOCAL = 255,
};

/* The name of the host end for the container @id. */
void netname_port_name(const char *id, char out[NETNAME_NAME]);

/* True for names that netname_port_name makes. */
bool netname_is_port_name(const char *name);

/* The MAC of a member's VXLAN device. */
void netname_peer_mac(uint32_t id, uint8_t out[NETNAME_MAC]);

/* The next hop that stands for a member; its VXLAN device has this address. */
struct in_addr netname_peer_hop(uint32_t id);

/* The same for IPv6, "fd57:6865:7272:7900::ID": its loopback device has this address, which is what
 * containers see of the machine. */
struct in6_addr netname_peer_hop6(uint32_t id);

/* The MAC of every host end. */
extern const uint8_t netname_gateway_mac[NETNAME_MAC];

/* 169.254.1.1; and fe80::1. */
struct in_addr netname_gateway(void);
struct in6_addr netname_gateway6(void);

/* The MAC of a container's end. */
void netname_inner_mac(const char *id, uint8_t out[NETNAME_MAC]);

#endif
