/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens in the state: names, roles and stacks, another secret, an end. */
#include "store/internal.h"
#include "world.h"

#define HASH_C BYTES("cccccccccccccccccccccccccccccccc")
#define HASH_D BYTES("dddddddddddddddddddddddddddddddd")

static int setup(void **state)
{
    world_setup(state);
    init_cluster(*state);
    return 0;
}

static struct token get(struct world *w, int64_t id)
{
    struct token token;
    assert_int_equal(store_get(w->store, TABLE_TOKEN, id, &token), 0);
    return token;
}

static void test_made_as_asked(void **state)
{
    struct world *w = *state;
    char *stacks[] = {"shop", "blog"};
    struct change_token_create create = {.token = {.name = "ci",
                                                   .kind = TOKEN_CALL,
                                                   .role = TOKEN_DEPLOYER,
                                                   .stacks = stacks,
                                                   .stacks_n = 2,
                                                   .hash = HASH_B,
                                                   .created_by = "n1"}};
    int64_t id = must(w, CHANGE_TOKEN_CREATE, &create);
    struct token token = get(w, id);
    assert_string_equal(token.name, "ci");
    assert_int_equal(token.role, TOKEN_DEPLOYER);
    assert_int_equal(token.stacks_n, 2);
    assert_string_equal(token.created_by, "n1");
    assert_int_equal(token.created_ms, w->now_ms);
    record_release(&token_type, &token);
    create.token.hash = HASH_C;
    refused(w, CHANGE_TOKEN_CREATE, &create, ERR_EXISTS, "token named ci");
    create.token.name = "ci2";
    create.token.hash = HASH_B;
    refused(w, CHANGE_TOKEN_CREATE, &create, ERR_EXISTS, "exists already");
    create.token.name = "";
    create.token.hash = HASH_C;
    must(w, CHANGE_TOKEN_CREATE, &create);
    create.token.hash = HASH_D;
    must(w, CHANGE_TOKEN_CREATE, &create); /* many may have no name */
}

