/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - a tiny cluster in memory that carries out what the scheduler plans.
 *
 * It refuses, by failing the test, what store/apply.c would refuse, and what must never happen: two
 * tasks of a slot running on live nodes, or more reserved on a node than it has.
 *
 *     world_new → world_node, world_service … → world_settle → look at world->tasks → world_free
 */
#ifndef WHERRY_TESTS_SCHEDULER_WORLD_H
#define WHERRY_TESTS_SCHEDULER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scheduler/scheduler.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORLD_MAX = 4096,
    WORLD_ROUNDS = 400, /* by when everything is quiet */
};

struct world {
    int64_t now_ms, next_id, last_node_id, index;
    struct node nodes[64];
    size_t nodes_n;
    struct service services[64];
    size_t services_n;
    struct task tasks[WORLD_MAX];
    size_t tasks_n;
    struct revision revisions[WORLD_MAX];
    size_t revisions_n;
    struct volume volumes[8];
    size_t volumes_n;
    struct job_run runs[64];
    size_t runs_n;
    struct outage outages[16];
    size_t outages_n;
    struct due due; /* of the job that has a schedule, if any */
    bool no_overlap;
    int level;
    uint64_t broken_nodes;      /* bit n: tasks on node n fail again and again */
    int64_t imageless_revision; /* tasks of it never get ready */
    int64_t broken_revision;    /* tasks of it wait for their next try for ever */
};

static inline struct world *world_new(void)
{
    struct world *w = mem_alloc(1, sizeof(*w));
    w->now_ms = 1000000;
    w->next_id = 100;
    return w;
}

static inline void world_free(struct world *w)
{
    for (size_t i = 0; i < w->nodes_n; i++)
        free(w->nodes[i].name);
    for (size_t i = 0; i < w->services_n; i++)
        free(w->services[i].name);
    free(w);
}

/* Node n1, n2, …: ids from 1. */
static inline struct node *world_node(struct world *w, int64_t cpu_milli, int64_t memory_bytes)
{
    struct node *node = &w->nodes[w->nodes_n++];
    *node = (struct node){
        .id = ++w->last_node_id, .cpu_milli = cpu_milli, .memory_bytes = memory_bytes};
    node->name = str_printf("n%d", (int)node->id);
    return node;
}

static inline struct service *world_service(struct world *w, const char *name,
                                            enum service_mode mode, int64_t replicas)
{
    struct service *service = &w->services[w->services_n++];
    *service = (struct service){.id = w->next_id++,
                                .stack_id = 1,
                                .stack = (char *)(uintptr_t) "app",
                                .name = str_copy(name),
                                .revision = 1,
                                .modified_index = ++w->index,
                                .spec = {.mode = mode, .replicas = replicas}};
    return service;
}

/* A deploy of @service with a new spec, which the caller may then change. */
static inline void world_revise(struct world *w, struct service *service)
{
    assert_true(w->revisions_n < WORLD_MAX);
    w->revisions[w->revisions_n++] = (struct revision){.id = w->next_id++,
                                                       .service_id = service->id,
                                                       .revision = service->revision,
                                                       .spec = service->spec};
    service->revision++;
    service->modified_index = ++w->index;
    if (w->level < 4)
        return;
    if (service->rollout == ROLLOUT_NONE || service->rollout == ROLLOUT_DONE ||
        service->rollout == ROLLOUT_ROLLED_BACK)
        service->stable_revision = service->revision - 1;
    service->rollout = ROLLOUT_UPDATING;
    service->rollout_ms = w->now_ms;
}

static inline void world_plan(const struct world *w, struct plan *plan)
{
    struct view view = {.now_ms = w->now_ms,
                        .level = w->level,
                        .overlap = !w->no_overlap,
                        .nodes = w->nodes,
                        .nodes_n = w->nodes_n,
                        .services = w->services,
                        .services_n = w->services_n,
                        .tasks = w->tasks,
                        .tasks_n = w->tasks_n,
                        .revisions = w->revisions,
                        .revisions_n = w->revisions_n,
                        .volumes = w->volumes,
                        .volumes_n = w->volumes_n,
                        .runs = w->runs,
                        .runs_n = w->runs_n,
                        .outages = w->outages,
                        .outages_n = w->outages_n,
                        .dues = &w->due,
                        .dues_n = w->due.service_id != 0};
    *plan = (struct plan){0};
    scheduler_plan(&view, plan);
}

static inline struct node *find_node(struct world *w, int64_t id)
{
    for (size_t i = 0; i < w->nodes_n; i++)
        if (w->nodes[i].id == id)
            return &w->nodes[i];
    return NULL;
}

static inline struct service *find_service(struct world *w, int64_t id)
{
    for (size_t i = 0; i < w->services_n; i++)
        if (w->services[i].id == id)
            return &w->services[i];
    return NULL;
}

