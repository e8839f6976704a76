/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netlan.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/netdev.h"
#include "runtime/netlink.h"
#include "runtime/netns.h"
#include "runtime/netplan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    TABLE_VETH = NETNAME_MARK, /* inside a container: for its addresses by veth */
    LAN_ALIAS = 96,
};

static void lan_name(size_t i, char out[NETNAME_NAME])
{
    snprintf(out, NETNAME_NAME, "lan%u", (unsigned)i % 10);
}

/* A link made by us: "lan0" to "lan9". */
static bool is_lan(const struct netdev *dev)
{
    return strcmp(dev->kind, "macvlan") == 0 && strncmp(dev->name, "lan", 3) == 0 &&
           dev->name[3] >= '0' && dev->name[3] <= '9' && dev->name[4] == '\0';
}

static const struct netdev *parent_of(const struct network_lan *lan, const struct netdevs *devs,
                                      const struct netdev *link)
{
    return lan->parent[0] ? netdevs_by_name(devs, lan->parent) : link;
}

static const char *parent_name(const struct network_lan *lan, const struct netdev *link)
{
    return lan->parent[0] ? lan->parent : link ? link->name : "";
}

/* Of which link it is, and which address it has there. */
static void make_alias(const struct network_lan *lan, const struct netdev *link,
                       char out[LAN_ALIAS])
{
    char text[INET6_ADDRSTRLEN];
    snprintf(out, LAN_ALIAS, "wherry %.15s %s/%u", parent_name(lan, link),
             netip_text(&lan->address, text), netprefix_bits(&lan->prefix));
}

void netlan_put_settings(const struct net_port *port, const struct netdevs *devs,
                         const struct netdev *link, struct buf *out)
{
    for (size_t i = 0; i < port->endpoint->lans_n; i++) {
        const struct network_lan *lan = &port->endpoint->lans[i];
        const struct netdev *parent = parent_of(lan, devs, link);
        char alias[LAN_ALIAS];
        make_alias(lan, link, alias);
        buf_puts(out, alias);
        buf_put_u32(out, parent ? parent->index : 0); /* with its link a container's goes */
        buf_append(out, &lan->gateway, sizeof(lan->gateway));
    }
}

/* Delete the links inside that are not as they should be. */
static int drop_others(const struct network_endpoint *endpoint, const struct netdev *link,
                       bool present[NETWORK_ENDPOINT_LANS], struct err *err)
{
    cleanup_netlink struct netlink *nl = NULL;
    cleanup_netdevs struct netdevs inside = {0};
    int rc = netlink_open(NETLINK_ROUTE, &nl, err);
    if (rc == 0)
        rc = netdevs_read(nl, &inside, err);
    for (size_t i = 0; rc == 0 && i < inside.n; i++) {
        const struct netdev *dev = &inside.list[i];
        if (!is_lan(dev))
            continue;
        size_t k = (size_t)(dev->name[3] - '0');
        char alias[LAN_ALIAS] = "";
        if (k < endpoint->lans_n)
            make_alias(&endpoint->lans[k], link, alias);
        if (alias[0] && strcmp(dev->alias, alias) == 0)
            present[k] = true;
        else
            netdev_delete(nl, dev);
    }
    return rc < 0 ? rc : netlink_flush(nl, err);
}

static void create(struct netlink *nl, const struct netdev *parent, const struct network_lan *lan,
                   size_t i, int netns_fd)
{
    char name[NETNAME_NAME];
    const struct in_addr four = netip_to4(&lan->address);
    uint8_t mac[NETNAME_MAC] = {0x02, 0x57};
    lan_name(i, name);
    memcpy(mac + 2, &four, sizeof(four));
    netdev_create_macvlan(nl, name, parent, mac, netns_fd);
}

