/* SPDX-License-Identifier: Apache-2.0 */
/* What consensus does when all goes well, and its refusals. */
#include "consensus_world.h"

static int set_up(void **state)
{
    *state = world_new("consensus");
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void test_a_single_member_writes_and_restarts(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    member_found(m);
    assert_int_equal(m->leader, 1);
    member_write(m, 10);
    assert_int_equal(member_tokens(m), 10);
    member_stop(m);
    member_start(m, true); /* bootstrapped already: fine */
    WORLD_UNTIL(w, m->ready);
    assert_int_equal(member_tokens(m), 10);
    member_write(m, 1);
}

static void test_three_members_agree(void **state)
{
    struct world *w = *state;
    world_form(w);
    member_write(&w->members[1], 50);
    struct consensus_member members[8];
    assert_int_equal(consensus_members(w->members[3].consensus, members, 8), 3);
    assert_int_equal(members[2].role, ROLE_VOTER);
    int64_t index = store_index(w->members[1].store);
    unsigned char digest[2][DIGEST_BYTES];
    store_digest(w->members[1].store, digest[0]);
    for (int id = 2; id <= 3; id++) {
        WORLD_UNTIL(w, store_index(w->members[id].store) == index);
        store_digest(w->members[id].store, digest[1]);
        assert_memory_equal(digest[0], digest[1], DIGEST_BYTES);
        assert_int_equal(consensus_leader(w->members[id].consensus), 1);
    }
}

static void test_who_does_not_lead_refuses(void **state)
{
    struct world *w = *state;
    struct outcome o = {0};
    world_form(w);
    member_propose(&w->members[2], &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_NOTLEADER);
    o = (struct outcome){0};
    consensus_add(w->members[2].consensus, 4, on_change_outcome, &o);
    assert_false(o.done);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_NOTLEADER);
    assert_int_equal(consensus_transfer(w->members[2].consensus), ERR_NOTLEADER);
}

static void test_many_proposals_of_one_turn_are_few_entries(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    enum {
        N = 3000
    };
    struct outcome *o = mem_alloc(N, sizeof(*o));
    member_found(m);
    int64_t before = store_index(m->store);
    for (int i = 0; i < N; i++)
        member_propose(m, &o[i]);
    for (int i = 0; i < N; i++) {
        WORLD_UNTIL(w, o[i].done);
        assert_int_equal(o[i].code, 0);
        assert_int_equal(o[i].result.err.code, 0);
    }
    assert_in_range(store_index(m->store) - before, 3, 8);
    free(o);
}

static void propose_spec(struct member *m, size_t bytes, struct outcome *o)
{
    char *name = mem_alloc(1, bytes + 1);
    memset(name, 'x', bytes);
    struct change_stack_remove body = {.name = name};
    struct change change = {.kind = CHANGE_STACK_REMOVE, .body = &body};
    *o = (struct outcome){0};
    consensus_propose(m->consensus, &change, on_outcome, o);
    free(name);
}

static void test_an_entry_of_a_mebibyte_arrives_and_a_larger_one_is_refused(void **state)
{
    struct world *w = *state;
    struct outcome o;
    world_form(w);
    propose_spec(&w->members[1], BATCH_BYTES_MAX, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_TOOBIG);
    for (int i = 0; i < 5; i++) {
        propose_spec(&w->members[1], BATCH_BYTES_MAX - 64, &o);
        WORLD_UNTIL(w, o.done);
        assert_int_equal(o.code, 0);
        assert_int_not_equal(o.result.err.code, 0);
    }
    int64_t index = store_index(w->members[1].store);
    for (int id = 1; id <= 3; id++)
        WORLD_UNTIL(w, store_index(w->members[id].store) == index);
    for (int id = 1; id <= 3; id++)
        member_stop(&w->members[id]);
    for (int id = 1; id <= 3; id++)
        member_start(&w->members[id], false);
    for (int id = 1; id <= 3; id++)
        WORLD_UNTIL(w, store_index(w->members[id].store) >= index);
}

static void test_leadership_is_handed_over(void **state)
{
    struct world *w = *state;
    world_form(w);
    assert_int_equal(consensus_transfer(w->members[1].consensus), 0);
    WORLD_UNTIL(w, w->members[2].ready || w->members[3].ready);
    WORLD_UNTIL(w, w->members[1].leader > 1);
    assert_false(w->members[1].ready);
}

static void test_a_cut_leader_steps_down_and_its_proposal_is_unknown(void **state)
{
    struct world *w = *state;
    struct outcome o;
    world_form(w);
    w->members[1].cut = true;
    member_propose(&w->members[1], &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_UNKNOWN);
    WORLD_UNTIL(w, w->members[2].ready || w->members[3].ready);
    assert_false(w->members[1].ready);
    w->members[1].cut = false;
    struct member *leader = &w->members[w->members[2].ready ? 2 : 3];
    member_write(leader, 5);
    WORLD_UNTIL(w, member_tokens(&w->members[1]) == 5);
}

static void test_membership_errors(void **state)
{
    struct world *w = *state;
    struct consensus *c;
    struct outcome o = {0}, other = {0};
    world_form(w);
    c = w->members[1].consensus;
    consensus_add(c, 3, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_EXISTS);
    o.done = false;
    consensus_assign(c, 9, ROLE_VOTER, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_NOTFOUND);
    o.done = false;
    consensus_remove(c, 9, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_NOTFOUND);
    o.done = false;
    consensus_assign(c, 2, ROLE_VOTER, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0); /* it is one */
    o.done = false;
    consensus_add(c, 4, on_change_outcome, &o);
    consensus_remove(c, 2, on_change_outcome, &other);
    WORLD_UNTIL(w, o.done && other.done);
    assert_int_equal(o.code, 0);
    assert_int_equal(other.code, ERR_BUSY);
    /* 4 does not run: it cannot catch up; what failed leaves nothing behind. */
    o.done = false;
    consensus_assign(c, 4, ROLE_VOTER, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, ERR_TIMEOUT);
    o.done = false;
    consensus_remove(c, 4, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0);
    assert_int_equal(consensus_members(c, NULL, 0), 3);
}

