/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random days of a cluster: writes while members crash, lose power in the midst of writes, are cut
 * off, come back, take and install snapshots, change roles. At all times at most one member leads a
 * term and equal indexes mean equal states; a leader that is ready has every write that was
 * acknowledged; when all is mended all members have them and agree.
 *
 * SIM_SEED=n runs one day again, SIM_DAYS=n runs so many, SIM_STEPS=n makes a day so long (ms).
 */
#include "world.h"

enum {
    DAYS = 24,
    STEPS = 30000,
    WRITES_MAX = 20000,
};

struct attempt {
    bool acknowledged;
    struct day *day;
    int64_t number;
};

enum what {
    ADD,
    VOTER,
    STANDBY,
    REMOVE
};

struct day {
    struct world *w;
    struct attempt *writes;
    int64_t n;
    int64_t acknowledged;
    bool was_ready[MEMBERS_MAX + 1];
    bool changing; /* a change of membership is under way: */
    enum what what;
    int whom;
    int changes[4];
};

static void on_written(void *arg, int code, const struct change_result *result)
{
    struct attempt *write = arg;
    if (code != 0)
        return;
    WORLD_CHECK(write->day->w, result->err.code == 0, "write %" PRId64 " was refused: %s",
                write->number, result->err.msg);
    write->acknowledged = true;
    write->day->acknowledged++;
}

static void on_large_written(void *arg, int code, const struct change_result *result)
{
    (void)arg, (void)code, (void)result;
}

/* Larger than a message that is not bulk; refused by the store, but raft carries it. */
static void write_large(struct member *member)
{
    size_t len = CONSENSUS_CONTROL_MAX + 1000;
    char *name = mem_alloc(1, len + 1);
    memset(name, 'a', len);
    struct change_stack_remove body = {.name = name};
    struct change change = {.kind = CHANGE_STACK_REMOVE, .body = &body};
    consensus_propose(member->consensus, &change, on_large_written, NULL);
    free(name);
}

static void check_writes(struct day *day, struct member *member)
{
    for (int64_t i = 0; i < day->n; i++)
        WORLD_CHECK(day->w, !day->writes[i].acknowledged || has_token(member->store, i),
                    "member %" PRId64 " lacks write %" PRId64, member->id, i);
}

/* Every member that says it is ready gets a write, also one that was deposed and does not know. */
static void write_some(struct day *day)
{
    struct world *w = day->w;
    for (int id = 1; id <= w->n; id++) {
        struct member *member = &w->members[id];
        if (!member->consensus)
            continue;
        if (member->ready && !day->was_ready[id])
            check_writes(day, member);
        day->was_ready[id] = member->ready;
        if (!member->ready || day->n == WRITES_MAX || random_below(&w->seed, 10) != 0)
            continue;
        if (random_below(&w->seed, 100) == 0)
            write_large(member);
        struct attempt *write = &day->writes[day->n];
        *write = (struct attempt){.day = day, .number = day->n++};
        propose_token(member->consensus, write->number, on_written, write);
    }
}

static void on_changed(void *arg, int code)
{
    struct day *day = arg;
    struct member *member = &day->w->members[day->whom];
    day->changing = false;
    if (code != 0)
        return;
    day->changes[day->what]++;
    if (day->what == REMOVE)
        member->gone = true;
}

