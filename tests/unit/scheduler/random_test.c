/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters that live through random days: nodes come, go and are drained, services are deployed,
 * scaled and removed, tasks fail. world.h checks every step that is carried out. When the day is
 * over the cluster must come to rest, propose nothing more, and every slot must have its task or a
 * reason that holds.
 */
#include "world.h"

#include <inttypes.h>

#define S(text) ((char *)(uintptr_t)(text))

enum {
    SEEDS = 300,
    EVENTS = 60,
    ROUNDS_BETWEEN = 4,
};

static struct pair zones[] = {{S("zone"), S("a")}, {S("zone"), S("b")}};
static struct constraint constraints[] = {{S("node.labels.zone"), false, S("a")},
                                          {S("node.labels.zone"), true, S("a")},
                                          {S("node.hostname"), true, S("n2")}};
static struct mount_spec mounts[] = {{.source = S("app_a"), .target = S("/a")},
                                     {.source = S("app_b"), .target = S("/b")}};
static struct depends_spec depends[] = {
    {S("s0"), DEPENDS_STARTED}, {S("s1"), DEPENDS_HEALTHY}, {S("s2"), DEPENDS_COMPLETED}};
static char *health_test[] = {S("true")};

static uint64_t dice;

/* 0 … @n - 1. */
static int roll(int n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (int)((dice >> 33) % (uint64_t)n);
}

static void random_spec(struct spec *spec)
{
    spec->reservations.cpu_milli = roll(3) * 300;
    spec->reservations.memory_bytes = roll(3) * 200;
    spec->max_per_node = roll(4) ? 0 : 1 + roll(2);
    spec->update.parallelism = roll(3);
    spec->update.delay_ms = roll(4) ? 0 : 5000;
    spec->constraints = &constraints[roll(3)];
    spec->constraints_n = roll(3) == 0;
    spec->mounts = &mounts[roll(2)];
    spec->mounts_n = roll(4) == 0;
    spec->health.test = health_test;
    spec->health.test_n = (size_t)roll(2);
}

static void random_deploy(struct world *w)
{
    if (w->services_n == 6)
        return;
    for (int i = 0; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof(name), "s%d", i);
        bool taken = false;
        for (size_t k = 0; k < w->services_n; k++)
            taken = taken || str_equal(w->services[k].name, name);
        if (taken)
            continue;
        enum service_mode mode = i == 2 ? MODE_REPLICATED_JOB : i == 3 ? MODE_GLOBAL : 0;
        struct service *service = world_service(w, name, mode, roll(6));
        random_spec(&service->spec);
        if (i == 1 && roll(2)) {
            service->spec.network_of = S("s0");
            service->spec.max_per_node = 0;
        }
        service->spec.depends_on = depends;
        service->spec.depends_on_n = i == 4 ? 2 : i == 5 ? 3 : 0;
        return;
    }
}

static void random_node_event(struct world *w)
{
    size_t at = w->nodes_n ? (size_t)roll((int)w->nodes_n) : 0;
    int what = roll(10);
    if (w->nodes_n == 0 || (what == 0 && w->nodes_n < 7)) {
        struct node *node = world_node(w, 1000 + 1000 * roll(2), 1000);
        node->labels = &zones[node->id % 2];
        node->labels_n = 1;
    } else if (what == 1) {
        free(w->nodes[at].name);
        memmove(&w->nodes[at], &w->nodes[at + 1], (w->nodes_n - at - 1) * sizeof(struct node));
        w->nodes_n--;
    } else if (what < 6) {
        w->nodes[at].status = w->nodes[at].status == NODE_UP ? NODE_DOWN : NODE_UP;
    } else {
        w->nodes[at].availability = (enum availability)roll(3);
    }
}

static void random_service_event(struct world *w)
{
    struct service *service = &w->services[roll((int)w->services_n)];
    switch (roll(6)) {
    case 0:
        service->removed = true;
        service->modified_index = ++w->index;
        break;
    case 1:
    case 2:
        service->spec.replicas = roll(8);
        service->modified_index = ++w->index;
        break;
    default:
        if (service->removed)
            break;
        world_revise(w, service);
        random_spec(&service->spec);
        break;
    }
}

static void random_task_event(struct world *w)
{
    struct task *task = &w->tasks[roll((int)w->tasks_n)];
    const struct node *node = find_node(w, task->node_id);
    if (task_is_terminal(task->state) || !node || node->status != NODE_UP)
        return;
    static const enum task_state states[] = {TASK_WAITING, TASK_COMPLETE, TASK_FAILED};
    task->state = states[roll(3)];
    task->state_ms = w->now_ms;
}

