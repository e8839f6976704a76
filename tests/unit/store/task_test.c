/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: placing, reports in any order, ending, and the addresses they get. */
#include "world.h"

#include <stdio.h>

/* Stack app with web (replicas), agent (global), both in app_default. */
static void setup_app(struct world *w, int64_t replicas)
{
    struct attachment lan = {.network = "default"};
    struct mount_spec mount = {.source = "app_data", .target = "/data"};
    struct deploy_service services[] = {
        {"web", {.image = "i", .replicas = replicas, .networks = &lan, .networks_n = 1}},
        {"agent", {.image = "i", .mode = MODE_GLOBAL, .mounts = &mount, .mounts_n = 1}},
        {"db", {.image = "i", .replicas = 2, .mounts = &mount, .mounts_n = 1}}};
    init_three(w);
    deploy_app(w, services, 3, false);
}

static void test_create_is_refused_when_late(void **state)
{
    struct world *w = *state;
    setup_app(w, 2);
    struct service web = get_service(w, "app.web");
    struct change_task_create create = {
        .service_id = web.id, .service_index = web.modified_index, .slot = 1, .node_id = 2};
    record_release(&service_type, &web);
    struct change_service_scale scale = {.stack = "app", .service = "web", .replicas = 3};
    must(w, CHANGE_SERVICE_SCALE, &scale);
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "service app.web changed at");
    create.service_index = w->index - 1;
    must(w, CHANGE_TASK_CREATE, &create);
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "app.web.1 has a task already");
    create.slot = 4;
    refused(w, CHANGE_TASK_CREATE, &create, ERR_INVALID, "no slot 4");
    create.slot = 2;
    create.node_id = 9;
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "member 9 does not exist");
    create.node_id = 3;
    struct change_node_status down = {.node_id = 3, .status = NODE_DOWN};
    must(w, CHANGE_NODE_STATUS, &down);
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "n3 is down");
    create.node_id = 1;
    struct change_node_update drain = {
        .node_id = 1, .set_availability = true, .node = {.availability = AVAILABLE_DRAIN}};
    must(w, CHANGE_NODE_UPDATE, &drain);
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "set to drain");
    create.service_id = 999;
    refused(w, CHANGE_TASK_CREATE, &create, ERR_NOTFOUND, "service 999");
}

static void test_a_successor_stands_beside_a_task_that_leaves(void **state)
{
    struct world *w = *state;
    setup_app(w, 2);
    place(w, "app.web", 1, 2);
    struct service web = get_service(w, "app.web");
    struct change_task_create create = {.service_id = web.id,
                                        .service_index = web.modified_index,
                                        .slot = 1,
                                        .node_id = 3,
                                        .beside = true};
    record_release(&service_type, &web);
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "has a task already");
    struct change_node_update drain = {
        .node_id = 2, .set_availability = true, .node = {.availability = AVAILABLE_DRAIN}};
    must(w, CHANGE_NODE_UPDATE, &drain);
    create.beside = false;
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "has a task already");
    create.beside = true;
    must(w, CHANGE_TASK_CREATE, &create);
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "has a task already");
}

static void test_a_slot_is_free_again_when_its_task_is_to_end(void **state)
{
    struct world *w = *state;
    setup_app(w, 1);
    int64_t first = place(w, "app.web", 1, 1).id;
    struct change_task_end end = {.task_id = first, .reason = "update"};
    must(w, CHANGE_TASK_END, &end);
    int64_t ended_at = w->index;
    must(w, CHANGE_TASK_END, &end);
    struct task task = get_task(w, first);
    assert_int_equal(task.desired, DESIRED_END);
    assert_int_equal(task.modified_index, ended_at);
    record_release(&task_type, &task);
    assert_int_equal(place(w, "app.web", 1, 2).err.code, 0);
    end.task_id = 999;
    refused(w, CHANGE_TASK_END, &end, ERR_NOTFOUND, "task 999");
}

static void test_a_global_service_has_a_slot_per_member(void **state)
{
    struct world *w = *state;
    setup_app(w, 1);
    assert_int_equal(place(w, "app.agent", 2, 2).err.code, 0);
    assert_int_equal(place(w, "app.agent", 1, 1).err.code, 0); /* volumes bind no global service */
    assert_int_equal(place(w, "app.agent", 1, 3).err.code, ERR_INVALID);
}

static void test_a_volume_has_one_home(void **state)
{
    struct world *w = *state;
    setup_app(w, 1);
    assert_int_equal(place(w, "app.db", 1, 2).err.code, 0);
    struct volume volume;
    assert_int_equal(store_find(w->store, TABLE_VOLUME, "app_data", &volume), 0);
    assert_int_equal(volume.home_node_id, 2);
    record_release(&volume_type, &volume);
    assert_int_equal(place(w, "app.db", 2, 3).err.code, ERR_CONFLICT);
    assert_int_equal(place(w, "app.db", 2, 2).err.code, 0);
}

