/* SPDX-License-Identifier: Apache-2.0 */
/* Records: round trips of every type, strictness, limits, and hostile bytes. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "random_record.h"
#include "store/change.h"
#include "store/record_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct record_type *const types[] = {
    &cluster_type,  &stack_type,   &service_type,          &revision_type,       &task_type,
    &node_type,     &network_type, &volume_type,           &token_type,          &event_type,
    &spec_type,     &pair_type,    &task_observation_type, &deploy_service_type,
#define X(kind, number, body) &change_##body##_type,
    CHANGE_KINDS(X)
#undef X
};

static void test_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (size_t i = 0; i < 50 * ARRAY_SIZE(types); i++) {
        const struct record_type *type = types[i % ARRAY_SIZE(types)];
        cleanup_buf struct buf bytes = BUF_INIT;
        cleanup_buf struct buf again = BUF_INIT;
        void *record = mem_alloc(1, type->size);
        void *decoded = mem_alloc(1, type->size);
        void *copy = mem_alloc(1, type->size);
        fill_record(type, record, &seed);
        record_encode(type, record, &bytes);
        struct err err = {0};
        if (record_decode(type, bytes.data, bytes.len, true, decoded, &err) < 0)
            fail_msg("%s: %s", type->name, err.msg);
        assert_true(record_equal(type, record, decoded));
        record_encode(type, decoded, &again);
        assert_int_equal(bytes.len, again.len);
        assert_memory_equal(bytes.data, again.data, bytes.len);
        record_copy(type, record, copy);
        assert_true(record_equal(type, record, copy));
        record_release(type, record);
        record_release(type, decoded);
        record_release(type, copy);
        free(record);
        free(decoded);
        free(copy);
    }
}

/* --- a small type, by hand ----------------------------------------------------------------- */

static void expect_pair(const char *bytes, size_t len, bool strict, int code)
{
    struct pair pair;
    struct err err = {0};
    int rv = record_decode(&pair_type, bytes, len, strict, &pair, &err);
    if (rv != code)
        fail_msg("got %d (%s), expected %d", rv, err.msg, code);
    if (rv < 0) {
        assert_null(pair.key);
        assert_null(pair.value);
    }
    record_release(&pair_type, &pair);
}
#define EXPECT(bytes, strict, code) expect_pair(bytes, sizeof(bytes) - 1, strict, code)

static void test_strictness(void **state)
{
    (void)state;
    EXPECT("\x80", true, 0);
    EXPECT("\x81\xa3key\xa1x", true, 0);
    EXPECT("\x81\xa1z\xa1x", true, ERR_CORRUPT); /* an unknown field */
    EXPECT("\x81\xa1z\xa1x", false, 0);
    EXPECT("\x81\xa3key\x01", true, ERR_CORRUPT);              /* the wrong kind */
    EXPECT("\x81\xa3key\xa3x\0y", true, ERR_CORRUPT);          /* a 0 in a string */
    EXPECT("\x82\xa3key\xa1x\xa3key\xa1y", true, ERR_CORRUPT); /* twice */
    EXPECT("\x81\xa3key\xa1xz", true, ERR_CORRUPT);            /* bytes after it */
    EXPECT("\x81\xa3key\xa2x", true, ERR_CORRUPT);             /* cut short */
    EXPECT("\x81\x01\xa1x", true, ERR_CORRUPT);                /* a key that is no string */
    EXPECT("\x90", true, ERR_CORRUPT);                         /* not a map */
    EXPECT("\xc1", true, ERR_CORRUPT);
    EXPECT("", true, ERR_CORRUPT);
}

static void test_claims_without_content(void **state)
{
    (void)state;
    /* Headers of 4 thousand million elements: refused before anything is allocated. */
    EXPECT("\xdf\xff\xff\xff\xff", true, ERR_CORRUPT);
    EXPECT("\xdd\xff\xff\xff\xff\x01", false, ERR_CORRUPT);
    EXPECT("\x81\xa3key\xdb\xff\xff\xff\xff", true, ERR_CORRUPT);
    char nested[200];
    memset(nested, '\x91', sizeof(nested) - 1);
    nested[sizeof(nested) - 1] = '\xc0';
    assert_int_equal(scan_value(nested, sizeof(nested)), 0); /* too deep */
    assert_int_equal(scan_value(nested + sizeof(nested) - 10, 10), 10);
}

static void test_enums_have_an_end(void **state)
{
    (void)state;
    struct task task;
    struct err err;
    static const char good[] = "\x81\xa5state\x08";
    static const char past[] = "\x81\xa5state\x09";
    static const char below[] = "\x81\xa5state\xff";
    assert_int_equal(record_decode(&task_type, good, 8, true, &task, &err), 0);
    assert_int_equal(task.state, TASK_ENDED);
    assert_int_equal(record_decode(&task_type, past, 8, true, &task, &err), ERR_CORRUPT);
    assert_int_equal(record_decode(&task_type, below, 8, true, &task, &err), ERR_CORRUPT);
}

