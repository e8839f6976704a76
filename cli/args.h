/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args - the options of a command: one table for reading them and for the help text.
 *
 *     struct rm_options { bool detach; int64_t timeout_ms; };
 *     static const struct arg_option options[] = {
 *         ARG_OPTION(struct rm_options, ARG_FLAG, detach, 'd', "detach", NULL, "do not wait"),
 *         ARG_END,
 *     };
 *
 * Options and words come in any order; "--" ends the options. Long options may be shortened as long
 * as they are unique, values stand in the same argument ("--tail=5", "-n5") or in the next. What is
 * read is written into the caller's struct at the option's offset; texts are borrowed from argv.
 */
#ifndef WHERRY_CLI_ARGS_H
#define WHERRY_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

enum arg_kind {
    ARG_FLAG,     /* bool */
    ARG_TEXT,     /* const char * */
    ARG_TEXTS,    /* struct arg_texts: may be given several times */
    ARG_NUMBER,   /* struct arg_number, not negative */
    ARG_DURATION, /* int64_t of milliseconds: "30s", "1m30s", "30d" */
};

struct arg_texts {
    const char **items;
    size_t n;
};

struct arg_number {
    bool given;
    int64_t value;
};

struct arg_option {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* 0: none */
    enum arg_kind kind;
    size_t offset;
    const char *value; /* what the help calls the value; NULL for a flag */
    const char *help;
};

#define ARG_OPTION(s, k, member, l, n, v, h)                                                       \
    {                                                                                              \
        .name = (n), .letter = (l), .kind = (k), .offset = offsetof(s, member), .value = (v),      \
        .help = (h)                                                                                \
    }
#define ARG_END                                                                                    \
    {                                                                                              \
        0                                                                                          \
    }

/* A table and the struct it fills. Where a name is in several sets the first counts. */
struct arg_set {
    const struct arg_option *options; /* NULL: none */
    void *into;
};

/* The index of the first argument that is a word: no option and no option's value; @argc when there
 * is none. Unknown options count as flags. */
int args_first_word(const struct arg_set *sets, size_t sets_n, int argc, char **argv);

/* Read all options of argv[0..argc) and move the words to its front; returns their number, or
 * ERR_INVALID with a message that names the option. Lists are heap memory: args_release(). */
int args_parse(const struct arg_set *sets, size_t sets_n, int argc, char **argv, struct err *err);

/* Free what args_parse() allocated in @set. */
void args_release(const struct arg_set *set);

/* Append one indented line per option of @options that has a help text and whose name is not in
 * @but (may be NULL), which comes before it. */
void args_describe(const struct arg_option *options, const struct arg_option *but, struct buf *out);

/* The name that is nearest to @word, if near enough to be a slip, else NULL. @names ends with NULL.
 * Borrowed. */
const char *args_nearest(const char *word, const char *const *names);

#endif