static inline struct task *find_task(struct world *w, int64_t id)
{
    for (size_t i = 0; i < w->tasks_n; i++)
        if (w->tasks[i].id == id)
            return &w->tasks[i];
    return NULL;
}

/* The task of @slot that is meant to run, or NULL. */
static inline struct task *find_running(struct world *w, const struct service *service,
                                        int64_t slot)
{
    for (size_t i = 0; i < w->tasks_n; i++)
        if (w->tasks[i].service_id == service->id && w->tasks[i].slot == slot &&
            w->tasks[i].desired == DESIRED_RUN)
            return &w->tasks[i];
    return NULL;
}

/* Likewise, where there must be one. */
static inline struct task *running(struct world *w, const struct service *service, int64_t slot)
{
    struct task *task = find_running(w, service, slot);
    check(task);
    return task;
}

/* How many tasks of @service (NULL: of all) are meant to run on node @node_id (0: on any). */
static inline int count_on(const struct world *w, const struct service *service, int64_t node_id)
{
    int n = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        n += (!service || w->tasks[i].service_id == service->id) &&
             (!node_id || w->tasks[i].node_id == node_id) && w->tasks[i].desired == DESIRED_RUN;
    return n;
}

static inline const struct spec *spec_of(struct world *w, const struct task *task)
{
    for (size_t i = 0; i < w->revisions_n; i++)
        if (w->revisions[i].service_id == task->service_id &&
            w->revisions[i].revision == task->revision)
            return &w->revisions[i].spec;
    struct service *service = find_service(w, task->service_id);
    return service ? &service->spec : NULL;
}

/* Nothing on @node is promised twice. */
static inline void check_node(struct world *w, const struct node *node)
{
    int64_t cpu = 0;
    int64_t memory = 0;
    for (size_t i = 0; i < w->tasks_n; i++) {
        const struct task *task = &w->tasks[i];
        if (task->node_id != node->id || task_is_terminal(task->state))
            continue;
        const struct spec *spec = spec_of(w, task);
        cpu += spec ? spec->reservations.cpu_milli : 0;
        memory += spec ? spec->reservations.memory_bytes : 0;
    }
    for (size_t k = 0; k < node->resources_n; k++) {
        int64_t taken = 0;
        for (size_t i = 0; i < w->tasks_n; i++) {
            const struct task *task = &w->tasks[i];
            const struct spec *spec = spec_of(w, task);
            if (task->node_id != node->id || task_is_terminal(task->state) || !spec)
                continue;
            for (size_t j = 0; j < spec->resources_n; j++)
                if (str_equal(spec->resources[j].name, node->resources[k].name))
                    taken += spec->resources[j].count;
        }
        assert_true(taken <= node->resources[k].count);
    }
    assert_true(cpu <= node->cpu_milli);
    assert_true(memory <= node->memory_bytes);
}

/* @task is new: nothing else of its slot may run where the cluster can see it, but with @beside one
 * that leaves its node. */
static inline void check_slot(struct world *w, const struct task *task, bool beside)
{
    int leaving = 0;
    for (size_t i = 0; i < w->tasks_n; i++) {
        const struct task *other = &w->tasks[i];
        if (other == task || other->service_id != task->service_id || other->slot != task->slot ||
            other->job_id != task->job_id)
            continue;
        const struct node *node = find_node(w, other->node_id);
        bool may = w->level >= 4 || (node && node->availability == AVAILABLE_DRAIN);
        if (beside && other->desired == DESIRED_RUN && may && ++leaving == 1)
            continue;
        if (beside && other->desired == DESIRED_END)
            continue;
        assert_int_not_equal(other->desired, DESIRED_READY);
        assert_int_not_equal(other->desired, DESIRED_RUN);
        assert_true(task_is_terminal(other->state) || !node || node->status == NODE_DOWN);
    }
}

/* A companion is beside the task in its slot of the right service. */
static inline void check_host(struct world *w, const struct service *service,
                              const struct task *task)
{
    if (!service->spec.network_of) {
        assert_int_equal(task->network_task, 0);
        return;
    }
    const struct task *host = find_task(w, task->network_task);
    check(host);
    const struct service *its = find_service(w, host->service_id);
    check(its);
    assert_string_equal(its->name, service->spec.network_of);
    assert_int_equal(host->slot, task->slot);
    assert_int_equal(host->node_id, task->node_id);
    assert_int_equal(host->desired, DESIRED_RUN);
}

