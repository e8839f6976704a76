/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's loop: it never sleeps while there is something to do, nor spins when it cannot. */
#include "../store/world.h"

#include "node/leader.c" /* NOLINT(bugprone-suspicious-include) */

static struct world *world;
static struct daemon d;
static struct leader *l;

struct waiting {
    enum change_kind kind;
    propose_cb cb;
    void *arg;
    void *body;
};
static struct waiting waiting[64];
static size_t waiting_n;
static int proposed;

void propose_change(struct propose *p, enum change_kind kind, const void *body,
                    const unsigned char *request_id, int64_t timeout_ms, propose_cb cb, void *arg)
{
    (void)p;
    (void)request_id;
    (void)timeout_ms;
    assert_true(waiting_n < 64);
    struct waiting *w = &waiting[waiting_n++];
    *w = (struct waiting){.kind = kind, .cb = cb, .arg = arg};
    w->body = mem_alloc(1, change_type((int)kind)->size);
    record_copy(change_type((int)kind), body, w->body);
    proposed++;
}

static void on_watch(void *arg, unsigned tables)
{
    (void)arg;
    if (l)
        leader_on_change(l, tables);
}

static int setup(void **state)
{
    world_setup(state);
    world = *state;
    init_three(world);
    log_set_level(LOG_LEVEL_ERROR);
    memset(&d, 0, sizeof(d));
    waiting_n = 0;
    proposed = 0;
    uv_loop_init(&d.loop);
    d.store = world->store;
    l = leader_new(&d);
    store_watch(d.store, on_watch, NULL);
    return 0;
}

/* The proposals under way end: applied, or with @code. */
static void settle(int code)
{
    size_t n = waiting_n;
    struct waiting now[64];
    memcpy(now, waiting, sizeof(now));
    waiting_n = 0;
    for (size_t i = 0; i < n; i++) {
        struct change_result result = {0};
        if (code)
            err_set(&result.err, code, "no");
        else
            result = submit(world, now[i].kind, now[i].body);
        now[i].cb(now[i].arg, &result);
        record_release(change_type((int)now[i].kind), now[i].body);
        free(now[i].body);
    }
}

static void on_freed(void *arg)
{
    (void)arg;
}

static int teardown(void **state)
{
    settle(ERR_CANCELED);
    struct leader *old = l;
    l = NULL;
    leader_free(old, on_freed, NULL);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&d.loop), 0);
    return world_teardown(state);
}

/* When the loop next does something by itself; -1: only when something changes. */
static int64_t due_in(void)
{
    return uv_is_active((uv_handle_t *)&l->timer) ? (int64_t)uv_timer_get_due_in(&l->timer) : -1;
}

static void round_of(void)
{
    uv_timer_stop(&l->timer);
    on_timer(&l->timer);
}

static void deploy_web(int64_t replicas)
{
    struct deploy_service web = {.name = "web", .spec = {.image = "i", .replicas = replicas}};
    deploy_app(world, &web, 1, false);
}

static void it_places_what_is_missing_then_rests(void **state)
{
    (void)state;
    deploy_web(3);
    assert_int_equal(due_in(), -1); /* we do not lead */
    leader_on_leader(l, true);
    assert_int_equal(due_in(), 0);
    round_of();
    assert_int_equal(proposed, 3);
    settle(0);
    assert_true(due_in() >= 0);
    round_of();
    assert_int_equal(proposed, 3);
    assert_int_equal(due_in(), -1);
}

static void a_change_meanwhile_is_seen_afterwards(void **state)
{
    (void)state;
    deploy_web(1);
    leader_on_leader(l, true);
    round_of();
    deploy_web(2);
    assert_true(l->dirty);
    settle(0);
    assert_true(due_in() >= 0);
    round_of();
    assert_int_equal(waiting_n, 2); /* the first came too late: its service had changed */
    settle(0);
}

static void refusals_are_tried_again_later_and_later(void **state)
{
    (void)state;
    deploy_web(1);
    leader_on_leader(l, true);
    int64_t before = 0;
    for (int i = 0; i < 12; i++) {
        round_of();
        assert_int_equal(waiting_n, 1);
        settle(ERR_NOSPACE);
        assert_true(due_in() >= before);
        before = due_in();
    }
    assert_true(before >= 10000 && before <= 30000);
    deploy_web(2); /* something changed: at once */
    assert_true(due_in() >= 0 && due_in() < 100);
}

static void steps_of_an_earlier_term_do_not_stop_it(void **state)
{
    (void)state;
    deploy_web(1);
    leader_on_leader(l, true);
    round_of();
    leader_on_leader(l, false);
    assert_int_equal(due_in(), -1);
    leader_on_leader(l, true);
    round_of(); /* nothing yet: a step is still out */
    assert_int_equal(proposed, 1);
    settle(ERR_NOTLEADER);
    assert_true(due_in() >= 0);
    round_of();
    assert_int_equal(proposed, 2);
    /* The same, and the step ends well without changing anything. */
    leader_on_leader(l, false);
    leader_on_leader(l, true);
    round_of();
    l->outstanding--;
    waiting_n--;
    record_release(change_type((int)waiting[0].kind), waiting[0].body);
    free(waiting[0].body);
    l->outstanding++;
    on_step(l, &(struct change_result){0});
    assert_true(due_in() >= 0);
}

static void a_follower_does_nothing(void **state)
{
    (void)state;
    leader_on_leader(l, true);
    leader_on_leader(l, false);
    deploy_web(3);
    assert_int_equal(due_in(), -1);
    round_of();
    assert_int_equal(proposed, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_places_what_is_missing_then_rests),
        TEST(a_change_meanwhile_is_seen_afterwards),
        TEST(refusals_are_tried_again_later_and_later),
        TEST(steps_of_an_earlier_term_do_not_stop_it),
        TEST(a_follower_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
