/* SPDX-License-Identifier: Apache-2.0 */
/* The checker of histories, which the tests of faults believe. */
#include "../../fault/linear_check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned random_below(uint64_t *seed, unsigned n)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(*seed >> 33) % n;
}

#define W(v, from, to)                                                                             \
    {                                                                                              \
        .is_write = true, .value = (v), .began = (from), .ended = (to)                             \
    }
#define R(v, from, to)                                                                             \
    {                                                                                              \
        .value = (v), .began = (from), .ended = (to)                                               \
    }
#define VERDICT(...)                                                                               \
    linear_check_register((struct linear_op[]){__VA_ARGS__},                                       \
                          sizeof((struct linear_op[]){__VA_ARGS__}) / sizeof(struct linear_op), 0)

static void test_what_is_linearizable(void **state)
{
    (void)state;
    assert_int_equal(linear_check_register(NULL, 0, 0), LINEAR_YES);
    assert_int_equal(VERDICT(R(0, 1, 2)), LINEAR_YES);
    assert_int_equal(VERDICT(W(1, 1, 2), R(1, 3, 4)), LINEAR_YES);
    /* While a write is under way both values may be read, the new one and then no more the old. */
    assert_int_equal(VERDICT(W(1, 1, 9), R(0, 2, 3), R(1, 4, 5)), LINEAR_YES);
    assert_int_equal(VERDICT(W(1, 1, 9), R(1, 2, 5), R(0, 3, 4)), LINEAR_YES);
    /* Two writes at once, in either order. */
    assert_int_equal(VERDICT(W(1, 1, 5), W(2, 2, 6), R(1, 7, 8)), LINEAR_YES);
    assert_int_equal(VERDICT(W(1, 1, 5), W(2, 2, 6), R(2, 7, 8)), LINEAR_YES);
    /* A write whose answer was lost: done, not done, done late. */
    assert_int_equal(VERDICT(W(1, 1, LINEAR_NEVER), R(1, 2, 3)), LINEAR_YES);
    assert_int_equal(VERDICT(W(1, 1, LINEAR_NEVER), R(0, 2, 3)), LINEAR_YES);
    assert_int_equal(VERDICT(W(1, 1, LINEAR_NEVER), R(0, 2, 3), R(1, 4, 5)), LINEAR_YES);
}

static void test_what_is_not(void **state)
{
    (void)state;
    /* Old news. */
    assert_int_equal(VERDICT(W(1, 1, 2), R(0, 3, 4)), LINEAR_NO);
    assert_int_equal(VERDICT(W(1, 1, 2), W(2, 3, 4), R(1, 5, 6)), LINEAR_NO);
    /* Back and forth. */
    assert_int_equal(VERDICT(W(1, 1, 9), R(1, 2, 3), R(0, 4, 5)), LINEAR_NO);
    assert_int_equal(VERDICT(W(1, 1, LINEAR_NEVER), R(1, 2, 3), R(0, 4, 5)), LINEAR_NO);
    /* Nobody wrote it, or not yet. */
    assert_int_equal(VERDICT(R(7, 1, 2)), LINEAR_NO);
    assert_int_equal(VERDICT(R(1, 1, 2), W(1, 3, 4)), LINEAR_NO);
    /* One write done twice, another in between. */
    assert_int_equal(VERDICT(W(1, 1, 8), W(2, 3, 4), R(1, 2, 2), R(2, 5, 5), R(1, 6, 6)),
                     LINEAR_NO);
    /* Two readers disagree about the order of two writes. */
    assert_int_equal(VERDICT(W(1, 1, 9), W(2, 1, 9), R(1, 2, 3), R(2, 4, 5), R(1, 6, 7)),
                     LINEAR_NO);
}

/* --- against trying all orders ---------------------------------------------------------------- */

enum {
    SMALL_MAX = 6,
};

/* Try all orders that respect time; operations without an answer may be left out. */
static bool try_orders(const struct linear_op *ops, size_t n, unsigned left, int64_t value)
{
    bool done = true;
    for (size_t i = 0; i < n; i++)
        done &= !(left & 1U << i) || ops[i].ended == LINEAR_NEVER;
    if (done)
        return true;
    for (size_t i = 0; i < n; i++) {
        bool first = left & 1U << i;
        for (size_t k = 0; k < n && first; k++)
            first = !(left & 1U << k) || ops[k].ended >= ops[i].began;
        if (first && (ops[i].is_write || ops[i].value == value) &&
            try_orders(ops, n, left & ~(1U << i), ops[i].value))
            return true;
    }
    return false;
}

