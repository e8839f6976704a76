/* SPDX-License-Identifier: Apache-2.0 */
/* Generic resources: what nodes lend is never lent twice. */
#include "world.h"

#include "scheduler/why.h"

#define S(text) ((char *)(uintptr_t)(text))

static struct resource lends[] = {{S("gpu"), 2}, {S("licence"), 5}};

static struct world *world_of(int with, int without)
{
    struct world *w = world_new();
    w->level = 4;
    for (int i = 0; i < with + without; i++) {
        struct node *node = world_node(w, 4000, 1000);
        node->resources = i < with ? lends : NULL;
        node->resources_n = i < with ? ARRAY_SIZE(lends) : 0;
    }
    return w;
}

static struct service *takes(struct world *w, int64_t replicas, struct resource *resource)
{
    struct service *s = world_service(w, "web", MODE_REPLICATED, replicas);
    s->spec.resources = resource;
    s->spec.resources_n = 1;
    return s;
}

static void as_many_as_there_are(void **state)
{
    (void)state;
    struct world *w = world_of(2, 2);
    struct resource one = {S("gpu"), 1};
    struct service *s = takes(w, 6, &one);
    char text[200];
    world_settle(w);
    assert_int_equal(count_on(w, s, 1), 2);
    assert_int_equal(count_on(w, s, 2), 2);
    assert_int_equal(count_on(w, s, 3), 0);
    explain(w, s, 6, text, sizeof(text));
    assert_string_equal(text, "0 of 4 nodes fit: 4 short of a resource");
    s->spec.replicas = 4;
    world_settle(w);
    assert_int_equal(w->tasks_n, 4);
    world_free(w);
}

static void several_for_each(void **state)
{
    (void)state;
    struct world *w = world_of(2, 0);
    struct resource three = {S("licence"), 3};
    struct service *s = takes(w, 3, &three);
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    world_revise(w, s); /* its successors find no room beside, and take the place of their own */
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    assert_int_equal(w->tasks[0].revision, 2);
    assert_int_equal(w->tasks[1].revision, 2);
    world_free(w);
}

static void each_node_says_what_it_lacks(void **state)
{
    (void)state;
    struct world *w = world_of(1, 1);
    struct resource three = {S("gpu"), 3};
    struct service *s = takes(w, 1, &three);
    const struct view view = {.now_ms = w->now_ms,
                              .level = 4,
                              .nodes = w->nodes,
                              .nodes_n = w->nodes_n,
                              .services = s,
                              .services_n = 1};
    struct buf text = BUF_INIT;
    scheduler_why(&view, s, &w->nodes[0], &text);
    assert_string_equal(text.data, "2 of gpu left, 3 are asked for");
    buf_reset(&text);
    scheduler_why(&view, s, &w->nodes[1], &text);
    assert_string_equal(text.data, "0 of gpu left, 3 are asked for");
    buf_release(&text);
    world_free(w);
}

static void lists_are_checked(void **state)
{
    (void)state;
    struct resource good[] = {{S("a"), 1}, {S("b"), RESOURCE_COUNT_MAX}};
    struct resource twice[] = {{S("a"), 1}, {S("a"), 1}}, order[] = {{S("b"), 1}, {S("a"), 1}};
    struct resource none[] = {{S("a"), 0}}, odd[] = {{S("a b"), 1}}, much[] = {{S("a"), 1LL << 40}};
    assert_true(resources_are_valid(good, 2));
    assert_true(resources_are_valid(NULL, 0));
    assert_false(resources_are_valid(twice, 2));
    assert_false(resources_are_valid(order, 2));
    assert_false(resources_are_valid(none, 1));
    assert_false(resources_are_valid(odd, 1));
    assert_false(resources_are_valid(much, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_there_are),
        cmocka_unit_test(several_for_each),
        cmocka_unit_test(each_node_says_what_it_lacks),
        cmocka_unit_test(lists_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