static inline void apply_create(struct world *w, const struct step *step)
{
    struct service *service = find_service(w, step->service_id);
    struct node *node = find_node(w, step->node_id);
    check(service && node);
    assert_false(service->removed);
    assert_int_equal(step->service_index, service->modified_index);
    assert_true(node->status == NODE_UP && node->availability == AVAILABLE_ACTIVE);
    assert_true(w->tasks_n < WORLD_MAX);
    struct task *task = &w->tasks[w->tasks_n++];
    *task = (struct task){.id = w->next_id++,
                          .service_id = service->id,
                          .slot = step->slot,
                          .node_id = node->id,
                          .revision = service->revision,
                          .desired = step->hold ? DESIRED_READY : DESIRED_RUN,
                          .job_id = step->job_id,
                          .network_task = step->network_task,
                          .created_ms = w->now_ms,
                          .state_ms = w->now_ms};
    for (size_t i = 0; i + 1 < w->tasks_n; i++)
        if (step->beside && w->tasks[i].service_id == service->id &&
            w->tasks[i].slot == step->slot && w->tasks[i].move_to && w->tasks[i].attempts)
            task->hops = w->tasks[i].hops + 1;
    check_slot(w, task, step->beside);
    check_node(w, node);
    check_host(w, service, task);
    const struct spec *spec = &service->spec;
    for (size_t i = 0; !mode_is_global(spec->mode) && i < spec->mounts_n; i++)
        for (size_t k = 0; k < w->volumes_n; k++)
            if (str_equal(w->volumes[k].name, spec->mounts[i].source)) {
                if (!w->volumes[k].home_node_id)
                    w->volumes[k].home_node_id = node->id;
                assert_int_equal(w->volumes[k].home_node_id, node->id);
            }
}

static inline void apply_remove(struct world *w, const struct step *step)
{
    struct task *task = find_task(w, step->task_id);
    check(task);
    if (step->lost)
        assert_null(find_node(w, task->node_id));
    else
        assert_true(task->desired == DESIRED_END && task_is_terminal(task->state));
    size_t at = (size_t)(task - w->tasks);
    memmove(task, task + 1, (w->tasks_n - at - 1) * sizeof(*task));
    w->tasks_n--;
}

static inline void apply_remove_service(struct world *w, const struct step *step)
{
    struct service *service = find_service(w, step->service_id);
    check(service);
    assert_true(service->removed);
    for (size_t i = 0; i < w->tasks_n; i++)
        assert_int_not_equal(w->tasks[i].service_id, service->id);
    free(service->name);
    size_t at = (size_t)(service - w->services);
    memmove(service, service + 1, (w->services_n - at - 1) * sizeof(*service));
    w->services_n--;
}

/* What apply does for STEP_ROLLOUT; of a rollback, tasks of the stable revision belong to the new
 * one. */
static inline void apply_rollout(struct world *w, const struct step *step)
{
    struct service *service = find_service(w, step->service_id);
    check(service);
    assert_int_equal(step->revision, service->revision);
    if (step->rollout == ROLLOUT_ROLLING_BACK) {
        struct task old = {.service_id = service->id, .revision = service->stable_revision};
        const struct spec *stable = spec_of(w, &old);
        check(stable);
        struct spec spec = *stable;
        world_revise(w, service);
        service->spec = spec;
        for (size_t i = 0; i < w->tasks_n; i++)
            if (w->tasks[i].service_id == service->id &&
                w->tasks[i].revision == service->stable_revision)
                w->tasks[i].revision = service->revision;
    }
    service->modified_index = ++w->index;
    service->rollout = step->rollout;
    service->rollout_ms = w->now_ms;
}

/* No task of its slot may run where the cluster can see it when a held one is released. */
static inline void apply_release(struct world *w, const struct step *step)
{
    struct task *task = find_task(w, step->task_id);
    check(task);
    assert_int_equal(task->desired, DESIRED_READY);
    task->desired = DESIRED_RUN;
    task->ready = false;
    check_slot(w, task, false);
}

static inline struct job_run *find_run(struct world *w, int64_t id)
{
    for (size_t i = 0; i < w->runs_n; i++)
        if (w->runs[i].id == id)
            return &w->runs[i];
    return NULL;
}

static inline void apply_job_start(struct world *w, const struct step *step)
{
    struct service *service = find_service(w, step->service_id);
    check(service);
    assert_int_equal(step->service_index, service->modified_index);
    assert_true(w->runs_n < ARRAY_SIZE(w->runs));
    w->runs[w->runs_n++] =
        (struct job_run){.id = w->next_id++,
                         .service_id = service->id,
                         .number = ++service->runs,
                         .revision = service->revision,
                         .scheduled_ms = step->scheduled_ms,
                         .started_ms = w->now_ms,
                         .state = step->kind == STEP_JOB_SKIP ? JOB_SKIPPED : JOB_RUNNING};
    service->modified_index = ++w->index;
    if (step->scheduled_ms)
        w->due.at_ms = 0;
}

static inline void apply_job_end(struct world *w, const struct step *step)
{
    struct job_run *run = find_run(w, step->job_id);
    check(run);
    assert_int_equal(run->state, JOB_RUNNING);
    assert_int_not_equal(step->job_state, JOB_RUNNING);
    run->state = step->job_state;
    run->ended_ms = w->now_ms;
}

