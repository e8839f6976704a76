/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of change: done, refused, and refused when it comes too late. */
#include "store/internal.h"
#include "world.h"

/* --- cluster, members, tokens -------------------------------------------------------------- */

static void test_nothing_before_init(void **state)
{
    struct change_stack_remove removal = {.name = "app"};
    refused(*state, CHANGE_STACK_REMOVE, &removal, ERR_UNAVAILABLE, "wherry init");
}

static void test_init_once(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_cluster_init again = {.cluster = {.uuid = "x"}};
    refused(w, CHANGE_CLUSTER_INIT, &again, ERR_EXISTS, "exists already");
    struct node node;
    assert_int_equal(store_find(w->store, TABLE_NODE, "n1", &node), 0);
    assert_int_equal(node.id, 1);
    assert_int_equal(node.status, NODE_UP);
    assert_int_equal(node.joined_ms, w->now_ms);
    record_release(&node_type, &node);
}

static void test_init_checks_its_pool(void **state)
{
    char *const bad[] = {"",           "10.192.0.0",     "10.192.0.1/10", "10.0.0.0/24",
                         "10.0.0.0/7", "10.192.0.0/10x", "::/10",         "10.192.0.0/"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct change_cluster_init init = {
            .cluster = {.uuid = "0123456789abcdef0123456789abcdef", .vxlan_id = 1, .pool = bad[i]},
            .node = {.name = "n1", .address = "a", .public_key = BYTES("k")}};
        refused(*state, CHANGE_CLUSTER_INIT, &init, ERR_INVALID, "address pool");
    }
}

static void test_a_witness_is_not_the_first(void **state)
{
    struct change_cluster_init init = {
        .cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                    .vxlan_id = 1,
                    .pool = "10.192.0.0/10"},
        .node = {.name = "n1", .address = "a", .witness = true, .public_key = BYTES("k")}};
    refused(*state, CHANGE_CLUSTER_INIT, &init, ERR_INVALID, "first member");
}

static void test_settings(void **state)
{
    struct world *w = *state;
    struct cluster cluster;
    struct change_cluster_set set = {.set_spread = true, .spread = "zone"};
    init_cluster(w);
    must(w, CHANGE_CLUSTER_SET, &set);
    assert_int_equal(store_get(w->store, TABLE_CLUSTER, 1, &cluster), 0);
    assert_string_equal(cluster.spread, "zone");
    int64_t index = cluster.modified_index;
    record_release(&cluster_type, &cluster);
    must(w, CHANGE_CLUSTER_SET, &set); /* says what is so already */
    struct change_cluster_set nothing = {.spread = "rack"};
    must(w, CHANGE_CLUSTER_SET, &nothing);
    assert_int_equal(store_get(w->store, TABLE_CLUSTER, 1, &cluster), 0);
    assert_string_equal(cluster.spread, "zone");
    assert_int_equal(cluster.modified_index, index);
    record_release(&cluster_type, &cluster);
    char *const bad[] = {"a=b", "a b", "a\n",
                         "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        set.spread = bad[i];
        refused(w, CHANGE_CLUSTER_SET, &set, ERR_INVALID, "no key of a label");
    }
    set.spread = "";
    must(w, CHANGE_CLUSTER_SET, &set);
    assert_int_equal(store_get(w->store, TABLE_CLUSTER, 1, &cluster), 0);
    assert_string_equal(str_or_empty(cluster.spread), "");
    record_release(&cluster_type, &cluster);
}

