/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_table - a table of nftables in the kernel: what is there, and how it becomes what was built
 * (nft.h), in one step or not at all.
 */
#ifndef WHERRY_RUNTIME_NFT_TABLE_H
#define WHERRY_RUNTIME_NFT_TABLE_H

#include "runtime/nft.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct netlink;

/* What the kernel has of a table. */
struct nft_found {
    bool exists;
    char version[NFT_KEY_MAX]; /* its chain of that name; "" without */
    size_t chains, rules, elements;
};

/* Read what the kernel has of the table of @b. A table without one of its sets counts as one
 * without elements. Takes as long as there is much. */
int nft_probe(struct netlink *nl, const struct nft_batch *b, struct nft_found *ret,
              struct err *err);

/* The number of the last change that anybody made to any table of this namespace. */
int nft_generation(struct netlink *nl, uint32_t *ret, struct err *err);

/* Replace the table by what was built, with nothing known to be there. */
int nft_install(struct netlink *nl, const struct nft_batch *b, struct err *err);

/* True when only loose parts differ. */
bool nft_can_update(const struct nft_batch *from, const struct nft_batch *to);

/* Bring the table from @from to @to, which only differ in loose parts. *@ret_bytes is what that
 * took. Fails, and nothing has changed, when the kernel has not what @from is. */
int nft_update(struct netlink *nl, const struct nft_batch *from, const struct nft_batch *to,
               size_t *ret_bytes, struct err *err);

/* Delete the table; fine when there is none. */
int nft_remove(struct netlink *nl, const char *table, struct err *err);

#endif
