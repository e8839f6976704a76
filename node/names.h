/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - what a name means to a task.
 *
 *     web, web.STACK        the healthy tasks of service web, in the networks the asker is in
 *     web.2, web.2.STACK    one task of it
 *     an alias              as the service that has it, in that network
 *
 * A name without a stack means the asker's own. Pure reads of the store; no I/O.
 */
#ifndef WHERRY_NODE_NAMES_H
#define WHERRY_NODE_NAMES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct store;

enum {
    NAMES_ADDRESSES_MAX = 24, /* what fits an answer of 512 bytes */
};

/* Look up @name as asked by the task that has address @from (any other asker: no stack of its own,
 * all networks). Fills at most NAMES_ADDRESSES_MAX @addresses, in order of the tasks' ids. False
 * when the cluster has no such name; true with *@ret_n 0 when it has, but nothing healthy. */
bool names_lookup(struct store *store, struct in_addr from, const char *name,
                  struct in_addr *addresses, size_t *ret_n);

#endif
