/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address6 - ranges and addresses of IPv6.
 *
 * Inside store/ only. They need no book of their own: a network's range is either what its file
 * asks for, or made of the cluster's number (RFC 4193) and its range of IPv4, and who has address
 * number n of IPv4 has number n of IPv6. Only what a file asks for by number may be others.
 */
#ifndef WHERRY_STORE_ADDRESS6_H
#define WHERRY_STORE_ADDRESS6_H

#include "store/internal.h"

/* The range of @network, whose range of IPv4 is there already: @asked, or if that is "" its own: a
 * new string. ERR_INVALID, ERR_EXISTS: @asked is none that it may have. */
int prefix6_make(struct store *store, const struct network *network, const char *asked,
                 char **ret_prefix, struct err *err);

/* The address of IPv6 of who has @address in @network: a new string, or NULL if that has none. */
char *address6_make(const struct network *network, const char *address);

/* Which number of the range @address is; what does not fit counts as INT64_MAX; -1: it is none of
 * it. */
int64_t address6_number(const struct network *network, const char *address);

/* ERR_EXISTS: another service than @owner_id asked for @address of @network. */
int address6_check_free(struct store *store, const struct network *network, const char *address,
                        int64_t owner_id, struct err *err);

#endif