static void test_small_histories_against_all_orders(void **state)
{
    (void)state;
    uint64_t seed = 5;
    int counts[2] = {0};
    for (int round = 0; round < 60000; round++) {
        struct linear_op ops[SMALL_MAX];
        size_t n = 1 + random_below(&seed, SMALL_MAX);
        for (size_t i = 0; i < n; i++) {
            ops[i] = (struct linear_op){.is_write = random_below(&seed, 2),
                                        .value = random_below(&seed, 3),
                                        .began = random_below(&seed, 12)};
            ops[i].ended = ops[i].began + random_below(&seed, 6);
            if (ops[i].is_write && random_below(&seed, 4) == 0)
                ops[i].ended = LINEAR_NEVER;
        }
        bool expected = try_orders(ops, n, (1U << n) - 1, 0);
        assert_int_equal(linear_check_register(ops, n, 0), expected ? LINEAR_YES : LINEAR_NO);
        counts[expected]++;
    }
    assert_true(counts[0] > 5000 && counts[1] > 5000);
}

/* --- long ones -------------------------------------------------------------------------------- */

enum {
    LONG = 600,
};

/* What a real register would have shown: each operation happens at once within its time. */
static void make_history(struct linear_op *ops, uint64_t *seed)
{
    int64_t value = 0;
    for (int i = 0; i < LONG; i++) {
        int64_t at = 10 * i;
        ops[i] = (struct linear_op){.is_write = random_below(seed, 2),
                                    .began = at - random_below(seed, 60),
                                    .ended = at + random_below(seed, 60)};
        if (ops[i].is_write)
            value = i + 1;
        ops[i].value = value;
        /* The answer is lost: it was done, or it never is. */
        if (ops[i].is_write && random_below(seed, 10) == 0) {
            ops[i].ended = LINEAR_NEVER;
            if (random_below(seed, 2))
                value = i > 0 ? ops[i - 1].value : 0;
        }
    }
}

static void test_long_histories(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (int round = 0; round < 40; round++) {
        struct linear_op ops[LONG];
        make_history(ops, &seed);
        assert_int_equal(linear_check_register(ops, LONG, 0), LINEAR_YES);
        /* One read gets what was overwritten long before. */
        int i = LONG / 2 + (int)random_below(&seed, LONG / 2);
        while (ops[i].is_write)
            i--;
        int k = i - 100;
        while (!ops[k].is_write || ops[k].ended == LINEAR_NEVER)
            k--;
        ops[i].value = ops[k].value;
        assert_int_equal(linear_check_register(ops, LONG, 0), LINEAR_NO);
    }
}

/* --- sets ------------------------------------------------------------------------------------- */

static bool set_is_fine(const struct linear_add *adds, size_t n, const struct linear_look *looks,
                        size_t looks_n)
{
    char why[200];
    return linear_check_set(adds, n, looks, looks_n, why, sizeof(why));
}

static void test_sets(void **state)
{
    (void)state;
    static const struct linear_add adds[] = {
        {1, 2, false}, {3, 20, false}, {4, LINEAR_NEVER, false}, {5, 6, true}};
    static const bool first[] = {true, false, false, false};
    static const bool both[] = {true, true, false, false};
    static const bool third[] = {true, false, true, false};
    static const bool refused[] = {true, false, false, true};
    static const bool none[4] = {false};
#define SETS(...)                                                                                  \
    set_is_fine(adds, 4, (struct linear_look[]){__VA_ARGS__},                                      \
                sizeof((struct linear_look[]){__VA_ARGS__}) / sizeof(struct linear_look))
    assert_true(SETS({first, 5, 6}));
    assert_true(SETS({first, 5, 6}, {both, 7, 8}));
    assert_true(SETS({both, 5, 8}, {first, 6, 7}));
    assert_true(SETS({third, 5, 6}));
    assert_true(SETS({none, 1, 6}));
    assert_false(SETS({none, 3, 6}));                /* an acknowledged one is missing */
    assert_false(SETS({both, 5, 6}, {first, 7, 8})); /* one is gone again */
    assert_false(SETS({first, 21, 22}));             /* acknowledged by then */
    assert_false(SETS({refused, 7, 8}));             /* it was refused */
    assert_false(SETS({both, 1, 2}));                /* not tried yet */
    assert_false(SETS({both, 5, 8}, {third, 5, 8})); /* in no order */
    assert_false(SETS({third, 5, 8}, {both, 5, 8})); /* in no order */
    assert_true(SETS({both, 30, 31}, {both, 30, 31}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_linearizable),
        cmocka_unit_test(test_what_is_not),
        cmocka_unit_test(test_small_histories_against_all_orders),
        cmocka_unit_test(test_long_histories),
        cmocka_unit_test(test_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
