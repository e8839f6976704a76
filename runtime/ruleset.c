/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ruleset.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netplan.h"
#include "runtime/ruleset_match.h"
#include "runtime/ruleset_sets.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <string.h>

static const char *const our_devices[] = {NETNAME_PORT_PREFIX "*", NETNAME_TUNNEL};

static const struct match_family *const families[] = {&match_ip4, &match_ip6};

/* How many of them there are. */
static size_t families_n(const struct netplan *plan)
{
    return plan->six ? 2 : 1;
}

/* Only pings of members for our hop: they ask whether a way works. */
static void is_probe(struct nftnl_rule *rule, const struct netplan *plan)
{
    match_ipv4(rule);
    match_address(rule, match_ip4.destination, NFT_CMP_EQ, netname_peer_hop(plan->state->node_id));
    match_protocol(rule, IPPROTO_ICMP);
}

/* Only packets that came by the machines' link, but from no member. */
static void from_stranger(struct nftnl_rule *rule, const struct netplan *plan)
{
    match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, plan->link.dev);
    nft_payload(rule, NFT_PAYLOAD_LL_HEADER, 6, NETNAME_MAC, NFT_REG_1);
    nft_find(rule, "machines", NFT_REG_1, true);
}

/* What takes plain routes comes from a member: by its MAC, as frames of the tunnel by its address.
 */
static void build_link_guard(struct nft_batch *b, const struct netplan *plan)
{
    struct nftnl_rule *rule = nft_rule(b, "raw");
    match_ipv4(rule);
    match_source(rule, &match_ip4, match_ip4.ranges, false);
    from_stranger(rule, plan);
    rule_end_verdict(b, rule, NF_DROP);
    rule = nft_rule(b, "raw");
    is_probe(rule, plan);
    from_stranger(rule, plan);
    rule_end_verdict(b, rule, NF_DROP);
}

static void build_raw(struct nft_batch *b, const struct netplan *plan)
{
    const uint32_t fields[] = {match_ip4.source, match_ip4.destination};
    nft_base_chain(b, "raw", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW);
    for (size_t i = 0; i < ARRAY_SIZE(our_devices); i++) {
        struct nftnl_rule *rule;
        if (!plan->six) {
            rule = nft_rule(b, "raw");
            match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
            match_family(rule, &match_ip6);
            rule_end_verdict(b, rule, NF_DROP);
        }
        for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
            rule = nft_rule(b, "raw");
            match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
            match_ipv4(rule);
            match_loopback(rule, fields[k]);
            rule_end_verdict(b, rule, NF_DROP);
        }
    }
    for (size_t i = 0; i < families_n(plan); i++) {
        struct nftnl_rule *rule = nft_rule(b, "raw");
        match_from_port(rule);
        match_family(rule, families[i]);
        nft_meta(rule, NFT_META_IIFNAME, NFT_REG_1);
        nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, families[i]->source, families[i]->len,
                    NFT_REG32_04);
        nft_find(rule, families[i]->endpoints, NFT_REG_1, true);
        rule_end_verdict(b, rule, NF_DROP);
    }
    if (plan->linked)
        build_link_guard(b, plan);
}

