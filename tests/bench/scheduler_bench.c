/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the scheduler plans: 1,000 services of 100 replicas on 1,000 nodes. Prints the median of
 * RUNS for placing all of them, for looking at them when nothing is to be done, and for moving the
 * tasks of ten nodes that are lost.
 */
#include "scheduler/scheduler.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    NODES = 1000,
    SERVICES = 1000,
    REPLICAS = 100,
    LOST = 10,
    RUNS = 7,
};

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Median time to plan @view, in ns. The last plan is in *@ret_plan. */
static int64_t measure(const struct view *view, struct plan *ret_plan)
{
    int64_t ns[RUNS];
    *ret_plan = (struct plan){0};
    for (int i = 0; i < RUNS; i++) {
        plan_release(ret_plan);
        int64_t start = clock_mono_ns();
        scheduler_plan(view, ret_plan);
        ns[i] = clock_mono_ns() - start;
    }
    qsort(ns, RUNS, sizeof(ns[0]), compare_ns);
    return ns[RUNS / 2];
}

static void fill(struct node *nodes, struct service *services)
{
    for (int i = 0; i < NODES; i++)
        nodes[i] = (struct node){.id = i + 1,
                                 .name = str_printf("n%d", i + 1),
                                 .cpu_milli = 64000,
                                 .memory_bytes = (int64_t)256 << 30};
    for (int i = 0; i < SERVICES; i++) {
        services[i] = (struct service){.id = 10000 + i,
                                       .stack_id = 1,
                                       .stack = str_copy("app"),
                                       .name = str_printf("s%d", i),
                                       .revision = 1};
        services[i].spec.replicas = REPLICAS;
        services[i].spec.reservations.cpu_milli = 100 + i % 7 * 50;
        services[i].spec.reservations.memory_bytes = (int64_t)64 << 20;
    }
}

/* The tasks that @plan creates, running. */
static struct task *run(const struct plan *plan)
{
    struct task *tasks = mem_alloc(plan->steps_n, sizeof(*tasks));
    for (size_t i = 0; i < plan->steps_n; i++)
        tasks[i] = (struct task){.id = (int64_t)(100000 + i),
                                 .service_id = plan->steps[i].service_id,
                                 .slot = plan->steps[i].slot,
                                 .node_id = plan->steps[i].node_id,
                                 .revision = 1,
                                 .run = 1,
                                 .state = TASK_RUNNING};
    return tasks;
}

int main(void)
{
    struct node *nodes = mem_alloc(NODES, sizeof(*nodes));
    struct service *services = mem_alloc(SERVICES, sizeof(*services));
    fill(nodes, services);
    struct view view = {.now_ms = 1,
                        .nodes = nodes,
                        .nodes_n = NODES,
                        .services = services,
                        .services_n = SERVICES};
    struct plan plan;
    int64_t ns = measure(&view, &plan);
    check(plan.steps_n == (size_t)SERVICES * REPLICAS);
    printf("%.0f placements/s (%zu on %d nodes in %.1f ms, median of %d)\n",
           (double)plan.steps_n * 1e9 / (double)ns, plan.steps_n, NODES, (double)ns / 1e6, RUNS);
    struct task *tasks = run(&plan);
    view.tasks = tasks;
    view.tasks_n = plan.steps_n;
    plan_release(&plan);
    ns = measure(&view, &plan);
    check(plan.steps_n == 0);
    printf("nothing to do among %zu tasks: %.1f ms\n", view.tasks_n, (double)ns / 1e6);
    for (int i = 0; i < LOST; i++)
        nodes[i].status = NODE_DOWN;
    plan_release(&plan);
    ns = measure(&view, &plan);
    printf("%zu tasks of %d lost nodes moved: %.1f ms\n", plan.steps_n / 2, LOST, (double)ns / 1e6);
    plan_release(&plan);
    free(tasks);
    record_free_list(&node_type, nodes, NODES);
    record_free_list(&service_type, services, SERVICES);
    return 0;
}
