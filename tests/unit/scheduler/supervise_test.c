/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts from level 4 on: what follows is ready before what it follows stops; and what happens
 * when it is no good. */
#include "world.h"

static struct world *world_of(int nodes, int64_t replicas)
{
    struct world *w = world_new();
    w->level = 4;
    for (int i = 0; i < nodes; i++)
        world_node(w, 4000, 1000);
    world_service(w, "web", MODE_REPLICATED, replicas);
    world_settle(w);
    return w;
}

/* Healthy tasks that are meant to run, of @revision (0: of any). */
static int healthy(const struct world *w, int64_t revision)
{
    int n = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        n += w->tasks[i].desired == DESIRED_RUN && task_is_healthy(&w->tasks[i]) &&
             (!revision || w->tasks[i].revision == revision);
    return n;
}

struct extremes {
    int fewest;  /* healthy tasks */
    size_t most; /* tasks of any kind */
};

static struct extremes settle(struct world *w)
{
    struct extremes e = {healthy(w, 0), w->tasks_n};
    for (int i = 0; i < WORLD_ROUNDS; i++) {
        bool busy = world_round(w);
        int now = healthy(w, 0);
        e.fewest = now < e.fewest ? now : e.fewest;
        e.most = w->tasks_n > e.most ? w->tasks_n : e.most;
        if (!busy)
            return e;
    }
    fail_msg("still busy after %d rounds", WORLD_ROUNDS);
    return e;
}

static void what_follows_is_ready_before_what_it_follows_stops(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    world_revise(w, &w->services[0]);
    struct plan plan;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 1);
    assert_int_equal(plan.steps[0].kind, STEP_CREATE);
    assert_true(plan.steps[0].hold && plan.steps[0].beside);
    world_apply(w, &plan);
    plan_release(&plan);
    world_plan(w, &plan); /* it is not ready: nothing stops */
    assert_int_equal(plan.steps_n, 0);
    plan_release(&plan);
    assert_waits(w, &w->services[0], 1, "waits for its successor to be ready");
    struct extremes e = settle(w);
    assert_int_equal(e.fewest, 2);
    assert_int_equal(e.most, 4);
    assert_int_equal(healthy(w, 2), 3);
    assert_int_equal(w->tasks_n, 3);
    assert_int_equal(w->services[0].rollout, ROLLOUT_DONE);
    world_free(w);
}

static void tasks_stay_spread(void **state)
{
    (void)state;
    for (int order = ORDER_STOP_FIRST; order <= ORDER_START_FIRST; order++) {
        struct world *w = world_of(3, 3);
        struct service *web = &w->services[0];
        for (int i = 0; i < 4; i++) {
            world_revise(w, web);
            web->spec.update.order = (enum update_order)order;
            settle(w);
            for (int64_t node = 1; node <= 3; node++)
                assert_int_equal(count_on(w, web, node), 1);
        }
        web->spec.max_per_node = 1;
        world_revise(w, web);
        settle(w);
        assert_int_equal(healthy(w, web->revision), 3);
        world_free(w);
    }
}

static void start_first_never_serves_less(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    world_revise(w, &w->services[0]);
    w->services[0].spec.update.order = ORDER_START_FIRST;
    w->services[0].spec.update.parallelism = 3;
    struct extremes e = settle(w);
    assert_int_equal(e.fewest, 3);
    assert_int_equal(healthy(w, 2), 3);
    assert_int_equal(w->services[0].rollout, ROLLOUT_DONE);
    world_free(w);
}

static void what_cannot_run_twice_stops_first(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    world_revise(w, &w->services[0]);
    w->services[0].spec.update.order = ORDER_START_FIRST;
    w->services[0].spec.options.network_host = true;
    struct plan plan;
    world_plan(w, &plan);
    assert_true(plan.steps_n == 1 && plan.steps[0].hold);
    plan_release(&plan);
    assert_int_equal(settle(w).fewest, 1);
    assert_int_equal(healthy(w, 2), 2);
    world_free(w);
}

static void a_full_node_is_updated_in_place(void **state)
{
    (void)state;
    struct world *w = world_of(1, 2);
    w->services[0].spec.reservations.memory_bytes = 500;
    world_revise(w, &w->services[0]);
    assert_int_equal(settle(w).fewest, 1);
    assert_int_equal(healthy(w, 2), 2);
    world_free(w);
}

/* Two successors at once, and room on the node for one of them. */
static void successors_take_no_more_than_there_is(void **state)
{
    (void)state;
    struct world *w = world_of(1, 2);
    w->services[0].spec.reservations.memory_bytes = 300;
    w->services[0].spec.update.parallelism = 2;
    world_revise(w, &w->services[0]);
    settle(w); /* the world looks that no node has more reserved than it has */
    world_revise(w, &w->services[0]);
    settle(w);
    assert_int_equal(healthy(w, 3), 2);
    world_free(w);
}

