/* SPDX-License-Identifier: Apache-2.0 */
/* One cluster's state as the first of another: what stays, what goes, whose volumes come back. */
#include "world.h"

#include "base/err.h"
#include "store/refound.h"

static struct refound make_refound(void)
{
    return (struct refound){
        .cluster = {.uuid = "ffffffffffffffffffffffffffffffff",
                    .ca = "NEW PEM",
                    .vxlan_id = 99,
                    .level = 2},
        .founder = {.name = "n2", .address = "10.9.9.9:7400", .public_key = BYTES("a new key")},
        .now_ms = 1800000000000};
}

/* A copy of the world's state, to be founded anew. */
static struct store *copy(struct world *w)
{
    cleanup_buf struct buf image = BUF_INIT;
    struct store *store = store_new();
    struct err err;
    store_snapshot(w->store, &image);
    assert_int_equal(store_restore(store, image.data, image.len, &err), 0);
    return store;
}

static struct volume get_volume(struct store *store, const char *name)
{
    struct volume volume;
    assert_int_equal(store_find(store, TABLE_VOLUME, name, &volume), 0);
    return volume;
}

static void assert_home(struct store *store, const char *volume, int64_t node_id, const char *name)
{
    struct volume v = get_volume(store, volume);
    assert_int_equal(v.home_node_id, node_id);
    assert_string_equal(str_or_empty(v.home_name), name);
    record_release(&volume_type, &v);
}

/* app.web (3 replicas, volume app_data on n2, a port), app.job (complete on n3). */
static void make_app(struct world *w)
{
    struct mount_spec mount = {.source = "app_data", .target = "/data"};
    struct port_spec port = {.published = 8080, .target = 80};
    struct attachment network = {.network = "default"};
    struct deploy_service services[] = {{.name = "web",
                                         .spec = {.image = "web",
                                                  .replicas = 3,
                                                  .mounts = &mount,
                                                  .mounts_n = 1,
                                                  .ports = &port,
                                                  .ports_n = 1,
                                                  .networks = &network,
                                                  .networks_n = 1}},
                                        {.name = "job",
                                         .spec = {.image = "job",
                                                  .mode = MODE_REPLICATED_JOB,
                                                  .replicas = 1,
                                                  .networks = &network,
                                                  .networks_n = 1}}};
    init_three(w);
    deploy_app(w, services, 2, false);
    assert_int_equal(place(w, "app.web", 1, 2).err.code, 0);
    struct change_result job = place(w, "app.job", 1, 3);
    assert_int_equal(job.err.code, 0);
    report(w, 3,
           (struct task_observation){
               .task_id = job.id, .state = TASK_COMPLETE, .run = 1, .sequence = 1});
}

