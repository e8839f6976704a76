/* SPDX-License-Identifier: Apache-2.0 */
/* What libraft leaves open between members, staged: each with its precaution and without. */
#include "cluster/entry.h"
#include "world.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* libraft leaks 16 bytes when it is closed while it installs a snapshot. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libraft.so\n";
}

static struct raft *raft_of(struct world *w, int id)
{
    return &w->members[id].consensus->raft;
}

static bool leads(struct world *w, int id)
{
    return w->members[id].consensus && raft_of(w, id)->state == RAFT_LEADER;
}

static void cut_off(struct world *w, int id, bool cut)
{
    for (int other = 1; other <= w->n; other++)
        world_cut(w, id, other, cut && other != id);
}

static void write_tokens(struct world *w, int id, int n)
{
    static int64_t number = 1000;
    for (struct answer a = {0}; n-- > 0; a.done = false) {
        propose_token(w->members[id].consensus, number++, on_answer, &a);
        WORLD_UNTIL(w, a.done);
        assert_int_equal(a.code, 0);
    }
}

static void wait_alike(struct world *w)
{
    for (int id = 2; id <= w->n; id++)
        WORLD_UNTIL(w, store_index(w->members[id].store) == store_index(w->members[1].store));
    world_compare(w);
}

/* --- a follower that installs a snapshot ----------------------------------------------------- */

/* The state of a follower that is cut off while it writes the snapshot it was sent. */
static int state_while_installing(struct consensus_hazards hazards)
{
    struct world *w = world_new(4, 3);
    w->hazards = hazards;
    w->threshold = 20;
    w->trailing = 4;
    world_form(w, 3);
    cut_off(w, 3, true);
    write_tokens(w, 1, 100);
    cut_off(w, 3, false);
    w->members[3].disk.least_delay_ms = 3000;
    WORLD_UNTIL(w, shim_is_installing(w->members[3].consensus));
    cut_off(w, 3, true);
    world_run(w, 2000);
    assert_true(shim_is_installing(w->members[3].consensus));
    int seen = raft_of(w, 3)->state;
    if (seen == RAFT_FOLLOWER) {
        cut_off(w, 3, false);
        wait_alike(w);
    }
    member_crash(&w->members[3], 0);
    world_free(w);
    return seen;
}

static void test_who_installs_a_snapshot_stays_a_follower(void **state)
{
    (void)state;
    assert_int_equal(state_while_installing((struct consensus_hazards){0}), RAFT_FOLLOWER);
}

static void test_else_it_would_be_a_candidate_with_a_log_it_lacks(void **state)
{
    (void)state;
    struct consensus_hazards hazards = {.candidate_while_install = true};
    assert_int_equal(state_while_installing(hazards), RAFT_CANDIDATE);
}

/* --- pre-vote -------------------------------------------------------------------------------- */

/* How many terms pass because a member was away for five seconds. */
static raft_term terms_lost(struct consensus_hazards hazards)
{
    struct world *w = world_new(5, 3);
    w->hazards = hazards;
    world_form(w, 3);
    raft_term before = raft_of(w, 1)->current_term;
    cut_off(w, 3, true);
    world_run(w, 5000);
    cut_off(w, 3, false);
    world_run(w, 3000);
    raft_term after = raft_of(w, 1)->current_term;
    world_free(w);
    return after - before;
}

static void test_a_member_that_was_away_disturbs_nobody(void **state)
{
    (void)state;
    assert_true(terms_lost((struct consensus_hazards){0}) == 0);
}

static void test_without_pre_vote_it_would_depose_the_leader(void **state)
{
    (void)state;
    assert_true(terms_lost((struct consensus_hazards){.no_pre_vote = true}) > 3);
}

/* Of two voters that are left one has the better log, the other stood in elections that nobody
 * heard of: is one elected within ten seconds? */
static bool elects_the_better_log(struct consensus_hazards hazards)
{
    struct world *w = world_new(6, 3);
    w->hazards = hazards;
    world_form(w, 3);
    cut_off(w, 2, true);
    write_tokens(w, 1, 3);
    for (int id = 1; id <= 3; id++)
        member_crash(&w->members[id], 0);
    w->members[2].disk.term += 5;
    w->members[2].disk.vote = 2;
    cut_off(w, 2, false);
    member_start(&w->members[1], false);
    member_start(&w->members[2], false);
    world_run(w, 10000);
    bool elected = leads(w, 1);
    world_free(w);
    return elected;
}

