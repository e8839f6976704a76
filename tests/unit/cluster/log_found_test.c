/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that begins with a state: its folder is one that libraft and our reader take. */
#include "cluster/log_found.h"
#include "consensus_world.h"

static int set_up(void **state)
{
    *state = world_new("found");
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void copy_state(struct member *m, struct buf *image, int64_t *ret_index)
{
    store_snapshot(m->store, image);
    *ret_index = store_index(m->store);
}

static void a_state_becomes_the_start_of_another_log(void **state)
{
    struct world *w = *state;
    struct member *old = &w->members[1];
    struct member *m = &w->members[2];
    cleanup_buf struct buf image = BUF_INIT;
    unsigned char before[32], after[32];
    int64_t index;
    struct err err;
    member_found(old);
    member_write(old, 20);
    copy_state(old, &image, &index);
    store_digest(old->store, before);
    member_stop(old);
    rmdir(m->dir);
    assert_int_equal(log_found(m->dir, 2, index, image.data, image.len, &err), 0);
    assert_int_equal(log_found(m->dir, 2, index, image.data, image.len, &err), ERR_EXISTS);
    member_start(m, false);
    assert_int_equal(store_index(m->store), index);
    store_digest(m->store, after);
    assert_memory_equal(before, after, 32);
    WORLD_UNTIL(w, m->ready);
    member_write(m, 20);
    /* And again from its log; and another one learns all of it. */
    member_stop(m);
    member_start(m, false);
    WORLD_UNTIL(w, m->ready);
    assert_int_equal(member_tokens(m), 40);
    struct member *other = &w->members[3];
    struct outcome o = {0};
    member_start(other, false);
    consensus_add(m->consensus, 3, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0);
    o = (struct outcome){0};
    consensus_assign(m->consensus, 3, ROLE_VOTER, on_change_outcome, &o);
    WORLD_UNTIL(w, o.done);
    assert_int_equal(o.code, 0);
    WORLD_UNTIL(w, store_index(other->store) >= index && member_tokens(other) == 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_state_becomes_the_start_of_another_log, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