static void expect(struct world *w, int64_t task_id, enum task_state state, int64_t run,
                   enum task_health health)
{
    struct task task = get_task(w, task_id);
    assert_int_equal(task.state, state);
    assert_int_equal(task.run, run);
    assert_int_equal(task.health, health);
    record_release(&task_type, &task);
}

static void test_reports_never_go_back(void **state)
{
    struct world *w = *state;
    setup_app(w, 1);
    int64_t id = place(w, "app.web", 1, 2).id;
#define REPORT(node, ...) report(w, node, (struct task_observation){.task_id = id, __VA_ARGS__})
    REPORT(2, .state = TASK_RUNNING, .run = 1, .sequence = 5, .health = HEALTH_STARTING);
    expect(w, id, TASK_RUNNING, 1, HEALTH_STARTING);
    REPORT(1, .state = TASK_FAILED, .run = 9, .sequence = 9); /* not its node */
    REPORT(2, .state = TASK_FAILED, .run = 1, .sequence = 5); /* not newer */
    REPORT(2, .state = TASK_FAILED, .run = 0, .sequence = 9); /* an older run */
    expect(w, id, TASK_RUNNING, 1, HEALTH_STARTING);
    REPORT(2, .state = TASK_STARTING, .run = 1, .sequence = 6, .health = HEALTH_HEALTHY);
    expect(w, id, TASK_RUNNING, 1, HEALTH_HEALTHY); /* the health, not the state */
    REPORT(2, .state = TASK_RUNNING, .run = 1, .sequence = 7, .health = HEALTH_UNHEALTHY);
    expect(w, id, TASK_RUNNING, 1, HEALTH_UNHEALTHY);
    REPORT(2, .state = TASK_WAITING, .run = 1, .sequence = 8, .message = "exited with 3");
    expect(w, id, TASK_WAITING, 1, HEALTH_NONE); /* the run is over */
    REPORT(2, .state = TASK_FETCHING, .run = 1, .sequence = 9, .message = "");
    expect(w, id, TASK_WAITING, 1, HEALTH_NONE); /* goes on saying why it waits */
    struct task waiting = get_task(w, id);
    assert_string_equal(waiting.message, "exited with 3");
    assert_int_equal(waiting.sequence, 9); /* heard all the same */
    record_release(&task_type, &waiting);
    REPORT(2, .state = TASK_STARTING, .run = 2, .sequence = 1);
    expect(w, id, TASK_STARTING, 2, HEALTH_NONE); /* a new run starts anew */
    REPORT(2, .state = TASK_FAILED, .run = 2, .sequence = 2, .exit_code = 3, .message = "gave up");
    REPORT(2, .state = TASK_RUNNING, .run = 3, .sequence = 1);
    expect(w, id, TASK_FAILED, 2, HEALTH_NONE); /* over is over */
#undef REPORT
    struct task task = get_task(w, id);
    assert_int_equal(task.exit_code, 3);
    assert_string_equal(task.message, "gave up");
    record_release(&task_type, &task);
    struct change_task_report nobody = {.node_id = 9};
    refused(w, CHANGE_TASK_REPORT, &nobody, ERR_NOTFOUND, "member 9");
    report(w, 2, (struct task_observation){.task_id = 999, .state = TASK_RUNNING, .run = 1});
}

static void test_a_long_message_is_cut_between_characters(void **state)
{
    struct world *w = *state;
    setup_app(w, 1);
    int64_t id = place(w, "app.web", 1, 2).id;
    char message[1024] = "x";
    for (size_t i = 1; i + 2 < sizeof(message); i += 2)
        memcpy(message + i, "\xc3\xa9", 3);
    report(w, 2,
           (struct task_observation){
               .task_id = id, .state = TASK_WAITING, .run = 1, .message = message});
    struct task task = get_task(w, id);
    assert_int_equal(strlen(task.message), 511); /* 1 + 255 * 2: 512 would cut one in two */
    record_release(&task_type, &task);
}

static void test_remove_needs_an_end(void **state)
{
    struct world *w = *state;
    setup_app(w, 2);
    int64_t id = place(w, "app.web", 1, 2).id;
    struct change_task_remove removal = {.task_id = id};
    refused(w, CHANGE_TASK_REMOVE, &removal, ERR_CONFLICT, "app.web.1 is not over");
    struct change_task_end end = {.task_id = id};
    must(w, CHANGE_TASK_END, &end);
    refused(w, CHANGE_TASK_REMOVE, &removal, ERR_CONFLICT, "is not over");
    removal.lost = true;
    refused(w, CHANGE_TASK_REMOVE, &removal, ERR_CONFLICT, "its member is up");
    struct change_node_status down = {.node_id = 2, .status = NODE_DOWN};
    must(w, CHANGE_NODE_STATUS, &down);
    must(w, CHANGE_TASK_REMOVE, &removal);
    refused(w, CHANGE_TASK_REMOVE, &removal, ERR_NOTFOUND, "does not exist");
    finish(w, place(w, "app.web", 1, 1).id, 1);
    assert_int_equal(store_count(w->store, TABLE_TASK), 0);
}

