/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the scheduler plans, as nodes and tasks grow. Services have mixed demands: reservations
 * of CPU and memory, and by turns a label that must be or must not be, at most some tasks a node,
 * or nothing else. For each size: placing all tasks, looking at them when nothing is to be done,
 * moving those of ten lost nodes, and rolling out one changed service among all; medians.
 *
 * The baseline of the same run asks every node for every task, as one would at first.
 */
#include "scheduler/scheduler.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    LOST = 10,
    ZONES = 4,
    BASELINE_TASKS = 20000, /* it is slow: its rate is that of so many */
};

static const struct size {
    int nodes;
    int services;
    int replicas;
    int runs;
} sizes[] = {
    {1000, 100, 100, 9}, {1000, 1000, 100, 7}, {1000, 1000, 1000, 3},
    {5000, 1000, 10, 9}, {5000, 1000, 100, 7}, {5000, 1000, 1000, 3},
};

struct stage {
    struct view view;
    struct node *nodes;
    struct service *services;
    struct task *tasks;
};

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Median time of @runs to plan @view, in ns. The last plan is in *@ret_plan. */
static int64_t measure(const struct view *view, int runs, struct plan *ret_plan)
{
    int64_t ns[16];
    *ret_plan = (struct plan){0};
    for (int i = 0; i < runs; i++) {
        plan_release(ret_plan);
        int64_t start = clock_mono_ns();
        scheduler_plan(view, ret_plan);
        ns[i] = clock_mono_ns() - start;
    }
    qsort(ns, (size_t)runs, sizeof(ns[0]), compare_ns);
    return ns[runs / 2];
}

static void make_node(struct node *node, int i)
{
    *node = (struct node){.id = i + 1,
                          .name = str_printf("n%d", i + 1),
                          .cpu_milli = 2048000,
                          .memory_bytes = (int64_t)1 << 40,
                          .labels = mem_alloc(1, sizeof(struct pair)),
                          .labels_n = 1};
    node->labels[0] = (struct pair){str_copy("zone"), str_printf("z%d", i % ZONES)};
}

static void make_service(struct service *service, int i, int replicas, int nodes)
{
    *service = (struct service){.id = 10000 + i,
                                .stack_id = 1,
                                .stack = str_copy("app"),
                                .name = str_printf("s%d", i),
                                .revision = 1};
    struct spec *spec = &service->spec;
    spec->replicas = replicas;
    spec->reservations.cpu_milli = 100 + i % 7 * 50;
    spec->reservations.memory_bytes = (int64_t)(32 + i % 5 * 16) << 20;
    if (i % 4 < 2) {
        spec->constraints = mem_alloc(1, sizeof(struct constraint));
        spec->constraints_n = 1;
        spec->constraints[0] = (struct constraint){.key = str_copy("node.labels.zone"),
                                                   .negated = i % 4 == 1,
                                                   .value = str_printf("z%d", i % ZONES)};
    } else if (i % 4 == 2) {
        spec->max_per_node = 1 + replicas / nodes;
    }
}

static void stage_init(struct stage *stage, const struct size *size)
{
    *stage = (struct stage){.nodes = mem_alloc((size_t)size->nodes, sizeof(struct node)),
                            .services = mem_alloc((size_t)size->services, sizeof(struct service))};
    for (int i = 0; i < size->nodes; i++)
        make_node(&stage->nodes[i], i);
    for (int i = 0; i < size->services; i++)
        make_service(&stage->services[i], i, size->replicas, size->nodes);
    stage->view = (struct view){.now_ms = 1,
                                .level = 4,
                                .overlap = true,
                                .nodes = stage->nodes,
                                .nodes_n = (size_t)size->nodes,
                                .services = stage->services,
                                .services_n = (size_t)size->services};
}

static void stage_release(struct stage *stage)
{
    record_free_list(&node_type, stage->nodes, stage->view.nodes_n);
    record_free_list(&service_type, stage->services, stage->view.services_n);
    free(stage->tasks);
}

