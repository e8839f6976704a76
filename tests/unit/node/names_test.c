/* SPDX-License-Identifier: Apache-2.0 */
#include "../store/world.h"

#include "node/names.h"

#include <arpa/inet.h>
#include <stdio.h>

/* A service whose tasks are in "default"; @alias may be NULL. */
static struct deploy_service service_of(char *name, struct attachment *attachment, char **alias)
{
    *attachment = (struct attachment){.network = "default", .aliases = alias, .aliases_n = !!alias};
    return (struct deploy_service){
        .name = name,
        .spec = {.image = "i", .replicas = 3, .networks = attachment, .networks_n = 1}};
}

static int setup(void **state)
{
    world_setup(state);
    struct world *w = *state;
    init_cluster(w);
    struct attachment in[2];
    char *alias[] = {"www"};
    struct deploy_service services[] = {service_of("web", &in[0], alias),
                                        service_of("db", &in[1], NULL)};
    deploy_app(w, services, 2, false);
    return 0;
}

static int64_t run_task(struct world *w, const char *service, int64_t slot, enum task_health health)
{
    struct change_result placed = place(w, service, slot, 1);
    assert_int_equal(placed.err.code, 0);
    report(w, 1,
           (struct task_observation){.task_id = placed.id,
                                     .state = TASK_RUNNING,
                                     .health = health,
                                     .run = 1,
                                     .sequence = 1});
    return placed.id;
}

static struct in_addr address_of(struct world *w, int64_t task_id)
{
    struct in_addr address;
    struct task task = get_task(w, task_id);
    assert_int_equal(inet_pton(AF_INET, task.addresses[0].address, &address), 1);
    record_release(&task_type, &task);
    return address;
}

static const struct in_addr nobody;

/* How many addresses @name has for @from; -1: the cluster does not know it. */
static int count(struct world *w, struct in_addr from, const char *name)
{
    struct in_addr found[NAMES_ADDRESSES_MAX];
    size_t n;
    return names_lookup(w->store, from, name, found, &n) ? (int)n : -1;
}

static void healthy_tasks_of_the_askers_stack_answer(void **state)
{
    struct world *w = *state;
    int64_t one = run_task(w, "app.web", 1, HEALTH_NONE);
    int64_t two = run_task(w, "app.web", 2, HEALTH_HEALTHY);
    run_task(w, "app.web", 3, HEALTH_UNHEALTHY);
    struct in_addr asker = address_of(w, one);
    struct in_addr found[NAMES_ADDRESSES_MAX];
    size_t n;
    assert_true(names_lookup(w->store, asker, "web", found, &n));
    assert_int_equal(n, 2);
    assert_int_equal(found[0].s_addr, asker.s_addr);
    assert_int_equal(found[1].s_addr, address_of(w, two).s_addr);
    assert_int_equal(count(w, asker, "WEB.App."), 2);
    assert_int_equal(count(w, asker, "www"), 2);
    assert_int_equal(count(w, asker, "web.2"), 1);
    assert_int_equal(count(w, asker, "web.2.app"), 1);
    assert_int_equal(count(w, asker, "web.3"), 0); /* known, not healthy */
    assert_int_equal(count(w, asker, "db"), 0);
}

static void a_task_that_is_to_end_does_not_answer(void **state)
{
    struct world *w = *state;
    int64_t one = run_task(w, "app.web", 1, HEALTH_NONE);
    struct in_addr asker = address_of(w, run_task(w, "app.db", 1, HEALTH_NONE));
    assert_int_equal(count(w, asker, "web"), 1);
    struct change_task_end end = {.task_id = one};
    must(w, CHANGE_TASK_END, &end);
    assert_int_equal(count(w, asker, "web"), 0);
}

static void who_is_in_no_stack_must_name_it(void **state)
{
    struct world *w = *state;
    run_task(w, "app.web", 1, HEALTH_NONE);
    assert_int_equal(count(w, nobody, "web"), -1);
    assert_int_equal(count(w, nobody, "web.app"), 1);
    assert_int_equal(count(w, nobody, "web.other"), -1);
}

static void hostile_names_are_unknown(void **state)
{
    struct world *w = *state;
    struct in_addr asker = address_of(w, run_task(w, "app.web", 1, HEALTH_NONE));
    char longest[400];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    static const char *const names[] = {"",
                                        ".",
                                        "...",
                                        "web.1.app.more",
                                        "a.b.c.d.e",
                                        "web.99999999999999999999",
                                        "web.0x1",
                                        "\\000\\255",
                                        "1.0.0.10.in-addr.arpa"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(count(w, asker, names[i]), -1);
    assert_int_equal(count(w, asker, longest), -1);
    longest[255] = '\0'; /* the most that fits */
    assert_int_equal(count(w, asker, longest), -1);
    longest[256 - 2] = '.';
    assert_int_equal(count(w, asker, longest), -1);
}

static void an_answer_has_a_limit(void **state)
{
    struct world *w = *state;
    struct attachment in;
    struct deploy_service many = service_of("many", &in, NULL);
    many.spec.replicas = NAMES_ADDRESSES_MAX + 10;
    deploy_app(w, &many, 1, false);
    for (int64_t slot = 1; slot <= many.spec.replicas; slot++)
        run_task(w, "app.many", slot, HEALTH_NONE);
    assert_int_equal(count(w, nobody, "many.app"), NAMES_ADDRESSES_MAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(healthy_tasks_of_the_askers_stack_answer),
        TEST(a_task_that_is_to_end_does_not_answer),
        TEST(who_is_in_no_stack_must_name_it),
        TEST(hostile_names_are_unknown),
        TEST(an_answer_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