static void build_mark(struct nft_batch *b, const struct netplan *plan)
{
    struct nftnl_rule *rule;
    nft_base_chain(b, "mark", "filter", NF_INET_PRE_ROUTING, PRIORITY_MANGLE);
    /* Each packet, not only the first: a client of UDP may change to another member. */
    for (size_t i = 0; i < families_n(plan); i++) {
        rule = nft_rule(b, "mark");
        match_from_tunnel(rule);
        match_family(rule, families[i]);
        match_source(rule, families[i], families[i]->ranges, true);
        match_direction(rule, DIRECTION_ORIGINAL);
        nft_payload(rule, NFT_PAYLOAD_LL_HEADER, 6, NETNAME_MAC, NFT_REG_1);
        nft_map(rule, "marks", 0, NFT_REG_1, NFT_REG_1);
        nft_set_ct_mark(rule, NFT_REG_1);
        nft_rule_end(b, rule);
    }

    /* Addresses of IPv6 that members have are not known, but who they are on our link is. */
    if (plan->six && plan->linked) {
        const uint32_t member = NETNAME_MARK_MEMBER;
        rule = nft_rule(b, "mark");
        match_family(rule, &match_ip6);
        match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, plan->link.dev);
        nft_payload(rule, NFT_PAYLOAD_LL_HEADER, 6, NETNAME_MAC, NFT_REG_1);
        nft_find(rule, "machines", NFT_REG_1, false);
        match_direction(rule, DIRECTION_ORIGINAL);
        nft_immediate(rule, NFT_REG_1, &member, sizeof(member));
        nft_set_ct_mark(rule, NFT_REG_1);
        nft_rule_end(b, rule);
    }

    rule = nft_rule(b, "mark");
    match_from_port(rule);
    match_direction(rule, DIRECTION_REPLY);
    nft_ct(rule, NFT_CT_MARK, NFT_REG_1);
    match_mark(rule);
    nft_ct(rule, NFT_CT_MARK, NFT_REG_1);
    nft_set_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);
}

/* Of one family, for the chain @chain. */
static void build_dnat_rules(struct nft_batch *b, const char *chain,
                             const struct match_family *family)
{
    const uint32_t local = RTN_LOCAL;
    struct nftnl_rule *rule = nft_rule(b, chain);
    match_family(rule, family);
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, family->destination, family->len, NFT_REG_1);
    nft_map(rule, family->services, 0, NFT_REG_1, NFT_REG_VERDICT);
    nft_rule_end(b, rule);
    /* Those without a backend are no address to publish a port on. */
    rule = nft_rule(b, chain);
    match_family(rule, family);
    match_destination(rule, family, family->ranges, false);
    rule_end_verdict(b, rule, NF_ACCEPT);
    rule = nft_rule(b, chain);
    match_family(rule, family);
    if (family == &match_ip4) /* the gateway's DNS is not a published port */
        match_address(rule, family->destination, NFT_CMP_NEQ, netname_gateway());
    else /* what goes to ::1 may not leave the machine: the answer would be dropped */
        match_loopback6(rule, NFT_CMP_NEQ);
    nft_destination_type(rule, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &local, sizeof(local));
    match_load_port(rule);
    nft_map(rule, family->ports, 0, NFT_REG_1, NFT_REG_VERDICT);
    nft_rule_end(b, rule);
}

static void build_dnat(struct nft_batch *b, const struct netplan *plan)
{
    const struct {
        const char *name;
        uint32_t hook;
    } chains[] = {{"dnat", NF_INET_PRE_ROUTING}, {"local", NF_INET_LOCAL_OUT}};
    for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
        nft_base_chain(b, chains[i].name, "nat", chains[i].hook, PRIORITY_DSTNAT);
        for (size_t k = 0; k < families_n(plan); k++)
            build_dnat_rules(b, chains[i].name, families[k]);
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
    match_from_port(rule);
    match_ipv4(rule);
    match_pair(rule, &match_ip4, match_ip4.pairs, false);
    nft_immediate(rule, NFT_REG_1, &mark, sizeof(mark));
    nft_set_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);
    rule = nft_rule(b, "plain");
    match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, plan->link.dev);
    is_probe(rule, plan);
    nft_immediate(rule, NFT_REG_1, &mark, sizeof(mark));
    nft_set_ct_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);

    nft_base_chain(b, "answer", "route", NF_INET_LOCAL_OUT, PRIORITY_MANGLE);
    rule = nft_rule(b, "answer");
    match_protocol(rule, IPPROTO_ICMP);
    match_direction(rule, DIRECTION_REPLY);
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
    match_ipv4(rule);
    match_protocol(rule, IPPROTO_UDP);
    match_destination_port(rule, plan->state->vxlan_port);
    nft_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 12, sizeof(network), NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, network, sizeof(network));
    match_source(rule, &match_ip4, "members", true);
    rule_end_verdict(b, rule, NF_DROP);
}

