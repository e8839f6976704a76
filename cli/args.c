/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/compose_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAMES_MAX = 64,
    HELP_COLUMN = 28,
    DAYS_DIGITS_MAX = 5,
    DAY_MS = 24 * 3600 * 1000,
};

/* --- one argument after the other --------------------------------------------------------------
 */

enum found {
    FOUND_END,
    FOUND_WORD,
    FOUND_OPTION,
    FOUND_UNKNOWN,
    FOUND_AMBIGUOUS,
};

struct cursor {
    const struct arg_set *sets;
    size_t sets_n;
    int argc;
    char **argv;
    int next;
    const char *letters; /* the rest of "-abc" */
    bool words_only;     /* after "--" */
    /* What was found. */
    const char *word; /* the argument as it was given */
    char letter;      /* of a short option */
    const struct arg_option *option;
    void *into;
    const char *value; /* NULL: it has none */
};

static void take(struct cursor *c, size_t set, const struct arg_option *option)
{
    c->option = option;
    c->into = c->sets[set].into;
}

static bool find_letter(struct cursor *c, char letter)
{
    for (size_t s = 0; s < c->sets_n; s++)
        for (const struct arg_option *o = c->sets[s].options; o && o->name; o++)
            if (o->letter == letter) {
                take(c, s, o);
                return true;
            }
    return false;
}

static enum found find_name(struct cursor *c, const char *name, size_t len)
{
    const char *before = NULL;
    bool ambiguous = false;
    for (size_t s = 0; s < c->sets_n; s++)
        for (const struct arg_option *o = c->sets[s].options; o && o->name; o++) {
            if (strncmp(o->name, name, len) != 0)
                continue;
            if (o->name[len] == '\0') {
                if (before && strlen(before) == len)
                    continue; /* an earlier set has it */
                take(c, s, o);
                before = o->name;
                ambiguous = false;
            } else if (!before) {
                take(c, s, o);
                before = o->name;
            } else if (strlen(before) != len && strcmp(before, o->name) != 0) {
                ambiguous = true;
            }
        }
    return ambiguous ? FOUND_AMBIGUOUS : before ? FOUND_OPTION : FOUND_UNKNOWN;
}

static enum found next_letter(struct cursor *c)
{
    c->letter = *c->letters++;
    bool known = find_letter(c, c->letter);
    if (known && c->option->kind != ARG_FLAG) {
        if (*c->letters)
            c->value = c->letters;
        else if (c->next < c->argc)
            c->value = c->argv[c->next++];
        c->letters = NULL;
    }
    if (c->letters && !*c->letters)
        c->letters = NULL;
    return known ? FOUND_OPTION : FOUND_UNKNOWN;
}

static enum found next_long(struct cursor *c, const char *name)
{
    size_t len = strcspn(name, "=");
    enum found found = len > 0 ? find_name(c, name, len) : FOUND_UNKNOWN;
    if (name[len] == '=')
        c->value = name + len + 1;
    else if (found == FOUND_OPTION && c->option->kind != ARG_FLAG && c->next < c->argc)
        c->value = c->argv[c->next++];
    return found;
}

static enum found next_found(struct cursor *c)
{
    c->value = NULL;
    c->option = NULL;
    c->letter = '\0';
    if (c->letters)
        return next_letter(c);
    if (c->next >= c->argc)
        return FOUND_END;
    c->word = c->argv[c->next++];
    if (c->words_only || c->word[0] != '-' || !c->word[1])
        return FOUND_WORD;
    if (strcmp(c->word, "--") == 0) {
        c->words_only = true;
        return next_found(c);
    }
    if (c->word[1] == '-')
        return next_long(c, c->word + 2);
    c->letters = c->word + 1;
    return next_letter(c);
}

int args_first_word(const struct arg_set *sets, size_t sets_n, int argc, char **argv)
{
    struct cursor c = {.sets = sets, .sets_n = sets_n, .argc = argc, .argv = argv};
    for (;;) {
        enum found found = next_found(&c);
        if (found == FOUND_END)
            return argc;
        if (found == FOUND_WORD)
            return c.next - 1;
    }
}

/* --- values ------------------------------------------------------------------------------------
 */

static const char *shown(const struct cursor *c, char out[80])
{
    if (c->letter)
        snprintf(out, 80, "-%c", c->letter);
    else if (c->option)
        snprintf(out, 80, "--%.60s", c->option->name);
    else
        snprintf(out, 80, "%.*s", (int)strcspn(c->word, "="), c->word);
    return out;
}

static int store_text(const struct cursor *c, void *at)
{
    struct arg_texts *texts = at;
    if (c->option->kind == ARG_TEXT) {
        *(const char **)at = c->value;
        return 0;
    }
    texts->items = mem_resize(texts->items, texts->n + 1, sizeof(*texts->items));
    texts->items[texts->n++] = c->value;
    return 0;
}

/* "30d": Compose has no days, but ends of tokens are some away. */
static bool whole_days(const char *text, int64_t *ret_ms)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DAYS_DIGITS_MAX || strcmp(text + digits, "d") != 0)
        return false;
    *ret_ms = strtoll(text, NULL, 10) * DAY_MS;
    return true;
}

