/* SPDX-License-Identifier: Apache-2.0 */
#include "store/address.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/address6.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    POOL = 0, /* the leases of blocks; those of addresses have their network's id */
    BLOCK_BITS = 20,
    BLOCK_SIZE = 1 << (32 - BLOCK_BITS),
    FIRST_BLOCK = 1, /* the first stays free, for the members' own addresses */
    FIRST_ADDRESS = 2,
    OWN_BITS_MAX = 29,
};

bool prefix_parse(const char *text, struct prefix *ret_prefix)
{
    const char *slash = strchr(text, '/');
    char address[INET_ADDRSTRLEN];
    if (!slash || (size_t)(slash - text) >= sizeof(address))
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    size_t digits = strspn(slash + 1, "0123456789");
    struct in_addr parsed;
    if (inet_pton(AF_INET, address, &parsed) != 1 || digits == 0 || digits > 2 ||
        slash[1 + digits] != '\0')
        return false;
    unsigned bits = (unsigned)atoi(slash + 1);
    uint32_t first = ntohl(parsed.s_addr);
    if (bits > 32 || (bits < 32 && (uint32_t)(first << bits) != 0))
        return false;
    *ret_prefix = (struct prefix){.first = first, .bits = bits};
    return true;
}

int pool_validate(const char *pool, struct err *err)
{
    struct prefix prefix;
    if (!prefix_parse(pool, &prefix) || prefix.bits < 8 || prefix.bits > 18)
        return err_set(
            err, ERR_INVALID,
            "address pool \"%s\" is not an IPv4 range of /8 to /18 such as 10.192.0.0/10", pool);
    return 0;
}

/* --- leases -------------------------------------------------------------------------------- */

/* The pool of those numbers of @pool that somebody asked for by number. */
static int64_t claims_of(int64_t pool)
{
    return -pool;
}

static bool every_number(int64_t number)
{
    return number >= 0;
}

/* Some hosts take .0 and .255 for special whatever the prefix. */
static bool is_host(int64_t number)
{
    return (number & 0xff) != 0 && (number & 0xff) != 0xff;
}

/* The largest number of @pool in [@first, @end) that was ever given out, or -1. */
static int64_t lease_last(struct store *store, int64_t pool, int64_t first, int64_t end)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_IN);
    sql_int(stmt, 1, pool);
    sql_int(stmt, 2, first);
    sql_int(stmt, 3, end);
    check(sql_step(stmt)); /* NULL for no row */
    int64_t last = sqlite3_column_type(stmt, 0) == SQLITE_NULL ? -1 : sqlite3_column_int64(stmt, 0);
    sql_reset(stmt);
    return last;
}

static void lease_put(struct store *store, int64_t pool, int64_t number, int64_t owner)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_PUT);
    sql_int(stmt, 1, pool);
    sql_int(stmt, 2, number);
    sql_int(stmt, 3, owner);
    sql_run(stmt);
}

/* Who has it; 0: nobody. */
static int64_t lease_owner(struct store *store, int64_t pool, int64_t number)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_OWNER);
    sql_int(stmt, 1, pool);
    sql_int(stmt, 2, number);
    int64_t owner = 0;
    if (sql_step(stmt)) {
        owner = sqlite3_column_int64(stmt, 0);
        sql_reset(stmt);
    }
    return owner;
}

/* A number of @pool in [@first, @end) for @owner that nobody claimed, or -1. */
static int64_t lease_take(struct store *store, int64_t pool, int64_t first, int64_t end,
                          bool (*may_use)(int64_t), int64_t owner)
{
    int64_t number = lease_last(store, pool, first, end) + 1;
    if (number < first)
        number = first;
    while (number < end && (!may_use(number) || lease_owner(store, claims_of(pool), number) != 0))
        number++;
    if (number >= end) {
        sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_RESTED_IN);
        sql_int(stmt, 1, pool);
        sql_int(stmt, 2, first);
        sql_int(stmt, 3, end);
        if (!sql_step(stmt))
            return -1;
        number = sqlite3_column_int64(stmt, 0);
        sql_reset(stmt);
    }
    lease_put(store, pool, number, owner);
    return number;
}

