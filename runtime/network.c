/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/conntrack.h"
#include "runtime/foreign.h"
#include "runtime/netdev.h"
#include "runtime/netlink.h"
#include "runtime/netplan.h"
#include "runtime/netport.h"
#include "runtime/netroute.h"
#include "runtime/nft_table.h"
#include "runtime/ruleset.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    VXLAN_OVERHEAD = 50, /* outer Ethernet, IPv4, UDP and VXLAN headers */
    MTU_DEFAULT = 1500,  /* of machines whose link is not known */
    MTU_MIN = 576 + VXLAN_OVERHEAD,
};

struct network_memory {
    struct ruleset_memory rules;
    struct ruleset_result last;
    uint32_t mtu;
    bool looked;                   /* at rules of others … */
    uint32_t looked_generation;    /* … when this was the last change to any … */
    bool looked_six;               /* … and there were networks of IPv6, or not */
    char warning[300];             /* what they do; "" : nothing */
    struct net_neighbor *machines; /* of our link, also those that the kernel forgot since */
    size_t machines_n;
};

/* One application in progress. Steps go on after an error; the first is kept. */
struct apply {
    struct netplan plan;
    struct netlink *route, *filter;
    struct netdevs devs;
    struct netaddresses addresses;
    uint32_t mtu;    /* of containers and of the tunnel device */
    bool *connected; /* by endpoint */
    struct network_memory *memory;
    bool lost;          /* a route to a container */
    struct err problem; /* code 0: none */
};

static void note(struct apply *apply, const struct err *err)
{
    if (!apply->problem.code)
        apply->problem = *err;
}

static int read_devs(struct netlink *nl, struct netdevs *devs, struct err *err)
{
    netdevs_release(devs);
    return netdevs_read(nl, devs, err);
}

/* The number in a file of /proc/sys/net, which shows the calling thread's namespace. */
static int sysctl_read(const char *path, long *ret, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    int rc = file_read(path, 64, &text, err);
    if (rc == 0)
        *ret = strtol(text.len ? text.data : "0", NULL, 10);
    return rc;
}

static int enable_forwarding(struct err *err)
{
    const char path[] = "/proc/sys/net/ipv4/ip_forward";
    long value;
    int rc = sysctl_read(path, &value, err);
    if (rc == 0 && value == 0)
        rc = file_write_kernel(path, "1", err);
    return rc;
}

bool network_has_ipv6(void)
{
    return access("/proc/sys/net/ipv6/conf", F_OK) == 0;
}

/* A machine that forwards takes no more advertisements of routers (RFC 4861, section 6.2.2), unless
 * told so for each link: it would lose its own way out. */
static int keep_advertised_routes(struct err *err)
{
    DIR *dir = opendir("/proc/sys/net/ipv6/conf");
    int rc = 0;
    if (!dir)
        return err_errno(err, errno, "settings of IPv6");
    for (const struct dirent *entry; rc == 0 && (entry = readdir(dir));) {
        long value;
        if (entry->d_name[0] == '.' || str_equal(entry->d_name, "all"))
            continue;
        cleanup_free char *path = str_printf("/proc/sys/net/ipv6/conf/%s/accept_ra", entry->d_name);
        if (sysctl_read(path, &value, err) == 0 && value == 1) /* one may be gone by now */
            rc = file_write_kernel(path, "2", err);
    }
    closedir(dir);
    return rc;
}

static int enable_forwarding6(struct err *err)
{
    const char path[] = "/proc/sys/net/ipv6/conf/all/forwarding";
    long value;
    int rc = sysctl_read(path, &value, err);
    if (rc == 0 && value == 0 && (rc = keep_advertised_routes(err)) == 0)
        rc = file_write_kernel(path, "1", err);
    return rc;
}

/* Find the link that has our address. */
static const struct netdev *find_link(const struct apply *apply, const struct network_state *state,
                                      struct net_link *ret)
{
    for (size_t i = 0; i < apply->addresses.n; i++) {
        const struct netaddress *a = &apply->addresses.list[i];
        const struct netdev *dev = netdevs_by_index(&apply->devs, a->index);
        struct in6_addr underlay = netip_from4(state->underlay);
        if (!netip_equal(&a->address, &underlay) || !dev)
            continue;
        ret->prefix = netprefix_around(&underlay, a->length);
        str_fill(ret->dev, sizeof(ret->dev), dev->name);
        return dev;
    }
    return NULL;
}

