/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ruleset.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netplan.h"
#include "runtime/nft_table.h"
#include "runtime/ruleset_sets.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <string.h>

enum {
    IP_SOURCE = 12,
    IP_DESTINATION = 16,
    PORT_DNS = 53,
    /* Hook priorities by their names in nft. */
    PRIORITY_RAW = -300,
    PRIORITY_MANGLE = -150,
    PRIORITY_DSTNAT = -100,
    PRIORITY_BEHIND_DSTNAT = -90,
    PRIORITY_FILTER = 0,
    PRIORITY_SRCNAT = 100,
    /* Connection states as nftables sees them. */
    STATE_INVALID = 1,
    STATE_ESTABLISHED = 2,
    STATE_RELATED = 4,
    STATE_NEW = 8,
    /* Of a packet in its connection. */
    DIRECTION_ORIGINAL = 0,
    DIRECTION_REPLY = 1,
};

static const char *const our_devices[] = {NETNAME_PORT_PREFIX "*", NETNAME_TUNNEL};

/* --- what rules look for --- */

/* Only packets of a device ("wv*": of all whose name begins so); @key is NFT_META_IIFNAME or
 * NFT_META_OIFNAME, @op NFT_CMP_EQ or NFT_CMP_NEQ. */
static void on_device(struct nftnl_rule *rule, uint32_t key, uint32_t op, const char *name)
{
    char padded[NETNAME_NAME] = {0};
    str_fill(padded, sizeof(padded), name);
    char *star = strchr(padded, '*');
    nft_meta(rule, key, NFT_REG_1);
    nft_compare(rule, op, NFT_REG_1, padded,
                star ? (uint32_t)(star - padded) : (uint32_t)sizeof(padded));
}

static void from_port(struct nftnl_rule *rule)
{
    on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, NETNAME_PORT_PREFIX "*");
}

static void from_tunnel(struct nftnl_rule *rule)
{
    on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, NETNAME_TUNNEL);
}

static void to_tunnel(struct nftnl_rule *rule)
{
    on_device(rule, NFT_META_OIFNAME, NFT_CMP_EQ, NETNAME_TUNNEL);
}

static void is_ipv4(struct nftnl_rule *rule)
{
    const uint8_t family = NFPROTO_IPV4;
    nft_meta(rule, NFT_META_NFPROTO, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &family, sizeof(family));
}

/* Only packets whose source or destination (IP_SOURCE, IP_DESTINATION) is, or is not, in a prefix.
 * After is_ipv4. */
static void in_prefix(struct nftnl_rule *rule, uint32_t field, uint32_t op,
                      const struct network_prefix *prefix)
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, field, 4, NFT_REG_1);
    if (prefix->length < 32) {
        uint32_t mask = htonl(prefix->length ? UINT32_MAX << (32 - prefix->length) : 0);
        nft_and(rule, NFT_REG_1, &mask, sizeof(mask));
    }
    nft_compare(rule, op, NFT_REG_1, &prefix->address, sizeof(prefix->address));
}

static void is_address(struct nftnl_rule *rule, uint32_t field, uint32_t op, struct in_addr address)
{
    const struct network_prefix prefix = {address, 32};
    in_prefix(rule, field, op, &prefix);
}

static struct network_prefix loopback_range(void)
{
    return (struct network_prefix){{htonl(INADDR_LOOPBACK & 0xff000000)}, 8};
}

/* Only packets whose source or destination is, or is not, in a set of ranges. After is_ipv4. */
static void in_set(struct nftnl_rule *rule, uint32_t field, const char *set, bool not )
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, field, 4, NFT_REG_1);
    nft_find(rule, set, NFT_REG_1, not );
}

/* Only packets whose (source, destination) is, or is not, in a set. */
static void pair_in(struct nftnl_rule *rule, const char *set, bool not )
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SOURCE, 4, NFT_REG32_00);
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_DESTINATION, 4, NFT_REG32_01);
    nft_find(rule, set, NFT_REG_1, not );
}

static void protocol_is(struct nftnl_rule *rule, uint8_t protocol)
{
    nft_meta(rule, NFT_META_L4PROTO, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &protocol, sizeof(protocol));
}

static void destination_port_is(struct nftnl_rule *rule, uint16_t port)
{
    const uint16_t network = htons(port);
    nft_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &network, sizeof(network));
}

/* Load (protocol, destination port) as the sets of ports have it. */
static void load_port(struct nftnl_rule *rule)
{
    nft_meta(rule, NFT_META_L4PROTO, NFT_REG32_00);
    nft_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_01);
}

