/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 of networks: ranges, what tasks and services get of them, and what is refused. */
#include "store/level.h"
#include "world.h"

static void init(struct world *w)
{
    struct change_cluster_init change = {
        .cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                    .ca = "PEM",
                    .pool = "10.192.0.0/10",
                    .vxlan_id = 77,
                    .level = LEVEL_KNOWN},
        .node = {.name = "n1", .address = "10.0.0.1:7400", .public_key = BYTES("key1")}};
    must(w, CHANGE_CLUSTER_INIT, &change);
}

static struct network get_network(struct world *w, const char *name)
{
    struct network network;
    assert_int_equal(store_find(w->store, TABLE_NETWORK, name, &network), 0);
    return network;
}

/* Deploy one service of one task, in the network @net of its own. */
static struct change_result deploy(struct world *w, struct deploy_network net,
                                   struct attachment attachment)
{
    struct stack stack;
    struct deploy_service web = {
        "web", {.image = "i", .replicas = 1, .networks = &attachment, .networks_n = 1}};
    struct change_stack_deploy change = {.name = "app",
                                         .project = "p",
                                         .services = &web,
                                         .services_n = 1,
                                         .own_networks = &net,
                                         .own_networks_n = 1};
    if (store_find(w->store, TABLE_STACK, "app", &stack) == 0) {
        change.expected_revision = stack.revision;
        record_release(&stack_type, &stack);
    }
    return submit(w, CHANGE_STACK_DEPLOY, &change);
}

static void a_range_is_made_of_the_clusters_number(void **state)
{
    struct world *w = *state;
    init(w);
    struct deploy_network net = {.name = "lan", .ipv6 = true};
    struct attachment in = {.network = "lan"};
    assert_int_equal(deploy(w, net, in).err.code, 0);
    struct network made = get_network(w, "app_lan");
    assert_string_equal(made.prefix, "10.192.16.0/20");
    assert_string_equal(made.prefix6, "fd01:2345:6789::ac0:1000/116");
    record_release(&network_type, &made);
    struct service web = get_service(w, "app.web");
    assert_string_equal(web.addresses[0].address, "10.192.16.2");
    assert_string_equal(web.addresses[0].address6, "fd01:2345:6789::ac0:1002");
    record_release(&service_type, &web);
    struct task task = get_task(w, place(w, "app.web", 1, 1).id);
    assert_string_equal(task.addresses[0].address6, "fd01:2345:6789::ac0:1003");
    record_release(&task_type, &task);
}

static void it_comes_and_goes_without_a_restart(void **state)
{
    struct world *w = *state;
    init(w);
    struct deploy_network net = {.name = "lan"};
    struct attachment in = {.network = "lan"};
    assert_int_equal(deploy(w, net, in).err.code, 0);
    int64_t id = place(w, "app.web", 1, 1).id;
    for (int round = 0; round < 2; round++) {
        net.ipv6 = round == 0;
        assert_int_equal(deploy(w, net, in).err.code, 0);
        struct task task = get_task(w, id);
        struct service web = get_service(w, "app.web");
        assert_int_equal(web.revision, 1);
        assert_string_equal(str_or_empty(task.addresses[0].address6),
                            net.ipv6 ? "fd01:2345:6789::ac0:1003" : "");
        assert_string_equal(str_or_empty(web.addresses[0].address6),
                            net.ipv6 ? "fd01:2345:6789::ac0:1002" : "");
        record_release(&task_type, &task);
        record_release(&service_type, &web);
    }
}

