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

/* What differs between IPv4 and IPv6. */
struct match_family {
    uint8_t number;               /* NFPROTO_* */
    uint32_t len;                 /* of an address */
    uint32_t source, destination; /* where they are in a packet */
    uint32_t original;            /* NFT_CT_DST_IP or NFT_CT_DST_IP6 */
    enum nft_type type;
    const char *endpoints, *pairs, *ranges, *internals, *itself, *ports, *closed, *services;
};
extern const struct match_family match_ip4, match_ip6;

enum {
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

/* Only packets that came from a container. */
void match_from_port(struct nftnl_rule *rule);

/* Only packets that came by the tunnel. */
void match_from_tunnel(struct nftnl_rule *rule);

/* Only packets that go to the tunnel. */
void match_to_tunnel(struct nftnl_rule *rule);

/* Only packets of a family: before all that looks at addresses. */
void match_family(struct nftnl_rule *rule, const struct match_family *family);

/* Only packets of IPv4. */
void match_ipv4(struct nftnl_rule *rule);

/* Only packets of IPv4 whose source or destination (a field of match_ip4) is @address, with @op
 * NFT_CMP_NEQ is not. After match_ipv4. */
void match_address(struct nftnl_rule *rule, uint32_t field, uint32_t op, struct in_addr address);

/* Only packets of IPv4 whose source or destination lies in 127.0.0.0/8. After match_ipv4. */
void match_loopback(struct nftnl_rule *rule, uint32_t field);

/* Only packets of IPv6 whose destination is ::1, with @op NFT_CMP_NEQ is not. */
void match_loopback6(struct nftnl_rule *rule, uint32_t op);

/* Only packets of @family whose source is, or is not, in @set, one of its own or of that type.
 * After match_family. */
void match_source(struct nftnl_rule *rule, const struct match_family *family, const char *set,
                  bool not );

/* The same of the destination. */
void match_destination(struct nftnl_rule *rule, const struct match_family *family, const char *set,
                       bool not );

/* Only packets of @family whose (source, destination) is, or is not, in one of its sets. */
void match_pair(struct nftnl_rule *rule, const struct match_family *family, const char *set,
                bool not );

/* Only packets of a protocol (IPPROTO_*). */
void match_protocol(struct nftnl_rule *rule, uint8_t protocol);

/* Only packets to a port. After match_protocol. */
void match_destination_port(struct nftnl_rule *rule, uint16_t port);

/* Load (protocol, destination port) as the sets of ports have it. */
void match_load_port(struct nftnl_rule *rule);

/* Only packets of which a bit of NFT_CT_STATE or NFT_CT_STATUS is set. */
void match_bits(struct nftnl_rule *rule, uint32_t key, uint32_t bits);

/* Only packets in one direction of their connection (DIRECTION_*). */
void match_direction(struct nftnl_rule *rule, uint8_t direction);

/* Only if the mark in NFT_REG_1 is one of ours. */
void match_mark(struct nftnl_rule *rule);

/* End the rule with NF_ACCEPT or NF_DROP. */
void rule_end_verdict(struct nft_batch *b, struct nftnl_rule *rule, int verdict);

/* End it with @source as the source of packets of its family. */
void rule_end_snat(struct nft_batch *b, struct nftnl_rule *rule, const struct in6_addr *source);

/* End it by refusing the packet, which the sender is told by ICMP. */
void rule_end_refuse(struct nft_batch *b, struct nftnl_rule *rule);

#endif
