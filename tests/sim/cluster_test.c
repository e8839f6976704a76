/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random days of a whole cluster (cluster/sim.h), each from a seed, in a process of its own.
 *
 *     cluster_test                 the days of the test run
 *     cluster_test --seed N        one day again, exactly; --verbose shows what the members log
 *     cluster_test --days N [--from M]   N days from seed M on
 *     cluster_test --without P …         the same without a precaution, by its name below
 *     cluster_test --staged NAME [SEED]  a staged day: new-leader, plans
 *
 * SIM_CLUSTER_DAYS=n makes the test run of so many days.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/sim.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum {
    DAYS = 2,
    FAULTS_WANTED = 100,
    PLAN_DAYS = 2,
};
#else
enum {
    DAYS = 112,
    FAULTS_WANTED = 10000,
    PLAN_DAYS = 20,
};
#endif

enum {
    DAY_MS = 30000,
    FAULT_MS = 250,
    PLANS_A_DAY = 10,
    HAZARD_DAYS = 10, /* at most, until a missing precaution shows */
    CPU_SECONDS = 20, /* a day takes less than one; more is a loop without end */
};

/* libraft leaks 16 bytes when it is closed while it installs a snapshot. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libraft.so\n";
}

static struct sim_options day_of(uint64_t seed)
{
    return (struct sim_options){.seed = seed, .ms = DAY_MS, .fault_ms = FAULT_MS};
}

static struct sim_stats live(const struct sim_options *options)
{
    struct sim *s = sim_new(options, 3 + (int)(options->seed % 5));
    raft_time end = s->now + options->ms;
    while (s->now < end)
        sim_step(s);
    sim_heal(s);
    sim_wait_for_leader(s);
    clients_settle(s->clients);
    sim_converge(s);
    sim_rest(s);
    struct sim_stats stats = s->stats;
    sim_free(s);
    return stats;
}

/* @day in a process of its own. Its exit status, or 128 and the signal that ended it. */
static int live_apart(struct sim_stats (*day)(const struct sim_options *options),
                      const struct sim_options *options, struct sim_stats *ret_stats)
{
    int ends[2], status;
    check(pipe(ends) == 0);
    fflush(NULL);
    pid_t pid = fork();
    check(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        setrlimit(RLIMIT_CPU, &(struct rlimit){CPU_SECONDS, CPU_SECONDS});
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        struct sim_stats stats = day(options);
        check(write(ends[1], &stats, sizeof(stats)) == sizeof(stats));
        exit(0);
    }
    close(ends[1]);
    bool whole = read(ends[0], ret_stats, sizeof(*ret_stats)) == sizeof(*ret_stats);
    close(ends[0]);
    check(waitpid(pid, &status, 0) == pid);
    sim_clean(pid);
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    return WEXITSTATUS(status) == 0 && !whole ? 1 : WEXITSTATUS(status);
}

static uint64_t faults_of(const struct sim_stats *stats)
{
    uint64_t n = 0;
    for (int i = 0; i < FAULT_MAX; i++)
        n += stats->faults[i];
    return n;
}

static void add(struct sim_stats *sum, const struct sim_stats *day)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)day;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
}

static void print(const struct sim_stats *s)
{
    printf("%" PRIu64 " faults in %" PRIu64 " s:", faults_of(s), s->steps / 1000);
    for (int i = 0; i < FAULT_MAX; i++)
        printf(" %" PRIu64 " %s%s", s->faults[i], fault_names[i], i + 1 < FAULT_MAX ? "," : "\n");
    printf("%" PRIu64 " messages, %" PRIu64 " lost, %" PRIu64 " doubled; %" PRIu64
           " terms led, %" PRIu64 " members joined, %" PRIu64 " removed, %" PRIu64
           " snapshots loaded\n",
           s->messages, s->lost, s->doubled, s->terms, s->joined, s->removed, s->snapshots);
    printf("%" PRIu64 " entries, %" PRIu64 " digests compared; requests: %" PRIu64 " done, %" PRIu64
           " refused, %" PRIu64 " given up; %" PRIu64 " reads\n",
           s->entries, s->compared, s->acknowledged, s->refused, s->unknown, s->reads);
    fflush(stdout);
}

