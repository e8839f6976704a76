/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, units, progress lines: how things look. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void table_aligns_and_ends_without_blanks(void **state)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)state;
    table_init(&table, (const char *[]){"NAME", "STATE", "", NULL});
    const char *cells[] = {"app.web", "läuft", "", "a", "waiting", "0 of 3 nodes fit", "b", "", ""};
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
        table_add(&table, cells[i]);
    table_print(&table, &out);
    table_release(&table);
    assert_string_equal(out.data, "NAME     STATE\n"
                                  "app.web  läuft\n"
                                  "a        waiting  0 of 3 nodes fit\n"
                                  "b\n");
}

static void table_without_headings_shows_none(void **state)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)state;
    table_init(&table, (const char *[]){"", "", NULL});
    table_add(&table, "leader");
    table_addf(&table, "n%d", 2);
    table_print(&table, &out);
    table_release(&table);
    assert_string_equal(out.data, "leader  n2\n");
}

static void table_shows_no_control_characters(void **state)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)state;
    table_init(&table, (const char *[]){"", NULL});
    table_add(&table, "a\033[2Jb\nc\177");
    table_print(&table, &out);
    table_release(&table);
    assert_string_equal(out.data, "a?[2Jb?c?\n");
}

static void units_read_well(void **state)
{
    static const int64_t now = 1700000000000;
    static const struct {
        int64_t before_ms;
        const char *text;
    } ago[] = {{-5000, "now"},     {900, "now"},        {59000, "59s ago"},    {119999, "119s ago"},
               {120000, "2m ago"}, {7200000, "2h ago"}, {172800000, "2d ago"}, {now, ""}};
    static const struct {
        int64_t value;
        const char *text;
    } sizes[] = {{0, "0 B"},          {999, "999 B"},   {1000, "1 kB"},        {4200000, "4.2 MB"},
                 {13400000, "13 MB"}, {999960, "1 MB"}, {1500000000, "1.5 GB"}},
      memory[] = {{1024, "1 KiB"}, {536870912, "512 MiB"}, {1610612736, "1.5 GiB"}},
      cpu[] = {{2000, "2"}, {500, "0.5"}, {1250, "1.25"}, {0, "0"}, {10000, "10"}},
      durations[] = {{0, "0s"},       {750, "750ms"},   {12500, "12s"},     {90000, "1m30s"},
                     {3600000, "1h"}, {86400000, "1d"}, {90061000, "1d1h"}, {300000, "5m"}};
    char out[UNITS_TEXT];
    char image[UNITS_IMAGE];
    (void)state;
    assert_string_equal(units_image("app:1", image), "app:1");
    assert_string_equal(units_image("a/b@sha256:0123456789abcdef", image),
                        "a/b@sha256:0123456789ab…");
    assert_string_equal(units_image("a/b@sha256:0123456789ab", image), "a/b@sha256:0123456789ab");
    assert_string_equal(units_image("a/b@sha256:01", image), "a/b@sha256:01");
    for (size_t i = 0; i < ARRAY_SIZE(ago); i++)
        assert_string_equal(units_ago(now - ago[i].before_ms, now, out), ago[i].text);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        assert_string_equal(units_size(sizes[i].value, out), sizes[i].text);
    for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
        assert_string_equal(units_memory(memory[i].value, out), memory[i].text);
    for (size_t i = 0; i < ARRAY_SIZE(cpu); i++)
        assert_string_equal(units_cpu(cpu[i].value, out), cpu[i].text);
    for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
        assert_string_equal(units_duration(durations[i].value, out), durations[i].text);
}

static const char *cut(const char *text, size_t width, struct buf *out)
{
    buf_reset(out);
    progress_cut(text, width, out);
    return out->data ? out->data : "";
}

static void lines_are_cut_at_characters(void **state)
{
    cleanup_buf struct buf out = BUF_INIT;
    (void)state;
    assert_string_equal(cut("short", 5, &out), "short");
    assert_string_equal(cut("longer", 5, &out), "long…");
    assert_string_equal(cut("äöüäöü", 4, &out), "äöü…");
    assert_string_equal(cut("a\rb\033c", 10, &out), "a?b?c");
    assert_string_equal(cut("x", 0, &out), "");
}

/* Elsewhere than on a terminal a line is written when it changes, and only then. */
static void progress_writes_what_changed(void **state)
{
    char *written = NULL;
    size_t len = 0;
    FILE *out = tmpfile();
    struct progress progress;
    (void)state;
    assert_non_null(out);
    progress_init(&progress, out);
    progress_show(&progress, (char *[]){"web 0/2", "db 0/1"}, 2);
    progress_show(&progress, (char *[]){"web 0/2", "db 0/1"}, 2);
    progress_show(&progress, (char *[]){"web 1/2", "db 0/1", "new"}, 3);
    progress_show(&progress, (char *[]){"web 1/2", "db 1/1", "new"}, 3);
    progress_end(&progress);
    rewind(out);
    assert_true(getdelim(&written, &len, '\0', out) > 0);
    assert_string_equal(written, "web 0/2\ndb 0/1\nweb 1/2\nnew\ndb 1/1\n");
    free(written);
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_aligns_and_ends_without_blanks),
        cmocka_unit_test(table_without_headings_shows_none),
        cmocka_unit_test(table_shows_no_control_characters),
        cmocka_unit_test(units_read_well),
        cmocka_unit_test(lines_are_cut_at_characters),
        cmocka_unit_test(progress_writes_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
