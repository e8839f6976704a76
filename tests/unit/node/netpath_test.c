/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/netpath.h"

/* A way as the network has it. */
struct world {
    bool tunnel, plain;
    uint16_t mtu; /* the largest packet that gets through */
};

/* A round: what gets through is answered after a millisecond. Returns whether routes are to change.
 */
static bool run(struct netpath *path, const struct world *world)
{
    static int64_t now_ms = 1;
    bool changed = netpath_round(path, now_ms += 1000);
    for (int kind = 0; kind < NETPROBE_KINDS; kind++) {
        uint16_t size = kind == NETPROBE_SIZE    ? netpath_size_due(path)
                        : kind == NETPROBE_PLAIN ? netpath_plain_size(path)
                                                 : 0;
        if (kind == NETPROBE_SIZE && !size)
            continue;
        uint16_t number = netpath_sent(path, (enum netprobe_kind)kind, now_ms * 1000000);
        const struct netprobe_answer answer = {path->peer, (enum netprobe_kind)kind, number};
        /* A plain route has the room that the tunnel's headers take. */
        bool through = kind == NETPROBE_PLAIN ? world->plain && size <= world->mtu + 50
                                              : world->tunnel && size <= world->mtu;
        if (through)
            changed |= netpath_answered(path, &answer, now_ms * 1000000 + 1000000, now_ms);
    }
    return changed;
}

static unsigned run_for(struct netpath *path, const struct world *world, int rounds)
{
    unsigned changes = 0;
    for (int i = 0; i < rounds; i++)
        changes += run(path, world);
    return changes;
}

static void begin(struct netpath *path)
{
    netpath_init(path, 2);
    netpath_set_full(path, 1450);
}

static void plain_routes_are_taken_when_they_are_sure(void **state)
{
    (void)state;
    const struct world fine = {true, true, 1450}, filtered = {true, false, 1450};
    struct netpath path;
    begin(&path);
    assert_int_equal(run_for(&path, &fine, NETPATH_PLAIN_AFTER - 1), 0);
    assert_false(path.plain);
    assert_true(run(&path, &fine));
    assert_true(path.plain);
    assert_true(path.up);
    /* One lost is no reason; more are. */
    run(&path, &filtered);
    run(&path, &fine);
    assert_true(path.plain);
    assert_int_equal(run_for(&path, &filtered, NETPATH_PLAIN_UNTIL + 1), 1);
    assert_false(path.plain);
    assert_true(path.up);
}

static void a_plain_route_that_loses_large_packets_is_none(void **state)
{
    (void)state;
    const struct world fine = {true, true, 1450}, narrow = {true, true, 1350},
                       wide = {true, true, 1400};
    struct netpath path;
    begin(&path);
    run_for(&path, &narrow, 20);
    assert_false(path.plain);
    run_for(&path, &fine, NETPATH_PLAIN_AFTER + 1);
    assert_true(path.plain);
    run_for(&path, &narrow, 2 * NETPATH_SIZE_EVERY);
    assert_false(path.plain);
    run_for(&path, &wide, NETPATH_PLAIN_AFTER + 1);
    assert_true(path.plain);
}

static void a_broken_tunnel_is_noticed(void **state)
{
    (void)state;
    const struct world fine = {true, false, 1450}, cut = {false, false, 0};
    struct netpath path;
    begin(&path);
    run_for(&path, &fine, 3);
    assert_true(path.up);
    /* Nothing that routes depend on. */
    assert_int_equal(run_for(&path, &cut, NETPATH_DOWN_AFTER + 1), 0);
    assert_false(path.up);
    assert_true(netpath_loss(&path.ways[NETPROBE_TUNNEL]) >= 50);
    run(&path, &fine);
    assert_true(path.up);
    /* Large packets were lost with the small ones: that says nothing of their size. */
    run_for(&path, &cut, 30);
    run_for(&path, &fine, 3);
    assert_int_equal(path.mtu, 0);
}

static void the_size_that_gets_through_is_found(void **state)
{
    (void)state;
    const struct world narrow = {true, false, 1399}, narrower = {true, false, 1000},
                       fine = {true, false, 1450};
    struct netpath path;
    begin(&path);
    assert_int_equal(run_for(&path, &narrow, 60), 1);
    assert_int_equal(path.mtu, 1370);
    /* It stays, while the largest is tried now and then. */
    assert_int_equal(run_for(&path, &narrow, 500), 0);
    assert_int_equal(path.mtu, 1370);
    run_for(&path, &narrower, 200);
    assert_int_equal(path.mtu, 1000);
    assert_int_equal(run_for(&path, &fine, 200), 1);
    assert_int_equal(path.mtu, 0);
    /* Another link of our own: all from the start. */
    netpath_set_full(&path, 8950);
    run_for(&path, &fine, 60);
    assert_int_equal(path.mtu, 1450);
}

static void a_late_answer_counts_no_more(void **state)
{
    (void)state;
    struct netpath path;
    begin(&path);
    uint16_t number = netpath_sent(&path, NETPROBE_TUNNEL, 0);
    netpath_round(&path, 1000);
    netpath_sent(&path, NETPROBE_TUNNEL, 1);
    const struct netprobe_answer late = {2, NETPROBE_TUNNEL, number};
    netpath_answered(&path, &late, 2, 1);
    assert_false(path.up);
    assert_int_equal(path.ways[NETPROBE_TUNNEL].answered, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_routes_are_taken_when_they_are_sure),
        cmocka_unit_test(a_plain_route_that_loses_large_packets_is_none),
        cmocka_unit_test(a_broken_tunnel_is_noticed),
        cmocka_unit_test(the_size_that_gets_through_is_found),
        cmocka_unit_test(a_late_answer_counts_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
