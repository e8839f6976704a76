/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ruleset_match - what our rules look for, and how they end. For the files of the ruleset.
 *
 * A rule goes on to its next step only if the packet is as the one before says.
 */
#ifndef WHERRY_RUNTIME_RULESET_MATCH_H
#define WHERRY_RUNTIME_RULESET_MATCH_H

#include "runtime/network.h"
#include "runtime/nft.h"

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

/* Only packets of a device ("wv*": of all whose name begins so); @key is NFT_META_IIFNAME or
 * NFT_META_OIFNAME, @op NFT_CMP_EQ or NFT_CMP_NEQ. */
void match_device(struct nftnl_rule *rule, uint32_t key, uint32_t op, const char *name);

/* Only packets that came from a container, from the tunnel, or go to the tunnel. */
void match_from_port(struct nftnl_rule *rule);
void match_from_tunnel(struct nftnl_rule *rule);
void match_to_tunnel(struct nftnl_rule *rule);

/* Only packets of IPv4: before all that looks at addresses. */
void match_ipv4(struct nftnl_rule *rule);

/* Only packets whose source or destination (IP_SOURCE, IP_DESTINATION) is, or is not, in a prefix.
 * After match_ipv4. */
void match_prefix(struct nftnl_rule *rule, uint32_t field, uint32_t op,
                  const struct network_prefix *prefix);

/* The same of one address. */
void match_address(struct nftnl_rule *rule, uint32_t field, uint32_t op, struct in_addr address);

/* 127.0.0.0/8. */
struct network_prefix match_loopback_range(void);

/* Only packets whose source or destination is, or is not, in a set of ranges. After match_ipv4. */
void match_set(struct nftnl_rule *rule, uint32_t field, const char *set, bool not );

/* Only packets whose (source, destination) is, or is not, in a set. */
void match_pair(struct nftnl_rule *rule, const char *set, bool not );

/* Only packets of a protocol (IPPROTO_*); to a port, behind match_protocol. */
void match_protocol(struct nftnl_rule *rule, uint8_t protocol);
void match_destination_port(struct nftnl_rule *rule, uint16_t port);

/* Load (protocol, destination port) as the sets of ports have it. */
void match_load_port(struct nftnl_rule *rule);

/* Only packets of which a bit of NFT_CT_STATE or NFT_CT_STATUS is set. */
void match_bits(struct nftnl_rule *rule, uint32_t key, uint32_t bits);

/* Only packets in one direction of their connection (DIRECTION_*). */
void match_direction(struct nftnl_rule *rule, uint8_t direction);

/* Only if the mark in NFT_REG_1 is one of ours. */
void match_mark(struct nftnl_rule *rule);

/* End the rule with NF_ACCEPT or NF_DROP; with @source as the packet's source; by refusing it. */
void rule_end_verdict(struct nft_batch *b, struct nftnl_rule *rule, int verdict);
void rule_end_snat(struct nft_batch *b, struct nftnl_rule *rule, struct in_addr source);
void rule_end_refuse(struct nft_batch *b, struct nftnl_rule *rule);

#endif