int netlan_connect(struct netlink *nl, const struct netdevs *devs, const struct netdev *link,
                   const struct net_port *port, struct err *err)
{
    const struct network_endpoint *endpoint = port->endpoint;
    bool present[NETWORK_ENDPOINT_LANS] = {false};
    int home;
    for (size_t i = 0; i < endpoint->lans_n; i++)
        if (!parent_of(&endpoint->lans[i], devs, link))
            return err_set(err, ERR_NOTFOUND, "this machine has no link %s",
                           parent_name(&endpoint->lans[i], link));
    int rc = netns_enter(endpoint->netns, &home, err);
    if (rc < 0)
        return rc;
    rc = drop_others(endpoint, link, present, err);
    netns_leave(home);
    cleanup_close int fd = rc == 0 ? open(endpoint->netns, O_RDONLY | O_CLOEXEC) : -1;
    if (rc == 0 && fd < 0)
        rc = err_errno(err, errno, "open network namespace %s", endpoint->netns);
    for (size_t i = 0; rc == 0 && i < endpoint->lans_n; i++)
        if (!present[i])
            create(nl, parent_of(&endpoint->lans[i], devs, link), &endpoint->lans[i], i, fd);
    return rc == 0 ? netlink_flush(nl, err) : rc;
}

int netlan_setup(struct netlink *nl, const struct netdevs *inside, const struct netdev *link,
                 const struct net_port *port, struct err *err)
{
    const struct network_endpoint *endpoint = port->endpoint;
    for (size_t i = 0; i < endpoint->lans_n; i++) {
        const struct network_lan *lan = &endpoint->lans[i];
        char name[NETNAME_NAME], alias[LAN_ALIAS];
        lan_name(i, name);
        make_alias(lan, link, alias);
        const struct netdev *dev = netdevs_by_name(inside, name);
        if (!dev)
            return err_set(err, ERR_NOTFOUND, "its namespace has no %s", name);
        if (strcmp(dev->alias, alias) == 0)
            continue;
        /* What comes up says where it is (arp_notify of the kernel's ip-sysctl). */
        cleanup_free char *notify = str_printf("/proc/sys/net/ipv4/conf/%s/arp_notify", name);
        if (file_write_kernel(notify, "1", err) < 0)
            return err->code;
        netdev_add_lan_address(nl, dev->index, &lan->address, netprefix_bits(&lan->prefix));
        netdev_up(nl, name, dev->mtu);
        netdev_set_alias(nl, name, alias);
    }
    /* Clients of the link that come by a published port are answered by another way than theirs. */
    if (endpoint->lans_n > 0 &&
        file_write_kernel("/proc/sys/net/ipv4/conf/" NETNAME_INNER "/rp_filter", "2", err) < 0)
        return err->code;
    return netlink_flush(nl, err);
}

/* The link that leads to all else; NULL: none does. */
static const struct network_lan *way_out(const struct network_endpoint *endpoint, size_t *ret_i)
{
    for (*ret_i = 0; *ret_i < endpoint->lans_n; (*ret_i)++)
        if (!netip_is_none(&endpoint->lans[*ret_i].gateway))
            return &endpoint->lans[*ret_i];
    return NULL;
}

size_t netlan_routes(const struct net_port *port, struct net_route *routes, size_t n)
{
    const struct network_prefix all = netprefix_all(false);
    size_t at;
    const struct network_lan *out = way_out(port->endpoint, &at);
    if (!out)
        return n;
    for (size_t i = 0; i < n; i++)
        if (routes[i].prefix.length == all.length &&
            netip_equal(&routes[i].prefix.address, &all.address))
            routes[i].table = TABLE_VETH;
    routes[n] = (struct net_route){.table = NETNAME_TABLE_MAIN,
                                   .type = RTN_UNICAST,
                                   .prefix = all,
                                   .via = out->gateway,
                                   .source = out->address};
    lan_name(at, routes[n].dev);
    return n + 1;
}

size_t netlan_rules(const struct net_port *port, struct net_rule *rules)
{
    size_t at, n = 0;
    if (!way_out(port->endpoint, &at))
        return 0;
    for (size_t i = 0; i < port->endpoint->addresses_n; i++)
        if (netip_is4(&port->endpoint->addresses[i].address))
            rules[n++] =
                (struct net_rule){.mark = TABLE_VETH, .from = port->endpoint->addresses[i].address};
    return n;
}
