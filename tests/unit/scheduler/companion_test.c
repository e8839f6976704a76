/* SPDX-License-Identifier: Apache-2.0 */
/* Services in the network of another: their tasks are beside its tasks, and go where they go. */
#include "world.h"

#define S(text) ((char *)(uintptr_t)(text))

/* A service "vpn" and its companion "app", of @replicas each, that run. */
static struct world *world_of(int nodes, int64_t replicas)
{
    struct world *w = world_new();
    w->level = 7;
    for (int i = 0; i < nodes; i++)
        world_node(w, 4000, 1000);
    world_service(w, "vpn", MODE_REPLICATED, replicas);
    world_service(w, "app", MODE_REPLICATED, replicas)->spec.network_of = S("vpn");
    world_settle(w);
    return w;
}

/* Each task of the companion is beside its host, which is to run. */
static void assert_together(struct world *w, int64_t replicas)
{
    for (int64_t slot = 1; slot <= replicas; slot++) {
        const struct task *host = running(w, &w->services[0], slot);
        const struct task *task = running(w, &w->services[1], slot);
        assert_int_equal(task->network_task, host->id);
        assert_int_equal(task->node_id, host->node_id);
    }
}

static void it_is_placed_beside_what_runs(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 7;
    world_node(w, 4000, 1000);
    world_node(w, 4000, 1000);
    world_service(w, "vpn", MODE_REPLICATED, 2);
    world_service(w, "app", MODE_REPLICATED, 3)->spec.network_of = S("vpn");
    assert_waits(w, &w->services[1], 1, "waits for app.vpn.1, whose network it shares, to run");
    world_settle(w);
    assert_together(w, 2);
    assert_waits(w, &w->services[1], 3, "waits for app.vpn.3, whose network it shares, to run");
    world_free(w);
}

static void a_lost_node_takes_both(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    w->nodes[running(w, &w->services[0], 2)->node_id - 1].status = NODE_DOWN;
    world_settle(w);
    assert_together(w, 3);
    world_free(w);
}

static void it_follows_when_the_other_is_replaced_or_moved(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    world_revise(w, &w->services[0]);
    w->services[0].spec.update.order = ORDER_START_FIRST;
    world_settle(w);
    assert_together(w, 2);
    assert_int_equal(running(w, &w->services[0], 1)->revision, 2);
    running(w, &w->services[0], 1)->move_to = -1;
    world_settle(w);
    assert_together(w, 2);
    w->nodes[0].availability = AVAILABLE_DRAIN;
    world_settle(w);
    assert_together(w, 2);
    assert_int_equal(count_on(w, &w->services[1], 1), 0);
    world_free(w);
}

static void its_own_update_stays_beside(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    world_revise(w, &w->services[1]);
    world_settle(w);
    assert_together(w, 3);
    assert_int_equal(running(w, &w->services[1], 3)->revision, 2);
    world_free(w);
}

static void an_update_waits_while_the_other_does_not_run(void **state)
{
    (void)state;
    struct world *w = world_of(1, 1);
    world_revise(w, &w->services[1]);
    struct task *host = running(w, &w->services[0], 1);
    host->state = TASK_WAITING; /* between two runs */
    host->run = 2;
    assert_waits(w, &w->services[1], 1, "waits for app.vpn.1, whose network it shares, to run");
    host->state = TASK_RUNNING;
    world_settle(w);
    assert_together(w, 1);
    world_free(w);
}

static void where_its_volume_is_the_other_goes(void **state)
{
    (void)state;
    static struct mount_spec mounts[] = {{.source = S("app_a"), .target = S("/a")}};
    struct world *w = world_new();
    w->level = 7;
    world_node(w, 4000, 1000);
    world_node(w, 4000, 1000);
    w->volumes[0] = (struct volume){.id = 1, .name = S("app_a"), .home_node_id = 2};
    w->volumes_n = 1;
    world_service(w, "vpn", MODE_REPLICATED, 1);
    struct service *app = world_service(w, "app", MODE_REPLICATED, 1);
    app->spec.network_of = S("vpn");
    app->spec.mounts = mounts;
    app->spec.mounts_n = 1;
    world_settle(w);
    assert_together(w, 1);
    assert_int_equal(running(w, &w->services[0], 1)->node_id, 2);
    world_free(w);
}

static void one_that_shares_no_more_is_replaced_in_its_turn(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    world_revise(w, &w->services[1]);
    w->services[1].spec.network_of = NULL;
    world_settle(w);
    assert_int_equal(running(w, &w->services[1], 1)->network_task, 0);
    assert_int_equal(running(w, &w->services[1], 2)->network_task, 0);
    world_revise(w, &w->services[1]);
    w->services[1].spec.network_of = S("vpn");
    world_settle(w);
    assert_together(w, 2);
    world_free(w);
}

static void a_global_one_is_beside_its_node_s(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 7;
    world_node(w, 4000, 1000);
    world_node(w, 4000, 1000);
    world_service(w, "vpn", MODE_GLOBAL, 0);
    world_service(w, "app", MODE_GLOBAL, 0)->spec.network_of = S("vpn");
    assert_waits(w, &w->services[1], 2, "waits for app.vpn on n2, whose network it shares, to run");
    world_settle(w);
    for (int64_t node = 1; node <= 2; node++)
        assert_int_equal(running(w, &w->services[1], node)->network_task,
                         running(w, &w->services[0], node)->id);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_placed_beside_what_runs),
        cmocka_unit_test(a_lost_node_takes_both),
        cmocka_unit_test(it_follows_when_the_other_is_replaced_or_moved),
        cmocka_unit_test(its_own_update_stays_beside),
        cmocka_unit_test(an_update_waits_while_the_other_does_not_run),
        cmocka_unit_test(where_its_volume_is_the_other_goes),
        cmocka_unit_test(one_that_shares_no_more_is_replaced_in_its_turn),
        cmocka_unit_test(a_global_one_is_beside_its_node_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
