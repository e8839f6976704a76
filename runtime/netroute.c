/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netroute.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netdev.h"
#include "runtime/netdiff.h"
#include "runtime/netlink.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* What a dump gathers, and what the diff needs to turn an item into a request. */
struct sync {
    struct netlink *nl;
    const struct netdevs *devs;
    const char *dev; /* the one whose neighbours are read */
    uint8_t family;  /* that is being read … */
    size_t before;   /* … and what there was before */
    char *list;
    size_t n, size;
    bool lost; /* something present was dropped or replaced */
};

static void sync_add(struct sync *sync, const void *item)
{
    if ((sync->n & (sync->n - 1)) == 0)
        sync->list = mem_resize(sync->list, sync->n ? sync->n * 2 : 1, sync->size);
    memcpy(sync->list + sync->n++ * sync->size, item, sync->size);
}

static uint32_t dev_index(const struct sync *sync, const char *name)
{
    const struct netdev *dev = netdevs_by_name(sync->devs, name);
    return dev ? dev->index : 0;
}

/* Read with @cb what there is of a family, which every @header begins with. */
static int sync_read(struct sync *sync, netlink_dump_cb cb, uint16_t type, const void *header,
                     size_t header_len, struct err *err)
{
    sync->before = sync->n;
    memcpy(&sync->family, header, sizeof(sync->family));
    netlink_dump(sync->nl, type, header, header_len);
    return netlink_dump_run(sync->nl, cb, sync, err);
}

/* The same of IPv4, then of IPv6 where there is such a thing. */
static int sync_read_both(struct sync *sync, netlink_dump_cb cb, uint16_t type, void *header,
                          size_t header_len, struct err *err)
{
    *(uint8_t *)header = AF_INET;
    int rc = sync_read(sync, cb, type, header, header_len, err);
    *(uint8_t *)header = AF_INET6;
    if (rc == 0 && network_has_ipv6())
        rc = sync_read(sync, cb, type, header, header_len, err);
    return rc;
}

/* Behind reading, which went as @rc: bring it to what is wanted. */
static int sync_end(struct sync *sync, int rc, const struct netdiff *diff, void *wanted,
                    size_t wanted_n, struct err *err)
{
    if (rc == 0) {
        netdiff_run(diff, wanted, wanted_n, sync->list, sync->n, sync);
        rc = netlink_flush(sync->nl, err);
    }
    free(sync->list);
    return rc;
}

static int on_metric(const struct nlattr *attr, void *arg)
{
    if (mnl_attr_get_type(attr) == RTAX_MTU)
        *(uint32_t *)arg = netlink_u32(attr);
    return MNL_CB_OK;
}

static void on_route(const struct nlmsghdr *msg, void *arg)
{
    struct sync *sync = arg;
    if (!msg) {
        sync->n = sync->before;
        return;
    }
    const struct rtmsg *info = mnl_nlmsg_get_payload(msg);
    if (msg->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(msg) < sizeof(*info) ||
        info->rtm_family != sync->family || info->rtm_protocol != NETNAME_PROTOCOL)
        return;
    const struct nlattr *attrs[RTA_TABLE + 1];
    netlink_attributes(msg, sizeof(*info), attrs, RTA_TABLE);
    struct net_route route = {.table = info->rtm_table, .type = info->rtm_type};
    if (attrs[RTA_TABLE])
        route.table = netlink_u32(attrs[RTA_TABLE]);
    route.prefix = netprefix_all(sync->family == AF_INET6);
    route.prefix.length += info->rtm_dst_len;
    netlink_address(attrs[RTA_DST], &route.prefix.address);
    netlink_address(attrs[RTA_GATEWAY], &route.via);
    netlink_address(attrs[RTA_PREFSRC], &route.source);
    if (attrs[RTA_METRICS])
        mnl_attr_parse_nested(attrs[RTA_METRICS], on_metric, &route.mtu);
    const struct netdev *dev = netdevs_by_index(sync->devs, netlink_u32(attrs[RTA_OIF]));
    if (dev && route.type != RTN_UNREACHABLE)
        str_fill(route.dev, sizeof(route.dev), dev->name);
    sync_add(sync, &route);
}