static void test_a_term_that_is_behind_keeps_nobody_from_being_elected(void **state)
{
    (void)state;
    assert_true(elects_the_better_log((struct consensus_hazards){0}));
}

static void test_libraft_would_never_elect_one(void **state)
{
    (void)state;
    assert_false(elects_the_better_log((struct consensus_hazards){.silent_refusals = true}));
}

/* --- answers that claim too much ----------------------------------------------------------- */

static raft_term old_term;

/* Entries of the first leader reach only member 3, later ones only member 3 too: 1 votes, no more;
 * 3 never asks for votes. */
static bool stage_leftovers(struct world *w, int64_t from, int64_t to, struct raft_message *m)
{
    (void)w, (void)from;
    if (m->type == RAFT_IO_REQUEST_VOTE)
        return from != 3;
    return m->type != RAFT_IO_APPEND_ENTRIES || m->append_entries.n_entries == 0 || to == 3;
}

/* True when a new leader takes its barrier for committed though the follower that confirmed it has
 * an older leader's entry there. */
static bool counts_leftovers(struct consensus_hazards hazards)
{
    struct world *w = world_new(9, 3);
    struct answer a[3] = {0};
    w->hazards = hazards;
    w->latency_ms = 1;
    world_form(w, 3);
    raft_index index = raft_last_index(raft_of(w, 1)) + 1;
    old_term = raft_of(w, 1)->current_term;
    w->on_parcel = stage_leftovers;
    w->members[1].disk.least_delay_ms = 10000;
    for (int i = 0; i < 3; i++) {
        propose_token(w->members[1].consensus, i, on_answer, &a[i]);
        world_run(w, 2);
    }
    WORLD_UNTIL(w, raft_of(w, 3)->last_stored == index + 2);
    member_crash(&w->members[1], 0);
    w->members[1].disk.least_delay_ms = 0;
    w->members[2].disk.delay_ms = 1;
    member_start(&w->members[1], false);
    WORLD_UNTIL(w, leads(w, 2));
    WORLD_UNTIL(w, raft_of(w, 2)->commit_index >= index);
    bool wrong = raft_log_term(&raft_of(w, 3)->log, index) == old_term;
    w->on_parcel = NULL;
    if (!wrong)
        wait_alike(w);
    world_free(w);
    return wrong;
}

static void test_leftovers_of_another_leader_do_not_count(void **state)
{
    (void)state;
    assert_false(counts_leftovers((struct consensus_hazards){0}));
}

static void test_libraft_would_count_them(void **state)
{
    (void)state;
    assert_true(counts_leftovers((struct consensus_hazards){.unproven_results = true}));
}

/* --- membership that is rolled back -------------------------------------------------------- */

/* Entries of member 1 reach only 3, whose answers are lost: nothing is committed. */
static bool stage_change(struct world *w, int64_t from, int64_t to, struct raft_message *m)
{
    (void)w;
    if (m->type == RAFT_IO_REQUEST_VOTE)
        return from == 2;
    if (m->type == RAFT_IO_APPEND_ENTRIES_RESULT)
        return from != 3;
    return m->type != RAFT_IO_APPEND_ENTRIES || m->append_entries.n_entries == 0 || to == 3;
}

/* Members that 3 knows after a change it was sent is replaced by another leader's entries. All
 * earlier configurations are only in its snapshot. */
static unsigned members_after_rollback(struct consensus_hazards hazards, bool restart)
{
    struct world *w = world_new(10, 3);
    struct answer a = {0};
    w->hazards = hazards;
    w->threshold = 20;
    w->trailing = 4;
    world_form(w, 3);
    write_tokens(w, 1, 60);
    wait_alike(w);
    raft_index index = raft_last_index(raft_of(w, 1)) + 1;
    w->on_parcel = stage_change;
    w->members[1].disk.least_delay_ms = 10000;
    consensus_add(w->members[1].consensus, 9, on_change_answer, &a);
    WORLD_UNTIL(w, raft_of(w, 3)->last_stored == index);
    assert_int_equal(raft_of(w, 3)->configuration.n, 4);
    member_crash(&w->members[1], 0);
    if (restart) {
        member_crash(&w->members[3], 0);
        member_start(&w->members[3], false);
        assert_int_equal(raft_of(w, 3)->configuration.n, 4);
    }
    w->members[1].disk.least_delay_ms = 0;
    member_start(&w->members[1], false);
    WORLD_UNTIL(w, leads(w, 2));
    w->on_parcel = NULL;
    WORLD_UNTIL(w, w->members[2].ready);
    wait_alike(w);
    unsigned n = raft_of(w, 3)->configuration.n;
    world_free(w);
    return n;
}