static const char *program;

/* --- without a precaution --------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct consensus_hazards hazards;
} hazards[] = {
    {"barrier", {.no_barrier = true}},
    {"hold", {.no_hold = true}},
    {"proven-results", {.unproven_results = true}},
    {"rollback", {.library_rollback = true}},
    {"install", {.candidate_while_install = true}},
    {"confirmed-reads", {.unconfirmed_reads = true}},
};

static struct consensus_hazards without(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(hazards); i++)
        if (strcmp(hazards[i].name, name) == 0)
            return hazards[i].hazards;
    fprintf(stderr, "no precaution is called %s\n", name);
    exit(2);
}

/* --- days --------------------------------------------------------------------------------------
 */

static int live_days(uint64_t first, uint64_t n, const struct consensus_hazards *taken_away,
                     struct sim_stats *sum)
{
    int failed = 0;
    for (uint64_t seed = first; seed < first + n; seed++) {
        struct sim_options options = day_of(seed);
        options.hazards = *taken_away;
        struct sim_stats stats = {0};
        int status = live_apart(live, &options, &stats);
        if (status != 0) {
            printf("seed %" PRIu64 " failed (status %d); again: %s --seed %" PRIu64 "\n", seed,
                   status, program, seed);
            fflush(stdout);
            failed++;
        }
        add(sum, &stats);
    }
    printf("%" PRIu64 " seeds from %" PRIu64 "\n", n, first);
    print(sum);
    return failed;
}

static void a_cluster_keeps_its_promises_through_random_days(void **state)
{
    (void)state;
    struct sim_stats sum = {0};
    const char *days = getenv("SIM_CLUSTER_DAYS");
    uint64_t n = days ? strtoull(days, NULL, 10) : DAYS;
    assert_int_equal(live_days(1, n, &(struct consensus_hazards){0}, &sum), 0);
    if (!days)
        assert_true(faults_of(&sum) >= FAULTS_WANTED);
}

/* --- staged ------------------------------------------------------------------------------------
 */

static bool votes(struct sim *s, int64_t id)
{
    struct consensus_member members[IDS_MAX];
    struct member *leader = sim_leader(s);
    size_t n = leader ? consensus_members(leader->d->consensus, members, IDS_MAX) : 0;
    for (size_t i = 0; i < n; i++)
        if (members[i].id == id)
            return members[i].role == ROLE_VOTER;
    return false;
}