static inline void world_apply(struct world *w, const struct plan *plan)
{
    for (size_t i = 0; i < plan->steps_n; i++) {
        const struct step *step = &plan->steps[i];
        struct task *task;
        switch (step->kind) {
        case STEP_CREATE:
            apply_create(w, step);
            break;
        case STEP_END:
            task = find_task(w, step->task_id);
            check(task);
            assert_true(task->desired != DESIRED_END && step->reason[0]);
            task->desired = DESIRED_END;
            break;
        case STEP_RELEASE:
            apply_release(w, step);
            break;
        case STEP_MOVE:
            task = find_task(w, step->task_id);
            check(task);
            task->move_to = step->node_id;
            break;
        case STEP_ROLLOUT:
            apply_rollout(w, step);
            break;
        case STEP_REMOVE:
            apply_remove(w, step);
            break;
        case STEP_REMOVE_SERVICE:
            apply_remove_service(w, step);
            break;
        case STEP_JOB_START:
        case STEP_JOB_SKIP:
            apply_job_start(w, step);
            break;
        case STEP_JOB_END:
            apply_job_end(w, step);
            break;
        }
    }
}

/* The node's side of one task, one stage on. Returns true when something changed. */
static inline bool advance_task(struct world *w, struct task *task)
{
    const struct task before = *task;
    const struct spec *spec = spec_of(w, task);
    if (task_is_terminal(task->state))
        return false;
    if (task->desired == DESIRED_END) {
        task->state = TASK_ENDED;
    } else if (task->desired == DESIRED_READY) {
        task->state = TASK_WAITING;
        task->ready = task->revision != w->imageless_revision;
    } else if (w->broken_nodes >> task->node_id & 1) {
        task->state = TASK_WAITING;
        task->attempts++;
        task->run = task->attempts;
        task->state_ms = w->now_ms;
        return true;
    } else if (w->broken_revision && task->revision == w->broken_revision) {
        task->state = TASK_WAITING;
        task->run = 3;
    } else if (task->state == TASK_NEW || (task->state == TASK_WAITING && task->run == 0)) {
        task->state = TASK_STARTING;
        task->run = 1;
    } else if (task->state != TASK_RUNNING) {
        task->state = TASK_RUNNING;
        task->health = spec && spec->health.test_n ? HEALTH_STARTING : HEALTH_NONE;
    } else if (task->health == HEALTH_STARTING) {
        task->health = HEALTH_HEALTHY;
    } else if (spec && mode_is_job(spec->mode)) {
        task->state = TASK_COMPLETE;
    }
    if (task->state == before.state && task->health == before.health && task->ready == before.ready)
        return false;
    task->state_ms = w->now_ms;
    return true;
}

/* A second passes; nodes that are up get on with their tasks. */
static inline bool world_tick(struct world *w)
{
    bool changed = false;
    w->now_ms += 1000;
    for (size_t i = 0; i < w->tasks_n; i++) {
        const struct node *node = find_node(w, w->tasks[i].node_id);
        if (node && node->status == NODE_UP)
            changed = advance_task(w, &w->tasks[i]) || changed;
    }
    return changed;
}

/* Plan, apply and let nodes work, once. Returns true when anything happened or is to come. */
static inline bool world_round(struct world *w)
{
    struct plan plan;
    world_plan(w, &plan);
    world_apply(w, &plan);
    bool busy = plan.steps_n > 0 || plan.wake_ms > 0;
    plan_release(&plan);
    return world_tick(w) || busy;
}

/* Until nothing moves; fails the test when that never comes. */
static inline void world_settle(struct world *w)
{
    for (int i = 0; i < WORLD_ROUNDS; i++)
        if (!world_round(w))
            return;
    fail_msg("still busy after %d rounds", WORLD_ROUNDS);
}

/* Why @slot of @service waits, as text in @out; "" when it does not. */
static inline void explain(const struct world *w, const struct service *service, int64_t slot,
                           char *out, size_t size)
{
    struct plan plan;
    world_plan(w, &plan);
    out[0] = 0;
    for (size_t i = 0; i < plan.unplaced_n; i++) {
        cleanup_buf struct buf text = BUF_INIT;
        if (plan.unplaced[i].service_id != service->id || plan.unplaced[i].slot != slot)
            continue;
        unplaced_explain(&plan.unplaced[i], &text);
        str_fill(out, size, text.data);
        break;
    }
    plan_release(&plan);
}

#define assert_waits(w, service, slot, text)                                                       \
    do {                                                                                           \
        char why_[256];                                                                            \
        explain(w, service, slot, why_, sizeof(why_));                                             \
        assert_string_equal(why_, text);                                                           \
    } while (0)

#endif