static void random_event(struct world *w)
{
    int what = roll(8);
    if (what < 3 || w->nodes_n == 0)
        random_node_event(w);
    else if (what < 4 || w->services_n == 0)
        random_deploy(w);
    else if (what < 6)
        random_service_event(w);
    else if (w->tasks_n > 0)
        random_task_event(w);
}

static void assert_same_plan(const struct plan *a, const struct plan *b)
{
    assert_int_equal(a->steps_n, b->steps_n);
    assert_int_equal(a->unplaced_n, b->unplaced_n);
    assert_int_equal(a->wake_ms, b->wake_ms);
    for (size_t i = 0; i < a->steps_n; i++) {
        const struct step *x = &a->steps[i];
        const struct step *y = &b->steps[i];
        assert_true(x->kind == y->kind && x->service_id == y->service_id && x->slot == y->slot &&
                    x->node_id == y->node_id && x->task_id == y->task_id && x->lost == y->lost);
        assert_string_equal(x->reason, y->reason);
    }
    for (size_t i = 0; i < a->unplaced_n; i++)
        assert_true(a->unplaced[i].service_id == b->unplaced[i].service_id &&
                    a->unplaced[i].slot == b->unplaced[i].slot);
}

static void check_plan_is_pure(const struct world *w)
{
    struct plan first;
    struct plan second;
    world_plan(w, &first);
    world_plan(w, &second);
    assert_same_plan(&first, &second);
    plan_release(&first);
    plan_release(&second);
}

static const struct unplaced *find_unplaced(const struct plan *plan, const struct service *service,
                                            int64_t slot)
{
    for (size_t i = 0; i < plan->unplaced_n; i++)
        if (plan->unplaced[i].service_id == service->id && plan->unplaced[i].slot == slot)
            return &plan->unplaced[i];
    return NULL;
}

/* Told apart from the scheduler's own filters: whether @node would do for one more of @service. */
static bool would_fit(struct world *w, const struct service *service, const struct node *node)
{
    const struct spec *spec = &service->spec;
    int64_t cpu = node->cpu_milli - spec->reservations.cpu_milli;
    int64_t memory = node->memory_bytes - spec->reservations.memory_bytes;
    int64_t own = 0;
    for (size_t i = 0; i < w->tasks_n; i++) {
        const struct task *task = &w->tasks[i];
        if (task->node_id != node->id || task_is_terminal(task->state))
            continue;
        const struct spec *its = spec_of(w, task);
        check(its);
        cpu -= its->reservations.cpu_milli;
        memory -= its->reservations.memory_bytes;
        own += task->service_id == service->id;
    }
    for (size_t i = 0; i < w->volumes_n; i++)
        if (spec->mounts_n && str_equal(spec->mounts[0].source, w->volumes[i].name) &&
            w->volumes[i].home_node_id && w->volumes[i].home_node_id != node->id)
            return false;
    if (spec->constraints_n && !constraint_matches(spec->constraints, node))
        return false;
    return node->status == NODE_UP && node->availability == AVAILABLE_ACTIVE && cpu >= 0 &&
           memory >= 0 && (!spec->max_per_node || own < spec->max_per_node);
}

/* Where the volumes of its companion are, a service has to be, too. */
static bool companion_fits(const struct world *w, const struct service *service,
                           const struct node *node)
{
    for (size_t i = 0; i < w->services_n; i++) {
        const struct spec *spec = &w->services[i].spec;
        for (size_t k = 0; k < w->volumes_n; k++)
            if (str_equal(spec->network_of, service->name) && spec->mounts_n &&
                str_equal(spec->mounts[0].source, w->volumes[k].name) &&
                w->volumes[k].home_node_id && w->volumes[k].home_node_id != node->id)
                return false;
    }
    return true;
}

/* Of a companion only the node of its host is asked. */
static bool is_for(struct world *w, const struct service *service, int64_t slot,
                   const struct node *node)
{
    for (size_t i = 0; i < w->services_n && service->spec.network_of; i++) {
        const struct task *host = find_running(w, &w->services[i], slot);
        if (str_equal(w->services[i].name, service->spec.network_of) && host)
            return host->node_id == node->id;
    }
    return true;
}

