/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address - who holds which prefix of the cluster's range, and which address of a network.
 *
 * Inside store/ only. Each network has a /20 of the cluster's pool, or a range of its own outside
 * of it. Each task has one address in each of its networks, and so has each service. The next one
 * given out is the next never used; when all were, the one that has been free for longest, so that
 * whoever still remembers a freed address finds nobody there.
 */
#ifndef WHERRY_STORE_ADDRESS_H
#define WHERRY_STORE_ADDRESS_H

#include "store/internal.h"

/* An IPv4 range. */
struct prefix {
    uint32_t first;
    unsigned bits;
};

/* Parse "10.192.0.0/10": no bits may be set behind the prefix. */
bool prefix_parse(const char *text, struct prefix *ret_prefix);

/* Check a cluster's pool: an IPv4 range of /8 to /18. */
int pool_validate(const char *pool, struct err *err);

/* Give network @network_id a free block of @pool: a new string. ERR_NOSPACE when none is left. */
int prefix_take(struct store *store, const char *pool, int64_t network_id, char **ret_prefix,
                struct err *err);

/* Check that a network may have the range @text of its own: an IPv4 prefix of /8 to /29 that meets
 * neither the cluster's pool nor another network; and @ip_range, "" or a part of it. */
int own_range_check(struct store *store, const char *text, const char *ip_range, struct err *err);

/* Give back the prefix of @network, and forget its addresses. */
void prefix_free(struct store *store, const struct network *network);

/* Give @owner_id, a task or a service, a free address in @network: a new string. ERR_NOSPACE when
 * none is left. */
int address_take(struct store *store, const struct network *network, int64_t owner_id,
                 char **ret_address, struct err *err);

/* Give @owner_id the address @address of @network, which it may have already. ERR_INVALID: it is
 * not one of it; ERR_EXISTS: another has it. */
int address_claim(struct store *store, const struct network *network, const char *address,
                  int64_t owner_id, struct err *err);

/* The same of IPv6, in a network with a range of its own. */
int address6_claim(struct store *store, const struct network *network, const char *address,
                   int64_t owner_id, struct err *err);

/* Give back those of @n addresses that are @owner_id's. */
void addresses_return(struct store *store, const struct task_address *addresses, size_t n,
                      int64_t owner_id);

#endif
