/* SPDX-License-Identifier: Apache-2.0 */
/* Each member has its share of the calls that wait, and no more. */
#include "node/quota.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_one_that_takes_all_leaves_the_others_theirs(void **state)
{
    (void)state;
    struct quota quota = {0};
    for (int i = 0; i < QUOTA_CALLS_MAX; i++)
        assert_true(quota_take(&quota, 2));
    assert_false(quota_take(&quota, 2));
    for (int i = 0; i < QUOTA_CALLS_MAX; i++)
        assert_true(quota_take(&quota, 3));
    assert_false(quota_take(&quota, 3));
    quota_give(&quota, 2);
    assert_true(quota_take(&quota, 2));
    assert_false(quota_take(&quota, 2));
    quota_release(&quota);
}

static void test_those_without_calls_take_no_memory(void **state)
{
    (void)state;
    struct quota quota = {0};
    for (int64_t member = 1; member <= 1000; member++)
        assert_true(quota_take(&quota, member));
    assert_int_equal(quota.shares_n, 1000);
    for (int64_t member = 1; member <= 1000; member++)
        quota_give(&quota, member);
    assert_int_equal(quota.shares_n, 0);
    assert_true(quota_take(&quota, 7));
    quota_give(&quota, 7);
    quota_release(&quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_takes_all_leaves_the_others_theirs),
        cmocka_unit_test(test_those_without_calls_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
