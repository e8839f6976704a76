/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netport.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netdev.h"
#include "runtime/netlan.h"
#include "runtime/netlink.h"
#include "runtime/netns.h"
#include "runtime/netplan.h"
#include "runtime/netroute.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

enum {
    ALIAS_BYTES = 160, /* as in struct netdev */
    INNER_ROUTES = NETWORK_ENDPOINT_ADDRESSES + 3 + NETWORK_ENDPOINT_LANS,
};

/* The hash of what is set inside: addresses, their networks, MAC and MTU. */
static void settings_hash(const struct net_port *port, const struct netdevs *devs,
                          const struct netdev *link, uint32_t mtu, char out[17])
{
    cleanup_buf struct buf text = BUF_INIT;
    buf_put_u32(&text, mtu);
    buf_append(&text, port->mac, NETNAME_MAC);
    for (size_t i = 0; i < port->endpoint->addresses_n; i++) {
        const struct network_address *a = &port->endpoint->addresses[i];
        buf_append(&text, &a->address, sizeof(a->address));
        buf_append(&text, &a->network.address, sizeof(a->network.address));
        buf_putc(&text, (char)a->network.length);
    }
    netlan_put_settings(port, devs, link, &text);
    unsigned char digest[DIGEST_BYTES];
    digest_of(text.data, text.len, digest);
    hex_encode(digest, 8, out);
}

/* The first address of a family; NULL: none. */
static const struct in6_addr *first_address(const struct network_endpoint *endpoint, bool six)
{
    for (size_t i = 0; i < endpoint->addresses_n; i++)
        if (netip_is4(&endpoint->addresses[i].address) != six)
            return &endpoint->addresses[i].address;
    return NULL;
}

/* The routes of a container: the gateway on the link, each network by it with the address that the
 * network knows, all else by it from the first address of the family. Returns how many. */
static size_t inner_routes(const struct network_endpoint *endpoint,
                           struct net_route routes[INNER_ROUTES])
{
    const struct in6_addr gateways[] = {netip_from4(netname_gateway()), netname_gateway6()};
    const struct net_route base = {
        .table = NETNAME_TABLE_MAIN, .type = RTN_UNICAST, .dev = NETNAME_INNER};
    size_t n = 1;
    routes[0] = base;
    routes[0].prefix = netprefix_of(&gateways[0]);
    for (int six = 0; six < 2; six++) {
        const struct in6_addr *first = first_address(endpoint, six);
        if (!first)
            continue;
        struct net_route *all = &routes[n++];
        *all = base;
        all->prefix = netprefix_all(six);
        all->via = gateways[six];
        all->source = *first;
    }
    for (size_t i = 0; i < endpoint->addresses_n; i++) {
        struct net_route route = base;
        route.prefix = endpoint->addresses[i].network;
        route.via = gateways[!netip_is4(&endpoint->addresses[i].address)];
        route.source = endpoint->addresses[i].address;
        bool known = false;
        for (size_t j = 0; j < n; j++)
            known |= netplan_compare_routes(&routes[j], &route) == 0;
        if (!known) /* of two addresses in one network the first speaks */
            routes[n++] = route;
    }
    return n;
}

static bool wants_address(const struct network_endpoint *endpoint, const struct in6_addr *address)
{
    for (size_t i = 0; i < endpoint->addresses_n; i++)
        if (netip_equal(&endpoint->addresses[i].address, address))
            return true;
    return false;
}

static int inner_addresses(struct netlink *nl, uint32_t index,
                           const struct network_endpoint *endpoint, struct err *err)
{
    cleanup_netaddresses struct netaddresses present = {0};
    int rc = netaddresses_read(nl, &present, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < endpoint->addresses_n; i++)
        netdev_add_address(nl, index, &endpoint->addresses[i].address, RT_SCOPE_UNIVERSE);
    for (size_t i = 0; i < present.n; i++) {
        const struct netaddress *a = &present.list[i];
        if (a->index == index && (a->length != NETIP_BITS || !wants_address(endpoint, &a->address)))
            netdev_delete_address(nl, index, a);
    }
    return netlink_flush(nl, err);
}

