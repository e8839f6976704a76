/* SPDX-License-Identifier: Apache-2.0 */
/* Placement preferences: tasks are spread over the values of labels. */
#include "world.h"

static struct pair labels[16][2];

/* Node with labels zone and rack; NULL: it lacks that one. */
static struct node *node(struct world *w, const char *zone, const char *rack)
{
    struct node *n = world_node(w, 100000, 100000);
    struct pair *pairs = labels[n->id - 1];
    n->labels = pairs;
    n->labels_n = 0;
    if (rack)
        pairs[n->labels_n++] = (struct pair){(char *)(uintptr_t) "rack", (char *)(uintptr_t)rack};
    if (zone)
        pairs[n->labels_n++] = (struct pair){(char *)(uintptr_t) "zone", (char *)(uintptr_t)zone};
    return n;
}

static char *levels[] = {(char *)(uintptr_t) "node.labels.zone",
                         (char *)(uintptr_t) "node.labels.rack"};

static struct service *service(struct world *w, int64_t replicas, size_t n)
{
    struct service *s = world_service(w, "web", MODE_REPLICATED, replicas);
    s->spec.spread = levels;
    s->spec.spread_n = n;
    return s;
}

static void as_many_in_each_zone(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 4;
    node(w, "a", NULL);
    for (int i = 0; i < 3; i++)
        node(w, "b", NULL);
    struct service *s = service(w, 6, 1);
    world_settle(w);
    assert_int_equal(count_on(w, s, 1), 3);
    for (int64_t id = 2; id <= 4; id++)
        assert_int_equal(count_on(w, s, id), 1);
    world_free(w);
}

static void racks_within_zones(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 4;
    node(w, "a", "1");
    node(w, "a", "1");
    node(w, "a", "2");
    node(w, "b", "1"); /* another rack than zone a's */
    struct service *s = service(w, 8, 2);
    world_settle(w);
    assert_int_equal(count_on(w, s, 4), 4);
    assert_int_equal(count_on(w, s, 3), 2);
    assert_int_equal(count_on(w, s, 1), 1);
    assert_int_equal(count_on(w, s, 2), 1);
    world_free(w);
}

static void nodes_without_the_label_are_one_group(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 4;
    node(w, "a", NULL);
    node(w, NULL, NULL);
    node(w, NULL, NULL);
    struct service *s = service(w, 4, 1);
    world_settle(w);
    assert_int_equal(count_on(w, s, 1), 2);
    assert_int_equal(count_on(w, s, 2), 1);
    world_free(w);
}

static void a_full_zone_is_no_reason_to_wait(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->level = 4;
    node(w, "a", NULL)->memory_bytes = 100;
    node(w, "b", NULL);
    struct service *s = service(w, 6, 1);
    s->spec.reservations.memory_bytes = 100;
    world_settle(w);
    assert_int_equal(count_on(w, s, 1), 1);
    assert_int_equal(count_on(w, s, 2), 5);
    s->spec.replicas = 2000;
    char text[200];
    world_settle(w);
    explain(w, s, 2000, text, sizeof(text));
    assert_string_equal(text, "0 of 2 nodes fit: 2 short of memory");
    world_free(w);
}

static void an_update_keeps_the_spread(void **state)
{
    (void)state;
    for (int order = ORDER_STOP_FIRST; order <= ORDER_START_FIRST; order++) {
        struct world *w = world_new();
        w->level = 4;
        node(w, "a", NULL);
        for (int i = 0; i < 3; i++)
            node(w, "b", NULL);
        struct service *s = service(w, 6, 1);
        world_settle(w);
        for (int i = 0; i < 3; i++) {
            world_revise(w, s);
            s->spec.update.order = (enum update_order)order;
            world_settle(w);
            assert_int_equal(count_on(w, s, 1), 3);
        }
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_in_each_zone),
        cmocka_unit_test(racks_within_zones),
        cmocka_unit_test(nodes_without_the_label_are_one_group),
        cmocka_unit_test(a_full_zone_is_no_reason_to_wait),
        cmocka_unit_test(an_update_keeps_the_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
