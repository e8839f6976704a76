/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of a container of no stack: every edge of its diagram, and what survives a restart.
 */
#include "node/standalone_rules.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct standalone_machine machine(enum standalone_policy policy)
{
    return (struct standalone_machine){.policy = policy, .stop_grace_ms = 10000};
}

static struct container_state state_of(enum container_status status, int code)
{
    return (struct container_state){.status = status, .exit_code = code, .run = 1};
}

/* Run what is asked for, as if all went well, until nothing is; returns the last thing done. */
static enum standalone_work settle(struct standalone_machine *m, int64_t now)
{
    enum standalone_work work, last = STANDALONE_WORK_NONE;
    struct container_state running = state_of(CONTAINER_RUNNING, 0);
    for (int i = 0; (work = standalone_next(m, now)) != STANDALONE_WORK_NONE; i++) {
        assert_true(i < 10);
        last = work;
        if (work == STANDALONE_WORK_SAVE)
            standalone_saved(m, true, now);
        else if (work == STANDALONE_WORK_START)
            standalone_started(m, true, now);
        else if (work == STANDALONE_WORK_LOOK)
            standalone_looked(m, &running, now);
        else if (work == STANDALONE_WORK_SIGNAL)
            standalone_signalled(m, now);
        else if (work == STANDALONE_WORK_KILL)
            standalone_killed(m, true, now);
        else
            standalone_removed(m, true, now);
    }
    return last;
}

static void exits(struct standalone_machine *m, int code, int64_t now)
{
    struct container_state state = state_of(CONTAINER_EXITED, code);
    standalone_looked(m, &state, now);
}

static void test_start_is_saved_first(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_NO);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_NONE);
    assert_true(standalone_start_it(&m));
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_SAVE);
    assert_true(m.wanted);
    standalone_saved(&m, true, 1);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_START);
    standalone_started(&m, true, 1);
    assert_int_equal(m.phase, STANDALONE_RUN);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_LOOK);
    assert_true(standalone_start_it(&m)); /* it runs: fine */
    assert_int_equal(m.phase, STANDALONE_RUN);
}

static void test_policies(void **state)
{
    (void)state;
    static const struct {
        enum standalone_policy policy;
        int code;
        bool again;
    } cases[] = {
        {STANDALONE_NO, 0, false},
        {STANDALONE_NO, 1, false},
        {STANDALONE_ON_FAILURE, 0, false},
        {STANDALONE_ON_FAILURE, 1, true},
        {STANDALONE_ALWAYS, 0, true},
        {STANDALONE_ALWAYS, 1, true},
        {STANDALONE_UNLESS_STOPPED, 0, true},
        {STANDALONE_UNLESS_STOPPED, 9, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct standalone_machine m = machine(cases[i].policy);
        standalone_start_it(&m);
        settle(&m, 1);
        exits(&m, cases[i].code, 2);
        assert_int_equal(m.phase, cases[i].again ? STANDALONE_DELAY : STANDALONE_IDLE);
        /* What is over is not wanted after a restart of the daemon either. */
        assert_int_equal(m.wanted, cases[i].again);
        settle(&m, 2);
        assert_false(m.unsaved);
    }
}

static void test_backoff_doubles_and_is_reset(void **state)
{
    (void)state;
    static const int64_t delays[] = {100, 200, 400, 800, 1600};
    struct standalone_machine m = machine(STANDALONE_ALWAYS);
    int64_t now = 1000;
    standalone_start_it(&m);
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        settle(&m, now);
        exits(&m, 1, now + 5);
        assert_int_equal(m.due_ms, now + 5 + delays[i]);
        assert_int_equal(standalone_next(&m, m.due_ms - 1), STANDALONE_WORK_NONE);
        assert_int_equal(standalone_due_ms(&m), m.due_ms);
        now = m.due_ms;
        assert_int_equal(standalone_next(&m, now), STANDALONE_WORK_START);
    }
    for (int i = 0; i < 20; i++) { /* at most a minute */
        standalone_started(&m, false, now);
        assert_true(m.due_ms - now <= 60000);
        now = m.due_ms;
        assert_int_equal(standalone_next(&m, now), STANDALONE_WORK_START);
    }
    assert_int_equal(m.attempts, 25);
    standalone_started(&m, true, now);
    exits(&m, 1, now + 10000); /* long enough */
    assert_int_equal(m.due_ms, now + 10000 + 100);
}

