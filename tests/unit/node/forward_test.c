/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to other members: each ends exactly once, whatever the other side does. The bus is replaced
 * at link time. */
#include "cluster/bus.h"
#include "node/daemon.h"
#include "node/forward.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int send_code;
static int64_t sent_to;
static int64_t sent_id;

int bus_send(struct bus *bus, int64_t to, enum bus_kind kind, bool bulk, const void *data,
             size_t len)
{
    struct call call;
    struct err err;
    (void)bus;
    assert_int_equal(kind, BUS_CALL);
    assert_false(bulk);
    assert_int_equal(record_decode(&call_type, data, len, false, &call, &err), 0);
    assert_true(call.forwarded);
    sent_to = to;
    sent_id = call.id;
    record_release(&call_type, &call);
    return send_code;
}

struct end {
    int times;
    int code;
    int64_t reply_code;
};

static void on_end(void *arg, const struct err *err, const struct reply *reply)
{
    struct end *e = arg;
    e->times++;
    e->code = err->code;
    e->reply_code = err->code == 0 ? reply->code : -1;
}

static struct daemon d;

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    memset(&d, 0, sizeof(d));
    send_code = 0;
    uv_loop_init(&d.loop);
    d.forward = forward_new(&d);
    return 0;
}

static void on_freed(void *arg)
{
    *(bool *)arg = true;
}

static int teardown(void **state)
{
    (void)state;
    bool freed = false;
    if (d.forward)
        forward_free(d.forward, on_freed, &freed);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&d.loop);
}

static int64_t call_n2(struct end *e, int64_t timeout_ms)
{
    struct call call = {.verb = (char[]){"logs.read"}};
    return forward_call(d.forward, 2, &call, timeout_ms, on_end, e);
}

static void reply(int64_t from, int64_t id, int64_t code)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct reply r = {.id = id, .code = code};
    record_encode(&reply_type, &r, &out);
    forward_on_reply(d.forward, from, out.data, out.len);
}

static void run_until(const struct end *e, int64_t within_ms)
{
    int64_t limit = clock_boot_ms() + within_ms;
    while (e->times == 0 && clock_boot_ms() < limit)
        uv_run(&d.loop, UV_RUN_ONCE);
    assert_int_equal(e->times, 1);
}

static void a_reply_ends_it_once(void **state)
{
    (void)state;
    struct end e = {0};
    call_n2(&e, 1000);
    assert_int_equal(sent_to, 2);
    reply(2, sent_id, 5);
    reply(2, sent_id, 6);
    assert_int_equal(e.times, 1);
    assert_int_equal(e.code, 0);
    assert_int_equal(e.reply_code, 5);
}

static void an_answer_to_an_earlier_process_is_none_to_us(void **state)
{
    (void)state;
    struct end before = {0}, now = {0};
    static bool freed; /* until the loop has run */
    call_n2(&before, 1000);
    int64_t earlier = sent_id;
    forward_free(d.forward, on_freed, &freed);
    d.forward = forward_new(&d);
    call_n2(&now, 1000);
    reply(2, earlier, 5);
    assert_int_equal(now.times, 0);
    reply(2, sent_id, 6);
    assert_int_equal(now.times, 1);
    assert_int_equal(now.reply_code, 6);
}

static void only_who_was_asked_may_answer(void **state)
{
    (void)state;
    struct end e = {0};
    call_n2(&e, 1000);
    reply(3, sent_id, 5);
    reply(2, sent_id + 1, 5);
    forward_on_reply(d.forward, 2, "garbage", 7);
    forward_on_reply(d.forward, 2, "", 0);
    assert_int_equal(e.times, 0);
    reply(2, sent_id, 0);
    assert_int_equal(e.times, 1);
}

static void who_is_not_connected_was_not_asked(void **state)
{
    (void)state;
    struct end e = {0};
    send_code = ERR_UNAVAILABLE;
    call_n2(&e, 1000);
    assert_int_equal(e.times, 0); /* never inside the call that asks */
    run_until(&e, 2000);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
}

static void silence_has_a_deadline(void **state)
{
    (void)state;
    struct end e = {0};
    struct end at_once = {0};
    call_n2(&e, 100);
    call_n2(&at_once, -5);
    run_until(&e, 3000);
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_int_equal(at_once.code, ERR_TIMEOUT);
}

static void a_broken_connection_leaves_it_unknown(void **state)
{
    (void)state;
    struct end e[3] = {{0}};
    for (int i = 0; i < 3; i++)
        call_n2(&e[i], 1000);
    forward_on_down(d.forward, 3);
    assert_int_equal(e[0].times, 0);
    forward_on_down(d.forward, 2);
    forward_on_down(d.forward, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(e[i].times, 1);
        assert_int_equal(e[i].code, ERR_UNKNOWN);
    }
}

static void it_may_be_given_up(void **state)
{
    (void)state;
    struct end e = {0};
    int64_t id = call_n2(&e, 60000);
    forward_cancel(d.forward, id + 1);
    forward_cancel(d.forward, id);
    assert_int_equal(e.times, 0);
    run_until(&e, 2000);
    assert_int_equal(e.code, ERR_UNKNOWN);
    forward_cancel(d.forward, id);
}

static void a_stop_ends_all(void **state)
{
    (void)state;
    struct end e[2] = {{0}};
    bool freed = false;
    call_n2(&e[0], 60000);
    call_n2(&e[1], 60000);
    forward_free(d.forward, on_freed, &freed);
    d.forward = NULL;
    assert_int_equal(e[0].code, ERR_CANCELED);
    assert_int_equal(e[1].times, 1);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    assert_true(freed);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_reply_ends_it_once),
        TEST(an_answer_to_an_earlier_process_is_none_to_us),
        TEST(only_who_was_asked_may_answer),
        TEST(who_is_not_connected_was_not_asked),
        TEST(silence_has_a_deadline),
        TEST(a_broken_connection_leaves_it_unknown),
        TEST(it_may_be_given_up),
        TEST(a_stop_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