static void test_join(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_node_add add = {
        .node = {.name = "n2", .address = "10.0.0.2:7400", .public_key = BYTES("key2")},
        .token_hash = HASH_B};
    refused(w, CHANGE_NODE_ADD, &add, ERR_DENIED, "not known");
    struct change_token_add token = {
        .token = {.kind = TOKEN_JOIN, .hash = HASH_B, .expires_ms = w->now_ms + 1000}};
    int64_t token_id = must(w, CHANGE_TOKEN_ADD, &token);
    refused(w, CHANGE_TOKEN_ADD, &token, ERR_EXISTS, "exists");
    assert_int_equal(must(w, CHANGE_NODE_ADD, &add), 2);
    refused(w, CHANGE_NODE_ADD, &add, ERR_EXISTS, "a member already: n2");
    add.node.public_key = BYTES("key3");
    refused(w, CHANGE_NODE_ADD, &add, ERR_EXISTS, "a member named n2 exists");
    add.node.name = "n 3";
    refused(w, CHANGE_NODE_ADD, &add, ERR_INVALID, "no name");
    add.node.name = "n3";
    w->now_ms += 1000;
    refused(w, CHANGE_NODE_ADD, &add, ERR_DENIED, "expired");
    w->now_ms -= 1000; /* the state's time does not go back */
    refused(w, CHANGE_NODE_ADD, &add, ERR_DENIED, "expired");
    struct change_token_remove removal = {.token_id = token_id};
    must(w, CHANGE_TOKEN_REMOVE, &removal);
    refused(w, CHANGE_TOKEN_REMOVE, &removal, ERR_NOTFOUND, "token");
    refused(w, CHANGE_NODE_ADD, &add, ERR_DENIED, "not known");
    add.token_hash = HASH_A;
    refused(w, CHANGE_NODE_ADD, &add, ERR_EXISTS, "n2 is at 10.0.0.2:7400 already");
    add.node.address = "10.0.0.3:7400";
    add.node.witness = true;
    assert_int_equal(must(w, CHANGE_NODE_ADD, &add), 3); /* refused ones took no number */
    struct node witness;
    assert_int_equal(store_get(w->store, TABLE_NODE, 3, &witness), 0);
    assert_true(witness.witness);
    record_release(&node_type, &witness);
}

static void test_a_machine_takes_the_place_of_a_dead_one(void **state)
{
    struct world *w = *state;
    struct node node;
    init_cluster(w);
    add_node(w, "n2");
    struct change_node_add add = {
        .node = {.name = "n2", .address = "10.0.0.2:7400", .public_key = BYTES("another key")},
        .token_hash = HASH_A,
        .replace = true};
    refused(w, CHANGE_NODE_ADD, &add, ERR_EXISTS, "n2 exists and is up");
    struct change_node_status down = {.node_id = 2, .status = NODE_DOWN};
    must(w, CHANGE_NODE_STATUS, &down);
    add.replace = false;
    refused(w, CHANGE_NODE_ADD, &add, ERR_EXISTS, "wherry join --replace");
    add.replace = true;
    add.node.address = ""; /* it is refused for another reason: the dead one stays */
    refused(w, CHANGE_NODE_ADD, &add, ERR_INVALID, "no address");
    assert_int_equal(store_get(w->store, TABLE_NODE, 2, &node), 0);
    record_release(&node_type, &node);
    add.node.address = "10.0.0.2:7400";
    assert_int_equal(must(w, CHANGE_NODE_ADD, &add), 3);
    assert_int_equal(store_get(w->store, TABLE_NODE, 2, &node), ERR_NOTFOUND);
    assert_int_equal(store_find(w->store, TABLE_NODE, "n2", &node), 0);
    assert_int_equal(node.id, 3);
    record_release(&node_type, &node);
}

static void test_a_call_token_lets_nobody_join(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_token_add token = {.token = {.kind = TOKEN_CALL, .hash = HASH_B}};
    must(w, CHANGE_TOKEN_ADD, &token);
    struct change_node_add add = {
        .node = {.name = "n2", .address = "a", .public_key = BYTES("key2")}, .token_hash = HASH_B};
    refused(w, CHANGE_NODE_ADD, &add, ERR_DENIED, "not known");
}

