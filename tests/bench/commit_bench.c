/* SPDX-License-Identifier: Apache-2.0 */
/* Placements from the plan to the state: view, plan, changes, batches, the store of one member.
 * What raft and disks add is what `make bench-state` measures. BENCH_ROUNDS rounds, the median. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/foresee.h"
#include "node/leader.h"
#include "node/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES = 1000,
    SERVICES = 10,
    REPLICAS = 10000, /* of each */
    BATCH = 1000,     /* changes in an entry */
    NOW_MS = 1700000000,
    ROUNDS_MAX = 25,
};

static void must(struct store *store, enum change_kind kind, const void *body)
{
    struct err err = {0};
    if (foresee_apply(store, NOW_MS, kind, body, &err) < 0) {
        fprintf(stderr, "%s: %s\n", change_name((int)kind), err.msg);
        exit(1);
    }
}

static struct bytes text(const char *s)
{
    return (struct bytes){.data = (unsigned char *)(uintptr_t)s, .len = strlen(s)};
}

static void add_nodes(struct store *store)
{
    struct change_token_add token = {
        .token = {.kind = TOKEN_JOIN, .hash = text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")}};
    must(store, CHANGE_TOKEN_ADD, &token);
    for (int i = 2; i <= NODES; i++) {
        cleanup_free char *name = str_printf("n%d", i);
        cleanup_free char *address = str_printf("10.0.%d.%d:7400", i / 250, i % 250);
        struct change_node_add add = {.node = {.name = name,
                                               .address = address,
                                               .cpu_milli = 64000,
                                               .memory_bytes = 1LL << 38,
                                               .level = 4,
                                               .public_key = text(name)},
                                      .token_hash = token.token.hash};
        must(store, CHANGE_NODE_ADD, &add);
    }
}

static void add_services(struct store *store)
{
    struct deploy_service services[SERVICES];
    for (int i = 0; i < SERVICES; i++)
        services[i] = (struct deploy_service){
            .name = str_printf("s%d", i),
            .spec = {.image = "web:1", .replicas = REPLICAS, .reservations = {.cpu_milli = 100}}};
    struct change_stack_deploy deploy = {
        .name = "app", .project = "p", .services = services, .services_n = SERVICES};
    must(store, CHANGE_STACK_DEPLOY, &deploy);
    for (int i = 0; i < SERVICES; i++)
        free(services[i].name);
}

static struct store *make_store(void)
{
    struct store *store = store_new();
    struct change_cluster_init init = {.cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                                                   .ca = "x",
                                                   .pool = "10.192.0.0/10",
                                                   .vxlan_id = 1},
                                       .node = {.name = "n1",
                                                .address = "10.0.0.1:7400",
                                                .cpu_milli = 64000,
                                                .memory_bytes = 1LL << 38,
                                                .level = 4,
                                                .public_key = text("n1")}};
    must(store, CHANGE_CLUSTER_INIT, &init);
    must(store, CHANGE_LEVEL_RAISE, &(struct change_level_raise){.level = 4});
    add_nodes(store);
    add_services(store);
    return store;
}

/* The steps of @plan from @at on, a batch of them. */
static size_t commit(struct store *store, const struct plan *plan, size_t at)
{
    static struct buf encoded[BATCH];
    cleanup_buf struct buf batch = BUF_INIT;
    struct change_result *results;
    size_t n = plan->steps_n - at < BATCH ? plan->steps_n - at : BATCH;
    size_t results_n;
    struct err err;
    for (size_t i = 0; i < n; i++) {
        struct step_change c;
        buf_reset(&encoded[i]);
        step_to_change(&plan->steps[at + i], &c);
        change_encode(&(struct change){.kind = c.kind, .body = &c.body}, &encoded[i]);
    }
    batch_encode(NOW_MS, encoded, n, &batch);
    if (store_apply(store, store_index(store) + 1, batch.data, batch.len, &results, &results_n,
                    &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    for (size_t i = 0; i < results_n; i++)
        if (results[i].err.code != 0) {
            fprintf(stderr, "refused: %s\n", results[i].err.msg);
            exit(1);
        }
    free(results);
    return n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    const char *given = getenv("BENCH_ROUNDS");
    int rounds = given ? atoi(given) : 3;
    double plan_s[ROUNDS_MAX], all_s[ROUNDS_MAX], again_s[ROUNDS_MAX];
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    for (int r = 0; r < rounds; r++) {
        struct store *store = make_store();
        struct view view;
        struct plan plan = {0};
        int64_t begin = clock_mono_ns();
        view_read(store, NOW_MS, &view);
        scheduler_plan(&view, &plan);
        plan_s[r] = (double)(clock_mono_ns() - begin) / 1e9;
        for (size_t at = 0; at < plan.steps_n;)
            at += commit(store, &plan, at);
        all_s[r] = (double)(clock_mono_ns() - begin) / 1e9;
        size_t n = plan.steps_n;
        plan_release(&plan);
        view_release(&view);
        if (n != (size_t)SERVICES * REPLICAS || store_count(store, TABLE_TASK) != (int64_t)n) {
            fprintf(stderr, "%zu steps, not all were placed\n", n);
            return 1;
        }
        begin = clock_mono_ns();
        view_read(store, NOW_MS, &view);
        scheduler_plan(&view, &plan);
        again_s[r] = (double)(clock_mono_ns() - begin) / 1e9;
        plan_release(&plan);
        view_release(&view);
        store_free(store);
    }
    qsort(plan_s, (size_t)rounds, sizeof(*plan_s), compare);
    qsort(all_s, (size_t)rounds, sizeof(*all_s), compare);
    qsort(again_s, (size_t)rounds, sizeof(*again_s), compare);
    printf("%d tasks on %d nodes: view and plan %.2f s, committed after %.2f s: %.0f placements/s "
           "through the store\n",
           SERVICES * REPLICAS, NODES, plan_s[rounds / 2], all_s[rounds / 2],
           SERVICES * REPLICAS / all_s[rounds / 2]);
    printf("with these in the state, a view and a plan with nothing to do: %.0f ms\n",
           again_s[rounds / 2] * 1000);
    return 0;
}
