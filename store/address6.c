/* SPDX-License-Identifier: Apache-2.0 */
#include "store/address6.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/netip.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_BITS = 48, /* fd and 40 bits of the cluster's number */
    PREFIX_MIN = 16,
};

/* The first address of the ranges that are not asked for. */
static struct in6_addr local_base(struct store *store)
{
    struct cluster cluster;
    struct in6_addr base = {.s6_addr = {0xfd}};
    check(store_get(store, TABLE_CLUSTER, 1, &cluster) == 0);
    const char *uuid = str_or_empty(cluster.uuid);
    for (size_t i = 0; i < 5 && strlen(uuid) >= 2 * (i + 1); i++) {
        const char digits[3] = {uuid[2 * i], uuid[2 * i + 1]};
        base.s6_addr[1 + i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    record_release(&cluster_type, &cluster);
    return base;
}

static char *prefix_text(const struct network_prefix *prefix)
{
    char text[INET6_ADDRSTRLEN];
    return str_printf("%s/%u", netip_text(&prefix->address, text), netprefix_bits(prefix));
}

static bool meet(const struct network_prefix *a, const struct network_prefix *b)
{
    return netprefix_contains(a, &b->address) || netprefix_contains(b, &a->address);
}

/* NULL, or what speaks against @range. */
static const char *range_fault(const struct network_prefix *range, unsigned host_bits)
{
    const struct in6_addr *first = &range->address;
    if (netprefix_is4(range) || !netprefix_valid(range) || range->length < PREFIX_MIN)
        return "is not an IPv6 range such as fd00:28::/64";
    if (range->length > NETIP_BITS - host_bits)
        return "is smaller than the network's range of IPv4";
    bool special = first->s6_addr[0] == 0 || first->s6_addr[0] == 0xff ||
                   (first->s6_addr[0] == 0xfe && first->s6_addr[1] >= 0x80);
    return special ? "is not for machines" : NULL;
}

static int check_free(struct store *store, const struct network *network,
                      const struct network_prefix *range, struct err *err)
{
    const struct network_prefix local = {local_base(store), LOCAL_BITS};
    struct network *others;
    size_t n;
    int rv = 0;
    if (meet(range, &local))
        rv = err_set(err, ERR_EXISTS, "it meets the cluster's own range of IPv6");
    store_list(store, TABLE_NETWORK, BY_NONE, 0, &others, &n);
    for (size_t i = 0; i < n && rv == 0; i++) {
        struct network_prefix other;
        if (others[i].id != network->id &&
            netprefix_parse(str_or_empty(others[i].prefix6), &other) && meet(range, &other))
            rv = err_set(err, ERR_EXISTS, "it meets that of network %s, %s", others[i].name,
                         others[i].prefix6);
    }
    record_free_list(&network_type, others, n);
    return rv;
}

int prefix6_make(struct store *store, const struct network *network, const char *asked,
                 char **ret_prefix, struct err *err)
{
    struct network_prefix four, range;
    check(netprefix_parse(network->prefix, &four));
    unsigned host_bits = NETIP_BITS - four.length;
    if (*asked) {
        const char *fault =
            netprefix_parse(asked, &range) ? range_fault(&range, host_bits) : "is no range";
        if (fault)
            return err_set(err, ERR_INVALID, "subnet \"%.64s\" %s", asked, fault);
        if (check_free(store, network, &range, err) < 0)
            return err_wrap(err, "subnet %s", asked);
    } else {
        range = (struct network_prefix){local_base(store), four.length};
        memcpy(range.address.s6_addr + 12, four.address.s6_addr + 12, 4);
    }
    *ret_prefix = prefix_text(&range);
    return 0;
}

char *address6_make(const struct network *network, const char *address)
{
    struct network_prefix four, range;
    struct in6_addr ip;
    char text[INET6_ADDRSTRLEN];
    if (!netprefix_parse(str_or_empty(network->prefix6), &range))
        return NULL;
    check(netprefix_parse(network->prefix, &four) && netip_parse(address, &ip));
    uint32_t number = ntohl(netip_to4(&ip).s_addr) - ntohl(netip_to4(&four.address).s_addr);
    ip = netip_plus(&range.address, number);
    return str_copy(netip_text(&ip, text));
}

int64_t address6_number(const struct network *network, const char *address)
{
    struct network_prefix range;
    struct in6_addr ip;
    int64_t number = 0;
    if (!netprefix_parse(str_or_empty(network->prefix6), &range) || !netip_parse(address, &ip) ||
        !netprefix_contains(&range, &ip))
        return -1;
    for (size_t i = 0; i < sizeof(ip.s6_addr); i++) {
        if (number > INT64_MAX >> 8)
            return INT64_MAX;
        number = number << 8 | (ip.s6_addr[i] ^ range.address.s6_addr[i]);
    }
    return number;
}

int address6_check_free(struct store *store, const struct network *network, const char *address,
                        int64_t owner_id, struct err *err)
{
    struct service *services;
    size_t n;
    int rv = 0;
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n && rv == 0; i++)
        for (size_t k = 0; k < services[i].reserved_n && services[i].id != owner_id && rv == 0; k++)
            if (services[i].reserved[k].network_id == network->id &&
                str_equal(services[i].reserved[k].address6, address))
                rv = err_set(err, ERR_EXISTS, "%s of network %s is in use already", address,
                             network->name);
    record_free_list(&service_type, services, n);
    return rv;
}