static void test_retries_have_an_end(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_ON_FAILURE);
    int64_t now = 1;
    m.retries_max = 2;
    standalone_start_it(&m);
    for (int i = 0; i < 2; i++) {
        settle(&m, now);
        exits(&m, 1, now);
        assert_int_equal(m.phase, STANDALONE_DELAY);
        now = m.due_ms;
    }
    settle(&m, now);
    exits(&m, 1, now);
    assert_int_equal(m.phase, STANDALONE_IDLE);
    assert_false(m.wanted);
}

static void test_stop_signals_then_kills(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_ALWAYS);
    standalone_start_it(&m);
    settle(&m, 1);
    assert_true(standalone_stop_it(&m, 500, false, 100));
    assert_false(m.wanted);
    assert_int_equal(standalone_next(&m, 100), STANDALONE_WORK_SAVE);
    standalone_saved(&m, true, 100);
    assert_int_equal(standalone_next(&m, 100), STANDALONE_WORK_SIGNAL);
    standalone_signalled(&m, 100);
    assert_int_equal(settle(&m, 100), STANDALONE_WORK_LOOK);
    assert_false(standalone_start_it(&m));
    assert_int_equal(standalone_due_ms(&m), 600);
    assert_int_equal(standalone_next(&m, 600), STANDALONE_WORK_KILL);
    standalone_killed(&m, false, 600); /* again later */
    assert_int_equal(standalone_next(&m, m.due_ms), STANDALONE_WORK_KILL);
    standalone_killed(&m, true, 3000);
    exits(&m, 137, 3000);
    assert_int_equal(m.phase, STANDALONE_IDLE); /* its policy says nothing of a stop */
    assert_false(m.wanted);
    assert_true(standalone_stop_it(&m, 0, false, 3000)); /* fine */
}

static void test_stop_goes_on_when_it_cannot_be_saved(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_ALWAYS);
    standalone_start_it(&m);
    settle(&m, 1);
    standalone_stop_it(&m, -1, false, 100);
    assert_int_equal(standalone_next(&m, 100), STANDALONE_WORK_SAVE);
    standalone_saved(&m, false, 100);
    assert_int_equal(standalone_next(&m, 100), STANDALONE_WORK_SIGNAL);
    assert_true(m.unsaved);
    assert_int_equal(standalone_next(&m, m.save_ms), STANDALONE_WORK_SAVE);
}

static void test_start_that_cannot_be_saved_is_given_up(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_ALWAYS);
    standalone_start_it(&m);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_SAVE);
    standalone_saved(&m, false, 1);
    assert_int_equal(m.phase, STANDALONE_IDLE);
    assert_false(m.wanted);
    assert_int_equal(standalone_next(&m, 100000), STANDALONE_WORK_NONE);
}

static void test_restart(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_NO);
    standalone_start_it(&m);
    settle(&m, 1);
    assert_true(standalone_stop_it(&m, -1, true, 10));
    assert_true(m.wanted); /* a crash in between does not forget it */
    assert_int_equal(settle(&m, 10), STANDALONE_WORK_LOOK);
    exits(&m, 143, 20);
    assert_int_equal(m.phase, STANDALONE_START);
    assert_true(m.by_hand);
    settle(&m, 20);
    assert_int_equal(m.phase, STANDALONE_RUN);
    assert_true(m.wanted);
    /* A stop takes the place of a restart that is under way. */
    standalone_stop_it(&m, -1, true, 30);
    standalone_stop_it(&m, -1, false, 31);
    exits(&m, 0, 32);
    assert_int_equal(m.phase, STANDALONE_IDLE);
    assert_false(m.wanted);
}

static void test_start_by_hand_that_fails(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_ALWAYS);
    standalone_start_it(&m);
    standalone_saved(&m, true, 1);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_START);
    standalone_started(&m, false, 1);
    assert_int_equal(m.phase, STANDALONE_IDLE); /* who started it hears of it */
    assert_false(m.wanted);
}

static void test_stopped_while_it_starts(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_ALWAYS);
    standalone_start_it(&m);
    standalone_saved(&m, true, 1);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_START);
    assert_true(standalone_stop_it(&m, -1, false, 2));
    standalone_started(&m, true, 3);
    assert_int_equal(m.phase, STANDALONE_STOP);
}

static void test_remove(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_NO);
    standalone_start_it(&m);
    settle(&m, 1);
    assert_false(standalone_remove_it(&m, false));
    assert_int_equal(m.phase, STANDALONE_RUN);
    assert_true(standalone_remove_it(&m, true));
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_REMOVE);
    standalone_removed(&m, false, 1);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_NONE);
    assert_int_equal(standalone_next(&m, m.due_ms), STANDALONE_WORK_REMOVE);
    standalone_removed(&m, true, 5000);
    assert_int_equal(m.phase, STANDALONE_GONE);
    assert_false(standalone_start_it(&m));

    /* One that is being started goes as soon as it was. */
    m = machine(STANDALONE_NO);
    standalone_start_it(&m);
    standalone_saved(&m, true, 1);
    assert_int_equal(standalone_next(&m, 1), STANDALONE_WORK_START);
    assert_false(standalone_remove_it(&m, false));
    assert_true(standalone_remove_it(&m, true));
    standalone_started(&m, true, 1);
    assert_int_equal(m.phase, STANDALONE_REMOVE);
}

