/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls from elsewhere: let in, refused slowly, cut off. The carriers, the clock and the
 * contact with a leader are replaced; the file itself is part of this program, so that its timer
 * ticks when the test says so. */
#include "../store/world.h"

#include "node/callers.c" /* NOLINT(bugprone-suspicious-include) */

#include "base/digest.h"

enum {
    CALLS_MAX = 200,
};

static int64_t boot_ms;
static int64_t unsynced_ms;
static const char *source;
static int dispatched, failed, cut, hung_up, ended_connections;
static struct err last_err;
static int64_t tags[8];
static size_t tags_n;

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
int64_t heartbeat_unsynced_ms(struct heartbeat *h)
{
    (void)h;
    return unsynced_ms;
}
const char *server_source(const struct server_call *handle)
{
    (void)handle;
    return source;
}
void server_tag(struct server_call *handle, int64_t tag)
{
    (void)handle;
    if (tags_n < ARRAY_SIZE(tags))
        tags[tags_n++] = tag;
}
void server_end_if(struct server *server, bool (*over)(void *arg, int64_t tag), void *arg)
{
    (void)server;
    for (size_t i = 0; i < tags_n; i++)
        if (tags[i] && over(arg, tags[i])) {
            tags[i] = 0;
            ended_connections++;
        }
}

/* --- calls -------------------------------------------------------------------------------------
 */

static void answered(struct api_call *c)
{
    callers_done(c);
    caller_release(&c->caller);
    free(c);
}
void api_dispatch(struct api_call *c, const struct call *call)
{
    assert_string_equal(call->verb, "service.list");
    (void)c;
    dispatched++;
}
void api_fail(struct api_call *c, const struct err *err)
{
    last_err = *err;
    failed++;
    answered(c);
}
void api_cut(struct api_call *c, const struct err *err)
{
    last_err = *err;
    cut++;
    callers_done(c);
}
void api_hang_up(struct api_call *c)
{
    hung_up++;
    answered(c);
}

static struct world *world;
static struct daemon d;
static struct callers *callers;
static bool freed;

static void on_freed(void *arg)
{
    (void)arg;
    freed = true;
}

static int setup(void **state)
{
    world_setup(state);
    world = *state;
    init_cluster(world);
    log_set_level(LOG_LEVEL_ERROR);
    memset(&d, 0, sizeof(d));
    boot_ms = 1000000;
    unsynced_ms = 0;
    source = "10.0.0.9";
    dispatched = failed = cut = hung_up = ended_connections = 0;
    tags_n = 0;
    freed = false;
    uv_loop_init(&d.loop);
    d.store = world->store;
    callers = callers_new(&d);
    return 0;
}

static int teardown(void **state)
{
    callers_free(callers, on_freed, NULL);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    assert_true(freed);
    assert_int_equal(uv_loop_close(&d.loop), 0);
    return world_teardown(state);
}

static char *token_text(char letter)
{
    return str_printf("wherry1-c-%064d-%s%c", 0, "0000000000000000000000000000000", letter);
}

static int64_t add_token(char letter, int64_t expires_ms)
{
    unsigned char secret[16] = {0};
    unsigned char hash[DIGEST_BYTES];
    secret[15] = (unsigned char)(letter - '0');
    digest_of(secret, sizeof(secret), hash);
    struct change_token_create create = {.token = {.kind = TOKEN_CALL,
                                                   .role = TOKEN_VIEWER,
                                                   .hash = {hash, sizeof(hash)},
                                                   .expires_ms = expires_ms}};
    int64_t id = must(world, CHANGE_TOKEN_CREATE, &create);
    callers_on_change(callers, 1U << TABLE_TOKEN);
    return id;
}

static void take_back(int64_t id)
{
    must(world, CHANGE_TOKEN_DELETE, &(struct change_token_delete){.token_id = id});
    callers_on_change(callers, 1U << TABLE_TOKEN);
}

/* A call with the token of that letter. NULL when it was not let in now. */
static struct api_call *call_with(char letter)
{
    static int server; /* its address alone counts */
    struct err err;
    cleanup_free char *text = token_text(letter);
    struct call call = {.verb = (char[]){"service.list"}, .token = text};
    struct api_call *c = mem_alloc(1, sizeof(*c));
    c->daemon = &d;
    c->server = (struct server_call *)(void *)&server;
    int rv = callers_admit(callers, c, &call, &err);
    if (rv == ERR_UNAVAILABLE)
        api_fail(c, &err);
    return rv == 0 ? c : NULL;
}

static void tick(int64_t ms)
{
    boot_ms += ms;
    on_timer(&callers->timer);
}

static void a_good_token_gets_in(void **state)
{
    (void)state;
    add_token('1', 0);
    struct api_call *c = call_with('1');
    assert_non_null(c);
    assert_int_equal(c->caller.token.role, TOKEN_VIEWER);
    assert_int_equal(tags_n, 1);
    tick(2000);
    assert_int_equal(cut, 0);
    answered(c);
    assert_null(callers->watched);
}