/* Only packets of which a bit of NFT_CT_STATE or NFT_CT_STATUS is set. */
static void has_bits(struct nftnl_rule *rule, uint32_t key, uint32_t bits)
{
    const uint32_t zero = 0;
    nft_ct(rule, key, NFT_REG_1);
    nft_and(rule, NFT_REG_1, &bits, sizeof(bits));
    nft_compare(rule, NFT_CMP_NEQ, NFT_REG_1, &zero, sizeof(zero));
}

/* Only packets in one direction of their connection (DIRECTION_*). */
static void direction_is(struct nftnl_rule *rule, uint8_t direction)
{
    nft_ct(rule, NFT_CT_DIRECTION, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &direction, sizeof(direction));
}

/* Only if the mark in NFT_REG_1 is one of ours. */
static void mark_is_ours(struct nftnl_rule *rule)
{
    const uint32_t mask = NETNAME_MARK_MASK, mark = NETNAME_MARK;
    nft_and(rule, NFT_REG_1, &mask, sizeof(mask));
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &mark, sizeof(mark));
}

/* --- how rules end --- */

static void end_verdict(struct nft_batch *b, struct nftnl_rule *rule, int verdict)
{
    nft_verdict(rule, verdict, NULL);
    nft_rule_end(b, rule);
}

static void end_snat(struct nft_batch *b, struct nftnl_rule *rule, struct in_addr source)
{
    nft_immediate(rule, NFT_REG_1, &source, sizeof(source));
    nft_nat(rule, NFT_NAT_SNAT, NFT_REG_1, 0);
    nft_rule_end(b, rule);
}

static void end_refuse(struct nft_batch *b, struct nftnl_rule *rule)
{
    nft_reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    nft_rule_end(b, rule);
}

/* --- chains --- */

/* Only pings of members for our hop: they ask whether a way works. */
static void is_probe(struct nftnl_rule *rule, const struct netplan *plan)
{
    is_ipv4(rule);
    is_address(rule, IP_DESTINATION, NFT_CMP_EQ, netname_peer_hop(plan->state->node_id));
    protocol_is(rule, IPPROTO_ICMP);
}

/* Only packets that came by the machines' link, but from no member. */
static void from_stranger(struct nftnl_rule *rule, const struct netplan *plan)
{
    on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, plan->link.dev);
    nft_payload(rule, NFT_PAYLOAD_LL_HEADER, 6, NETNAME_MAC, NFT_REG_1);
    nft_find(rule, "machines", NFT_REG_1, true);
}

/* What takes plain routes comes from a member: by its MAC, as frames of the tunnel by its address. */
static void build_link_guard(struct nft_batch *b, const struct netplan *plan)
{
    struct nftnl_rule *rule = nft_rule(b, "raw");
    is_ipv4(rule);
    in_set(rule, IP_SOURCE, "ranges", false);
    from_stranger(rule, plan);
    end_verdict(b, rule, NF_DROP);
    rule = nft_rule(b, "raw");
    is_probe(rule, plan);
    from_stranger(rule, plan);
    end_verdict(b, rule, NF_DROP);
}

static void build_raw(struct nft_batch *b, const struct netplan *plan)
{
    const uint8_t family = NFPROTO_IPV6;
    const struct network_prefix loopback = loopback_range();
    nft_base_chain(b, "raw", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW);
    for (size_t i = 0; i < ARRAY_SIZE(our_devices); i++) {
        struct nftnl_rule *rule = nft_rule(b, "raw");
        on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
        nft_meta(rule, NFT_META_NFPROTO, NFT_REG_1);
        nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &family, sizeof(family));
        end_verdict(b, rule, NF_DROP);
        for (uint32_t field = IP_SOURCE; field <= IP_DESTINATION; field += 4) {
            rule = nft_rule(b, "raw");
            on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
            is_ipv4(rule);
            in_prefix(rule, field, NFT_CMP_EQ, &loopback);
            end_verdict(b, rule, NF_DROP);
        }
    }
    struct nftnl_rule *rule = nft_rule(b, "raw");
    from_port(rule);
    is_ipv4(rule);
    nft_meta(rule, NFT_META_IIFNAME, NFT_REG_1);
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SOURCE, 4, NFT_REG32_04);
    nft_find(rule, "endpoints", NFT_REG_1, true);
    end_verdict(b, rule, NF_DROP);
    if (plan->linked)
        build_link_guard(b, plan);
}

