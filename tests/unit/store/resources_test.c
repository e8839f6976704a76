/* SPDX-License-Identifier: Apache-2.0 */
/* Networks, addresses of services, configs and secrets, volumes, records of DNS. */
#include "world.h"

#include "store/spec_change.h"

static int setup(void **state)
{
    world_setup(state);
    struct world *w = *state;
    struct change_level_raise raise = {.level = 5};
    init_three(w);
    must(w, CHANGE_LEVEL_RAISE, &raise);
    return 0;
}

static struct network get_network(struct world *w, const char *name)
{
    struct network network;
    assert_int_equal(store_find(w->store, TABLE_NETWORK, name, &network), 0);
    return network;
}

/* --- networks and addresses ------------------------------------------------------------------- */

static void create_network(struct world *w, char *name, char *prefix, char *ip_range)
{
    struct change_network_create create = {
        .network = {.name = name, .prefix = prefix, .ip_range = ip_range}};
    must(w, CHANGE_NETWORK_CREATE, &create);
}

static void refuse_network(struct world *w, char *prefix, char *ip_range, int code, const char *why)
{
    struct change_network_create create = {
        .network = {.name = "refused", .prefix = prefix, .ip_range = ip_range}};
    refused(w, CHANGE_NETWORK_CREATE, &create, code, why);
}

static void a_range_of_ones_own_meets_no_other(void **state)
{
    struct world *w = *state;
    create_network(w, "one", "172.28.0.0/16", "172.28.5.0/24");
    refuse_network(w, "172.28.128.0/20", "", ERR_EXISTS, "meets that of network one");
    refuse_network(w, "10.0.0.0/8", "", ERR_EXISTS, "meets the cluster's own range");
    refuse_network(w, "10.200.0.0/16", "", ERR_EXISTS, "meets the cluster's own range");
    refuse_network(w, "172.30.0.1/16", "", ERR_INVALID, "is not an IPv4 range");
    refuse_network(w, "172.30.0.0/30", "", ERR_INVALID, "is not an IPv4 range");
    refuse_network(w, "127.0.0.0/16", "", ERR_INVALID, "is not for machines");
    refuse_network(w, "172.30.0.0/16", "172.31.0.0/24", ERR_INVALID, "is not a part of");
    create_network(w, "pooled", "", "");
    struct network pooled = get_network(w, "pooled");
    assert_false(pooled.own_range);
    assert_true(str_starts(pooled.prefix, "10.192."));
    record_release(&network_type, &pooled);
    struct change_network_remove remove = {.name = "one"};
    must(w, CHANGE_NETWORK_REMOVE, &remove);
    refused(w, CHANGE_NETWORK_REMOVE, &remove, ERR_NOTFOUND, "no network one");
}

/* Service @name of app, in networks @in. */
static void deploy(struct world *w, char *name, struct attachment *in, size_t n,
                   enum endpoint_mode mode)
{
    struct deploy_service service = {
        .name = name,
        .spec = {
            .image = "i", .replicas = 1, .networks = in, .networks_n = n, .endpoint_mode = mode}};
    deploy_app(w, &service, 1, false);
}

static void services_have_an_address_in_each_network(void **state)
{
    struct world *w = *state;
    create_network(w, "own", "172.28.0.0/24", "");
    struct attachment in[] = {{.network = "default"}, {.network = "own", .full = true}};
    deploy(w, "web", in, 2, ENDPOINT_DEFAULT);
    struct service before = get_service(w, "app.web");
    assert_int_equal(before.addresses_n, 2);
    assert_true(str_starts(before.addresses[1].address, "172.28.0."));
    /* The same ones for as long as it is in them. */
    deploy(w, "web", in, 1, ENDPOINT_VIP);
    struct service after = get_service(w, "app.web");
    assert_int_equal(after.addresses_n, 1);
    assert_string_equal(after.addresses[0].address, before.addresses[0].address);
    record_release(&service_type, &after);
    deploy(w, "web", in, 1, ENDPOINT_DNSRR);
    after = get_service(w, "app.web");
    assert_int_equal(after.addresses_n, 0);
    record_release(&service_type, &after);
    record_release(&service_type, &before);
}

