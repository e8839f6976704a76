/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlan - put a container on a link of this machine as a machine of its own (macvlan).
 *
 * Its links there are "lan0", "lan1", … Their MACs are made of their addresses, so that neighbours
 * need not learn anew when a task with the same address follows another one, here or on another
 * machine; what the kernel then sends by itself tells switches where it is now. The links' aliases
 * say what they are made of. IPv6 is as the link's routers advertise it.
 */
#ifndef WHERRY_RUNTIME_NETLAN_H
#define WHERRY_RUNTIME_NETLAN_H

#include <stddef.h>

struct err;
struct net_port;
struct net_route;
struct net_rule;
struct netdev;
struct netdevs;
struct netlink;
struct buf;

/* What tells whether @port's links are as they should be: goes into its hash. @devs are this
 * machine's, @link is the one that has its address, or NULL. */
void netlan_put_settings(const struct net_port *port, const struct netdevs *devs,
                         const struct netdev *link, struct buf *out);

/* Make the links of @port, which has its namespace, and delete those that it no longer has. @nl is
 * a route socket of this machine. ERR_NOTFOUND: this machine has no such link. */
int netlan_connect(struct netlink *nl, const struct netdevs *devs, const struct netdev *link,
                   const struct net_port *port, struct err *err);

/* Set them up: addresses, and up. The calling thread is in the namespace, @nl is a socket of it,
 * and
 * @inside are its links. */
int netlan_setup(struct netlink *nl, const struct netdevs *inside, const struct netdev *link,
                 const struct net_port *port, struct err *err);

/* Add to the @n routes of a container those over its links, which lead to all else where one has a
 * gateway; then what has been its way there is one for its other addresses, by a table of its own.
 * Returns how many there are; there is room for NETWORK_ENDPOINT_LANS more. */
size_t netlan_routes(const struct net_port *port, struct net_route *routes, size_t n);

/* The rules that lead to that table: as many as it has addresses of IPv4 at most. */
size_t netlan_rules(const struct net_port *port, struct net_rule *rules);

#endif
