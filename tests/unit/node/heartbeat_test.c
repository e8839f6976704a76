/* SPDX-License-Identifier: Apache-2.0 */
/* Who is judged up or down, and when. Time, raft, the bus and proposals are replaced: the file
 * itself is part of this program, so that its judge can be called when the test says so. */
#include "../store/world.h"

#include "node/heartbeat.c" /* NOLINT(bugprone-suspicious-include) */

static int64_t boot_ms;
static int64_t leader_id;
static int64_t commit_index;
static int answers;

int64_t clock_boot_ms(void)
{
    return boot_ms;
}
int64_t clock_wall_ms(void)
{
    return 1700000000000 + boot_ms;
}
int64_t clock_mono_ns(void)
{
    return boot_ms * 1000000;
}
void clock_format(int64_t at_ms, char *out, size_t size)
{
    (void)at_ms;
    str_fill(out, size, "");
}
int64_t consensus_leader(const struct consensus *c)
{
    (void)c;
    return leader_id;
}
int64_t consensus_commit_index(const struct consensus *c)
{
    (void)c;
    return commit_index;
}
int bus_send(struct bus *bus, int64_t to, enum bus_kind kind, bool bulk, const void *data,
             size_t len)
{
    (void)bus;
    (void)to;
    (void)bulk;
    (void)data;
    (void)len;
    answers += kind == BUS_HEARTBEAT;
    return 0;
}

size_t addresses_ids(const struct addresses *a, int64_t *ids, size_t max)
{
    (void)a, (void)ids, (void)max;
    return 0;
}
bool space_is_short(const struct daemon *daemon)
{
    (void)daemon;
    return false;
}
int64_t space_free_bytes(const struct daemon *daemon)
{
    (void)daemon;
    return 1;
}

static struct world *world;
static struct heartbeat *beats;
static struct daemon d;
static int proposed;
static int fail_with; /* the next proposals end so */

void propose_change(struct propose *p, enum change_kind kind, const void *body,
                    const unsigned char *request_id, int64_t timeout_ms, propose_cb cb, void *arg)
{
    (void)p;
    (void)request_id;
    (void)timeout_ms;
    struct change_result result = {0};
    assert_int_equal(kind, CHANGE_NODE_STATUS);
    proposed++;
    if (fail_with)
        err_set(&result.err, fail_with, "no");
    else
        must(world, kind, body);
    cb(arg, &result);
}

static int setup(void **state)
{
    world_setup(state);
    world = *state;
    init_three(world);
    log_set_level(LOG_LEVEL_ERROR);
    memset(&d, 0, sizeof(d));
    boot_ms = 1000000;
    leader_id = 1;
    commit_index = 10;
    proposed = answers = fail_with = 0;
    uv_loop_init(&d.loop);
    d.id = 1;
    d.store = world->store;
    d.heartbeat = beats = heartbeat_new(&d);
    return 0;
}

static void on_freed(void *arg)
{
    (void)arg;
}

static int teardown(void **state)
{
    heartbeat_free(beats, on_freed, NULL);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&d.loop), 0);
    return world_teardown(state);
}

static void hear(int64_t from, bool answer)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct beat beat = {.answer = answer, .commit = commit_index};
    record_encode(&beat_type, &beat, &out);
    heartbeat_on_message(beats, from, out.data, out.len);
}

static void disks_are_known_to_all(void **state)
{
    (void)state;
    struct full full = {.id = 3, .free_bytes = 7};
    struct beat from_two = {.is_short = true, .free_bytes = 5};
    struct beat from_leader = {.answer = true, .full = &full, .full_n = 1};
    cleanup_buf struct buf out = BUF_INIT;
    /* The leader hears of them, */
    heartbeat_on_leader(beats, true);
    record_encode(&beat_type, &from_two, &out);
    assert_false(heartbeat_has_room(beats, 2)); /* nothing was heard */
    heartbeat_on_message(beats, 2, out.data, out.len);
    hear(3, false);
    assert_true(heartbeat_is_short(beats, 2));
    assert_int_equal(heartbeat_free_bytes(beats, 2), 5);
    assert_false(heartbeat_has_room(beats, 2));
    assert_true(heartbeat_has_room(beats, 3));
    /* and tells the others. */
    heartbeat_on_leader(beats, false);
    leader_id = 2;
    buf_reset(&out);
    record_encode(&beat_type, &from_leader, &out);
    heartbeat_on_message(beats, 2, out.data, out.len);
    assert_true(heartbeat_is_short(beats, 3));
    assert_int_equal(heartbeat_free_bytes(beats, 3), 7);
    assert_false(heartbeat_is_short(beats, 2));
}

/* @ms pass in turns of the judge, with beats of those in @alive ("23") in each. */
static void live(int64_t ms, const char *alive)
{
    for (int64_t end = boot_ms + ms; boot_ms < end;) {
        boot_ms += JUDGE_MS;
        for (const char *c = alive; *c; c++)
            hear(*c - '0', false);
        on_judge_check(&beats->judge_check);
    }
}