static void an_image_that_is_not_there_costs_nothing(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    struct service *web = &w->services[0];
    world_revise(w, web);
    w->imageless_revision = 2;
    assert_int_equal(settle(w).fewest, 3);
    assert_int_equal(web->rollout, ROLLOUT_PAUSED);
    assert_int_equal(healthy(w, 1), 3);
    world_revise(w, web); /* and the next one is rolled out at once */
    settle(w);
    assert_int_equal(healthy(w, 3), 3);
    assert_int_equal(w->tasks_n, 3);
    assert_int_equal(web->rollout, ROLLOUT_DONE);
    assert_int_equal(web->stable_revision, 1);
    world_free(w);
}

static void a_revision_that_fails_goes_back_by_itself(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    struct service *web = &w->services[0];
    world_revise(w, web);
    web->spec.update.failure = FAILURE_ROLLBACK;
    w->broken_revision = 2;
    struct extremes e = settle(w);
    assert_int_equal(e.fewest, 2);
    assert_int_equal(web->revision, 3);
    assert_int_equal(web->rollout, ROLLOUT_ROLLED_BACK);
    assert_int_equal(healthy(w, 3), 3);
    assert_int_equal(w->tasks_n, 3);
    world_free(w);
}

static void a_rollback_that_fails_pauses(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    struct service *web = &w->services[0];
    world_revise(w, web);
    web->spec.update.failure = FAILURE_ROLLBACK;
    web->spec.update.parallelism = 2;
    w->broken_revision = 2;
    for (int i = 0; i < WORLD_ROUNDS && web->rollout != ROLLOUT_ROLLING_BACK; i++)
        world_round(w);
    w->broken_revision = 3;
    settle(w);
    assert_int_equal(web->rollout, ROLLOUT_ROLLBACK_PAUSED);
    assert_true(healthy(w, 0) >= 1);
    world_free(w);
}

/* Rolled out to the end, though all that is new fails. */
static void failures_may_not_matter(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    struct service *web = &w->services[0];
    world_revise(w, web);
    web->spec.update.failure = FAILURE_CONTINUE;
    w->broken_revision = 2;
    settle(w);
    assert_int_equal(web->rollout, ROLLOUT_DONE);
    for (size_t i = 0; i < w->tasks_n; i++)
        assert_int_equal(w->tasks[i].revision, 2);
    world_free(w);
}

/* Of ten slots one has a task of the new revision that fails: that is a tenth. */
static enum rollout_state with_one_of_ten_failed(int64_t permille)
{
    struct world *w = world_of(3, 10);
    struct service *web = &w->services[0];
    world_revise(w, web);
    web->spec.update.max_failure_permille = permille;
    for (int i = 0; i < WORLD_ROUNDS; i++) {
        bool busy = world_round(w);
        for (size_t k = 0; k < w->tasks_n; k++)
            if (w->tasks[k].slot == 1 && w->tasks[k].revision == 2 && w->tasks[k].run > 0)
                w->tasks[k].state = TASK_FAILED;
        if (!busy)
            break;
    }
    enum rollout_state rollout = web->rollout;
    if (rollout == ROLLOUT_DONE)
        assert_int_equal(healthy(w, 2), 9);
    world_free(w);
    return rollout;
}

static void some_may_fail(void **state)
{
    (void)state;
    assert_int_equal(with_one_of_ten_failed(0), ROLLOUT_PAUSED);
    assert_int_equal(with_one_of_ten_failed(99), ROLLOUT_PAUSED);
    assert_int_equal(with_one_of_ten_failed(100), ROLLOUT_DONE);
}

static void a_paused_rollout_takes_no_step_but_lost_tasks_are_replaced(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    struct service *web = &w->services[0];
    world_revise(w, web);
    web->rollout = ROLLOUT_PAUSED;
    settle(w);
    assert_int_equal(healthy(w, 1), 3);
    w->nodes[0].status = NODE_DOWN;
    settle(w);
    assert_int_equal(healthy(w, 1), 2);
    assert_int_equal(healthy(w, 2), 1);
    assert_waits(w, web, 2, "waits for its rollout to go on: it is paused");
    web->rollout = ROLLOUT_UPDATING;
    web->rollout_ms = w->now_ms;
    settle(w);
    assert_int_equal(healthy(w, 2), 3);
    assert_int_equal(web->rollout, ROLLOUT_DONE);
    world_free(w);
}