/* A rule for new packets to a published port without backends. */
static struct nftnl_rule *closed_rule(struct nft_batch *b, const struct match_family *family)
{
    struct nftnl_rule *rule = nft_rule(b, "input");
    match_family(rule, family);
    if (family == &match_ip4)
        match_address(rule, family->destination, NFT_CMP_NEQ, netname_gateway());
    match_bits(rule, NFT_CT_STATE, STATE_NEW);
    match_load_port(rule);
    nft_find(rule, family->closed, NFT_REG_1, false);
    return rule;
}

/* What comes to the address of a service has no backend to go to. */
static struct nftnl_rule *unserved_rule(struct nft_batch *b, const struct match_family *family)
{
    struct nftnl_rule *rule = nft_rule(b, "input");
    match_family(rule, family);
    match_destination(rule, family, family->ranges, false);
    return rule;
}

/* Refuse at once what two rules that begin with @begin find: TCP, then the rest. */
static void build_refusal(struct nft_batch *b, const struct match_family *family,
                          struct nftnl_rule *(*begin)(struct nft_batch *,
                                                      const struct match_family *))
{
    struct nftnl_rule *rule = begin(b, family);
    match_protocol(rule, IPPROTO_TCP);
    nft_reject(rule, NFT_REJECT_TCP_RST, 0);
    nft_rule_end(b, rule);
    rule = begin(b, family);
    nft_reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
    nft_rule_end(b, rule);
}

/* What containers may do at the gateway address: ask for names and ping. */
static void build_gateway(struct nft_batch *b)
{
    const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        struct nftnl_rule *rule = nft_rule(b, "input");
        match_from_port(rule);
        match_ipv4(rule);
        match_address(rule, match_ip4.destination, NFT_CMP_EQ, netname_gateway());
        match_protocol(rule, protocols[i]);
        if (protocols[i] != IPPROTO_ICMP)
            match_destination_port(rule, PORT_DNS);
        rule_end_verdict(b, rule, NF_ACCEPT);
    }
    struct nftnl_rule *rule = nft_rule(b, "input");
    match_from_port(rule);
    match_ipv4(rule);
    match_address(rule, match_ip4.destination, NFT_CMP_EQ, netname_gateway());
    rule_end_refuse(b, rule);
    /* Nobody else has business there. */
    rule = nft_rule(b, "input");
    match_device(rule, NFT_META_IIFNAME, NFT_CMP_NEQ, "lo");
    match_device(rule, NFT_META_IIFNAME, NFT_CMP_NEQ, NETNAME_PORT_PREFIX "*");
    match_ipv4(rule);
    match_address(rule, match_ip4.destination, NFT_CMP_EQ, netname_gateway());
    rule_end_verdict(b, rule, NF_DROP);
}

static void build_input(struct nft_batch *b, const struct netplan *plan)
{
    nft_base_chain(b, "input", "filter", NF_INET_LOCAL_IN, PRIORITY_FILTER);
    build_tunnel_guard(b, plan);
    struct nftnl_rule *rule = nft_rule(b, "input");
    match_bits(rule, NFT_CT_STATE, STATE_ESTABLISHED | STATE_RELATED);
    rule_end_verdict(b, rule, NF_ACCEPT);
    rule = nft_rule(b, "input");
    match_from_tunnel(rule);
    is_probe(rule, plan);
    rule_end_verdict(b, rule, NF_ACCEPT);
    rule = nft_rule(b, "input");
    match_from_tunnel(rule);
    rule_end_verdict(b, rule, NF_DROP);
    build_gateway(b);
    for (size_t i = 0; i < families_n(plan); i++) {
        build_refusal(b, families[i], unserved_rule);
        /* From a network that leads nowhere else there is no way to the machine either. */
        rule = nft_rule(b, "input");
        match_from_port(rule);
        match_family(rule, families[i]);
        match_source(rule, families[i], families[i]->internals, false);
        rule_end_refuse(b, rule);
        build_refusal(b, families[i], closed_rule);
    }
}

