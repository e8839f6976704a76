/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figure 8 of the Raft paper with three real members: a leader that counts replicas of an entry of
 * an older term lets two members apply different entries at one index.
 *
 *     1 leads, writes A to its own disk only, dies. 3 leads, writes B likewise, dies.
 *     1 leads again and gives A to 2. Is A committed now?
 *     1 dies, 3 leads by 2's vote, for B is of a later term than A, and replaces A by B.
 *
 * libraft says yes. With our barrier it says no: and while the barrier is on its way to the disk,
 * answers to what went before it do not count either.
 */
#include "world.h"

static raft_term secret_term; /* entries of this term or later do not reach member 2 */

static bool stage(struct world *w, int64_t from, int64_t to, struct raft_message *m)
{
    (void)w;
    if (m->type == RAFT_IO_REQUEST_VOTE)
        return from != 2; /* it must not win */
    if (m->type != RAFT_IO_APPEND_ENTRIES || to != 2)
        return true;
    for (unsigned i = 0; i < m->append_entries.n_entries; i++)
        if (m->append_entries.entries[i].term >= secret_term)
            return false;
    return true;
}

/* A, larger than a message: the barrier does not travel with it. */
static void propose_large(struct consensus *c, struct answer *a)
{
    size_t len = 2 * CONSENSUS_CONTROL_MAX;
    char *name = mem_alloc(1, len + 1);
    memset(name, 'a', len);
    struct change_stack_remove body = {.name = name};
    struct change change = {.kind = CHANGE_STACK_REMOVE, .body = &body};
    *a = (struct answer){0};
    consensus_propose(c, &change, on_answer, a);
    free(name);
}

static struct raft *raft_of(struct world *w, int id)
{
    return &w->members[id].consensus->raft;
}

static bool leads(struct world *w, int id)
{
    return raft_of(w, id)->state == RAFT_LEADER;
}

/* True when A was committed and is then replaced. */
static bool loses(struct consensus_hazards hazards)
{
    struct world *w = world_new(8, 3);
    struct answer a, b = {0};
    w->hazards = hazards;
    world_form(w, 3);
    raft_index index = raft_last_index(raft_of(w, 1)) + 1;
    raft_term first_term = raft_of(w, 1)->current_term;
    secret_term = first_term + 1;
    w->on_parcel = stage;

    world_cut(w, 1, 2, true);
    world_cut(w, 1, 3, true);
    propose_large(w->members[1].consensus, &a);
    WORLD_UNTIL(w, raft_of(w, 1)->last_stored == index);
    member_crash(&w->members[1], 0);

    WORLD_UNTIL(w, leads(w, 3));
    propose_token(w->members[3].consensus, 0, on_answer, &b); /* refused unless it is ready */
    WORLD_UNTIL(w, raft_of(w, 3)->last_stored >= index);
    assert_true(raft_log_term(&raft_of(w, 3)->log, index) > first_term);
    member_crash(&w->members[3], 0);

    world_cut(w, 1, 2, false);
    member_start(&w->members[1], false);
    w->members[1].disk.least_delay_ms = 10000; /* the barrier is on its way for long */
    WORLD_UNTIL(w, leads(w, 1));
    WORLD_UNTIL(w, raft_of(w, 2)->last_stored == index);
    assert_int_equal(raft_log_term(&raft_of(w, 2)->log, index), first_term); /* it has A */
    world_run(w, 30);
    assert_true(leads(w, 1));
    bool committed = raft_of(w, 1)->commit_index >= index;
    member_crash(&w->members[1], 0);

    secret_term = (raft_term)-1;
    member_start(&w->members[3], false);
    world_cut(w, 1, 3, false);
    WORLD_UNTIL(w, leads(w, 3));
    assert_true(raft_log_term(&raft_of(w, 3)->log, index) > first_term);
    /* Member 2 goes along unless it knows that A was committed. */
    w->may_fail = committed;
    WORLD_UNTIL(w, raft_log_term(&raft_of(w, 2)->log, index) > first_term || w->failed);
    w->on_parcel = NULL;
    world_free(w);
    return committed;
}

static void test_without_the_barrier_a_committed_entry_is_lost(void **state)
{
    (void)state;
    assert_true(loses((struct consensus_hazards){.no_barrier = true}));
}

static void test_without_the_hold_a_committed_entry_is_lost(void **state)
{
    (void)state;
    assert_true(loses((struct consensus_hazards){.no_hold = true}));
}

static void test_with_both_it_is_not_committed_yet(void **state)
{
    (void)state;
    assert_false(loses((struct consensus_hazards){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_the_barrier_a_committed_entry_is_lost),
        cmocka_unit_test(test_without_the_hold_a_committed_entry_is_lost),
        cmocka_unit_test(test_with_both_it_is_not_committed_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