static bool is_up(int64_t id)
{
    struct node node;
    assert_int_equal(store_get(d.store, TABLE_NODE, id, &node), 0);
    bool up = node.status == NODE_UP;
    record_release(&node_type, &node);
    return up;
}

static void who_beats_stays_up_and_is_answered(void **state)
{
    (void)state;
    heartbeat_on_leader(beats, true);
    live(20000, "23");
    assert_int_equal(proposed, 0);
    assert_int_equal(answers, 2 * 20000 / JUDGE_MS);
}

static void who_is_silent_is_down_and_comes_back(void **state)
{
    (void)state;
    heartbeat_on_leader(beats, true);
    live(2000, "23");
    live(2250, "2");
    assert_true(is_up(3));
    live(500, "2");
    assert_false(is_up(3));
    assert_true(is_up(2));
    assert_int_equal(proposed, 1);
    live(10000, "2");
    assert_int_equal(proposed, 1);
    live(250, "23");
    assert_true(is_up(3));
}

static void a_new_leader_gives_each_one_time_to_live(void **state)
{
    (void)state;
    boot_ms += 100000; /* it heard nobody as a follower */
    heartbeat_on_leader(beats, true);
    live(2250, "");
    assert_int_equal(proposed, 0);
    live(750, "");
    assert_false(is_up(2));
    assert_false(is_up(3));
    assert_true(is_up(1));
}

static void a_new_leader_raises_nobody_it_has_not_heard(void **state)
{
    (void)state;
    struct change_node_status down = {.node_id = 3, .status = NODE_DOWN};
    must(world, CHANGE_NODE_STATUS, &down);
    heartbeat_on_leader(beats, true);
    live(10000, "2");
    assert_int_equal(proposed, 0);
    assert_false(is_up(3));
    live(250, "23");
    assert_true(is_up(3));
}

static void our_own_stall_is_nobodys_silence(void **state)
{
    (void)state;
    heartbeat_on_leader(beats, true);
    live(2000, "23");
    boot_ms += 60000; /* SIGSTOP, a sleeping laptop */
    on_judge_check(&beats->judge_check);
    assert_int_equal(proposed, 0);
    live(2000, "");
    assert_int_equal(proposed, 0);
    live(1000, ""); /* the stall gives no credit beyond one time to live */
    assert_false(is_up(2));
    assert_false(is_up(3));
}

static void a_beat_after_a_stall_gives_no_credit(void **state)
{
    (void)state;
    heartbeat_on_leader(beats, true);
    live(2000, "23");
    boot_ms += 60000;
    hear(2, false);
    on_judge_check(&beats->judge_check);
    live(3000, "");
    assert_false(is_up(2));
}

static void what_was_not_written_is_said_again(void **state)
{
    (void)state;
    heartbeat_on_leader(beats, true);
    live(1000, "23");
    fail_with = ERR_UNAVAILABLE;
    live(3000, "2");
    assert_true(is_up(3));
    fail_with = 0;
    live(250, "2");
    assert_false(is_up(3));
}

static void damaged_beats_are_dropped(void **state)
{
    (void)state;
    heartbeat_on_leader(beats, true);
    log_set_level(LOG_LEVEL_ERROR);
    heartbeat_on_message(beats, 2, "\xff\xff", 2);
    heartbeat_on_message(beats, 2, "", 0);
    assert_int_equal(answers, 0);
}

static void a_follower_is_synced_when_it_has_what_its_leader_had(void **state)
{
    (void)state;
    leader_id = 2;
    assert_false(heartbeat_is_synced(beats));
    commit_index = store_index(d.store) + 1;
    hear(2, true);
    assert_false(heartbeat_is_synced(beats)); /* one entry is missing */
    commit_index = store_index(d.store);
    hear(3, true);
    assert_false(heartbeat_is_synced(beats)); /* not the leader's word */
    hear(2, true);
    assert_true(heartbeat_is_synced(beats));
    boot_ms += HEARTBEAT_TTL_MS;
    assert_false(heartbeat_is_synced(beats));
    assert_int_equal(heartbeat_out_of_contact_ms(beats), HEARTBEAT_TTL_MS);
    hear(2, true);
    leader_id = 0;
    assert_false(heartbeat_is_synced(beats));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_beats_stays_up_and_is_answered),
        TEST(who_is_silent_is_down_and_comes_back),
        TEST(a_new_leader_gives_each_one_time_to_live),
        TEST(a_new_leader_raises_nobody_it_has_not_heard),
        TEST(disks_are_known_to_all),
        TEST(our_own_stall_is_nobodys_silence),
        TEST(a_beat_after_a_stall_gives_no_credit),
        TEST(what_was_not_written_is_said_again),
        TEST(damaged_beats_are_dropped),
        TEST(a_follower_is_synced_when_it_has_what_its_leader_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
