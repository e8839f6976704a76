/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is committed every member has within two ways there and back and a write to disk: not one
 * heartbeat later, which is what whoever writes through a follower would wait.
 */
#include "world.h"

enum {
    WRITES = 20,
    MOST_MS = 40, /* five ways of 5 ms, a write to disk of 5, a turn for each; a heartbeat is 60 */
};

static void test_followers_learn_at_once_what_is_committed(void **state)
{
    (void)state;
    struct world *w = world_new(1, 3);
    world_form(w, 3);
    for (int i = 0; i < WRITES; i++) {
        struct answer a = {0};
        raft_time start = w->now;
        propose_token(w->members[1].consensus, i, on_answer, &a);
        WORLD_UNTIL(w, a.done);
        for (int id = 2; id <= 3; id++)
            WORLD_UNTIL(w, store_index(w->members[id].store) >= a.index);
        WORLD_CHECK(w, w->now - start <= MOST_MS, "write %d took %llu ms to arrive", i,
                    w->now - start);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_followers_learn_at_once_what_is_committed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
