/* SPDX-License-Identifier: Apache-2.0 */
#include "store/address.h"

#include "base/cleanup.h"
#include "base/mem.h"

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

static bool every_number(int64_t number)
{
    return number >= 0;
}

/* Some hosts take .0 and .255 for special whatever the prefix. */
static bool is_host(int64_t number)
{
    return (number & 0xff) != 0 && (number & 0xff) != 0xff;
}

/* A number of @pool in [@first, @end) for @owner, or -1. */
static int64_t lease_take(struct store *store, int64_t pool, int64_t first, int64_t end,
                          bool (*may_use)(int64_t), int64_t owner)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_LAST);
    sql_int(stmt, 1, pool);
    check(sql_step(stmt)); /* NULL, for no row, reads as 0 */
    int64_t number = sqlite3_column_int64(stmt, 0) + 1;
    sql_reset(stmt);
    if (number < first)
        number = first;
    while (number < end && !may_use(number))
        number++;
    if (number >= end) {
        stmt = sql(&store->sql, SQL_LEASE_RESTED);
        sql_int(stmt, 1, pool);
        if (!sql_step(stmt))
            return -1;
        number = sqlite3_column_int64(stmt, 0);
        sql_reset(stmt);
    }
    stmt = sql(&store->sql, SQL_LEASE_PUT);
    sql_int(stmt, 1, pool);
    sql_int(stmt, 2, number);
    sql_int(stmt, 3, owner);
    sql_run(stmt);
    return number;
}

/* Free since the index of the entry that is being applied. */
static void lease_free(struct store *store, int64_t pool, int64_t number)
{
    sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_FREE);
    sql_int(stmt, 1, pool);
    sql_int(stmt, 2, number);
    sql_int(stmt, 3, store->meta.index);
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

void prefix_free(struct store *store, const struct network *network)
{
    struct cluster cluster;
    struct prefix range;
    struct prefix block;
    check(store_get(store, TABLE_CLUSTER, 1, &cluster) == 0);
    check(prefix_parse(cluster.pool, &range) && prefix_parse(network->prefix, &block));
    lease_free(store, POOL, (block.first - range.first) / BLOCK_SIZE);
    record_release(&cluster_type, &cluster);
    sqlite3_stmt *stmt = sql(&store->sql, SQL_LEASE_DROP);
    sql_int(stmt, 1, network->id);
    sql_run(stmt);
}

int address_take(struct store *store, const struct network *network, int64_t task_id,
                 char **ret_address, struct err *err)
{
    struct prefix block;
    check(prefix_parse(network->prefix, &block));
    int64_t number =
        lease_take(store, network->id, FIRST_ADDRESS, BLOCK_SIZE - 1, is_host, task_id);
    if (number < 0)
        return err_set(err, ERR_NOSPACE, "network %s has no free address left in %s", network->name,
                       network->prefix);
    *ret_address = address_text(block.first + (uint32_t)number);
    return 0;
}

void address_free_all(struct store *store, const struct task *task)
{
    for (size_t i = 0; i < task->addresses_n; i++) {
        struct in_addr address;
        check(inet_pton(AF_INET, str_or_empty(task->addresses[i].address), &address) == 1);
        lease_free(store, task->addresses[i].network_id, ntohl(address.s_addr) & (BLOCK_SIZE - 1));
    }
}
