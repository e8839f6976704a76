/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

/* Three nodes and a service of @replicas that runs. */
static struct world *world_of(int nodes, int64_t replicas)
{
    struct world *w = world_new();
    for (int i = 0; i < nodes; i++)
        world_node(w, 4000, 1000);
    world_service(w, "web", MODE_REPLICATED, replicas);
    world_settle(w);
    return w;
}

/* How many tasks that are meant to run are healthy, of @revision (0: of any). */
static int count_healthy(const struct world *w, int64_t revision)
{
    int n = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        n += w->tasks[i].desired == DESIRED_RUN && task_is_healthy(&w->tasks[i]) &&
             (!revision || w->tasks[i].revision == revision);
    return n;
}

/* Settle, and return the fewest healthy tasks there were on the way. */
static int settle_counting(struct world *w)
{
    int fewest = count_healthy(w, 0);
    for (int i = 0; i < WORLD_ROUNDS; i++) {
        bool busy = world_round(w);
        int healthy = count_healthy(w, 0);
        fewest = healthy < fewest ? healthy : fewest;
        if (!busy)
            return fewest;
    }
    fail_msg("still busy after %d rounds", WORLD_ROUNDS);
    return 0;
}

static void test_one_by_one(void **state)
{
    (void)state;
    struct world *w = world_of(3, 5);
    world_revise(w, &w->services[0]);
    struct plan plan;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 1);
    assert_int_equal(plan.steps[0].kind, STEP_END);
    assert_string_equal(plan.steps[0].reason, "update to revision 2");
    plan_release(&plan);
    assert_int_equal(settle_counting(w), 4);
    assert_int_equal(count_healthy(w, 2), 5);
    assert_int_equal(w->tasks_n, 5);
    world_free(w);
}

static void test_several_at_a_time(void **state)
{
    (void)state;
    struct world *w = world_of(3, 5);
    world_revise(w, &w->services[0]);
    w->services[0].spec.update.parallelism = 2;
    assert_int_equal(settle_counting(w), 3);
    assert_int_equal(count_healthy(w, 2), 5);
    world_free(w);
}

static size_t count_steps(const struct world *w)
{
    struct plan plan;
    world_plan(w, &plan);
    size_t n = plan.steps_n;
    plan_release(&plan);
    return n;
}

static void test_a_step_ends_before_the_next(void **state)
{
    (void)state;
    struct world *w = world_of(3, 6);
    struct service *web = &w->services[0];
    int64_t slow_id = running(w, web, 2)->id;
    world_revise(w, web);
    web->spec.update.parallelism = 2;
    for (int i = 0; i < 5; i++) {
        world_round(w);
        struct task *slow = find_task(w, slow_id);
        check(slow);
        slow->state = TASK_RUNNING; /* it takes its time to stop */
        assert_int_equal(count_healthy(w, 1), 4);
    }
    assert_int_equal(count_healthy(w, 2), 1);
    assert_int_equal(count_steps(w), 0);
    world_settle(w);
    assert_int_equal(count_healthy(w, 2), 6);
    world_free(w);
}

static void test_a_full_node_is_updated_in_place(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    w->services[0].spec.reservations.memory_bytes = 900;
    world_revise(w, &w->services[0]);
    assert_int_equal(settle_counting(w), 1);
    world_revise(w, &w->services[0]); /* each node is full of the former */
    w->services[0].spec.reservations.memory_bytes = 1000;
    assert_int_equal(settle_counting(w), 1);
    assert_int_equal(count_healthy(w, 3), 2);
    world_free(w);
}

static void test_delay_between_steps(void **state)
{
    (void)state;
    struct world *w = world_of(3, 2);
    world_revise(w, &w->services[0]);
    w->services[0].spec.update.delay_ms = 60000;
    struct plan plan;
    for (int i = 0; i < 10 && count_healthy(w, 2) == 0; i++)
        world_round(w);
    int64_t since_ms = running(w, &w->services[0], 1)->state_ms;
    for (;;) {
        world_plan(w, &plan);
        if (plan.steps_n == 0 || plan.steps[0].kind == STEP_END)
            break;
        world_apply(w, &plan);
        plan_release(&plan);
    }
    assert_int_equal(plan.steps_n, 0);
    assert_int_equal(plan.wake_ms, since_ms + 60000);
    plan_release(&plan);
    w->now_ms = since_ms + 59999;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 0);
    plan_release(&plan);
    w->now_ms = since_ms + 60000;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 1);
    assert_int_equal(plan.wake_ms, 0);
    plan_release(&plan);
    world_settle(w);
    assert_int_equal(count_healthy(w, 2), 2);
    world_free(w);
}

