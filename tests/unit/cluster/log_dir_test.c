/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders of real members, damaged by hand: every file, a bit at every kind of place, cut at many
 * lengths. A member that starts has all it acknowledged, one that does not says which file and why,
 * and what a power cut may leave always starts.
 */
#include "cluster/log_dir.h"
#include "cluster/segment.h"
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
    *state = world_new("logdir");
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

/* --- folders ---------------------------------------------------------------------------------- */

enum {
    FILES_MAX = 32,
    OPEN_BYTES = 64 << 10,
};

/* A whole folder in memory, to put it back after each damage. */
struct folder {
    char dir[128];
    size_t n;
    struct {
        char name[128];
        struct buf data;
    } files[FILES_MAX];
};

static void folder_save(const char *dir, struct folder *f)
{
    struct err err;
    DIR *d = opendir(dir);
    assert_non_null(d);
    f->n = 0;
    str_fill(f->dir, sizeof(f->dir), dir);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0)
            continue;
        assert_true(f->n < FILES_MAX);
        char *path = str_printf("%s/%s", dir, e->d_name);
        f->files[f->n].data = (struct buf)BUF_INIT;
        str_fill(f->files[f->n].name, sizeof(f->files[f->n].name), e->d_name);
        assert_int_equal(file_read(path, 64 << 20, &f->files[f->n].data, &err), 0);
        free(path);
        /* What was only prepared need not be long here. */
        struct buf *data = &f->files[f->n++].data;
        if (strncmp(e->d_name, "open-", 5) == 0 && data->len > OPEN_BYTES)
            data->len = OPEN_BYTES;
    }
    closedir(d);
}

static void write_file(const char *dir, const char *name, const void *data, size_t len)
{
    char *path = str_printf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, data, len), 0);
    close(fd);
    free(path);
}

