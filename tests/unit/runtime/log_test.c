/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading logs: the cursor over rotation and runs, the tail, damage.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"
#include "runtime/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct runtime rt;
static struct err err;
static int dir_fd;

static void append(const char *name, const char *text)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

static void append_lines(const char *name, int from, int to)
{
    cleanup_buf struct buf text = BUF_INIT;
    for (int i = from; i < to; i++)
        buf_printf(&text, "2026-01-02T03:04:05.000000000Z stdout F %d\n", i);
    append(name, text.data);
}

/* As the shim does it. */
static void rotate(int run)
{
    char name[3][32];
    for (int age = 0; age < 3; age++)
        snprintf(name[age], sizeof(name[age]), age ? "%d.log.%d" : "%d.log", run, age);
    renameat(dir_fd, name[1], dir_fd, name[2]);
    renameat(dir_fd, name[0], dir_fd, name[1]);
}

/* Read all there is; the texts of the lines, with spaces between. */
static char *read_all(struct log_cursor *cursor)
{
    cleanup_buf struct buf raw = BUF_INIT;
    struct buf text = BUF_INIT;
    bool more = true;
    for (int i = 0; more; i++) {
        assert_true(i < 1000);
        assert_int_equal(log_read_cri(&rt, "c", cursor, 40000, &raw, &more, &err), 0);
    }
    buf_append(&raw, "", 0);
    for (char *rest = raw.data, *line; (line = strsep(&rest, "\n")) && *line;) {
        const char *space = strrchr(line, ' ');
        buf_puts(&text, space ? space + 1 : "?");
        buf_putc(&text, ' ');
    }
    return buf_take(&text);
}

static void assert_reads(struct log_cursor *cursor, const char *want)
{
    cleanup_free char *got = read_all(cursor);
    assert_string_equal(got, want);
}

static int set_up(void **state)
{
    (void)state;
    char dir[] = "/tmp/wherry-log-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    rt.data_dir = str_copy(dir);
    cleanup_free char *log = str_printf("%s/containers/c/log", dir);
    assert_int_equal(file_mkdirs(log, 0700, &err), 0);
    dir_fd = open(log, O_RDONLY | O_DIRECTORY);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(dir_fd);
    file_remove_tree(rt.data_dir, &err);
    free(rt.data_dir);
    return 0;
}

static void test_nothing_is_no_error(void **state)
{
    (void)state;
    struct log_cursor cursor = {0};
    assert_reads(&cursor, "");
    bool more;
    cleanup_buf struct buf out = BUF_INIT;
    assert_int_equal(log_read_cri(&rt, "gone", &cursor, 1, &out, &more, &err), ERR_NOTFOUND);
    assert_int_equal(log_read_cri(&rt, "../c", &cursor, 1, &out, &more, &err), ERR_INVALID);
}

static void test_follows_growth_and_rotation(void **state)
{
    (void)state;
    struct log_cursor cursor = {0};
    append_lines("1.log", 0, 3);
    assert_reads(&cursor, "0 1 2 ");
    assert_reads(&cursor, "");
    append_lines("1.log", 3, 4);
    rotate(1);
    append_lines("1.log", 4, 5);
    assert_reads(&cursor, "3 4 ");
    rotate(1);
    append_lines("1.log", 5, 6);
    rotate(1);
    append_lines("1.log", 6, 7);
    assert_reads(&cursor, "5 6 ");
}

static void test_goes_on_after_what_was_deleted(void **state)
{
    (void)state;
    struct log_cursor cursor = {0};
    append_lines("1.log", 0, 100);
    assert_false(cursor.run);
    cleanup_free char *first = read_all(&cursor);
    for (int i = 1; i <= 6; i++) {
        rotate(1);
        append_lines("1.log", i * 100, i * 100 + 2);
    }
    assert_reads(&cursor, "400 401 500 501 600 601 ");
}

