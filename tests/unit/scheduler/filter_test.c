/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "scheduler/filter.h"

#define S(text) ((char *)(uintptr_t)(text))

static void test_constraints(void **state)
{
    (void)state;
    struct pair labels[] = {{S("disk"), S("ssd")}, {S("empty"), S("")}};
    const struct node node = {.id = 7, .name = S("n7"), .labels = labels, .labels_n = 2};
    static const struct {
        const char *key;
        bool negated;
        const char *value;
        bool matches;
    } cases[] = {
        {"node.id", false, "7", true},
        {"node.id", false, "70", false},
        {"node.id", true, "7", false},
        {"node.hostname", false, "n7", true},
        {"node.hostname", true, "n8", true},
        {"node.labels.disk", false, "ssd", true},
        {"node.labels.disk", false, "hdd", false},
        {"node.labels.disk", true, "hdd", true},
        {"node.labels.empty", false, "", true},
        {"node.labels.absent", false, "", false},
        {"node.labels.absent", true, "x", true},
        {"node.labels.", false, "", false},
        {"node.role", false, "manager", false},
        {"node.role", true, "manager", false},
        {"", false, "", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct constraint constraint = {
            .key = S(cases[i].key), .negated = cases[i].negated, .value = S(cases[i].value)};
        if (constraint_matches(&constraint, &node) != cases[i].matches)
            fail_msg("%s %s %s", cases[i].key, cases[i].negated ? "!=" : "==", cases[i].value);
    }
}

static void test_platforms(void **state)
{
    (void)state;
    static const struct {
        const char *platform;
        const char *os;
        const char *arch;
        bool fits;
    } cases[] = {
        {NULL, "linux", "amd64", true},          {"", "", "", true},
        {"linux/amd64", "linux", "amd64", true}, {"linux/amd64", "linux", "arm64", false},
        {"linux/arm64", "linux", "arm", false},  {"linux/arm/v7", "linux", "arm", true},
        {"linux/arm", "linux", "arm64", false},  {"windows/amd64", "linux", "amd64", false},
        {"linux/amd64", "linux", "", false},     {"linux/amd64", "", "amd64", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct node node = {.os = S(cases[i].os), .arch = S(cases[i].arch)};
        if (filter_platform(cases[i].platform, &node) != cases[i].fits)
            fail_msg("%s on %s/%s", cases[i].platform, cases[i].os, cases[i].arch);
    }
}

/* One node per line of the table; each wants something wrong with it. */
static void test_the_first_refusal_counts(void **state)
{
    (void)state;
    struct node node = {.id = 1, .name = S("n1")};
    struct constraint constraint = {.key = S("node.hostname"), .value = S("n1")};
    struct spec spec = {.reservations = {.cpu_milli = 100, .memory_bytes = 100},
                        .constraints = &constraint,
                        .constraints_n = 1};
    struct demand demand = {.spec = &spec, .home = 1, .max_per_node = 1};
    struct node_ledger page = {.node = &node, .cpu_left = 100, .memory_left = 100};
    assert_int_equal(filter_node(&demand, &page), REFUSED_MAX);
    page.own = 1;
    assert_int_equal(filter_node(&demand, &page), REFUSED_MAX_PER_NODE);
    page.memory_left = 99;
    assert_int_equal(filter_node(&demand, &page), REFUSED_MEMORY);
    page.cpu_left = 99;
    assert_int_equal(filter_node(&demand, &page), REFUSED_CPU);
    demand.home = 2;
    assert_int_equal(filter_node(&demand, &page), REFUSED_VOLUME);
    constraint.value = S("n2");
    assert_int_equal(filter_node(&demand, &page), REFUSED_CONSTRAINT);
    spec.platform = S("linux/arm64");
    assert_int_equal(filter_node(&demand, &page), REFUSED_PLATFORM);
    node.availability = AVAILABLE_DRAIN;
    assert_int_equal(filter_node(&demand, &page), REFUSED_DRAINING);
    node.availability = AVAILABLE_PAUSE;
    assert_int_equal(filter_node(&demand, &page), REFUSED_PAUSED);
    node.status = NODE_DOWN;
    assert_int_equal(filter_node(&demand, &page), REFUSED_DOWN);
    node.witness = true;
    assert_int_equal(filter_node(&demand, &page), REFUSED_WITNESS);
}

static void test_no_reservation_fits_a_full_node(void **state)
{
    (void)state;
    struct node node = {.id = 1};
    struct spec spec = {.reservations = {.memory_bytes = -5}};
    struct demand demand = {.spec = &spec};
    struct node_ledger page = {.node = &node, .cpu_left = -10, .memory_left = -10};
    assert_int_equal(filter_node(&demand, &page), REFUSED_MAX);
}

static void test_volumes_with_two_homes_fit_nowhere(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_node(w, 1000, 1000);
    world_node(w, 1000, 1000);
    struct mount_spec mounts[] = {{.kind = MOUNT_VOLUME, .source = S("app_a")},
                                  {.kind = MOUNT_VOLUME, .source = S("app_b")},
                                  {.kind = MOUNT_VOLUME, .source = S("")},
                                  {.kind = MOUNT_BIND, .source = S("/srv")}};
    w->volumes[0] = (struct volume){.id = 1, .name = S("app_b"), .home_node_id = 2};
    w->volumes[1] = (struct volume){.id = 2, .name = S("app_a"), .home_node_id = 1};
    w->volumes_n = 2;
    struct service *db = world_service(w, "db", MODE_REPLICATED, 1);
    db->spec.mounts = mounts;
    db->spec.mounts_n = 4;
    world_settle(w);
    assert_waits(w, db, 1, "0 of 2 nodes fit: 2 are not the home of its volume");
    w->volumes[1].home_node_id = 0; /* the one without a home goes with the other */
    world_settle(w);
    assert_int_equal(running(w, db, 1)->node_id, 2);
    assert_int_equal(w->volumes[1].home_node_id, 2);
    world_free(w);
}

static void test_at_most_so_many_on_a_node(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_node(w, 1000, 1000);
    world_node(w, 1000, 1000);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 5);
    web->spec.max_per_node = 2;
    world_settle(w);
    assert_int_equal(count_on(w, web, 1), 2);
    assert_int_equal(count_on(w, web, 2), 2);
    assert_waits(w, web, 5, "0 of 2 nodes fit: 2 at max replicas per node");
    world_free(w);
}

static void test_explanations(void **state)
{
    (void)state;
    static const struct {
        struct unplaced unplaced;
        const char *text;
    } cases[] = {
        {{.nodes = 0}, "no nodes"},
        {{.nodes = 5, .refused = {[REFUSED_DOWN] = 2, [REFUSED_MEMORY] = 3}},
         "0 of 5 nodes fit: 2 down, 3 short of memory"},
        {{.nodes = 7,
          .refused = {[REFUSED_WITNESS] = 1,
                      [REFUSED_PAUSED] = 1,
                      [REFUSED_DRAINING] = 1,
                      [REFUSED_CONSTRAINT] = 1,
                      [REFUSED_VOLUME] = 1,
                      [REFUSED_CPU] = 1,
                      [REFUSED_MAX_PER_NODE] = 1}},
         "0 of 7 nodes fit: 1 witness only, 1 paused, 1 draining, 1 do not meet the constraints, 1 "
         "are not the "
         "home of its volume, 1 short of CPU, 1 at max replicas per node"},
        {{.nodes = 2, .platform = "linux/arm64", .refused = {[REFUSED_PLATFORM] = 2}},
         "0 of 2 nodes fit: 2 are not linux/arm64"},
        {{.nodes = 3, .waits_for = "app.db to be healthy"}, "waits for app.db to be healthy"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_buf struct buf text = BUF_INIT;
        unplaced_explain(&cases[i].unplaced, &text);
        assert_string_equal(text.data, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_platforms),
        cmocka_unit_test(test_the_first_refusal_counts),
        cmocka_unit_test(test_no_reservation_fits_a_full_node),
        cmocka_unit_test(test_volumes_with_two_homes_fit_nowhere),
        cmocka_unit_test(test_at_most_so_many_on_a_node),
        cmocka_unit_test(test_explanations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