static void test_a_change_of_membership_is_rolled_back(void **state)
{
    (void)state;
    struct consensus_hazards none = {0};
    assert_int_equal(members_after_rollback(none, false), 3);
    assert_int_equal(members_after_rollback(none, true), 3);
}

static void test_libraft_would_keep_one_it_loaded(void **state)
{
    (void)state;
    struct consensus_hazards hazards = {.library_rollback = true};
    assert_int_equal(members_after_rollback(hazards, true), 4);
}

static void test_libraft_would_crash_when_a_snapshot_has_the_one_before(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct consensus_hazards hazards = {.library_rollback = true};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGSEGV, SIG_DFL);
        _exit((int)members_after_rollback(hazards, false));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* A sanitizer turns the crash into an exit of its own. */
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 3);
}

/* --- a voter that does not know it --------------------------------------------------------- */

/* No entry reaches 2. */
static bool stage_promotion(struct world *w, int64_t from, int64_t to, struct raft_message *m)
{
    (void)w;
    (void)from;
    return m->type != RAFT_IO_APPEND_ENTRIES || m->append_entries.n_entries == 0 || to != 2;
}

/* Member 1 makes 2 a voter, and both lose their power before 2 hears of it. Is there a leader then?
 */
static bool is_led_after_promotion(struct consensus_hazards hazards)
{
    struct world *w = world_new(11, 2);
    struct answer a = {0};
    w->hazards = hazards;
    world_form(w, 1);
    member_start(&w->members[2], false);
    consensus_add(w->members[1].consensus, 2, on_change_answer, &a);
    WORLD_UNTIL(w, a.done);
    a.done = false;
    consensus_assign(w->members[1].consensus, 2, ROLE_STANDBY, on_change_answer, &a);
    WORLD_UNTIL(w, a.done);
    WORLD_UNTIL(w, raft_of(w, 2)->last_stored == raft_last_index(raft_of(w, 1)));
    w->on_parcel = stage_promotion;
    raft_index index = raft_last_index(raft_of(w, 1)) + 1;
    consensus_assign(w->members[1].consensus, 2, ROLE_VOTER, on_change_answer, &a);
    WORLD_UNTIL(w, raft_of(w, 1)->last_stored == index);
    member_crash(&w->members[1], 0);
    member_crash(&w->members[2], 0);
    world_run(w, 2000); /* what is under way is lost too */
    w->on_parcel = NULL;
    member_start(&w->members[1], false);
    member_start(&w->members[2], false);
    world_run(w, 30000);
    bool led = w->members[1].ready || w->members[2].ready;
    world_free(w);
    return led;
}

static void test_a_voter_that_does_not_know_it_votes(void **state)
{
    (void)state;
    struct consensus_hazards none = {0};
    assert_true(is_led_after_promotion(none));
}

static void test_libraft_would_never_have_a_leader_again(void **state)
{
    (void)state;
    struct consensus_hazards hazards = {.votes_by_own_log = true};
    assert_false(is_led_after_promotion(hazards));
}

/* --- messages that cannot be true ---------------------------------------------------------- */

static void give(struct world *w, int64_t from, int to, struct raft_message *m)
{
    cleanup_buf struct buf bytes = BUF_INIT;
    transport_encode(m, m->type == RAFT_IO_APPEND_ENTRIES ? m->append_entries.n_entries : 0,
                     &bytes);
    consensus_receive(w->members[to].consensus, from, bytes.data, bytes.len);
    world_run(w, 20);
}