/* What is @owner's is free since the index of the entry that is being applied. */
static void lease_free(struct store *store, int64_t pool, int64_t number, int64_t owner)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_FREE);
    sql_int(stmt, 1, pool);
    sql_int(stmt, 2, number);
    sql_int(stmt, 3, store->meta.index);
    sql_int(stmt, 4, owner);
    sql_run(stmt);
}

/* --- prefixes ------------------------------------------------------------------------------ */

static char *address_text(uint32_t address)
{
    return str_printf("%u.%u.%u.%u", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff,
                      address & 0xff);
}

int prefix_take(struct store *store, const char *pool, int64_t network_id, char **ret_prefix,
                struct err *err)
{
    struct prefix range;
    check(prefix_parse(pool, &range) && range.bits < BLOCK_BITS);
    int64_t blocks = (int64_t)1 << (BLOCK_BITS - range.bits);
    int64_t block = lease_take(store, POOL, FIRST_BLOCK, blocks, every_number, network_id);
    if (block < 0)
        return err_set(err, ERR_NOSPACE,
                       "no network is left in the cluster's range %s: all %" PRId64 " are in use",
                       pool, blocks - FIRST_BLOCK);
    cleanup_free char *first = address_text(range.first + (uint32_t)block * BLOCK_SIZE);
    *ret_prefix = str_printf("%s/%d", first, BLOCK_BITS);
    return 0;
}

static uint32_t last_of(const struct prefix *prefix)
{
    return prefix->bits == 0 ? UINT32_MAX
                             : prefix->first | (uint32_t)(0xffffffffULL >> prefix->bits);
}

static bool meet(const struct prefix *a, const struct prefix *b)
{
    return a->first <= last_of(b) && b->first <= last_of(a);
}

static int check_free_range(struct store *store, const char *text, const struct prefix *range,
                            struct err *err)
{
    struct cluster cluster;
    struct prefix other;
    struct network *networks;
    size_t n;
    int rv = 0;
    check(store_get(store, TABLE_CLUSTER, 1, &cluster) == 0);
    if (prefix_parse(cluster.pool, &other) && meet(range, &other))
        rv =
            err_set(err, ERR_EXISTS,
                    "subnet %s meets the cluster's own range %s: take another, or leave it out and "
                    "have one given out",
                    text, cluster.pool);
    record_release(&cluster_type, &cluster);
    store_list(store, TABLE_NETWORK, BY_NONE, 0, &networks, &n);
    for (size_t i = 0; i < n && rv == 0; i++)
        if (prefix_parse(networks[i].prefix, &other) && meet(range, &other))
            rv = err_set(err, ERR_EXISTS, "subnet %s meets that of network %s, %s", text,
                         networks[i].name, networks[i].prefix);
    record_free_list(&network_type, networks, n);
    return rv;
}

int own_range_check(struct store *store, const char *text, const char *ip_range, struct err *err)
{
    struct prefix range, part;
    if (!prefix_parse(text, &range) || range.bits < 8 || range.bits > OWN_BITS_MAX)
        return err_set(err, ERR_INVALID,
                       "subnet \"%.40s\" is not an IPv4 range of /8 to /%d such as 172.28.0.0/16",
                       text, OWN_BITS_MAX);
    uint32_t top = range.first >> 24;
    if (top == 0 || top == 127 || top >= 224 || (range.first >> 16) == 0xa9fe)
        return err_set(err, ERR_INVALID, "subnet %s is not for machines", text);
    if (*ip_range && (!prefix_parse(ip_range, &part) || part.bits < range.bits ||
                      part.first < range.first || last_of(&part) > last_of(&range)))
        return err_set(err, ERR_INVALID, "ip_range \"%.40s\" is not a part of subnet %s", ip_range,
                       text);
    return check_free_range(store, text, &range, err);
}

void prefix_free(struct store *store, const struct network *network)
{
    struct cluster cluster;
    struct prefix range;
    struct prefix block;
    check(store_get(store, TABLE_CLUSTER, 1, &cluster) == 0);
    check(prefix_parse(cluster.pool, &range) && prefix_parse(network->prefix, &block));
    if (!network->own_range)
        lease_free(store, POOL, (block.first - range.first) / BLOCK_SIZE, network->id);
    record_release(&cluster_type, &cluster);
    const int64_t pools[] = {network->id, claims_of(network->id)};
    for (size_t i = 0; i < ARRAY_SIZE(pools); i++) {
        sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_DROP);
        sql_int(stmt, 1, pools[i]);
        sql_run(stmt);
    }
}

