/* SPDX-License-Identifier: Apache-2.0 */
/* Members of different versions: what may be proposed, who may join, what an old one reads. */
#include "world.h"

#include "base/err.h"
#include "base/file.h"
#include "store/level.h"

#include <stdio.h>

static void raise_to(struct world *w, int64_t level)
{
    struct change_level_raise raise = {.level = level};
    must(w, CHANGE_LEVEL_RAISE, &raise);
}

static void a_level_rises_and_never_falls(void **state)
{
    struct world *w = *state;
    assert_int_equal(store_level(w->store), LEVEL_KNOWN); /* no cluster yet */
    init_cluster(w);
    assert_int_equal(store_level(w->store), LEVEL_FIRST);
    raise_to(w, 2);
    assert_int_equal(store_level(w->store), 2);
    struct change_level_raise again = {.level = 2};
    refused(w, CHANGE_LEVEL_RAISE, &again, ERR_EXISTS, "level 2 already");
    again.level = 1;
    refused(w, CHANGE_LEVEL_RAISE, &again, ERR_EXISTS, "level 2 already");
    /* A copy of the state has it too. */
    cleanup_buf struct buf image = BUF_INIT;
    struct store *copy = store_new();
    struct err err;
    store_snapshot(w->store, &image);
    assert_int_equal(store_level(copy), LEVEL_KNOWN);
    assert_int_equal(store_restore(copy, image.data, image.len, &err), 0);
    assert_int_equal(store_level(copy), 2);
    store_free(copy);
}

static void a_machine_that_is_too_old_may_not_join(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    add_node(w, "n2"); /* says no level, as the first release does */
    raise_to(w, 2);
    struct change_node_add add = {.node = {.name = "n3",
                                           .address = "10.0.0.3:7400",
                                           .version = "0.1.0",
                                           .public_key = BYTES("key3")},
                                  .token_hash = HASH_A};
    refused(w, CHANGE_NODE_ADD, &add, ERR_UNSUPPORTED, "wherry 0.1.0 on this machine is too old");
    add.node.level = 2;
    assert_int_equal(must(w, CHANGE_NODE_ADD, &add), 3);
}

static void kinds_and_fields_have_a_level(void **state)
{
    (void)state;
    struct change_node_update update = {.node_id = 1};
    struct change change = {.kind = CHANGE_NODE_UPDATE, .body = &update};
    assert_int_equal(change_level(&change), LEVEL_FIRST);
    update.node.level = 2;
    assert_int_equal(change_level(&change), 2);
    record_lower(&change_node_update_type, &update, LEVEL_FIRST);
    assert_int_equal(update.node.level, 0);
    assert_int_equal(change_level(&change), LEVEL_FIRST);
    struct change_level_raise raise = {.level = 2};
    change = (struct change){.kind = CHANGE_LEVEL_RAISE, .body = &raise};
    assert_int_equal(change_level(&change), 2);
}

static void what_is_above_its_level_stops_a_member(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    store_pretend_level(w->store, 1);
    struct change_level_raise raise = {.level = 2};
    struct change change = {.kind = CHANGE_LEVEL_RAISE, .body = &raise};
    cleanup_buf struct buf encoded = BUF_INIT;
    cleanup_buf struct buf batch = BUF_INIT;
    struct change_result *results;
    size_t n;
    struct err err;
    change_encode(&change, &encoded);
    batch_encode(w->now_ms, &encoded, 1, &batch);
    assert_int_equal(store_apply(w->store, w->index + 1, batch.data, batch.len, &results, &n, &err),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "kind 25 is not known to this version"));
    assert_int_equal(store_index(w->store), w->index);
}

static void a_snapshot_above_its_level_stops_a_member(void **state)
{
    struct world *w = *state;
    cleanup_buf struct buf image = BUF_INIT;
    struct store *old = store_new();
    struct err err;
    init_cluster(w);
    store_pretend_level(old, 1);
    store_snapshot(w->store, &image);
    assert_int_equal(store_restore_trusted(old, image.data, image.len, &err), 0);
    raise_to(w, 2);
    buf_reset(&image);
    store_snapshot(w->store, &image);
    assert_int_equal(store_restore_trusted(old, image.data, image.len, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "of level 2, and this version of wherry knows 1"));
    assert_int_equal(store_restore(old, image.data, image.len, &err), ERR_UNSUPPORTED);
    store_free(old);
}

static void a_recovered_cluster_cuts_off_the_others(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct change_recovered change = {.epoch = 1, .node_id = 9};
    refused(w, CHANGE_RECOVERED, &change, ERR_NOTFOUND, "member 9");
    change.node_id = 2;
    must(w, CHANGE_RECOVERED, &change);
    for (int64_t id = 1; id <= 3; id++) {
        struct node node;
        assert_int_equal(store_get(w->store, TABLE_NODE, id, &node), 0);
        assert_int_equal(node.cut_off, id != 2);
        assert_int_equal(node.status, id != 2 ? NODE_DOWN : NODE_UP);
        record_release(&node_type, &node);
    }
    refused(w, CHANGE_RECOVERED, &change, ERR_EXISTS, "epoch 1 already");
}

/* --- fields ----------------------------------------------------------------------------------- */

enum {
    TYPES_MAX = 256,
};

struct walk {
    const struct record_type *seen[TYPES_MAX];
    size_t seen_n;
    const char *known; /* "\ntype.field\n…" of the first release */
    int wrong;
};

/* Whoever adds a field to the state must say since when it is there: members of the first release
 * stop at what they do not know. */
static void walk(struct walk *w, const struct record_type *type)
{
    for (size_t i = 0; i < w->seen_n; i++)
        if (w->seen[i] == type)
            return;
    assert_true(w->seen_n < TYPES_MAX);
    w->seen[w->seen_n++] = type;
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *f = &type->fields[i];
        cleanup_free char *line = str_printf("\n%s.%s\n", type->name, f->name);
        bool first = strstr(w->known, line) != NULL;
        if (first != (f->since <= LEVEL_FIRST)) {
            fprintf(stderr, "%s.%s: %s\n", type->name, f->name,
                    first ? "is of the first release: .since must not be set"
                          : "is not of the first release: it needs .since (store/level.h)");
            w->wrong++;
        }
        if (f->type)
            walk(w, f->type);
    }
}

static void every_new_field_says_its_level(void **state)
{
    (void)state;
    cleanup_buf struct buf known = BUF_INIT;
    struct err err;
    buf_putc(&known, '\n');
    if (file_read("tests/fixtures/v1/fields.txt", 1 << 20, &known, &err) < 0)
        fail_msg("%s", err.msg);
    struct walk w = {.known = known.data};
#define X(kind, number, body)                                                                      \
    if (change_kind_level(number) == LEVEL_FIRST)                                                  \
        walk(&w, &change_##body##_type);
    CHANGE_KINDS(X)
#undef X
    /* Tables of later releases are empty until then. */
    for (int table = 0; table <= TABLE_EVENT; table++)
        walk(&w, store_table_type((enum table)table));
    assert_int_equal(w.wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_level_rises_and_never_falls, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_machine_that_is_too_old_may_not_join, world_setup,
                                        world_teardown),
        cmocka_unit_test(kinds_and_fields_have_a_level),
        cmocka_unit_test_setup_teardown(what_is_above_its_level_stops_a_member, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_above_its_level_stops_a_member, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_recovered_cluster_cuts_off_the_others, world_setup,
                                        world_teardown),
        cmocka_unit_test(every_new_field_says_its_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