/* The first refusals take REFUSE_MS, then each twice as long as the one before. */
static void refusals_come_later_each_time(void **state)
{
    (void)state;
    int64_t expected = REFUSE_MS;
    for (int i = 1; i <= 8; i++) {
        assert_null(call_with('7'));
        tick(expected - 1);
        assert_int_equal(failed, i - 1);
        tick(1);
        assert_int_equal(failed, i);
        assert_int_equal(last_err.code, ERR_DENIED);
        if (i >= FREE_FAILURES && i < FREE_FAILURES + REFUSE_DOUBLE)
            expected *= 2;
    }
    /* From another machine it is the first time, and the first one is forgiven in the end. */
    source = "10.0.0.8";
    assert_null(call_with('7'));
    tick(REFUSE_MS);
    assert_int_equal(failed, 9);
    source = "10.0.0.9";
    tick((int64_t)FORGIVE_MS * 20);
    assert_null(call_with('7'));
    tick(REFUSE_MS);
    assert_int_equal(failed, 10);
    /* A good one is never held up. */
    add_token('1', 0);
    answered(call_with('1'));
}

static void few_refusals_wait(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 20; i++)
        call_with('7');
    assert_int_equal(callers->refused_n, REFUSED_SOURCE_MAX);
    assert_int_equal(hung_up, 20 - REFUSED_SOURCE_MAX);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "10.0.1.%d", i);
        source = name;
        call_with('7');
    }
    assert_int_equal(callers->refused_n, REFUSED_MAX);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "10.%d.2.%d", i / 200, i % 200);
        source = name;
        call_with('7');
    }
    assert_int_equal(callers->guessers_n, GUESSERS_MAX);
    tick(60000);
    assert_int_equal(callers->refused_n, 0);
    assert_int_equal(failed, REFUSED_MAX);
}

/* A token that another member made a moment ago may be on its way here. */
static void a_token_that_becomes_known_gets_in(void **state)
{
    (void)state;
    assert_null(call_with('1'));
    add_token('1', 0);
    tick(TICK_MS);
    assert_int_equal(dispatched, 1);
    assert_int_equal(failed, 0);
    assert_int_equal(callers->refused_n, 0);
    answered(callers->watched);
}

static void a_token_taken_back_ends_its_calls(void **state)
{
    (void)state;
    int64_t id = add_token('1', 0);
    add_token('2', 0);
    struct api_call *a = call_with('1');
    struct api_call *b = call_with('1');
    struct api_call *other = call_with('2');
    take_back(id);
    assert_int_equal(cut, 2);
    assert_int_equal(last_err.code, ERR_DENIED);
    assert_int_equal(ended_connections, 2);
    assert_ptr_equal(callers->watched, other);
    answered(a);
    answered(b);
    answered(other);
}

static void another_secret_ends_the_old_ones_calls(void **state)
{
    (void)state;
    int64_t id = add_token('1', 0);
    struct api_call *c = call_with('1');
    must(world, CHANGE_TOKEN_ROTATE, &(struct change_token_rotate){.token_id = id, .hash = HASH_B});
    callers_on_change(callers, 1U << TABLE_TOKEN);
    assert_int_equal(cut, 1);
    assert_int_equal(ended_connections, 1);
    answered(c);
}

static void the_end_of_a_token_ends_its_calls(void **state)
{
    (void)state;
    add_token('1', clock_wall_ms() + 5000);
    struct api_call *c = call_with('1');
    tick(4000);
    assert_int_equal(cut, 0);
    tick(LOOK_MS);
    tick(LOOK_MS);
    assert_int_equal(cut, 1);
    answered(c);
}

static void out_of_contact_nobody_is_served(void **state)
{
    (void)state;
    add_token('1', 0);
    struct api_call *c = call_with('1');
    unsynced_ms = CALLERS_STALE_MS;
    tick(LOOK_MS);
    assert_int_equal(cut, 0);
    unsynced_ms = CALLERS_STALE_MS + 1;
    tick(LOOK_MS);
    assert_int_equal(cut, 1);
    assert_int_equal(last_err.code, ERR_UNAVAILABLE);
    answered(c);
    assert_null(call_with('1'));
    assert_int_equal(failed, 1);
    assert_non_null(strstr(last_err.msg, "own socket"));
    unsynced_ms = INT64_MAX; /* never since the start */
    assert_null(call_with('1'));
    assert_non_null(strstr(last_err.msg, "since its daemon started"));
    unsynced_ms = 0;
    answered(call_with('1'));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_token_gets_in),
        TEST(refusals_come_later_each_time),
        TEST(few_refusals_wait),
        TEST(a_token_that_becomes_known_gets_in),
        TEST(a_token_taken_back_ends_its_calls),
        TEST(another_secret_ends_the_old_ones_calls),
        TEST(the_end_of_a_token_ends_its_calls),
        TEST(out_of_contact_nobody_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
