/* SPDX-License-Identifier: Apache-2.0 */
/* What the state says of the cluster key and the CA, and which changes of it are refused. */
#include "world.h"

#include "base/err.h"

static struct cluster_keys keys_of(int64_t generation)
{
    return (struct cluster_keys){.generation = generation,
                                 .check = generation % 2 ? HASH_A : HASH_B,
                                 .ca_key = {.generation = generation, .data = BYTES("sealed")}};
}

static struct cluster_keys locked_keys(int64_t generation)
{
    struct cluster_keys keys = keys_of(generation);
    keys.locked = true;
    keys.wrap = (struct sealed){.data = BYTES("wrapped")};
    keys.unlock = (struct sealed){.generation = generation, .data = BYTES("unlock")};
    return keys;
}

static void set(struct world *w, int64_t revision, struct cluster_keys keys)
{
    struct change_key_set change = {.expected_revision = revision, .keys = keys};
    must(w, CHANGE_KEY_SET, &change);
}

static void not_set(struct world *w, int64_t revision, struct cluster_keys keys, int code,
                    const char *text)
{
    struct change_key_set change = {.expected_revision = revision, .keys = keys};
    refused(w, CHANGE_KEY_SET, &change, code, text);
}

static struct cluster cluster_of(struct world *w)
{
    struct cluster cluster;
    assert_int_equal(store_get(w->store, TABLE_CLUSTER, 1, &cluster), 0);
    return cluster;
}

static void keys_follow_one_another(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    not_set(w, 0, keys_of(2), ERR_INVALID, "does not come after");
    set(w, 0, keys_of(1));
    not_set(w, 0, keys_of(2), ERR_CONFLICT, "changed meanwhile");
    not_set(w, 1, keys_of(3), ERR_INVALID, "key 3 does not come after 1");
    set(w, 1, keys_of(2));
    struct cluster cluster = cluster_of(w);
    assert_int_equal(cluster.keys.generation, 2);
    assert_int_equal(cluster.keys.revision, 2);
    record_release(&cluster_type, &cluster);
    /* Another key of the same generation is none. */
    struct cluster_keys other = keys_of(2);
    other.check = HASH_A;
    not_set(w, 2, other, ERR_INVALID, "does not come after");
}

static void what_is_no_key_is_refused(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct cluster_keys keys = keys_of(1);
    keys.check = BYTES("short");
    not_set(w, 0, keys, ERR_INVALID, "not described");
    keys = keys_of(1);
    keys.ca_key.generation = 2;
    not_set(w, 0, keys, ERR_INVALID, "not described");
    keys = keys_of(1);
    keys.ca_key.data = BYTES("");
    not_set(w, 0, keys, ERR_INVALID, "not described");
    not_set(w, 0, keys_of(0), ERR_INVALID, "not described");
    keys = locked_keys(1);
    keys.locked = false;
    not_set(w, 0, keys, ERR_INVALID, "a lock without its key");
    keys = locked_keys(1);
    keys.wrap.data = BYTES("");
    not_set(w, 0, keys, ERR_INVALID, "a lock without its key");
    keys = locked_keys(1);
    keys.unlock.generation = 7;
    not_set(w, 0, keys, ERR_INVALID, "a lock without its key");
}

static void the_lock_goes_on_and_off(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    set(w, 0, keys_of(1));
    set(w, 1, locked_keys(2));
    struct cluster cluster = cluster_of(w);
    assert_true(cluster.keys.locked);
    assert_int_equal(cluster.keys.wrap.data.len, 7);
    record_release(&cluster_type, &cluster);
    set(w, 2, keys_of(2));
    cluster = cluster_of(w);
    assert_false(cluster.keys.locked);
    assert_int_equal(cluster.keys.wrap.data.len, 0);
    assert_int_equal(cluster.keys.unlock.data.len, 0);
    record_release(&cluster_type, &cluster);
}

/* --- the CA ------------------------------------------------------------------------------------
 */

static struct change_ca_rotate rotation(int64_t revision, int64_t generation)
{
    return (struct change_ca_rotate){
        .expected_revision = revision,
        .ca = "new",
        .cross = "cross",
        .ca_key = {.generation = generation, .data = BYTES("new sealed")}};
}

static void a_ca_takes_over_and_the_one_before_is_forgotten(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    set(w, 0, keys_of(1));
    struct change_ca_finish finish = {.expected_revision = 1, .ca_hash = HASH_B};
    refused(w, CHANGE_CA_FINISH, &finish, ERR_NOTFOUND, "no change of the CA");
    struct change_ca_rotate rotate = rotation(0, 1);
    refused(w, CHANGE_CA_ROTATE, &rotate, ERR_CONFLICT, "changed meanwhile");
    rotate = rotation(1, 2);
    refused(w, CHANGE_CA_ROTATE, &rotate, ERR_INVALID, "without its certificates");
    rotate = rotation(1, 1);
    must(w, CHANGE_CA_ROTATE, &rotate);
    rotate = rotation(2, 1);
    refused(w, CHANGE_CA_ROTATE, &rotate, ERR_CONFLICT, "being changed already");
    struct cluster cluster = cluster_of(w);
    assert_string_equal(cluster.ca, "new");
    assert_string_equal(cluster.ca_cross, "cross");
    assert_non_null(cluster.ca_old);
    assert_int_equal(cluster.keys.ca_key.data.len, 10);
    record_release(&cluster_type, &cluster);

    struct change_token_create create = {
        .token = {.hash = BYTES("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"), .ca = HASH_A}};
    must(w, CHANGE_TOKEN_CREATE, &create);
    create.token.hash = BYTES("cccccccccccccccccccccccccccccccc");
    create.token.ca = HASH_B;
    int64_t stays = must(w, CHANGE_TOKEN_CREATE, &create);
    create.token.hash = BYTES("dddddddddddddddddddddddddddddddd");
    create.token.ca = (struct bytes){0}; /* names the first CA */
    must(w, CHANGE_TOKEN_CREATE, &create);

    finish.expected_revision = 2;
    finish.ca_hash = BYTES("short");
    refused(w, CHANGE_CA_FINISH, &finish, ERR_INVALID, "hash of the CA");
    finish.ca_hash = HASH_B;
    must(w, CHANGE_CA_FINISH, &finish);
    cluster = cluster_of(w);
    assert_null(cluster.ca_old);
    assert_null(cluster.ca_cross);
    assert_string_equal(cluster.ca, "new");
    record_release(&cluster_type, &cluster);
    struct token *tokens;
    size_t n;
    store_list(w->store, TABLE_TOKEN, BY_NONE, 0, &tokens, &n);
    assert_int_equal(n, 1);
    assert_int_equal(tokens[0].id, stays);
    record_free_list(&token_type, tokens, n);
}

static void a_cluster_without_a_key_has_no_ca_to_change(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_ca_rotate rotate = rotation(0, 0);
    refused(w, CHANGE_CA_ROTATE, &rotate, ERR_INVALID, "without its certificates");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_follow_one_another, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(the_lock_goes_on_and_off, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_ca_takes_over_and_the_one_before_is_forgotten,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_cluster_without_a_key_has_no_ca_to_change, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