static bool same_route(const void *a, const void *b)
{
    const struct net_route *x = a, *y = b;
    return x->type == y->type && strcmp(x->dev, y->dev) == 0 && netip_equal(&x->via, &y->via) &&
           netip_equal(&x->source, &y->source) && x->mtu == y->mtu;
}

static struct nlmsghdr *route_request(struct sync *sync, uint16_t type, uint16_t flags,
                                      const struct net_route *route)
{
    char text[INET6_ADDRSTRLEN];
    bool onlink = !netip_is_none(&route->via);
    struct rtmsg info = {
        .rtm_family = netprefix_is4(&route->prefix) ? AF_INET : AF_INET6,
        .rtm_dst_len = (uint8_t)netprefix_bits(&route->prefix),
        .rtm_table = RT_TABLE_UNSPEC,
        .rtm_protocol = NETNAME_PROTOCOL,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = route->type,
    };
    if (type == RTM_DELROUTE)
        info.rtm_scope = RT_SCOPE_NOWHERE; /* any */
    else if (route->type == RTN_LOCAL)
        info.rtm_scope = RT_SCOPE_HOST;
    else if (route->type == RTN_UNICAST && !onlink)
        info.rtm_scope = RT_SCOPE_LINK;
    if (type == RTM_NEWROUTE && onlink)
        info.rtm_flags = RTNH_F_ONLINK;
    struct nlmsghdr *msg =
        netlink_request(sync->nl, type, flags, &info, sizeof(info), "route to %s/%u",
                        netip_text(&route->prefix.address, text), netprefix_bits(&route->prefix));
    if (netprefix_bits(&route->prefix))
        netlink_put_address(msg, RTA_DST, &route->prefix.address);
    mnl_attr_put_u32(msg, RTA_TABLE, route->table);
    return msg;
}

static void put_route(void *ctx, const void *wanted, const void *present)
{
    struct sync *sync = ctx;
    const struct net_route *route = wanted;
    uint32_t index = route->dev[0] ? dev_index(sync, route->dev) : 0;
    if (route->dev[0] && !index)
        return; /* its device could not be made, which was told */
    /* Another's route to the same place must not be replaced. */
    uint16_t flags = present ? NLM_F_CREATE | NLM_F_REPLACE : NLM_F_CREATE | NLM_F_EXCL;
    sync->lost |= present != NULL;
    struct nlmsghdr *msg = route_request(sync, RTM_NEWROUTE, flags, route);
    if (index)
        mnl_attr_put_u32(msg, RTA_OIF, index);
    if (!netip_is_none(&route->via))
        netlink_put_address(msg, RTA_GATEWAY, &route->via);
    if (!netip_is_none(&route->source))
        netlink_put_address(msg, RTA_PREFSRC, &route->source);
    if (route->mtu) {
        struct nlattr *metrics = mnl_attr_nest_start(msg, RTA_METRICS);
        mnl_attr_put_u32(msg, RTAX_MTU, route->mtu);
        mnl_attr_nest_end(msg, metrics);
    }
}

static void drop_route(void *ctx, const void *present)
{
    struct sync *sync = ctx;
    sync->lost = true;
    route_request(ctx, RTM_DELROUTE, 0, present);
}

int netroute_sync(struct netlink *nl, const struct netdevs *devs, struct net_route *wanted,
                  size_t wanted_n, bool *ret_lost, struct err *err)
{
    static const struct netdiff diff = {.size = sizeof(struct net_route),
                                        .compare = netplan_compare_routes,
                                        .same = same_route,
                                        .put = put_route,
                                        .drop = drop_route};
    struct sync sync = {.nl = nl, .devs = devs, .size = sizeof(struct net_route)};
    struct rtmsg info = {.rtm_protocol = NETNAME_PROTOCOL};
    int rc = sync_read_both(&sync, on_route, RTM_GETROUTE, &info, sizeof(info), err);
    rc = sync_end(&sync, rc, &diff, wanted, wanted_n, err);
    if (ret_lost)
        *ret_lost = sync.lost;
    return rc;
}

