/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rulechurn - the rules of one random state after the other, in this network namespace.
 *
 *     rulechurn SEED FROM TO     states FROM to TO - 1; each is checked against what the kernel has
 *
 * State number n is a function of SEED and n, so that what was killed on its way through many of
 * them can be followed by another that ends with the same one.
 */
#include "base/err.h"
#include "runtime/netlink.h"
#include "runtime/netplan.h"
#include "runtime/nft_table.h"
#include "runtime/ruleset.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERVICES = 60,
    BACKENDS = 8,
    NETWORKS = 3,
};

static struct in6_addr backends[SERVICES][BACKENDS];
static struct network_backend port_backends[SERVICES][BACKENDS];
static struct network_service services[SERVICES];
static struct network_publish publishes[SERVICES];
static struct network_prefix networks[NETWORKS];
static struct network_peer peers[2];

static struct in_addr number4(uint32_t host)
{
    return (struct in_addr){htonl(host)};
}

static struct in6_addr number(uint32_t host)
{
    return netip_from4(number4(host));
}

/* Most services stay as in the state before: what differs is told by a seed of their own. */
static void make(struct network_state *state, unsigned seed, unsigned n)
{
    const uint32_t pool = 10U << 24 | 192U << 16;
    *state = (struct network_state){.node_id = 1,
                                    .underlay = number4(192U << 24 | 2U << 8 | 1),
                                    .pool = {number(pool), NETIP_4_BITS + 10},
                                    .vxlan_port = 4789,
                                    .vxlan_id = 7401,
                                    .networks = networks,
                                    .peers = peers,
                                    .services = services,
                                    .publishes = publishes};
    /* Now and then another network: fixed parts change too. */
    state->networks_n = 1 + n / 7 % NETWORKS;
    for (uint32_t i = 0; i < NETWORKS; i++)
        networks[i] = (struct network_prefix){number(pool + (i << 16)), NETIP_4_BITS + 16};
    state->peers_n = 1 + n / 3 % 2;
    for (uint32_t i = 0; i < 2; i++)
        peers[i] =
            (struct network_peer){.id = 2 + i, .underlay = number4(192U << 24 | 2U << 8 | (2 + i))};
    for (uint32_t i = 0; i < SERVICES; i++) {
        unsigned own = seed + i * 7919 + (n + i) / 11 * 104729;
        uint32_t count = (uint32_t)rand_r(&own) % BACKENDS;
        for (uint32_t k = 0; k < count; k++) {
            backends[i][k] = number(pool + 4096 + (uint32_t)rand_r(&own) % 8192);
            port_backends[i][k].address = backends[i][k];
            port_backends[i][k].port = (uint16_t)(1 + rand_r(&own) % 9);
        }
        if (rand_r(&own) % 4)
            services[state->services_n++] =
                (struct network_service){number(pool + 1 + i), backends[i], count};
        if (rand_r(&own) % 3 == 0)
            publishes[state->publishes_n++] =
                (struct network_publish){i % 2 ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t)(20000 + i),
                                         false, port_backends[i], count};
    }
}

/* What the kernel has is what was built anew. */
static int differs(struct netlink *nl, const struct netplan *plan)
{
    struct nft_batch b;
    struct nft_found found;
    struct err err;
    nft_batch_init(&b, RULESET_TABLE);
    ruleset_build(&b, plan);
    int rc = nft_probe(nl, &b, &found, &err);
    int bad = rc < 0 || strcmp(found.version, b.version) != 0 || found.chains != b.chains_n ||
              found.rules != b.rules_n || found.elements != b.elements_n;
    if (bad)
        fprintf(stderr, "%s %zu %zu %zu, wanted %s %zu %zu %zu\n", found.version, found.chains,
                found.rules, found.elements, b.version, b.chains_n, b.rules_n, b.elements_n);
    nft_batch_release(&b);
    return bad;
}

int main(int argc, char **argv)
{
    struct netlink *nl;
    struct err err;
    struct ruleset_memory memory = {0};
    if (argc != 4 || netlink_open(NETLINK_NETFILTER, &nl, &err) < 0)
        return 2;
    unsigned seed = (unsigned)atoi(argv[1]), from = (unsigned)atoi(argv[2]),
             to = (unsigned)atoi(argv[3]);
    size_t told = 0;
    for (unsigned n = from; n < to; n++) {
        struct network_state state;
        struct netplan plan;
        struct ruleset_result result;
        make(&state, seed, n);
        if (netplan_init(&plan, &state, NULL, &err) < 0 || plan.problem.code ||
            ruleset_sync(nl, &plan, &memory, &result, &err) < 0) {
            fprintf(stderr, "state %u: %s\n", n, plan.problem.code ? plan.problem.msg : err.msg);
            return 1;
        }
        told += result.bytes > 0;
        if (differs(nl, &plan)) {
            fprintf(stderr, "state %u is not what the kernel has\n", n);
            return 1;
        }
        netplan_release(&plan);
    }
    printf("%u states, %zu of them by their difference to the one before\n", to - from, told);
    ruleset_forget(&memory);
    netlink_close(nl);
    return 0;
}
