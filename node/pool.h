/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - the range of a cluster's networks must not be one that the machines themselves are in.
 */
#ifndef WHERRY_NODE_POOL_H
#define WHERRY_NODE_POOL_H

#include <netinet/in.h>
#include <stdbool.h>

struct err;

/* True when @address lies in @pool ("10.192.0.0/10"); false also for a pool that is none. */
bool pool_contains(const char *pool, struct in_addr address);

/* ERR_CONFLICT, naming the link, when an address of this machine and @pool meet. */
int pool_check(const char *pool, struct err *err);

#endif
