/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/buf.h"
#include "cluster/wire.h"

static struct call example(void)
{
    struct call call = {.version = WIRE_VERSION, .id = 7, .forwarded = true};
    call.verb = str_copy("stack.deploy");
    call.token = str_copy("wherry1-c-x");
    bytes_set(&call.request_id, "0123456789abcdef", 16);
    bytes_set(&call.body, "\x80", 1);
    return call;
}

static void call_survives(void **state)
{
    (void)state;
    struct err err;
    struct call call = example();
    struct call back;
    cleanup_buf struct buf out = BUF_INIT;
    size_t len = wire_put_frame(&call_type, &call, &out);
    assert_int_equal(out.len, WIRE_HEADER + len);
    assert_int_equal(wire_frame_len(out.data), len);
    must(record_decode(&call_type, out.data + WIRE_HEADER, len, true, &back, &err));
    assert_true(record_equal(&call_type, &call, &back));
    record_release(&call_type, &call);
    record_release(&call_type, &back);
}

static void errors_survive(void **state)
{
    (void)state;
    struct err err;
    struct err back = {0};
    struct reply reply = {0};
    assert_int_equal(reply_get_err(&reply, &back), 0);
    assert_int_equal(back.code, 0);
    err_set(&err, ERR_CONFLICT, "web: changed meanwhile");
    reply_set_err(&reply, &err);
    assert_int_equal(reply_get_err(&reply, &back), ERR_CONFLICT);
    assert_string_equal(back.msg, err.msg);
    /* Numbers of a newer or a hostile member are still errors. */
    reply.code = 9999;
    assert_int_equal(reply_get_err(&reply, &back), ERR_FAILED);
    reply.code = -1;
    assert_int_equal(reply_get_err(&reply, &back), ERR_FAILED);
    reply.code = INT64_MIN;
    assert_int_equal(reply_get_err(&reply, &back), ERR_FAILED);
    record_release(&reply_type, &reply);
    reply.code = 2;
    assert_int_equal(reply_get_err(&reply, &back), ERR_NOTFOUND);
    assert_true(back.msg[0] != '\0');
}

/* Random bytes and every kind of small damage to a good message: refused or decoded, never more. */
static void damage_is_harmless(void **state)
{
    (void)state;
    struct err err;
    struct call back;
    struct call call = example();
    cleanup_buf struct buf good = BUF_INIT;
    record_encode(&call_type, &call, &good);
    record_release(&call_type, &call);
    for (size_t len = 0; len < good.len; len++)
        assert_int_equal(record_decode(&call_type, good.data, len, false, &back, &err),
                         ERR_CORRUPT);
    srandom(1);
    for (int i = 0; i < 50000; i++) {
        cleanup_buf struct buf bad = BUF_INIT;
        buf_append(&bad, good.data, good.len);
        for (int k = 0; k < 1 + i % 4; k++)
            bad.data[(size_t)random() % bad.len] = (char)random();
        if (record_decode(&call_type, bad.data, bad.len, false, &back, &err) == 0)
            record_release(&call_type, &back);
    }
    for (int i = 0; i < 50000; i++) {
        unsigned char junk[64];
        size_t len = (size_t)random() % sizeof(junk);
        for (size_t k = 0; k < len; k++)
            junk[k] = (unsigned char)random();
        if (record_decode(&call_type, junk, len, false, &back, &err) == 0)
            record_release(&call_type, &back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_survives),
        cmocka_unit_test(errors_survive),
        cmocka_unit_test(damage_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
