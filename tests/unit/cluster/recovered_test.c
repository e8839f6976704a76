/* SPDX-License-Identifier: Apache-2.0 */
/* A lost quorum: one member goes on alone, and those that come back with their old logs can neither
 * disturb it nor go on by themselves once they hear of it. */
#include "cluster/epoch.h"
#include "consensus_world.h"

static int set_up(void **state)
{
    *state = world_new("recover");
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void stop_all(struct world *w)
{
    for (int id = 1; id <= 3; id++)
        member_stop(&w->members[id]);
}

/* Members 1 to 3 with @n tokens on all of them, stopped. */
static void form_and_stop(struct world *w, int n)
{
    world_form(w);
    member_write(&w->members[1], n);
    for (int id = 1; id <= 3; id++)
        WORLD_UNTIL(w, member_tokens(&w->members[id]) == n);
    stop_all(w);
}

static void recover(struct member *m)
{
    m->recover = true;
    member_start(m, false);
    m->recover = false;
    WORLD_UNTIL(m->world, m->ready);
}

static void one_member_goes_on_with_all_that_was_acknowledged(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[2];
    form_and_stop(w, 10);
    recover(m);
    assert_true(consensus_epoch(m->consensus) > 0);
    assert_int_equal(member_tokens(m), 10);
    member_write(m, 5);
    /* It stays so without being asked again. */
    int64_t epoch = consensus_epoch(m->consensus);
    member_stop(m);
    member_start(m, false);
    WORLD_UNTIL(w, m->ready);
    assert_int_equal(consensus_epoch(m->consensus), epoch);
    assert_int_equal(member_tokens(m), 15);
}

static void old_logs_are_cut_off(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[2];
    form_and_stop(w, 10);
    recover(m);
    member_write(m, 5);
    int64_t term = consensus_term(m->consensus);
    /* Both others, which would have a majority of the old configuration. */
    member_start(&w->members[1], false);
    member_start(&w->members[3], false);
    WORLD_UNTIL(w, consensus_is_cut_off(w->members[1].consensus) &&
                       consensus_is_cut_off(w->members[3].consensus));
    world_run_ms(w, 1000); /* several election times: nobody leads there, we still do */
    assert_int_equal(consensus_leader(w->members[1].consensus), 0);
    assert_int_equal(consensus_leader(w->members[3].consensus), 0);
    assert_true(consensus_is_ready(m->consensus));
    assert_int_equal(consensus_term(m->consensus), term);
    member_write(m, 5);
    assert_int_equal(member_tokens(m), 20);
    /* They remember, also when they cannot reach us. */
    member_stop(&w->members[1]);
    member_stop(&w->members[3]);
    m->cut = true;
    member_start(&w->members[1], false);
    member_start(&w->members[3], false);
    assert_true(consensus_is_cut_off(w->members[1].consensus));
    world_run_ms(w, 1000);
    assert_int_equal(consensus_leader(w->members[1].consensus), 0);
    assert_int_equal(consensus_leader(w->members[3].consensus), 0);
}

static void a_cut_off_member_cannot_be_recovered(void **state)
{
    struct world *w = *state;
    struct err err;
    form_and_stop(w, 3);
    assert_int_equal(epoch_save_cut_off(w->members[1].dir, 77, &err), 0);
    w->members[1].recover = true;
    assert_int_equal(member_try_start(&w->members[1], false, &err), ERR_CONFLICT);
    w->members[1].recover = false;
}

static void a_new_member_takes_the_epoch_over(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[2];
    struct member *new = &w->members[4];
    struct outcome o = {0};
    form_and_stop(w, 10);
    recover(m);
    member_start(new, false);
    consensus_add(m->consensus, 4, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0);
    o = (struct outcome){0};
    consensus_assign(m->consensus, 4, ROLE_VOTER, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0);
    WORLD_UNTIL(w, member_tokens(new) == 10);
    assert_int_equal(consensus_epoch(new->consensus), consensus_epoch(m->consensus));
}

static void damaged_numbers_are_refused(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    struct err err;
    int64_t own, by;
    assert_int_equal(epoch_load(m->dir, &own, &by, &err), 0);
    assert_int_equal(own, 0);
    assert_int_equal(epoch_save(m->dir, 123456, &err), 0);
    assert_int_equal(epoch_load(m->dir, &own, &by, &err), 0);
    assert_int_equal(own, 123456);
    cleanup_free char *path = str_printf("%s/epoch", m->dir);
    cleanup_buf struct buf good = BUF_INIT;
    assert_int_equal(file_read(path, 1000, &good, &err), 0);
    for (size_t at = 0; at < good.len; at++) {
        cleanup_buf struct buf bad = BUF_INIT;
        buf_append(&bad, good.data, good.len);
        bad.data[at] ^= 1;
        assert_int_equal(file_write(path, bad.data, bad.len, 0600, &err), 0);
        int rv = epoch_load(m->dir, &own, &by, &err);
        assert_true(rv == ERR_CORRUPT || rv == ERR_UNSUPPORTED);
        assert_int_equal(file_write(path, good.data, at, 0600, &err), 0);
        assert_int_equal(epoch_load(m->dir, &own, &by, &err), ERR_CORRUPT);
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_member_goes_on_with_all_that_was_acknowledged),
        TEST(old_logs_are_cut_off),
        TEST(a_cut_off_member_cannot_be_recovered),
        TEST(a_new_member_takes_the_epoch_over),
        TEST(damaged_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