static void services_stay_and_machines_go(void **state)
{
    struct world *w = *state;
    make_app(w);
    struct store *store = copy(w);
    struct refound refound = make_refound();
    struct refound_result result = {0};
    struct err err;
    int64_t index = store_index(store);
    assert_int_equal(store_refound(store, &refound, &result, &err), 0);
    assert_int_equal(store_index(store), index + 1);
    assert_int_equal(result.tasks, 1);
    assert_int_equal(result.tokens, 1);
    struct cluster cluster;
    assert_int_equal(store_get(store, TABLE_CLUSTER, 1, &cluster), 0);
    assert_string_equal(cluster.uuid, refound.cluster.uuid);
    assert_string_equal(cluster.ca, "NEW PEM");
    assert_string_equal(cluster.pool, "10.192.0.0/10");
    record_release(&cluster_type, &cluster);
    assert_int_equal(store_count(store, TABLE_SERVICE), 2);
    assert_int_equal(store_count(store, TABLE_NETWORK), 1);
    assert_int_equal(store_count(store, TABLE_TOKEN), 0);
    assert_int_equal(store_count(store, TABLE_NODE), 1);
    struct node node;
    assert_int_equal(store_get(store, TABLE_NODE, 1, &node), 0);
    assert_string_equal(node.name, "n2");
    record_release(&node_type, &node);
    /* The job does not run again; its task is on no member and holds no address. */
    struct task *tasks;
    size_t n;
    store_list(store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    assert_int_equal(n, 1);
    assert_int_equal(tasks[0].state, TASK_COMPLETE);
    assert_int_equal(tasks[0].node_id, 0);
    assert_int_equal(tasks[0].addresses_n, 0);
    record_free_list(&task_type, tasks, n);
    assert_home(store, "app_data", 1, "");
    assert_int_equal(result.homes_here, 1);
    /* It is a state like any other. */
    cleanup_buf struct buf image = BUF_INIT;
    struct store *again = store_new();
    store_snapshot(store, &image);
    assert_int_equal(store_restore(again, image.data, image.len, &err), 0);
    assert_same_digest(store, again);
    store_free(again);
    store_free(store);
    refound_result_release(&result);
}

static void a_volume_waits_for_the_machine_of_its_name(void **state)
{
    struct world *w = *state;
    make_app(w);
    struct store *store = copy(w);
    struct refound refound = make_refound();
    struct refound_result result = {0};
    struct err err;
    refound.founder.name = "other";
    assert_int_equal(store_refound(store, &refound, &result, &err), 0);
    assert_int_equal(result.homes_away, 1);
    assert_home(store, "app_data", 0, "n2");
    /* The world goes on with this state. */
    store_free(w->store);
    store_free(w->twin);
    cleanup_buf struct buf image = BUF_INIT;
    store_snapshot(store, &image);
    w->store = store;
    w->twin = store_new();
    assert_int_equal(store_restore(w->twin, image.data, image.len, &err), 0);
    w->index = store_index(store);
    struct change_result placed = place(w, "app.web", 1, 1);
    assert_int_equal(placed.err.code, ERR_CONFLICT);
    assert_non_null(strstr(placed.err.msg, "volume app_data waits for its home n2 to join"));
    struct change_token_add token = {.token = {.kind = TOKEN_JOIN, .hash = HASH_A}};
    must(w, CHANGE_TOKEN_ADD, &token);
    struct change_node_add add = {
        .node = {.name = "n2", .address = "10.0.0.2:7400", .level = 2, .public_key = BYTES("key2")},
        .token_hash = HASH_A};
    assert_int_equal(must(w, CHANGE_NODE_ADD, &add), 2);
    assert_home(w->store, "app_data", 2, "");
    assert_int_equal(place(w, "app.web", 1, 2).err.code, 0);
    /* A backup of what waits keeps whom it waits for. */
    refound_result_release(&result);
}

static void a_home_stays_away_over_two_restores_or_is_forgotten(void **state)
{
    struct world *w = *state;
    make_app(w);
    struct store *store = copy(w);
    struct refound refound = make_refound();
    struct refound_result result = {0};
    struct err err;
    refound.founder.name = "other";
    assert_int_equal(store_refound(store, &refound, &result, &err), 0);
    refound_result_release(&result);
    assert_int_equal(store_refound(store, &refound, &result, &err), 0);
    assert_int_equal(result.homes_away, 1);
    assert_home(store, "app_data", 0, "n2");
    refound.forget_homes = true;
    refound_result_release(&result);
    assert_int_equal(store_refound(store, &refound, &result, &err), 0);
    assert_int_equal(result.homes_forgot, 1);
    assert_home(store, "app_data", 0, "");
    store_free(store);
    refound_result_release(&result);
}

static void what_is_no_cluster_is_refused(void **state)
{
    (void)state;
    struct store *store = store_new();
    struct refound refound = make_refound();
    struct refound_result result = {0};
    struct err err;
    assert_int_equal(store_refound(store, &refound, &result, &err), ERR_NOTFOUND);
    store_free(store);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(services_stay_and_machines_go),
        TEST(a_volume_waits_for_the_machine_of_its_name),
        TEST(a_home_stays_away_over_two_restores_or_is_forgotten),
        TEST(what_is_no_cluster_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
