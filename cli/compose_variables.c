/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    NESTING_MAX = 16,
    NAME_MAX_BYTES = 255,
};

/* --- interpolation ------------------------------------------------------------------------- */

static size_t name_length(const char *s)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char inner[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *s && strchr(letters, *s) ? strspn(s, inner) : 0;
}

static int put(struct buf *out, const char *text, size_t len, struct err *err)
{
    if (len > COMPOSE_TEXT_MAX || out->len > COMPOSE_TEXT_MAX - len)
        return err_set(err, ERR_TOOBIG, "variables make this text longer than %d KiB",
                       COMPOSE_TEXT_MAX / 1024);
    buf_append(out, text, len);
    return 0;
}

/* Where the "}" is that ends the expression whose content starts at @s, or NULL. */
static const char *closing_brace(const char *s, const char *end)
{
    int depth = 1;
    for (; s < end; s++) {
        if (s[0] == '$' && s + 1 < end && s[1] == '$')
            s++;
        else if (s[0] == '$' && s + 1 < end && s[1] == '{')
            depth++, s++;
        else if (s[0] == '}' && --depth == 0)
            return s;
    }
    return NULL;
}

static int expand(const char *s, const char *end, const struct compose_scope *scope, int depth,
                  struct buf *out, struct err *err);

static int put_variable(const char *name, const struct compose_scope *scope, struct buf *out,
                        struct err *err)
{
    const char *value = scope->get(scope->data, name);
    if (!value && scope->on_unset)
        scope->on_unset(scope->data, name);
    return put(out, str_or_empty(value), strlen(str_or_empty(value)), err);
}

/* ${name OP word}; @op points at the operator, @end at the closing brace. */
static int put_operator(const char *name, const char *op, const char *end,
                        const struct compose_scope *scope, int depth, struct buf *out,
                        struct err *err)
{
    bool colon = *op == ':';
    char kind = colon && op + 1 < end ? op[1] : *op;
    const char *word = op + (colon ? 2 : 1);
    if (kind != '-' && kind != '?' && kind != '+')
        return err_set(err, ERR_INVALID,
                       "'${%s' goes on with '%c'; only :- - :? ? :+ + may follow a name", name,
                       *op);
    const char *value = scope->get(scope->data, name);
    bool there = value && (!colon || *value);
    if (kind == '+')
        return there ? expand(word, end, scope, depth + 1, out, err) : 0;
    if (there)
        return put(out, value, strlen(value), err);
    if (kind == '-')
        return expand(word, end, scope, depth + 1, out, err);
    cleanup_buf struct buf text = BUF_INIT;
    if (expand(word, end, scope, depth + 1, &text, err) < 0)
        return err->code;
    return err_set(err, ERR_INVALID, "variable '%s' must be set%s%.150s", name,
                   text.len ? ": " : "", text.len ? text.data : "");
}

/* One expression after "$"; *@s is moved behind it. */
static int put_expression(const char **s, const char *end, const struct compose_scope *scope,
                          int depth, struct buf *out, struct err *err)
{
    const char *p = *s;
    bool braces = p < end && *p == '{';
    size_t len = name_length(p + braces);
    if (len == 0)
        return err_set(err, ERR_INVALID,
                       "'$' starts no variable here; write '$$' for a dollar sign");
    char name[NAME_MAX_BYTES + 1];
    if (len > NAME_MAX_BYTES)
        return err_set(err, ERR_INVALID, "a variable's name is longer than %d bytes",
                       NAME_MAX_BYTES);
    memcpy(name, p + braces, len);
    name[len] = '\0';
    if (!braces) {
        *s = p + len;
        return put_variable(name, scope, out, err);
    }
    const char *close = closing_brace(p + 1, end);
    if (!close)
        return err_set(err, ERR_INVALID, "'${%.60s' has no closing '}'", name);
    *s = close + 1;
    if (p + 1 + len == close)
        return put_variable(name, scope, out, err);
    return put_operator(name, p + 1 + len, close, scope, depth, out, err);
}

