/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a rule: each function appends one expression of nftables. */
#include "runtime/nft.h"

#include "base/cleanup.h"

#include <stdio.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

static struct nftnl_expr *add(struct nftnl_rule *rule, const char *name)
{
    struct nftnl_expr *expr = nftnl_expr_alloc(name);
    check(expr);
    nftnl_rule_add_expr(rule, expr);
    return expr;
}

void nft_meta(struct nftnl_rule *rule, uint32_t key, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "meta");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, reg);
}

void nft_ct(struct nftnl_rule *rule, uint32_t key, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "ct");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, reg);
}

void nft_ct_original(struct nftnl_rule *rule, uint32_t key, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "ct");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u8(expr, NFTNL_EXPR_CT_DIR, 0);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, reg);
}

void nft_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t len,
                 uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "payload");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, len);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, reg);
}

void nft_destination_type(struct nftnl_rule *rule, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "fib");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, reg);
}

void nft_random(struct nftnl_rule *rule, uint32_t modulus, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "numgen");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NG_MODULUS, modulus);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NG_OFFSET, 0);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NG_DREG, reg);
}

void nft_immediate(struct nftnl_rule *rule, uint32_t reg, const void *data, uint32_t len)
{
    struct nftnl_expr *expr = add(rule, "immediate");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, reg);
    nftnl_expr_set(expr, NFTNL_EXPR_IMM_DATA, data, len);
}

void nft_and(struct nftnl_rule *rule, uint32_t reg, const void *mask, uint32_t len)
{
    static const unsigned char zero[16];
    check(len <= sizeof(zero));
    struct nftnl_expr *expr = add(rule, "bitwise");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, len);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask, len);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

void nft_compare(struct nftnl_rule *rule, uint32_t op, uint32_t reg, const void *data, uint32_t len)
{
    struct nftnl_expr *expr = add(rule, "cmp");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
    nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, len);
}

static struct nftnl_expr *lookup(struct nftnl_rule *rule, const char *set, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "lookup");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, reg);
    nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, set);
    return expr;
}

void nft_find(struct nftnl_rule *rule, const char *set, uint32_t reg, bool not )
{
    struct nftnl_expr *expr = lookup(rule, set, reg);
    if (not )
        nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

void nft_map(struct nftnl_rule *rule, const char *set, uint32_t id, uint32_t reg, uint32_t to)
{
    struct nftnl_expr *expr = lookup(rule, set, reg);
    if (id)
        nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SET_ID, id);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, to);
}

void nft_set_mark(struct nftnl_rule *rule, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "meta");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_SREG, reg);
}

void nft_set_ct_mark(struct nftnl_rule *rule, uint32_t reg)
{
    struct nftnl_expr *expr = add(rule, "ct");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_SREG, reg);
}

void nft_nat(struct nftnl_rule *rule, uint8_t family, uint32_t type, uint32_t reg,
             uint32_t port_reg)
{
    struct nftnl_expr *expr = add(rule, "nat");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_TYPE, type);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FAMILY, family);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg);
    if (port_reg)
        nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN, port_reg);
}

void nft_masquerade(struct nftnl_rule *rule)
{
    add(rule, "masq");
}

void nft_reject(struct nftnl_rule *rule, uint32_t type, uint8_t code)
{
    struct nftnl_expr *expr = add(rule, "reject");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_REJECT_TYPE, type);
    nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE, code);
}

void nft_verdict(struct nftnl_rule *rule, int verdict, const char *chain)
{
    struct nftnl_expr *expr = add(rule, "immediate");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
    if (chain)
        nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain);
}