static void test_a_broken_revision_stops_and_the_next_repairs(void **state)
{
    (void)state;
    struct world *w = world_of(3, 4);
    world_revise(w, &w->services[0]);
    w->broken_revision = 2;
    world_settle(w);
    assert_int_equal(count_healthy(w, 1), 3);
    assert_int_equal(running(w, &w->services[0], 1)->revision, 2);
    world_revise(w, &w->services[0]);
    assert_int_equal(settle_counting(w), 3); /* the broken one went first */
    assert_int_equal(count_healthy(w, 3), 4);
    world_free(w);
}

static void test_a_revision_that_fits_nowhere_ends_nothing(void **state)
{
    (void)state;
    struct world *w = world_of(3, 2);
    world_revise(w, &w->services[0]);
    w->services[0].spec.reservations.memory_bytes = 5000;
    assert_int_equal(settle_counting(w), 2);
    assert_int_equal(count_healthy(w, 1), 2);
    assert_waits(w, &w->services[0], 1, "0 of 3 nodes fit: 3 short of memory");
    world_free(w);
}

static void test_a_slot_that_finds_no_node_does_not_hold_up_the_rest(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    struct service *web = &w->services[0];
    world_revise(w, web);
    web->spec.replicas = 3;
    web->spec.max_per_node = 1;
    world_settle(w);
    assert_int_equal(count_healthy(w, 2), 2);
    assert_waits(w, web, 3, "0 of 2 nodes fit: 2 at max replicas per node");
    world_free(w);
}

static void test_what_does_not_serve_goes_first(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    running(w, &w->services[0], 3)->state = TASK_FAILED;
    world_revise(w, &w->services[0]);
    struct plan plan;
    world_plan(w, &plan); /* it is over: its successor need not wait */
    assert_int_equal(plan.steps_n, 2);
    assert_int_equal(plan.steps[0].slot, 3);
    assert_int_equal(plan.steps[1].kind, STEP_CREATE);
    plan_release(&plan);
    assert_int_equal(settle_counting(w), 2);
    assert_int_equal(count_healthy(w, 2), 3);
    world_free(w);
}

static void test_global_tasks_are_updated_one_by_one(void **state)
{
    (void)state;
    struct world *w = world_of(4, 0);
    struct service *agent = world_service(w, "agent", MODE_GLOBAL, 0);
    world_settle(w);
    w->nodes[2].status = NODE_DOWN;
    w->nodes[3].availability = AVAILABLE_PAUSE;
    world_revise(w, agent);
    assert_int_equal(settle_counting(w), 3);
    assert_int_equal(count_healthy(w, 2), 2);
    assert_waits(w, agent, 4, "0 of 1 nodes fit: 1 paused");
    w->nodes[2].status = NODE_UP;
    w->nodes[3].availability = AVAILABLE_ACTIVE;
    world_settle(w);
    assert_int_equal(count_healthy(w, 2), 4);
    world_free(w);
}

static void test_an_update_waits_for_its_job(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    struct depends_spec depends = {.service = (char *)(uintptr_t) "migrate",
                                   .condition = DEPENDS_COMPLETED};
    struct service *job = world_service(w, "migrate", MODE_REPLICATED_JOB, 1);
    struct service *web = &w->services[0];
    web->spec.depends_on = &depends;
    web->spec.depends_on_n = 1;
    world_settle(w);
    world_revise(w, web);
    world_revise(w, job);
    w->broken_revision = 2;
    world_settle(w);
    assert_int_equal(count_healthy(w, 1), 2);
    assert_waits(w, web, 1, "waits for app.migrate to complete");
    w->broken_revision = 0;
    world_settle(w);
    assert_int_equal(count_healthy(w, 2), 2);
    world_free(w);
}

static void test_a_node_is_emptied_one_by_one(void **state)
{
    (void)state;
    struct world *w = world_of(2, 6);
    char *test[] = {(char *)(uintptr_t) "true"};
    w->services[0].spec.health.test = test; /* not healthy at once: the next waits for it */
    w->services[0].spec.health.test_n = 1;
    w->no_overlap = true;
    w->nodes[0].availability = AVAILABLE_DRAIN;
    assert_int_equal(settle_counting(w), 5);
    assert_int_equal(count_on(w, NULL, 1), 0);
    assert_int_equal(count_healthy(w, 0), 6);
    world_free(w);
}

/* How many tasks of slots that have two are meant to run. */
static int count_doubled(const struct world *w)
{
    int n = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        for (size_t k = 0; k < i; k++)
            n += w->tasks[i].slot == w->tasks[k].slot &&
                 w->tasks[i].service_id == w->tasks[k].service_id &&
                 w->tasks[i].desired == DESIRED_RUN && w->tasks[k].desired == DESIRED_RUN;
    return n;
}