static void test_node_update_changes_the_given_parts(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct pair label = {"zone", "a"};
    struct change_node_update update = {
        .node_id = 2,
        .set_self = true,
        .node = {.address = "10.1.1.1:7400", .labels = &label, .labels_n = 1, .cpu_milli = 4000}};
    must(w, CHANGE_NODE_UPDATE, &update);
    struct change_node_update drain = {
        .node_id = 2, .set_availability = true, .node = {.availability = AVAILABLE_DRAIN}};
    must(w, CHANGE_NODE_UPDATE, &drain);
    int64_t changed_at = w->index;
    must(w, CHANGE_NODE_UPDATE, &drain);
    struct node node;
    assert_int_equal(store_get(w->store, TABLE_NODE, 2, &node), 0);
    assert_string_equal(node.name, "n2");
    assert_string_equal(node.address, "10.1.1.1:7400");
    assert_string_equal(pair_get(node.labels, node.labels_n, "zone"), "a");
    assert_int_equal(node.availability, AVAILABLE_DRAIN);
    assert_int_equal(node.modified_index, changed_at);
    record_release(&node_type, &node);
    drain.node_id = 9;
    refused(w, CHANGE_NODE_UPDATE, &drain, ERR_NOTFOUND, "member 9");
}

static void test_node_remove(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_node_remove removal = {.node_id = 1, .force = true};
    refused(w, CHANGE_NODE_REMOVE, &removal, ERR_INVALID, "last member");
    add_node(w, "n2");
    struct mount_spec mount = {.source = "app_data", .target = "/data"};
    struct deploy_service web = {"web",
                                 {.image = "web", .replicas = 2, .mounts = &mount, .mounts_n = 1}};
    deploy_app(w, &web, 1, false);
    int64_t task_id = place(w, "app.web", 1, 2).id;
    assert_true(task_id > 0);
    removal = (struct change_node_remove){.node_id = 2};
    refused(w, CHANGE_NODE_REMOVE, &removal, ERR_INVALID, "is up");
    struct change_node_status down = {.node_id = 2, .status = NODE_DOWN};
    must(w, CHANGE_NODE_STATUS, &down);
    int64_t events = store_count(w->store, TABLE_EVENT);
    must(w, CHANGE_NODE_STATUS, &down);
    assert_int_equal(store_count(w->store, TABLE_EVENT), events);
    must(w, CHANGE_NODE_REMOVE, &removal);
    assert_int_equal(store_count(w->store, TABLE_TASK), 0);
    struct volume volume;
    assert_int_equal(store_find(w->store, TABLE_VOLUME, "app_data", &volume), 0);
    assert_int_equal(volume.home_node_id, 0);
    record_release(&volume_type, &volume);
    refused(w, CHANGE_NODE_REMOVE, &removal, ERR_NOTFOUND, "member 2");
    assert_int_equal(add_node(w, "n2"), 3); /* numbers are never used again */
}

static void test_node_renew(void **state)
{
    struct world *w = *state;
    struct node before, node;
    init_three(w);
    assert_int_equal(store_get(w->store, TABLE_NODE, 2, &before), 0);
    struct change_node_renew renew = {.node_id = 2, .public_key = BYTES("another key")};
    refused(w, CHANGE_NODE_RENEW, &renew, ERR_DENIED, "another key");
    renew.public_key = before.public_key;
    assert_int_equal(must(w, CHANGE_NODE_RENEW, &renew), 4);
    assert_int_equal(store_get(w->store, TABLE_NODE, 2, &node), 0);
    assert_int_equal(node.raft_id, 4);
    /* All else stays. */
    before.raft_id = node.raft_id;
    before.modified_index = node.modified_index;
    assert_true(record_equal(&node_type, &before, &node));
    record_release(&node_type, &node);
    /* A number is given out once, whatever for. */
    assert_int_equal(add_node(w, "n5"), 5);
    renew.node_id = 9;
    refused(w, CHANGE_NODE_RENEW, &renew, ERR_NOTFOUND, "member 9");
    record_release(&node_type, &before);
}

