/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pool.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LENGTH_MAX = 32,
};

/* The prefix as a number and its mask, in host order. */
static bool parse(const char *pool, uint32_t *ret_base, uint32_t *ret_mask)
{
    char text[16];
    unsigned length;
    struct in_addr base;
    if (sscanf(pool, "%15[0-9.]/%u", text, &length) != 2 || length > LENGTH_MAX ||
        inet_pton(AF_INET, text, &base) != 1)
        return false;
    *ret_mask = length ? UINT32_MAX << (LENGTH_MAX - length) : 0;
    *ret_base = ntohl(base.s_addr) & *ret_mask;
    return true;
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
        return err_set(err, ERR_INVALID, "'%s' is no range of IPv4 addresses like 10.192.0.0/10",
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
