/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, requests, events, watchers, and damaged batches. */
#include "world.h"

#include "base/clock.h"

#include <stdio.h>

static void some_state(struct world *w)
{
    struct attachment lan = {.network = "default"};
    struct port_spec port = {.published = 8080, .target = 80};
    struct deploy_service web = {"web",
                                 {.image = "web:1",
                                  .replicas = 10000,
                                  .networks = &lan,
                                  .networks_n = 1,
                                  .ports = &port,
                                  .ports_n = 1}};
    static const unsigned char id[REQUEST_ID_BYTES] = {1};
    struct change_stack_remove removal = {.name = "nothing"};
    init_three(w);
    deploy_app(w, &web, 1, false);
    for (int64_t slot = 1; slot <= 200; slot++)
        assert_int_equal(place(w, "app.web", slot, slot % 3 + 1).err.code, 0);
    web.spec.image = "web:2";
    deploy_app(w, &web, 1, false);
    submit_as(w, CHANGE_STACK_REMOVE, &removal, id);
}

/* --- snapshots ----------------------------------------------------------------------------- */

static void test_a_restored_store_goes_on_alike(void **state)
{
    struct world *w = *state;
    some_state(w);
    cleanup_buf struct buf snapshot = BUF_INIT;
    store_advance(w->store, ++w->index);
    store_advance(w->twin, w->index);
    store_snapshot(w->store, &snapshot);
    /* The twin becomes what a member is that was sent the snapshot. */
    store_free(w->twin);
    w->twin = store_new();
    struct err err = {0};
    if (store_restore(w->twin, snapshot.data, snapshot.len, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(store_index(w->twin), w->index);
    assert_int_equal(store_time_ms(w->twin), w->now_ms);
    assert_same_digest(w->store, w->twin);
    for (int64_t slot = 201; slot <= 300; slot++)
        assert_int_equal(place(w, "app.web", slot, 2).err.code, 0);
    assert_same_digest(w->store, w->twin);
}

static int try_restore(struct store *store, const struct buf *bytes)
{
    struct err err = {0};
    int rv = store_restore(store, bytes->data, bytes->len, &err);
    assert_int_equal(rv, err.code);
    assert_true(rv == 0 || rv == ERR_CORRUPT || rv == ERR_UNSUPPORTED);
    return rv;
}

static void test_a_damaged_snapshot_leaves_the_old_state(void **state)
{
    struct world *w = *state;
    cleanup_buf struct buf snapshot = BUF_INIT;
    cleanup_buf struct buf damaged = BUF_INIT;
    some_state(w);
    store_snapshot(w->store, &snapshot);
    struct store *other = store_new();
    struct store *empty = store_new();
    size_t lengths[] = {0, 1, 15, 100, 511, 512, 4096, snapshot.len / 2, snapshot.len - 1};
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        buf_reset(&damaged);
        buf_append(&damaged, snapshot.data, lengths[i]);
        assert_int_equal(try_restore(other, &damaged), ERR_CORRUPT);
        assert_same_digest(other, empty);
    }
    /* Whole pages overwritten: each is a node of a tree, or its absence shows, but for the few that
     * are free: of tables that this level does not have. */
    size_t refused_n = 0;
    for (size_t page = 0; page < snapshot.len / 4096; page++) {
        buf_reset(&damaged);
        buf_append(&damaged, snapshot.data, snapshot.len);
        memset(damaged.data + page * 4096, 0xa5, 4096);
        if (try_restore(other, &damaged) < 0)
            refused_n++;
    }
    assert_true(refused_n >= snapshot.len / 4096 - 7);
    /* Single bytes, anywhere: refused, or a state that can be read to its end. */
    srand(1);
    for (int i = 0; i < 300; i++) {
        unsigned char digest[32];
        buf_reset(&damaged);
        buf_append(&damaged, snapshot.data, snapshot.len);
        damaged.data[(size_t)rand() % damaged.len] ^= (char)(1 << rand() % 8);
        try_restore(other, &damaged);
        store_digest(other, digest);
    }
    store_free(other);
    store_free(empty);
}

static void test_a_database_that_is_no_state_is_refused(void **state)
{
    struct world *w = *state;
    cleanup_buf struct buf snapshot = BUF_INIT;
    store_snapshot(w->store, &snapshot);
    /* The schema's version is at offset 60, the application's id at 68 of the file. */
    snapshot.data[63]++;
    assert_int_equal(try_restore(w->store, &snapshot), ERR_UNSUPPORTED);
    snapshot.data[63]--;
    snapshot.data[68]++;
    assert_int_equal(try_restore(w->store, &snapshot), ERR_CORRUPT);
    snapshot.data[68]--;
    assert_int_equal(try_restore(w->store, &snapshot), 0);
}

/* --- requests ------------------------------------------------------------------------------ */

static void test_a_repeated_request_gets_its_first_result(void **state)
{
    struct world *w = *state;
    static const unsigned char first[REQUEST_ID_BYTES] = {1};
    static const unsigned char second[REQUEST_ID_BYTES] = {2};
    init_cluster(w);
    struct change_stack_deploy deploy = {.name = "app"};
    struct change_result made = submit_as(w, CHANGE_STACK_DEPLOY, &deploy, first);
    assert_int_equal(made.err.code, 0);
    struct change_result again = submit_as(w, CHANGE_STACK_DEPLOY, &deploy, first);
    assert_int_equal(again.err.code, 0);
    assert_int_equal(again.id, made.id);
    assert_int_equal(again.index, made.index);
    struct change_result late = submit_as(w, CHANGE_STACK_DEPLOY, &deploy, second);
    assert_int_equal(late.err.code, ERR_CONFLICT);
    struct change_stack_remove removal = {.name = "app"};
    must(w, CHANGE_STACK_REMOVE, &removal);
    again = submit_as(w, CHANGE_STACK_DEPLOY, &deploy, second); /* now it would be done */
    assert_int_equal(again.err.code, ERR_CONFLICT);
    assert_string_equal(again.err.msg, late.err.msg);
    struct change_result known;
    assert_true(store_request(w->store, first, &known));
    assert_int_equal(known.id, made.id);
}

/* Request number @n, which began at @begin, to both stores. */
static struct change_result submit_begun(struct world *w, void *body, unsigned n, int64_t begin)
{
    struct change change = {
        .kind = CHANGE_SERVICE_SCALE, .has_request_id = true, .begin = begin, .body = body};
    cleanup_buf struct buf encoded = BUF_INIT;
    cleanup_buf struct buf batch = BUF_INIT;
    struct change_result *results;
    size_t results_n;
    memcpy(change.request_id, &n, sizeof(n));
    change_encode(&change, &encoded);
    batch_encode(w->now_ms, &encoded, 1, &batch);
    w->index++;
    feed(w->twin, w->index, &batch);
    assert_int_equal(
        store_apply(w->store, w->index, batch.data, batch.len, &results, &results_n, NULL), 0);
    struct change_result result = results[0];
    free(results);
    return result;
}

static void test_the_oldest_request_is_forgotten(void **state)
{
    struct world *w = *state;
    enum {
        KEPT = 65536,
        STEP = 1024
    };
    init_cluster(w);
    int64_t first = w->index + 1;
    struct change_service_scale scale = {.stack = "a", .service = "b"};
    struct change change = {.kind = CHANGE_SERVICE_SCALE, .has_request_id = true, .body = &scale};
    struct buf encoded[STEP] = {0};
    for (unsigned n = 0; n < KEPT + STEP;) {
        cleanup_buf struct buf batch = BUF_INIT;
        for (unsigned i = 0; i < STEP; i++, n++) {
            memcpy(change.request_id, &n, sizeof(n));
            buf_reset(&encoded[i]);
            change_encode(&change, &encoded[i]);
        }
        batch_encode(w->now_ms, encoded, STEP, &batch);
        w->index++;
        feed(w->store, w->index, &batch);
        feed(w->twin, w->index, &batch);
    }
    for (unsigned i = 0; i < STEP; i++)
        buf_release(&encoded[i]);
    struct change_result result;
    unsigned char id[REQUEST_ID_BYTES] = {0};
    unsigned n = STEP - 1;
    memcpy(id, &n, sizeof(n));
    assert_false(store_request(w->store, id, &result));
    n = STEP;
    memcpy(id, &n, sizeof(n));
    assert_true(store_request(w->store, id, &result));
    assert_int_equal(result.err.code, ERR_NOTFOUND);
    /* The oldest that is known was applied at first + 1. */
    assert_int_equal(submit_begun(w, &scale, KEPT + STEP, first).err.code, ERR_UNKNOWN);
    assert_int_equal(submit_begun(w, &scale, KEPT + STEP, first).err.code, ERR_UNKNOWN);
    assert_int_equal(submit_begun(w, &scale, KEPT + STEP, first + 1).err.code, ERR_NOTFOUND);
    assert_int_equal(submit_begun(w, &scale, KEPT + STEP, first).err.code, ERR_NOTFOUND);
    assert_int_equal(submit_begun(w, &scale, KEPT + STEP + 1, 0).err.code, ERR_NOTFOUND);
    assert_int_equal(submit_begun(w, &scale, KEPT, first).err.code, ERR_NOTFOUND);
}

/* --- batches ------------------------------------------------------------------------------- */

static void test_a_damaged_batch_changes_nothing(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_stack_deploy deploy = {.name = "app"};
    struct change change = {.kind = CHANGE_STACK_DEPLOY, .body = &deploy};
    struct buf changes[2] = {0};
    cleanup_buf struct buf batch = BUF_INIT;
    change_encode(&change, &changes[0]);
    change_encode(&change, &changes[1]);
    changes[1].data[1] = 0x7f; /* a kind that is not known */
    batch_encode(w->now_ms, changes, 2, &batch);
    struct change_result *results;
    size_t n;
    struct err err = {0};
    assert_int_equal(store_apply(w->store, w->index + 1, batch.data, batch.len, &results, &n, &err),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "kind 127"));
    assert_int_equal(
        store_apply(w->store, w->index + 1, batch.data, batch.len - 1, &results, &n, &err),
        ERR_CORRUPT);
    assert_int_equal(store_apply(w->store, w->index + 1, "x", 1, &results, &n, &err), ERR_CORRUPT);
    assert_same_digest(w->store, w->twin);
    buf_release(&changes[0]);
    buf_release(&changes[1]);
}