/* True for devices whose fixed neighbours are ours. */
static bool is_ours(const char *dev)
{
    return strcmp(dev, NETNAME_TUNNEL) == 0 || netname_is_port_name(dev);
}

/* A neighbour with a MAC; false when @msg is none. */
static bool read_neighbor(const struct sync *sync, const struct nlmsghdr *msg, uint16_t states,
                          struct net_neighbor *ret)
{
    const struct ndmsg *info = mnl_nlmsg_get_payload(msg);
    if (msg->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(msg) < sizeof(*info) ||
        info->ndm_family != sync->family || !(info->ndm_state & states))
        return false;
    const struct netdev *dev = netdevs_by_index(sync->devs, (uint32_t)info->ndm_ifindex);
    const struct nlattr *attrs[NDA_LLADDR + 1];
    netlink_attributes(msg, sizeof(*info), attrs, NDA_LLADDR);
    *ret = (struct net_neighbor){0};
    if (!dev || !netlink_address(attrs[NDA_DST], &ret->address) ||
        !netlink_bytes(attrs[NDA_LLADDR], ret->mac, sizeof(ret->mac)))
        return false;
    str_fill(ret->dev, sizeof(ret->dev), dev->name);
    return true;
}

static void on_neighbor(const struct nlmsghdr *msg, void *arg)
{
    struct sync *sync = arg;
    struct net_neighbor neighbor;
    if (!msg)
        sync->n = sync->before;
    else if (read_neighbor(sync, msg, NUD_PERMANENT, &neighbor) && is_ours(neighbor.dev))
        sync_add(sync, &neighbor);
}

static void on_machine(const struct nlmsghdr *msg, void *arg)
{
    const uint16_t states = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
    struct sync *sync = arg;
    struct net_neighbor neighbor;
    if (!msg)
        sync->n = sync->before;
    else if (read_neighbor(sync, msg, states, &neighbor) && strcmp(neighbor.dev, sync->dev) == 0)
        sync_add(sync, &neighbor);
}

int netroute_read_machines(struct netlink *nl, const struct netdevs *devs, const char *dev,
                           struct net_neighbor **ret, size_t *ret_n, struct err *err)
{
    struct sync sync = {.nl = nl, .devs = devs, .size = sizeof(struct net_neighbor), .dev = dev};
    const struct ndmsg info = {.ndm_family = AF_INET};
    int rc = sync_read(&sync, on_machine, RTM_GETNEIGH, &info, sizeof(info), err);
    if (sync.n)
        qsort(sync.list, sync.n, sync.size, netplan_compare_neighbors);
    *ret = (struct net_neighbor *)(void *)sync.list;
    *ret_n = rc < 0 ? 0 : sync.n;
    return rc;
}

static bool same_neighbor(const void *a, const void *b)
{
    const struct net_neighbor *x = a, *y = b;
    return memcmp(x->mac, y->mac, NETNAME_MAC) == 0;
}

static void neighbor_request(struct netlink *nl, uint16_t type, uint32_t index,
                             const struct in6_addr *address, const uint8_t mac[NETNAME_MAC])
{
    char text[INET6_ADDRSTRLEN];
    const struct ndmsg info = {.ndm_family = netip_is4(address) ? AF_INET : AF_INET6,
                               .ndm_ifindex = (int)index,
                               .ndm_state = NUD_PERMANENT};
    uint16_t flags = type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0;
    struct nlmsghdr *msg = netlink_request(nl, type, flags, &info, sizeof(info), "neighbour %s",
                                           netip_text(address, text));
    netlink_put_address(msg, NDA_DST, address);
    mnl_attr_put(msg, NDA_LLADDR, NETNAME_MAC, mac);
}

