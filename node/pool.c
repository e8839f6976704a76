/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pool.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ADDRESS_BITS = 32,
    LENGTH_MIN = 8, /* as apply has it: a network needs a /20 of it */
    LENGTH_MAX = 18,
};

/* The prefix as a number and its mask, in host order. */
static bool parse(const char *pool, uint32_t *ret_base, uint32_t *ret_mask)
{
    char text[16];
    struct in_addr base;
    const char *slash = strchr(pool, '/');
    size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;
    if (!slash || (size_t)(slash - pool) >= sizeof(text) || digits == 0 || digits > 2 ||
        slash[1 + digits])
        return false;
    memcpy(text, pool, (size_t)(slash - pool));
    text[slash - pool] = '\0';
    unsigned length = (unsigned)atoi(slash + 1);
    if (length < LENGTH_MIN || length > LENGTH_MAX || inet_pton(AF_INET, text, &base) != 1)
        return false;
    *ret_mask = UINT32_MAX << (ADDRESS_BITS - length);
    *ret_base = ntohl(base.s_addr);
    return (*ret_base & ~*ret_mask) == 0;
}

bool pool_contains(const char *pool, struct in_addr address)
{
    uint32_t base;
    uint32_t mask;
    return parse(pool, &base, &mask) && (ntohl(address.s_addr) & mask) == base;
}

int pool_check(const char *pool, struct err *err)
{
    uint32_t base;
    uint32_t mask;
    struct ifaddrs *list;
    if (!parse(pool, &base, &mask))
        return err_set(err, ERR_INVALID,
                       "'%.40s' is no range of IPv4 addresses of /8 to /18, like 10.192.0.0/10",
                       pool);
    if (getifaddrs(&list) < 0)
        return err_errno(err, errno, "list this machine's addresses");
    int rv = 0;
    for (struct ifaddrs *i = list; i && rv == 0; i = i->ifa_next) {
        if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != AF_INET)
            continue;
        uint32_t own = ntohl(((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr.s_addr);
        uint32_t own_mask = ntohl(((struct sockaddr_in *)(void *)i->ifa_netmask)->sin_addr.s_addr);
        /* They meet when they agree in what the shorter prefix fixes. */
        if (((own ^ base) & mask & own_mask) == 0)
            rv = err_set(err, ERR_CONFLICT,
                         "the range %s for the cluster's networks meets the network that %s is in: "
                         "give another one with --pool",
                         pool, i->ifa_name);
    }
    freeifaddrs(list);
    return rv;
}