static void test_a_refused_change_leaves_the_others(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_stack_deploy one = {.name = "one"}, two = {.name = "two"};
    struct change changes[] = {{.kind = CHANGE_STACK_DEPLOY, .body = &one},
                               {.kind = CHANGE_STACK_DEPLOY, .body = &one},
                               {.kind = CHANGE_STACK_DEPLOY, .body = &two}};
    struct buf encoded[3] = {0};
    cleanup_buf struct buf batch = BUF_INIT;
    for (size_t i = 0; i < 3; i++)
        change_encode(&changes[i], &encoded[i]);
    batch_encode(w->now_ms, encoded, 3, &batch);
    struct change_result *results;
    size_t n;
    w->index++;
    assert_int_equal(store_apply(w->store, w->index, batch.data, batch.len, &results, &n, NULL), 0);
    feed(w->twin, w->index, &batch);
    assert_int_equal(n, 3);
    assert_int_equal(results[0].err.code, 0);
    assert_int_equal(results[1].err.code, ERR_CONFLICT);
    assert_int_equal(results[2].err.code, 0);
    assert_int_equal(results[2].id, results[0].id + 1); /* a refused one takes no id */
    assert_int_equal(results[2].index, w->index);
    assert_int_equal(store_count(w->store, TABLE_STACK), 2);
    free(results);
    for (size_t i = 0; i < 3; i++)
        buf_release(&encoded[i]);
}

