/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logline.h"
#include "cli/logprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T1 "2026-01-02T03:04:05.000000001Z"
#define T2 "2026-01-02T03:04:05.000000002Z"
#define T3 "2026-01-02T03:04:05.000000003Z"

static void add(struct logjoin *join, const char *text)
{
    logjoin_add(join, text, strlen(text));
}

static void expect(struct logjoin *join, const char *time, const char *text)
{
    assert_true(logjoin_next(join));
    assert_string_equal(join->time, time);
    assert_string_equal(join->text.data ? join->text.data : "", text);
}

static void parses_a_line(void **state)
{
    struct logline l;
    const char *line = T1 " stderr P two words ";
    (void)state;
    assert_true(logline_parse(line, strlen(line), &l));
    assert_string_equal(l.time, T1);
    assert_int_equal(l.stream, LOGLINE_STDERR);
    assert_true(l.partial);
    assert_int_equal(l.len, strlen("two words "));
    assert_memory_equal(l.text, "two words ", l.len);
    line = T1 " stdout F:more-tags x";
    assert_true(logline_parse(line, strlen(line), &l));
    assert_memory_equal(l.text, "x", 1);
    assert_false(l.partial);
    line = T1 " stdout F";
    assert_true(logline_parse(line, strlen(line), &l));
    assert_int_equal(l.len, 0);
}

static void refuses_what_is_no_line(void **state)
{
    static const char *const lines[] = {
        "",
        " ",
        "x",
        "now stdout F text",
        T1,
        T1 " ",
        T1 " stdlog F text",
        T1 " stdout ",
        T1 " stdout X text",
        "2026-01-02T03:04:05.00000000000000000000000000000001Z stdout F x"};
    struct logline l;
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        if (logline_parse(lines[i], strlen(lines[i]), &l))
            fail_msg("'%s' was taken for a line", lines[i]);
}

static void joins_parts_of_each_stream(void **state)
{
    struct logjoin join = {0};
    (void)state;
    add(&join, T1 " stdout P one \n" T2 " stderr F error\n" T3 " stdout P two \n");
    expect(&join, T2, "error");
    assert_false(logjoin_next(&join));
    add(&join, T3 " stdout F three\n");
    expect(&join, T1, "one two three");
    assert_false(logjoin_last(&join));
    logjoin_release(&join);
}

static void waits_for_the_rest_of_a_line(void **state)
{
    struct logjoin join = {0};
    (void)state;
    add(&join, T1 " stdout F hel");
    assert_false(logjoin_next(&join));
    add(&join, "lo\n\nraw text\n");
    expect(&join, T1, "hello");
    expect(&join, "", "");
    expect(&join, "", "raw text");
    assert_false(logjoin_next(&join));
    logjoin_release(&join);
}

static void gives_what_is_unfinished_at_the_end(void **state)
{
    struct logjoin join = {0};
    (void)state;
    add(&join, T1 " stdout P no end");
    assert_false(logjoin_next(&join));
    assert_true(logjoin_last(&join));
    assert_string_equal(join.time, T1);
    assert_string_equal(join.text.data, "no end");
    assert_false(logjoin_last(&join));
    logjoin_release(&join);
}

/* A container that never ends its line does not fill our memory. */
static void gives_endless_lines_in_pieces(void **state)
{
    struct logjoin join = {0};
    char piece[16384 + 64];
    size_t given = 0;
    size_t pieces = 0;
    size_t at = strlen(T1 " stdout P ");
    (void)state;
    memcpy(piece, T1 " stdout P ", at);
    memset(piece + at, 'x', 16384);
    piece[at + 16384] = '\n';
    for (int i = 0; i < 100; i++) {
        logjoin_add(&join, piece, at + 16385);
        while (logjoin_next(&join)) {
            given += join.text.len;
            pieces++;
        }
        assert_true(join.parts[LOGLINE_STDOUT].cap < 4 * LOGLINE_MAX);
        assert_true(join.input.cap < 4 * LOGLINE_MAX);
    }
    assert_true(pieces >= 5);
    while (logjoin_last(&join))
        given += join.text.len;
    assert_int_equal(given, 100 * 16384);
    logjoin_release(&join);
}

static void check_clean(const char *text, size_t len, const char *expected)
{
    cleanup_buf struct buf out = BUF_INIT;
    log_clean(text, len, &out);
    assert_string_equal(out.data ? out.data : "", expected);
}

/* A container does not get to the user's terminal through its log. */
static void cleans_for_a_terminal(void **state)
{
    (void)state;
#define CLEAN(text, expected) check_clean(text, sizeof(text) - 1, expected)
    CLEAN("", "");
    CLEAN("tab\tund \xc3\xa4 \xe2\x82\xac\r", "tab\tund \xc3\xa4 \xe2\x82\xac");
    CLEAN("\033[1;31mred\033[0m", "\033[1;31mred\033[0m\033[0m");
    CLEAN("\033]0;title\007", "^[]0;title^G");
    CLEAN("\033[2J\033[H\033[6n\033[?1049h", "^[[2J^[[H^[[6n^[[?1049h");
    CLEAN("a\rb\bc\177\0d", "a^Mb^Hc^?^@d");
    CLEAN("\xc2\x9b"
          "2J\x9b"
          "2J",
          "?2J?2J");
    CLEAN("\033", "^[");
    CLEAN("\033[31", "^[[31");
    CLEAN("\xe2\x82", "??");
#undef CLEAN
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_a_line),
        cmocka_unit_test(refuses_what_is_no_line),
        cmocka_unit_test(joins_parts_of_each_stream),
        cmocka_unit_test(waits_for_the_rest_of_a_line),
        cmocka_unit_test(gives_what_is_unfinished_at_the_end),
        cmocka_unit_test(gives_endless_lines_in_pieces),
        cmocka_unit_test(cleans_for_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
