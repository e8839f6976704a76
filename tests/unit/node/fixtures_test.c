/* SPDX-License-Identifier: Apache-2.0 */
/* What the first release wrote to its disk is read by this one: tests/fixtures/v1. */
#include "../cluster/consensus_world.h"
#include "cluster/entry.h"
#include "cluster/identity.h"
#include "node/peers.h"
#include "store/level.h"

#define FIXTURES "tests/fixtures/v1"

static int set_up(void **state)
{
    *state = world_new("fixtures");
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void read_fixture(const char *name, struct buf *out)
{
    cleanup_free char *path = str_printf(FIXTURES "/%s", name);
    struct err err;
    if (file_read(path, 1 << 20, out, &err) < 0)
        fail_msg("%s", err.msg);
}

static void copy_file(const char *folder, const char *name, const char *to)
{
    cleanup_free char *from = str_printf("%s/%s", folder, name);
    cleanup_free char *path = str_printf("%s/%s", to, name);
    cleanup_buf struct buf data = BUF_INIT;
    struct err err;
    read_fixture(from, &data);
    assert_int_equal(file_write(path, data.data, data.len, 0600, &err), 0);
}

static void copy_log(const char *to)
{
    static const char *const names[] = {"0000000000000066-0000000000000130",
                                        "0000000000000131-0000000000000135",
                                        "metadata1",
                                        "progress",
                                        "snapshot-1-128-4677568",
                                        "snapshot-1-128-4677568.meta"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        copy_file("raft", names[i], to);
}

static void a_log_with_a_snapshot_is_started(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    cleanup_buf struct buf expected = BUF_INIT;
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1], wanted[DIGEST_HEX + 1];
    long long index;
    copy_log(m->dir);
    read_fixture("expected", &expected);
    assert_int_equal(sscanf(expected.data, "%lld %64s", &index, wanted), 2);
    member_start(m, false);
    WORLD_UNTIL(w, m->ready);
    assert_int_equal(store_level(m->store), LEVEL_FIRST);
    assert_int_equal(store_count(m->store, TABLE_SERVICE), 3);
    assert_int_equal(store_count(m->store, TABLE_TASK), 4);
    assert_int_equal(store_count(m->store, TABLE_NODE), 2);
    /* Our own barrier moved the index; the rows are those of then. */
    assert_true(store_index(m->store) >= index);
    struct store *then = store_new();
    cleanup_buf struct buf image = BUF_INIT;
    struct err err;
    store_snapshot(m->store, &image);
    assert_int_equal(store_restore(then, image.data, image.len, &err), 0);
    store_free(then);
    if (store_index(m->store) == index) {
        store_digest(m->store, digest);
        hex_encode(digest, sizeof(digest), hex);
        assert_string_equal(hex, wanted);
    }
    /* It is written to, and started again. */
    member_write(m, 5);
    member_stop(m);
    member_start(m, false);
    WORLD_UNTIL(w, m->ready);
    assert_int_equal(store_count(m->store, TABLE_TOKEN), 6);
}

static void the_state_known_to_be_committed_is_the_one_of_then(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    cleanup_buf struct buf expected = BUF_INIT;
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1], wanted[DIGEST_HEX + 1];
    long long index;
    int64_t known;
    struct err err;
    copy_log(m->dir);
    read_fixture("expected", &expected);
    assert_int_equal(sscanf(expected.data, "%lld %64s", &index, wanted), 2);
    assert_int_equal(progress_load(m->dir, &known, &err), 0);
    assert_true(known > 128 && known <= index);
    member_start(m, false); /* nothing of ours is written before the loop runs */
    assert_int_equal(store_index(m->store), index);
    store_digest(m->store, digest);
    hex_encode(digest, sizeof(digest), hex);
    assert_string_equal(hex, wanted);
}

static void an_identity_is_opened(void **state)
{
    static const char *const names[] = {"ca.crt", "ca.key", "member", "node.crt", "node.key"};
    struct world *w = *state;
    struct identity *id;
    struct err err;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        copy_file("identity", names[i], w->members[1].dir);
    if (identity_open(w->members[1].dir, &id, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(identity_is_member(id));
    assert_int_equal(identity_node_id(id), 1);
    assert_string_equal(identity_cluster(id), "0123456789abcdef0123456789abcdef");
    assert_true(*identity_ca_key(id)); /* to be moved into the state */
    identity_free(id);
}

static void tokens_are_parsed(void **state)
{
    static const enum token_kind kinds[] = {TOKEN_JOIN, TOKEN_CALL};
    cleanup_buf struct buf text = BUF_INIT;
    (void)state;
    read_fixture("tokens", &text);
    char *line = strtok(text.data, "\n");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++, line = strtok(NULL, "\n")) {
        enum token_kind kind;
        unsigned char ca[32], secret[32];
        struct err err;
        assert_int_equal(token_parse(line, &kind, ca, secret, &err), 0);
        assert_int_equal(kind, kinds[i]);
    }
}

/* It had neither magic nor version. It is not needed: a member that was one has a state, from which
 * the file is made anew. */
static void peers_of_then_are_refused(void **state)
{
    struct world *w = *state;
    struct peers peers;
    struct err err;
    copy_file(".", "peers", w->members[1].dir);
    assert_int_equal(peers_load(w->members[1].dir, &peers, &err), ERR_CORRUPT);
}

static void a_batch_and_an_entry_are_decoded(void **state)
{
    cleanup_buf struct buf batch = BUF_INIT;
    cleanup_buf struct buf entry = BUF_INIT;
    const void *payload;
    size_t len, n;
    int64_t now_ms;
    struct change *changes;
    struct err err;
    (void)state;
    read_fixture("batch", &batch);
    read_fixture("entry", &entry);
    assert_int_equal(entry_decode(entry.data, entry.len, &payload, &len, &err), 0);
    assert_int_equal(len, batch.len);
    assert_memory_equal(payload, batch.data, len);
    assert_int_equal(batch_decode(payload, len, &now_ms, &changes, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(changes[0].kind, CHANGE_SERVICE_SCALE);
    const struct change_service_scale *body = changes[0].body;
    assert_string_equal(body->service, "web");
    change_release(&changes[0]);
    free(changes);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_log_with_a_snapshot_is_started),
        TEST(the_state_known_to_be_committed_is_the_one_of_then),
        TEST(an_identity_is_opened),
        TEST(tokens_are_parsed),
        TEST(peers_of_then_are_refused),
        TEST(a_batch_and_an_entry_are_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
