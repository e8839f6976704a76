/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/conntrack.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netlink.h"
#include "runtime/netplan.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

enum {
    TUPLE_MAX = 256, /* bytes of one direction's description; the kernel's are below 60 */
};

/* One direction of a connection. */
struct tuple {
    uint8_t protocol;
    struct in6_addr source, destination;
    uint16_t source_port, destination_port; /* host byte order */
};

/* What names an entry to the kernel: its first direction as it was given, and its zone. */
struct stale {
    char tuple[TUPLE_MAX];
    size_t tuple_len;
    uint8_t family;
    uint16_t zone; /* network byte order */
    bool zoned;
};

struct prune {
    const struct netplan *plan;
    struct stale *list;
    size_t n;
};

static bool read_port(const struct nlattr *attr, uint16_t *out)
{
    uint16_t network;
    if (!netlink_bytes(attr, &network, sizeof(network)))
        return false;
    *out = ntohs(network);
    return true;
}

static bool read_tuple(const struct nlattr *nest, struct tuple *out)
{
    const struct nlattr *parts[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];
    netlink_nested(nest, parts, CTA_TUPLE_MAX);
    netlink_nested(parts[CTA_TUPLE_IP], ip, CTA_IP_MAX);
    netlink_nested(parts[CTA_TUPLE_PROTO], proto, CTA_PROTO_MAX);
    return netlink_bytes(proto[CTA_PROTO_NUM], &out->protocol, sizeof(out->protocol)) &&
           netlink_address(ip[ip[CTA_IP_V4_SRC] ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], &out->source) &&
           netlink_address(ip[ip[CTA_IP_V4_DST] ? CTA_IP_V4_DST : CTA_IP_V6_DST],
                           &out->destination) &&
           read_port(proto[CTA_PROTO_SRC_PORT], &out->source_port) &&
           read_port(proto[CTA_PROTO_DST_PORT], &out->destination_port);
}

/* True when a service address or a published port still leads from @original to the source of
 * @reply, or that is a container that may finish what it has begun. */
static bool is_current(const struct netplan *plan, const struct tuple *original,
                       const struct tuple *reply)
{
    if (original->protocol == IPPROTO_TCP && netplan_has_address(plan, &reply->source))
        return true;
    const struct network_service *service = netplan_find_service(plan, &original->destination);
    for (size_t i = 0; service && i < service->backends_n; i++)
        if (netip_equal(&service->backends[i], &reply->source))
            return true;
    if (netplan_is_ours(plan, &original->destination))
        return false;
    const struct network_publish *publish =
        netplan_find_publish(plan, original->protocol, original->destination_port);
    for (size_t i = 0; publish && i < publish->backends_n; i++)
        if (netip_equal(&publish->backends[i].address, &reply->source) &&
            publish->backends[i].port == reply->source_port)
            return true;
    return false;
}

static void on_entry(const struct nlmsghdr *msg, void *arg)
{
    struct prune *prune = arg;
    if (!msg) {
        prune->n = 0;
        return;
    }
    const struct nlattr *attrs[CTA_ZONE + 1];
    netlink_attributes(msg, sizeof(struct nfgenmsg), attrs, CTA_ZONE);
    struct tuple original, reply;
    if (!(ntohl(netlink_u32(attrs[CTA_STATUS])) & IPS_DST_NAT) ||
        !read_tuple(attrs[CTA_TUPLE_ORIG], &original) ||
        !read_tuple(attrs[CTA_TUPLE_REPLY], &reply) ||
        !netplan_is_ours(prune->plan, &reply.source) || is_current(prune->plan, &original, &reply))
        return;
    struct stale stale = {.family = netip_is4(&original.source) ? AF_INET : AF_INET6,
                          .tuple_len = mnl_attr_get_payload_len(attrs[CTA_TUPLE_ORIG])};
    if (stale.tuple_len > sizeof(stale.tuple))
        return;
    memcpy(stale.tuple, mnl_attr_get_payload(attrs[CTA_TUPLE_ORIG]), stale.tuple_len);
    stale.zoned = netlink_bytes(attrs[CTA_ZONE], &stale.zone, sizeof(stale.zone));
    if ((prune->n & (prune->n - 1)) == 0)
        prune->list = mem_resize(prune->list, prune->n ? prune->n * 2 : 1, sizeof(stale));
    prune->list[prune->n++] = stale;
}

int conntrack_prune(struct netlink *nl, const struct netplan *plan, struct err *err)
{
    struct nfgenmsg info = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
    struct nlmsghdr *msg =
        netlink_dump(nl, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, &info, sizeof(info));
    /* Newer kernels give only these. */
    mnl_attr_put_u32(msg, CTA_STATUS, htonl(IPS_DST_NAT));
    mnl_attr_put_u32(msg, CTA_STATUS_MASK, htonl(IPS_DST_NAT));
    struct prune prune = {.plan = plan};
    int rc = netlink_dump_run(nl, on_entry, &prune, err);
    for (size_t i = 0; rc == 0 && i < prune.n; i++) {
        const struct stale *stale = &prune.list[i];
        info.nfgen_family = stale->family;
        msg = netlink_request(nl, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, &info,
                              sizeof(info), "forget a connection");
        mnl_attr_put(msg, CTA_TUPLE_ORIG | NLA_F_NESTED, stale->tuple_len, stale->tuple);
        if (stale->zoned)
            mnl_attr_put(msg, CTA_ZONE, sizeof(stale->zone), &stale->zone);
        netlink_optional(nl); /* it may have ended by itself */
    }
    if (rc == 0)
        rc = netlink_flush(nl, err);
    free(prune.list);
    return rc < 0 ? rc : (int)prune.n;
}