static void test_a_fourth_member_catches_up_by_snapshot(void **state)
{
    struct world *w = *state;
    struct outcome o = {0};
    for (int id = 1; id <= 4; id++) {
        w->members[id].threshold = 50;
        w->members[id].trailing = 10;
    }
    world_form(w);
    member_write(&w->members[1], 200);
    member_start(&w->members[4], false);
    consensus_add(w->members[1].consensus, 4, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    o.done = false;
    consensus_assign(w->members[1].consensus, 4, ROLE_STANDBY, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    WORLD_UNTIL(w, member_tokens(&w->members[4]) == 200);
    unsigned char digest[2][DIGEST_BYTES];
    WORLD_UNTIL(w, store_index(w->members[4].store) == store_index(w->members[1].store));
    store_digest(w->members[1].store, digest[0]);
    store_digest(w->members[4].store, digest[1]);
    assert_memory_equal(digest[0], digest[1], DIGEST_BYTES);
    /* And all of them start again from their snapshots. */
    for (int id = 1; id <= 4; id++)
        member_stop(&w->members[id]);
    for (int id = 1; id <= 4; id++)
        member_start(&w->members[id], false);
    for (int id = 1; id <= 4; id++)
        WORLD_UNTIL(w, member_tokens(&w->members[id]) == 200);
}

static void test_a_stop_answers_all(void **state)
{
    struct world *w = *state;
    struct outcome flying, waiting, change = {0};
    world_form(w);
    w->members[2].cut = w->members[3].cut = true;
    member_propose(&w->members[1], &flying);
    world_step(w);
    world_step(w);
    member_propose(&w->members[1], &waiting);
    consensus_stop(w->members[1].consensus, world_on_stopped, &w->members[1]);
    consensus_remove(w->members[1].consensus, 2, on_change_outcome, &change);
    WORLD_UNTIL(w, w->members[1].stopped);
    store_free(steal(&w->members[1].store));
    assert_true(flying.done && waiting.done && change.done);
    assert_int_equal(flying.code, ERR_UNKNOWN);
    assert_int_equal(waiting.code, ERR_CANCELED);
    assert_int_equal(change.code, ERR_CANCELED);
}

static void change_membership(struct world *w,
                              void (*change)(struct consensus *, int64_t, consensus_change_cb,
                                             void *),
                              int64_t id)
{
    struct outcome o = {0};
    change(w->members[1].consensus, id, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0);
}

/* Member 3 loses its log; under its node id it goes on as raft's member 7. */
static void test_a_node_with_a_new_raft_id(void **state)
{
    struct world *w = *state;
    struct member *one = &w->members[1], *three = &w->members[3];
    struct consensus_ids ids = {.node_id = 3, .raft_id = 7};
    struct consensus_member members[8];
    struct outcome o = {0};
    struct err err;
    world_form(w);
    member_write(one, 10);
    member_stop(three);
    assert_int_equal(file_remove_tree(three->dir, &err), 0);
    consensus_set_ids(one->consensus, &ids, 1);
    consensus_set_ids(w->members[2].consensus, &ids, 1);
    /* The old one is spoken of as the negative of its raft id. */
    assert_int_equal(consensus_members(one->consensus, members, 8), 3);
    assert_int_equal(members[2].id, -3);
    three->raft_id = 7;
    member_start(three, false);
    change_membership(w, consensus_remove, -3);
    change_membership(w, consensus_add, 3);
    consensus_assign(one->consensus, 3, ROLE_VOTER, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0);
    member_write(one, 10);
    WORLD_UNTIL(w, member_tokens(three) == 20);
    assert_int_equal(consensus_members(three->consensus, members, 8), 3);
    assert_int_equal(members[2].id, 3);
    assert_int_equal(members[2].role, ROLE_VOTER);
    assert_int_equal(three->consensus->raft.id, 7);
    assert_int_equal(three->leader, 1);
    /* It may lead, and all call it by the node's id. */
    assert_int_equal(consensus_transfer_to(one->consensus, 3), 0);
    WORLD_UNTIL(w, three->ready && one->leader == 3 && w->members[2].leader == 3);
    member_write(three, 5);
    /* The folder is that of raft's member 7 for good. */
    member_stop(three);
    three->raft_id = 0;
    assert_int_equal(member_try_start(three, false, &err), ERR_CORRUPT);
    three->raft_id = 7;
    member_start(three, false);
    WORLD_UNTIL(w, member_tokens(three) == 25);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_single_member_writes_and_restarts),
        TEST(test_three_members_agree),
        TEST(test_who_does_not_lead_refuses),
        TEST(test_many_proposals_of_one_turn_are_few_entries),
        TEST(test_an_entry_of_a_mebibyte_arrives_and_a_larger_one_is_refused),
        TEST(test_leadership_is_handed_over),
        TEST(test_a_cut_leader_steps_down_and_its_proposal_is_unknown),
        TEST(test_membership_errors),
        TEST(test_a_fourth_member_catches_up_by_snapshot),
        TEST(test_a_stop_answers_all),
        TEST(test_a_node_with_a_new_raft_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
