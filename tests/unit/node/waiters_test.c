/* SPDX-License-Identifier: Apache-2.0 */
#include "node/waiters.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

struct poll {
    struct waiters *waiters;
    int asked;
    int done_at; /* done when asked so often, 0: only when it is the last time */
    bool last;
    struct poll *adds; /* added when this one is asked first */
};

static bool on_poll(void *arg, bool last)
{
    struct poll *p = arg;
    p->asked++;
    p->last = last;
    if (p->adds && p->asked == 1)
        waiters_add(p->waiters, 10000, on_poll, p->adds);
    return last || p->asked == p->done_at;
}

static void on_freed(void *arg)
{
    *(bool *)arg = true;
}

static void end(struct waiters *w, uv_loop_t *loop)
{
    bool freed = false;
    waiters_free(w, on_freed, &freed);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_true(freed);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void who_is_done_at_once_does_not_wait(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct waiters *w = waiters_new(&loop);
    struct poll now = {.done_at = 1};
    struct poll no_wait = {0};
    struct poll negative = {0};
    waiters_add(w, 1000, on_poll, &now);
    waiters_add(w, 0, on_poll, &no_wait);
    waiters_add(w, INT64_MIN, on_poll, &negative);
    waiters_wake(w);
    assert_int_equal(now.asked, 1);
    assert_int_equal(no_wait.asked, 1);
    assert_true(no_wait.last);
    assert_int_equal(negative.asked, 1);
    end(w, &loop);
}

static void a_wake_asks_all_and_a_poll_may_add(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct waiters *w = waiters_new(&loop);
    struct poll added = {.done_at = 2};
    struct poll a = {.done_at = 2, .waiters = w, .adds = &added};
    struct poll b = {.done_at = 3};
    waiters_add(w, INT64_MAX, on_poll, &a);
    waiters_add(w, 10000, on_poll, &b);
    waiters_wake(w);
    assert_int_equal(a.asked, 2);
    assert_int_equal(added.asked, 2);
    assert_int_equal(b.asked, 2);
    waiters_wake(w);
    waiters_wake(w);
    assert_int_equal(a.asked, 2);
    assert_int_equal(b.asked, 3);
    end(w, &loop);
}

static void the_deadline_is_the_last_time(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct waiters *w = waiters_new(&loop);
    struct poll p = {0};
    int64_t start = clock_boot_ms();
    waiters_add(w, 150, on_poll, &p);
    while (!p.last && clock_boot_ms() - start < 5000)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(p.last);
    assert_true(clock_boot_ms() - start >= 150);
    end(w, &loop);
}

static void at_the_end_all_are_asked(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct waiters *w = waiters_new(&loop);
    struct poll p[3] = {{0}};
    for (int i = 0; i < 3; i++)
        waiters_add(w, 10000, on_poll, &p[i]);
    end(w, &loop);
    for (int i = 0; i < 3; i++)
        assert_true(p[i].last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_done_at_once_does_not_wait),
        cmocka_unit_test(a_wake_asks_all_and_a_poll_may_add),
        cmocka_unit_test(the_deadline_is_the_last_time),
        cmocka_unit_test(at_the_end_all_are_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
