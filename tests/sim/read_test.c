/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads are linearizable: what a read sees has all that was acknowledged before it began, whoever
 * was asked and whatever happened meanwhile. A read here is as the daemon does it: the ready leader
 * confirms, another member waits until its own store has the leader's index.
 *
 * SIM_SEED=n runs one day again, SIM_DAYS=n runs so many.
 */
#include "world.h"

enum {
    DAYS = 10,
    STEPS = 15000,
    WRITES_MAX = 8000,
    LOOK_BACK = 40, /* writes looked for: those a late store would lack */
};

struct day {
    struct world *w;
    int64_t written;
    int64_t acknowledged[WRITES_MAX]; /* their numbers, in the order of their acknowledgement */
    int64_t acknowledged_n;
    int64_t reads, refused;
};

struct attempt {
    struct day *day;
    int64_t number;
};

struct read_try {
    struct day *day;
    int id;       /* whose store is read */
    int64_t seen; /* acknowledged when it began */
};

static void on_written(void *arg, int code, const struct change_result *result)
{
    struct attempt *write = arg;
    struct day *day = write->day;
    if (code == 0 && result->err.code == 0)
        day->acknowledged[day->acknowledged_n++] = write->number;
    free(write);
}

static void look(const struct read_try *try)
{
    struct day *day = try->day;
    struct member *member = &day->w->members[try->id];
    int64_t from = try->seen > LOOK_BACK ? try->seen - LOOK_BACK : 0;
    for (int64_t i = from; i < try->seen; i++)
        WORLD_CHECK(day->w, has_token(member->store, day->acknowledged[i]),
                    "a read of member %d lacks write %" PRId64
                    ", acknowledged before the read began",
                    try->id, day->acknowledged[i]);
    day->reads++;
}

static void on_here(void *arg, int code, int64_t index)
{
    struct read_try *try = arg;
    (void)index;
    if (code == 0)
        look(try);
    else
        try->day->refused++;
    free(try);
}

/* The leader said an index: wait for it in the store that is read, if that member still runs. */
static void on_confirmed(void *arg, int code, int64_t index)
{
    struct read_try *try = arg;
    struct consensus *c = try->day->w->members[try->id].consensus;
    if (code == 0 && c) {
        consensus_await(c, index, on_here, try);
        return;
    }
    try->day->refused++;
    free(try);
}

static void write_one(struct day *day, struct member *member)
{
    if (day->written == WRITES_MAX)
        return;
    struct attempt write = {.day = day, .number = day->written++};
    propose_token(member->consensus, write.number, on_written, mem_copy(&write, sizeof(write)));
}

static void read_one(struct day *day, struct member *leader)
{
    struct read_try try = {.day = day,
                           .id = 1 + (int)random_below(&day->w->seed, (unsigned)day->w->n),
                           .seen = day->acknowledged_n};
    consensus_read(leader->consensus, on_confirmed, mem_copy(&try, sizeof(try)));
}

/* Everybody who says it leads is asked, also who was deposed and does not know. */
static void work(struct day *day)
{
    for (int id = 1; id <= day->w->n; id++) {
        struct member *member = &day->w->members[id];
        if (!member->consensus || !member->ready)
            continue;
        if (random_below(&day->w->seed, 5) == 0)
            write_one(day, member);
        if (random_below(&day->w->seed, 3) == 0)
            read_one(day, member);
    }
}

static int count_up(const struct world *w)
{
    int up = 0;
    for (int id = 1; id <= w->n; id++)
        up += w->members[id].consensus != NULL;
    return up;
}

static struct member *ready_member(struct world *w)
{
    for (int id = 1; id <= w->n; id++)
        if (w->members[id].ready)
            return &w->members[id];
    return NULL;
}

static void disturb(struct day *day)
{
    struct world *w = day->w;
    int id = 1 + (int)random_below(&w->seed, (unsigned)w->n);
    struct member *member = &w->members[id];
    switch (random_below(&w->seed, 8)) {
    case 0:
        if (member->consensus && count_up(w) > w->n / 2 + 1)
            member_crash(member, random_below(&w->seed, 4));
        break;
    case 1:
        if (!member->consensus)
            member_start(member, false);
        break;
    case 2: /* what others say does not reach it: a leader goes on leading for a while */
        for (int other = 1; other <= w->n; other++)
            w->cut[other][id] = other != id;
        break;
    case 3:
        for (int other = 1; other <= w->n; other++)
            world_cut(w, id, other, id != other);
        break;
    case 4:
    case 5:
        memset(w->cut, 0, sizeof(w->cut));
        break;
    case 6:
        w->loss_percent = random_below(&w->seed, 3) == 0 ? random_below(&w->seed, 30) : 0;
        w->latency_ms = random_below(&w->seed, 4) == 0 ? 80 : 5;
        w->reorder = random_below(&w->seed, 2);
        break;
    case 7: /* its successor leads, and it hears nothing of it */
        member = ready_member(w);
        if (!member || consensus_transfer(member->consensus) < 0)
            break;
        for (int other = 1; other <= w->n; other++)
            w->cut[other][member->id] = other != member->id;
        break;
    }
}