void netroute_put_neighbor(struct netlink *nl, uint32_t index, const struct in6_addr *address,
                           const uint8_t mac[NETNAME_MAC])
{
    neighbor_request(nl, RTM_NEWNEIGH, index, address, mac);
}

static void sync_neighbor(struct sync *sync, uint16_t type, const struct net_neighbor *neighbor)
{
    uint32_t index = dev_index(sync, neighbor->dev);
    if (index) /* else its device could not be made, which was told */
        neighbor_request(sync->nl, type, index, &neighbor->address, neighbor->mac);
}

static void put_neighbor(void *ctx, const void *wanted, const void *present)
{
    (void)present;
    sync_neighbor(ctx, RTM_NEWNEIGH, wanted);
}

static void drop_neighbor(void *ctx, const void *present)
{
    sync_neighbor(ctx, RTM_DELNEIGH, present);
}

int netroute_sync_neighbors(struct netlink *nl, const struct netdevs *devs,
                            struct net_neighbor *wanted, size_t wanted_n, struct err *err)
{
    static const struct netdiff diff = {.size = sizeof(struct net_neighbor),
                                        .compare = netplan_compare_neighbors,
                                        .same = same_neighbor,
                                        .put = put_neighbor,
                                        .drop = drop_neighbor};
    struct sync sync = {.nl = nl, .devs = devs, .size = sizeof(struct net_neighbor)};
    struct ndmsg info = {0};
    int rc = sync_read_both(&sync, on_neighbor, RTM_GETNEIGH, &info, sizeof(info), err);
    return sync_end(&sync, rc, &diff, wanted, wanted_n, err);
}

static void on_tunnel(const struct nlmsghdr *msg, void *arg)
{
    struct sync *sync = arg;
    if (!msg) {
        sync->n = sync->before;
        return;
    }
    const struct ndmsg *info = mnl_nlmsg_get_payload(msg);
    if (msg->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(msg) < sizeof(*info) ||
        (uint32_t)info->ndm_ifindex != dev_index(sync, NETNAME_TUNNEL))
        return;
    const struct nlattr *attrs[NDA_LLADDR + 1];
    netlink_attributes(msg, sizeof(*info), attrs, NDA_LLADDR);
    struct net_tunnel tunnel = {0};
    if (netlink_bytes(attrs[NDA_DST], &tunnel.underlay, sizeof(tunnel.underlay)) &&
        netlink_bytes(attrs[NDA_LLADDR], tunnel.mac, sizeof(tunnel.mac)))
        sync_add(sync, &tunnel);
}

static bool same_tunnel(const void *a, const void *b)
{
    const struct net_tunnel *x = a, *y = b;
    return x->underlay.s_addr == y->underlay.s_addr;
}

static void tunnel_request(struct sync *sync, uint16_t type, const struct net_tunnel *tunnel)
{
    char text[INET6_ADDRSTRLEN];
    const struct in6_addr there = netip_from4(tunnel->underlay);
    uint32_t index = dev_index(sync, NETNAME_TUNNEL);
    if (!index)
        return; /* its device could not be made, which was told */
    const struct ndmsg info = {.ndm_family = AF_BRIDGE,
                               .ndm_ifindex = (int)index,
                               .ndm_state = NUD_PERMANENT | NUD_NOARP,
                               .ndm_flags = NTF_SELF};
    uint16_t flags = type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0;
    struct nlmsghdr *msg = netlink_request(sync->nl, type, flags, &info, sizeof(info),
                                           "tunnel to %s", netip_text(&there, text));
    mnl_attr_put(msg, NDA_LLADDR, NETNAME_MAC, tunnel->mac);
    mnl_attr_put(msg, NDA_DST, sizeof(tunnel->underlay), &tunnel->underlay);
}

static void put_tunnel(void *ctx, const void *wanted, const void *present)
{
    (void)present;
    tunnel_request(ctx, RTM_NEWNEIGH, wanted);
}