/* The MTU for containers is that of the link, less what the tunnel takes. */
static int find_mtu(struct apply *apply, const struct netdev *link, struct err *err)
{
    const struct network_state *state = apply->plan.state;
    uint32_t mtu = link && apply->plan.tunnelled ? link->mtu : MTU_DEFAULT;
    apply->mtu = (mtu < MTU_MIN ? MTU_MIN : mtu) - VXLAN_OVERHEAD;
    apply->memory->mtu = apply->mtu;
    if (link || !apply->plan.tunnelled)
        return 0;
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &state->underlay, text, sizeof(text));
    return err_set(err, ERR_NOTFOUND,
                   "no link of this machine has its address %s; give the address it has now", text);
}

/* Ask for @address on link @name. */
static void ensure_address(struct apply *apply, const char *name, const struct in6_addr *address,
                           uint8_t scope)
{
    const struct netdev *dev = netdevs_by_name(&apply->devs, name);
    if (!dev)
        return;
    for (size_t i = 0; i < apply->addresses.n; i++) {
        const struct netaddress *a = &apply->addresses.list[i];
        if (a->index == dev->index && netip_equal(&a->address, address) && a->length == NETIP_BITS)
            return;
    }
    netdev_add_address(apply->route, dev->index, address, scope);
}

/* Ask for hops of IPv6 to be deleted but @keep, which may be NULL: this machine may have been
 * another member. */
static void delete_hops6(struct netlink *nl, const struct netaddresses *addresses, uint32_t lo,
                         const struct in6_addr *keep)
{
    const struct network_prefix hops = {netname_peer_hop6(0), NETIP_BITS - 16};
    for (size_t i = 0; i < addresses->n; i++) {
        const struct netaddress *a = &addresses->list[i];
        if (a->index == lo && netprefix_contains(&hops, &a->address) &&
            !(keep && netip_equal(&a->address, keep)))
            netdev_delete_address(nl, lo, a);
    }
}

/* The gateway on the loopback device, and there our hop of IPv6; and on the tunnel device our hop,
 * without which the kernel takes no packet there from sources that it would reach by other links.
 * Their scopes keep them from being chosen as sources. */
static int ensure_addresses(struct apply *apply, struct err *err)
{
    const struct netdev *lo = netdevs_by_name(&apply->devs, "lo");
    if (lo && !lo->up)
        netdev_up(apply->route, "lo", lo->mtu);
    const struct in6_addr gateway = netip_from4(netname_gateway());
    const struct in6_addr hop = netip_from4(netname_peer_hop(apply->plan.state->node_id));
    ensure_address(apply, "lo", &gateway, RT_SCOPE_HOST);
    ensure_address(apply, NETNAME_TUNNEL, &hop, RT_SCOPE_LINK);
    if (lo)
        delete_hops6(apply->route, &apply->addresses, lo->index,
                     apply->plan.six ? &apply->plan.source6 : NULL);
    if (apply->plan.six)
        ensure_address(apply, "lo", &apply->plan.source6, RT_SCOPE_HOST);
    return netlink_flush(apply->route, err);
}

static int ensure_tunnel(struct apply *apply, struct err *err)
{
    long strict = 0;
    int rc = sysctl_read("/proc/sys/net/ipv4/conf/all/rp_filter", &strict, err);
    if (rc == 0)
        rc = netdev_ensure_tunnel(apply->route, &apply->devs, &apply->plan, apply->mtu, strict != 0,
                                  err);
    if (rc == 0 && apply->plan.six && apply->plan.tunnelled)
        rc = netdev_allow_ipv6(NETNAME_TUNNEL, err);
    if (rc == 0)
        rc = read_devs(apply->route, &apply->devs, err);
    return rc;
}

static int sync_rules(struct apply *apply, struct err *err)
{
    int rc =
        ruleset_sync(apply->filter, &apply->plan, &apply->memory->rules, &apply->memory->last, err);
    return rc < 0 ? err_wrap(err, "nftables table " RULESET_TABLE) : 0;
}