static void an_address_that_is_asked_for_is_nobody_elses(void **state)
{
    struct world *w = *state;
    create_network(w, "own", "172.28.0.0/29", "");
    struct attachment fixed = {.network = "own", .full = true, .address = "172.28.0.3"};
    struct attachment any = {.network = "own", .full = true};
    deploy(w, "web", &fixed, 1, ENDPOINT_DNSRR);
    struct task task = get_task(w, place(w, "app.web", 1, 1).id);
    assert_string_equal(task.addresses[0].address, "172.28.0.3");
    record_release(&task_type, &task);
    /* 2, 4, 5 and 6 are left. */
    struct deploy_service many = {.name = "many",
                                  .spec = {.image = "i",
                                           .replicas = 5,
                                           .networks = &any,
                                           .networks_n = 1,
                                           .endpoint_mode = ENDPOINT_DNSRR}};
    deploy_app(w, &many, 1, false);
    for (int slot = 1; slot <= 4; slot++) {
        task = get_task(w, place(w, "app.many", slot, 1).id);
        assert_string_not_equal(task.addresses[0].address, "172.28.0.3");
        record_release(&task_type, &task);
    }
    assert_int_equal(place(w, "app.many", 5, 1).err.code, ERR_NOSPACE);
    struct stack stack;
    struct deploy_service rival = {
        .name = "rival",
        .spec = {.image = "i", .replicas = 1, .networks = &fixed, .networks_n = 1}};
    assert_int_equal(store_find(w->store, TABLE_STACK, "app", &stack), 0);
    struct change_stack_deploy second = {.name = "app",
                                         .project = "p1",
                                         .expected_revision = stack.revision,
                                         .services = &rival,
                                         .services_n = 1};
    refused(w, CHANGE_STACK_DEPLOY, &second, ERR_EXISTS, "in use already");
    rival.spec.replicas = 2;
    refused(w, CHANGE_STACK_DEPLOY, &second, ERR_INVALID, "which only one task can have");
    record_release(&stack_type, &stack);
}

static void a_network_in_use_stays(void **state)
{
    struct world *w = *state;
    create_network(w, "shared", "", "");
    struct attachment in = {.network = "shared", .full = true};
    deploy(w, "web", &in, 1, ENDPOINT_DEFAULT);
    struct change_network_remove remove = {.name = "shared"};
    refused(w, CHANGE_NETWORK_REMOVE, &remove, ERR_CONFLICT, "in use by app.web");
    remove.name = "app_default";
    refused(w, CHANGE_NETWORK_REMOVE, &remove, ERR_DENIED, "belongs to a stack");
}

/* --- configs and secrets ---------------------------------------------------------------------- */

static void add_content(struct world *w, char *base, int64_t version, char *stack, const char *text)
{
    struct change_content_add add = {
        .content = {.base = base,
                    .version = version,
                    .stack = stack,
                    .size = (int64_t)strlen(text),
                    .data = {(unsigned char *)(uintptr_t)text, strlen(text)}}};
    must(w, CHANGE_CONTENT_ADD, &add);
}

static bool has_content(struct world *w, const char *name)
{
    struct content content;
    bool has = store_find(w->store, TABLE_CONTENT, name, &content) == 0;
    if (has)
        record_release(&content_type, &content);
    return has;
}

static void deploy_with(struct world *w, char *source)
{
    struct content_ref ref = {.source = source, .target = "/site"};
    struct deploy_service service = {
        .name = "web", .spec = {.image = "i", .replicas = 1, .configs = &ref, .configs_n = 1}};
    deploy_app(w, &service, 1, false);
}