static void drop_tunnel(void *ctx, const void *present)
{
    tunnel_request(ctx, RTM_DELNEIGH, present);
}

int netroute_sync_tunnels(struct netlink *nl, const struct netdevs *devs, struct net_tunnel *wanted,
                          size_t wanted_n, struct err *err)
{
    static const struct netdiff diff = {.size = sizeof(struct net_tunnel),
                                        .compare = netplan_compare_tunnels,
                                        .same = same_tunnel,
                                        .put = put_tunnel,
                                        .drop = drop_tunnel};
    struct sync sync = {.nl = nl, .devs = devs, .size = sizeof(struct net_tunnel)};
    const struct ndmsg info = {.ndm_family = AF_BRIDGE};
    int rc = sync_read(&sync, on_tunnel, RTM_GETNEIGH, &info, sizeof(info), err);
    return sync_end(&sync, rc, &diff, wanted, wanted_n, err);
}

static void on_rule(const struct nlmsghdr *msg, void *arg)
{
    struct sync *sync = arg;
    if (!msg) {
        sync->n = sync->before;
        return;
    }
    const struct fib_rule_hdr *info = mnl_nlmsg_get_payload(msg);
    if (msg->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(msg) < sizeof(*info))
        return;
    const struct nlattr *attrs[FRA_PROTOCOL + 1];
    netlink_attributes(msg, sizeof(*info), attrs, FRA_PROTOCOL);
    uint8_t protocol = 0;
    netlink_bytes(attrs[FRA_PROTOCOL], &protocol, sizeof(protocol));
    if (netlink_u32(attrs[FRA_PRIORITY]) != NETNAME_RULE_PRIORITY || protocol != NETNAME_PROTOCOL)
        return;
    struct net_rule rule = {.six = sync->family == AF_INET6, .mark = netlink_u32(attrs[FRA_TABLE])};
    netlink_address(attrs[FRA_SRC], &rule.from);
    sync_add(sync, &rule);
}

static void rule_request(struct sync *sync, uint16_t type, const struct net_rule *rule)
{
    const bool source = !netip_is_none(&rule->from);
    const struct fib_rule_hdr info = {.family = rule->six ? AF_INET6 : AF_INET,
                                      .src_len = !source     ? 0
                                                 : rule->six ? 128
                                                             : 32,
                                      .action = FR_ACT_TO_TBL};
    uint16_t flags = type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0;
    struct nlmsghdr *msg = netlink_request(sync->nl, type, flags, &info, sizeof(info),
                                           "routing rule for mark %#x", rule->mark);
    mnl_attr_put_u32(msg, FRA_PRIORITY, NETNAME_RULE_PRIORITY);
    mnl_attr_put_u8(msg, FRA_PROTOCOL, NETNAME_PROTOCOL);
    if (source)
        netlink_put_address(msg, FRA_SRC, &rule->from);
    else
        mnl_attr_put_u32(msg, FRA_FWMARK, rule->mark);
    mnl_attr_put_u32(msg, FRA_TABLE, rule->mark);
}

static void put_rule(void *ctx, const void *wanted, const void *present)
{
    (void)present;
    rule_request(ctx, RTM_NEWRULE, wanted);
}

static void drop_rule(void *ctx, const void *present)
{
    rule_request(ctx, RTM_DELRULE, present);
}

int netroute_sync_rules(struct netlink *nl, struct net_rule *wanted, size_t wanted_n,
                        struct err *err)
{
    static const struct netdiff diff = {.size = sizeof(struct net_rule),
                                        .compare = netplan_compare_rules,
                                        .put = put_rule,
                                        .drop = drop_rule};
    struct sync sync = {.nl = nl, .size = sizeof(struct net_rule)};
    struct fib_rule_hdr info = {0};
    int rc = sync_read_both(&sync, on_rule, RTM_GETRULE, &info, sizeof(info), err);
    return sync_end(&sync, rc, &diff, wanted, wanted_n, err);
}