static void build_mark(struct nft_batch *b)
{
    nft_base_chain(b, "mark", "filter", NF_INET_PRE_ROUTING, PRIORITY_MANGLE);
    /* Each packet, not only the first: a client of UDP may change to another member. */
    struct nftnl_rule *rule = nft_rule(b, "mark");
    from_tunnel(rule);
    is_ipv4(rule);
    in_set(rule, IP_SOURCE, "ranges", true);
    direction_is(rule, DIRECTION_ORIGINAL);
    nft_payload(rule, NFT_PAYLOAD_LL_HEADER, 6, NETNAME_MAC, NFT_REG_1);
    nft_map(rule, "marks", 0, NFT_REG_1, NFT_REG_1);
    nft_set_ct_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);

    rule = nft_rule(b, "mark");
    from_port(rule);
    direction_is(rule, DIRECTION_REPLY);
    nft_ct(rule, NFT_CT_MARK, NFT_REG_1);
    mark_is_ours(rule);
    nft_ct(rule, NFT_CT_MARK, NFT_REG_1);
    nft_set_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);
}

static void build_dnat(struct nft_batch *b)
{
    const uint32_t local = RTN_LOCAL;
    const struct {
        const char *name;
        uint32_t hook;
    } chains[] = {{"dnat", NF_INET_PRE_ROUTING}, {"local", NF_INET_LOCAL_OUT}};
    for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
        nft_base_chain(b, chains[i].name, "nat", chains[i].hook, PRIORITY_DSTNAT);
        struct nftnl_rule *rule = nft_rule(b, chains[i].name);
        is_ipv4(rule);
        nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_DESTINATION, 4, NFT_REG_1);
        nft_map(rule, "services", 0, NFT_REG_1, NFT_REG_VERDICT);
        nft_rule_end(b, rule);
        /* Those without a backend are no address to publish a port on. */
        rule = nft_rule(b, chains[i].name);
        is_ipv4(rule);
        in_set(rule, IP_DESTINATION, "ranges", false);
        end_verdict(b, rule, NF_ACCEPT);
        rule = nft_rule(b, chains[i].name);
        is_ipv4(rule);
        /* The gateway's DNS is not a published port. */
        is_address(rule, IP_DESTINATION, NFT_CMP_NEQ, netname_gateway());
        nft_destination_type(rule, NFT_REG_1);
        nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &local, sizeof(local));
        load_port(rule);
        nft_map(rule, "ports", 0, NFT_REG_1, NFT_REG_VERDICT);
        nft_rule_end(b, rule);
    }
}

/* Behind dnat: what goes to the address of a service counts by where it is going. */
static void build_plain(struct nft_batch *b, const struct netplan *plan)
{
    const uint32_t mark = NETNAME_MARK_PLAIN;
    if (!plan->linked)
        return;
    nft_base_chain(b, "plain", "filter", NF_INET_PRE_ROUTING, PRIORITY_BEHIND_DSTNAT);
    struct nftnl_rule *rule = nft_rule(b, "plain");
    from_port(rule);
    is_ipv4(rule);
    pair_in(rule, "pairs", false);
    nft_immediate(rule, NFT_REG_1, &mark, sizeof(mark));
    nft_set_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);
    rule = nft_rule(b, "plain");
    on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, plan->link.dev);
    is_probe(rule, plan);
    nft_immediate(rule, NFT_REG_1, &mark, sizeof(mark));
    nft_set_ct_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);

    nft_base_chain(b, "answer", "route", NF_INET_LOCAL_OUT, PRIORITY_MANGLE);
    rule = nft_rule(b, "answer");
    protocol_is(rule, IPPROTO_ICMP);
    direction_is(rule, DIRECTION_REPLY);
    nft_ct(rule, NFT_CT_MARK, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &mark, sizeof(mark));
    nft_set_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);
}

/* Tunnel packets with our network id are taken from members only. */
static void build_tunnel_guard(struct nft_batch *b, const struct netplan *plan)
{
    const uint32_t id = plan->state->vxlan_id;
    const uint8_t network[3] = {(uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    struct nftnl_rule *rule = nft_rule(b, "input");
    is_ipv4(rule);
    protocol_is(rule, IPPROTO_UDP);
    destination_port_is(rule, plan->state->vxlan_port);
    nft_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 12, sizeof(network), NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, network, sizeof(network));
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SOURCE, 4, NFT_REG_1);
    nft_find(rule, "members", NFT_REG_1, true);
    end_verdict(b, rule, NF_DROP);
}