static void test_impossible_messages_change_nothing(void **state)
{
    (void)state;
    struct world *w = world_new(11, 3);
    uint64_t word = 0;
    struct raft_entry entry = {.term = 1, .type = RAFT_BARRIER, .buf = {&word, sizeof(word)}};
    w->threshold = 20;
    w->trailing = 4;
    world_form(w, 3);
    write_tokens(w, 1, 60);
    wait_alike(w);
    raft_term term = raft_of(w, 1)->current_term;
    raft_index last = raft_last_index(raft_of(w, 2));

    /* Another leader in the term that 1 leads. */
    struct raft_message m = {.type = RAFT_IO_APPEND_ENTRIES,
                             .append_entries = {.term = term,
                                                .prev_log_index = last,
                                                .prev_log_term = term,
                                                .entries = &entry,
                                                .n_entries = 1}};
    give(w, 2, 1, &m);
    assert_true(leads(w, 1));
    assert_true(raft_last_index(raft_of(w, 1)) == last);

    /* The very first entry, long since in a snapshot: libraft would put it behind the last. */
    m.append_entries.prev_log_index = m.append_entries.prev_log_term = 0;
    give(w, 1, 2, &m);
    assert_true(raft_last_index(raft_of(w, 2)) == last);

    /* A result that confirms what the leader does not have yet. */
    m = (struct raft_message){
        .type = RAFT_IO_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.term = term, .last_log_index = last + 1000}};
    give(w, 2, 1, &m);
    assert_true(raft_of(w, 1)->commit_index == last);

    /* A vote in another's name, and a message in our own. */
    m = (struct raft_message){.type = RAFT_IO_REQUEST_VOTE,
                              .request_vote = {.term = term + 1,
                                               .candidate_id = 3,
                                               .last_log_index = last + 9,
                                               .last_log_term = term,
                                               .disrupt_leader = true}};
    give(w, 2, 1, &m);
    m.request_vote.candidate_id = 1;
    give(w, 1, 1, &m);
    assert_true(raft_of(w, 1)->current_term == term);

    write_tokens(w, 1, 5);
    wait_alike(w);
    world_free(w);
}

static void test_a_damaged_snapshot_is_not_installed(void **state)
{
    (void)state;
    struct world *w = world_new(12, 3);
    world_form(w, 3);
    raft_term term = raft_of(w, 1)->current_term;
    raft_index last = raft_last_index(raft_of(w, 2));
    struct raft_message m = {.type = RAFT_IO_INSTALL_SNAPSHOT,
                             .install_snapshot = {.term = term,
                                                  .last_index = last + 100,
                                                  .last_term = term,
                                                  .conf_index = 1,
                                                  .data = {(char[]){"not a snapshot"}, 15}}};
    transport_copy_configuration(&raft_of(w, 1)->configuration, &m.install_snapshot.conf);
    give(w, 1, 2, &m);
    raft_configuration_close(&m.install_snapshot.conf);
    assert_true(raft_last_index(raft_of(w, 2)) == last);
    write_tokens(w, 1, 5);
    wait_alike(w);
    world_free(w);
}

/* --- a disk that fails --------------------------------------------------------------------- */

static void fails_cleanly(int id)
{
    struct world *w = world_new(14, 3);
    struct answer a = {0};
    world_form(w, 3);
    w->may_fail = true;
    w->members[id].disk.fault = RAFT_NOSPACE;
    for (int i = 0; i < 5; i++) {
        propose_token(w->members[1].consensus, i, on_answer, &a);
        world_run(w, 3);
    }
    WORLD_UNTIL(w, w->failed);
    assert_int_equal(w->members[id].consensus->failure.code, ERR_NOSPACE);
    assert_non_null(strstr(w->members[id].consensus->failure.msg, w->members[id].dir));
    assert_false(consensus_is_ready(w->members[id].consensus));
    member_stop(&w->members[id]);
    /* The others go on, and it comes back. */
    WORLD_UNTIL(w, w->members[1].ready || w->members[2].ready || w->members[3].ready);
    w->members[id].disk.fault = 0;
    member_start(&w->members[id], false);
    world_run(w, 1000);
    wait_alike(w);
    world_free(w);
}

static void test_a_leader_whose_disk_fails_says_so_and_stops(void **state)
{
    (void)state;
    fails_cleanly(1);
}

static void test_a_follower_whose_disk_fails_says_so_and_stops(void **state)
{
    (void)state;
    fails_cleanly(2);
}

