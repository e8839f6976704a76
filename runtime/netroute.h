/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netroute - bring routes, neighbours, tunnel ends and rules of a namespace to what is wanted.
 *
 * Each function reads what the kernel has of ours (by route protocol, device or rule priority) and
 * asks for the difference only. The lists are sorted in place. Afterwards the requests have been
 * flushed; the first that failed is the error, the others were still done.
 */
#ifndef WHERRY_RUNTIME_NETROUTE_H
#define WHERRY_RUNTIME_NETROUTE_H

#include "runtime/netplan.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct netdevs;
struct netlink;

/* Routes of our protocol, in all tables. Those on a device that is not in @devs are left out.
 * *ret_lost, if not NULL, tells whether a route was dropped or leads elsewhere now. */
int netroute_sync(struct netlink *nl, const struct netdevs *devs, struct net_route *wanted,
                  size_t wanted_n, bool *ret_lost, struct err *err);

/* Fixed neighbours on our devices. */
int netroute_sync_neighbors(struct netlink *nl, const struct netdevs *devs,
                            struct net_neighbor *wanted, size_t wanted_n, struct err *err);

/* Read the machines whose MACs are known on link @dev, sorted by address. Free *@ret. */
int netroute_read_machines(struct netlink *nl, const struct netdevs *devs, const char *dev,
                           struct net_neighbor **ret, size_t *ret_n, struct err *err);

/* Ask for one fixed neighbour on link @index. */
void netroute_put_neighbor(struct netlink *nl, uint32_t index, const struct in6_addr *address,
                           const uint8_t mac[NETNAME_MAC]);

/* Forwarding entries of the VXLAN device. */
int netroute_sync_tunnels(struct netlink *nl, const struct netdevs *devs, struct net_tunnel *wanted,
                          size_t wanted_n, struct err *err);

/* Rules that send marked packets to the table of their mark. */
int netroute_sync_rules(struct netlink *nl, struct net_rule *wanted, size_t wanted_n,
                        struct err *err);

#endif