/* Rules of others were changed, perhaps, since we looked. */
static int look_at_foreign(struct apply *apply, struct err *err)
{
    struct network_memory *memory = apply->memory;
    struct foreign foreign;
    uint32_t generation;
    int rc = nft_generation(apply->filter, &generation, err);
    if (rc < 0 || (memory->looked && memory->looked_generation == generation &&
                   memory->looked_six == apply->plan.six))
        return rc;
    memory->warning[0] = '\0';
    memory->looked = false;
    if ((rc = foreign_look(apply->filter, apply->plan.six, &foreign, err)) < 0)
        return rc;
    rc = foreign_open(&foreign, err);
    foreign_advice(&foreign, memory->warning, sizeof(memory->warning));
    memory->looked_six = apply->plan.six;
    if (rc == 0)
        rc = nft_generation(apply->filter, &memory->looked_generation, err);
    memory->looked = rc == 0;
    return rc;
}

/* Connections of backends that are gone can only be there when something was taken away. */
static int prune_connections(struct apply *apply, struct err *err)
{
    if (!apply->memory->last.changed && !apply->lost)
        return 0;
    int rc = conntrack_prune(apply->filter, &apply->plan, err);
    return rc < 0 ? err_wrap(err, "connections of removed backends") : 0;
}

static int compare_port_name(const void *key, const void *port)
{
    return strcmp(key, ((const struct net_port *)port)->name);
}

static bool is_port(const struct netdev *dev)
{
    return netname_is_port_name(dev->name) && strcmp(dev->kind, "veth") == 0;
}

/* Delete the veths of containers that are gone. */
static int delete_ports(struct netlink *nl, const struct netdevs *devs, const struct netplan *plan,
                        struct err *err)
{
    for (size_t i = 0; i < devs->n; i++) {
        const struct netdev *dev = &devs->list[i];
        if (!is_port(dev))
            continue;
        if (!plan || !plan->ports_n ||
            !bsearch(dev->name, plan->ports, plan->ports_n, sizeof(*plan->ports),
                     compare_port_name))
            netdev_delete(nl, dev);
    }
    return netlink_flush(nl, err);
}

static void connect_ports(struct apply *apply, const char *link)
{
    const struct netplan *plan = &apply->plan;
    struct err err;
    for (size_t i = 0; i < plan->ports_n; i++) {
        const struct net_port *port = &plan->ports[i];
        if (netport_connect(apply->route, &apply->devs, netdevs_by_name(&apply->devs, link), port,
                            apply->mtu, &err) < 0)
            note(apply, &err);
        else
            apply->connected[port->endpoint - plan->state->endpoints] = true;
    }
}

static void sync_routes(struct apply *apply)
{
    struct netplan *plan = &apply->plan;
    struct err err;
    if (read_devs(apply->route, &apply->devs, &err) < 0) {
        note(apply, &err);
        return;
    }
    if (netroute_sync_neighbors(apply->route, &apply->devs, plan->neighbors, plan->neighbors_n,
                                &err) < 0)
        note(apply, &err);
    if (netroute_sync_tunnels(apply->route, &apply->devs, plan->tunnels, plan->tunnels_n, &err) < 0)
        note(apply, &err);
    if (netroute_sync(apply->route, &apply->devs, plan->routes, plan->routes_n, &apply->lost,
                      &err) < 0)
        note(apply, &err);
    if (netroute_sync_rules(apply->route, plan->rules, plan->rules_n, &err) < 0)
        note(apply, &err);
}

static const struct net_neighbor *find_machine(const struct network_memory *memory, const char *dev,
                                               const struct in6_addr *address)
{
    for (size_t i = 0; i < memory->machines_n; i++)
        if (netip_equal(&memory->machines[i].address, address) &&
            strcmp(memory->machines[i].dev, dev) == 0)
            return &memory->machines[i];
    return NULL;
}

