/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address - who holds which prefix of the cluster's range, and which address of a network.
 *
 * Inside store/ only. Each network has a /20 of the cluster's pool, each task one address in each
 * of its networks. The next one given out is the next never used; when all were, the one that has
 * been free for longest, so that whoever still remembers a freed address finds nobody there.
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

/* Give back the prefix of @network, and forget its addresses. */
void prefix_free(struct store *store, const struct network *network);

/* Give task @task_id a free address in @network: a new string. ERR_NOSPACE when none is left. */
int address_take(struct store *store, const struct network *network, int64_t task_id,
                 char **ret_address, struct err *err);

/* Give back all addresses of @task. */
void address_free_all(struct store *store, const struct task *task);

#endif