static void test_numbers_of_members_end(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    w->store->meta.last_node_id = w->twin->meta.last_node_id = 65534;
    assert_int_equal(add_node(w, "n2"), 65535);
    struct change_node_add add = {
        .node = {.name = "n3", .address = "a", .public_key = BYTES("key3")}, .token_hash = HASH_A};
    refused(w, CHANGE_NODE_ADD, &add, ERR_NOSPACE, "65535");
}

/* --- stacks and services ------------------------------------------------------------------- */

static void test_deploy_names_the_revision_it_was_planned_from(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct deploy_service web = {"web", {.image = "web"}};
    struct change_stack_deploy deploy = {
        .name = "app", .project = "p1", .services = &web, .services_n = 1, .expected_revision = 3};
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_CONFLICT, "stack app does not exist");
    deploy.expected_revision = 0;
    must(w, CHANGE_STACK_DEPLOY, &deploy);
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_CONFLICT, "exists already");
    deploy.expected_revision = 1;
    must(w, CHANGE_STACK_DEPLOY, &deploy);
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_CONFLICT,
            "stack app is at revision 2, the deploy was planned from 1");
    deploy.project = "p2";
    deploy.expected_revision = 2;
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_EXISTS, "--adopt");
    deploy.adopt = true;
    must(w, CHANGE_STACK_DEPLOY, &deploy);
    struct change_stack_remove removal = {.name = "app"};
    must(w, CHANGE_STACK_REMOVE, &removal);
    deploy.expected_revision = 3;
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_CONFLICT, "revision 4");
}

static void refuse_spec(struct world *w, struct spec spec, int code, const char *text)
{
    struct deploy_service services[] = {{"web", spec}, {"db", {.image = "db"}}};
    char *networks[] = {"default"};
    struct change_stack_deploy deploy = {.name = "bad",
                                         .services = services,
                                         .services_n = 2,
                                         .networks = networks,
                                         .networks_n = 1};
    int64_t networks_before = store_count(w->store, TABLE_NETWORK);
    refused(w, CHANGE_STACK_DEPLOY, &deploy, code, text);
    /* Nothing of a refused deploy stays. */
    assert_int_equal(store_count(w->store, TABLE_NETWORK), networks_before);
    struct stack stack;
    assert_int_equal(store_find(w->store, TABLE_STACK, "bad", &stack), ERR_NOTFOUND);
}

static void test_deploy_refuses_what_cannot_run(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct port_spec zero = {.published = 0, .target = 80};
    struct port_spec twice[] = {{.published = 80, .target = 80}, {.published = 80, .target = 81}};
    struct attachment lan = {.network = "lan"};
    struct mount_spec relative = {.source = "", .target = "data"};
    struct mount_spec unknown = {.source = "bad_data", .target = "/data"};
    struct mount_spec bind = {.kind = MOUNT_BIND, .source = "./x", .target = "/data"};
    struct depends_spec cache = {.service = "cache"};
    struct depends_spec itself = {.service = "web"};
    struct constraint role = {.key = "node.role", .value = "manager"};
    char *environment[] = {"=x"};
#define REFUSE(text, ...)                                                                          \
    refuse_spec(w, (struct spec){.image = "web", __VA_ARGS__}, ERR_INVALID, text)
    refuse_spec(w, (struct spec){.image = ""}, ERR_INVALID, "service bad.web: has no image");
    REFUSE("replicas is 10001, not within 0 to 10000", .replicas = 10001);
    REFUSE("replicas is -1", .replicas = -1);
    REFUSE("not within 1 to 65535", .ports = &zero, .ports_n = 1);
    REFUSE("80/tcp is published twice", .ports = twice, .ports_n = 2);
    REFUSE("network \"lan\" does not exist", .networks = &lan, .networks_n = 1);
    REFUSE("not an absolute path", .mounts = &relative, .mounts_n = 1);
    REFUSE("volume \"bad_data\" does not exist", .mounts = &unknown, .mounts_n = 1);
    REFUSE("\"./x\" is not an absolute", .mounts = &bind, .mounts_n = 1);
    REFUSE("depends on \"cache\"", .depends_on = &cache, .depends_on_n = 1);
    REFUSE("in turn", .depends_on = &itself, .depends_on_n = 1);
    REFUSE("node.role", .constraints = &role, .constraints_n = 1);
    REFUSE("NAME=VALUE", .environment = environment, .environment_n = 1);
    REFUSE("stop_grace_period is -1", .stop_grace_ms = -1);
    REFUSE("limits.memory is", .limits = {.memory_bytes = INT64_MAX});
#undef REFUSE
    struct deploy_service twins[] = {{"web", {.image = "a"}}, {"web", {.image = "b"}}};
    struct change_stack_deploy deploy = {.name = "app", .services = twins, .services_n = 2};
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_INVALID, "given twice");
    twins[1].name = "Web";
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_INVALID, "\"Web\" is no name");
    deploy.name = "a.b";
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_INVALID, "\"a.b\" is no name");
}

