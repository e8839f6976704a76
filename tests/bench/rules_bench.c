/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rules of a large cluster cost one machine: SERVICES services of five tasks each, every
 * tenth with a published port. All of them put in place at once, and then one service's task
 * replaced, as it is told to the kernel and, for comparison, by replacing the table.
 *
 * Alone in a network namespace: unshare -n rules_bench
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/netlink.h"
#include "runtime/netplan.h"
#include "runtime/nft_table.h"
#include "runtime/ruleset.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SERVICES = 1000,
    EACH = 5,
    PORTS_EVERY = 10,
    ROUNDS = 101,
    PAUSE_US = 50000,
};

static struct in6_addr backends[SERVICES][EACH];
static struct network_backend port_backends[SERVICES][EACH];
static struct network_service services[SERVICES];
static struct network_publish publishes[SERVICES / PORTS_EVERY];
static struct network_remote remotes[SERVICES * EACH];
static const struct network_peer peers[] = {{.id = 2, .underlay = {0}}, {.id = 3}};
static struct network_prefix network;

static void must(int rc, const struct err *err)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "rules_bench: %s\n", err->msg);
    exit(1);
}

static void fill(struct network_state *state)
{
    static struct network_peer known[2];
    memcpy(known, peers, sizeof(known));
    inet_pton(AF_INET, "192.0.2.2", &known[0].underlay);
    inet_pton(AF_INET, "192.0.2.3", &known[1].underlay);
    netprefix_parse("10.192.0.0/16", &network);
    uint32_t next = 1;
    for (size_t i = 0; i < SERVICES; i++) {
        for (size_t k = 0; k < EACH; k++) {
            backends[i][k] = netip_plus(&network.address, next++);
            port_backends[i][k].address = backends[i][k];
            port_backends[i][k].port = 80;
            remotes[i * EACH + k] = (struct network_remote){backends[i][k], 2 + (uint32_t)(k % 2)};
        }
        services[i] =
            (struct network_service){netip_plus(&network.address, next++), backends[i], EACH};
        if (i % PORTS_EVERY == 0)
            publishes[i / PORTS_EVERY] = (struct network_publish){
                IPPROTO_TCP, (uint16_t)(20000 + i), false, port_backends[i], EACH};
    }
    *state = (struct network_state){.node_id = 1,
                                    .pool = {network.address, NETIP_4_BITS + 10},
                                    .vxlan_port = 4789,
                                    .vxlan_id = 7401,
                                    .networks = &network,
                                    .networks_n = 1,
                                    .peers = known,
                                    .peers_n = 2,
                                    .remotes = remotes,
                                    .remotes_n = SERVICES * EACH,
                                    .services = services,
                                    .services_n = SERVICES,
                                    .publishes = publishes,
                                    .publishes_n = SERVICES / PORTS_EVERY};
    inet_pton(AF_INET, "192.0.2.1", &state->underlay);
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static double median(double *list)
{
    qsort(list, ROUNDS, sizeof(*list), compare);
    return list[ROUNDS / 2];
}

static double since(int64_t start)
{
    return (double)(clock_mono_ns() - start) / 1e6;
}

/* Another task in the place of one of service @i, as after a failure. */
static void replace_task(size_t i, uint32_t round)
{
    backends[i][0] = netip_plus(&network.address, 40000 + round % 20000);
}

int main(void)
{
    struct network_state state;
    struct ruleset_memory memory = {0};
    struct ruleset_result result;
    struct netlink *nl;
    struct err err;
    double plans[ROUNDS], updates[ROUNDS], checks[ROUNDS], installs[ROUNDS];
    size_t bytes = 0;
    fill(&state);
    must(netlink_open(NETLINK_NETFILTER, &nl, &err), &err);
    size_t before = mallinfo2().uordblks;
    for (uint32_t r = 0; r < ROUNDS; r++) {
        struct netplan plan;
        usleep(PAUSE_US); /* what the kernel does later it has done */
        replace_task(r % SERVICES, r);
        int64_t start = clock_mono_ns();
        must(netplan_init(&plan, &state, NULL, &err), &err);
        plans[r] = since(start);
        start = clock_mono_ns();
        must(ruleset_sync(nl, &plan, &memory, &result, &err), &err);
        updates[r] = since(start);
        bytes = result.bytes > bytes ? result.bytes : bytes;
        start = clock_mono_ns();
        must(ruleset_sync(nl, &plan, &memory, &result, &err), &err);
        checks[r] = since(start);
        netplan_release(&plan);
    }
    size_t held = mallinfo2().uordblks - before;
    for (uint32_t r = 0; r < ROUNDS; r++) {
        struct netplan plan;
        struct nft_batch b;
        replace_task(r % SERVICES, r + ROUNDS);
        must(netplan_init(&plan, &state, NULL, &err), &err);
        nft_batch_init(&b, RULESET_TABLE);
        int64_t start = clock_mono_ns();
        ruleset_build(&b, &plan);
        must(nft_install(nl, &b, &err), &err);
        installs[r] = since(start);
        nft_batch_release(&b);
        netplan_release(&plan);
    }
    double update = median(updates), install = median(installs);
    printf("rules of %d services, %d tasks, %d ports, medians of %d\n", SERVICES, SERVICES * EACH,
           SERVICES / PORTS_EVERY, ROUNDS);
    printf("  work out the plan                   %8.2f ms\n", median(plans));
    printf("  replace the whole table             %8.2f ms\n", install);
    printf("  one service changed                 %8.2f ms   %.3f of that, %zu bytes told\n",
           update, update / install, bytes);
    printf("  nothing changed                     %8.2f ms\n", median(checks));
    printf("  memory kept between two changes     %8.2f MB\n", (double)held / 1e6);
    ruleset_forget(&memory);
    netlink_close(nl);
    return 0;
}