static int store_value(const struct cursor *c, struct err *err)
{
    char name[80];
    void *at = (char *)c->into + c->option->offset;
    struct arg_number *number = at;
    bool flag = c->option->kind == ARG_FLAG;
    if (flag != !c->value)
        return flag ? err_set(err, ERR_INVALID, "option %s takes no value", shown(c, name))
                    : err_set(err, ERR_INVALID, "option %s needs a value: %s", shown(c, name),
                              c->option->value);
    switch (c->option->kind) {
    case ARG_FLAG:
        *(bool *)at = true;
        return 0;
    case ARG_TEXT:
    case ARG_TEXTS:
        return store_text(c, at);
    case ARG_NUMBER:
        number->given = true;
        if (compose_number(c->value, 0, INT32_MAX, &number->value))
            return 0;
        return err_set(err, ERR_INVALID, "option %s needs a number, not '%.60s'", shown(c, name),
                       c->value);
    case ARG_DURATION:
        if (whole_days(c->value, at) || compose_duration(c->value, at))
            return 0;
        return err_set(err, ERR_INVALID,
                       "option %s needs a duration such as 30s, 5m, 1h30m or 30d, not '%.60s'",
                       shown(c, name), c->value);
    }
    return 0;
}

static int refuse(const struct cursor *c, enum found found, struct err *err)
{
    const char *names[NAMES_MAX + 1] = {0};
    char name[80];
    char given[80];
    size_t n = 0;
    const char *nearest = NULL;
    for (size_t s = 0; s < c->sets_n; s++)
        for (const struct arg_option *o = c->sets[s].options; o && o->name && n < NAMES_MAX; o++)
            names[n++] = o->name;
    snprintf(given, sizeof(given), "%.*s", (int)strcspn(c->word + 1, "="), c->word + 1);
    if (!c->letter)
        nearest = args_nearest(given + 1, names);
    else if (strlen(given) > 2)
        nearest = args_nearest(given, names); /* "-json" */
    if (found == FOUND_AMBIGUOUS)
        return err_set(err, ERR_INVALID, "option --%s may mean several options: write more of it",
                       given + 1);
    if (nearest)
        return err_set(err, ERR_INVALID, "unknown option %.60s (did you mean --%s?)",
                       c->letter ? c->word : shown(c, name), nearest);
    return err_set(err, ERR_INVALID, "unknown option %s", shown(c, name));
}

int args_parse(const struct arg_set *sets, size_t sets_n, int argc, char **argv, struct err *err)
{
    struct cursor c = {.sets = sets, .sets_n = sets_n, .argc = argc, .argv = argv};
    int words = 0;
    for (;;) {
        enum found found = next_found(&c);
        switch (found) {
        case FOUND_END:
            return words;
        case FOUND_WORD:
            argv[words++] = argv[c.next - 1];
            break;
        case FOUND_OPTION:
            if (store_value(&c, err) < 0)
                return ERR_INVALID;
            break;
        case FOUND_UNKNOWN:
        case FOUND_AMBIGUOUS:
            return refuse(&c, found, err);
        }
    }
}

void args_release(const struct arg_set *set)
{
    for (const struct arg_option *o = set->options; o && o->name; o++) {
        struct arg_texts *texts = (void *)((char *)set->into + o->offset);
        if (o->kind != ARG_TEXTS)
            continue;
        free(texts->items);
        *texts = (struct arg_texts){0};
    }
}

/* --- for people --------------------------------------------------------------------------------
 */

static bool has_option(const struct arg_option *options, const char *name)
{
    for (; options && options->name; options++)
        if (strcmp(options->name, name) == 0)
            return true;
    return false;
}

void args_describe(const struct arg_option *options, const struct arg_option *but, struct buf *out)
{
    for (const struct arg_option *o = options; o && o->name; o++) {
        cleanup_buf struct buf line = BUF_INIT;
        if (!o->help || has_option(but, o->name))
            continue;
        if (o->letter)
            buf_printf(&line, "  -%c, --%s", o->letter, o->name);
        else
            buf_printf(&line, "      --%s", o->name);
        if (o->value)
            buf_printf(&line, " %s", o->value);
        if (line.len + 2 > HELP_COLUMN)
            buf_printf(out, "%s\n%*s%s\n", line.data, HELP_COLUMN, "", o->help);
        else
            buf_printf(out, "%-*s%s\n", HELP_COLUMN, line.data, o->help);
    }
}

/* Optimal string alignment: insertions, deletions, replacements and swaps of neighbours. */
static size_t distance(const char *a, const char *b)
{
    enum {
        MAX = 32
    };
    size_t n = strlen(a);
    size_t m = strlen(b);
    size_t d[MAX + 1][MAX + 1];
    if (n > MAX || m > MAX)
        return MAX;
    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *args_nearest(const char *word, const char *const *names)
{
    const char *nearest = NULL;
    size_t len = strlen(word);
    size_t best = len <= 2 ? 2 : len <= 5 ? 3 : 4; /* less than this is near */
    for (; *names; names++) {
        size_t d = distance(word, *names);
        if (d < best && d < strlen(*names)) {
            best = d;
            nearest = *names;
        }
    }
    return nearest;
}
