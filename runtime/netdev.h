/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev - the links of the calling thread's namespace, and making ours.
 */
#ifndef WHERRY_RUNTIME_NETDEV_H
#define WHERRY_RUNTIME_NETDEV_H

#include "runtime/netplan.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct netlink;

struct netdev {
    uint32_t index;
    char name[NETNAME_NAME];
    char kind[16];   /* "veth", "vxlan", "" */
    char alias[160]; /* "" if none */
    uint32_t mtu;
    uint8_t mac[NETNAME_MAC];
    bool up;
    bool route_localnet;
    uint32_t rp_filter;
    /* Of a VXLAN device. */
    uint32_t vxlan_id;
    uint16_t vxlan_port;
    struct in_addr vxlan_local;
};

struct netdevs {
    struct netdev *list; /* sorted by index */
    size_t n;
};

/* An address of a link. */
struct netaddress {
    uint32_t index;
    struct in6_addr address;
    uint8_t length; /* as in struct network_prefix */
    uint8_t scope;
};

struct netaddresses {
    struct netaddress *list;
    size_t n;
};

/* Read all links. Release with netdevs_release. */
int netdevs_read(struct netlink *nl, struct netdevs *ret, struct err *err);
void netdevs_release(struct netdevs *devs);
#define cleanup_netdevs __attribute__((cleanup(netdevs_release)))

/* The link of a name or an index, or NULL. */
const struct netdev *netdevs_by_name(const struct netdevs *devs, const char *name);
const struct netdev *netdevs_by_index(const struct netdevs *devs, uint32_t index);

/* Read all addresses. Release with netaddresses_release. */
int netaddresses_read(struct netlink *nl, struct netaddresses *ret, struct err *err);
void netaddresses_release(struct netaddresses *addresses);
#define cleanup_netaddresses __attribute__((cleanup(netaddresses_release)))

/* Ask for an address to be added to, or deleted from, link @index. The scope is RT_SCOPE_*; one of
 * IPv6 with another one than RT_SCOPE_UNIVERSE is chosen as source only by who asks for it. */
void netdev_add_address(struct netlink *nl, uint32_t index, const struct in6_addr *address,
                        uint8_t scope);
void netdev_delete_address(struct netlink *nl, uint32_t index, const struct netaddress *address);

/* Make the VXLAN device as the plan says, or correct the one that is there; @mtu is the inner one.
 * @strict: the namespace filters by reverse path, which would drop clients of other members. */
int netdev_ensure_tunnel(struct netlink *nl, const struct netdevs *devs, const struct netplan *plan,
                         uint32_t mtu, bool strict, struct err *err);

/* Ask for a pair of veths: the host end here, the other in the namespace that @netns_fd holds. */
void netdev_create_port(struct netlink *nl, const struct net_port *port, int netns_fd,
                        uint32_t mtu);

/* Ask for a link @name on @parent (macvlan, mode bridge) in the namespace that @netns_fd holds. */
void netdev_create_macvlan(struct netlink *nl, const char *name, const struct netdev *parent,
                           const uint8_t mac[NETNAME_MAC], int netns_fd);

/* Ask for an address of IPv4 with the @length bits of its link's range, and its broadcasts. */
void netdev_add_lan_address(struct netlink *nl, uint32_t index, const struct in6_addr *address,
                            unsigned length);

/* Ask for the alias of link @name. */
void netdev_set_alias(struct netlink *nl, const char *name, const char *alias);

/* Ask for the host end's settings: routed by us, no IPv6 but ours, up, and @alias as its mark of
 * completion.
 */
void netdev_finish_port(struct netlink *nl, const char *name, uint32_t mtu, const char *alias);

/* Ask for no IPv6 addresses but those we give on link @name, before it is brought up. A machine
 * without IPv6 has none anyway. */
void netdev_no_ipv6(struct netlink *nl, const char *name);

/* Let link @name of the calling thread's namespace have IPv6, whatever is the rule for new ones. */
int netdev_allow_ipv6(const char *name, struct err *err);

/* Ask for link @name to be brought up with @mtu. */
void netdev_up(struct netlink *nl, const char *name, uint32_t mtu);

/* Ask for link @index to be deleted. */
void netdev_delete(struct netlink *nl, const struct netdev *dev);

#endif