/* A rule for new packets to a published port without backends. */
static struct nftnl_rule *closed_rule(struct nft_batch *b)
{
    struct nftnl_rule *rule = nft_rule(b, "input");
    is_ipv4(rule);
    is_address(rule, IP_DESTINATION, NFT_CMP_NEQ, netname_gateway());
    has_bits(rule, NFT_CT_STATE, STATE_NEW);
    load_port(rule);
    nft_find(rule, "closed", NFT_REG_1, false);
    return rule;
}

/* What comes to the address of a service has no backend to go to. */
static struct nftnl_rule *unserved_rule(struct nft_batch *b)
{
    struct nftnl_rule *rule = nft_rule(b, "input");
    is_ipv4(rule);
    in_set(rule, IP_DESTINATION, "ranges", false);
    return rule;
}

static void build_unserved(struct nft_batch *b)
{
    struct nftnl_rule *rule = unserved_rule(b);
    protocol_is(rule, IPPROTO_TCP);
    nft_reject(rule, NFT_REJECT_TCP_RST, 0);
    nft_rule_end(b, rule);
    rule = unserved_rule(b);
    nft_reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
    nft_rule_end(b, rule);
}

/* What containers may do at the gateway address: ask for names and ping. */
static void build_gateway(struct nft_batch *b)
{
    const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        struct nftnl_rule *rule = nft_rule(b, "input");
        from_port(rule);
        is_ipv4(rule);
        is_address(rule, IP_DESTINATION, NFT_CMP_EQ, netname_gateway());
        protocol_is(rule, protocols[i]);
        if (protocols[i] != IPPROTO_ICMP)
            destination_port_is(rule, PORT_DNS);
        end_verdict(b, rule, NF_ACCEPT);
    }
    struct nftnl_rule *rule = nft_rule(b, "input");
    from_port(rule);
    is_ipv4(rule);
    is_address(rule, IP_DESTINATION, NFT_CMP_EQ, netname_gateway());
    end_refuse(b, rule);
    /* Nobody else has business there. */
    rule = nft_rule(b, "input");
    on_device(rule, NFT_META_IIFNAME, NFT_CMP_NEQ, "lo");
    on_device(rule, NFT_META_IIFNAME, NFT_CMP_NEQ, NETNAME_PORT_PREFIX "*");
    is_ipv4(rule);
    is_address(rule, IP_DESTINATION, NFT_CMP_EQ, netname_gateway());
    end_verdict(b, rule, NF_DROP);
}

static void build_input(struct nft_batch *b, const struct netplan *plan)
{
    nft_base_chain(b, "input", "filter", NF_INET_LOCAL_IN, PRIORITY_FILTER);
    build_tunnel_guard(b, plan);
    struct nftnl_rule *rule = nft_rule(b, "input");
    has_bits(rule, NFT_CT_STATE, STATE_ESTABLISHED | STATE_RELATED);
    end_verdict(b, rule, NF_ACCEPT);
    rule = nft_rule(b, "input");
    from_tunnel(rule);
    is_probe(rule, plan);
    end_verdict(b, rule, NF_ACCEPT);
    rule = nft_rule(b, "input");
    from_tunnel(rule);
    end_verdict(b, rule, NF_DROP);
    build_gateway(b);
    build_unserved(b);
    /* From a network that leads nowhere else there is no way to the machine either. */
    rule = nft_rule(b, "input");
    from_port(rule);
    is_ipv4(rule);
    in_set(rule, IP_SOURCE, "internals", false);
    end_refuse(b, rule);
    rule = closed_rule(b);
    protocol_is(rule, IPPROTO_TCP);
    nft_reject(rule, NFT_REJECT_TCP_RST, 0);
    nft_rule_end(b, rule);
    rule = closed_rule(b);
    nft_reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
    nft_rule_end(b, rule);
}

/* Broken connections must not leave with addresses that were never translated. */
static void build_invalid(struct nft_batch *b)
{
    for (size_t i = 0; i < ARRAY_SIZE(our_devices); i++) {
        struct nftnl_rule *rule = nft_rule(b, "forward");
        on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
        has_bits(rule, NFT_CT_STATE, STATE_INVALID);
        end_verdict(b, rule, NF_DROP);
    }
}

