/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netname.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <string.h>

const uint8_t netname_gateway_mac[NETNAME_MAC] = {0xee, 0xee, 0xee, 0xee, 0xee, 0xee};

enum {
    GATEWAY = 0xa9fe0101,  /* 169.254.1.1 */
    HOP_BASE = 0xa9fe0000, /* 169.254.0.0 */
    NODE_ID_MAX = 65535,
};

struct in_addr netname_gateway(void)
{
    return (struct in_addr){htonl(GATEWAY)};
}

struct in6_addr netname_gateway6(void)
{
    return (struct in6_addr){.s6_addr = {0xfe, 0x80, [15] = 1}};
}

void netname_port_name(const char *id, char out[NETNAME_NAME])
{
    unsigned char digest[DIGEST_BYTES];
    digest_of(id, strlen(id), digest);
    memset(out, 0, NETNAME_NAME);
    memcpy(out, NETNAME_PORT_PREFIX, 2);
    hex_encode(digest, 4, out + 2);
}

bool netname_is_port_name(const char *name)
{
    if (strlen(name) != 10 || !str_starts(name, NETNAME_PORT_PREFIX))
        return false;
    return strspn(name + 2, "0123456789abcdef") == 8;
}

void netname_inner_mac(const char *id, uint8_t out[NETNAME_MAC])
{
    unsigned char digest[DIGEST_BYTES];
    digest_of(id, strlen(id), digest);
    out[0] = 0x06; /* one machine's own, not a group's */
    memcpy(out + 1, digest, NETNAME_MAC - 1);
}

void netname_peer_mac(uint32_t id, uint8_t out[NETNAME_MAC])
{
    check(id <= NODE_ID_MAX);
    const uint8_t mac[NETNAME_MAC] = {0x02, 'W', 'H', 0, (uint8_t)(id >> 8), (uint8_t)id};
    memcpy(out, mac, NETNAME_MAC);
}

struct in_addr netname_peer_hop(uint32_t id)
{
    check(id <= NODE_ID_MAX);
    /* Node 0 does not exist: its place is for the one that would fall on the gateway. */
    uint32_t hop = HOP_BASE + id;
    return (struct in_addr){htonl(hop == GATEWAY ? HOP_BASE : hop)};
}

struct in6_addr netname_peer_hop6(uint32_t id)
{
    check(id <= NODE_ID_MAX);
    return (struct in6_addr){.s6_addr = {0xfd, 'W', 'h', 'e', 'r', 'r',
                                         'y', [14] = (uint8_t)(id >> 8), [15] = (uint8_t)id}};
}
