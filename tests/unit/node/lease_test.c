/* SPDX-License-Identifier: Apache-2.0 */
/* When a machine's lease is asked for, and what comes before it counts. */
#include "node/lease.h"

#include "base/clock.h"
#include "base/err.h"
#include "node/daemon.h"
#include "node/read.h"
#include "node/reconcile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct daemon machine;
static struct lease *lease;
static int64_t boot_ms;
static bool has_single;
static read_barrier_cb barrier_cb; /* of the question that is out */
static void *barrier_arg;
static int asked;
static int64_t from_at_read, from_at_start; /* the lease when agents read, when they were told */

int64_t clock_boot_ms(void)
{
    return boot_ms;
}
int read_barrier_wait(struct read_barrier *b, int64_t timeout_ms, read_barrier_cb cb, void *arg)
{
    (void)b;
    (void)timeout_ms;
    barrier_cb = cb;
    barrier_arg = arg;
    asked++;
    return 0;
}
bool reconcile_has_single(const struct reconcile *r)
{
    (void)r;
    return has_single;
}
void reconcile_read(struct reconcile *r)
{
    (void)r;
    from_at_read = lease_from_ms(lease);
}
void reconcile_on_lease(struct reconcile *r)
{
    (void)r;
    from_at_start = lease_from_ms(lease);
}

static int begin(void **state)
{
    (void)state;
    memset(&machine, 0, sizeof(machine));
    boot_ms = 1000;
    asked = 0;
    barrier_cb = NULL;
    has_single = true;
    from_at_read = from_at_start = -1;
    assert_int_equal(uv_loop_init(&machine.loop), 0);
    lease = lease_new(&machine);
    uv_run(&machine.loop, UV_RUN_NOWAIT);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lease_stop(lease);
    uv_run(&machine.loop, UV_RUN_DEFAULT);
    lease_free(lease);
    return uv_loop_close(&machine.loop) < 0;
}

static void answer(int code)
{
    struct err err = {.code = code};
    barrier_cb(barrier_arg, &err);
}

static void it_counts_from_the_question(void **state)
{
    (void)state;
    assert_int_equal(asked, 1);
    assert_int_equal(lease_from_ms(lease), 0);
    boot_ms = 1700;
    answer(0);
    assert_int_equal(lease_from_ms(lease), 1000);
    assert_int_equal(from_at_start, 1000);
}

/* A member that comes back starts nothing by rows that are older than its lease. */
static void rows_are_read_before_it_counts(void **state)
{
    (void)state;
    answer(0);
    assert_int_equal(from_at_read, 0);
    assert_int_equal(from_at_start, 1000);
}

static void nothing_counts_that_nobody_confirmed(void **state)
{
    (void)state;
    answer(ERR_UNAVAILABLE);
    assert_int_equal(lease_from_ms(lease), 0);
    assert_int_equal(from_at_read, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_counts_from_the_question, begin, end),
        cmocka_unit_test_setup_teardown(rows_are_read_before_it_counts, begin, end),
        cmocka_unit_test_setup_teardown(nothing_counts_that_nobody_confirmed, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
