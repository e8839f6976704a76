/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netdev.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/netlink.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum {
    RP_FILTER_LOOSE = 2,
    ADDR_GEN_NONE = 1, /* IN6_ADDR_GEN_MODE_NONE */
};

/* Copy the text of an attribute, cut to fit. */
static void read_text(const struct nlattr *attr, char *out, size_t size)
{
    if (attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
        str_fill(out, size, mnl_attr_get_str(attr));
}

/* One of the link's IPv4 settings. */
static uint32_t devconf(const struct nlattr *af_spec, unsigned number)
{
    const struct nlattr *families[AF_INET + 1], *inet[IFLA_INET_CONF + 1];
    netlink_nested(af_spec, families, AF_INET);
    netlink_nested(families[AF_INET], inet, IFLA_INET_CONF);
    const struct nlattr *conf = inet[IFLA_INET_CONF];
    /* In answers it is an array of 32-bit values, the first has number 1. */
    if (!conf || mnl_attr_get_payload_len(conf) < number * sizeof(uint32_t))
        return 0;
    uint32_t value;
    memcpy(&value, (const char *)mnl_attr_get_payload(conf) + (number - 1) * sizeof(value),
           sizeof(value));
    return value;
}

static void read_vxlan(const struct nlattr *data, struct netdev *dev)
{
    const struct nlattr *attrs[IFLA_VXLAN_PORT + 1];
    netlink_nested(data, attrs, IFLA_VXLAN_PORT);
    uint16_t port = 0;
    dev->vxlan_id = netlink_u32(attrs[IFLA_VXLAN_ID]);
    netlink_bytes(attrs[IFLA_VXLAN_LOCAL], &dev->vxlan_local, sizeof(dev->vxlan_local));
    netlink_bytes(attrs[IFLA_VXLAN_PORT], &port, sizeof(port));
    dev->vxlan_port = ntohs(port);
}

static void on_link(const struct nlmsghdr *msg, void *arg)
{
    struct netdevs *devs = arg;
    if (!msg) {
        devs->n = 0;
        return;
    }
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(msg);
    if (msg->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(msg) < sizeof(*info))
        return;
    const struct nlattr *attrs[IFLA_AF_SPEC + 1], *link[IFLA_INFO_DATA + 1];
    netlink_attributes(msg, sizeof(*info), attrs, IFLA_AF_SPEC);
    netlink_nested(attrs[IFLA_LINKINFO], link, IFLA_INFO_DATA);
    struct netdev dev = {.index = (uint32_t)info->ifi_index, .up = info->ifi_flags & IFF_UP};
    read_text(attrs[IFLA_IFNAME], dev.name, sizeof(dev.name));
    read_text(attrs[IFLA_IFALIAS], dev.alias, sizeof(dev.alias));
    read_text(link[IFLA_INFO_KIND], dev.kind, sizeof(dev.kind));
    dev.mtu = netlink_u32(attrs[IFLA_MTU]);
    netlink_bytes(attrs[IFLA_ADDRESS], dev.mac, sizeof(dev.mac));
    dev.route_localnet = devconf(attrs[IFLA_AF_SPEC], IPV4_DEVCONF_ROUTE_LOCALNET);
    dev.rp_filter = devconf(attrs[IFLA_AF_SPEC], IPV4_DEVCONF_RP_FILTER);
    if (strcmp(dev.kind, "vxlan") == 0)
        read_vxlan(link[IFLA_INFO_DATA], &dev);
    if ((devs->n & (devs->n - 1)) == 0) /* grow at powers of two */
        devs->list = mem_resize(devs->list, devs->n ? devs->n * 2 : 1, sizeof(dev));
    devs->list[devs->n++] = dev;
}

static int compare_index(const void *a, const void *b)
{
    const struct netdev *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

int netdevs_read(struct netlink *nl, struct netdevs *ret, struct err *err)
{
    struct netdevs devs = {0};
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct nlmsghdr *msg = netlink_dump(nl, RTM_GETLINK, &info, sizeof(info));
    mnl_attr_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    int rc = netlink_dump_run(nl, on_link, &devs, err);
    if (rc < 0) {
        netdevs_release(&devs);
        return rc;
    }
    if (devs.n)
        qsort(devs.list, devs.n, sizeof(*devs.list), compare_index);
    *ret = devs;
    return 0;
}

void netdevs_release(struct netdevs *devs)
{
    free(devs->list);
    *devs = (struct netdevs){0};
}

const struct netdev *netdevs_by_name(const struct netdevs *devs, const char *name)
{
    for (size_t i = 0; i < devs->n; i++)
        if (strcmp(devs->list[i].name, name) == 0)
            return &devs->list[i];
    return NULL;
}

const struct netdev *netdevs_by_index(const struct netdevs *devs, uint32_t index)
{
    const struct netdev key = {.index = index};
    return devs->n ? bsearch(&key, devs->list, devs->n, sizeof(key), compare_index) : NULL;
}

static void on_address(const struct nlmsghdr *msg, void *arg)
{
    struct netaddresses *addresses = arg;
    if (!msg) {
        addresses->n = 0;
        return;
    }
    const struct ifaddrmsg *info = mnl_nlmsg_get_payload(msg);
    if (msg->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(msg) < sizeof(*info))
        return;
    const struct nlattr *attrs[IFA_LOCAL + 1];
    netlink_attributes(msg, sizeof(*info), attrs, IFA_LOCAL);
    struct netaddress a = {
        .index = info->ifa_index, .length = info->ifa_prefixlen, .scope = info->ifa_scope};
    if (!netlink_address(attrs[attrs[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS], &a.address))
        return;
    if (netip_is4(&a.address))
        a.length += NETIP_4_BITS;
    if ((addresses->n & (addresses->n - 1)) == 0)
        addresses->list =
            mem_resize(addresses->list, addresses->n ? addresses->n * 2 : 1, sizeof(a));
    addresses->list[addresses->n++] = a;
}

int netaddresses_read(struct netlink *nl, struct netaddresses *ret, struct err *err)
{
    struct netaddresses addresses = {0};
    const struct ifaddrmsg info = {.ifa_family = AF_UNSPEC};
    netlink_dump(nl, RTM_GETADDR, &info, sizeof(info));
    int rc = netlink_dump_run(nl, on_address, &addresses, err);
    if (rc < 0) {
        netaddresses_release(&addresses);
        return rc;
    }
    *ret = addresses;
    return 0;
}

void netaddresses_release(struct netaddresses *addresses)
{
    free(addresses->list);
    *addresses = (struct netaddresses){0};
}

static void put_address(struct netlink *nl, uint16_t type, uint16_t flags, uint32_t index,
                        const struct netaddress *a)
{
    char text[INET6_ADDRSTRLEN];
    bool six = !netip_is4(&a->address);
    const struct ifaddrmsg info = {.ifa_family = six ? AF_INET6 : AF_INET,
                                   .ifa_prefixlen = six ? a->length : a->length - NETIP_4_BITS,
                                   .ifa_scope = six ? RT_SCOPE_UNIVERSE : a->scope,
                                   .ifa_index = index};
    struct nlmsghdr *msg = netlink_request(nl, type, flags, &info, sizeof(info), "address %s",
                                           netip_text(&a->address, text));
    netlink_put_address(msg, IFA_LOCAL, &a->address);
    netlink_put_address(msg, IFA_ADDRESS, &a->address);
    if (six && type == RTM_NEWADDR) {
        /* Nobody else has it, which needs no time to be found out (RFC 4862, section 5.4). */
        const struct ifa_cacheinfo life = {.ifa_valid = UINT32_MAX,
                                           .ifa_prefered =
                                               a->scope == RT_SCOPE_UNIVERSE ? UINT32_MAX : 0};
        mnl_attr_put_u32(msg, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
        mnl_attr_put(msg, IFA_CACHEINFO, sizeof(life), &life);
    }
}

void netdev_add_address(struct netlink *nl, uint32_t index, const struct in6_addr *address,
                        uint8_t scope)
{
    const struct netaddress a = {.address = *address, .length = NETIP_BITS, .scope = scope};
    put_address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, &a);
}

void netdev_delete_address(struct netlink *nl, uint32_t index, const struct netaddress *address)
{
    put_address(nl, RTM_DELADDR, 0, index, address);
}

/* A request about link @name. */
static struct nlmsghdr *link_request(struct netlink *nl, uint16_t flags, bool up, const char *name)
{
    const struct ifinfomsg info = {
        .ifi_family = AF_UNSPEC, .ifi_flags = up ? IFF_UP : 0, .ifi_change = up ? IFF_UP : 0};
    struct nlmsghdr *msg =
        netlink_request(nl, RTM_NEWLINK, flags, &info, sizeof(info), "link %s", name);
    mnl_attr_put_strz(msg, IFLA_IFNAME, name);
    return msg;
}

/* Ask for IPv4 settings of link @name: packets of 127.0.0.0/8 may be routed over it (those that
 * came in from outside are dropped by our table), and how strictly sources are checked. */
static void put_devconf(struct netlink *nl, const char *name, uint32_t rp_filter)
{
    struct nlmsghdr *msg = link_request(nl, 0, false, name);
    struct nlattr *spec = mnl_attr_nest_start(msg, IFLA_AF_SPEC);
    struct nlattr *inet = mnl_attr_nest_start(msg, AF_INET);
    struct nlattr *conf = mnl_attr_nest_start(msg, IFLA_INET_CONF);
    mnl_attr_put_u32(msg, IPV4_DEVCONF_ROUTE_LOCALNET, 1);
    mnl_attr_put_u32(msg, IPV4_DEVCONF_RP_FILTER, rp_filter);
    mnl_attr_nest_end(msg, conf);
    mnl_attr_nest_end(msg, inet);
    mnl_attr_nest_end(msg, spec);
}

void netdev_no_ipv6(struct netlink *nl, const char *name)
{
    struct nlmsghdr *msg = link_request(nl, 0, false, name);
    struct nlattr *spec = mnl_attr_nest_start(msg, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(msg, AF_INET6);
    mnl_attr_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE);
    mnl_attr_nest_end(msg, inet6);
    mnl_attr_nest_end(msg, spec);
    netlink_optional(nl);
}

int netdev_allow_ipv6(const char *name, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_free char *path = str_printf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    int rc = file_read(path, 64, &text, err);
    if (rc == 0 && text.len && text.data[0] != '0')
        rc = file_write_kernel(path, "0", err);
    return rc;
}

static void create_tunnel(struct netlink *nl, const struct netplan *plan, uint32_t mtu)
{
    const struct network_state *state = plan->state;
    uint8_t mac[NETNAME_MAC];
    netname_peer_mac(state->node_id, mac);
    struct nlmsghdr *msg = link_request(nl, NLM_F_CREATE | NLM_F_EXCL, false, NETNAME_TUNNEL);
    mnl_attr_put(msg, IFLA_ADDRESS, sizeof(mac), mac);
    mnl_attr_put_u32(msg, IFLA_MTU, mtu);
    struct nlattr *link = mnl_attr_nest_start(msg, IFLA_LINKINFO);
    mnl_attr_put_strz(msg, IFLA_INFO_KIND, "vxlan");
    struct nlattr *data = mnl_attr_nest_start(msg, IFLA_INFO_DATA);
    mnl_attr_put_u32(msg, IFLA_VXLAN_ID, state->vxlan_id);
    mnl_attr_put(msg, IFLA_VXLAN_LOCAL, sizeof(state->underlay), &state->underlay);
    mnl_attr_put_u16(msg, IFLA_VXLAN_PORT, htons(state->vxlan_port));
    mnl_attr_put_u8(msg, IFLA_VXLAN_LEARNING, 0);
    mnl_attr_nest_end(msg, data);
    mnl_attr_nest_end(msg, link);
}

static bool tunnel_fits(const struct netdev *dev, const struct netplan *plan)
{
    uint8_t mac[NETNAME_MAC];
    netname_peer_mac(plan->state->node_id, mac);
    return strcmp(dev->kind, "vxlan") == 0 && dev->vxlan_id == plan->state->vxlan_id &&
           dev->vxlan_port == plan->state->vxlan_port &&
           dev->vxlan_local.s_addr == plan->state->underlay.s_addr &&
           memcmp(dev->mac, mac, sizeof(mac)) == 0;
}

int netdev_ensure_tunnel(struct netlink *nl, const struct netdevs *devs, const struct netplan *plan,
                         uint32_t mtu, bool strict, struct err *err)
{
    const struct netdev *dev = netdevs_by_name(devs, NETNAME_TUNNEL);
    if (dev && (!plan->tunnelled || !tunnel_fits(dev, plan))) {
        netdev_delete(nl, dev);
        dev = NULL;
    }
    uint32_t rp_filter = strict ? RP_FILTER_LOOSE : 0;
    if (plan->tunnelled && !dev) {
        create_tunnel(nl, plan, mtu);
        netdev_no_ipv6(nl, NETNAME_TUNNEL);
    }
    if (plan->tunnelled && (!dev || !dev->route_localnet || dev->rp_filter != rp_filter))
        put_devconf(nl, NETNAME_TUNNEL, rp_filter);
    if (plan->tunnelled && (!dev || !dev->up || dev->mtu != mtu))
        netdev_up(nl, NETNAME_TUNNEL, mtu);
    return netlink_flush(nl, err);
}

void netdev_create_port(struct netlink *nl, const struct net_port *port, int netns_fd, uint32_t mtu)
{
    struct nlmsghdr *msg = link_request(nl, NLM_F_CREATE | NLM_F_EXCL, false, port->name);
    mnl_attr_put(msg, IFLA_ADDRESS, NETNAME_MAC, netname_gateway_mac);
    mnl_attr_put_u32(msg, IFLA_MTU, mtu);
    struct nlattr *link = mnl_attr_nest_start(msg, IFLA_LINKINFO);
    mnl_attr_put_strz(msg, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(msg, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(msg, VETH_INFO_PEER);
    struct ifinfomsg *info = mnl_nlmsg_get_payload_tail(msg);
    *info = (struct ifinfomsg){.ifi_family = AF_UNSPEC};
    msg->nlmsg_len += (uint32_t)sizeof(*info);
    mnl_attr_put_strz(msg, IFLA_IFNAME, NETNAME_INNER);
    mnl_attr_put(msg, IFLA_ADDRESS, NETNAME_MAC, port->mac);
    mnl_attr_put_u32(msg, IFLA_MTU, mtu);
    mnl_attr_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)netns_fd);
    mnl_attr_nest_end(msg, peer);
    mnl_attr_nest_end(msg, data);
    mnl_attr_nest_end(msg, link);
}

void netdev_create_macvlan(struct netlink *nl, const char *name, const struct netdev *parent,
                           const uint8_t mac[NETNAME_MAC], int netns_fd)
{
    struct nlmsghdr *msg = link_request(nl, NLM_F_CREATE | NLM_F_EXCL, false, name);
    mnl_attr_put_u32(msg, IFLA_LINK, parent->index);
    mnl_attr_put(msg, IFLA_ADDRESS, NETNAME_MAC, mac);
    mnl_attr_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)netns_fd);
    struct nlattr *link = mnl_attr_nest_start(msg, IFLA_LINKINFO);
    mnl_attr_put_strz(msg, IFLA_INFO_KIND, "macvlan");
    struct nlattr *data = mnl_attr_nest_start(msg, IFLA_INFO_DATA);
    mnl_attr_put_u32(msg, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
    mnl_attr_nest_end(msg, data);
    mnl_attr_nest_end(msg, link);
}

void netdev_add_lan_address(struct netlink *nl, uint32_t index, const struct in6_addr *address,
                            unsigned length)
{
    char text[INET6_ADDRSTRLEN];
    const struct ifaddrmsg info = {
        .ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)length, .ifa_index = index};
    struct nlmsghdr *msg = netlink_request(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &info,
                                           sizeof(info), "address %s", netip_text(address, text));
    const struct in_addr four = netip_to4(address);
    const struct in_addr broadcast = {four.s_addr | htonl((uint32_t)(0xffffffffULL >> length))};
    mnl_attr_put_u32(msg, IFA_LOCAL, four.s_addr);
    mnl_attr_put_u32(msg, IFA_ADDRESS, four.s_addr);
    mnl_attr_put_u32(msg, IFA_BROADCAST, broadcast.s_addr);
}

void netdev_set_alias(struct netlink *nl, const char *name, const char *alias)
{
    struct nlmsghdr *msg = link_request(nl, 0, false, name);
    mnl_attr_put_str(msg, IFLA_IFALIAS, alias);
}

void netdev_finish_port(struct netlink *nl, const char *name, uint32_t mtu, const char *alias)
{
    netdev_no_ipv6(nl, name);
    put_devconf(nl, name, 0);
    netdev_up(nl, name, mtu);
    netdev_set_alias(nl, name, alias);
}

void netdev_up(struct netlink *nl, const char *name, uint32_t mtu)
{
    struct nlmsghdr *msg = link_request(nl, 0, true, name);
    mnl_attr_put_u32(msg, IFLA_MTU, mtu);
}

void netdev_delete(struct netlink *nl, const struct netdev *dev)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)dev->index};
    netlink_request(nl, RTM_DELLINK, 0, &info, sizeof(info), "delete link %s", dev->name);
}
