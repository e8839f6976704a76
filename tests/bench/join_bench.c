/* SPDX-License-Identifier: Apache-2.0 */
/* How long a new member takes to catch up with a large state, on real disks; BENCH_TASKS tasks. The
 * messages pass through a queue in memory, so the network is not in it. */
#include "tests/unit/cluster/consensus_world.h"

#include "base/err.h"

enum {
    TASKS = 100000,
    SLOTS = 4000, /* of one service; a network has that many addresses */
};

static struct world *world;
static int64_t waiting; /* proposals that were not answered yet */
static double longest_ms;

static void on_proposed(void *arg, int code, const struct change_result *result)
{
    (void)arg;
    check(code == 0 && result->err.code == 0);
    waiting--;
}

static void propose(enum change_kind kind, const void *body)
{
    struct change change = {.kind = kind, .body = (void *)(uintptr_t)body};
    waiting++;
    consensus_propose(world->members[1].consensus, &change, on_proposed, NULL);
}

static void step(void)
{
    int64_t start = clock_mono_ns();
    world_deliver(world);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    double ms = (double)(clock_mono_ns() - start) / 1e6;
    if (ms > longest_ms)
        longest_ms = ms;
}

static void settle(void)
{
    while (waiting > 0)
        step();
}

static void make_service(int number)
{
    cleanup_free char *name = str_printf("stack%d", number);
    struct attachment network = {.network = "default"};
    char *networks[] = {"default"};
    struct deploy_service service = {
        .name = "web",
        .spec = {.image = "web:1", .replicas = SLOTS, .networks = &network, .networks_n = 1}};
    struct change_stack_deploy deploy = {.name = name,
                                         .project = "bench",
                                         .services = &service,
                                         .services_n = 1,
                                         .networks = networks,
                                         .networks_n = 1};
    propose(CHANGE_STACK_DEPLOY, &deploy);
    settle();
}

static void make_tasks(int number, int count)
{
    cleanup_free char *name = str_printf("stack%d.web", number);
    struct service service;
    check(store_find(world->members[1].store, TABLE_SERVICE, name, &service) == 0);
    for (int slot = 1; slot <= count; slot++) {
        struct change_task_create create = {.service_id = service.id,
                                            .service_index = service.modified_index,
                                            .slot = slot,
                                            .node_id = 1};
        propose(CHANGE_TASK_CREATE, &create);
    }
    settle();
    record_release(&service_type, &service);
}

static void report(const char *what, int64_t since_ns)
{
    printf("%-46s %8.0f ms, longest turn of the loop %.0f ms\n", what,
           (double)(clock_mono_ns() - since_ns) / 1e6, longest_ms);
    longest_ms = 0;
}

int main(void)
{
    const char *given = getenv("BENCH_TASKS");
    int tasks = given ? atoi(given) : TASKS;
    struct outcome o = {0};
    world = world_new("join-bench");
    member_found(&world->members[1]);
    int64_t start = clock_mono_ns();
    for (int number = 0; number * SLOTS < tasks; number++) {
        make_service(number);
        make_tasks(number, tasks - number * SLOTS < SLOTS ? tasks - number * SLOTS : SLOTS);
    }
    report("tasks committed by one member", start);
    member_start(&world->members[2], false);
    start = clock_mono_ns();
    consensus_add(world->members[1].consensus, 2, on_change_outcome, &o);
    while (!o.done)
        step();
    o.done = false;
    consensus_assign(world->members[1].consensus, 2, ROLE_VOTER, on_change_outcome, &o);
    while (!o.done || store_count(world->members[2].store, TABLE_TASK) < tasks)
        step();
    check(o.code == 0);
    report("a new member has them all and votes", start);
    member_stop(&world->members[2]);
    start = clock_mono_ns();
    member_start(&world->members[2], false);
    report("a member that starts again has loaded them", start);
    world_free(world);
    return 0;
}