/* Broken connections must not leave with addresses that were never translated. */
static void build_invalid(struct nft_batch *b)
{
    for (size_t i = 0; i < ARRAY_SIZE(our_devices); i++) {
        struct nftnl_rule *rule = nft_rule(b, "forward");
        match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
        match_bits(rule, NFT_CT_STATE, STATE_INVALID);
        rule_end_verdict(b, rule, NF_DROP);
    }
}

/* What is let through of one family, by a published port, by the address of a service, or inside a
 * network; other packets between containers are refused. */
static void build_isolation(struct nft_batch *b, const struct netplan *plan,
                            const struct match_family *family)
{
    /* From a network that leads nowhere else no published port is reached, by no machine. */
    struct nftnl_rule *rule = nft_rule(b, "forward");
    match_from_port(rule);
    match_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
    match_family(rule, family);
    match_source(rule, family, family->internals, false);
    nft_ct_original(rule, family->original, NFT_REG_1);
    nft_find(rule, family->ranges, NFT_REG_1, true);
    rule_end_refuse(b, rule);
    /* Published: open to all. The address of a service is open to its network only, which the
     * addresses that it stands for tell. */
    rule = nft_rule(b, "forward");
    match_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
    match_family(rule, family);
    nft_ct_original(rule, family->original, NFT_REG_1);
    nft_find(rule, family->ranges, NFT_REG_1, true);
    rule_end_verdict(b, rule, NF_ACCEPT);
    /* Inside a network; from a member or a container, whose source was checked. */
    for (size_t i = 0; i < ARRAY_SIZE(our_devices); i++) {
        rule = nft_rule(b, "forward");
        match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, our_devices[i]);
        match_family(rule, family);
        match_pair(rule, family, family->pairs, false);
        rule_end_verdict(b, rule, NF_ACCEPT);
    }
    /* The same by a plain route: from the link alone, and not if it leads on to another machine. */
    if (plan->linked && family == &match_ip4) {
        rule = nft_rule(b, "forward");
        match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, plan->link.dev);
        match_device(rule, NFT_META_OIFNAME, NFT_CMP_EQ, NETNAME_PORT_PREFIX "*");
        match_family(rule, family);
        match_pair(rule, family, family->pairs, false);
        rule_end_verdict(b, rule, NF_ACCEPT);
    }
    rule = nft_rule(b, "forward");
    match_family(rule, family);
    match_source(rule, family, family->ranges, false);
    match_destination(rule, family, family->ranges, false);
    rule_end_refuse(b, rule);
}