static void test_a_log_that_lost_entries_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new(16, 1);
    struct member *m = &w->members[1];
    struct raft_io io = disk_io(&m->disk);
    struct consensus_options options = {.io = &io};
    struct err err;
    world_form(w, 1);
    write_tokens(w, 1, 5);
    member_stop(m);
    disk_cut(&m->disk, m->disk.start + m->disk.n - 2);
    struct consensus_config config = {.dir = m->dir, .id = 1, .send = world_send, .arg = m};
    config.store = store_new();
    assert_int_equal(consensus_start_with(&config, &options, &m->consensus, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "lost entries"));
    store_free(config.store);
    world_free(w);
}

/* An entry of a format from the future. */
static void test_an_entry_of_an_unknown_version_stops_the_member(void **state)
{
    (void)state;
    struct world *w = world_new(15, 3);
    world_form(w, 3);
    w->may_fail = true;
    char bytes[24];
    entry_encode("change", 6, bytes);
    bytes[4] = 2;
    raft_term term = raft_of(w, 1)->current_term;
    raft_index last = raft_last_index(raft_of(w, 2));
    struct raft_entry entry = {.term = term, .type = RAFT_COMMAND, .buf = {bytes, sizeof(bytes)}};
    struct raft_message m = {.type = RAFT_IO_APPEND_ENTRIES,
                             .append_entries = {.term = term,
                                                .prev_log_index = last,
                                                .prev_log_term = term,
                                                .leader_commit = last + 1,
                                                .entries = &entry,
                                                .n_entries = 1}};
    int64_t before = store_index(w->members[2].store);
    give(w, 1, 2, &m);
    WORLD_UNTIL(w, w->failed);
    assert_int_equal(w->members[2].consensus->failure.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(w->members[2].consensus->failure.msg, "version 2"));
    assert_int_equal(store_index(w->members[2].store), before);
    world_free(w);
}

/* --- a stalled loop ------------------------------------------------------------------------ */

static void test_a_stall_of_our_own_is_not_silence_of_the_leader(void **state)
{
    (void)state;
    struct world *w = world_new(13, 3);
    world_form(w, 3);
    raft_term term = raft_of(w, 1)->current_term;
    /* Nobody runs for ten seconds; then 3 runs first, its timer before its messages. */
    w->now += 10000;
    disk_step(&w->members[3].disk);
    consensus_turn(w->members[3].consensus);
    assert_int_equal(raft_of(w, 3)->state, RAFT_FOLLOWER);
    world_run(w, 2000);
    assert_true(leads(w, 1));
    assert_true(raft_of(w, 1)->current_term == term);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_installs_a_snapshot_stays_a_follower),
        cmocka_unit_test(test_else_it_would_be_a_candidate_with_a_log_it_lacks),
        cmocka_unit_test(test_a_member_that_was_away_disturbs_nobody),
        cmocka_unit_test(test_without_pre_vote_it_would_depose_the_leader),
        cmocka_unit_test(test_a_term_that_is_behind_keeps_nobody_from_being_elected),
        cmocka_unit_test(test_libraft_would_never_elect_one),
        cmocka_unit_test(test_leftovers_of_another_leader_do_not_count),
        cmocka_unit_test(test_libraft_would_count_them),
        cmocka_unit_test(test_a_change_of_membership_is_rolled_back),
        cmocka_unit_test(test_libraft_would_keep_one_it_loaded),
        cmocka_unit_test(test_libraft_would_crash_when_a_snapshot_has_the_one_before),
        cmocka_unit_test(test_a_voter_that_does_not_know_it_votes),
        cmocka_unit_test(test_libraft_would_never_have_a_leader_again),
        cmocka_unit_test(test_impossible_messages_change_nothing),
        cmocka_unit_test(test_a_damaged_snapshot_is_not_installed),
        cmocka_unit_test(test_a_leader_whose_disk_fails_says_so_and_stops),
        cmocka_unit_test(test_a_follower_whose_disk_fails_says_so_and_stops),
        cmocka_unit_test(test_a_log_that_lost_entries_is_refused),
        cmocka_unit_test(test_an_entry_of_an_unknown_version_stops_the_member),
        cmocka_unit_test(test_a_stall_of_our_own_is_not_silence_of_the_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