/* The MACs of members that are on our link. One that the kernel forgot for a moment stays. */
static int find_machines(struct apply *apply, const struct network_state *state,
                         struct net_link *link, struct err *err)
{
    struct network_memory *memory = apply->memory;
    struct net_neighbor *now, *kept = mem_alloc(state->peers_n + 1, sizeof(*kept));
    size_t n, kept_n = 0;
    int rc = netroute_read_machines(apply->route, &apply->devs, link->dev, &now, &n, err);
    for (size_t i = 0; i < state->peers_n; i++) {
        struct net_neighbor key = {.address = netip_from4(state->peers[i].underlay)};
        str_fill(key.dev, sizeof(key.dev), link->dev);
        const struct net_neighbor *found =
            n ? bsearch(&key, now, n, sizeof(key), netplan_compare_neighbors) : NULL;
        if (!found)
            found = find_machine(memory, link->dev, &key.address);
        if (found)
            kept[kept_n++] = *found;
    }
    free(now);
    free(memory->machines);
    if (kept_n)
        qsort(kept, kept_n, sizeof(*kept), netplan_compare_neighbors);
    memory->machines = kept;
    link->machines = kept;
    link->machines_n = memory->machines_n = kept_n;
    return rc;
}

/* What is there, and what is to be there. */
static int begin(struct apply *apply, const struct network_state *state,
                 const struct netdev **ret_link, struct err *err)
{
    struct net_link link = {0};
    int rc = netlink_open(NETLINK_ROUTE, &apply->route, err);
    if (rc == 0)
        rc = netlink_open(NETLINK_NETFILTER, &apply->filter, err);
    if (rc == 0)
        rc = read_devs(apply->route, &apply->devs, err);
    if (rc == 0)
        rc = netaddresses_read(apply->route, &apply->addresses, err);
    if (rc < 0)
        return rc;
    *ret_link = find_link(apply, state, &link);
    if (*ret_link && (rc = find_machines(apply, state, &link, err)) < 0)
        return rc;
    return netplan_init(&apply->plan, state, &link, err);
}

/* The order: what guards comes before what is guarded. */
static void run(struct apply *apply, const struct netdev *link)
{
    struct err err;
    bool guarded = sync_rules(apply, &err) == 0;
    if (!guarded)
        note(apply, &err);
    if (enable_forwarding(&err) < 0 || (apply->plan.six && enable_forwarding6(&err) < 0))
        note(apply, &err);
    if (find_mtu(apply, link, &err) < 0)
        note(apply, &err);
    if (ensure_tunnel(apply, &err) < 0)
        note(apply, &err);
    if (ensure_addresses(apply, &err) < 0)
        note(apply, &err);
    if (delete_ports(apply->route, &apply->devs, &apply->plan, &err) < 0)
        note(apply, &err);
    if (guarded)
        connect_ports(apply, apply->plan.link.dev);
    sync_routes(apply);
    if (look_at_foreign(apply, &err) < 0)
        note(apply, &err);
    if (prune_connections(apply, &err) < 0)
        note(apply, &err);
}

struct network_memory *network_memory_new(void)
{
    return mem_alloc(1, sizeof(struct network_memory));
}

void network_memory_free(struct network_memory *memory)
{
    if (!memory)
        return;
    ruleset_forget(&memory->rules);
    free(memory->machines);
    free(memory);
}

const char *network_warning(const struct network_memory *memory)
{
    return memory->warning;
}

uint32_t network_mtu(const struct network_memory *memory)
{
    return memory->mtu;
}

size_t network_rules_bytes(const struct network_memory *memory)
{
    return memory->last.bytes;
}

int network_apply_each(struct network_memory *memory, const struct network_state *state,
                       bool *ret_connected, struct err *err)
{
    struct apply apply = {.connected = ret_connected, .memory = memory};
    const struct netdev *link = NULL;
    memset(ret_connected, 0, state->endpoints_n * sizeof(*ret_connected));
    if (begin(&apply, state, &link, &apply.problem) == 0) {
        apply.problem = apply.plan.problem;
        run(&apply, link);
    }
    netlink_close(apply.route);
    netlink_close(apply.filter);
    netdevs_release(&apply.devs);
    netaddresses_release(&apply.addresses);
    netplan_release(&apply.plan);
    return apply.problem.code ? err_set(err, apply.problem.code, "%s", apply.problem.msg) : 0;
}