static void test_dependencies_must_not_go_in_a_circle(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct depends_spec a = {.service = "a"}, b = {.service = "b"}, c = {.service = "c"};
    struct deploy_service services[] = {{"a", {.image = "i", .depends_on = &b, .depends_on_n = 1}},
                                        {"b", {.image = "i", .depends_on = &c, .depends_on_n = 1}},
                                        {"c", {.image = "i"}}};
    deploy_app(w, services, 3, false);
    /* Only c is deployed again, and now it closes the circle over those that stay. */
    struct deploy_service last = {"c", {.image = "i", .depends_on = &a, .depends_on_n = 1}};
    struct change_stack_deploy deploy = {
        .name = "app", .project = "p1", .services = &last, .services_n = 1, .expected_revision = 1};
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_INVALID, "in turn");
}

static void test_a_port_is_published_once_in_the_cluster(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct port_spec p80 = {.published = 8080, .target = 80};
    struct port_spec p81 = {.published = 8081, .target = 80};
    struct port_spec udp = {.protocol = PROTOCOL_UDP, .published = 8080, .target = 80};
    struct deploy_service services[] = {{"web", {.image = "i", .ports = &p80, .ports_n = 1}},
                                        {"api", {.image = "i", .ports = &p81, .ports_n = 1}},
                                        {"dns", {.image = "i", .ports = &udp, .ports_n = 1}}};
    deploy_app(w, services, 3, false);
    struct deploy_service other = {"web", {.image = "i", .ports = &p80, .ports_n = 1}};
    struct change_stack_deploy deploy = {.name = "other", .services = &other, .services_n = 1};
    refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_EXISTS,
            "port 8080/tcp is published by app.web already");
    /* Two services may swap theirs, and one may take that of a pruned one. */
    services[0].spec.ports = &p81;
    services[1].spec.ports = &p80;
    deploy_app(w, services, 3, false);
    deploy_app(w, services, 1, true);
    must(w, CHANGE_STACK_DEPLOY, &deploy);
}

static void test_a_deploy_touches_only_what_changed(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct deploy_service services[] = {{"web", {.image = "web:1", .replicas = 2}},
                                        {"db", {.image = "db:1", .replicas = 1}}};
    deploy_app(w, services, 2, false);
    int64_t first = w->index;
    struct service web = get_service(w, "app.web");
    assert_int_equal(web.revision, 1);
    record_release(&service_type, &web);

    services[0].spec.replicas = 3;
    deploy_app(w, services, 2, false);
    web = get_service(w, "app.web");
    assert_int_equal(web.revision, 1); /* tasks are not restarted */
    assert_int_equal(web.spec.replicas, 3);
    assert_int_equal(web.modified_index, w->index);
    record_release(&service_type, &web);
    struct service db = get_service(w, "app.db");
    assert_int_equal(db.modified_index, first);
    record_release(&service_type, &db);

    services[0].spec.image = "web:2";
    deploy_app(w, services, 1, false);
    web = get_service(w, "app.web");
    assert_int_equal(web.revision, 2);
    record_release(&service_type, &web);
    assert_int_equal(store_count(w->store, TABLE_REVISION), 0); /* nobody ran the old one */
    db = get_service(w, "app.db");
    assert_false(db.removed); /* not named, not pruned */
    record_release(&service_type, &db);
}

