/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ruleset_match.h"

#include "base/mem.h"
#include "runtime/netname.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

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

void match_ipv4(struct nftnl_rule *rule)
{
    const uint8_t family = NFPROTO_IPV4;
    nft_meta(rule, NFT_META_NFPROTO, NFT_REG_1);
    nft_compare(rule, NFT_CMP_EQ, NFT_REG_1, &family, sizeof(family));
}

void match_prefix(struct nftnl_rule *rule, uint32_t field, uint32_t op,
                  const struct network_prefix *prefix)
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, field, 4, NFT_REG_1);
    if (prefix->length < 32) {
        uint32_t mask = htonl(prefix->length ? UINT32_MAX << (32 - prefix->length) : 0);
        nft_and(rule, NFT_REG_1, &mask, sizeof(mask));
    }
    nft_compare(rule, op, NFT_REG_1, &prefix->address, sizeof(prefix->address));
}

void match_address(struct nftnl_rule *rule, uint32_t field, uint32_t op, struct in_addr address)
{
    const struct network_prefix prefix = {address, 32};
    match_prefix(rule, field, op, &prefix);
}

struct network_prefix match_loopback_range(void)
{
    return (struct network_prefix){{htonl(INADDR_LOOPBACK & 0xff000000)}, 8};
}

void match_set(struct nftnl_rule *rule, uint32_t field, const char *set, bool not )
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, field, 4, NFT_REG_1);
    nft_find(rule, set, NFT_REG_1, not );
}

void match_pair(struct nftnl_rule *rule, const char *set, bool not )
{
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SOURCE, 4, NFT_REG32_00);
    nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_DESTINATION, 4, NFT_REG32_01);
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

void rule_end_snat(struct nft_batch *b, struct nftnl_rule *rule, struct in_addr source)
{
    nft_immediate(rule, NFT_REG_1, &source, sizeof(source));
    nft_nat(rule, NFT_NAT_SNAT, NFT_REG_1, 0);
    nft_rule_end(b, rule);
}

void rule_end_refuse(struct nft_batch *b, struct nftnl_rule *rule)
{
    nft_reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    nft_rule_end(b, rule);
}