static int expand(const char *s, const char *end, const struct compose_scope *scope, int depth,
                  struct buf *out, struct err *err)
{
    if (depth > NESTING_MAX)
        return err_set(err, ERR_INVALID, "variables nested deeper than %d levels", NESTING_MAX);
    while (s < end) {
        const char *dollar = memchr(s, '$', (size_t)(end - s));
        if (put(out, s, (size_t)((dollar ? dollar : end) - s), err) < 0)
            return err->code;
        if (!dollar)
            return 0;
        s = dollar + 1;
        int rc;
        if (s < end && *s == '$') {
            rc = put(out, "$", 1, err);
            s++;
        } else {
            rc = put_expression(&s, end, scope, depth, out, err);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

int compose_interpolate(const char *text, const struct compose_scope *scope, struct buf *out,
                        struct err *err)
{
    return expand(text, text + strlen(text), scope, 0, out, err);
}

/* --- sets of variables --------------------------------------------------------------------- */

void compose_env_add(struct compose_env *env, const char *name, const char *value)
{
    if (env->n == env->room) {
        env->room = 2 * env->room + 4;
        env->pairs = mem_resize(env->pairs, env->room, sizeof(*env->pairs));
    }
    env->pairs[env->n++] = (struct pair){str_copy(name), str_copy(value)};
}

const char *compose_env_get(const struct compose_env *env, const char *name)
{
    for (size_t i = env->n; i-- > 0;)
        if (strcmp(env->pairs[i].key, name) == 0)
            return env->pairs[i].value;
    return NULL;
}

static void pair_release(struct pair *pair)
{
    free(pair->key);
    free(pair->value);
}

void compose_env_release(struct compose_env *env)
{
    for (size_t i = 0; i < env->n; i++)
        pair_release(&env->pairs[i]);
    free(env->pairs);
    *env = (struct compose_env){0};
}

struct ranked {
    struct pair pair;
    size_t rank;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    int order = strcmp(x->pair.key, y->pair.key);
    return order ? order : (x->rank < y->rank ? -1 : x->rank > y->rank);
}

void compose_env_settle(struct compose_env *env)
{
    if (env->n == 0)
        return;
    cleanup_free struct ranked *all = mem_alloc(env->n, sizeof(*all));
    for (size_t i = 0; i < env->n; i++)
        all[i] = (struct ranked){env->pairs[i], i};
    qsort(all, env->n, sizeof(*all), compare_ranked);
    size_t kept = 0;
    for (size_t i = 0; i < env->n; i++) {
        if (i + 1 < env->n && strcmp(all[i].pair.key, all[i + 1].pair.key) == 0)
            pair_release(&all[i].pair);
        else
            env->pairs[kept++] = all[i].pair;
    }
    env->n = kept;
}

/* --- env files ----------------------------------------------------------------------------- */

struct env_file {
    const struct compose_scope *outer;
    struct compose_env *env;
    const char *s;
    int line;
};

static const char *file_get(void *data, const char *name)
{
    struct env_file *f = data;
    const char *value = f->outer->get(f->outer->data, name);
    return value ? value : compose_env_get(f->env, name);
}

static void skip_blanks(struct env_file *f)
{
    f->s += strspn(f->s, " \t");
}

static void skip_line(struct env_file *f)
{
    f->s += strcspn(f->s, "\n");
}

/* What "\@c" stands for in double quotes; unknown pairs stay as they are. */
static void put_escape(char c, struct buf *out)
{
    static const char from[] = "nrt\\\"", to[] = "\n\r\t\\\"";
    const char *known = strchr(from, c);
    if (known) {
        buf_putc(out, to[known - from]);
        return;
    }
    buf_putc(out, c == '$' ? '$' : '\\'); /* "\$" becomes "$$" */
    buf_putc(out, c);
}

/* A quoted value, from behind its opening quote to behind the closing one. */
static int quoted(struct env_file *f, char quote, struct buf *out, struct err *err)
{
    int first = f->line;
    while (*f->s != quote) {
        char c = *f->s;
        if (c == '\0') {
            f->line = first;
            return err_set(err, ERR_INVALID, "a value has no closing %c", quote);
        }
        f->s++;
        if (quote == '"' && c == '\\' && *f->s) {
            c = *f->s++;
            put_escape(c, out);
        } else {
            buf_putc(out, c);
        }
        f->line += c == '\n';
    }
    f->s++;
    return 0;
}

static void unquoted(struct env_file *f, struct buf *out)
{
    const char *end = f->s + strcspn(f->s, "\n");
    const char *comment = f->s;
    while (comment < end &&
           !(*comment == '#' && (comment == f->s || comment[-1] == ' ' || comment[-1] == '\t')))
        comment++;
    const char *last = comment;
    while (last > f->s && strchr(" \t\r", last[-1]))
        last--;
    buf_append(out, f->s, (size_t)(last - f->s));
    f->s = end;
}

static int read_value(struct env_file *f, const char *name, struct err *err)
{
    cleanup_buf struct buf raw = BUF_INIT;
    cleanup_buf struct buf value = BUF_INIT;
    skip_blanks(f);
    char quote = *f->s;
    if (quote == '\'' || quote == '"') {
        f->s++;
        if (quoted(f, quote, &raw, err) < 0)
            return err->code;
        skip_blanks(f);
        if (!strchr("\r\n#", *f->s))
            return err_set(err, ERR_INVALID, "text follows the closing %c of '%.60s'", quote, name);
    } else {
        unquoted(f, &raw);
    }
    skip_line(f);
    const char *text = str_or_empty(raw.data);
    struct compose_scope scope = {.get = file_get, .data = f};
    if (quote == '\'')
        buf_puts(&value, text);
    else if (compose_interpolate(text, &scope, &value, err) < 0)
        return err_wrap(err, "%.60s", name);
    compose_env_add(f->env, name, str_or_empty(value.data));
    return 0;
}

static int read_line(struct env_file *f, struct err *err)
{
    skip_blanks(f);
    if (strchr("#\r\n", *f->s)) {
        skip_line(f);
        return 0;
    }
    if (str_starts(f->s, "export ") || str_starts(f->s, "export\t"))
        f->s += sizeof("export");
    skip_blanks(f);
    size_t len = strcspn(f->s, "= \t\r\n");
    if (len == 0 || len > NAME_MAX_BYTES)
        return err_set(err, ERR_INVALID, "a line must be NAME=VALUE");
    char name[NAME_MAX_BYTES + 1];
    memcpy(name, f->s, len);
    name[len] = '\0';
    f->s += len;
    f->s += strspn(f->s, " \t\r");
    if (*f->s == '=') {
        f->s++;
        return read_value(f, name, err);
    }
    if (*f->s != '\n' && *f->s != '\0' && *f->s != '#')
        return err_set(err, ERR_INVALID, "'%.60s' must be followed by '='", name);
    skip_line(f);
    const char *value = f->outer->get(f->outer->data, name);
    if (value)
        compose_env_add(f->env, name, value);
    return 0;
}

int compose_env_parse(const char *text, const struct compose_scope *scope, struct compose_env *env,
                      int *ret_line, struct err *err)
{
    struct env_file f = {.outer = scope, .env = env, .s = text, .line = 1};
    size_t before = env->n;
    while (*f.s) {
        int rc = read_line(&f, err);
        if (rc == 0 && env->n - before > COMPOSE_ENVIRONMENT_MAX)
            rc = err_set(err, ERR_TOOBIG, "more than %d variables", COMPOSE_ENVIRONMENT_MAX);
        if (rc < 0) {
            *ret_line = f.line;
            return rc;
        }
        if (*f.s == '\n') {
            f.s++;
            f.line++;
        }
    }
    return 0;
}