static void build_forward(struct nft_batch *b, const struct netplan *plan)
{
    nft_base_chain(b, "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER);
    struct nftnl_rule *rule = nft_rule(b, "forward");
    has_bits(rule, NFT_CT_STATE, STATE_ESTABLISHED | STATE_RELATED);
    end_verdict(b, rule, NF_ACCEPT);
    build_invalid(b);
    /* From a network that leads nowhere else no published port is reached, by no machine. */
    rule = nft_rule(b, "forward");
    from_port(rule);
    has_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
    is_ipv4(rule);
    in_set(rule, IP_SOURCE, "internals", false);
    nft_ct_original(rule, NFT_CT_DST_IP, NFT_REG_1);
    nft_find(rule, "ranges", NFT_REG_1, true);
    end_refuse(b, rule);
    /* Published: open to all. The address of a service is open to its network only, which the
     * addresses that it stands for tell. */
    rule = nft_rule(b, "forward");
    has_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
    is_ipv4(rule);
    nft_ct_original(rule, NFT_CT_DST_IP, NFT_REG_1);
    nft_find(rule, "ranges", NFT_REG_1, true);
    end_verdict(b, rule, NF_ACCEPT);
    /* Inside a network; from a member or a container, whose source was checked. */
    for (size_t i = 0; i < ARRAY_SIZE(our_devices); i++) {
        rule = nft_rule(b, "forward");
        on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
        is_ipv4(rule);
        pair_in(rule, "pairs", false);
        end_verdict(b, rule, NF_ACCEPT);
    }
    /* The same by a plain route: from the link alone, and not if it leads on to another machine. */
    if (plan->linked) {
        rule = nft_rule(b, "forward");
        on_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, plan->link.dev);
        on_device(rule, NFT_META_OIFNAME, NFT_CMP_EQ, NETNAME_PORT_PREFIX "*");
        is_ipv4(rule);
        pair_in(rule, "pairs", false);
        end_verdict(b, rule, NF_ACCEPT);
    }
    rule = nft_rule(b, "forward");
    is_ipv4(rule);
    in_set(rule, IP_SOURCE, "ranges", false);
    in_set(rule, IP_DESTINATION, "ranges", false);
    end_refuse(b, rule);
    /* A client of another member, or that member itself. */
    rule = nft_rule(b, "forward");
    from_tunnel(rule);
    on_device(rule, NFT_META_OIFNAME, NFT_CMP_EQ, NETNAME_PORT_PREFIX "*");
    end_verdict(b, rule, NF_ACCEPT);
    rule = nft_rule(b, "forward");
    from_tunnel(rule);
    end_verdict(b, rule, NF_DROP);
    /* A container to the outside. */
    rule = nft_rule(b, "forward");
    from_port(rule);
    is_ipv4(rule);
    in_set(rule, IP_SOURCE, "internals", false);
    end_refuse(b, rule);
    rule = nft_rule(b, "forward");
    from_port(rule);
    end_verdict(b, rule, NF_ACCEPT);
    /* The outside to a container, but not by a published port. */
    rule = nft_rule(b, "forward");
    is_ipv4(rule);
    in_set(rule, IP_DESTINATION, "ranges", false);
    end_verdict(b, rule, NF_DROP);
}

static void build_unmark(struct nft_batch *b)
{
    const uint32_t zero = 0;
    nft_base_chain(b, "unmark", "filter", NF_INET_POST_ROUTING, PRIORITY_MANGLE);
    struct nftnl_rule *rule = nft_rule(b, "unmark");
    to_tunnel(rule);
    nft_meta(rule, NFT_META_MARK, NFT_REG_1);
    mark_is_ours(rule);
    nft_immediate(rule, NFT_REG_1, &zero, sizeof(zero));
    nft_set_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);
}

static void build_snat(struct nft_batch *b, const struct netplan *plan)
{
    const struct network_prefix loopback = loopback_range();
    nft_base_chain(b, "snat", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
    /* localhost. */
    struct nftnl_rule *rule = nft_rule(b, "snat");
    on_device(rule, NFT_META_OIFNAME, NFT_CMP_NEQ, "lo");
    is_ipv4(rule);
    in_prefix(rule, IP_SOURCE, NFT_CMP_EQ, &loopback);
    in_set(rule, IP_DESTINATION, "ranges", false);
    end_snat(b, rule, plan->source);
    /* A member by our published port: the backend's machine may be that member, which takes no
     * packet from outside that claims to come from itself. */
    rule = nft_rule(b, "snat");
    to_tunnel(rule);
    has_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
    is_ipv4(rule);
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SOURCE, 4, NFT_REG_1);
    nft_find(rule, "members", NFT_REG_1, false);
    end_snat(b, rule, plan->source);
    /* A container by a published port: itself, or one of a foreign network. */
    for (int i = 0; i < 2; i++) {
        rule = nft_rule(b, "snat");
        has_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
        is_ipv4(rule);
        in_set(rule, IP_SOURCE, "ranges", false);
        pair_in(rule, i == 0 ? "itself" : "pairs", i == 1);
        end_snat(b, rule, plan->source);
    }
    /* A container to the outside. */
    rule = nft_rule(b, "snat");
    is_ipv4(rule);
    in_set(rule, IP_SOURCE, "ranges", false);
    in_set(rule, IP_DESTINATION, "ranges", true);
    on_device(rule, NFT_META_OIFNAME, NFT_CMP_NEQ, NETNAME_TUNNEL);
    on_device(rule, NFT_META_OIFNAME, NFT_CMP_NEQ, NETNAME_PORT_PREFIX "*");
    nft_masquerade(rule);
    nft_rule_end(b, rule);
}

