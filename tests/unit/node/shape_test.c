/* SPDX-License-Identifier: Apache-2.0 */
#include "node/shape.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MAX = 24,
    STEPS_MAX = 100,
};

struct shape {
    struct standing all[MAX];
    size_t n;
    int64_t self;
    int steps;
    size_t fewest_losable; /* on the way */
};

static struct standing *member(struct shape *s, bool witness, const char *place)
{
    assert_true(s->n < MAX);
    struct standing *m = &s->all[s->n++];
    *m = (struct standing){
        .id = (int64_t)s->n, .in_store = true, .up = true, .witness = witness, .place = place};
    return m;
}

static struct standing *get(struct shape *s, int64_t id)
{
    return &s->all[id - 1];
}

/* A cluster that member 1 founded. */
static void found(struct shape *s)
{
    s->self = 1;
    get(s, 1)->in_raft = true;
    get(s, 1)->role = ROLE_VOTER;
}

static size_t count(const struct shape *s, bool witnesses)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->all[i].in_raft && s->all[i].role == ROLE_VOTER && s->all[i].witness == witnesses;
    return n;
}

static size_t voters(const struct shape *s)
{
    return count(s, false) + count(s, true);
}

static bool votes(struct shape *s, int64_t id)
{
    return get(s, id)->in_raft && get(s, id)->role == ROLE_VOTER;
}

/* Raft takes a change of membership only when a majority of the voters as they will be is up. */
static void take(struct shape *s, struct shape_step step)
{
    struct standing *m = get(s, step.id);
    switch (step.kind) {
    case SHAPE_STAY:
        break;
    case SHAPE_ADD:
        assert_false(m->in_raft);
        m->in_raft = true;
        m->role = ROLE_SPARE;
        break;
    case SHAPE_REMOVE:
        assert_true(m->in_raft && !m->in_store);
        m->in_raft = false;
        break;
    case SHAPE_ASSIGN:
        assert_true(m->in_raft && m->role != step.role);
        assert_true(step.role != ROLE_VOTER || m->up);
        m->role = step.role;
        break;
    case SHAPE_TRANSFER:
        assert_true(votes(s, step.id) && step.id != s->self);
        s->self = step.id;
        break;
    }
    struct shape_strength now = shape_strength(s->all, s->n, s->self);
    assert_true(now.up >= now.quorum);
    if (now.losable < s->fewest_losable)
        s->fewest_losable = now.losable;
}

/* Step until there is nothing to do. */
static void settle(struct shape *s)
{
    s->steps = 0;
    s->fewest_losable = SIZE_MAX;
    for (;;) {
        struct shape_step step = shape_next(s->all, s->n, s->self, !get(s, s->self)->in_store);
        if (step.kind == SHAPE_STAY)
            return;
        take(s, step);
        assert_true(++s->steps < STEPS_MAX);
    }
}

static struct shape cluster(size_t full, size_t witnesses)
{
    struct shape s = {0};
    for (size_t i = 0; i < full; i++)
        member(&s, false, NULL);
    for (size_t i = 0; i < witnesses; i++)
        member(&s, true, NULL);
    found(&s);
    settle(&s);
    return s;
}

static void every_size_has_its_voters(void **state)
{
    (void)state;
    for (size_t full = 1; full <= 20; full++) {
        struct shape s = cluster(full, 0);
        size_t want = full > 5 ? 5 : full - (full + 1) % 2;
        assert_int_equal(voters(&s), want);
        assert_int_equal(shape_target(s.all, s.n), want);
        for (size_t i = 0; i < s.n; i++)
            assert_true(s.all[i].in_raft && s.all[i].role != ROLE_SPARE);
    }
}