static int64_t run_day(uint64_t seed)
{
    struct day *day = mem_alloc(1, sizeof(*day));
    struct world *w = day->w = world_new(seed, seed % 3 == 2 ? 5 : 3);
    w->threshold = 100;
    w->trailing = 20;
    world_form(w, w->n);
    for (int i = 0; i < STEPS; i++) {
        world_step(w);
        work(day);
        if (random_below(&w->seed, 200) == 0)
            disturb(day);
    }
    memset(w->cut, 0, sizeof(w->cut));
    w->loss_percent = 0;
    for (int id = 1; id <= w->n; id++)
        if (!w->members[id].consensus)
            member_start(&w->members[id], false);
    WORLD_UNTIL(w, ready_member(w));
    int64_t before = day->reads;
    read_one(day, ready_member(w));
    WORLD_UNTIL(w, day->reads > before || !ready_member(w));
    /* Still under way here and there: they end with the members. */
    world_free(w);
    int64_t reads = day->reads;
    free(day);
    return reads;
}

static unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static void test_a_read_sees_what_was_acknowledged_before_it(void **state)
{
    (void)state;
    if (getenv("SIM_SEED")) {
        run_day(from_env("SIM_SEED", 0));
        return;
    }
    int64_t reads = 0;
    unsigned long days = from_env("SIM_DAYS", DAYS);
    for (uint64_t seed = 1; seed <= days; seed++)
        reads += run_day(seed);
    assert_true(reads > (int64_t)days * 500);
}

/* --- a leader that was deposed and does not know ---------------------------------------------- */

struct outcome {
    bool done;
    int code;
    bool saw_the_write; /* the store had it at that moment */
    struct world *w;
};

static void on_outcome(void *arg, int code, int64_t index)
{
    struct outcome *o = arg;
    (void)index;
    o->done = true;
    o->code = code;
    o->saw_the_write = has_token(o->w->members[1].store, 1);
}

static int other_leader(struct world *w)
{
    return w->members[2].ready ? 2 : w->members[3].ready ? 3 : 0;
}

/* Member 1 leads; another takes over and writes while nothing reaches 1. Then 1 is read from. */
static struct outcome read_from_the_deposed(bool unconfirmed)
{
    struct world *w = world_new(21, 3);
    struct answer a = {0};
    struct outcome o = {.w = w};
    w->hazards.unconfirmed_reads = unconfirmed;
    world_form(w, 3);
    assert_int_equal(consensus_transfer(w->members[1].consensus), 0);
    world_step(w); /* it says so to its successor */
    w->cut[2][1] = w->cut[3][1] = true;
    WORLD_UNTIL(w, other_leader(w));
    propose_token(w->members[other_leader(w)].consensus, 1, on_answer, &a);
    WORLD_UNTIL(w, a.done);
    assert_int_equal(a.code, 0);
    assert_true(w->members[1].ready); /* it does not know */
    consensus_read(w->members[1].consensus, on_outcome, &o);
    WORLD_UNTIL(w, o.done);
    world_free(w);
    return o;
}

static void test_who_was_deposed_confirms_nothing(void **state)
{
    (void)state;
    struct outcome o = read_from_the_deposed(false);
    assert_int_equal(o.code, ERR_NOTLEADER);
}

static void test_without_a_round_it_would_answer_with_old_news(void **state)
{
    (void)state;
    struct outcome o = read_from_the_deposed(true);
    assert_int_equal(o.code, 0);
    assert_false(o.saw_the_write);
}

/* --- rounds ----------------------------------------------------------------------------------- */

struct count {
    int done, failed;
};

static void on_counted(void *arg, int code, int64_t index)
{
    struct count *count = arg;
    (void)index;
    count->done++;
    count->failed += code != 0;
}