static void test_a_successor_runs_before_the_other_stops(void **state)
{
    (void)state;
    struct world *w = world_of(3, 5);
    char *test[] = {(char *)(uintptr_t) "true"};
    w->services[0].spec.health.test = test;
    w->services[0].spec.health.test_n = 1;
    w->services[0].spec.update.parallelism = 2;
    w->nodes[0].availability = AVAILABLE_DRAIN;
    int most = 0;
    for (int i = 0; i < WORLD_ROUNDS && world_round(w); i++) {
        assert_true(count_healthy(w, 0) >= 5);
        most = count_doubled(w) > most ? count_doubled(w) : most;
    }
    assert_int_equal(most, 2);
    assert_int_equal(count_on(w, NULL, 1), 0);
    assert_int_equal(w->tasks_n, 5);
    world_free(w);
}

static void test_a_successor_that_fails_leaves_the_other(void **state)
{
    (void)state;
    struct world *w = world_of(2, 1);
    int64_t old_id = running(w, &w->services[0], 1)->id;
    w->nodes[running(w, &w->services[0], 1)->node_id - 1].availability = AVAILABLE_DRAIN;
    world_round(w);
    for (size_t i = 0; i < w->tasks_n; i++)
        if (w->tasks[i].id != old_id)
            w->tasks[i].state = TASK_FAILED;
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    const struct task *old = find_task(w, old_id);
    assert_true(old && old->desired == DESIRED_RUN);
    /* Another revision is another try. */
    world_revise(w, &w->services[0]);
    world_settle(w);
    assert_int_equal(w->tasks_n, 1);
    assert_int_equal(count_healthy(w, 2), 1);
    world_free(w);
}

static void test_who_is_active_again_keeps_its_task(void **state)
{
    (void)state;
    struct world *w = world_of(2, 1);
    int64_t old_id = running(w, &w->services[0], 1)->id;
    struct node *node = &w->nodes[running(w, &w->services[0], 1)->node_id - 1];
    node->availability = AVAILABLE_DRAIN;
    world_round(w);
    assert_int_equal(count_doubled(w), 1);
    for (size_t i = 0; i < w->tasks_n; i++)
        if (w->tasks[i].id != old_id)
            w->tasks[i].state = TASK_STARTING;
    node->availability = AVAILABLE_ACTIVE;
    world_settle(w);
    assert_int_equal(w->tasks_n, 1);
    assert_int_equal(w->tasks[0].id, old_id);
    world_free(w);
}

static void test_a_node_is_emptied_though_the_service_is_broken(void **state)
{
    (void)state;
    struct world *w = world_of(2, 4);
    w->broken_revision = 1;
    world_settle(w);
    for (size_t i = 0; i < w->tasks_n; i++)
        w->tasks[i].state = TASK_WAITING;
    w->nodes[0].availability = AVAILABLE_DRAIN;
    world_settle(w);
    assert_int_equal(count_on(w, NULL, 1), 0);
    assert_int_equal(count_on(w, NULL, 2), 4);
    world_free(w);
}

static void test_a_node_is_emptied_though_nothing_else_fits(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    w->nodes[0].availability = AVAILABLE_DRAIN;
    w->nodes[1].availability = AVAILABLE_PAUSE;
    world_settle(w);
    assert_int_equal(w->tasks_n, 1);
    assert_waits(w, &w->services[0], 1, "0 of 2 nodes fit: 1 paused, 1 draining");
    w->nodes[0].availability = AVAILABLE_ACTIVE;
    world_settle(w);
    assert_int_equal(count_healthy(w, 0), 2);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_several_at_a_time),
        cmocka_unit_test(test_a_step_ends_before_the_next),
        cmocka_unit_test(test_a_full_node_is_updated_in_place),
        cmocka_unit_test(test_delay_between_steps),
        cmocka_unit_test(test_a_broken_revision_stops_and_the_next_repairs),
        cmocka_unit_test(test_a_revision_that_fits_nowhere_ends_nothing),
        cmocka_unit_test(test_a_slot_that_finds_no_node_does_not_hold_up_the_rest),
        cmocka_unit_test(test_what_does_not_serve_goes_first),
        cmocka_unit_test(test_global_tasks_are_updated_one_by_one),
        cmocka_unit_test(test_an_update_waits_for_its_job),
        cmocka_unit_test(test_a_node_is_emptied_one_by_one),
        cmocka_unit_test(test_a_successor_runs_before_the_other_stops),
        cmocka_unit_test(test_a_successor_that_fails_leaves_the_other),
        cmocka_unit_test(test_who_is_active_again_keeps_its_task),
        cmocka_unit_test(test_a_node_is_emptied_though_the_service_is_broken),
        cmocka_unit_test(test_a_node_is_emptied_though_nothing_else_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