static void build_forward(struct nft_batch *b, const struct netplan *plan)
{
    nft_base_chain(b, "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER);
    struct nftnl_rule *rule = nft_rule(b, "forward");
    match_bits(rule, NFT_CT_STATE, STATE_ESTABLISHED | STATE_RELATED);
    rule_end_verdict(b, rule, NF_ACCEPT);
    build_invalid(b);
    for (size_t i = 0; i < families_n(plan); i++)
        build_isolation(b, plan, families[i]);
    /* A client of another member, or that member itself. */
    rule = nft_rule(b, "forward");
    match_from_tunnel(rule);
    match_device(rule, NFT_META_OIFNAME, NFT_CMP_EQ, NETNAME_PORT_PREFIX "*");
    rule_end_verdict(b, rule, NF_ACCEPT);
    rule = nft_rule(b, "forward");
    match_from_tunnel(rule);
    rule_end_verdict(b, rule, NF_DROP);
    /* A container to the outside. */
    for (size_t i = 0; i < families_n(plan); i++) {
        rule = nft_rule(b, "forward");
        match_from_port(rule);
        match_family(rule, families[i]);
        match_source(rule, families[i], families[i]->internals, false);
        rule_end_refuse(b, rule);
    }
    rule = nft_rule(b, "forward");
    match_from_port(rule);
    rule_end_verdict(b, rule, NF_ACCEPT);
    /* The outside to a container, but not by a published port. */
    for (size_t i = 0; i < families_n(plan); i++) {
        rule = nft_rule(b, "forward");
        match_family(rule, families[i]);
        match_destination(rule, families[i], families[i]->ranges, false);
        rule_end_verdict(b, rule, NF_DROP);
    }
}

static void build_unmark(struct nft_batch *b)
{
    const uint32_t zero = 0;
    nft_base_chain(b, "unmark", "filter", NF_INET_POST_ROUTING, PRIORITY_MANGLE);
    struct nftnl_rule *rule = nft_rule(b, "unmark");
    match_to_tunnel(rule);
    nft_meta(rule, NFT_META_MARK, NFT_REG_1);
    match_mark(rule);
    nft_immediate(rule, NFT_REG_1, &zero, sizeof(zero));
    nft_set_mark(rule, NFT_REG_1);
    nft_rule_end(b, rule);
}

/* Who must not be seen as the source, of one family. */
static void build_sources(struct nft_batch *b, const struct netplan *plan,
                          const struct match_family *family)
{
    const bool four = family == &match_ip4;
    const uint32_t member = NETNAME_MARK_MEMBER;
    const struct in6_addr source = four ? netip_from4(plan->source) : plan->source6;
    struct nftnl_rule *rule;
    if (four) { /* localhost */
        rule = nft_rule(b, "snat");
        match_device(rule, NFT_META_OIFNAME, NFT_CMP_NEQ, "lo");
        match_family(rule, family);
        match_loopback(rule, family->source);
        match_destination(rule, family, family->ranges, false);
        rule_end_snat(b, rule, &source);
    }
    /* A member by our published port: the backend's machine may be that member, which takes no
     * packet from outside that claims to come from itself. */
    rule = nft_rule(b, "snat");
    match_to_tunnel(rule);
    match_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
    match_family(rule, family);
    if (four) {
        match_source(rule, family, "members", false);
    } else {
        nft_ct(rule, NFT_CT_MARK, NFT_REG_1);
        nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &member, sizeof(member));
    }
    rule_end_snat(b, rule, &source);
    /* A container by a published port: itself, or one of a foreign network. */
    for (int i = 0; i < 2; i++) {
        rule = nft_rule(b, "snat");
        match_bits(rule, NFT_CT_STATUS, IPS_DST_NAT);
        match_family(rule, family);
        match_source(rule, family, family->ranges, false);
        match_pair(rule, family, i == 0 ? family->itself : family->pairs, i == 1);
        rule_end_snat(b, rule, &source);
    }
    /* A container to the outside. */
    rule = nft_rule(b, "snat");
    match_family(rule, family);
    match_source(rule, family, family->ranges, false);
    match_destination(rule, family, family->ranges, true);
    match_device(rule, NFT_META_OIFNAME, NFT_CMP_NEQ, NETNAME_TUNNEL);
    match_device(rule, NFT_META_OIFNAME, NFT_CMP_NEQ, NETNAME_PORT_PREFIX "*");
    nft_masquerade(rule);
    nft_rule_end(b, rule);
}

void ruleset_build(struct nft_batch *b, const struct netplan *plan)
{
    ruleset_build_sets(b, plan);
    build_raw(b, plan);
    build_mark(b, plan);
    build_dnat(b, plan);
    build_plain(b, plan);
    build_input(b, plan);
    build_forward(b, plan);
    build_unmark(b);
    nft_base_chain(b, "snat", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
    for (size_t i = 0; i < families_n(plan); i++)
        build_sources(b, plan, families[i]);
    nft_batch_end(b);
}