/* --- addresses ----------------------------------------------------------------------------- */

enum {
    HOSTS = 16 * 254 - 1, /* of a /20, without .0, .255 and the first */
};

static unsigned address_of(struct world *w, int64_t task_id)
{
    struct task task = get_task(w, task_id);
    unsigned a, b, c, d;
    assert_int_equal(task.addresses_n, 1);
    assert_int_equal(sscanf(task.addresses[0].address, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    record_release(&task_type, &task);
    assert_int_equal(a, 10);
    assert_int_equal(b, 192);
    assert_true(c >= 16 && c < 32 && d > 0 && d < 255);
    return (c - 16) << 8 | d;
}

static void lose(struct world *w, int64_t task_id)
{
    struct change_task_remove removal = {.task_id = task_id, .lost = true};
    must(w, CHANGE_TASK_REMOVE, &removal);
}

static void set_status(struct world *w, enum node_status status)
{
    struct change_node_status change = {.node_id = 1, .status = status};
    must(w, CHANGE_NODE_STATUS, &change);
}

static void test_addresses_are_unique_and_rest(void **state)
{
    struct world *w = *state;
    setup_app(w, 10000);
    static unsigned char used[4096];
    static int64_t ids[HOSTS];
    for (int64_t i = 0; i < HOSTS; i++) {
        ids[i] = place(w, "app.web", i + 1, 1).id;
        unsigned address = address_of(w, ids[i]);
        assert_int_equal(used[address]++, 0);
    }
    struct change_result full = place(w, "app.web", HOSTS + 1, 1);
    assert_int_equal(full.err.code, ERR_NOSPACE);
    assert_non_null(strstr(full.err.msg, "network app_default has no free address"));
    /* The one that was freed first comes first, whatever its number. */
    unsigned first = address_of(w, ids[2000]);
    unsigned second = address_of(w, ids[7]);
    set_status(w, NODE_DOWN);
    lose(w, ids[2000]);
    lose(w, ids[7]);
    set_status(w, NODE_UP);
    assert_int_equal(address_of(w, place(w, "app.web", 2001, 1).id), first);
    assert_int_equal(address_of(w, place(w, "app.web", 8, 1).id), second);
}

static void test_a_freed_address_is_not_the_next_one(void **state)
{
    struct world *w = *state;
    setup_app(w, 1);
    unsigned seen[100];
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
        int64_t id = place(w, "app.web", 1, 1).id;
        seen[i] = address_of(w, id);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
        finish(w, id, 1);
    }
}

static void test_networks_do_not_overlap(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    char names[40][8], *networks[40];
    for (size_t i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu", i);
        networks[i] = names[i];
    }
    struct change_stack_deploy deploy = {.name = "many", .networks = networks, .networks_n = 40};
    must(w, CHANGE_STACK_DEPLOY, &deploy);
    struct network *rows;
    size_t n;
    store_list(w->store, TABLE_NETWORK, BY_NONE, 0, &rows, &n);
    assert_int_equal(n, 40);
    assert_string_equal(rows[0].prefix, "10.192.16.0/20");
    assert_string_equal(rows[39].prefix, "10.194.128.0/20");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(rows[i].prefix, rows[k].prefix);
    record_free_list(&network_type, rows, n);
}

static void test_the_range_of_networks_ends(void **state)
{
    struct world *w = *state;
    struct change_cluster_init init = {
        .cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                    .pool = "10.64.0.0/18",
                    .vxlan_id = 1},
        .node = {.name = "n1", .address = "10.0.0.1:7400", .public_key = BYTES("key1")}};
    must(w, CHANGE_CLUSTER_INIT, &init);
    char *networks[] = {"a", "b", "c", "d"};
    struct change_stack_deploy deploy = {.name = "one", .networks = networks, .networks_n = 4};
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_NOSPACE, "range 10.64.0.0/18: all 3 are in use");
    deploy.networks_n = 3;
    must(w, CHANGE_STACK_DEPLOY, &deploy);
    struct change_stack_remove removal = {.name = "one"};
    must(w, CHANGE_STACK_REMOVE, &removal);
    deploy.name = "two";
    must(w, CHANGE_STACK_DEPLOY, &deploy);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_create_is_refused_when_late),
        TEST(test_a_successor_stands_beside_a_task_that_leaves),
        TEST(test_a_slot_is_free_again_when_its_task_is_to_end),
        TEST(test_a_global_service_has_a_slot_per_member),
        TEST(test_a_volume_has_one_home),
        TEST(test_reports_never_go_back),
        TEST(test_a_long_message_is_cut_between_characters),
        TEST(test_remove_needs_an_end),
        TEST(test_addresses_are_unique_and_rest),
        TEST(test_a_freed_address_is_not_the_next_one),
        TEST(test_networks_do_not_overlap),
        TEST(test_the_range_of_networks_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
