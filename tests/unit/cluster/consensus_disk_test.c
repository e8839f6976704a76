/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hazards of libraft's disk, each with and without its precaution where it can be shown safely.
 */
#include "cluster/entry.h"
#include "consensus_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

/* libraft leaks the list of its files when it refuses to load them. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libraft.so\n";
}

static int set_up(void **state)
{
    *state = world_new("disk");
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

/* Path of a file of @dir whose name starts with one of "0123456789" or @prefix; the newest one. */
static char *find_file(const char *dir, const char *prefix, const char *without)
{
    char *found = NULL;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        bool fits = prefix ? strncmp(e->d_name, prefix, strlen(prefix)) == 0
                           : e->d_name[0] >= '0' && e->d_name[0] <= '9';
        if (!fits || (without && strstr(e->d_name, without)) ||
            (found && strcmp(strrchr(found, '/') + 1, e->d_name) > 0))
            continue;
        free(found);
        found = str_printf("%s/%s", dir, e->d_name);
    }
    closedir(d);
    if (!found)
        fail_msg("no %s* in %s", prefix ? prefix : "segment", dir);
    return found;
}

static void remove_file(const char *dir, const char *name)
{
    char *path = str_printf("%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

/* Flip a bit of @path, @at bytes from its start, or from its end when negative. */
static void flip_bit(const char *path, off_t at)
{
    int fd = open(path, O_RDWR);
    char byte;
    assert_true(fd >= 0);
    if (at < 0)
        at += lseek(fd, 0, SEEK_END);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* --- entries that are no multiple of 8 ------------------------------------------------------- */

static int64_t tokens_after_restart(struct world *w, bool unpadded)
{
    struct member *m = &w->members[1];
    struct err err;
    struct outcome o;
    m->hazards.unpadded_entries = unpadded;
    member_found(m);
    member_write(m, 3);
    for (size_t len = 1; len <= 8; len++) { /* all lengths modulo 8 */
        char name[16] = "xxxxxxxxxxxx";
        name[len] = '\0';
        struct change_stack_remove body = {.name = name};
        struct change change = {.kind = CHANGE_STACK_REMOVE, .body = &body};
        o = (struct outcome){0};
        consensus_propose(m->consensus, &change, on_outcome, &o);
        WORLD_UNTIL(w, o.done);
        assert_int_equal(o.code, 0);
    }
    member_write(m, 3);
    member_stop(m);
    if (member_try_start(m, false, &err) < 0)
        return -1;
    return member_tokens(m);
}

static void test_entries_of_any_length_survive_a_restart(void **state)
{
    assert_int_equal(tokens_after_restart(*state, false), 6);
}

static void test_unpadded_entries_would_be_lost(void **state)
{
    assert_int_not_equal(tokens_after_restart(*state, true), 6);
}

/* --- damage is found, never "recovered" ------------------------------------------------------ */

static struct member *damaged_member(struct world *w)
{
    struct member *m = &w->members[1];
    member_found(m);
    member_write(m, 5);
    member_stop(m);
    char *segment = find_file(m->dir, NULL, NULL);
    flip_bit(segment, -60);
    free(segment);
    return m;
}

static void test_a_flipped_bit_in_the_log_refuses_the_start(void **state)
{
    struct member *m = damaged_member(*state);
    struct err err;
    assert_int_equal(member_try_start(m, false, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, m->dir));
    assert_non_null(strstr(err.msg, "0000000000000002-")); /* the file */
}

static void test_auto_recovery_would_go_on_without_the_entries(void **state)
{
    struct member *m = damaged_member(*state);
    struct err err;
    m->hazards.auto_recovery = m->hazards.unexamined_folder = true;
    /* Our records of what was committed and acknowledged still tell. */
    assert_int_equal(member_try_start(m, false, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "lost entries"));
    remove_file(m->dir, "progress");
    remove_file(m->dir, "acknowledged");
    member_start(m, false);
    WORLD_UNTIL(m->world, m->ready);
    assert_int_equal(member_tokens(m), 0);
}

/* --- snapshots ------------------------------------------------------------------------------- */

static struct member *snapshotted_member(struct world *w)
{
    struct member *m = &w->members[1];
    m->threshold = 20;
    m->trailing = 2;
    member_found(m);
    member_write(m, 50);
    world_run_ms(w, 100);
    member_stop(m);
    return m;
}

static void test_a_member_starts_from_its_snapshot(void **state)
{
    struct member *m = snapshotted_member(*state);
    member_start(m, false);
    WORLD_UNTIL(m->world, m->ready);
    assert_int_equal(member_tokens(m), 50);
    member_write(m, 5);
}

static void test_a_flipped_bit_in_a_snapshot_refuses_the_start(void **state)
{
    struct member *m = snapshotted_member(*state);
    struct err err;
    char *snapshot = find_file(m->dir, "snapshot-", ".meta");
    flip_bit(snapshot, SNAPSHOT_HEADER_BYTES + 5000);
    assert_int_equal(member_try_start(m, false, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "snapshot-"));
    assert_non_null(strstr(err.msg, "checksum"));
    /* Mended, it starts again: nothing was thrown away. */
    flip_bit(snapshot, SNAPSHOT_HEADER_BYTES + 5000);
    free(snapshot);
    member_start(m, false);
    WORLD_UNTIL(m->world, m->ready);
    assert_int_equal(member_tokens(m), 50);
}

static void test_an_unchecked_snapshot_would_be_taken_as_it_is(void **state)
{
    struct member *m = snapshotted_member(*state);
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct err err;
    member_start(m, false);
    WORLD_UNTIL(m->world, m->ready);
    store_digest(m->store, before);
    member_stop(m);
    char *snapshot = find_file(m->dir, "snapshot-", ".meta");
    m->hazards.unchecked_snapshot = m->hazards.unexamined_folder = true;
    /* Somewhere in a page a bit makes another row of it. */
    struct stat st;
    assert_int_equal(stat(snapshot, &st), 0);
    bool taken = false;
    for (off_t at = st.st_size - 1; at > SNAPSHOT_HEADER_BYTES + 512 && !taken; at -= 97) {
        flip_bit(snapshot, at);
        if (member_try_start(m, false, &err) == 0) {
            store_digest(m->store, after);
            taken = memcmp(before, after, sizeof(before)) != 0;
            member_stop(m);
        }
        flip_bit(snapshot, at);
    }
    free(snapshot);
    assert_true(taken);
}

static void test_an_unknown_snapshot_version_is_named(void **state)
{
    struct member *m = snapshotted_member(*state);
    struct err err;
    char *snapshot = find_file(m->dir, "snapshot-", ".meta");
    flip_bit(snapshot, 4);
    free(snapshot);
    assert_int_equal(member_try_start(m, false, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "version 0"));
}

/* Move the closed segments of @from to @to. */
static void move_segments(const char *from, const char *to)
{
    DIR *d = opendir(from);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9')
            continue;
        char *old = str_printf("%s/%s", from, e->d_name), *new = str_printf("%s/%s", to, e->d_name);
        assert_int_equal(rename(old, new), 0);
        free(old);
        free(new);
    }
    closedir(d);
}

/* The power goes after an installed snapshot is durable and before the old log is removed. */
static void test_an_interrupted_installation_is_finished(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[3];
    struct err err;
    for (int id = 1; id <= 3; id++) {
        w->members[id].threshold = 50;
        w->members[id].trailing = 5;
    }
    world_form(w);
    member_write(&w->members[1], 20);
    WORLD_UNTIL(w, member_tokens(m) == 20);
    member_stop(m);
    char *aside = str_printf("%s/aside", w->root), *away = str_printf("%s/away", w->root);
    assert_int_equal(file_mkdirs(aside, 0700, &err) | file_mkdirs(away, 0700, &err), 0);
    char *copy = str_printf("cp %s/0* %s", m->dir, aside);
    assert_int_equal(system(copy), 0);
    member_write(&w->members[1], 150);
    member_start(m, false);
    WORLD_UNTIL(w, member_tokens(m) == 170);
    member_stop(m);
    char *open = str_printf("%s/open-9", m->dir);
    remove_file(m->dir, "progress");
    remove_file(m->dir, "acknowledged");
    move_segments(m->dir, away);
    move_segments(aside, m->dir);
    int fd = creat(open, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    member_start(m, false);
    assert_true(member_tokens(m) > 20);
    /* This leader knows that it had more before; the next one does not. */
    member_stop(&w->members[1]);
    WORLD_UNTIL(w, w->members[2].ready && member_tokens(m) == 170);
    free(aside), free(away), free(copy), free(open);
}

static void test_a_lost_vote_refuses_the_start(void **state)
{
    struct member *m = snapshotted_member(*state);
    struct err err;
    for (int i = 1; i <= 2; i++) {
        char *path = str_printf("%s/metadata%d", m->dir, i);
        unlink(path);
        free(path);
    }
    assert_int_equal(member_try_start(m, false, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "metadata1"));
}

/* --- the index known to be committed ------------------------------------------------------- */

static void test_a_lone_voter_of_three_applies_what_was_committed(void **state)
{
    struct world *w = *state;
    world_form(w);
    member_write(&w->members[1], 20);
    WORLD_UNTIL(w, member_tokens(&w->members[2]) == 20);
    for (int id = 1; id <= 3; id++)
        member_stop(&w->members[id]);
    struct member *m = &w->members[2];
    member_start(m, false);
    assert_int_equal(member_tokens(m), 20); /* before anything else ran */
    world_run_ms(w, 1000);
    assert_int_equal(member_tokens(m), 20);
    assert_int_equal(m->leader, 0);
    /* With the others it goes on from there. */
    member_start(&w->members[3], false);
    WORLD_UNTIL(w, m->ready || w->members[3].ready);
    member_write(m->ready ? m : &w->members[3], 5);
    WORLD_UNTIL(w, member_tokens(m) == 25);
}

static void test_without_the_progress_file_it_applies_nothing(void **state)
{
    struct world *w = *state;
    world_form(w);
    member_write(&w->members[1], 20);
    WORLD_UNTIL(w, member_tokens(&w->members[2]) == 20);
    for (int id = 1; id <= 3; id++)
        member_stop(&w->members[id]);
    struct member *m = &w->members[2];
    remove_file(m->dir, "progress");
    member_start(m, false);
    world_run_ms(w, 500);
    assert_int_equal(member_tokens(m), 0);
}

static void test_progress_is_written_while_it_runs(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    member_found(m);
    member_write(m, 5);
    WORLD_UNTIL(w, m->consensus->progress_saved == store_index(m->store));
}

static void test_a_log_that_lost_entries_refuses_the_start(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    struct err err;
    member_found(m);
    member_write(m, 5);
    member_stop(m);
    char *segment = find_file(m->dir, NULL, NULL);
    assert_int_equal(unlink(segment), 0);
    free(segment);
    assert_int_equal(member_try_start(m, false, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "lost entries"));
}

/* --- idle ---------------------------------------------------------------------------------- */

static int64_t newest_change(const struct world *w)
{
    int64_t newest = 0;
    for (int id = 1; id <= 3; id++) {
        DIR *d = opendir(w->members[id].dir);
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));) {
            struct stat st;
            if (fstatat(dirfd(d), e->d_name, &st, 0) < 0)
                continue;
            int64_t changed = st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
            newest = changed > newest ? changed : newest;
        }
        closedir(d);
    }
    return newest;
}