static void versions_of_a_stack_go_with_their_revisions(void **state)
{
    struct world *w = *state;
    add_content(w, "app_site", 1, "app", "one");
    deploy_with(w, "app_site@1");
    for (int64_t version = 2; version <= REVISIONS_KEPT + 3; version++) {
        cleanup_free char *source = str_printf("app_site@%lld", (long long)version);
        add_content(w, "app_site", version, "app", "more");
        deploy_with(w, source);
    }
    assert_false(has_content(w, "config app_site@1"));
    assert_true(has_content(w, "config app_site@5"));
    struct change_stack_remove remove = {.name = "app"};
    struct service web = get_service(w, "app.web");
    struct change_service_remove gone = {.service_id = web.id};
    must(w, CHANGE_STACK_REMOVE, &remove);
    must(w, CHANGE_SERVICE_REMOVE, &gone);
    assert_int_equal(store_count(w->store, TABLE_CONTENT), 0);
    record_release(&service_type, &web);
}

static void one_made_by_hand_rolls_those_that_have_it(void **state)
{
    struct world *w = *state;
    add_content(w, "site", 1, "", "one");
    deploy_with(w, "site@1");
    add_content(w, "site", 2, "", "two");
    struct service web = get_service(w, "app.web");
    assert_string_equal(web.spec.configs[0].source, "site@2");
    assert_int_equal(web.revision, 2);
    assert_string_equal(web.cause, "config changed");
    record_release(&service_type, &web);
    struct change_content_add late = {.content = {.base = "site", .version = 2, .stack = ""}};
    refused(w, CHANGE_CONTENT_ADD, &late, ERR_CONFLICT, "changed meanwhile");
    late.content.version = 3;
    late.content.stack = "app";
    refused(w, CHANGE_CONTENT_ADD, &late, ERR_EXISTS, "made by hand");
    struct change_content_remove remove = {.base = "site"};
    refused(w, CHANGE_CONTENT_REMOVE, &remove, ERR_CONFLICT, "in use by app.web");
}

static void what_is_not_there_is_refused(void **state)
{
    struct world *w = *state;
    struct content_ref ref = {.source = "site@1", .target = "/site"};
    struct deploy_service service = {
        .name = "web", .spec = {.image = "i", .replicas = 1, .configs = &ref, .configs_n = 1}};
    struct change_stack_deploy deploy_it = {
        .name = "app", .project = "p1", .services = &service, .services_n = 1};
    refused(w, CHANGE_STACK_DEPLOY, &deploy_it, ERR_CONFLICT, "config site@1 does not exist");
    add_content(w, "site", 1, "other", "one");
    refused(w, CHANGE_STACK_DEPLOY, &deploy_it, ERR_DENIED, "belongs to another stack");
    ref.target = "site";
    refused(w, CHANGE_STACK_DEPLOY, &deploy_it, ERR_INVALID, "is no absolute path");
    struct change_content_add secret = {
        .content = {.kind = CONTENT_SECRET, .base = "s", .version = 1, .key = {.generation = 7}}};
    refused(w, CHANGE_CONTENT_ADD, &secret, ERR_CONFLICT, "the cluster key was changed");
}

static void another_content_is_live_only_with_a_signal(void **state)
{
    (void)state;
    struct content_ref one = {.source = "site@1", .target = "/site"};
    struct content_ref two = {.source = "site@2", .target = "/site"};
    struct spec a = {.configs = &one, .configs_n = 1}, b = {.configs = &two, .configs_n = 1};
    assert_int_equal(spec_change(&a, &b), SPEC_REPLACE);
    a.on_change = b.on_change = "HUP";
    assert_int_equal(spec_change(&a, &b), SPEC_LIVE);
    two.target = "/other";
    assert_int_equal(spec_change(&a, &b), SPEC_REPLACE);
    two = (struct content_ref){.source = "site2@1", .target = "/site"};
    assert_int_equal(spec_change(&a, &b), SPEC_REPLACE);
}

/* --- volumes ---------------------------------------------------------------------------------- */

