/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct options {
    bool all;
    const char *file;
    struct arg_texts labels;
    struct arg_number tail;
    int64_t timeout_ms;
};

static const struct arg_option table[] = {
    ARG_OPTION(struct options, ARG_FLAG, all, 'a', "all", NULL, "everything"),
    ARG_OPTION(struct options, ARG_TEXT, file, 'f', "file", "FILE", "a file"),
    ARG_OPTION(struct options, ARG_TEXTS, labels, 0, "label", "K=V", "several"),
    ARG_OPTION(struct options, ARG_NUMBER, tail, 'n', "tail", "N", "lines"),
    ARG_OPTION(struct options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION", "how long"),
    ARG_END,
};

/* A second table that also has --file. */
static const struct arg_option other_table[] = {
    ARG_OPTION(struct options, ARG_TEXT, file, 0, "file", "FILE", "not this one"),
    ARG_OPTION(struct options, ARG_FLAG, all, 0, "alone", NULL, "another flag"),
    ARG_END,
};

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})

static int count(char **argv)
{
    int n = 0;
    while (argv[n])
        n++;
    return n;
}

static int parse(char **argv, struct options *o, struct err *err)
{
    struct arg_set set = {table, o};
    *o = (struct options){0};
    return args_parse(&set, 1, count(argv), argv, err);
}

static void reads_options_before_and_after_words(void **state)
{
    struct options o;
    struct err err;
    char **argv = ARGS("one", "-af", "x.yaml", "two", "--label=a=b", "-n5", "--label", "c=d",
                       "--timeout", "1m30s", "three");
    (void)state;
    assert_int_equal(parse(argv, &o, &err), 3);
    assert_string_equal(argv[0], "one");
    assert_string_equal(argv[2], "three");
    assert_true(o.all);
    assert_string_equal(o.file, "x.yaml");
    assert_int_equal(o.labels.n, 2);
    assert_string_equal(o.labels.items[0], "a=b");
    assert_string_equal(o.labels.items[1], "c=d");
    assert_true(o.tail.given);
    assert_int_equal(o.tail.value, 5);
    assert_int_equal(o.timeout_ms, 90000);
    args_release(&(struct arg_set){table, &o});
}

static void ends_options_at_two_dashes(void **state)
{
    struct options o;
    struct err err;
    char **argv = ARGS("--", "-a", "--file");
    (void)state;
    assert_int_equal(parse(argv, &o, &err), 2);
    assert_string_equal(argv[0], "-a");
    assert_false(o.all);
    assert_int_equal(parse(ARGS("-"), &o, &err), 1);
}

static void takes_unique_beginnings(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(parse(ARGS("--ti", "5s"), &o, &err), 0);
    assert_int_equal(o.timeout_ms, 5000);
    assert_int_equal(parse(ARGS("--t", "5s"), &o, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "several options"));
}

static void prefers_the_first_table_and_whole_names(void **state)
{
    struct options first = {0};
    struct options second = {0};
    struct err err;
    struct arg_set sets[] = {{other_table, &first}, {table, &second}};
    char **argv = ARGS("--file", "x", "--all");
    (void)state;
    assert_int_equal(args_parse(sets, 2, 3, argv, &err), 0);
    assert_string_equal(first.file, "x");
    assert_null(second.file);
    /* "all" is whole in the second though "alone" begins alike. */
    assert_true(second.all);
    assert_false(first.all);
}

static void refuses(char **argv, const char *part)
{
    struct options o;
    struct err err = {0};
    assert_int_equal(parse(argv, &o, &err), ERR_INVALID);
    if (!strstr(err.msg, part))
        fail_msg("'%s' does not say '%s'", err.msg, part);
    args_release(&(struct arg_set){table, &o});
}

static void names_what_is_wrong(void **state)
{
    (void)state;
    refuses(ARGS("--fiel", "x"), "did you mean --file?");
    refuses(ARGS("-all"), "did you mean --all?");
    refuses(ARGS("-z"), "unknown option -z");
    refuses(ARGS("--"
                 "nothing-like-it"),
            "unknown option --nothing-like-it");
    refuses(ARGS("--file"), "--file needs a value: FILE");
    refuses(ARGS("-f"), "-f needs a value");
    refuses(ARGS("--all=1"), "takes no value");
    refuses(ARGS("--tail", "-1"), "needs a number");
    refuses(ARGS("--tail", "99999999999"), "needs a number");
    refuses(ARGS("--timeout", "30"), "duration");
    refuses(ARGS("--timeout", "d"), "duration");
    refuses(ARGS("--timeout", "999999d"), "duration");
    refuses(ARGS("--timeout", "-1d"), "duration");
    refuses(ARGS("--=x"), "unknown option");
}

static void finds_the_first_word(void **state)
{
    struct arg_set set = {table, NULL};
    char **argv = ARGS("-f", "deploy", "--label", "a=b", "-an", "3", "--unknown", "ls", "-x");
    (void)state;
    assert_int_equal(args_first_word(&set, 1, count(argv), argv), 7);
    argv = ARGS("--file=x", "-fy", "ps");
    assert_int_equal(args_first_word(&set, 1, count(argv), argv), 2);
    argv = ARGS("-a", "--file");
    assert_int_equal(args_first_word(&set, 1, count(argv), argv), 2);
}

static void suggests_only_what_is_near(void **state)
{
    const char *const names[] = {"deploy", "ps", "logs", "status", NULL};
    (void)state;
    assert_string_equal(args_nearest("deplyo", names), "deploy");
    assert_string_equal(args_nearest("log", names), "logs");
    assert_string_equal(args_nearest("sp", names), "ps");
    assert_null(args_nearest("xy", names));
    assert_null(args_nearest("frobnicate", names));
    assert_null(args_nearest("a-very-long-word-that-is-longer-than-all-of-them", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_options_before_and_after_words),
        cmocka_unit_test(ends_options_at_two_dashes),
        cmocka_unit_test(takes_unique_beginnings),
        cmocka_unit_test(prefers_the_first_table_and_whole_names),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(finds_the_first_word),
        cmocka_unit_test(suggests_only_what_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