/* The tasks that @plan creates, running. */
static void run(struct stage *stage, const struct plan *plan)
{
    stage->tasks = mem_alloc(plan->steps_n, sizeof(struct task));
    for (size_t i = 0; i < plan->steps_n; i++)
        stage->tasks[i] = (struct task){.id = (int64_t)(100000 + i),
                                        .service_id = plan->steps[i].service_id,
                                        .slot = plan->steps[i].slot,
                                        .node_id = plan->steps[i].node_id,
                                        .revision = 1,
                                        .run = 1,
                                        .state = TASK_RUNNING};
    stage->view.tasks = stage->tasks;
    stage->view.tasks_n = plan->steps_n;
}

/* --- the baseline ------------------------------------------------------------------------------
 */

/* Placements a second when each task asks every node: is there room, are the constraints met, which
 * has the fewest. */
static double baseline(const struct stage *stage)
{
    int64_t *left = mem_alloc(stage->view.nodes_n, sizeof(*left));
    int64_t *tasks = mem_alloc(stage->view.nodes_n, sizeof(*tasks));
    int64_t placed = 0;
    int64_t start = clock_mono_ns();
    for (size_t i = 0; i < stage->view.nodes_n; i++)
        left[i] = stage->nodes[i].memory_bytes;
    for (size_t s = 0; s < stage->view.services_n && placed < BASELINE_TASKS; s++) {
        const struct spec *spec = &stage->services[s].spec;
        for (int64_t r = 0; r < spec->replicas && placed < BASELINE_TASKS; r++) {
            size_t best = SIZE_MAX;
            for (size_t i = 0; i < stage->view.nodes_n; i++) {
                bool fits = left[i] >= spec->reservations.memory_bytes;
                for (size_t k = 0; k < spec->constraints_n && fits; k++)
                    fits = constraint_matches(&spec->constraints[k], &stage->nodes[i]);
                if (fits && (best == SIZE_MAX || tasks[i] < tasks[best]))
                    best = i;
            }
            check(best != SIZE_MAX);
            left[best] -= spec->reservations.memory_bytes;
            tasks[best]++;
            placed++;
        }
    }
    double rate = (double)placed * 1e9 / (double)(clock_mono_ns() - start);
    free(left);
    free(tasks);
    return rate;
}

/* --- one size ----------------------------------------------------------------------------------
 */

static double bench(const struct size *size)
{
    struct stage stage;
    struct plan plan;
    stage_init(&stage, size);
    double naive = baseline(&stage);
    int64_t place_ns = measure(&stage.view, size->runs, &plan);
    double rate = (double)plan.steps_n * 1e9 / (double)place_ns;
    check(plan.steps_n == (size_t)size->services * (size_t)size->replicas);
    run(&stage, &plan);
    plan_release(&plan);
    int64_t idle_ns = measure(&stage.view, size->runs, &plan);
    check(plan.steps_n == 0);
    plan_release(&plan);
    for (int i = 0; i < LOST; i++)
        stage.nodes[i].status = NODE_DOWN;
    int64_t lost_ns = measure(&stage.view, size->runs, &plan);
    plan_release(&plan);
    for (int i = 0; i < LOST; i++)
        stage.nodes[i].status = NODE_UP;
    stage.services[0].revision = 2;
    stage.services[0].rollout = ROLLOUT_UPDATING;
    stage.services[0].spec.update.parallelism = 10;
    int64_t roll_ns = measure(&stage.view, size->runs, &plan);
    check(plan.steps_n == 10);
    plan_release(&plan);
    printf("%6d %9zu %12.0f %9.2f %9.2f %9.2f %9.2f %8.0f\n", size->nodes, stage.view.tasks_n, rate,
           (double)place_ns / 1e6, (double)idle_ns / 1e6, (double)lost_ns / 1e6,
           (double)roll_ns / 1e6, rate / naive);
    fflush(stdout);
    stage_release(&stage);
    return rate;
}

int main(void)
{
    struct rusage usage;
    double rate = 0;
    printf("%6s %9s %12s %9s %9s %9s %9s %8s\n", "nodes", "tasks", "placements/s", "place ms",
           "idle ms", "lost ms", "roll ms", "x naive");
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        rate = bench(&sizes[i]);
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "%.0f placements/s: %d on %d nodes, mixed demands; %ld MiB at the most, tasks and plan\n",
        rate, sizes[ARRAY_SIZE(sizes) - 1].services * sizes[ARRAY_SIZE(sizes) - 1].replicas,
        sizes[ARRAY_SIZE(sizes) - 1].nodes, usage.ru_maxrss / 1024);
    return 0;
}
