/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netport - connect a container's namespace to this machine by a pair of veths.
 *
 * The host end's alias is "wherry ID INODE HASH": the container, the number of its namespace and a
 * hash of all that is set inside. It is written last. So one dump of the links tells which
 * containers are connected as they should be, and only the others are looked into.
 */
#ifndef WHERRY_RUNTIME_NETPORT_H
#define WHERRY_RUNTIME_NETPORT_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct net_port;
struct netdev;
struct netdevs;
struct netlink;

/* Connect @port, or correct its connection. @nl is a route socket of this machine's namespace,
 * @devs what it had, @link the one of them that has its address, or NULL. Nothing is done when all
 * is well. */
int netport_connect(struct netlink *nl, const struct netdevs *devs, const struct netdev *link,
                    const struct net_port *port, uint32_t mtu, struct err *err);

#endif