static void test_an_old_revision_stays_while_a_task_runs_it(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct deploy_service web = {"web", {.image = "web:1", .replicas = 2}};
    deploy_app(w, &web, 1, false);
    int64_t old[] = {place(w, "app.web", 1, 1).id, place(w, "app.web", 2, 2).id};
    web.spec.image = "web:2";
    deploy_app(w, &web, 1, false);
    assert_int_equal(store_count(w->store, TABLE_REVISION), 1);
    struct task task = get_task(w, old[0]);
    struct spec spec;
    assert_int_equal(store_task_spec(w->store, &task, &spec), 0);
    assert_string_equal(spec.image, "web:1");
    record_release(&spec_type, &spec);
    record_release(&task_type, &task);
    finish(w, old[0], 1);
    assert_int_equal(store_count(w->store, TABLE_REVISION), 1);
    task = get_task(w, place(w, "app.web", 1, 1).id);
    assert_int_equal(task.revision, 2);
    assert_int_equal(store_task_spec(w->store, &task, &spec), 0);
    assert_string_equal(spec.image, "web:2");
    record_release(&spec_type, &spec);
    record_release(&task_type, &task);
    finish(w, old[1], 2);
    assert_int_equal(store_count(w->store, TABLE_REVISION), 0);
}

static void test_scale(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct deploy_service services[] = {{"web", {.image = "i", .replicas = 1}},
                                        {"agent", {.image = "i", .mode = MODE_GLOBAL}}};
    deploy_app(w, services, 2, false);
    struct change_service_scale scale = {.stack = "app", .service = "web", .replicas = 5};
    must(w, CHANGE_SERVICE_SCALE, &scale);
    int64_t changed_at = w->index;
    must(w, CHANGE_SERVICE_SCALE, &scale); /* as it is already */
    struct service web = get_service(w, "app.web");
    assert_int_equal(web.spec.replicas, 5);
    assert_int_equal(web.revision, 1);
    assert_int_equal(web.modified_index, changed_at);
    record_release(&service_type, &web);
    scale.replicas = 10001;
    refused(w, CHANGE_SERVICE_SCALE, &scale, ERR_INVALID, "10001");
    scale.service = "agent";
    refused(w, CHANGE_SERVICE_SCALE, &scale, ERR_INVALID, "global");
    scale.service = "web2";
    refused(w, CHANGE_SERVICE_SCALE, &scale, ERR_NOTFOUND, "service app.web2 does not exist");
}

