/* SPDX-License-Identifier: Apache-2.0 */
#include "base/netip.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

struct in6_addr netip_from4(struct in_addr address)
{
    struct in6_addr ip;
    memcpy(ip.s6_addr, mapped, sizeof(mapped));
    memcpy(ip.s6_addr + sizeof(mapped), &address, sizeof(address));
    return ip;
}

struct in_addr netip_to4(const struct in6_addr *address)
{
    struct in_addr four;
    memcpy(&four, address->s6_addr + sizeof(mapped), sizeof(four));
    return four;
}

bool netip_is4(const struct in6_addr *address)
{
    return memcmp(address->s6_addr, mapped, sizeof(mapped)) == 0;
}

bool netip_is_none(const struct in6_addr *address)
{
    return IN6_IS_ADDR_UNSPECIFIED(address);
}

int netip_compare(const struct in6_addr *a, const struct in6_addr *b)
{
    return memcmp(a->s6_addr, b->s6_addr, sizeof(a->s6_addr));
}

bool netip_equal(const struct in6_addr *a, const struct in6_addr *b)
{
    return netip_compare(a, b) == 0;
}

const void *netip_bytes(const struct in6_addr *address, size_t *ret_len)
{
    size_t skip = netip_is4(address) ? sizeof(mapped) : 0;
    *ret_len = sizeof(address->s6_addr) - skip;
    return address->s6_addr + skip;
}

struct in6_addr netip_plus(const struct in6_addr *address, uint32_t n)
{
    struct in6_addr ip = *address;
    uint64_t carry = n;
    for (size_t i = sizeof(ip.s6_addr); i-- > 0 && carry; carry >>= 8) {
        carry += ip.s6_addr[i];
        ip.s6_addr[i] = (uint8_t)carry;
    }
    return ip;
}

const char *netip_text(const struct in6_addr *address, char out[INET6_ADDRSTRLEN])
{
    size_t len;
    const void *bytes = netip_bytes(address, &len);
    inet_ntop(len == sizeof(struct in_addr) ? AF_INET : AF_INET6, bytes, out, INET6_ADDRSTRLEN);
    return out;
}

bool netip_parse(const char *text, struct in6_addr *ret)
{
    struct in_addr four;
    if (inet_pton(AF_INET, text, &four) == 1) {
        *ret = netip_from4(four);
        return true;
    }
    return inet_pton(AF_INET6, text, ret) == 1 && !netip_is4(ret) && !netip_is_none(ret);
}

bool netprefix_parse(const char *text, struct network_prefix *ret)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof(address))
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    size_t digits = strspn(slash + 1, "0123456789");
    if (!netip_parse(address, &ret->address) || digits == 0 || digits > 3 ||
        slash[1 + digits] != '\0')
        return false;
    int bits = atoi(slash + 1) + (netip_is4(&ret->address) ? NETIP_4_BITS : 0);
    ret->length = (uint8_t)bits;
    return bits <= NETIP_BITS;
}

struct network_prefix netprefix_of(const struct in6_addr *address)
{
    return (struct network_prefix){*address, NETIP_BITS};
}

struct network_prefix netprefix_all(bool six)
{
    struct network_prefix all = {0};
    if (!six)
        all = (struct network_prefix){netip_from4((struct in_addr){0}), NETIP_4_BITS};
    return all;
}

bool netprefix_is4(const struct network_prefix *prefix)
{
    return netip_is4(&prefix->address) && prefix->length >= NETIP_4_BITS;
}

unsigned netprefix_bits(const struct network_prefix *prefix)
{
    return netprefix_is4(prefix) ? prefix->length - NETIP_4_BITS : prefix->length;
}

/* Byte @i of the bits behind a prefix. */
static uint8_t host_bits(const struct network_prefix *prefix, size_t i)
{
    if (prefix->length >= 8 * (i + 1))
        return 0;
    unsigned before = prefix->length > 8 * i ? prefix->length % 8U : 0;
    return (uint8_t)(0xffU >> before);
}

struct in6_addr netprefix_last(const struct network_prefix *prefix)
{
    struct in6_addr last = prefix->address;
    for (size_t i = 0; i < sizeof(last.s6_addr); i++)
        last.s6_addr[i] = (uint8_t)(last.s6_addr[i] | host_bits(prefix, i));
    return last;
}

struct network_prefix netprefix_around(const struct in6_addr *address, uint8_t length)
{
    struct network_prefix prefix = {*address, length};
    for (size_t i = 0; i < sizeof(address->s6_addr); i++)
        prefix.address.s6_addr[i] =
            (uint8_t)(address->s6_addr[i] & (0xffU ^ host_bits(&prefix, i)));
    return prefix;
}

bool netprefix_contains(const struct network_prefix *prefix, const struct in6_addr *address)
{
    size_t whole = prefix->length / 8, rest = prefix->length % 8;
    const uint8_t *a = address->s6_addr, *p = prefix->address.s6_addr;
    return memcmp(a, p, whole) == 0 && (rest == 0 || (a[whole] ^ p[whole]) >> (8 - rest) == 0);
}

bool netprefix_valid(const struct network_prefix *prefix)
{
    if (prefix->length > NETIP_BITS)
        return false;
    for (size_t i = 0; i < sizeof(prefix->address.s6_addr); i++)
        if (prefix->address.s6_addr[i] & host_bits(prefix, i))
            return false;
    return true;
}