static void test_what_makes_no_sense(void **state)
{
    struct world *w = *state;
    char *stacks[] = {"shop", "../x"};
    char *many[TOKEN_STACKS_MAX + 1];
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = "shop";
    const struct {
        struct token token;
        int code;
        const char *text;
    } cases[] = {
        {{.kind = TOKEN_CALL, .hash = BYTES("short")}, ERR_INVALID, "hash"},
        {{.kind = TOKEN_CALL, .hash = HASH_B, .name = "12"}, ERR_INVALID, "no name for a token"},
        {{.kind = TOKEN_CALL, .hash = HASH_B, .name = "a b"}, ERR_INVALID, "no name for a token"},
        {{.kind = TOKEN_CALL, .hash = HASH_B, .expires_ms = -1}, ERR_INVALID, "1970"},
        {{.kind = TOKEN_CALL, .hash = HASH_B, .stacks = stacks, .stacks_n = 1},
         ERR_INVALID,
         "an admin may do everything"},
        {{.kind = TOKEN_CALL,
          .role = TOKEN_VIEWER,
          .hash = HASH_B,
          .stacks = stacks,
          .stacks_n = 2},
         ERR_INVALID,
         "no name of a stack"},
        {{.kind = TOKEN_CALL,
          .role = TOKEN_VIEWER,
          .hash = HASH_B,
          .stacks = many,
          .stacks_n = ARRAY_SIZE(many)},
         ERR_TOOBIG,
         "at most 64"},
        {{.kind = TOKEN_JOIN, .hash = HASH_B, .role = TOKEN_VIEWER}, ERR_INVALID, "call tokens"},
        {{.kind = TOKEN_JOIN, .hash = HASH_B, .stacks = stacks, .stacks_n = 1},
         ERR_INVALID,
         "limited to stacks"},
        {{.kind = TOKEN_CALL, .hash = HASH_B, .witness = true}, ERR_INVALID, "join token"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct change_token_create create = {.token = cases[i].token};
        refused(w, CHANGE_TOKEN_CREATE, &create, cases[i].code, cases[i].text);
    }
}

static void test_another_secret(void **state)
{
    struct world *w = *state;
    struct change_token_create create = {
        .token = {.name = "ci", .kind = TOKEN_CALL, .role = TOKEN_VIEWER, .hash = HASH_B}};
    struct change_token_rotate rotate = {.hash = HASH_C};
    rotate.token_id = must(w, CHANGE_TOKEN_CREATE, &create);
    assert_int_equal(must(w, CHANGE_TOKEN_ROTATE, &rotate), rotate.token_id);
    struct token token = get(w, rotate.token_id);
    assert_memory_equal(token.hash.data, HASH_C.data, 32);
    assert_int_equal(token.role, TOKEN_VIEWER);
    assert_string_equal(token.name, "ci");
    record_release(&token_type, &token);
    /* The old secret is unknown from now on, and free. */
    char old[65];
    for (int i = 0; i < 32; i++)
        memcpy(old + 2 * i, "62", 3);
    assert_int_equal(store_find(w->store, TABLE_TOKEN, old, &token), ERR_NOTFOUND);
    refused(w, CHANGE_TOKEN_ROTATE, &rotate, ERR_EXISTS, "exists");
    rotate.hash = BYTES("short");
    refused(w, CHANGE_TOKEN_ROTATE, &rotate, ERR_INVALID, "hash");
    rotate.hash = HASH_D;
    rotate.token_id = 4711;
    refused(w, CHANGE_TOKEN_ROTATE, &rotate, ERR_NOTFOUND, "4711");
}

static void test_the_end_of_a_token(void **state)
{
    struct world *w = *state;
    struct change_token_create create = {
        .token = {
            .name = "ci", .kind = TOKEN_CALL, .hash = HASH_B, .expires_ms = w->now_ms + 1000}};
    struct change_token_rotate rotate = {.hash = HASH_C};
    rotate.token_id = must(w, CHANGE_TOKEN_CREATE, &create);
    w->now_ms += 1000;
    refused(w, CHANGE_TOKEN_ROTATE, &rotate, ERR_DENIED, "expired");
    /* Its name and its row go with the next that is made. */
    create.token.hash = HASH_C;
    create.token.expires_ms = 0;
    int64_t next = must(w, CHANGE_TOKEN_CREATE, &create);
    struct token token;
    assert_int_equal(store_get(w->store, TABLE_TOKEN, rotate.token_id, &token), ERR_NOTFOUND);
    struct change_token_delete removal = {.token_id = next};
    must(w, CHANGE_TOKEN_DELETE, &removal);
    refused(w, CHANGE_TOKEN_DELETE, &removal, ERR_NOTFOUND, "does not exist");
}

static void test_there_is_a_limit(void **state)
{
    struct world *w = *state;
    unsigned char hash[32] = {0};
    struct change_token_create create = {
        .token = {.kind = TOKEN_CALL, .hash = {hash, sizeof(hash)}}};
    int made = (int)store_count(w->store, TABLE_TOKEN);
    for (; made < TOKENS_MAX; made++) {
        memcpy(hash, &made, sizeof(made));
        must(w, CHANGE_TOKEN_CREATE, &create);
    }
    hash[31] = 1;
    refused(w, CHANGE_TOKEN_CREATE, &create, ERR_TOOBIG, "1000 tokens");
}

static void test_a_witness_token_lets_no_member_in(void **state)
{
    struct world *w = *state;
    struct change_token_create create = {
        .token = {.kind = TOKEN_JOIN, .hash = HASH_B, .witness = true}};
    must(w, CHANGE_TOKEN_CREATE, &create);
    struct change_node_add add = {
        .node = {.name = "n2", .address = "a", .public_key = BYTES("key2"), .level = 2},
        .token_hash = HASH_B};
    refused(w, CHANGE_NODE_ADD, &add, ERR_DENIED, "for a witness");
    add.node.witness = true;
    must(w, CHANGE_NODE_ADD, &add);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_made_as_asked),    TEST(test_what_makes_no_sense),
        TEST(test_another_secret),   TEST(test_the_end_of_a_token),
        TEST(test_there_is_a_limit), TEST(test_a_witness_token_lets_no_member_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