static void no_progress_has_an_end(void **state)
{
    (void)state;
    struct world *w = world_of(1, 1);
    struct service *web = &w->services[0];
    web->spec.reservations.memory_bytes = 1000;
    settle(w);
    world_revise(w, web);
    web->spec.reservations.memory_bytes = 2000; /* fits nowhere */
    web->spec.rollout_deadline_ms = 30000;
    settle(w);
    assert_int_equal(healthy(w, 1), 1);
    assert_int_equal(web->rollout, ROLLOUT_PAUSED);
    world_free(w);
}

static void a_node_is_lost_with_what_was_to_follow(void **state)
{
    (void)state;
    for (int64_t lost = 1; lost <= 3; lost++)
        for (int rounds = 1; rounds < 12; rounds++) {
            struct world *w = world_of(3, 3);
            world_revise(w, &w->services[0]);
            for (int i = 0; i < rounds; i++)
                world_round(w);
            w->nodes[lost - 1].status = NODE_DOWN;
            settle(w);
            assert_int_equal(healthy(w, 2), 3);
            w->nodes[lost - 1].status = NODE_UP;
            settle(w);
            assert_int_equal(w->tasks_n, 3);
            assert_int_equal(w->services[0].rollout, ROLLOUT_DONE);
            world_free(w);
        }
}

static void global_tasks_follow_on_their_node(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 4;
    for (int i = 0; i < 3; i++)
        world_node(w, 4000, 1000);
    world_service(w, "agent", MODE_GLOBAL, 0);
    world_settle(w);
    world_revise(w, &w->services[0]);
    assert_int_equal(settle(w).fewest, 2);
    assert_int_equal(healthy(w, 2), 3);
    for (int64_t i = 1; i <= 3; i++)
        assert_int_equal(count_on(w, &w->services[0], i), 1);
    world_free(w);
}

static void a_stopped_service_has_no_tasks_until_it_starts(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    struct service *web = &w->services[0];
    web->stopped = true;
    settle(w);
    assert_int_equal(w->tasks_n, 0);
    world_revise(w, web);
    settle(w);
    assert_int_equal(web->rollout, ROLLOUT_DONE);
    web->stopped = false;
    settle(w);
    assert_int_equal(healthy(w, 2), 3);
    world_free(w);
}

static void a_task_goes_where_it_is_told(void **state)
{
    (void)state;
    struct world *w = world_of(3, 2);
    struct service *web = &w->services[0];
    struct task *task = running(w, web, 1);
    assert_int_not_equal(task->node_id, 3);
    task->move_to = 3;
    assert_int_equal(settle(w).fewest, 2);
    assert_int_equal(running(w, web, 1)->node_id, 3);
    assert_int_equal(running(w, web, 1)->move_to, 0);
    assert_int_equal(w->tasks_n, 2);
    int64_t before = running(w, web, 2)->node_id;
    running(w, web, 2)->move_to = -1;
    settle(w);
    assert_int_not_equal(running(w, web, 2)->node_id, before);
    world_free(w);
}

static void an_update_does_not_shuffle_tasks(void **state)
{
    (void)state;
    struct world *w = world_of(3, 1);
    int64_t before = running(w, &w->services[0], 1)->node_id;
    world_service(w, "other", MODE_REPLICATED, 3);
    settle(w);
    world_revise(w, &w->services[0]); /* the other two nodes have less to do */
    settle(w);
    assert_int_equal(running(w, &w->services[0], 1)->revision, 2);
    assert_int_equal(running(w, &w->services[0], 1)->node_id, before);
    world_free(w);
}

static void a_task_stays_where_nothing_else_fits(void **state)
{
    (void)state;
    struct world *w = world_of(1, 1);
    struct service *web = &w->services[0];
    int64_t id = running(w, web, 1)->id;
    running(w, web, 1)->move_to = -1;
    settle(w);
    assert_int_equal(running(w, web, 1)->id, id);
    assert_int_equal(running(w, web, 1)->move_to, 0);
    world_node(w, 4000, 1000)->availability = AVAILABLE_PAUSE;
    running(w, web, 1)->move_to = 2;
    settle(w);
    assert_int_equal(running(w, web, 1)->id, id);
    assert_int_equal(running(w, web, 1)->move_to, 0);
    world_free(w);
}