/* --- events and watchers ------------------------------------------------------------------- */

static void test_events_are_kept_to_a_number(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct change_node_status status = {.node_id = 2};
    struct event *events;
    size_t n;
    bool lost;
    store_events(w->store, 0, 100, &events, &n, &lost);
    assert_int_equal(events[0].id, 1);
    assert_string_equal(events[1].object, "n1");
    assert_string_equal(events[1].text, "joined at 10.0.0.1:7400");
    assert_false(lost);
    record_free_list(&event_type, events, n);
    for (int i = 0; i < EVENTS_KEPT + 10; i++) {
        status.status = status.status == NODE_UP ? NODE_DOWN : NODE_UP;
        must(w, CHANGE_NODE_STATUS, &status);
    }
    assert_int_equal(store_count(w->store, TABLE_EVENT), EVENTS_KEPT);
    store_events(w->store, 0, 10, &events, &n, &lost);
    assert_true(lost);
    assert_int_equal(n, 10);
    int64_t oldest = events[0].id;
    record_free_list(&event_type, events, n);
    store_events(w->store, oldest - 1, 2 * EVENTS_KEPT, &events, &n, &lost);
    assert_false(lost);
    assert_int_equal(n, EVENTS_KEPT);
    assert_int_equal(events[n - 1].id, oldest + EVENTS_KEPT - 1);
    assert_int_equal(events[n - 1].created_index, w->index);
    record_free_list(&event_type, events, n);
}

static void on_change(void *arg, unsigned tables)
{
    *(unsigned *)arg = tables;
}