/* The role @id has in the configuration of @leader; false when it is not in there. */
static bool role_of(const struct member *leader, int id, enum consensus_role *ret_role)
{
    struct consensus_member members[MEMBERS_MAX];
    size_t n = consensus_members(leader->consensus, members, MEMBERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (members[i].id == id) {
            *ret_role = members[i].role;
            return true;
        }
    return false;
}

/* A new machine joins, becomes a voter or a standby, is taken out; 1 to 3 are left alone. */
static void change_members(struct day *day, struct member *leader)
{
    struct world *w = day->w;
    struct consensus *c = leader->consensus;
    enum consensus_role role;
    day->what = (enum what)random_below(&w->seed, 4);
    if (day->what == ADD && w->n < MEMBERS_MAX) {
        day->whom = ++w->n;
        day->changing = true;
        member_start(&w->members[day->whom], false);
        consensus_add(c, day->whom, on_changed, day);
    }
    if (day->what == ADD || w->n < 4)
        return;
    day->whom = 4 + (int)random_below(&w->seed, (unsigned)w->n - 3);
    if (day->whom == leader->id || !role_of(leader, day->whom, &role))
        return;
    day->changing = true;
    if (day->what != REMOVE)
        consensus_assign(c, day->whom, day->what == VOTER ? ROLE_VOTER : ROLE_STANDBY, on_changed,
                         day);
    else if (role != ROLE_VOTER)
        consensus_remove(c, day->whom, on_changed, day);
    else
        day->changing = false;
}

static void change_some(struct day *day)
{
    for (int id = 1; id <= day->w->n; id++)
        if (day->w->members[id].ready && !day->changing) {
            change_members(day, &day->w->members[id]);
            return;
        }
}

static int count_up(const struct world *w)
{
    int up = 0;
    for (int id = 1; id <= w->n; id++)
        up += w->members[id].consensus != NULL;
    return up;
}

static void disturb(struct day *day)
{
    struct world *w = day->w;
    int id = 1 + (int)random_below(&w->seed, (unsigned)w->n);
    int other = 1 + (int)random_below(&w->seed, (unsigned)w->n);
    struct member *member = &w->members[id];
    switch (random_below(&w->seed, 10)) {
    case 0:
    case 1:
        if (member->consensus && count_up(w) > 1) {
            day->was_ready[id] = false;
            member_crash(member, random_below(&w->seed, 4));
        }
        break;
    case 2:
    case 3:
    case 4:
        if (!member->consensus && !member->gone)
            member_start(member, false);
        break;
    case 5:
        w->cut[id][other] = id != other;
        break;
    case 6:
        for (other = 1; other <= w->n; other++)
            world_cut(w, id, other, id != other);
        break;
    case 7:
        memset(w->cut, 0, sizeof(w->cut));
        break;
    case 8:
        w->loss_percent = random_below(&w->seed, 3) == 0 ? random_below(&w->seed, 30) : 0;
        w->latency_ms = random_below(&w->seed, 4) == 0 ? 80 : 5;
        w->reorder = random_below(&w->seed, 2);
        break;
    case 9:
        member->disk.delay_ms = random_below(&w->seed, 3) == 0 ? 150 : 5;
        if (random_below(&w->seed, 4) == 0 && member->consensus && member->ready)
            consensus_transfer(member->consensus);
        break;
    }
}

static void mend(struct day *day)
{
    struct world *w = day->w;
    memset(w->cut, 0, sizeof(w->cut));
    w->loss_percent = 0;
    w->latency_ms = 5;
    for (int id = 1; id <= w->n; id++) {
        w->members[id].disk.delay_ms = 5;
        if (!w->members[id].consensus && !w->members[id].gone)
            member_start(&w->members[id], false);
    }
}

static struct member *ready_member(struct world *w)
{
    for (int id = 1; id <= w->n; id++)
        if (w->members[id].ready)
            return &w->members[id];
    return NULL;
}

/* The leader's store, or one that is kept like it. */
static bool counts(const struct member *leader, int id)
{
    enum consensus_role role;
    return role_of(leader, id, &role) && role != ROLE_SPARE;
}

static bool all_alike(struct world *w)
{
    const struct member *leader = ready_member(w);
    for (int id = 1; leader && id <= w->n; id++)
        if (counts(leader, id) && store_index(w->members[id].store) != store_index(leader->store))
            return false;
    return leader != NULL;
}

static unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static void live_through(struct day *day)
{
    struct world *w = day->w;
    unsigned long steps = from_env("SIM_STEPS", STEPS);
    for (unsigned long i = 0; i < steps; i++) {
        world_step(w);
        write_some(day);
        if (random_below(&w->seed, 400) == 0)
            disturb(day);
        if (random_below(&w->seed, 1000) == 0)
            change_some(day);
        if (i % 150 == 0)
            world_compare(w);
    }
    mend(day);
    WORLD_UNTIL(w, all_alike(w));
    world_compare(w);
    struct member *leader = ready_member(w);
    check(leader);
    for (int id = 1; id <= w->n; id++)
        if (counts(leader, id))
            check_writes(day, &w->members[id]);
    /* And it takes writes. */
    struct answer a = {0};
    propose_token(leader->consensus, WRITES_MAX, on_answer, &a);
    WORLD_UNTIL(w, a.done);
    WORLD_CHECK(w, a.code == 0, "no write after all was mended: %s", err_text(a.code));
}

static int64_t run_day(uint64_t seed)
{
    struct day day = {.w = world_new(seed, seed % 3 == 2 ? 5 : 3)};
    day.writes = mem_alloc(WRITES_MAX, sizeof(*day.writes));
    day.w->threshold = seed % 2 ? 40 : 400;
    day.w->trailing = seed % 2 ? 8 : 50;
    world_form(day.w, day.w->n);
    live_through(&day);
    world_free(day.w);
    free(day.writes);
    return day.acknowledged;
}

static void test_random_days(void **state)
{
    (void)state;
    if (getenv("SIM_SEED")) {
        run_day(from_env("SIM_SEED", 0));
        return;
    }
    int64_t acknowledged = 0;
    unsigned long days = from_env("SIM_DAYS", DAYS);
    for (uint64_t seed = 1; seed <= days; seed++)
        acknowledged += run_day(seed);
    assert_true(acknowledged > (int64_t)days * 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_days)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