/* Every slot has its task, or a reason why not that holds. */
static void check_service(struct world *w, const struct service *service, const struct plan *plan)
{
    if (service->spec.mode == MODE_GLOBAL) {
        for (size_t i = 0; i < w->nodes_n; i++)
            if (!find_running(w, service, w->nodes[i].id) &&
                !find_unplaced(plan, service, w->nodes[i].id))
                assert_true(w->nodes[i].status == NODE_DOWN ||
                            w->nodes[i].availability != AVAILABLE_ACTIVE ||
                            !constraint_matches(service->spec.constraints, &w->nodes[i]));
        return;
    }
    assert_true(count_on(w, service, 0) <= service->spec.replicas);
    for (int64_t slot = 1; slot <= service->spec.replicas; slot++) {
        const struct task *task = find_running(w, service, slot);
        const struct node *node = task ? find_node(w, task->node_id) : NULL;
        if (node && node->status == NODE_UP)
            continue;
        if (task && task_is_terminal(task->state)) /* its last word stands */
            continue;
        const struct unplaced *unplaced = find_unplaced(plan, service, slot);
        check(unplaced);
        for (size_t i = 0; i < w->nodes_n && !unplaced->waits_for[0]; i++)
            if (is_for(w, service, slot, &w->nodes[i]))
                assert_false(would_fit(w, service, &w->nodes[i]) &&
                             companion_fits(w, service, &w->nodes[i]));
    }
}

static void check_at_rest(struct world *w)
{
    struct plan plan;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 0);
    assert_int_equal(plan.wake_ms, 0);
    for (size_t i = 0; i < plan.unplaced_n; i++) {
        int64_t sum = 0;
        for (int k = 0; k < REFUSED_MAX; k++)
            sum += plan.unplaced[i].refused[k];
        assert_int_equal(sum, plan.unplaced[i].waits_for[0] ? 0 : plan.unplaced[i].nodes);
    }
    for (size_t i = 0; i < w->services_n; i++)
        if (!w->services[i].removed)
            check_service(w, &w->services[i], &plan);
    plan_release(&plan);
}

/* A companion has as many tasks as its service has; one whose service is gone is none any more. */
static void settle_companion(struct world *w, struct service *service)
{
    const struct service *host = NULL;
    for (size_t i = 0; i < w->services_n; i++)
        if (str_equal(w->services[i].name, service->spec.network_of) && !w->services[i].removed)
            host = &w->services[i];
    if (!host)
        service->spec.network_of = NULL;
    else if (service->spec.replicas > host->spec.replicas)
        service->spec.replicas = host->spec.replicas;
}

/* All is well again: nothing may be left of the bad times. */
static void check_recovers(struct world *w)
{
    for (size_t i = 0; i < w->nodes_n; i++) {
        w->nodes[i].status = NODE_UP;
        w->nodes[i].availability = AVAILABLE_ACTIVE;
    }
    for (size_t i = 0; i < w->services_n; i++) {
        struct service *service = &w->services[i];
        if (service->removed)
            continue;
        world_revise(w, service);
        service->spec.reservations = (struct resources){0};
        service->spec.max_per_node = 0;
        service->spec.constraints_n = service->spec.mounts_n = service->spec.depends_on_n = 0;
        settle_companion(w, service);
    }
    world_settle(w);
    check_at_rest(w);
    size_t wanted = 0;
    for (size_t i = 0; i < w->services_n; i++)
        wanted += w->services[i].spec.mode == MODE_GLOBAL ? w->nodes_n
                                                          : (size_t)w->services[i].spec.replicas;
    assert_int_equal(w->tasks_n, w->nodes_n ? wanted : 0);
    for (size_t i = 0; i < w->tasks_n; i++) {
        const struct service *service = find_service(w, w->tasks[i].service_id);
        check(service);
        assert_int_equal(w->tasks[i].revision, service->revision);
    }
}

static void test_random_days(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        dice = seed;
        struct world *w = world_new();
        w->volumes[0] = (struct volume){.id = 1, .name = S("app_a")};
        w->volumes[1] = (struct volume){.id = 2, .name = S("app_b")};
        w->volumes_n = 2;
        for (int i = 0; i < 4; i++)
            world_node(w, 2000, 1000);
        for (int event = 0; event < EVENTS; event++) {
            random_event(w);
            for (int i = roll(ROUNDS_BETWEEN); i > 0; i--)
                world_round(w);
            check_plan_is_pure(w);
        }
        world_settle(w);
        check_at_rest(w);
        check_recovers(w);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_days)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
