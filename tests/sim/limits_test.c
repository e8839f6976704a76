/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in consensus is bounded, by what it takes and not by what it encodes to. */
#include "world.h"

struct tally {
    long answered, busy, done;
};

static void on_tallied(void *arg, int code, const struct change_result *result)
{
    struct tally *tally = arg;
    (void)result;
    tally->answered++;
    tally->busy += code == ERR_BUSY;
    tally->done += code == 0;
}

static void test_only_so_many_proposals_wait(void **state)
{
    (void)state;
    struct world *w = world_new(31, 1);
    struct tally tally = {0};
    struct change_service_scale body = {.stack = "a", .service = "b"};
    struct change change = {.kind = CHANGE_SERVICE_SCALE, .body = &body};
    long least = CONSENSUS_PENDING_MAX / (long)(sizeof(struct proposal) + 64), n = least * 2;
    world_form(w, 1);
    for (long i = 0; i < n; i++)
        consensus_propose(w->members[1].consensus, &change, on_tallied, &tally);
    WORLD_UNTIL(w, tally.answered == n);
    assert_int_equal(tally.busy + tally.done, n);
    assert_true(tally.done >= least);
    assert_true(tally.done <= CONSENSUS_PENDING_MAX / (long)sizeof(struct proposal));
    /* And there is room again. */
    consensus_propose(w->members[1].consensus, &change, on_tallied, &tally);
    WORLD_UNTIL(w, tally.answered == n + 1);
    assert_int_equal(tally.busy + tally.done, n + 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_so_many_proposals_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
