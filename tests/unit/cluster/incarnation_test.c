/* SPDX-License-Identifier: Apache-2.0 */
/* Which of two processes speaks for a member: the rules, without connections. */
#include "cluster/incarnation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    FIRST = 11,
    SECOND = 22,
    THIRD = 33,
};

static const int64_t others[] = {2, 3};

static int64_t next_ms;

static void nobody_to_ask_is_no_objection(void **state)
{
    (void)state;
    struct incarnations i = {0};
    assert_int_equal(incarnation_met(&i, FIRST, 0), INCARNATION_ASK);
    incarnation_ask(&i, FIRST, false, NULL, 0, 0);
    assert_int_equal(incarnation_judge(&i, 0, &next_ms), INCARNATION_ACCEPT);
    incarnation_accept(&i, FIRST, 0);
    assert_int_equal(incarnation_met(&i, FIRST, 1), INCARNATION_ACCEPT);
}

static void all_answers_are_waited_for(void **state)
{
    (void)state;
    struct incarnations i = {0};
    incarnation_ask(&i, FIRST, false, others, 2, 100);
    incarnation_answer(&i, 2, 0);
    incarnation_answer(&i, 9, SECOND); /* was not asked */
    assert_int_equal(incarnation_judge(&i, 200, &next_ms), INCARNATION_ASK);
    assert_int_equal(next_ms, 100 + INCARNATION_ASK_MS);
    incarnation_answer(&i, 3, FIRST); /* it holds the same one */
    assert_int_equal(incarnation_judge(&i, 200, &next_ms), INCARNATION_ACCEPT);
}

static void a_silent_member_does_not_object_for_ever(void **state)
{
    (void)state;
    struct incarnations i = {0};
    incarnation_ask(&i, FIRST, false, others, 2, 100);
    assert_int_equal(incarnation_judge(&i, 100 + INCARNATION_ASK_MS, &next_ms), INCARNATION_ACCEPT);
}

static void one_objection_is_enough(void **state)
{
    (void)state;
    struct incarnations i = {0};
    incarnation_ask(&i, SECOND, false, others, 2, 0);
    incarnation_answer(&i, 3, FIRST);
    assert_int_equal(incarnation_judge(&i, 1, &next_ms), INCARNATION_REFUSE);
    incarnation_refuse(&i, 1);
    assert_int_equal(i.inquiry.candidate, 0);
    assert_int_equal(incarnation_met(&i, SECOND, 2), INCARNATION_REFUSE);
    assert_int_equal(incarnation_met(&i, SECOND, 2 + INCARNATION_REFUSED_MS), INCARNATION_ASK);
}

static void a_pong_refuses_a_restart_does_not(void **state)
{
    (void)state;
    struct incarnations i = {0};
    incarnation_accept(&i, FIRST, 0);
    incarnation_ask(&i, SECOND, true, NULL, 0, 10);
    assert_int_equal(incarnation_judge(&i, 11, &next_ms), INCARNATION_ASK);
    incarnation_pong(&i);
    assert_int_equal(incarnation_judge(&i, 12, &next_ms), INCARNATION_REFUSE);
    incarnation_refuse(&i, 12);
    assert_int_equal(i.current, FIRST);
    /* Its connections are gone: no need to wait. */
    incarnation_ask(&i, THIRD, true, NULL, 0, 20);
    incarnation_gone(&i);
    assert_int_equal(incarnation_judge(&i, 21, &next_ms), INCARNATION_ACCEPT);
    incarnation_accept(&i, THIRD, 21);
    assert_int_equal(i.current, THIRD);
    /* It does not answer. */
    incarnation_ask(&i, SECOND, true, NULL, 0, 30);
    assert_int_equal(incarnation_judge(&i, 30 + INCARNATION_PROBE_MS, &next_ms),
                     INCARNATION_ACCEPT);
}

static void the_elder_that_comes_back_stays(void **state)
{
    (void)state;
    struct incarnations i = {0};
    incarnation_accept(&i, FIRST, 0);
    incarnation_accept(&i, SECOND, 1000);
    assert_int_equal(incarnation_met(&i, FIRST, 2000), INCARNATION_PROVE);
    incarnation_oust(&i, FIRST, 2000);
    assert_int_equal(i.current, FIRST);
    assert_int_equal(incarnation_met(&i, SECOND, 3000), INCARNATION_REFUSE);
    /* Not for ever: the elder may have died meanwhile. But it is as established as can be. */
    assert_int_equal(incarnation_met(&i, SECOND, 2000 + INCARNATION_BAN_MS), INCARNATION_ASK);
    assert_int_equal(incarnation_met(&i, FIRST, 3000), INCARNATION_ACCEPT);
}

static void an_established_successor_is_asked_first(void **state)
{
    (void)state;
    struct incarnations i = {0};
    incarnation_accept(&i, FIRST, 0);
    incarnation_accept(&i, SECOND, 1000);
    assert_int_equal(incarnation_met(&i, FIRST, 1000 + INCARNATION_YOUNG_MS), INCARNATION_ASK);
}

static void of_two_that_were_held_apart_the_elder_stays(void **state)
{
    (void)state;
    struct incarnations a = {0};
    struct incarnations b = {0};
    incarnation_accept(&a, FIRST, 0);
    incarnation_accept(&b, SECOND, 5000);
    assert_false(incarnation_yields(&a, SECOND, 1000, 6000));
    assert_true(incarnation_yields(&b, FIRST, 6000, 6000));
    assert_int_equal(a.current, FIRST);
    assert_int_equal(b.current, FIRST);
    assert_int_equal(incarnation_met(&b, SECOND, 6001), INCARNATION_REFUSE);
    assert_false(incarnation_yields(&b, FIRST, 9000, 7000));
}

static void the_past_is_bounded(void **state)
{
    (void)state;
    struct incarnations i = {0};
    for (uint64_t n = 1; n <= 100; n++)
        incarnation_accept(&i, n, (int64_t)n);
    assert_int_equal(i.current, 100);
    assert_int_equal(i.past_n, INCARNATION_PAST_MAX);
    int64_t many[INCARNATION_ASKED_MAX + 10] = {0};
    incarnation_ask(&i, 101, false, many, INCARNATION_ASKED_MAX + 10, 0);
    assert_int_equal(i.inquiry.asked_n, INCARNATION_ASKED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_to_ask_is_no_objection),
        cmocka_unit_test(all_answers_are_waited_for),
        cmocka_unit_test(a_silent_member_does_not_object_for_ever),
        cmocka_unit_test(one_objection_is_enough),
        cmocka_unit_test(a_pong_refuses_a_restart_does_not),
        cmocka_unit_test(the_elder_that_comes_back_stays),
        cmocka_unit_test(an_established_successor_is_asked_first),
        cmocka_unit_test(of_two_that_were_held_apart_the_elder_stays),
        cmocka_unit_test(the_past_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