static void test_an_idle_cluster_writes_nothing(void **state)
{
    struct world *w = *state;
    world_form(w);
    member_write(&w->members[1], 5);
    for (int id = 1; id <= 3; id++) {
        struct member *m = &w->members[id];
        WORLD_UNTIL(w, m->consensus->progress_saved == consensus_commit_index(m->consensus) &&
                           consensus_commit_index(m->consensus) ==
                               consensus_commit_index(w->members[1].consensus));
    }
    world_run_ms(w, 500);
    int64_t before = newest_change(w);
    world_run_ms(w, 3000);
    assert_true(newest_change(w) == before);
}

/* --- stopping ------------------------------------------------------------------------------ */

static void test_a_stop_with_many_writes_under_way(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    enum {
        N = 40
    };
    struct outcome o[N];
    member_found(m);
    for (int i = 0; i < N; i++) {
        member_propose(m, &o[i]);
        consensus_turn(m->consensus); /* an entry each, none of them written yet */
    }
    member_stop(m);
    for (int i = 0; i < N; i++)
        assert_true(o[i].done && (o[i].code == 0 || o[i].code == ERR_UNKNOWN));
    member_start(m, false);
    WORLD_UNTIL(w, m->ready);
    for (int i = 0; i < N; i++)
        assert_true(o[i].code != 0 || has_token(m->store, i));
}

