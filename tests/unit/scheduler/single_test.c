/* SPDX-License-Identifier: Apache-2.0 */
/* Single services: a slot stays empty while its former task may still run somewhere. */
#include "world.h"

#include "scheduler/single.h"

enum {
    LEASE_MS = 10000,
};

static struct world *world_of(int nodes, int64_t replicas)
{
    struct world *w = world_new();
    w->level = 4;
    for (int i = 0; i < nodes; i++)
        world_node(w, 4000, 1000);
    struct service *s = world_service(w, "db", MODE_REPLICATED, replicas);
    s->spec.single = true;
    s->spec.lease_ms = LEASE_MS;
    world_settle(w);
    return w;
}

static void outage(struct world *w, int64_t node_id)
{
    w->outages[w->outages_n++] = (struct outage){.node_id = node_id, .since_ms = w->now_ms};
}

/* No step places anything. */
static void nothing_is_placed(struct world *w)
{
    struct plan plan;
    world_plan(w, &plan);
    for (size_t i = 0; i < plan.steps_n; i++)
        assert_true(plan.steps[i].kind != STEP_CREATE && plan.steps[i].kind != STEP_RELEASE);
    world_apply(w, &plan);
    plan_release(&plan);
}

static int64_t over_ms(void)
{
    return single_over_ms(0, LEASE_MS);
}

static void a_lost_node_is_waited_for_until_its_lease_is_over(void **state)
{
    (void)state;
    struct world *w = world_of(2, 1);
    struct plan plan;
    struct task *task = running(w, &w->services[0], 1);
    int64_t node_id = task->node_id;
    w->nodes[node_id - 1].status = NODE_DOWN;
    nothing_is_placed(w); /* nobody knows since when */
    assert_waits(w, &w->services[0], 1, "waits for its lease on n1 to run out");
    outage(w, node_id);
    int64_t since_ms = w->now_ms;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 0);
    assert_int_equal(plan.wake_ms, since_ms + over_ms());
    plan_release(&plan);
    w->now_ms = since_ms + over_ms() - 1;
    nothing_is_placed(w);
    w->now_ms = since_ms + over_ms();
    world_settle(w);
    task = running(w, &w->services[0], 1);
    assert_int_not_equal(task->node_id, node_id);
    world_free(w);
}

static void it_may_come_back_in_time(void **state)
{
    (void)state;
    struct world *w = world_of(2, 1);
    struct task *task = running(w, &w->services[0], 1);
    int64_t id = task->id;
    struct node *node = &w->nodes[task->node_id - 1];
    node->status = NODE_DOWN;
    outage(w, node->id);
    nothing_is_placed(w);
    node->status = NODE_UP;
    w->outages_n = 0;
    world_settle(w);
    assert_int_equal(running(w, &w->services[0], 1)->id, id);
    world_free(w);
}

static void a_removed_node_is_waited_for_too(void **state)
{
    (void)state;
    struct world *w = world_of(2, 1);
    int64_t node_id = running(w, &w->services[0], 1)->node_id;
    size_t place = (size_t)node_id - 1;
    free(w->nodes[place].name);
    for (size_t i = place; i + 1 < w->nodes_n; i++)
        w->nodes[i] = w->nodes[i + 1];
    w->nodes_n--;
    nothing_is_placed(w);
    outage(w, node_id);
    int64_t since_ms = w->now_ms;
    nothing_is_placed(w);
    assert_int_equal(w->tasks_n, 1);
    w->now_ms = since_ms + over_ms();
    world_settle(w);
    assert_int_not_equal(running(w, &w->services[0], 1)->node_id, node_id);
    assert_int_equal(w->tasks_n, 1);
    world_free(w);
}

static void scaled_down_and_up_it_is_still_waited_for(void **state)
{
    (void)state;
    struct world *w = world_of(3, 1);
    int64_t node_id = running(w, &w->services[0], 1)->node_id;
    w->nodes[node_id - 1].status = NODE_DOWN;
    outage(w, node_id);
    int64_t since_ms = w->now_ms;
    w->services[0].spec.replicas = 0;
    nothing_is_placed(w); /* it is to end there */
    w->services[0].spec.replicas = 1;
    nothing_is_placed(w);
    w->services[0].stopped = true;
    nothing_is_placed(w);
    w->services[0].stopped = false;
    w->services[0].removed = true;
    nothing_is_placed(w);
    w->services[0].removed = false; /* deployed again */
    nothing_is_placed(w);
    w->now_ms = since_ms + over_ms();
    world_settle(w);
    assert_true(running(w, &w->services[0], 1)->node_id != node_id);
    world_free(w);
}

static void an_update_waits_for_the_end_on_a_lost_node(void **state)
{
    (void)state;
    struct world *w = world_of(2, 1);
    struct task *old = running(w, &w->services[0], 1);
    int64_t node_id = old->node_id;
    struct plan plan;
    world_revise(w, &w->services[0]);
    w->services[0].spec.update.order = ORDER_START_FIRST; /* which it cannot */
    for (int i = 0; i < 6 && old->desired == DESIRED_RUN; i++) {
        world_plan(w, &plan);
        world_apply(w, &plan);
        plan_release(&plan);
        if (old->desired == DESIRED_RUN)
            world_tick(w);
    }
    assert_int_equal(old->desired, DESIRED_END); /* told to stop, and its node is lost */
    w->nodes[node_id - 1].status = NODE_DOWN;
    outage(w, node_id);
    int64_t since_ms = w->now_ms;
    for (int i = 0; i < 5; i++)
        nothing_is_placed(w);
    w->now_ms = since_ms + over_ms();
    world_settle(w);
    struct task *now = running(w, &w->services[0], 1);
    assert_true(now && now->revision == 2 && now->node_id != node_id);
    world_free(w);
}

static void clocks_may_differ(void **state)
{
    (void)state;
    /* One that runs 1 % slow, seen by one that runs 1 % fast. */
    for (int64_t lease = LEASE_MIN_MS; lease <= LEASE_MAX_MS; lease *= 2)
        assert_true((double)single_over_ms(0, lease) / 1.01 > (double)lease / 0.99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_node_is_waited_for_until_its_lease_is_over),
        cmocka_unit_test(it_may_come_back_in_time),
        cmocka_unit_test(a_removed_node_is_waited_for_too),
        cmocka_unit_test(scaled_down_and_up_it_is_still_waited_for),
        cmocka_unit_test(an_update_waits_for_the_end_on_a_lost_node),
        cmocka_unit_test(clocks_may_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
