/* SPDX-License-Identifier: Apache-2.0 */
/* Whose clock is wrong. */
#include "node/clock_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int64_t year_ms = 365LL * 24 * 3600 * 1000;

static struct clock_judgement judged(const int64_t *offsets, size_t n, int64_t state_ahead_ms)
{
    struct clock_judgement j;
    clock_judge(offsets, n, state_ahead_ms, &j);
    return j;
}

static void near_is_right(void **state)
{
    (void)state;
    struct clock_judgement j = judged(NULL, 0, -1000);
    assert_false(j.wrong);
    j = judged((int64_t[]){20000, -9000, 500}, 3, -1000);
    assert_false(j.wrong);
    assert_int_equal(j.reference_ms, 0);
}

static void a_majority_is_right(void **state)
{
    (void)state;
    /* Ours is three years ahead of two others, whatever the state says. */
    const int64_t behind[] = {-3 * year_ms, -3 * year_ms + 400};
    struct clock_judgement j = judged(behind, 2, -year_ms);
    assert_true(j.wrong);
    assert_true(j.certain);
    assert_int_equal(j.reference_ms, -3 * year_ms);
    /* And years behind. */
    j = judged((int64_t[]){3 * year_ms, 3 * year_ms}, 2, 0);
    assert_true(j.wrong && j.certain);
    /* Another one is the odd one. */
    j = judged((int64_t[]){-3 * year_ms, 200}, 2, -5000);
    assert_false(j.wrong);
}

static void of_two_the_state_decides(void **state)
{
    (void)state;
    /* The other is behind the state: its clock was lost. */
    struct clock_judgement j = judged((int64_t[]){-20 * year_ms}, 1, -1000);
    assert_false(j.wrong);
    /* We are. */
    j = judged((int64_t[]){20 * year_ms}, 1, 20 * year_ms - 60000);
    assert_true(j.wrong);
    assert_false(j.certain);
    assert_int_equal(j.reference_ms, 20 * year_ms);
    /* None is: the earlier one is taken. */
    j = judged((int64_t[]){-3 * year_ms}, 1, -4 * year_ms);
    assert_true(j.wrong);
    assert_int_equal(j.reference_ms, -3 * year_ms);
    assert_false(j.certain);
    /* Both are: the later one. */
    j = judged((int64_t[]){-3 * year_ms}, 1, year_ms);
    assert_false(j.wrong);
}

static void extremes_do_no_harm(void **state)
{
    (void)state;
    struct clock_judgement j = judged((int64_t[]){INT64_MAX, INT64_MIN}, 2, INT64_MIN);
    assert_true(j.wrong || j.reference_ms == 0);
    int64_t many[2 * CLOCK_JUDGE_MAX];
    for (size_t i = 0; i < 2 * CLOCK_JUDGE_MAX; i++)
        many[i] = 5 * year_ms;
    j = judged(many, 2 * CLOCK_JUDGE_MAX, 0);
    assert_true(j.certain);
    assert_int_equal(j.reference_ms, 5 * year_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_is_right),
        cmocka_unit_test(a_majority_is_right),
        cmocka_unit_test(of_two_the_state_decides),
        cmocka_unit_test(extremes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
