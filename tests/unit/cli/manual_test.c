/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manual.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int run(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    (void)cli;
    (void)options;
    (void)words_n;
    (void)words;
    (void)err;
    return 0;
}

static const struct command below = {
    .name = "below", .usage = "NAME…", .summary = "do it", .local = true, .run = run};
static const struct command *const subcommands[] = {&below, NULL};
static const struct command above = {.name = "above",
                                     .summary = "hold one",
                                     .details = ".br is text\n'so is this' and a\\b --c",
                                     .subcommands = subcommands};
static const struct command hidden = {.name = "hidden", .usage = "", .run = run};
static const struct command *const commands[] = {&above, &hidden, NULL};

static void has(const char *page, const char *text)
{
    if (!strstr(page, text))
        fail_msg("no '%s' in:\n%s", text, page);
}

static void commands_have_sections(void **state)
{
    cleanup_buf struct buf out = BUF_INIT;
    (void)state;
    manual_write(&(struct program){.version = "1.2", .commands = commands}, &out);
    has(out.data, ".TH WHERRY 1 \"\" \"wherry 1.2\"");
    has(out.data, "\n.SS wherry above\n");
    has(out.data, "\n.SS wherry above below\n");
    assert_null(strstr(out.data, "hidden"));
}

static void text_is_no_request(void **state)
{
    cleanup_buf struct buf out = BUF_INIT;
    (void)state;
    manual_write(&(struct program){.version = "1.2", .commands = commands}, &out);
    has(out.data, "\n\\&.br is text\n\\&\\(aqso is this\\(aq and a\\eb \\-\\-c\n");
    has(out.data, "below NAME\\[u2026]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_have_sections),
        cmocka_unit_test(text_is_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