static void test_reads_share_a_round(void **state)
{
    (void)state;
    struct world *w = world_new(22, 3);
    struct count count = {0};
    world_form(w, 3);
    struct consensus *c = w->members[1].consensus;
    uint64_t rounds = c->read_round;
    for (int i = 0; i < 1000; i++)
        consensus_read(c, on_counted, &count);
    assert_int_equal(count.done, 0); /* never inside the call */
    world_step(w);
    for (int i = 0; i < 1000; i++)
        consensus_read(c, on_counted, &count); /* the first round may be too old for these */
    WORLD_UNTIL(w, count.done == 2000);
    assert_int_equal(count.failed, 0);
    assert_int_equal(c->read_round - rounds, 2);
    world_free(w);
}

static void test_only_so_many_wait(void **state)
{
    (void)state;
    struct world *w = world_new(23, 3);
    struct count count = {0};
    world_form(w, 3);
    w->cut[2][1] = w->cut[3][1] = true;
    for (int i = 0; i < CONSENSUS_READS_MAX + 10; i++)
        consensus_read(w->members[1].consensus, on_counted, &count);
    world_step(w);
    assert_int_equal(count.done, 10);
    assert_int_equal(count.failed, 10);
    /* It steps down for want of a majority, which ends them. */
    WORLD_UNTIL(w, count.done == CONSENSUS_READS_MAX + 10);
    assert_int_equal(count.failed, count.done);
    world_free(w);
}

static void test_a_lone_voter_confirms_alone(void **state)
{
    (void)state;
    struct world *w = world_new(24, 1);
    struct count count = {0};
    world_form(w, 1);
    consensus_read(w->members[1].consensus, on_counted, &count);
    world_step(w);
    assert_int_equal(count.done, 1);
    assert_int_equal(count.failed, 0);
    world_free(w);
}

static void test_a_lost_question_is_asked_again(void **state)
{
    (void)state;
    struct world *w = world_new(25, 3);
    struct count count = {0};
    world_form(w, 3);
    w->cut[1][2] = w->cut[1][3] = true;
    consensus_read(w->members[1].consensus, on_counted, &count);
    world_run(w, 20);
    assert_int_equal(count.done, 0);
    memset(w->cut, 0, sizeof(w->cut));
    WORLD_UNTIL(w, count.done == 1);
    assert_int_equal(count.failed, 0);
    world_free(w);
}

static void test_standbys_do_not_count(void **state)
{
    (void)state;
    struct world *w = world_new(26, 3);
    struct count count = {0};
    struct answer a = {0};
    world_form(w, 3);
    w->n = 4;
    member_start(&w->members[4], false);
    consensus_add(w->members[1].consensus, 4, on_change_answer, &a);
    WORLD_UNTIL(w, a.done);
    a.done = false;
    consensus_assign(w->members[1].consensus, 4, ROLE_STANDBY, on_change_answer, &a);
    WORLD_UNTIL(w, a.done);
    w->cut[2][1] = w->cut[3][1] = true;
    consensus_read(w->members[1].consensus, on_counted, &count);
    WORLD_UNTIL(w, count.done == 1);
    assert_int_equal(count.failed, 1);
    world_free(w);
}

static void test_garbage_is_dropped(void **state)
{
    (void)state;
    struct world *w = world_new(27, 3);
    unsigned char message[64];
    world_form(w, 3);
    for (int i = 0; i < 20000; i++) {
        size_t len = random_below(&w->seed, sizeof(message) + 1);
        for (size_t k = 0; k < len; k++)
            message[k] = (unsigned char)random_below(&w->seed, i % 2 ? 256 : 3);
        memcpy(message, "WHQ1", 4);
        if (i % 3 == 0) {
            len = 32;
            memcpy(message + 4, "\1\0\0\0", 4);
            memset(message + 12, 0, 4);
        }
        consensus_receive(w->members[1].consensus, 2, message, len < 4 ? 4 : len);
    }
    world_run(w, 1000);
    assert_true(w->members[1].ready);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_read_sees_what_was_acknowledged_before_it),
        cmocka_unit_test(test_who_was_deposed_confirms_nothing),
        cmocka_unit_test(test_without_a_round_it_would_answer_with_old_news),
        cmocka_unit_test(test_reads_share_a_round),
        cmocka_unit_test(test_only_so_many_wait),
        cmocka_unit_test(test_a_lone_voter_confirms_alone),
        cmocka_unit_test(test_a_lost_question_is_asked_again),
        cmocka_unit_test(test_standbys_do_not_count),
        cmocka_unit_test(test_garbage_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
