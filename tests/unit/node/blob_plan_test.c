/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/blob_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    PIECES = 40,
};

static const int64_t size = (int64_t)PIECES * BLOB_PIECE - 1000;
static struct blob_plan plan;

static int setup(void **state)
{
    (void)state;
    blob_plan_init(&plan, size, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    blob_plan_release(&plan);
    return 0;
}

static struct blob_question must_ask(int64_t now_ms)
{
    struct blob_question q;
    assert_true(blob_plan_next(&plan, now_ms, &q));
    return q;
}

static void must_not_ask(int64_t now_ms)
{
    struct blob_question q;
    assert_false(blob_plan_next(&plan, now_ms, &q));
}

static struct blob_place must_take(uint64_t tag)
{
    struct blob_place place;
    assert_true(blob_plan_done(&plan, tag, &place));
    return place;
}

/* Ask and take until it is whole; every byte comes once. Returns how many questions it took. */
static int run_to_end(int64_t now_ms)
{
    int asked = 0;
    struct blob_question q;
    while (!blob_plan_is_whole(&plan)) {
        assert_true(blob_plan_next(&plan, now_ms, &q));
        asked++;
        struct blob_place place = must_take(q.tag);
        assert_int_equal(place.offset, q.offset);
        assert_int_equal(place.len, q.len);
    }
    return asked;
}

static void every_piece_is_asked_for_once(void **state)
{
    (void)state;
    blob_plan_add(&plan, 2);
    blob_plan_add(&plan, 3);
    blob_plan_add(&plan, 2);
    assert_int_equal(plan.peers_n, 2);
    assert_int_equal(run_to_end(0), PIECES);
    assert_int_equal(blob_plan_bytes(&plan), size);
    assert_int_equal(blob_plan_prefix(&plan), size);
    assert_int_equal(plan.peers[0].bytes + plan.peers[1].bytes, size);
    assert_in_range(plan.peers[0].bytes, size / 3, size * 2 / 3);
    must_not_ask(0);
}

static void the_last_piece_is_what_is_left(void **state)
{
    (void)state;
    int64_t asked = 0;
    blob_plan_add(&plan, 2);
    while (!blob_plan_is_whole(&plan)) {
        struct blob_question q = must_ask(0);
        assert_int_equal(blob_plan_expects(&plan, q.tag), q.len);
        asked += (int64_t)q.len;
        assert_true(q.offset + (int64_t)q.len <= size);
        must_take(q.tag);
        assert_int_equal(blob_plan_expects(&plan, q.tag), 0);
    }
    assert_int_equal(asked, size);
}

static void so_many_are_on_their_way(void **state)
{
    (void)state;
    blob_plan_add(&plan, 2);
    for (int i = 0; i < BLOB_PEER_FLIGHT; i++)
        assert_int_equal(must_ask(0).to, 2);
    must_not_ask(0);
    for (int64_t id = 3; id < 10; id++)
        blob_plan_add(&plan, id);
    for (int i = BLOB_PEER_FLIGHT; i < BLOB_FLIGHT; i++)
        assert_int_not_equal(must_ask(0).to, 2);
    must_not_ask(0);
}

static void a_fast_member_gives_more(void **state)
{
    (void)state;
    struct blob_question slow[BLOB_PEER_FLIGHT];
    size_t slow_n = 0;
    int64_t fast_bytes = 0;
    struct blob_question q;
    blob_plan_add(&plan, 2);
    blob_plan_add(&plan, 3);
    while (blob_plan_next(&plan, 0, &q)) {
        if (q.to == 3) {
            fast_bytes += (int64_t)must_take(q.tag).len;
            continue;
        }
        assert_true(slow_n < ARRAY_SIZE(slow));
        slow[slow_n++] = q;
    }
    assert_true(slow_n > 0);
    assert_true(fast_bytes + (int64_t)slow_n * BLOB_PIECE >= size);
    for (size_t i = 0; i < slow_n; i++)
        must_take(slow[i].tag);
    assert_true(blob_plan_is_whole(&plan));
}

static void what_was_here_is_not_asked_for(void **state)
{
    (void)state;
    blob_plan_release(&plan);
    blob_plan_init(&plan, size, 5 * (int64_t)BLOB_PIECE + 17);
    assert_int_equal(blob_plan_prefix(&plan), 5 * (int64_t)BLOB_PIECE);
    blob_plan_add(&plan, 2);
    assert_int_equal(must_ask(0).offset, 5 * (int64_t)BLOB_PIECE);
    blob_plan_release(&plan);
    blob_plan_init(&plan, size, size);
    assert_true(blob_plan_is_whole(&plan));
    blob_plan_release(&plan);
    blob_plan_init(&plan, 0, 0);
    assert_true(blob_plan_is_whole(&plan));
    assert_int_equal(blob_plan_bytes(&plan), 0);
}

static void one_that_goes_leaves_its_pieces_to_the_others(void **state)
{
    (void)state;
    blob_plan_add(&plan, 2);
    blob_plan_add(&plan, 3);
    struct blob_question q = must_ask(0);
    struct blob_question other = must_ask(0);
    assert_int_not_equal(q.to, other.to);
    blob_plan_failed(&plan, q.tag, BLOB_GONE, 0);
    assert_false(blob_plan_is_stuck(&plan));
    struct blob_question again = must_ask(0);
    assert_int_equal(again.to, other.to);
    assert_int_equal(again.offset, q.offset);
    /* A late answer of the first counts no more. */
    struct blob_place place;
    assert_false(blob_plan_done(&plan, q.tag, &place));
    blob_plan_failed(&plan, other.tag, BLOB_GONE, 0);
    assert_true(blob_plan_is_stuck(&plan));
    must_not_ask(100000);
    /* It was left out, and stays so. */
    blob_plan_add(&plan, 2);
    assert_true(blob_plan_is_stuck(&plan));
    blob_plan_add(&plan, 4);
    assert_false(blob_plan_is_stuck(&plan));
}

static void a_busy_one_is_asked_later(void **state)
{
    (void)state;
    blob_plan_add(&plan, 2);
    for (int i = 0; i < 100; i++) {
        int64_t now_ms = i * BLOB_PAUSE_MS;
        blob_plan_failed(&plan, must_ask(now_ms).tag, BLOB_BUSY, now_ms);
        must_not_ask(now_ms + BLOB_PAUSE_MS - 1);
    }
    assert_false(blob_plan_is_stuck(&plan));
}

static void one_that_does_not_answer_is_left_out(void **state)
{
    (void)state;
    int64_t now_ms = 1000;
    blob_plan_add(&plan, 2);
    for (int i = 0; i < BLOB_PEER_FLIGHT; i++)
        must_ask(now_ms);
    blob_plan_expire(&plan, now_ms + BLOB_PATIENCE_MS - 1);
    must_not_ask(now_ms + BLOB_PATIENCE_MS - 1);
    /* All that were on their way together count once; then it gets one at a time. */
    for (int strike = 1; strike <= BLOB_STRIKES; strike++) {
        assert_false(blob_plan_is_stuck(&plan));
        now_ms += BLOB_PATIENCE_MS;
        blob_plan_expire(&plan, now_ms);
        if (strike == BLOB_STRIKES)
            break;
        now_ms += BLOB_PAUSE_MS;
        must_ask(now_ms);
        must_not_ask(now_ms);
    }
    assert_true(blob_plan_is_stuck(&plan));
}

static void an_answer_forgives(void **state)
{
    (void)state;
    int64_t now_ms = 0;
    blob_plan_add(&plan, 2);
    for (int i = 0; i < 3 * BLOB_STRIKES; i++) {
        blob_plan_failed(&plan, must_ask(now_ms).tag, BLOB_LOST, now_ms);
        now_ms += BLOB_PAUSE_MS;
        must_take(must_ask(now_ms).tag);
        now_ms++;
    }
    assert_false(blob_plan_is_stuck(&plan));
}

static void at_the_end_a_slow_piece_is_asked_of_another(void **state)
{
    (void)state;
    blob_plan_add(&plan, 2);
    struct blob_question slow = must_ask(0);
    blob_plan_add(&plan, 3);
    struct blob_question q;
    while (blob_plan_next(&plan, 0, &q))
        must_take(q.tag);
    must_not_ask(BLOB_AGAIN_MS - 1);
    q = must_ask(BLOB_AGAIN_MS);
    assert_int_equal(q.to, 3);
    assert_int_equal(q.offset, slow.offset);
    must_not_ask(BLOB_AGAIN_MS);
    must_take(q.tag);
    assert_true(blob_plan_is_whole(&plan));
    struct blob_place place;
    assert_false(blob_plan_done(&plan, slow.tag, &place));
}

static void who_sent_what_is_known(void **state)
{
    (void)state;
    blob_plan_add(&plan, 2);
    run_to_end(0);
    assert_int_equal(blob_plan_only_origin(&plan), 2);
    blob_plan_ban(&plan, 2);
    assert_int_equal(blob_plan_bytes(&plan), 0);
    assert_true(blob_plan_is_stuck(&plan));
    blob_plan_add(&plan, 3);
    struct blob_question q = must_ask(0);
    assert_int_equal(q.to, 3);
    assert_int_equal(must_take(q.tag).before, 2);
    run_to_end(0);
    assert_int_equal(blob_plan_only_origin(&plan), 3);
}

static void in_a_solo_one_sends_what_is_not_its_own(void **state)
{
    (void)state;
    struct blob_question q;
    blob_plan_add(&plan, 2);
    blob_plan_add(&plan, 3);
    run_to_end(0);
    assert_int_equal(blob_plan_only_origin(&plan), 0);
    int64_t of_two = plan.peers[0].bytes;
    int64_t best = blob_plan_solo(&plan);
    assert_int_equal(best, plan.peers[1].bytes > of_two ? 3 : 2);
    int64_t other = 5 - best;
    int64_t asked = 0;
    while (!blob_plan_is_whole(&plan)) {
        q = must_ask(0);
        assert_int_equal(q.to, best);
        struct blob_place place = must_take(q.tag);
        assert_int_equal(place.before, other);
        asked += (int64_t)place.len;
    }
    assert_int_equal(asked, best == 2 ? size - of_two : of_two);
    assert_int_equal(blob_plan_only_origin(&plan), best);
    /* It was wrong: the other one is asked for everything. */
    blob_plan_ban(&plan, best);
    assert_int_equal(run_to_end(0), PIECES);
    assert_int_equal(blob_plan_only_origin(&plan), other);
}

static void what_was_here_before_is_nobodys(void **state)
{
    (void)state;
    blob_plan_release(&plan);
    blob_plan_init(&plan, size, 3 * (int64_t)BLOB_PIECE);
    blob_plan_add(&plan, 2);
    run_to_end(0);
    assert_int_equal(blob_plan_only_origin(&plan), 0);
    assert_int_equal(blob_plan_solo(&plan), 2);
    assert_int_equal(must_take(must_ask(0).tag).before, 0);
    assert_int_equal(run_to_end(0), 2);
    assert_int_equal(blob_plan_only_origin(&plan), 2);
}

/* Whatever happens in whatever order, it ends whole or stuck, and the counts are right. */
static void any_order_of_events(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct blob_question out[BLOB_FLIGHT];
        size_t n = 0;
        int64_t now_ms = 0;
        srand(seed);
        blob_plan_release(&plan);
        blob_plan_init(&plan, size, rand() % 3 ? 0 : rand() % size);
        for (int64_t id = 2; id < 2 + 1 + rand() % 5; id++)
            blob_plan_add(&plan, id);
        for (int step = 0; step < 20000; step++) {
            struct blob_question q;
            struct blob_place place;
            if (blob_plan_is_whole(&plan) || blob_plan_is_stuck(&plan))
                break;
            now_ms += rand() % 200;
            while (n < BLOB_FLIGHT && blob_plan_next(&plan, now_ms, &q))
                out[n++] = q;
            if (rand() % 50 == 0)
                blob_plan_expire(&plan, now_ms);
            if (n == 0)
                continue;
            size_t i = (size_t)rand() % n;
            q = out[i];
            out[i] = out[--n];
            int what = rand() % 40;
            if (what > 2)
                blob_plan_done(&plan, q.tag, &place);
            else
                blob_plan_failed(&plan, q.tag, (enum blob_failure)what, now_ms);
        }
        assert_true(blob_plan_is_whole(&plan) || blob_plan_is_stuck(&plan));
        size_t done = 0;
        for (size_t i = 0; i < plan.pieces_n; i++)
            done += plan.pieces[i].done;
        assert_int_equal(done, plan.done_n);
        assert_int_equal(blob_plan_is_whole(&plan), blob_plan_bytes(&plan) == size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_piece_is_asked_for_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_piece_is_what_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many_are_on_their_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fast_member_gives_more, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_here_is_not_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_goes_leaves_its_pieces_to_the_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_busy_one_is_asked_later, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_does_not_answer_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_forgives, setup, teardown),
        cmocka_unit_test_setup_teardown(at_the_end_a_slow_piece_is_asked_of_another, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_sent_what_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(in_a_solo_one_sends_what_is_not_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_here_before_is_nobodys, setup, teardown),
        cmocka_unit_test_setup_teardown(any_order_of_events, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
