/* SPDX-License-Identifier: Apache-2.0 */
/* A task that keeps failing where it is. */
#include "world.h"

static struct world *world_of(int nodes, int64_t replicas)
{
    struct world *w = world_new();
    w->level = 4;
    for (int i = 0; i < nodes; i++)
        world_node(w, 4000, 1000);
    world_service(w, "web", MODE_REPLICATED, replicas);
    return w;
}

static void rounds(struct world *w, int n)
{
    for (int i = 0; i < n; i++)
        world_round(w);
}

static int healthy(const struct world *w)
{
    int n = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        n += w->tasks[i].desired == DESIRED_RUN && task_is_healthy(&w->tasks[i]);
    return n;
}

static void it_is_tried_on_another_node(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    w->broken_nodes = 1U << 2;
    rounds(w, 40);
    assert_int_equal(healthy(w), 3);
    assert_int_equal(count_on(w, &w->services[0], 2), 0);
    assert_int_equal(w->tasks_n, 3);
    world_free(w);
}

static int64_t largest_id(const struct world *w)
{
    int64_t id = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        id = w->tasks[i].id > id ? w->tasks[i].id : id;
    return id;
}

static void what_fails_everywhere_does_not_wander(void **state)
{
    (void)state;
    struct world *w = world_of(3, 3);
    w->broken_nodes = ~0U;
    rounds(w, 300);
    assert_int_equal(largest_id(w), 103); /* the first three */
    world_free(w);
}

static void a_single_one_wanders_less_and_less(void **state)
{
    (void)state;
    struct world *w = world_of(3, 1);
    w->broken_nodes = ~0U;
    rounds(w, 50);
    int64_t first = largest_id(w);
    rounds(w, 50);
    int64_t second = largest_id(w);
    rounds(w, 100);
    assert_true(first > 101);
    assert_true(second - first < first - 100);
    assert_true(largest_id(w) - second <= 2);
    world_free(w);
}

static void a_volume_keeps_it(void **state)
{
    (void)state;
    struct world *w = world_of(3, 1);
    struct mount_spec mount = {.kind = MOUNT_VOLUME, .source = (char *)(uintptr_t) "data"};
    w->volumes[w->volumes_n++] = (struct volume){.id = 1, .name = (char *)(uintptr_t) "data"};
    w->services[0].spec.mounts = &mount;
    w->services[0].spec.mounts_n = 1;
    w->broken_nodes = 1U << 1;
    rounds(w, 60);
    assert_int_equal(w->tasks_n, 1);
    assert_int_equal(w->tasks[0].node_id, 1);
    assert_int_equal(w->tasks[0].move_to, 0);
    world_free(w);
}

static void a_constraint_keeps_it(void **state)
{
    (void)state;
    struct world *w = world_of(2, 1);
    struct constraint here = {.key = (char *)(uintptr_t) "node.hostname",
                              .value = (char *)(uintptr_t) "n1"};
    w->services[0].spec.constraints = &here;
    w->services[0].spec.constraints_n = 1;
    w->broken_nodes = 1U << 1;
    rounds(w, 60);
    assert_int_equal(w->tasks_n, 1);
    assert_int_equal(w->tasks[0].move_to, 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_tried_on_another_node),
        cmocka_unit_test(what_fails_everywhere_does_not_wander),
        cmocka_unit_test(a_single_one_wanders_less_and_less),
        cmocka_unit_test(a_volume_keeps_it),
        cmocka_unit_test(a_constraint_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