/* Set up the container's end. The calling thread is in its namespace. */
static int inner_setup(const struct net_port *port, const struct netdev *link, uint32_t mtu,
                       struct err *err)
{
    cleanup_netlink struct netlink *nl = NULL;
    cleanup_netdevs struct netdevs devs = {0};
    int rc = netlink_open(NETLINK_ROUTE, &nl, err);
    if (rc == 0)
        rc = netdevs_read(nl, &devs, err);
    if (rc < 0)
        return rc;
    const struct netdev *lo = netdevs_by_name(&devs, "lo");
    const struct netdev *dev = netdevs_by_name(&devs, NETNAME_INNER);
    if (!dev)
        return err_set(err, ERR_NOTFOUND, "its namespace has no " NETNAME_INNER);
    if (lo && !lo->up)
        netdev_up(nl, "lo", lo->mtu);
    if (!dev->up)
        netdev_no_ipv6(nl, NETNAME_INNER);
    netdev_up(nl, NETNAME_INNER, mtu);
    const struct in6_addr gateway = netip_from4(netname_gateway()), gateway6 = netname_gateway6();
    netroute_put_neighbor(nl, dev->index, &gateway, netname_gateway_mac);
    if (first_address(port->endpoint, true)) {
        if ((rc = netdev_allow_ipv6(NETNAME_INNER, err)) < 0)
            return rc;
        netroute_put_neighbor(nl, dev->index, &gateway6, netname_gateway_mac);
    }
    rc = netlink_flush(nl, err);
    if (rc == 0)
        rc = inner_addresses(nl, dev->index, port->endpoint, err);
    if (rc == 0)
        rc = netlan_setup(nl, &devs, link, port, err);
    if (rc < 0)
        return rc;
    struct net_route routes[INNER_ROUTES];
    struct net_rule rules[NETWORK_ENDPOINT_ADDRESSES];
    size_t routes_n = netlan_routes(port, routes, inner_routes(port->endpoint, routes));
    rc = netroute_sync(nl, &devs, routes, routes_n, NULL, err);
    return rc < 0 ? rc : netroute_sync_rules(nl, rules, netlan_rules(port, rules), err);
}

static int create_pair(struct netlink *nl, const struct net_port *port, uint32_t mtu,
                       struct err *err)
{
    const char *path = port->endpoint->netns;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open network namespace %s", path);
    netdev_create_port(nl, port, fd, mtu);
    return netlink_flush(nl, err);
}

static int connect_port(struct netlink *nl, const struct netdevs *devs, const struct netdev *link,
                        const struct net_port *port, uint32_t mtu, struct err *err)
{
    const struct netdev *dev = netdevs_by_name(devs, port->name);
    ino_t inode;
    int rc = netns_inode(port->endpoint->netns, &inode, err);
    if (rc < 0)
        return rc;
    char hash[17];
    settings_hash(port, devs, link, mtu, hash);
    cleanup_free char *start =
        str_printf("wherry %.64s %llu ", port->endpoint->id, (unsigned long long)inode);
    cleanup_free char *alias = str_printf("%s%s", start, hash);
    check(strlen(alias) < ALIAS_BYTES);
    if (dev && strcmp(dev->alias, alias) == 0 && dev->up && dev->mtu == mtu)
        return 0;
    if (dev && !str_starts(dev->alias, start)) {
        /* Half made, or it leads to a namespace of before. */
        netdev_delete(nl, dev);
        dev = NULL;
    }
    if (!dev)
        rc = create_pair(nl, port, mtu, err);
    if (rc == 0 && first_address(port->endpoint, true))
        rc = netdev_allow_ipv6(port->name, err);
    if (rc == 0)
        rc = netlan_connect(nl, devs, link, port, err);
    if (rc < 0)
        return rc;
    int home;
    rc = netns_enter(port->endpoint->netns, &home, err);
    if (rc < 0)
        return rc;
    rc = inner_setup(port, link, mtu, err);
    netns_leave(home);
    if (rc < 0)
        return rc;
    netdev_finish_port(nl, port->name, mtu, alias);
    return netlink_flush(nl, err);
}

int netport_connect(struct netlink *nl, const struct netdevs *devs, const struct netdev *link,
                    const struct net_port *port, uint32_t mtu, struct err *err)
{
    int rc = connect_port(nl, devs, link, port, mtu, err);
    return rc < 0 ? err_wrap(err, "connect container %s", port->endpoint->id) : 0;
}