static void test_watchers_hear_what_changed(void **state)
{
    struct world *w = *state;
    unsigned tables = 0;
    store_watch(w->store, on_change, &tables);
    init_cluster(w);
    assert_int_equal(tables, 1U << TABLE_TOKEN);
    tables = 0;
    struct change_stack_remove removal = {.name = "app"};
    refused(w, CHANGE_STACK_REMOVE, &removal, ERR_NOTFOUND, "app");
    assert_int_equal(tables, 0);
    struct change_stack_deploy deploy = {.name = "app"};
    must(w, CHANGE_STACK_DEPLOY, &deploy);
    assert_int_equal(tables, 1U << TABLE_STACK | 1U << TABLE_EVENT);
    cleanup_buf struct buf snapshot = BUF_INIT;
    store_snapshot(w->store, &snapshot);
    assert_int_equal(store_restore(w->store, snapshot.data, snapshot.len, NULL), 0);
    assert_int_equal(tables, (1U << TABLE_MAX) - 1);
}

/* --- how fast (printed, not judged) -------------------------------------------------------- */

static double ms_since(int64_t start_ns)
{
    return (double)(clock_mono_ns() - start_ns) / 1e6;
}

static void test_speed(void **state)
{
    struct world *w = *state;
    enum {
        STACKS = 25,
        TASKS = 4000,
        BATCH = 500
    };
    struct buf encoded[BATCH] = {0};
    struct attachment lan = {.network = "default"};
    char *networks[] = {"default"};
    init_three(w);
    double apply_ms = 0;
    for (int i = 0; i < STACKS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "app%d", i);
        struct deploy_service web = {
            "web", {.image = "i", .replicas = 10000, .networks = &lan, .networks_n = 1}};
        struct change_stack_deploy deploy = {
            .name = name, .services = &web, .services_n = 1, .networks = networks, .networks_n = 1};
        must(w, CHANGE_STACK_DEPLOY, &deploy);
        snprintf(name, sizeof(name), "app%d.web", i);
        struct service service = get_service(w, name);
        for (int64_t slot = 1; slot <= TASKS;) {
            cleanup_buf struct buf batch = BUF_INIT;
            for (size_t k = 0; k < BATCH; k++, slot++) {
                struct change_task_create create = {.service_id = service.id,
                                                    .service_index = service.modified_index,
                                                    .slot = slot,
                                                    .node_id = slot % 3 + 1};
                struct change change = {.kind = CHANGE_TASK_CREATE, .body = &create};
                buf_reset(&encoded[k]);
                change_encode(&change, &encoded[k]);
            }
            batch_encode(w->now_ms, encoded, BATCH, &batch);
            w->index++;
            int64_t start = clock_mono_ns();
            struct change_result last = feed(w->store, w->index, &batch);
            apply_ms += ms_since(start);
            feed(w->twin, w->index, &batch);
            assert_int_equal(last.err.code, 0);
        }
        record_release(&service_type, &service);
    }
    for (size_t k = 0; k < BATCH; k++)
        buf_release(&encoded[k]);
    print_message("  %d tasks placed: %.0f changes/s\n", STACKS * TASKS,
                  STACKS * TASKS / apply_ms * 1000);
    cleanup_buf struct buf snapshot = BUF_INIT;
    int64_t start = clock_mono_ns();
    store_snapshot(w->store, &snapshot);
    print_message("  snapshot of %.1f MB: %.1f ms\n", (double)snapshot.len / 1e6, ms_since(start));
    start = clock_mono_ns();
    assert_int_equal(store_restore(w->twin, snapshot.data, snapshot.len, NULL), 0);
    print_message("  restore: %.0f ms\n", ms_since(start));
    start = clock_mono_ns();
    struct task *tasks;
    size_t n;
    store_list(w->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    print_message("  list: %.0f ms\n", ms_since(start));
    assert_int_equal(n, STACKS * TASKS);
    record_free_list(&task_type, tasks, n);
    start = clock_mono_ns();
    assert_same_digest(w->store, w->twin);
    print_message("  two digests: %.0f ms\n", ms_since(start));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_restored_store_goes_on_alike),
        TEST(test_a_damaged_snapshot_leaves_the_old_state),
        TEST(test_a_database_that_is_no_state_is_refused),
        TEST(test_a_repeated_request_gets_its_first_result),
        TEST(test_the_oldest_request_is_forgotten),
        TEST(test_a_damaged_batch_changes_nothing),
        TEST(test_a_refused_change_leaves_the_others),
        TEST(test_events_are_kept_to_a_number),
        TEST(test_watchers_hear_what_changed),
        TEST(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