static void an_address_that_is_asked_for_is_nobody_elses(void **state)
{
    struct world *w = *state;
    init(w);
    struct deploy_network net = {.name = "lan", .ipv6 = true, .prefix6 = "fd00:28::/64"};
    struct attachment in = {.network = "lan", .address6 = "fd00:28::3"};
    assert_int_equal(deploy(w, net, in).err.code, 0);
    struct task task = get_task(w, place(w, "app.web", 1, 1).id);
    assert_string_equal(task.addresses[0].address6, "fd00:28::3");
    /* Number 3 of IPv4 would be given out next, and make this of it. */
    assert_string_equal(task.addresses[0].address, "10.192.16.4");
    record_release(&task_type, &task);
    in.address6 = "fd00:28::1:0:0:9"; /* no number of IPv4 */
    assert_int_equal(deploy(w, net, in).err.code, 0);
    in.address6 = "fd00:28::3"; /* that was given back */
    assert_int_equal(deploy(w, net, in).err.code, 0);
}

/* Both were of number 16; giving up one must not give up the other's. */
static void one_number_of_two_addresses_stays_claimed(void **state)
{
    struct world *w = *state;
    init(w);
    struct deploy_network net = {.name = "lan",
                                 .attachable = true,
                                 .prefix = "172.28.0.0/24",
                                 .ipv6 = true,
                                 .prefix6 = "fd00:28::/64"};
    struct attachment in = {.network = "lan", .address = "172.28.0.16", .address6 = "fd00:28::10"};
    assert_int_equal(deploy(w, net, in).err.code, 0);
    in.address6 = "fd00:28::20";
    assert_int_equal(deploy(w, net, in).err.code, 0);
    struct attachment there = {.network = "app_lan", .full = true, .address = "172.28.0.16"};
    struct deploy_service thief = {
        "thief", {.image = "i", .replicas = 1, .networks = &there, .networks_n = 1}};
    struct change_stack_deploy change = {
        .name = "other", .project = "q", .services = &thief, .services_n = 1};
    refused(w, CHANGE_STACK_DEPLOY, &change, ERR_EXISTS,
            "172.28.0.16 of network app_lan is in use");
}

static void what_cannot_be_is_refused(void **state)
{
    struct world *w = *state;
    init(w);
    static const struct {
        const char *range, *address, *says;
    } rows[] = {
        {"fd00:28::1/64", "", "is not an IPv6 range"},
        {"172.28.0.0/16", "", "is not an IPv6 range"},
        {"fd00::/8", "", "is not an IPv6 range"},
        {"fd00:28::/117", "", "is smaller than the network's range of IPv4"},
        {"fe80::/64", "", "is not for machines"},
        {"ff00:1::/64", "", "is not for machines"},
        {"fd01:2345:6789:1::/64", "", "meets the cluster's own"},
        {"fd00:99::/64", "", "meets that of network other"},
        {"", "fd01:2345:6789::ac0:1009", "needs an IPv6 subnet of its own"},
        {"fd00:28::/64", "fd00:29::9", "is no address for a task"},
        {"fd00:28::/64", "fd00:28::1", "is no address for a task"},
        {"fd00:28::/64", "fd00:28::0:9", "in its shortest form"},
        {"fd00:28::/64", "10.192.16.9", "in its shortest form"},
    };
    struct change_network_create other = {.network = {.name = "other", .prefix6 = "fd00:99::/48"},
                                          .ipv6 = true};
    must(w, CHANGE_NETWORK_CREATE, &other);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct deploy_network net = {
            .name = "lan", .ipv6 = true, .prefix6 = (char *)(uintptr_t)rows[i].range};
        struct attachment in = {.network = "lan", .address6 = (char *)(uintptr_t)rows[i].address};
        struct change_result result = deploy(w, net, in);
        if (result.err.code == 0 || !strstr(result.err.msg, rows[i].says))
            fail_msg("%s %s: %s", rows[i].range, rows[i].address, result.err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_range_is_made_of_the_clusters_number, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(it_comes_and_goes_without_a_restart, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(an_address_that_is_asked_for_is_nobody_elses, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(one_number_of_two_addresses_stays_claimed, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, world_setup, world_teardown),
    };
    return cmocka_run_group_tests_name("address6", tests, NULL, NULL);
}
