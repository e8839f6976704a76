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
    struct change_level_raise raise = {.level = 5};
    must(w, CHANGE_LEVEL_RAISE, &raise);
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

static struct name_answer found;

/* How many addresses @name has for @from; -1: the cluster does not know it. */
static int count(struct world *w, struct in_addr from, const char *name)
{
    struct names *names = names_new(w->store);
    bool known = names_lookup(names, from, name, &found);
    names_free(names);
    return known ? (int)found.n : -1;
}

static struct in_addr address(const char *text)
{
    struct in_addr a;
    assert_int_equal(inet_pton(AF_INET, text, &a), 1);
    return a;
}

static struct in_addr service_address(struct world *w, const char *name)
{
    struct service service;
    assert_int_equal(store_find(w->store, TABLE_SERVICE, name, &service), 0);
    assert_int_equal(service.addresses_n, 1);
    struct in_addr a = address(service.addresses[0].address);
    record_release(&service_type, &service);
    return a;
}

static void healthy_tasks_of_the_askers_stack_answer(void **state)
{
    struct world *w = *state;
    int64_t one = run_task(w, "app.web", 1, HEALTH_NONE);
    int64_t two = run_task(w, "app.web", 2, HEALTH_HEALTHY);
    run_task(w, "app.web", 3, HEALTH_UNHEALTHY);
    struct in_addr asker = address_of(w, one);
    assert_int_equal(count(w, asker, "tasks.web"), 2);
    assert_int_equal(found.items[0].address.s_addr, asker.s_addr);
    assert_int_equal(found.items[1].address.s_addr, address_of(w, two).s_addr);
    assert_string_equal(found.items[1].target, "web.2.app");
    assert_string_equal(found.items[1].node, "n1");
    assert_int_equal(count(w, asker, "TASKS.Web.App."), 2);
    assert_int_equal(count(w, asker, "web.2"), 1);
    assert_int_equal(count(w, asker, "web.2.app"), 1);
    assert_int_equal(count(w, asker, "web.3"), 0); /* known, not healthy */
    assert_int_equal(count(w, asker, "tasks.db"), 0);
}

static void a_service_has_one_address(void **state)
{
    struct world *w = *state;
    struct in_addr asker = address_of(w, run_task(w, "app.db", 1, HEALTH_NONE));
    struct in_addr web = service_address(w, "app.web");
    static const char *const names[] = {"web", "WEB.App.", "www", "www.app"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(count(w, asker, names[i]), 1);
        assert_int_equal(found.items[0].address.s_addr, web.s_addr);
    }
}

static void with_dnsrr_a_name_is_its_tasks(void **state)
{
    struct world *w = *state;
    struct attachment in;
    struct deploy_service rr = service_of("rr", &in, NULL);
    rr.spec.endpoint_mode = ENDPOINT_DNSRR;
    deploy_app(w, &rr, 1, false);
    run_task(w, "app.rr", 1, HEALTH_NONE);
    struct in_addr asker = address_of(w, run_task(w, "app.rr", 2, HEALTH_NONE));
    assert_int_equal(count(w, asker, "rr"), 2);
}

/* As netip.h has it; valid until the next call. */
static const struct in6_addr *wide(struct in_addr a)
{
    static struct in6_addr ip;
    ip = netip_from4(a);
    return &ip;
}

static void addresses_have_names(void **state)
{
    struct world *w = *state;
    char out[NAME_BYTES];
    struct names *names = names_new(w->store);
    struct in_addr asker = address_of(w, run_task(w, "app.web", 2, HEALTH_NONE));
    assert_true(names_of(names, asker, wide(asker), out));
    assert_string_equal(out, "web.2.app");
    assert_true(names_of(names, asker, wide(service_address(w, "app.db")), out));
    assert_string_equal(out, "db.app");
    assert_false(names_of(names, asker, wide(address("10.192.16.250")), out));
    assert_true(names_is_ours(names, wide(address("10.192.16.250"))));
    assert_false(names_is_ours(names, wide(address("10.1.0.1"))));
    assert_false(names_is_shut_in(names, asker));
    names_free(names);
}

static void members_have_names(void **state)
{
    struct world *w = *state;
    assert_int_equal(count(w, nobody, "N1"), 1);
    assert_int_equal(count(w, nobody, "n1.node"), 1);
    assert_int_equal(count(w, nobody, "n7"), -1);
}

static void ports_of_tasks(void **state)
{
    struct world *w = *state;
    struct attachment in;
    struct deploy_service both = service_of("both", &in, NULL);
    struct port_spec ports[] = {{.published = 8080, .target = 80},
                                {.published = 8443, .target = 443}};
    both.spec.ports = ports;
    both.spec.ports_n = 2;
    deploy_app(w, &both, 1, false);
    struct in_addr asker = address_of(w, run_task(w, "app.both", 1, HEALTH_NONE));
    struct names *names = names_new(w->store);
    assert_true(names_services(names, asker, "both", &found));
    assert_int_equal(found.n, 2);
    assert_int_equal(found.items[1].port, 443);
    assert_true(names_services(names, asker, "_9000._tcp.both.app", &found));
    assert_int_equal(found.n, 1);
    assert_int_equal(found.items[0].port, 9000);
    assert_string_equal(found.items[0].target, "both.1.app");
    assert_false(names_services(names, asker, "_99999._tcp.both", &found));
    names_free(names);
}

static void records_of_the_users_own(void **state)
{
    struct world *w = *state;
    const struct dns_record *records;
    size_t n;
    struct change_dns_set one = {.name = "printer.lan", .type = "A", .value = "192.168.1.20"};
    struct change_dns_set wild = {.name = "*.lan", .type = "A", .value = "192.168.1.1"};
    must(w, CHANGE_DNS_SET, &one);
    must(w, CHANGE_DNS_SET, &wild);
    struct names *names = names_new(w->store);
    assert_true(names_records(names, "printer.lan", &records, &n));
    assert_int_equal(n, 1);
    assert_string_equal(records[0].value, "192.168.1.20");
    assert_true(names_records(names, "a.b.lan", &records, &n));
    assert_string_equal(records[0].value, "192.168.1.1");
    assert_false(names_records(names, "lan", &records, &n));
    names_free(names);
}

static void a_task_that_is_to_end_does_not_answer(void **state)
{
    struct world *w = *state;
    int64_t one = run_task(w, "app.web", 1, HEALTH_NONE);
    struct in_addr asker = address_of(w, run_task(w, "app.db", 1, HEALTH_NONE));
    assert_int_equal(count(w, asker, "tasks.web"), 1);
    struct change_task_end end = {.task_id = one};
    must(w, CHANGE_TASK_END, &end);
    assert_int_equal(count(w, asker, "tasks.web"), 0);
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
    many.spec.replicas = NAMES_MAX + 10;
    deploy_app(w, &many, 1, false);
    for (int64_t slot = 1; slot <= many.spec.replicas; slot++)
        run_task(w, "app.many", slot, HEALTH_NONE);
    assert_int_equal(count(w, nobody, "tasks.many.app"), NAMES_MAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(healthy_tasks_of_the_askers_stack_answer),
        TEST(a_service_has_one_address),
        TEST(with_dnsrr_a_name_is_its_tasks),
        TEST(addresses_have_names),
        TEST(members_have_names),
        TEST(ports_of_tasks),
        TEST(records_of_the_users_own),
        TEST(a_task_that_is_to_end_does_not_answer),
        TEST(who_is_in_no_stack_must_name_it),
        TEST(hostile_names_are_unknown),
        TEST(an_answer_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
