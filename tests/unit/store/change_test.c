/* SPDX-License-Identifier: Apache-2.0 */
/* Changes and batches as bytes. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "random_record.h"
#include "store/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const enum change_kind kinds[] = {
#define X(kind, number, body) CHANGE_##kind,
    CHANGE_KINDS(X)
#undef X
};

static struct change random_change(enum change_kind kind, uint64_t *seed)
{
    const struct record_type *type = change_type((int)kind);
    struct change change = {.kind = kind, .has_request_id = draw(seed) % 2};
    if (change.has_request_id)
        for (size_t i = 0; i < REQUEST_ID_BYTES; i++)
            change.request_id[i] = (unsigned char)draw(seed);
    if (change.has_request_id && draw(seed) % 2)
        change.begin = 1 + (int64_t)(draw(seed) >> 2);
    change.body = mem_alloc(1, type->size);
    fill_record(type, change.body, seed);
    return change;
}

static void assert_same(const struct change *a, const struct change *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->has_request_id, b->has_request_id);
    assert_memory_equal(a->request_id, b->request_id, REQUEST_ID_BYTES);
    assert_true(a->begin == b->begin);
    assert_true(record_equal(change_type((int)a->kind), a->body, b->body));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(change_name(CHANGE_STACK_DEPLOY), "STACK_DEPLOY");
    assert_string_equal(change_name(0), "?");
    assert_null(change_type(0));
    assert_null(change_type(-1));
    assert_null(change_type(1 << 20));
}

static void test_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (size_t i = 0; i < 20 * ARRAY_SIZE(kinds); i++) {
        struct change change = random_change(kinds[i % ARRAY_SIZE(kinds)], &seed);
        struct change decoded;
        cleanup_buf struct buf bytes = BUF_INIT;
        struct err err = {0};
        change_encode(&change, &bytes);
        if (change_decode(bytes.data, bytes.len, &decoded, &err) < 0)
            fail_msg("%s", err.msg);
        assert_same(&change, &decoded);
        change_release(&change);
        change_release(&decoded);
        assert_null(decoded.body);
    }
}

static void make_batch(int64_t now_ms, size_t n, uint64_t seed, struct buf *out)
{
    struct buf *encoded = mem_alloc(n, sizeof(*encoded));
    for (size_t i = 0; i < n; i++) {
        struct change change = random_change(kinds[i % ARRAY_SIZE(kinds)], &seed);
        change_encode(&change, &encoded[i]);
        change_release(&change);
    }
    batch_encode(now_ms, encoded, n, out);
    for (size_t i = 0; i < n; i++)
        buf_release(&encoded[i]);
    free(encoded);
}

static void free_changes(struct change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        change_release(&changes[i]);
    free(changes);
}

static void test_batch_round_trip(void **state)
{
    (void)state;
    for (size_t n = 0; n < 100; n += 33) {
        cleanup_buf struct buf batch = BUF_INIT;
        struct change *changes;
        size_t ret_n;
        int64_t now_ms;
        uint64_t seed = 99;
        make_batch(1234567890123, n, seed, &batch);
        assert_int_equal(batch_decode(batch.data, batch.len, &now_ms, &changes, &ret_n, NULL), 0);
        assert_int_equal(now_ms, 1234567890123);
        assert_int_equal(ret_n, n);
        for (size_t i = 0; i < n; i++) {
            struct change change = random_change(kinds[i % ARRAY_SIZE(kinds)], &seed);
            assert_same(&change, &changes[i]);
            change_release(&change);
        }
        free_changes(changes, n);
    }
}

static int decode(const struct buf *batch, struct err *err)
{
    struct change *changes;
    size_t n;
    int64_t now_ms;
    int rv = batch_decode(batch->data, batch->len, &now_ms, &changes, &n, err);
    if (rv == 0)
        free_changes(changes, n);
    return rv;
}

static void test_what_is_not_known_stops_the_member(void **state)
{
    (void)state;
    cleanup_buf struct buf batch = BUF_INIT;
    struct err err = {0};
    make_batch(1, 1, 1, &batch);
    assert_int_equal(decode(&batch, NULL), 0);
    size_t kind_at = BATCH_HEADER_BYTES + 5 + 1;
    assert_int_equal(batch.data[kind_at], CHANGE_CLUSTER_INIT);
    batch.data[kind_at] = 0x7f;
    assert_int_equal(decode(&batch, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "kind 127"));
    assert_non_null(strstr(err.msg, "upgrade this member"));
    batch.data[kind_at] = CHANGE_CLUSTER_INIT;
    batch.data[4]++;
    assert_int_equal(decode(&batch, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "version 2"));
    batch.data[4]--;
    batch.data[0]++;
    assert_int_equal(decode(&batch, &err), ERR_CORRUPT);
    batch.data[0]--;
    batch.data[15] = (char)0x80; /* a time before the epoch */
    assert_int_equal(decode(&batch, &err), ERR_CORRUPT);
}

static void test_every_cut_is_noticed(void **state)
{
    (void)state;
    cleanup_buf struct buf batch = BUF_INIT;
    make_batch(1, 5, 5, &batch);
    struct err err = {0};
    while (batch.len > 0) {
        batch.len--;
        assert_int_equal(decode(&batch, &err), ERR_CORRUPT);
    }
}

static void test_size_limit(void **state)
{
    (void)state;
    cleanup_buf struct buf batch = BUF_INIT;
    struct err err = {0};
    batch_encode(1, NULL, 0, &batch);
    assert_int_equal(decode(&batch, &err), 0);
    memset(buf_reserve(&batch, BATCH_BYTES_MAX), 0, BATCH_BYTES_MAX);
    batch.len += BATCH_BYTES_MAX;
    assert_int_equal(decode(&batch, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "at most"));
    batch.len = BATCH_HEADER_BYTES + 6;
    assert_int_equal(decode(&batch, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "after its end"));
}

static void test_damaged_bytes(void **state)
{
    (void)state;
    uint64_t seed = 21;
    for (int i = 0; i < 5000; i++) {
        cleanup_buf struct buf batch = BUF_INIT;
        struct err err = {0};
        make_batch(1, 3, seed, &batch);
        for (uint64_t k = draw(&seed) % 4; k < 4; k++)
            batch.data[draw(&seed) % batch.len] = (char)draw(&seed);
        int rv = decode(&batch, &err);
        assert_true(rv == 0 || rv == ERR_CORRUPT || rv == ERR_UNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_batch_round_trip),
        cmocka_unit_test(test_what_is_not_known_stops_the_member),
        cmocka_unit_test(test_every_cut_is_noticed),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_damaged_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