int network_apply(const struct network_state *state, struct err *err)
{
    cleanup_free bool *connected = mem_alloc(state->endpoints_n + 1, sizeof(*connected));
    struct network_memory *memory = network_memory_new();
    int rc = network_apply_each(memory, state, connected, err);
    network_memory_free(memory);
    return rc;
}

/* Delete the tunnel device and the gateway address. */
static int clear_links(struct netlink *nl, const struct netdevs *devs, struct err *err)
{
    const struct netdev *tunnel = netdevs_by_name(devs, NETNAME_TUNNEL);
    const struct netdev *lo = netdevs_by_name(devs, "lo");
    if (tunnel && strcmp(tunnel->kind, "vxlan") == 0)
        netdev_delete(nl, tunnel);
    const struct netaddress gateway = {
        .address = netip_from4(netname_gateway()), .length = NETIP_BITS, .scope = RT_SCOPE_HOST};
    if (lo)
        netdev_delete_address(nl, lo->index, &gateway);
    int rc = netlink_flush(nl, err);
    cleanup_netaddresses struct netaddresses addresses = {0};
    if (rc == 0 && lo && (rc = netaddresses_read(nl, &addresses, err)) == 0) {
        delete_hops6(nl, &addresses, lo->index, NULL);
        rc = netlink_flush(nl, err);
    }
    return rc;
}

int network_clear(struct err *err)
{
    cleanup_netlink struct netlink *route = NULL;
    cleanup_netlink struct netlink *filter = NULL;
    cleanup_netdevs struct netdevs devs = {0};
    int rc = netlink_open(NETLINK_ROUTE, &route, err);
    if (rc == 0)
        rc = netlink_open(NETLINK_NETFILTER, &filter, err);
    if (rc == 0)
        rc = netdevs_read(route, &devs, err);
    if (rc < 0)
        return rc;
    struct foreign foreign;
    struct err problems[6] = {0};
    netroute_sync_rules(route, NULL, 0, &problems[0]);
    netroute_sync(route, &devs, NULL, 0, NULL, &problems[1]);
    delete_ports(route, &devs, NULL, &problems[2]);
    clear_links(route, &devs, &problems[3]);
    nft_remove(filter, RULESET_TABLE, &problems[4]);
    if (foreign_look(filter, true, &foreign, &problems[5]) == 0)
        foreign_close(&foreign, &problems[5]);
    for (size_t i = 0; i < ARRAY_SIZE(problems); i++)
        if (problems[i].code)
            return err_set(err, problems[i].code, "%s", problems[i].msg);
    return 0;
}

/* The source address the kernel would use towards the default route. Nothing is sent. */
static bool default_route_address(struct in_addr *ret)
{
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
    there.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: an example that is nowhere */
    struct sockaddr_in here = {0};
    socklen_t len = sizeof(here);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&there, sizeof(there)) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &len) < 0)
        return false;
    *ret = here.sin_addr;
    return here.sin_addr.s_addr != 0;
}

int network_default_address(struct in_addr *ret_address, struct err *err)
{
    if (default_route_address(ret_address))
        return 0;
    cleanup_netlink struct netlink *nl = NULL;
    cleanup_netdevs struct netdevs devs = {0};
    cleanup_netaddresses struct netaddresses addresses = {0};
    int rc = netlink_open(NETLINK_ROUTE, &nl, err);
    if (rc == 0)
        rc = netdevs_read(nl, &devs, err);
    if (rc == 0)
        rc = netaddresses_read(nl, &addresses, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < addresses.n; i++) {
        const struct netaddress *a = &addresses.list[i];
        const struct netdev *dev = netdevs_by_index(&devs, a->index);
        if (!dev || !dev->up || a->scope != RT_SCOPE_UNIVERSE || is_port(dev) ||
            !netip_is4(&a->address) || strcmp(dev->name, "lo") == 0 ||
            strcmp(dev->name, NETNAME_TUNNEL) == 0)
            continue;
        *ret_address = netip_to4(&a->address);
        return 0;
    }
    return err_set(err, ERR_NOTFOUND,
                   "this machine has no IPv4 address that others could reach; give it one, or name "
                   "one with --address");
}