#define STAGED_UNTIL(s, condition)                                                                 \
    for (raft_time end_ = (s)->now + 60000; !(condition); sim_step(s))                             \
    SIM_CHECK(s, (s)->now < end_, "waited a minute in vain for %s", #condition)

/* True once member @id leads; whoever else does is told to hand over, once a second. */
static bool hands_over_to(struct sim *s, int64_t id)
{
    struct member *leader = sim_leader(s);
    if (leader && leader->id != id && s->now % 1000 == 0) {
        clock_enter(s, leader);
        consensus_transfer_to(leader->d->consensus, id);
        clock_enter(s, NULL);
        member_wake(leader);
    }
    return leader && leader->id == id;
}

/* Member 3 is away while 4 joins, votes in its place and comes to lead. */
static struct sim_stats come_back_to_a_new_leader(const struct sim_options *options)
{
    struct sim *s = sim_new(options, 3);
    s->calm = true;
    STAGED_UNTIL(s, sim_leader(s) && sim_leader(s)->id != 3);
    member_crash(&s->members[3], FAULT_KILL);
    clients_join(s->clients);
    STAGED_UNTIL(s, votes(s, 4));
    STAGED_UNTIL(s, hands_over_to(s, 4));
    member_start(&s->members[3], false);
    sim_converge(s);
    check(sim_leader(s)->id == 4);
    struct sim_stats stats = s->stats;
    sim_free(s);
    return stats;
}

static void who_comes_back_finds_a_leader_that_joined_meanwhile(void **state)
{
    (void)state;
    struct sim_options options = day_of(1);
    struct sim_stats stats = {0};
    assert_int_equal(live_apart(come_back_to_a_new_leader, &options, &stats), 0);
}

static void a_seed_means_the_same_every_time(void **state)
{
    (void)state;
    struct sim_options options = day_of(1);
    struct sim_stats stats[2] = {0};
    options.ms = 5000;
    for (int i = 0; i < 2; i++)
        assert_int_equal(live_apart(live, &options, &stats[i]), 0);
    assert_memory_equal(&stats[0], &stats[1], sizeof(stats[0]));
    options.seed = 6;
    assert_int_equal(live_apart(live, &options, &stats[1]), 0);
    assert_true(stats[0].trace != stats[1].trace);
}

/* A day on which nothing goes wrong, and only deploys happen. */
static struct sim_stats deploy_for_a_day(const struct sim_options *options)
{
    struct sim *s = sim_new(options, 2 + (int)(options->seed % 4));
    s->calm = true;
    clients_stop_balance(s->clients);
    clients_settle(s->clients);
    sim_converge(s);
    size_t slots = 0;
    for (int i = 0; i < PLANS_A_DAY; i++)
        slots += sim_deploy_as_foretold(s);
    check(slots > PLANS_A_DAY);
    struct sim_stats stats = s->stats;
    sim_free(s);
    return stats;
}

static void a_plan_is_what_the_deploy_does(void **state)
{
    (void)state;
    int failed = 0;
    for (uint64_t seed = 1; seed <= PLAN_DAYS; seed++) {
        struct sim_options options = day_of(seed);
        struct sim_stats stats = {0};
        failed += live_apart(deploy_for_a_day, &options, &stats) != 0;
    }
    assert_int_equal(failed, 0);
}

struct arguments {
    uint64_t seed, days, first;
    bool verbose;
    struct consensus_hazards hazards;
};

static struct arguments parse(int argc, char **argv)
{
    struct arguments a = {.first = 1};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--verbose") == 0) {
            a.verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0)
            a.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--days") == 0)
            a.days = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--from") == 0)
            a.first = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--without") == 0)
            a.hazards = without(value);
        else {
            fprintf(stderr,
                    "usage: %s [--seed N [--verbose] | --days N [--from N]] [--without "
                    "PRECAUTION]\n",
                    argv[0]);
            exit(2);
        }
        i++;
    }
    return a;
}

/* For one who looks at it: in this process. */
static bool live_staged(const char *name, const struct sim_options *options)
{
    if (strcmp(name, "new-leader") == 0)
        come_back_to_a_new_leader(options);
    else if (strcmp(name, "plans") == 0)
        deploy_for_a_day(options);
    else
        return false;
    return true;
}

/* The seed of the first of @max days in which it shows that a precaution is missing; 0: none. */
static uint64_t seed_that_fails(struct consensus_hazards taken_away, uint64_t max)
{
    for (uint64_t seed = 1; seed <= max; seed++) {
        struct sim_options options = day_of(seed);
        struct sim_stats stats;
        options.hazards = taken_away;
        if (live_apart(live, &options, &stats) == SIM_VIOLATION)
            return seed;
    }
    return 0;
}

static void a_leader_without_its_barrier_is_found_out(void **state)
{
    (void)state;
    uint64_t seed = seed_that_fails((struct consensus_hazards){.no_barrier = true}, HAZARD_DAYS);
    assert_in_range(seed, 1, HAZARD_DAYS);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--staged") == 0) {
        struct sim_options options = day_of(argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
        options.verbose = true;
        return live_staged(argv[2], &options) ? 0 : 2;
    }
    struct arguments a = parse(argc, argv);
    struct sim_stats sum = {0};
    program = argv[0];
    if (a.days)
        return live_days(a.first, a.days, &a.hazards, &sum) > 0;
    if (a.seed) {
        struct sim_options options = day_of(a.seed);
        options.verbose = a.verbose;
        options.hazards = a.hazards;
        sum = live(&options);
        print(&sum);
        printf("trace %016" PRIx64 "\n", sum.trace);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_means_the_same_every_time),
        cmocka_unit_test(a_leader_without_its_barrier_is_found_out),
        cmocka_unit_test(who_comes_back_finds_a_leader_that_joined_meanwhile),
        cmocka_unit_test(a_plan_is_what_the_deploy_does),
        cmocka_unit_test(a_cluster_keeps_its_promises_through_random_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