static void test_removed_when_it_ended(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_NO);
    m.auto_remove = true;
    settle(&m, 1);
    assert_int_equal(m.phase, STANDALONE_IDLE); /* it never ran */
    standalone_start_it(&m);
    settle(&m, 1);
    exits(&m, 0, 2);
    assert_int_equal(settle(&m, 2), STANDALONE_WORK_REMOVE);
    assert_int_equal(m.phase, STANDALONE_GONE);

    /* Whoever waits for its end has a minute to look at it. */
    m = machine(STANDALONE_NO);
    m.auto_remove = m.held = true;
    standalone_start_it(&m);
    settle(&m, 1);
    exits(&m, 0, 2);
    assert_int_equal(settle(&m, 60001), STANDALONE_WORK_SAVE);
    assert_int_equal(settle(&m, 60002), STANDALONE_WORK_REMOVE);
}

/* What a daemon does with what it finds, by policy, wish and state. */
static void test_adopt(void **state)
{
    (void)state;
    static const struct {
        enum standalone_policy policy;
        bool wanted;
        enum container_status status;
        int code;
        enum standalone_phase phase;
    } cases[] = {
        {STANDALONE_NO, true, CONTAINER_RUNNING, 0, STANDALONE_RUN},
        {STANDALONE_ALWAYS, true, CONTAINER_RUNNING, 0, STANDALONE_RUN},
        /* A stop that was under way goes on. */
        {STANDALONE_ALWAYS, false, CONTAINER_RUNNING, 0, STANDALONE_STOP},
        /* It ended while nobody looked. */
        {STANDALONE_NO, true, CONTAINER_EXITED, 1, STANDALONE_IDLE},
        {STANDALONE_ON_FAILURE, true, CONTAINER_EXITED, 0, STANDALONE_IDLE},
        {STANDALONE_ON_FAILURE, true, CONTAINER_EXITED, 1, STANDALONE_DELAY},
        {STANDALONE_ALWAYS, true, CONTAINER_EXITED, 0, STANDALONE_DELAY},
        /* The machine went down under it. */
        {STANDALONE_NO, true, CONTAINER_SHIM_LOST, 0, STANDALONE_IDLE},
        {STANDALONE_ON_FAILURE, true, CONTAINER_SHIM_LOST, 0, STANDALONE_START},
        {STANDALONE_ALWAYS, true, CONTAINER_CREATED, 0, STANDALONE_START},
        {STANDALONE_UNLESS_STOPPED, true, CONTAINER_CREATED, 0, STANDALONE_START},
        /* Stopped by hand: it stays so. */
        {STANDALONE_ALWAYS, false, CONTAINER_EXITED, 143, STANDALONE_IDLE},
        {STANDALONE_ALWAYS, false, CONTAINER_CREATED, 0, STANDALONE_IDLE},
        {STANDALONE_UNLESS_STOPPED, false, CONTAINER_SHIM_LOST, 0, STANDALONE_IDLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct standalone_machine m = machine(cases[i].policy);
        struct container_state found = state_of(cases[i].status, cases[i].code);
        m.wanted = cases[i].wanted;
        standalone_adopt(&m, &found, 5);
        assert_int_equal(m.phase, cases[i].phase);
        settle(&m, 5);
        assert_false(m.unsaved);
    }
}

static void test_a_lost_shim_is_a_failure(void **state)
{
    (void)state;
    struct standalone_machine m = machine(STANDALONE_ON_FAILURE);
    struct container_state lost = state_of(CONTAINER_SHIM_LOST, 0);
    standalone_start_it(&m);
    settle(&m, 1);
    standalone_looked(&m, &lost, 2);
    assert_int_equal(m.phase, STANDALONE_DELAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_is_saved_first),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_backoff_doubles_and_is_reset),
        cmocka_unit_test(test_retries_have_an_end),
        cmocka_unit_test(test_stop_signals_then_kills),
        cmocka_unit_test(test_stop_goes_on_when_it_cannot_be_saved),
        cmocka_unit_test(test_start_that_cannot_be_saved_is_given_up),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_start_by_hand_that_fails),
        cmocka_unit_test(test_stopped_while_it_starts),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_removed_when_it_ended),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_a_lost_shim_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
