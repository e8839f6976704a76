/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of handshakes by source. */
#include "cluster/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sources *sources;

static int setup(void **state)
{
    (void)state;
    sources = calloc(1, sizeof(*sources));
    return sources ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(sources);
    return 0;
}

static int admitted(const char *name, int tries, int64_t now_ms)
{
    int n = 0;
    for (int i = 0; i < tries; i++)
        n += sources_admit(sources, name, now_ms);
    return n;
}

static void a_burst_then_a_rate(void **state)
{
    (void)state;
    assert_int_equal(admitted("10.0.0.1", 2 * SOURCE_BURST, 1000), SOURCE_BURST);
    assert_int_equal(admitted("10.0.0.1", 10, 1000), 0);
    assert_int_equal(admitted("10.0.0.1", 2 * SOURCE_BURST, 2000), SOURCE_PER_SECOND);
    /* Rest fills the bucket, and no more than that. */
    assert_int_equal(admitted("10.0.0.1", 2 * SOURCE_BURST, 100000000), SOURCE_BURST);
    /* A clock that stands or goes back gives nothing. */
    assert_int_equal(admitted("10.0.0.1", 10, 5), 0);
}

static void sources_do_not_share(void **state)
{
    (void)state;
    assert_int_equal(admitted("10.0.0.1", 2 * SOURCE_BURST, 1000), SOURCE_BURST);
    assert_int_equal(admitted("10.0.0.2", 5, 1000), 5);
    assert_int_equal(admitted("10.0.0.1", 5, 1001), 0);
}

static void the_oldest_are_forgotten(void **state)
{
    (void)state;
    char name[SOURCE_TEXT];
    assert_int_equal(admitted("10.0.0.1", SOURCE_BURST, 1000), SOURCE_BURST);
    for (int i = 0; i < 10 * SOURCES_MAX; i++) {
        snprintf(name, sizeof(name), "10.1.%d.%d", i / 250, i % 250);
        assert_int_equal(admitted(name, 1, 1001), 1);
    }
    assert_int_equal(sources->n, SOURCES_MAX);
    assert_int_equal(admitted("10.0.0.1", 1, 1001), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_burst_then_a_rate),
        TEST(sources_do_not_share),
        TEST(the_oldest_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
