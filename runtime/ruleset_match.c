/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ruleset_match.h"

#include "base/mem.h"
#include "runtime/netname.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stddef.h>
#include <string.h>

const struct match_family match_ip4 = {
    .number = NFPROTO_IPV4,
    .len = sizeof(struct in_addr),
    .source = offsetof(struct iphdr, saddr),
    .destination = offsetof(struct iphdr, daddr),
    .original = NFT_CT_DST_IP,
    .type = NFT_TYPE_IPV4,
    .endpoints = "endpoints",
    .pairs = "pairs",
    .ranges = "ranges",
    .internals = "internals",
    .itself = "itself",
    .ports = "ports",
    .closed = "closed",
    .services = "services",
};

const struct match_family match_ip6 = {
    .number = NFPROTO_IPV6,
    .len = sizeof(struct in6_addr),
    .source = offsetof(struct ip6_hdr, ip6_src),
    .destination = offsetof(struct ip6_hdr, ip6_dst),
    .original = NFT_CT_DST_IP6,
    .type = NFT_TYPE_IPV6,
    .endpoints = "endpoints6",
    .pairs = "pairs6",
    .ranges = "ranges6",
    .internals = "internals6",
    .itself = "itself6",
    .ports = "ports6",
    .closed = "closed6",
    .services = "services6",
};

void match_device(struct nftnl_rule *rule, uint32_t key, uint32_t op, const char *name)
{
    char padded[NETNAME_NAME] = {0};
    str_fill(padded, sizeof(padded), name);
    char *star = strchr(padded, '*');
    nft_meta(rule, key, NFT_REG_1);
    nft_compare(rule, op, NFT_REG_1, padded,
                star ? (uint32_t)(star - padded) : (uint32_t)sizeof(padded));
}

void match_from_port(struct nftnl_rule *rule)
{
    match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, NETNAME_PORT_PREFIX "*");
}

void match_from_tunnel(struct nftnl_rule *rule)
{
    match_device(rule, NFT_META_IIFNAME, NFT_CMP_EQ, NETNAME_TUNNEL);
}

void match_to_tunnel(struct nftnl_rule *rule)
{
    match_device(rule, NFT_META_OIFNAME, NFT_CMP_EQ, NETNAME_TUNNEL);
}

void match_family(struct nftnl_rule *rule, const struct match_family *family)
{
    nft_meta(rule, NFT_META_NFPROTO, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &family->number, sizeof(family->number));
}

void match_ipv4(struct nftnl_rule *rule)
{
    match_family(rule, &match_ip4);
}

void match_address(struct nftnl_rule *rule, uint32_t field, uint32_t op, struct in_addr address)
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, field, 4, NFT_REG_1);
    nft_compare(rule, op, NFT_REG_1, &address, sizeof(address));
}

void match_loopback(struct nftnl_rule *rule, uint32_t field)
{
    const uint32_t mask = htonl(0xff000000), first = htonl(INADDR_LOOPBACK & 0xff000000);
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, field, 4, NFT_REG_1);
    nft_and(rule, NFT_REG_1, &mask, sizeof(mask));
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &first, sizeof(first));
}

void match_loopback6(struct nftnl_rule *rule, uint32_t op)
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, match_ip6.destination, match_ip6.len, NFT_REG_1);
    nft_compare(rule, op, NFT_REG_1, &in6addr_loopback, sizeof(in6addr_loopback));
}

void match_source(struct nftnl_rule *rule, const struct match_family *family, const char *set,
                  bool not )
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, family->source, family->len, NFT_REG_1);
    nft_find(rule, set, NFT_REG_1, not );
}

void match_destination(struct nftnl_rule *rule, const struct match_family *family, const char *set,
                       bool not )
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, family->destination, family->len, NFT_REG_1);
    nft_find(rule, set, NFT_REG_1, not );
}

void match_pair(struct nftnl_rule *rule, const struct match_family *family, const char *set,
                bool not )
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, family->source, family->len, NFT_REG32_00);
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, family->destination, family->len,
                NFT_REG32_00 + family->len / 4);
    nft_find(rule, set, NFT_REG_1, not );
}

void match_protocol(struct nftnl_rule *rule, uint8_t protocol)
{
    nft_meta(rule, NFT_META_L4PROTO, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &protocol, sizeof(protocol));
}

void match_destination_port(struct nftnl_rule *rule, uint16_t port)
{
    const uint16_t network = htons(port);
    nft_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &network, sizeof(network));
}

void match_load_port(struct nftnl_rule *rule)
{
    nft_meta(rule, NFT_META_L4PROTO, NFT_REG32_00);
    nft_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_01);
}

void match_bits(struct nftnl_rule *rule, uint32_t key, uint32_t bits)
{
    const uint32_t zero = 0;
    nft_ct(rule, key, NFT_REG_1);
    nft_and(rule, NFT_REG_1, &bits, sizeof(bits));
    nft_compare(rule, NFT_CMP_NEQ, NFT_REG_1, &zero, sizeof(zero));
}

void match_direction(struct nftnl_rule *rule, uint8_t direction)
{
    nft_ct(rule, NFT_CT_DIRECTION, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &direction, sizeof(direction));
}

void match_mark(struct nftnl_rule *rule)
{
    const uint32_t mask = NETNAME_MARK_MASK, mark = NETNAME_MARK;
    nft_and(rule, NFT_REG_1, &mask, sizeof(mask));
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &mark, sizeof(mark));
}

/* --- how rules end --- */

void rule_end_verdict(struct nft_batch *b, struct nftnl_rule *rule, int verdict)
{
    nft_verdict(rule, verdict, NULL);
    nft_rule_end(b, rule);
}

void rule_end_snat(struct nft_batch *b, struct nftnl_rule *rule, const struct in6_addr *source)
{
    size_t len;
    const void *bytes = netip_bytes(source, &len);
    nft_immediate(rule, NFT_REG_1, bytes, (uint32_t)len);
    nft_nat(rule, netip_is4(source) ? NFPROTO_IPV4 : NFPROTO_IPV6, NFT_NAT_SNAT, NFT_REG_1, 0);
    nft_rule_end(b, rule);
}

void rule_end_refuse(struct nft_batch *b, struct nftnl_rule *rule)
{
    nft_reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    nft_rule_end(b, rule);
}