static void a_volume_goes_where_it_is_said_to_be(void **state)
{
    struct world *w = *state;
    struct mount_spec mount = {.source = "app_data", .target = "/d"};
    struct deploy_service service = {
        .name = "db", .spec = {.image = "i", .replicas = 1, .mounts = &mount, .mounts_n = 1}};
    deploy_app(w, &service, 1, false);
    int64_t id = place(w, "app.db", 1, 2).id;
    struct change_volume_home home = {.name = "app_data", .from_node_id = 2, .to_node_id = 3};
    refused(w, CHANGE_VOLUME_HOME, &home, ERR_CONFLICT, "in use by app.db.1");
    struct change_task_end end = {.task_id = id};
    struct change_task_remove gone = {.task_id = id};
    must(w, CHANGE_TASK_END, &end);
    report(w, 2, (struct task_observation){.task_id = id, .state = TASK_ENDED, .sequence = 1});
    must(w, CHANGE_TASK_REMOVE, &gone);
    must(w, CHANGE_VOLUME_HOME, &home);
    refused(w, CHANGE_VOLUME_HOME, &home, ERR_CONFLICT, "went to another member");
    assert_int_equal(place(w, "app.db", 1, 2).err.code, ERR_CONFLICT);
    assert_int_equal(place(w, "app.db", 1, 3).err.code, 0);
}

static void what_is_on_no_member_has_no_home(void **state)
{
    struct world *w = *state;
    struct pair options[] = {{"type", "nfs"}, {"device", ":/d"}};
    struct change_volume_create create = {
        .volume = {.name = "media", .options = options, .options_n = 2}};
    must(w, CHANGE_VOLUME_CREATE, &create);
    refused(w, CHANGE_VOLUME_CREATE, &create, ERR_EXISTS, "there is a volume media");
    struct mount_spec mount = {.source = "media", .target = "/d"};
    struct deploy_service service = {
        .name = "web", .spec = {.image = "i", .replicas = 2, .mounts = &mount, .mounts_n = 1}};
    deploy_app(w, &service, 1, false);
    assert_int_equal(place(w, "app.web", 1, 2).err.code, 0);
    assert_int_equal(place(w, "app.web", 2, 3).err.code, 0);
    struct change_volume_remove remove = {.name = "media"};
    refused(w, CHANGE_VOLUME_REMOVE, &remove, ERR_CONFLICT, "in use by app.web");
}

/* --- records ---------------------------------------------------------------------------------- */

static void records_are_set_and_removed(void **state)
{
    struct world *w = *state;
    struct change_dns_set set = {.name = "a.lan", .type = "A", .value = "10.0.0.1", .ttl = 60};
    int64_t id = must(w, CHANGE_DNS_SET, &set);
    set.ttl = 5;
    assert_int_equal(must(w, CHANGE_DNS_SET, &set), id);
    set.value = "10.0.0.2";
    must(w, CHANGE_DNS_SET, &set);
    assert_int_equal(store_count(w->store, TABLE_DNS_RECORD), 2);
    struct change_dns_set alias = {.name = "a.lan", .type = "CNAME", .value = "b.lan"};
    refused(w, CHANGE_DNS_SET, &alias, ERR_EXISTS, "stands alone");
    struct change_dns_set bad = {.name = "A.lan", .type = "A", .value = "x"};
    refused(w, CHANGE_DNS_SET, &bad, ERR_INVALID, "is no name");
    bad = (struct change_dns_set){.name = "a", .type = "NS", .value = "x"};
    refused(w, CHANGE_DNS_SET, &bad, ERR_INVALID, "is none of");
    struct change_dns_remove remove = {.name = "a.lan", .type = "", .value = "10.0.0.2"};
    must(w, CHANGE_DNS_REMOVE, &remove);
    refused(w, CHANGE_DNS_REMOVE, &remove, ERR_NOTFOUND, "no such record");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_range_of_ones_own_meets_no_other),
        TEST(services_have_an_address_in_each_network),
        TEST(an_address_that_is_asked_for_is_nobody_elses),
        TEST(a_network_in_use_stays),
        TEST(versions_of_a_stack_go_with_their_revisions),
        TEST(one_made_by_hand_rolls_those_that_have_it),
        TEST(what_is_not_there_is_refused),
        TEST(another_content_is_live_only_with_a_signal),
        TEST(a_volume_goes_where_it_is_said_to_be),
        TEST(what_is_on_no_member_has_no_home),
        TEST(records_are_set_and_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
