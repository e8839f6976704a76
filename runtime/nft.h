/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft - one table of nftables, built in memory and put in place in one step (nft_table.h).
 *
 *     nft_batch_init(&b, "wherry");
 *     nft_base_chain(&b, "forward", "filter", NF_INET_FORWARD, 0);
 *     set = nft_set(&b, "members", 0, NFT_TYPE_IPV4, 4);
 *     nft_set_add(set, &address, NULL, NULL);           as many as you like
 *     nft_set_end(&b, set);
 *     rule = nft_rule(&b, "forward");                   the set before the rule that names it
 *     nft_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, NFT_REG_1);
 *     nft_find(rule, "members", NFT_REG_1, false);
 *     nft_verdict(rule, NF_ACCEPT, NULL);
 *     nft_rule_end(&b, rule);
 *     nft_batch_end(&b);
 *
 * A table has fixed parts, and loose ones that come and go with services and tasks: chains that
 * maps lead to, and elements of sets. From one batch to the next only the difference of the loose
 * ones needs to be told to the kernel. The name of a loose chain stands for what is in it: another
 * content, another name.
 *
 * What is built is a function of the calls alone, so that a digest of it, the version, tells
 * whether the kernel has it already. Registers are the kernel's: NFT_REG_1… of 16 bytes,
 * NFT_REG32_00… of 4, the first four of which are NFT_REG_1. Family inet.
 */
#ifndef WHERRY_RUNTIME_NFT_H
#define WHERRY_RUNTIME_NFT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nftnl_rule;
struct nft_set;

enum {
    NFT_SETS_MAX = 24,
    NFT_KEY_MAX = 32,
    NFT_DATA_MAX = 32,
    NFT_PART_CHAIN = -1,
};

#define NFT_VERSION "version_" /* and digits: the chain that tells what the table is */

/* Types of set keys, by which `nft list` prints them; two are joined by nft_type_pair. */
enum nft_type {
    NFT_TYPE_INTEGER = 4,
    NFT_TYPE_IPV4 = 7,
    NFT_TYPE_IPV6 = 8,
    NFT_TYPE_ETHER = 9,
    NFT_TYPE_PROTOCOL = 12,
    NFT_TYPE_SERVICE = 13,
    NFT_TYPE_MARK = 19,
    NFT_TYPE_IFNAME = 41,
};

/* A named set or map. */
struct nft_named {
    const char *name;
    uint32_t key_len, data_type, data_len;
};

/* A loose chain (NFT_PART_CHAIN), or an element of the named set of that number. */
struct nft_part {
    int set;
    char key[NFT_KEY_MAX];   /* or the chain's name */
    char data[NFT_DATA_MAX]; /* what it maps to, or the name of the chain it goes to */
    uint32_t offset, len;    /* of a chain: its messages in nft_batch.chains; 0: it was there */
    uint32_t rules;          /* in it */
};

struct nft_batch {
    const char *table;
    const struct nft_batch *known; /* what the kernel has; NULL: nothing is known to be there */
    struct buf fixed;  /* messages of what is not loose, without those for the table itself */
    struct buf chains; /* messages of loose chains and what is in them */
    bool in_chain;     /* a loose chain is being built */
    uint32_t seq, chain_seq;
    uint32_t set_id, chain_set_id;
    size_t chains_n, rules_n, elements_n; /* in all; elements of the named sets */
    struct nft_named sets[NFT_SETS_MAX];
    size_t sets_n;
    struct nft_part *parts; /* sorted by nft_batch_end */
    size_t parts_n, parts_cap;
    char version[NFT_KEY_MAX]; /* a loose chain without rules, named after all of it */
    unsigned char fixed_digest[32];
};

/* Start an empty table. @table must outlive the batch. */
void nft_batch_init(struct nft_batch *b, const char *table);
void nft_batch_release(struct nft_batch *b);
#define cleanup_nft_batch __attribute__((cleanup(nft_batch_release)))

/* All was added: sort, and name the version. */
void nft_batch_end(struct nft_batch *b);

/* Order of parts: chains first, then sets, each by key. For qsort. */
int nft_part_compare(const void *a, const void *b);

/* Begin a loose chain; what is added until nft_chain_end belongs to it. False when the kernel has a
 * chain of that name by b->known: nothing is to be added then, and it needs no end. */
bool nft_chain(struct nft_batch *b, const char *name);
void nft_chain_end(struct nft_batch *b);