static void test_limits(void **state)
{
    (void)state;
    /* A list of empty services costs a byte each here and half a kilobyte each decoded. */
    cleanup_buf struct buf bytes = BUF_INIT;
    const uint32_t n = RECORD_LIST_MAX;
    buf_append(&bytes, "\x81\xa8services\xdd", 11);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_putc(&bytes, (char)(n >> shift & 0xff));
    for (uint32_t i = 0; i < n; i++)
        buf_putc(&bytes, '\x80');
    struct change_stack_deploy deploy;
    struct err err = {0};
    size_t memory = 0;
    int rv = 0;
    size_t decoded = 0;
    while (decoded < 10 &&
           (rv = record_decode_within(&change_stack_deploy_type, bytes.data, bytes.len, true,
                                      &memory, &deploy, &err)) == 0) {
        assert_int_equal(deploy.services_n, n);
        record_release(&change_stack_deploy_type, &deploy);
        decoded++;
    }
    /* One is fine; several are beyond what all together may take. */
    assert_int_equal(decoded, RECORD_MEMORY_MAX / (n * sizeof(struct deploy_service)));
    assert_int_equal(rv, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "memory"));
    bytes.data[14]++; /* one element more than a list may have */
    buf_putc(&bytes, '\x80');
    assert_int_equal(
        record_decode(&change_stack_deploy_type, bytes.data, bytes.len, true, &deploy, &err),
        ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "too long"));
}

/* --- hostile bytes ------------------------------------------------------------------------- */

/* Whatever is accepted must encode, and decode again to the same. */
static void try_bytes(const struct record_type *type, const void *data, size_t len, bool strict)
{
    void *record = mem_alloc(1, type->size);
    struct err err = {0};
    int rv = record_decode(type, data, len, strict, record, &err);
    if (rv < 0) {
        assert_int_equal(rv, ERR_CORRUPT);
        assert_int_equal(err.code, ERR_CORRUPT);
    } else {
        cleanup_buf struct buf bytes = BUF_INIT;
        cleanup_buf struct buf json = BUF_INIT;
        void *again = mem_alloc(1, type->size);
        record_encode(type, record, &bytes);
        assert_int_equal(record_decode(type, bytes.data, bytes.len, true, again, NULL), 0);
        assert_true(record_equal(type, record, again));
        record_json(type, record, -1, &json);
        record_release(type, again);
        free(again);
    }
    record_release(type, record);
    free(record);
}

static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (size_t i = 0; i < 20000; i++) {
        unsigned char bytes[64];
        size_t len = draw(&seed) % sizeof(bytes);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (unsigned char)draw(&seed);
        if (len > 0 && i % 2)
            bytes[0] = (unsigned char)(0x80 | (bytes[0] & 0x0f)); /* a map at least */
        try_bytes(types[i % ARRAY_SIZE(types)], bytes, len, i % 3 != 0);
    }
}

static void mutate(struct buf *bytes, uint64_t *seed)
{
    size_t at = draw(seed) % bytes->len;
    switch (draw(seed) % 4) {
    case 0:
        bytes->data[at] = (char)draw(seed);
        break;
    case 1:
        bytes->data[at] ^= (char)(1 << draw(seed) % 8);
        break;
    case 2:
        bytes->len = at; /* cut */
        break;
    default: { /* a piece of itself somewhere else */
        size_t from = draw(seed) % bytes->len;
        size_t n = draw(seed) % 16;
        if (from + n <= bytes->len && at + n <= bytes->len)
            memmove(bytes->data + at, bytes->data + from, n);
        break;
    }
    }
}

static void test_mutated_bytes(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (size_t i = 0; i < 400 * ARRAY_SIZE(types); i++) {
        const struct record_type *type = types[i % ARRAY_SIZE(types)];
        cleanup_buf struct buf bytes = BUF_INIT;
        void *record = mem_alloc(1, type->size);
        fill_record(type, record, &seed);
        record_encode(type, record, &bytes);
        record_release(type, record);
        free(record);
        for (int k = 0; k < 3 && bytes.len > 0; k++)
            mutate(&bytes, &seed);
        try_bytes(type, bytes.data, bytes.len, i % 3 != 0);
    }
}

static void test_json(void **state)
{
    (void)state;
    struct task_address address = {.network_id = 3, .address = "10.1.2.3"};
    struct task task = {.id = 7,
                        .stack = "app",
                        .state = TASK_RUNNING,
                        .message = "a \"b\"\n",
                        .addresses = &address,
                        .addresses_n = 1};
    cleanup_buf struct buf json = BUF_INIT;
    record_json(&task_type, &task, -1, &json);
    assert_non_null(strstr(json.data, "\"id\": 7, "));
    assert_non_null(strstr(json.data, "\"state\": \"running\""));
    assert_non_null(strstr(json.data, "\"message\": \"a \\\"b\\\"\\n\""));
    assert_non_null(strstr(
        json.data,
        "\"addresses\": [{\"network_id\": 3, \"address\": \"10.1.2.3\", \"address6\": \"\"}]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_claims_without_content),
        cmocka_unit_test(test_enums_have_an_end),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_mutated_bytes),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