static void witnesses_make_the_number_odd(void **state)
{
    (void)state;
    static const struct {
        size_t full, witnesses, full_voters, witness_voters;
    } cases[] = {
        {1, 1, 1, 0}, /* it could never lead: no use */
        {2, 1, 2, 1}, {2, 2, 2, 1}, {3, 1, 3, 0}, {3, 2, 3, 2}, {4, 1, 4, 1}, {5, 3, 5, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct shape s = cluster(cases[i].full, cases[i].witnesses);
        assert_int_equal(count(&s, false), cases[i].full_voters);
        assert_int_equal(count(&s, true), cases[i].witness_voters);
    }
}

static void a_full_member_takes_the_place_of_a_witness(void **state)
{
    (void)state;
    struct shape s = cluster(2, 1);
    assert_true(votes(&s, 3));
    member(&s, false, NULL);
    settle(&s);
    assert_true(votes(&s, 1) && votes(&s, 2) && votes(&s, 4));
    assert_false(votes(&s, 3));
    assert_int_equal(s.fewest_losable, 1);
}

static void a_standby_takes_over_for_a_voter_that_is_down(void **state)
{
    (void)state;
    struct shape s = cluster(4, 0);
    get(&s, 2)->up = false;
    settle(&s);
    assert_true(votes(&s, 1) && votes(&s, 3) && votes(&s, 4));
    assert_false(votes(&s, 2));
    get(&s, 2)->up = true;
    settle(&s);
    assert_int_equal(s.steps, 0); /* who is back is a standby: nothing moves */
}

static void one_that_could_not_is_left_alone(void **state)
{
    (void)state;
    struct shape s = cluster(4, 0);
    get(&s, 2)->up = false;
    get(&s, 4)->sulks = true;
    settle(&s);
    assert_true(votes(&s, 2)); /* nobody takes over: it keeps its vote */
    assert_int_equal(s.steps, 0);
}

static void nobody_falls_below_the_quorum(void **state)
{
    (void)state;
    struct shape s = cluster(5, 0);
    get(&s, 4)->up = get(&s, 5)->up = false;
    settle(&s);
    assert_int_equal(voters(&s), 5); /* as long as they are members they count */
    get(&s, 5)->in_store = false;
    settle(&s);
    assert_int_equal(voters(&s), 3);
    assert_true(votes(&s, 1) && votes(&s, 2) && votes(&s, 3));
}

static void a_leader_that_was_removed_hands_on_first(void **state)
{
    (void)state;
    struct shape s = cluster(2, 0);
    assert_int_equal(voters(&s), 1);
    get(&s, 1)->in_store = false;
    settle(&s);
    assert_int_equal(s.self, 2);
    assert_false(get(&s, 1)->in_raft);
    assert_int_equal(voters(&s), 1);
    struct shape alone = cluster(1, 0);
    get(&alone, 1)->in_store = false;
    assert_int_equal(shape_next(alone.all, alone.n, 1, true).kind, SHAPE_STAY);
}

static void a_witness_hands_on_leadership(void **state)
{
    (void)state;
    struct shape s = cluster(2, 1);
    s.self = 3;
    get(&s, 1)->up = false;
    struct shape_step step = shape_next(s.all, s.n, s.self, false);
    assert_int_equal(step.kind, SHAPE_TRANSFER);
    assert_int_equal(step.id, 2);
    /* Nobody is known to be up yet: still better than to stay. */
    get(&s, 2)->up = false;
    step = shape_next(s.all, s.n, s.self, false);
    assert_int_equal(step.kind, SHAPE_TRANSFER);
    assert_int_not_equal(step.id, 3);
}

static void leadership_is_handed_to_who_can_take_it(void **state)
{
    (void)state;
    struct shape s = cluster(3, 2);
    assert_int_equal(shape_heir(s.all, s.n, 1, 0), 2);
    assert_int_equal(shape_heir(s.all, s.n, 1, 2), 3); /* the second attempt */
    get(&s, 2)->up = false;
    assert_int_equal(shape_heir(s.all, s.n, 1, 0), 3);
    assert_int_equal(shape_heir(s.all, s.n, 1, 3), 3); /* there is only it */
    get(&s, 3)->up = false;
    assert_int_equal(shape_heir(s.all, s.n, 1, 0), 2); /* as far as we know */
    struct shape two = cluster(2, 0);
    assert_int_equal(shape_heir(two.all, two.n, 1, 0), 0); /* one that has no vote */
}

static void when_two_and_a_witness_lose_one_two_remain(void **state)
{
    (void)state;
    struct shape s = cluster(2, 1);
    for (int64_t gone = 2; gone <= 3; gone++) {
        struct shape t = s;
        get(&t, gone)->up = false;
        settle(&t);
        assert_int_equal(t.steps, 0);
        get(&t, gone)->in_store = false; /* removed for good */
        settle(&t);
        assert_int_equal(voters(&t), 1);
        assert_true(votes(&t, 1));
    }
}

static void voters_are_spread(void **state)
{
    (void)state;
    static const char *const places[] = {"a", "a", "a", "b", "c", "c"};
    struct shape s = {0};
    for (size_t i = 0; i < 4; i++)
        member(&s, false, places[i]);
    found(&s);
    settle(&s);
    assert_int_equal(voters(&s), 3);
    assert_true(votes(&s, 4)); /* two in a, one in b: never three in a */
    for (size_t i = 4; i < 6; i++)
        member(&s, false, places[i]);
    settle(&s);
    assert_int_equal(voters(&s), 5);
    assert_true(votes(&s, 4) && votes(&s, 5) && votes(&s, 6));
}

static void a_better_spread_is_reached_by_swaps(void **state)
{
    (void)state;
    struct shape s = {0};
    for (size_t i = 0; i < 8; i++)
        member(&s, false, "a");
    found(&s);
    settle(&s);
    assert_int_equal(voters(&s), 5);
    /* The label was chosen, or the machines were moved, later. */
    static const char *const places[] = {"a", "a", "a", "a", "a", "b", "b", "c"};
    for (size_t i = 0; i < 8; i++)
        s.all[i].place = places[i];
    settle(&s);
    assert_int_equal(voters(&s), 5);
    assert_true(votes(&s, 1) && votes(&s, 6) && votes(&s, 7) && votes(&s, 8));
    assert_int_equal(s.steps, 6); /* three in, three out */
    assert_int_equal(s.fewest_losable, 2);
    settle(&s);
    assert_int_equal(s.steps, 0);
}

static void a_witness_in_a_place_of_its_own_is_better_spread(void **state)
{
    (void)state;
    struct shape s = {0};
    member(&s, false, "a");
    member(&s, false, "a");
    member(&s, false, "b");
    member(&s, true, "c");
    found(&s);
    settle(&s);
    assert_true(votes(&s, 1) && votes(&s, 3) && votes(&s, 4));
    assert_false(votes(&s, 2));
}

static void nothing_is_swapped_while_a_voter_is_down(void **state)
{
    (void)state;
    struct shape s = {0};
    for (size_t i = 0; i < 3; i++)
        member(&s, false, "a");
    found(&s);
    settle(&s);
    member(&s, false, "b");
    get(&s, 4)->in_raft = true;
    get(&s, 4)->sulks = true;
    get(&s, 3)->up = false;
    settle(&s);
    assert_int_equal(s.steps, 0);
}

static void what_a_loss_leaves(void **state)
{
    (void)state;
    struct shape three = cluster(3, 0);
    struct shape_strength now = shape_strength(three.all, three.n, 1);
    assert_int_equal(now.voters, 3);
    assert_int_equal(now.quorum, 2);
    assert_int_equal(now.losable, 1);
    struct shape_strength after = shape_without(three.all, three.n, 1, 3);
    assert_int_equal(after.voters, 1);
    assert_int_equal(after.losable, 0);
    struct shape four = cluster(4, 0);
    assert_int_equal(shape_without(four.all, four.n, 1, 2).losable, 1);
    struct shape six = cluster(6, 0);
    assert_int_equal(shape_strength(six.all, six.n, 1).losable, 2);
    assert_int_equal(shape_without(six.all, six.n, 1, 2).losable, 2);
    struct shape witnessed = cluster(2, 1);
    assert_int_equal(shape_strength(witnessed.all, witnessed.n, 1).losable, 1);
    assert_int_equal(shape_without(witnessed.all, witnessed.n, 1, 3).losable, 0);
    /* Of three one is down: without another one no change is possible any more. */
    get(&three, 3)->up = false;
    after = shape_without(three.all, three.n, 1, 2);
    assert_int_equal(after.voters, 2);
    assert_true(after.up < after.quorum);
    /* Without the one that is down it is no worse than before. */
    assert_int_equal(shape_without(three.all, three.n, 1, 3).losable, 0);
    assert_true(shape_without(three.all, three.n, 1, 3).up >= 1);
}

/* Members come, go, die and come back in any order: raft never stands without a quorum by our own
 * doing, and what is quiet has the shape it should have. */
static void random_lives(void **state)
{
    (void)state;
    static const char *const places[] = {"a", "b", "c", NULL};
    for (unsigned seed = 1; seed <= 2000; seed++) {
        unsigned r = seed;
        struct shape s = {0};
        member(&s, false, "a");
        found(&s);
        for (int i = 0; i < 60; i++) {
            int64_t id = 1 + rand_r(&r) % (int)s.n;
            struct shape_strength now = shape_strength(s.all, s.n, s.self);
            switch (rand_r(&r) % 4) {
            case 0:
                if (s.n < MAX)
                    member(&s, rand_r(&r) % 4 == 0, places[rand_r(&r) % 4]);
                break;
            case 1:
                if (id != s.self && (!votes(&s, id) || now.losable > 0))
                    get(&s, id)->up = false;
                break;
            case 2:
                get(&s, id)->up = get(&s, id)->in_store;
                break;
            case 3:
                if (id != s.self && now.losable > 0) {
                    get(&s, id)->up = false;
                    get(&s, id)->in_store = false;
                }
                break;
            }
            settle(&s);
            size_t target = shape_target(s.all, s.n);
            now = shape_strength(s.all, s.n, s.self);
            assert_true(now.up <= target);
            /* Witnesses that are up are no majority, unless each is needed. */
            size_t leaders = 0;
            for (size_t k = 0; k < s.n; k++)
                leaders += votes(&s, s.all[k].id) && s.all[k].up && !s.all[k].witness;
            assert_true(now.up - leaders <= leaders || now.losable == 0);
            /* Where voters are missing nobody who is up and can lead has no vote. */
            for (size_t k = 0; now.up < target && k < s.n; k++)
                assert_true(!s.all[k].in_store || !s.all[k].up || s.all[k].witness ||
                            votes(&s, s.all[k].id));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_has_its_voters),
        cmocka_unit_test(witnesses_make_the_number_odd),
        cmocka_unit_test(a_full_member_takes_the_place_of_a_witness),
        cmocka_unit_test(a_standby_takes_over_for_a_voter_that_is_down),
        cmocka_unit_test(one_that_could_not_is_left_alone),
        cmocka_unit_test(nobody_falls_below_the_quorum),
        cmocka_unit_test(a_leader_that_was_removed_hands_on_first),
        cmocka_unit_test(a_witness_hands_on_leadership),
        cmocka_unit_test(leadership_is_handed_to_who_can_take_it),
        cmocka_unit_test(when_two_and_a_witness_lose_one_two_remain),
        cmocka_unit_test(voters_are_spread),
        cmocka_unit_test(a_better_spread_is_reached_by_swaps),
        cmocka_unit_test(a_witness_in_a_place_of_its_own_is_better_spread),
        cmocka_unit_test(nothing_is_swapped_while_a_voter_is_down),
        cmocka_unit_test(what_a_loss_leaves),
        cmocka_unit_test(random_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