void ruleset_build(struct nft_batch *b, const struct netplan *plan)
{
    ruleset_build_sets(b, plan);
    build_raw(b, plan);
    build_mark(b);
    build_dnat(b);
    build_plain(b, plan);
    build_input(b, plan);
    build_forward(b, plan);
    build_unmark(b);
    build_snat(b, plan);
    nft_batch_end(b);
}

void ruleset_forget(struct ruleset_memory *memory)
{
    nft_batch_release(&memory->last);
    *memory = (struct ruleset_memory){0};
}

/* Somebody may have changed our table too since we looked last. */
static bool is_untouched(struct netlink *nl, const struct ruleset_memory *memory)
{
    uint32_t generation;
    struct err err;
    return memory->known && nft_generation(nl, &generation, &err) == 0 &&
           generation == memory->generation;
}

/* What the kernel has is @b, which becomes what is remembered. */
static void remember(struct ruleset_memory *memory, struct nft_batch *b, bool known,
                     uint32_t generation)
{
    nft_batch_release(&memory->last);
    memory->last = *b;
    *b = (struct nft_batch){0};
    memory->known = known;
    memory->generation = generation;
}

static bool found_is(const struct nft_found *found, const struct nft_batch *b)
{
    return found->exists && strcmp(found->version, b->version) == 0 &&
           found->chains == b->chains_n && found->rules == b->rules_n &&
           found->elements == b->elements_n;
}

/* Nobody has touched the table: tell the difference. */
static int update(struct netlink *nl, struct ruleset_memory *memory, struct nft_batch *b,
                  struct ruleset_result *ret, struct err *err)
{
    int rc = nft_update(nl, &memory->last, b, &ret->bytes, err);
    if (rc < 0)
        return rc;
    uint32_t generation;
    struct err later;
    ret->changed = ret->bytes > 0;
    /* Ours alone, or somebody's too. */
    bool known = nft_generation(nl, &generation, &later) == 0 &&
                 generation == memory->generation + ret->changed;
    remember(memory, b, known, generation);
    return 0;
}

/* Look, and put all of it in place unless it is there. */
static int replace(struct netlink *nl, struct ruleset_memory *memory, struct nft_batch *b,
                   struct ruleset_result *ret, struct err *err)
{
    uint32_t before, generation;
    struct nft_found found;
    int rc = nft_generation(nl, &before, err);
    if (rc == 0)
        rc = nft_probe(nl, b, &found, err);
    if (rc < 0)
        return rc;
    ret->changed = !found_is(&found, b);
    if (ret->changed)
        rc = nft_install(nl, b, err);
    if (rc == 0)
        rc = nft_generation(nl, &generation, err);
    if (rc == 0)
        remember(memory, b, generation == before + ret->changed, generation);
    else
        ruleset_forget(memory);
    return rc;
}

int ruleset_sync(struct netlink *nl, const struct netplan *plan, struct ruleset_memory *memory,
                 struct ruleset_result *ret, struct err *err)
{
    cleanup_nft_batch struct nft_batch b;
    struct err first;
    *ret = (struct ruleset_result){0};
    nft_batch_init(&b, RULESET_TABLE);
    if (is_untouched(nl, memory)) {
        b.known = &memory->last;
        ruleset_build(&b, plan);
        if (nft_can_update(&memory->last, &b) && update(nl, memory, &b, ret, &first) == 0)
            return 0;
        nft_batch_release(&b);
        nft_batch_init(&b, RULESET_TABLE);
    }
    ruleset_build(&b, plan);
    return replace(nl, memory, &b, ret, err);
}