static void test_a_stack_goes_with_its_last_task(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct deploy_service services[] = {{"web", {.image = "i", .replicas = 1}},
                                        {"db", {.image = "i", .replicas = 1}}};
    deploy_app(w, services, 2, false);
    int64_t task_id = place(w, "app.web", 1, 2).id;
    struct service web = get_service(w, "app.web");
    struct service db = get_service(w, "app.db");
    struct change_service_remove remove_web = {.service_id = web.id};
    struct change_service_remove remove_db = {.service_id = db.id};
    record_release(&service_type, &web);
    record_release(&service_type, &db);
    refused(w, CHANGE_SERVICE_REMOVE, &remove_web, ERR_CONFLICT, "not being removed");
    struct change_stack_remove removal = {.name = "app"};
    must(w, CHANGE_STACK_REMOVE, &removal);
    refused(w, CHANGE_SERVICE_REMOVE, &remove_web, ERR_CONFLICT, "still has tasks");
    assert_int_equal(place(w, "app.db", 1, 1).err.code, ERR_CONFLICT);
    must(w, CHANGE_SERVICE_REMOVE, &remove_db);
    assert_int_equal(store_count(w->store, TABLE_STACK), 1);
    finish(w, task_id, 2);
    must(w, CHANGE_SERVICE_REMOVE, &remove_web);
    assert_int_equal(store_count(w->store, TABLE_STACK), 0);
    assert_int_equal(store_count(w->store, TABLE_NETWORK), 0);
    assert_int_equal(store_count(w->store, TABLE_VOLUME), 1);
    refused(w, CHANGE_STACK_REMOVE, &removal, ERR_NOTFOUND, "stack app does not exist");
    /* The volume is found again by its name. */
    int64_t stack_id = deploy_app(w, services, 2, false);
    struct volume volume;
    assert_int_equal(store_find(w->store, TABLE_VOLUME, "app_data", &volume), 0);
    assert_int_equal(volume.stack_id, stack_id);
    record_release(&volume_type, &volume);
}

static void test_a_removed_service_comes_back_with_a_new_revision(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct deploy_service services[] = {{"web", {.image = "i", .replicas = 1}},
                                        {"db", {.image = "i", .replicas = 1}}};
    deploy_app(w, services, 2, false);
    int64_t task_id = place(w, "app.db", 1, 1).id;
    deploy_app(w, services, 1, true);
    struct service db = get_service(w, "app.db");
    assert_true(db.removed);
    record_release(&service_type, &db);
    deploy_app(w, services, 2, false);
    db = get_service(w, "app.db");
    assert_false(db.removed);
    assert_int_equal(db.revision, 2);
    record_release(&service_type, &db);
    struct task task = get_task(w, task_id);
    struct spec spec;
    assert_int_equal(store_task_spec(w->store, &task, &spec), 0);
    record_release(&spec_type, &spec);
    record_release(&task_type, &task);
}

static void test_stacks_do_not_share_networks(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    char *bc[] = {"b_c"}, *c[] = {"c"};
    struct change_stack_deploy one = {.name = "a", .networks = bc, .networks_n = 1};
    struct change_stack_deploy two = {.name = "a_b", .networks = c, .networks_n = 1};
    must(w, CHANGE_STACK_DEPLOY, &one);
    refused(w, CHANGE_STACK_DEPLOY, &two, ERR_EXISTS, "network a_b_c belongs to another stack");
    struct change_stack_remove removal = {.name = "a"};
    must(w, CHANGE_STACK_REMOVE, &removal); /* without services it goes at once */
    assert_int_equal(store_count(w->store, TABLE_STACK), 0);
    must(w, CHANGE_STACK_DEPLOY, &two);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_before_init),
        TEST(test_init_once),
        TEST(test_init_checks_its_pool),
        TEST(test_a_witness_is_not_the_first),
        TEST(test_settings),
        TEST(test_join),
        TEST(test_a_machine_takes_the_place_of_a_dead_one),
        TEST(test_a_call_token_lets_nobody_join),
        TEST(test_node_update_changes_the_given_parts),
        TEST(test_node_remove),
        TEST(test_node_renew),
        TEST(test_numbers_of_members_end),
        TEST(test_deploy_names_the_revision_it_was_planned_from),
        TEST(test_deploy_refuses_what_cannot_run),
        TEST(test_dependencies_must_not_go_in_a_circle),
        TEST(test_a_port_is_published_once_in_the_cluster),
        TEST(test_a_deploy_touches_only_what_changed),
        TEST(test_an_old_revision_stays_while_a_task_runs_it),
        TEST(test_scale),
        TEST(test_a_stack_goes_with_its_last_task),
        TEST(test_a_removed_service_comes_back_with_a_new_revision),
        TEST(test_stacks_do_not_share_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