static void tasks_of_a_lost_node_wait_as_long_as_they_are_told(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    struct service *web = &w->services[0];
    int64_t slot = running(w, web, 1)->node_id == 1 ? 1 : 2;
    int64_t id = running(w, web, slot)->id;
    web->spec.failover_ms = 60000;
    w->nodes[0].status = NODE_DOWN;
    w->nodes[0].status_ms = w->now_ms;
    struct plan plan;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 0);
    assert_true(plan.wake_ms > 0 && plan.wake_ms <= w->now_ms + 60000);
    plan_release(&plan);
    assert_waits(w, web, slot, "waits for node n1 to come back (60 s more)");
    w->now_ms += 60000;
    settle(w);
    assert_int_not_equal(running(w, web, slot)->id, id);
    web->spec.failover_ms = -1;
    w->nodes[1].status = NODE_DOWN;
    w->nodes[1].status_ms = w->now_ms;
    w->now_ms += (int64_t)1 << 40;
    w->nodes[0].status = NODE_UP;
    settle(w);
    assert_int_equal(running(w, web, slot)->node_id, 2);
    world_free(w);
}

/* The most and the fewest tasks of @service on the nodes that are up. */
static int skew(struct world *w, const struct service *service)
{
    int most = 0;
    int fewest = INT32_MAX;
    for (size_t i = 0; i < w->nodes_n; i++) {
        int n = count_on(w, service, w->nodes[i].id);
        if (w->nodes[i].status != NODE_UP)
            continue;
        most = n > most ? n : most;
        fewest = n < fewest ? n : fewest;
    }
    return most - fewest;
}

static void a_node_that_joins_gets_its_share(void **state)
{
    (void)state;
    struct world *w = world_of(2, 6);
    struct service *web = &w->services[0];
    world_node(w, 4000, 1000)->joined_ms = w->now_ms;
    assert_int_equal(settle(w).fewest, 6); /* one at a time, and never one less */
    assert_true(skew(w, web) <= 1);
    assert_int_equal(w->tasks_n, 6);
    w->nodes[0].status = NODE_DOWN;
    settle(w);
    w->nodes[0].status = NODE_UP;
    w->nodes[0].status_ms = w->now_ms;
    settle(w);
    assert_true(skew(w, web) <= 1);
    world_free(w);
}

static void nothing_moves_where_it_is_not_wanted(void **state)
{
    (void)state;
    struct world *w = world_of(2, 6);
    struct service *web = &w->services[0];
    web->spec.no_rebalance = true;
    world_node(w, 4000, 1000);
    settle(w);
    assert_int_equal(count_on(w, web, 3), 0);
    web->spec.no_rebalance = false;
    web->rollout = ROLLOUT_UPDATING; /* nor while a rollout has its say */
    web->rollout_ms = w->now_ms;
    struct plan plan;
    world_plan(w, &plan);
    for (size_t i = 0; i < plan.steps_n; i++)
        assert_int_not_equal(plan.steps[i].kind, STEP_MOVE);
    plan_release(&plan);
    world_free(w);
}

static void single_tasks_of_many_services_are_shared_out(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 4;
    world_node(w, 4000, 1000);
    for (int i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof(name), "s%d", i);
        world_service(w, name, MODE_REPLICATED, 1);
    }
    settle(w);
    world_node(w, 4000, 1000);
    settle(w);
    int on_first = count_on(w, NULL, 1);
    assert_true(on_first >= 3 && on_first <= 5);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_follows_is_ready_before_what_it_follows_stops),
        cmocka_unit_test(tasks_stay_spread),
        cmocka_unit_test(start_first_never_serves_less),
        cmocka_unit_test(what_cannot_run_twice_stops_first),
        cmocka_unit_test(a_full_node_is_updated_in_place),
        cmocka_unit_test(successors_take_no_more_than_there_is),
        cmocka_unit_test(an_image_that_is_not_there_costs_nothing),
        cmocka_unit_test(a_revision_that_fails_goes_back_by_itself),
        cmocka_unit_test(a_rollback_that_fails_pauses),
        cmocka_unit_test(failures_may_not_matter),
        cmocka_unit_test(some_may_fail),
        cmocka_unit_test(a_paused_rollout_takes_no_step_but_lost_tasks_are_replaced),
        cmocka_unit_test(no_progress_has_an_end),
        cmocka_unit_test(a_node_is_lost_with_what_was_to_follow),
        cmocka_unit_test(global_tasks_follow_on_their_node),
        cmocka_unit_test(a_stopped_service_has_no_tasks_until_it_starts),
        cmocka_unit_test(a_task_goes_where_it_is_told),
        cmocka_unit_test(an_update_does_not_shuffle_tasks),
        cmocka_unit_test(a_task_stays_where_nothing_else_fits),
        cmocka_unit_test(tasks_of_a_lost_node_wait_as_long_as_they_are_told),
        cmocka_unit_test(a_node_that_joins_gets_its_share),
        cmocka_unit_test(nothing_moves_where_it_is_not_wanted),
        cmocka_unit_test(single_tasks_of_many_services_are_shared_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