static void test_crosses_runs(void **state)
{
    (void)state;
    struct log_cursor cursor = {0};
    append_lines("2.log.1", 0, 2);
    append_lines("2.log", 2, 3);
    append("2.log", "unfinished by a crash");
    append_lines("10.log", 10, 12);
    assert_reads(&cursor, "0 1 2 10 11 ");
    assert_int_equal(cursor.run, 10);
    append_lines("11.log", 12, 13);
    assert_reads(&cursor, "12 ");
    /* A run whose files are gone. */
    cursor = (struct log_cursor){.run = 1, .file = 77, .offset = 5};
    assert_reads(&cursor, "0 1 2 10 11 12 ");
}

static void test_unfinished_line_waits(void **state)
{
    (void)state;
    struct log_cursor cursor = {0};
    append_lines("1.log", 0, 1);
    append("1.log", "2026-01-02T03:04:05.000000000Z stdout F half");
    assert_reads(&cursor, "0 ");
    append("1.log", "way\n");
    assert_reads(&cursor, "halfway ");
}

static void test_pieces_are_whole_lines(void **state)
{
    (void)state;
    append_lines("1.log", 0, 3000);
    struct log_cursor cursor = {0};
    bool more = true;
    unsigned lines = 0, pieces = 0;
    while (more) {
        cleanup_buf struct buf out = BUF_INIT;
        assert_int_equal(log_read_cri(&rt, "c", &cursor, 40000, &out, &more, &err), 0);
        assert_true(out.len <= 40000);
        assert_int_equal(out.data[out.len - 1], '\n');
        for (char *p = out.data; (p = strchr(p, '\n')); p++)
            lines++;
        pieces++;
    }
    assert_int_equal(lines, 3000);
    assert_true(pieces > 2);
}

static void test_garbage_ends(void **state)
{
    (void)state;
    cleanup_free char *garbage = mem_alloc(1, 200124);
    memset(garbage, 'x', 200123);
    append("1.log", garbage);
    append("1.log", "\n");
    append_lines("2.log", 1, 2);
    struct log_cursor cursor = {0};
    assert_reads(&cursor, "? 1 ");
    assert_int_equal(log_seek_tail(&rt, "c", 5, &cursor, &err), 0);
}

static void test_tail(void **state)
{
    (void)state;
    struct log_cursor cursor;
    append_lines("1.log", 0, 5000);
    append_lines("2.log.1", 5000, 9000);
    append_lines("2.log", 9000, 9003);
    assert_int_equal(log_seek_tail(&rt, "c", 2, &cursor, &err), 0);
    assert_reads(&cursor, "9001 9002 ");
    assert_int_equal(log_seek_tail(&rt, "c", 5, &cursor, &err), 0);
    assert_reads(&cursor, "8998 8999 9000 9001 9002 ");
    for (int n = 4000; n <= 4010; n++) {
        assert_int_equal(log_seek_tail(&rt, "c", n, &cursor, &err), 0);
        cleanup_free char *got = read_all(&cursor);
        assert_int_equal(atoi(got), 9003 - n);
    }
    assert_int_equal(log_seek_tail(&rt, "c", 0, &cursor, &err), 0);
    assert_reads(&cursor, "");
    assert_int_equal(log_seek_tail(&rt, "c", 1000000, &cursor, &err), 0);
    cleanup_free char *all = read_all(&cursor);
    assert_int_equal(strncmp(all, "0 1 2 ", 6), 0);
}

static void test_tail_counts_parts_as_one(void **state)
{
    (void)state;
    struct log_cursor cursor;
    append_lines("1.log", 1, 2);
    append("1.log", "2026-01-02T03:04:05.000000000Z stdout P part\n"
                    "2026-01-02T03:04:05.000000000Z stdout F end\n");
    assert_int_equal(log_seek_tail(&rt, "c", 1, &cursor, &err), 0);
    assert_reads(&cursor, "part end ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_no_error),
        TEST(test_follows_growth_and_rotation),
        TEST(test_goes_on_after_what_was_deleted),
        TEST(test_crosses_runs),
        TEST(test_unfinished_line_waits),
        TEST(test_pieces_are_whole_lines),
        TEST(test_garbage_ends),
        TEST(test_tail),
        TEST(test_tail_counts_parts_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