static void folder_restore(const struct folder *f)
{
    DIR *d = opendir(f->dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    for (size_t i = 0; i < f->n; i++)
        write_file(f->dir, f->files[i].name, f->files[i].data.data, f->files[i].data.len);
}

static void folder_release(struct folder *f)
{
    struct err err;
    assert_int_equal(file_remove_tree(f->dir, &err), 0);
    for (size_t i = 0; i < f->n; i++)
        buf_release(&f->files[i].data);
}

static size_t find(const struct folder *f, const char *prefix)
{
    for (size_t i = 0; i < f->n; i++)
        if (strncmp(f->files[i].name, prefix, strlen(prefix)) == 0)
            return i;
    fail_msg("no %s in %s", prefix, f->dir);
    return 0;
}

static bool is_log(const char *name)
{
    return strncmp(name, "open-", 5) == 0 || (name[0] == '0' && name[16] == '-');
}

static bool has_written(const struct buf *b)
{
    for (size_t i = 0; i < b->len && i < 512; i++)
        if (b->data[i])
            return true;
    return false;
}

/* The records as the daemon reads them, then the folder against them. */
static int examine(const char *dir, uint64_t *ret_last, struct err *err)
{
    struct acknowledged record;
    struct log_content content;
    int64_t committed;
    int rv = progress_load(dir, &committed, err);
    if (rv == 0)
        rv = acknowledged_load(dir, &record, err);
    if (rv == 0)
        rv = log_dir_prepare(dir, &record, committed, &content, err);
    if (rv == 0)
        *ret_last = content.last_index;
    return rv;
}

/* A member that was killed: it has a snapshot, closed segments and an open one. The one written by
 * a stopped member has closed ones only. */
static void make_killed(struct world *w, struct folder *f, int64_t *ret_last)
{
    struct member *m = &w->members[1];
    m->threshold = 20;
    m->trailing = 6;
    member_found(m);
    member_write(m, 40);
    world_run_ms(w, 50);
    member_write(m, 7);
    /* Not while files are being finished. */
    world_run_ms(w, 1200);
    folder_save(m->dir, f);
    *ret_last = (int64_t)m->consensus->acknowledged.index;
    member_stop(m);
    /* Thousands of copies: in memory where there is such a file system. */
    snprintf(f->dir, sizeof(f->dir), "%s/wherry-logdir-XXXXXX",
             file_exists("/dev/shm") ? "/dev/shm" : w->root);
    assert_non_null(mkdtemp(f->dir));
}

/* --- damage ----------------------------------------------------------------------------------- */

/* How often a damage was refused, and how often nothing acknowledged was touched by it. */
struct tally {
    int refused, fine;
};

/* The folder as it is now is refused, in words that name the file or the folder, or has all. */
static void judge(const struct folder *f, const char *file, int64_t last, struct tally *tally,
                  const char *what, size_t at)
{
    struct err err = {0};
    uint64_t now = 0;
    int rv = examine(f->dir, &now, &err);
    if (rv == 0) {
        if ((int64_t)now < last)
            fail_msg("%s, %s at %zu: it would start with %lld of %lld", file, what, at,
                     (long long)now, (long long)last);
        tally->fine++;
        return;
    }
    assert_true(rv == ERR_CORRUPT || rv == ERR_UNSUPPORTED || rv == ERR_NOTFOUND);
    if (!strstr(err.msg, file) && !strstr(err.msg, "entries"))
        fail_msg("%s, %s at %zu: '%s' does not name it", file, what, at, err.msg);
    tally->refused++;
}

static size_t written_bytes(const struct buf *b)
{
    size_t len = b->len;
    while (len > 0 && b->data[len - 1] == 0)
        len--;
    return len;
}

static void test_a_bit_anywhere(void **state)
{
    struct folder f;
    int64_t last;
    make_killed(*state, &f, &last);
    for (size_t i = 0; i < f.n; i++) {
        struct buf *b = &f.files[i].data;
        size_t used = written_bytes(b);
        size_t step = used > 3000 ? used / 150 + 1 : 1;
        struct tally tally = {0};
        for (size_t at = 0; at < used; at += at < 160 ? 1 : step) {
            folder_restore(&f);
            b->data[at] = (char)(b->data[at] ^ 1 << (at % 8));
            write_file(f.dir, f.files[i].name, b->data, b->len);
            b->data[at] = (char)(b->data[at] ^ 1 << (at % 8));
            judge(&f, f.files[i].name, last, &tally, "a bit", at);
        }
        /* Two snapshots are kept and of the record two copies: damage of the older is none. Of
         * metadata the older of both may have any term and vote. */
        if (used > 0 && is_log(f.files[i].name) && has_written(b))
            assert_int_equal(tally.fine, 0);
        if (strcmp(f.files[i].name, "progress") == 0)
            assert_int_equal(tally.fine, 0);
    }
    folder_release(&f);
}

static void test_any_bit_of_the_newest_metadata(void **state)
{
    struct folder f;
    struct tally tally = {0};
    int64_t last;
    make_killed(*state, &f, &last);
    size_t newest = f.n;
    for (size_t i = 0; i < f.n; i++)
        if (strncmp(f.files[i].name, "metadata", 8) == 0 &&
            (newest == f.n || f.files[i].data.data[8] > f.files[newest].data.data[8]))
            newest = i;
    struct buf *b = &f.files[newest].data;
    for (size_t bit = 0; bit < 8 * b->len; bit++) {
        folder_restore(&f);
        b->data[bit / 8] = (char)(b->data[bit / 8] ^ 1 << bit % 8);
        write_file(f.dir, f.files[newest].name, b->data, b->len);
        b->data[bit / 8] = (char)(b->data[bit / 8] ^ 1 << bit % 8);
        judge(&f, "metadata", last, &tally, "bit", bit);
        /* A version may be any where there is no other to follow: term and vote are right. */
        if (bit / 64 != 1)
            assert_int_equal(tally.fine, 0);
        tally.fine = 0;
    }
    assert_true(tally.refused >= 192);
    folder_release(&f);
}

static void test_cut_anywhere(void **state)
{
    struct folder f;
    int64_t last;
    make_killed(*state, &f, &last);
    for (size_t i = 0; i < f.n; i++) {
        const struct buf *b = &f.files[i].data;
        size_t used = written_bytes(b), step = used / 120 + 1;
        struct tally tally = {0};
        for (size_t len = 0; len < used; len += step) {
            folder_restore(&f);
            write_file(f.dir, f.files[i].name, b->data, len);
            judge(&f, f.files[i].name, last, &tally, "cut", len);
        }
        if (used > 0 && is_log(f.files[i].name))
            assert_int_equal(tally.fine, 0);
        /* All of its entries are before the end: what was prepared behind them may be short. */
        if (is_log(f.files[i].name) && used < b->len) {
            folder_restore(&f);
            write_file(f.dir, f.files[i].name, b->data, used + 8 < b->len ? used + 8 : b->len);
            judge(&f, f.files[i].name, last, &tally, "cut behind its entries", used);
        }
    }
    folder_release(&f);
}

static void test_zeros_anywhere(void **state)
{
    struct folder f;
    int64_t last;
    make_killed(*state, &f, &last);
    for (size_t i = 0; i < f.n; i++) {
        const struct buf *b = &f.files[i].data;
        size_t used = written_bytes(b);
        struct tally tally = {0};
        for (size_t at = 0; at < used; at += 512) {
            struct buf copy = BUF_INIT;
            buf_append(&copy, b->data, b->len);
            memset(copy.data + at, 0, used - at < 512 ? used - at : 512);
            folder_restore(&f);
            write_file(f.dir, f.files[i].name, copy.data, copy.len);
            judge(&f, f.files[i].name, last, &tally, "zeros", at);
            buf_release(&copy);
        }
        if (used > 0 && is_log(f.files[i].name))
            assert_int_equal(tally.fine, 0);
    }
    folder_release(&f);
}

static void test_any_file_missing(void **state)
{
    struct folder f;
    int64_t last;
    make_killed(*state, &f, &last);
    for (size_t i = 0; i < f.n; i++) {
        struct tally tally = {0};
        folder_restore(&f);
        char *path = str_printf("%s/%s", f.dir, f.files[i].name);
        assert_int_equal(unlink(path), 0);
        free(path);
        judge(&f, f.files[i].name, last, &tally, "missing", 0);
        if (is_log(f.files[i].name) && has_written(&f.files[i].data))
            assert_int_equal(tally.refused, 1);
    }
    folder_release(&f);
}

/* Garbage of every length as every file: nothing crashes. */
static void test_garbage(void **state)
{
    struct folder f;
    int64_t last;
    unsigned seed = 7;
    char garbage[4096];
    make_killed(*state, &f, &last);
    for (size_t i = 0; i < f.n; i++) {
        struct tally tally = {0};
        for (size_t round = 0; round < 40; round++) {
            size_t len = round < 20 ? round * 4 : (size_t)rand_r(&seed) % sizeof(garbage);
            for (size_t k = 0; k < len; k++)
                garbage[k] = (char)(rand_r(&seed) >> 8);
            if (len >= 8 && round % 2) {
                memset(garbage, 0, 8);
                garbage[0] = 1; /* a format */
            }
            folder_restore(&f);
            write_file(f.dir, f.files[i].name, garbage, len);
            judge(&f, f.files[i].name, last, &tally, "garbage", len);
        }
    }
    folder_release(&f);
}

/* --- what a power cut may leave --------------------------------------------------------------- */

static size_t find_open(const struct folder *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (strncmp(f->files[i].name, "open-", 5) == 0 && has_written(&f->files[i].data))
            return i;
    fail_msg("no open segment was written to");
    return 0;
}

/* The record as it would be had less been acknowledged. */
static void lower_record(const struct folder *f, uint64_t index)
{
    struct acknowledged record;
    struct err err;
    assert_int_equal(acknowledged_load(f->dir, &record, &err), 0);
    record.index = index;
    assert_int_equal(acknowledged_create(f->dir, &record, &err), 0);
    assert_int_equal(progress_save(f->dir, (int64_t)index, &err), 0);
}

static void expect(const struct folder *f, uint64_t last, const char *what, size_t at)
{
    struct err err;
    uint64_t now = 0;
    if (examine(f->dir, &now, &err) < 0)
        fail_msg("%s at %zu: %s", what, at, err.msg);
    if (now != last)
        fail_msg("%s at %zu: the log ends at %llu instead of %llu", what, at,
                 (unsigned long long)now, (unsigned long long)last);
}

/* A last write of many sectors of which any may be missing: it was not acknowledged, so the member
 * starts with what was before. */
static void test_a_torn_last_write_starts(void **state)
{
    struct folder f;
    int64_t last;
    make_killed(*state, &f, &last);
    size_t open = find_open(&f);
    const struct buf *b = &f.files[open].data;
    struct segment whole;
    segment_read(b->data, b->len, false, &whole);
    assert_int_equal(whole.end, SEGMENT_WHOLE);
    size_t start = whole.used;
    /* A batch of one entry of 3000 bytes behind the others. */
    enum {
        DATA = 3000
    };
    unsigned char batch[8 + 8 + 16 + DATA] = {0};
    batch[8] = 1;
    batch[16] = 1;
    batch[24] = 1;
    batch[28] = DATA & 255;
    batch[29] = DATA >> 8;
    for (size_t i = 0; i < DATA; i++)
        batch[32 + i] = (unsigned char)(i * 7 + 1) | 1;
    uint32_t crcs[2] = {segment_crc(batch + 8, 24, 0), segment_crc(batch + 32, DATA, 0)};
    for (size_t i = 0; i < 8; i++)
        batch[i] = (unsigned char)(crcs[i / 4] >> 8 * (i % 4));
    struct buf next = BUF_INIT;
    buf_append(&next, b->data, b->len);
    memcpy(next.data + start, batch, sizeof(batch));
    folder_restore(&f);
    write_file(f.dir, f.files[open].name, next.data, next.len);
    expect(&f, (uint64_t)last + 1, "all of it", start);
    size_t first = start / 512, sectors = (start + sizeof(batch) + 511) / 512 - first;
    assert_in_range(sectors, 5, 12);
    for (unsigned lost = 1; lost < 1U << sectors; lost++) {
        struct buf torn = BUF_INIT;
        buf_append(&torn, next.data, next.len);
        for (size_t i = 0; i < sectors; i++)
            if (lost & 1U << i) /* as it was before */
                memcpy(torn.data + (first + i) * 512, b->data + (first + i) * 512, 512);
        if (lost % 5 == 0 || lost < 16) {
            folder_restore(&f);
            write_file(f.dir, f.files[open].name, torn.data, torn.len);
            expect(&f, (uint64_t)last, "sectors lost", lost);
            /* And what was put in order starts again. */
            expect(&f, (uint64_t)last, "once more", lost);
        }
        buf_release(&torn);
    }
    /* A bit of it that flipped was not lost by a power cut. */
    next.data[start + 1000] = (char)(next.data[start + 1000] ^ 4);
    folder_restore(&f);
    write_file(f.dir, f.files[open].name, next.data, next.len);
    struct err err;
    uint64_t now;
    assert_int_equal(examine(f.dir, &now, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, f.files[open].name));
    buf_release(&next);
    folder_release(&f);
}

static void test_prepared_segments_of_any_length_start(void **state)
{
    static char zeros[5000];
    struct folder f;
    int64_t last;
    make_killed(*state, &f, &last);
    for (size_t len = 0; len < sizeof(zeros); len += len < 20 ? 1 : 997) {
        folder_restore(&f);
        write_file(f.dir, "open-77", zeros, len);
        write_file(f.dir, "tmp-x", zeros, len);
        write_file(f.dir, "snapshot-9-99999-1.meta", zeros, len);
        expect(&f, (uint64_t)last, "zeros", len);
    }
    folder_release(&f);
}

static char *closed_name(uint64_t first, uint64_t last)
{
    return str_printf("%016llu-%016llu", (unsigned long long)first, (unsigned long long)last);
}

/* The log is being cut: the shorter copy is there, the longer one and what follows not yet gone. */
static void test_a_truncation_that_was_cut_short_is_finished(void **state)
{
    struct folder f;
    int64_t last;
    make_killed(*state, &f, &last);
    folder_restore(&f);
    expect(&f, (uint64_t)last, "to close its segments", 0);
    for (size_t i = 0; i < f.n; i++)
        buf_release(&f.files[i].data);
    char dir[sizeof(f.dir)];
    memcpy(dir, f.dir, sizeof(dir));
    folder_save(dir, &f);
    unsigned long long first = 0, end = 0;
    size_t newest = 0;
    for (size_t i = 0; i < f.n; i++)
        if (is_log(f.files[i].name) && sscanf(f.files[i].name, "%llu-%llu", &first, &end) == 2 &&
            end == (unsigned long long)last)
            newest = i;
    assert_true(sscanf(f.files[newest].name, "%llu-%llu", &first, &end) == 2 && end > first);
    /* Its first entries in a file of their own. */
    const struct buf *b = &f.files[newest].data;
    struct segment s = {0};
    size_t used;
    for (used = b->len - 8; used > 8; used -= 8) {
        segment_read(b->data, used, true, &s);
        if (s.end == SEGMENT_WHOLE)
            break;
    }
    assert_true(used > 8);
    char *shorter = closed_name(first, first + s.entries - 1);
    folder_restore(&f);
    write_file(f.dir, shorter, b->data, used);
    lower_record(&f, first + s.entries - 1);
    expect(&f, first + s.entries - 1, "two copies", used);
    /* With more acknowledged it is none. */
    struct err err;
    uint64_t now;
    folder_restore(&f);
    write_file(f.dir, shorter, b->data, used);
    assert_int_equal(examine(f.dir, &now, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "the same entries"));
    free(shorter);
    folder_release(&f);
}

static void test_a_gap_is_named(void **state)
{
    struct folder f;
    int64_t last;
    struct err err;
    uint64_t now;
    make_killed(*state, &f, &last);
    folder_restore(&f);
    char *later = closed_name((uint64_t)last + 5, (uint64_t)last + 5);
    size_t any = find(&f, "0");
    write_file(f.dir, later, f.files[any].data.data, f.files[any].data.len);
    assert_int_equal(examine(f.dir, &now, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "missing"));
    free(later);
    folder_release(&f);
}

/* --- a member over it ------------------------------------------------------------------------- */

static void test_a_lost_folder_is_damage(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    struct err err;
    member_found(m);
    member_write(m, 3);
    member_stop(m);
    assert_int_equal(file_remove_tree(m->dir, &err), 0);
    m->expect_log = true;
    assert_int_equal(member_try_start(m, false, &err), ERR_CORRUPT);
    assert_true(m->damaged);
    assert_non_null(strstr(err.msg, "acknowledged is missing"));
}

static void test_a_log_of_another_id_is_refused(void **state)
{
    struct world *w = *state;
    struct member *m = &w->members[1];
    struct err err;
    member_found(m);
    member_stop(m);
    m->id = 2;
    assert_int_equal(member_try_start(m, false, &err), ERR_CORRUPT);
    m->id = 1;
    assert_non_null(strstr(err.msg, "member 1"));
    member_start(m, false);
}

/* A follower whose log is cut by a new leader may then start with less. */
static void test_what_a_new_leader_cuts_off_is_not_missed(void **state)
{
    struct world *w = *state;
    struct member *one = &w->members[1], *two = &w->members[2], *three = &w->members[3];
    struct outcome o[3];
    world_form(w);
    member_write(one, 5);
    /* Entries that only the old leader has. */
    two->cut = three->cut = true;
    for (int i = 0; i < 3; i++) {
        member_propose(one, &o[i]);
        world_step(w);
    }
    WORLD_UNTIL(w, one->consensus->acknowledged.index == raft_last_index(&one->consensus->raft));
    uint64_t had = one->consensus->acknowledged.index;
    one->cut = true;
    two->cut = three->cut = false;
    WORLD_UNTIL(w, two->ready || three->ready);
    struct member *leader = two->ready ? two : three;
    one->cut = false;
    WORLD_UNTIL(w, one->leader == leader->id &&
                       one->consensus->acknowledged.index == leader->consensus->acknowledged.index);
    assert_true(one->consensus->disk_generation > 0);
    assert_true(one->consensus->acknowledged.index < had);
    member_stop(one);
    member_start(one, false);
    member_write(leader, 2);
    WORLD_UNTIL(w, member_tokens(one) == member_tokens(leader));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_bit_anywhere),
        TEST(test_any_bit_of_the_newest_metadata),
        TEST(test_cut_anywhere),
        TEST(test_zeros_anywhere),
        TEST(test_any_file_missing),
        TEST(test_garbage),
        TEST(test_a_torn_last_write_starts),
        TEST(test_prepared_segments_of_any_length_start),
        TEST(test_a_truncation_that_was_cut_short_is_finished),
        TEST(test_a_gap_is_named),
        TEST(test_a_lost_folder_is_damage),
        TEST(test_a_log_of_another_id_is_refused),
        TEST(test_what_a_new_leader_cuts_off_is_not_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