/* Add a chain on a hook (NF_INET_*), whose policy is to accept. */
void nft_base_chain(struct nft_batch *b, const char *name, const char *type, uint32_t hook,
                    int32_t priority);

uint32_t nft_type_pair(enum nft_type first, enum nft_type second);

/* Begin a set with keys of @key_len bytes. With NFT_SET_ANONYMOUS in @flags the name is "__map%d"
 * or
 * "__set%d" and the rule that follows must use it, by nft_set_id. @name must outlive the batch. */
struct nft_set *nft_set(struct nft_batch *b, const char *name, uint32_t flags, uint32_t key_type,
                        uint32_t key_len);

/* Make the set a map to data of @len bytes, or with @type NFT_DATA_VERDICT to chains. */
void nft_set_data(struct nft_set *set, uint32_t type, uint32_t len);

/* Its elements are loose. */
void nft_set_loose(struct nft_set *set);

/* The keys are ranges over two fields of half the bytes each. */
void nft_set_ranges(struct nft_set *set);

/* The keys are ranges of one field in network byte order. */
void nft_set_intervals(struct nft_set *set);

/* Add an element; @end is the key at the end of its range, @data what it maps to; both may be NULL.
 */
void nft_set_add(struct nft_set *set, const void *key, const void *end, const void *data);

/* Add an element that goes to @chain. */
void nft_set_add_goto(struct nft_set *set, const void *key, const char *chain);

/* Put the set into the batch and free it. Returns its id. */
uint32_t nft_set_end(struct nft_batch *b, struct nft_set *set);

/* Begin a rule at the end of @chain; put it into the batch and free it. */
struct nftnl_rule *nft_rule(struct nft_batch *b, const char *chain);
void nft_rule_end(struct nft_batch *b, struct nftnl_rule *rule);

/* Steps of a rule. Loads put into @reg: NFT_META_*, NFT_CT_*, bytes of the packet, whether the
 * destination is this machine's (RTN_LOCAL), a random number below @modulus. */
void nft_meta(struct nftnl_rule *rule, uint32_t key, uint32_t reg);
void nft_ct(struct nftnl_rule *rule, uint32_t key, uint32_t reg);
/* The same of its first packet: NFT_CT_DST_IP. */
void nft_ct_original(struct nftnl_rule *rule, uint32_t key, uint32_t reg);
void nft_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t len,
                 uint32_t reg);
void nft_destination_type(struct nftnl_rule *rule, uint32_t reg);
void nft_random(struct nftnl_rule *rule, uint32_t modulus, uint32_t reg);
void nft_immediate(struct nftnl_rule *rule, uint32_t reg, const void *data, uint32_t len);
void nft_and(struct nftnl_rule *rule, uint32_t reg, const void *mask, uint32_t len);

/* Go on only if the comparison (NFT_CMP_*) holds. */
void nft_compare(struct nftnl_rule *rule, uint32_t op, uint32_t reg, const void *data,
                 uint32_t len);

/* Go on only if @reg is in the named set (@not: is not). */
void nft_find(struct nftnl_rule *rule, const char *set, uint32_t reg, bool not );

/* Replace by what the map has for @reg; go on only if it has it. @to 0 is the verdict. @id is for
 * anonymous maps, else 0. */
void nft_map(struct nftnl_rule *rule, const char *set, uint32_t id, uint32_t reg, uint32_t to);

/* Set the packet's mark, or its connection's, from @reg. */
void nft_set_mark(struct nftnl_rule *rule, uint32_t reg);
void nft_set_ct_mark(struct nftnl_rule *rule, uint32_t reg);

/* Translate (NFT_NAT_DNAT, NFT_NAT_SNAT) packets of @family (NFPROTO_*) to the address in @reg;
 * @port_reg 0 keeps the port. */
void nft_nat(struct nftnl_rule *rule, uint8_t family, uint32_t type, uint32_t reg,
             uint32_t port_reg);
void nft_masquerade(struct nftnl_rule *rule);

/* Refuse: NFT_REJECT_TCP_RST, or NFT_REJECT_ICMPX_UNREACH with a code. */
void nft_reject(struct nftnl_rule *rule, uint32_t type, uint8_t code);

/* NF_ACCEPT, NF_DROP, or NFT_JUMP with a chain. */
void nft_verdict(struct nftnl_rule *rule, int verdict, const char *chain);

#endif
