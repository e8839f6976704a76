/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netip - addresses and prefixes, of IPv4 and IPv6 alike.
 *
 * An address has 16 bytes; one of IPv4 is ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2), and prefixes
 * of IPv4 have 96 bits more than they are written with. "::" is none. Pure.
 */
#ifndef WHERRY_BASE_NETIP_H
#define WHERRY_BASE_NETIP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NETIP_4_BITS = 96, /* in front of an address of IPv4 */
    NETIP_BITS = 128,  /* of a prefix that is one address */
};

/* A range of addresses, e.g. of one network. */
struct network_prefix {
    struct in6_addr address;
    uint8_t length;
};

/* From and to an address of IPv4. */
struct in6_addr netip_from4(struct in_addr address);
struct in_addr netip_to4(const struct in6_addr *address);
bool netip_is4(const struct in6_addr *address);

/* True for "::". */
bool netip_is_none(const struct in6_addr *address);

/* Order by number, those of IPv4 before most others. For qsort. */
int netip_compare(const struct in6_addr *a, const struct in6_addr *b);
bool netip_equal(const struct in6_addr *a, const struct in6_addr *b);

/* The bytes of an address as they are in packets: 4 or 16 at *@ret_len, from the returned one on.
 */
const void *netip_bytes(const struct in6_addr *address, size_t *ret_len);

/* The address @n behind @address. */
struct in6_addr netip_plus(const struct in6_addr *address, uint32_t n);

/* As text. Returns @out. */
const char *netip_text(const struct in6_addr *address, char out[INET6_ADDRSTRLEN]);

/* Parse an address of either family; "::" and "::ffff:…" are none. */
bool netip_parse(const char *text, struct in6_addr *ret);

/* Parse "10.192.16.0/20" or "fd00::/64"; bits behind the prefix are kept. */
bool netprefix_parse(const char *text, struct network_prefix *ret);

/* That of one address. */
struct network_prefix netprefix_of(const struct in6_addr *address);

/* That of all addresses: 0.0.0.0/0, or with @six ::/0. */
struct network_prefix netprefix_all(bool six);

/* The prefix of @length that @address lies in. */
struct network_prefix netprefix_around(const struct in6_addr *address, uint8_t length);

/* True for a prefix of IPv4; how many bits it is written with. */
bool netprefix_is4(const struct network_prefix *prefix);
unsigned netprefix_bits(const struct network_prefix *prefix);

/* The last address of a prefix. */
struct in6_addr netprefix_last(const struct network_prefix *prefix);

/* True when @address lies in @prefix. */
bool netprefix_contains(const struct network_prefix *prefix, const struct in6_addr *address);

/* True when @prefix is well formed: a length of at most 128, and no bit set behind it. */
bool netprefix_valid(const struct network_prefix *prefix);

#endif