/* --- addresses ----------------------------------------------------------------------------- */

int address_take(struct store *store, const struct network *network, int64_t owner_id,
                 char **ret_address, struct err *err)
{
    struct prefix block, part;
    check(prefix_parse(network->prefix, &block));
    int64_t first = FIRST_ADDRESS, end = last_of(&block) - block.first;
    if (prefix_parse(str_or_empty(network->ip_range), &part)) {
        first = part.first - block.first > FIRST_ADDRESS ? part.first - block.first : FIRST_ADDRESS;
        int64_t behind = (int64_t)last_of(&part) - block.first + 1;
        end = behind < end ? behind : end;
    }
    int64_t number = lease_take(store, network->id, first, end, is_host, owner_id);
    if (number < 0)
        return err_set(err, ERR_NOSPACE, "network %s has no free address left in %s", network->name,
                       *str_or_empty(network->ip_range) ? network->ip_range : network->prefix);
    *ret_address = address_text(block.first + (uint32_t)number);
    return 0;
}

/* A number of @network that an address stands for is @owner_id's. */
static int number_claim(struct store *store, const struct network *network, int64_t number,
                        const char *address, int64_t owner_id, struct err *err)
{
    int64_t owner = lease_owner(store, network->id, number);
    int64_t claimed = lease_owner(store, claims_of(network->id), number);
    if (owner != 0 || (claimed != 0 && claimed != owner_id))
        return err_set(err, ERR_EXISTS, "%s of network %s is in use already", address,
                       network->name);
    lease_put(store, claims_of(network->id), number, owner_id);
    return 0;
}

int address_claim(struct store *store, const struct network *network, const char *address,
                  int64_t owner_id, struct err *err)
{
    struct prefix block;
    struct in_addr parsed;
    check(prefix_parse(network->prefix, &block));
    if (inet_pton(AF_INET, address, &parsed) != 1)
        return err_set(err, ERR_INVALID, "'%.40s' is no IPv4 address", address);
    int64_t number = (int64_t)ntohl(parsed.s_addr) - block.first;
    if (number < FIRST_ADDRESS || number >= (int64_t)last_of(&block) - block.first)
        return err_set(err, ERR_INVALID,
                       "%s is no address for a task in network %s, %s: the first two and the last "
                       "one are none",
                       address, network->name, network->prefix);
    return number_claim(store, network, number, address, owner_id, err);
}

int address6_claim(struct store *store, const struct network *network, const char *address,
                   int64_t owner_id, struct err *err)
{
    struct prefix block;
    check(prefix_parse(network->prefix, &block));
    if (!network->own_range6)
        return err_set(err, ERR_INVALID,
                       "network %s needs an IPv6 subnet of its own for the address %s in it",
                       network->name, address);
    int64_t number = address6_number(network, address);
    if (number < FIRST_ADDRESS)
        return err_set(err, ERR_INVALID,
                       "'%.64s' is no address for a task in network %s, %s: the first two are none",
                       address, network->name, network->prefix6);
    /* Its number is taken for IPv4 as well, so that no other's address is made of that. */
    if (number <= last_of(&block) - block.first)
        return number_claim(store, network, number, address, owner_id, err);
    return address6_check_free(store, network, address, owner_id, err);
}

void addresses_return(struct store *store, const struct task_address *addresses, size_t n,
                      int64_t owner_id)
{
    for (size_t i = 0; i < n; i++) {
        struct network network;
        struct prefix block;
        struct in_addr address;
        if (store_get(store, TABLE_NETWORK, addresses[i].network_id, &network) < 0)
            continue; /* its leases went with it */
        check(prefix_parse(network.prefix, &block));
        if (*str_or_empty(addresses[i].address)) {
            check(inet_pton(AF_INET, addresses[i].address, &address) == 1);
            int64_t number = (int64_t)ntohl(address.s_addr) - block.first;
            lease_free(store, network.id, number, owner_id);
            lease_free(store, claims_of(network.id), number, owner_id);
        }
        int64_t number = address6_number(&network, str_or_empty(addresses[i].address6));
        if (number >= 0 && number <= last_of(&block) - block.first)
            lease_free(store, claims_of(network.id), number, owner_id);
        record_release(&network_type, &network);
    }
}