static void test_two_processes_never_share_a_folder(void **state)
{
    struct world *w = *state;
    struct err err;
    member_found(&w->members[1]);
    memcpy(w->members[2].dir, w->members[1].dir, sizeof(w->members[2].dir));
    assert_int_equal(member_try_start(&w->members[2], false, &err), ERR_BUSY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_entries_of_any_length_survive_a_restart),
        TEST(test_unpadded_entries_would_be_lost),
        TEST(test_a_flipped_bit_in_the_log_refuses_the_start),
        TEST(test_auto_recovery_would_go_on_without_the_entries),
        TEST(test_a_member_starts_from_its_snapshot),
        TEST(test_a_flipped_bit_in_a_snapshot_refuses_the_start),
        TEST(test_an_unchecked_snapshot_would_be_taken_as_it_is),
        TEST(test_an_unknown_snapshot_version_is_named),
        TEST(test_an_interrupted_installation_is_finished),
        TEST(test_a_lost_vote_refuses_the_start),
        TEST(test_a_lone_voter_of_three_applies_what_was_committed),
        TEST(test_without_the_progress_file_it_applies_nothing),
        TEST(test_progress_is_written_while_it_runs),
        TEST(test_a_log_that_lost_entries_refuses_the_start),
        TEST(test_an_idle_cluster_writes_nothing),
        TEST(test_a_stop_with_many_writes_under_way),
        TEST(test_two_processes_never_share_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
