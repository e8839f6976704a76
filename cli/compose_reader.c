/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOTE_MAX = 600, /* bytes of one message */
    UNSET_MAX = 64,
};

/* --- messages ------------------------------------------------------------------------------ */

/* Add a note unless its place is full or the same was said before. */
static void note_add(struct compose_note *items, size_t *n, size_t *more, int line, int column,
                     struct buf *text)
{
    if (text->len > NOTE_MAX) {
        text->len = NOTE_MAX;
        while ((text->data[text->len] & 0xc0) == 0x80)
            text->len--; /* not in the middle of a character */
        text->data[text->len] = '\0';
        buf_puts(text, "…");
    }
    /* What a file says must not steer the terminal it is shown on. */
    for (size_t i = 0; i < text->len; i++) {
        unsigned char c = (unsigned char)text->data[i], after = (unsigned char)text->data[i + 1];
        if (c < 0x20 || c == 0x7f)
            text->data[i] = ' ';
        if (c == 0xc2 && after >= 0x80 && after < 0xa0) /* U+0080 to U+009F */
            text->data[i] = text->data[i + 1] = ' ';
    }
    for (size_t i = 0; i < *n; i++)
        if (strcmp(items[i].text, text->data) == 0)
            return;
    if (*n == COMPOSE_ERRORS_MAX) {
        (*more)++;
        return;
    }
    size_t at = *n;
    while (at > 0 && (items[at - 1].line > line ||
                      (items[at - 1].line == line && items[at - 1].column > column)))
        at--;
    memmove(&items[at + 1], &items[at], (*n - at) * sizeof(*items));
    items[at] = (struct compose_note){line, column, buf_take(text)};
    (*n)++;
}

static void put_place(struct buf *b, const char *file, int line, int column)
{
    buf_puts(b, file);
    if (line > 0)
        buf_printf(b, ":%d:%d", line, column);
    buf_puts(b, ": ");
}

void compose_error(struct reader *r, const struct yaml *at, const char *fmt, ...)
{
    cleanup_buf struct buf b = BUF_INIT;
    int line = at ? at->line : 0, column = at ? at->column : 0;
    put_place(&b, r->file, line, column);
    if (r->path_len > 0)
        buf_printf(&b, "%s: ", r->path);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    note_add(r->errs->items, &r->errs->n, &r->errs->more, line, column, &b);
}

void compose_warn(struct reader *r, const struct yaml *at, const char *fmt, ...)
{
    cleanup_buf struct buf b = BUF_INIT;
    int line = at ? at->line : 0, column = at ? at->column : 0;
    put_place(&b, r->file, line, column);
    if (r->path_len > 0)
        buf_printf(&b, "%s: ", r->path);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    note_add(r->errs->warnings, &r->errs->warnings_n, &r->errs->warnings_more, line, column, &b);
}

void compose_error_at(struct compose_errors *errs, const char *file, int line, int column,
                      const char *fmt, ...)
{
    cleanup_buf struct buf b = BUF_INIT;
    put_place(&b, file, line, column);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    note_add(errs->items, &errs->n, &errs->more, line, column, &b);
}

static void notes_release(struct compose_note *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(items[i].text);
}

void compose_errors_release(struct compose_errors *errs)
{
    notes_release(errs->items, errs->n);
    notes_release(errs->warnings, errs->warnings_n);
    *errs = (struct compose_errors){0};
}

size_t compose_enter(struct reader *r, const char *name)
{
    size_t before = r->path_len;
    cleanup_free char *longer =
        str_printf("%.*s%s%.64s", (int)before, str_or_empty(r->path), before ? "." : "", name);
    free(r->path);
    r->path = steal(&longer);
    r->path_len = strlen(r->path);
    return before;
}

void compose_leave(struct reader *r, size_t before)
{
    r->path_len = before;
    r->path[before] = '\0';
}

/* --- scalars ------------------------------------------------------------------------------- */

const char *compose_kind(const struct yaml *node)
{
    switch (node->kind) {
    case YAML_NULL:
        return "nothing";
    case YAML_SCALAR:
        return "text";
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a mapping";
    }
    return "";
}

static const char *scope_get(void *data, const char *name)
{
    struct reader *r = data;
    if (r->options->lookup)
        return r->options->lookup(r->options->lookup_data, name);
    const char *value = getenv(name);
    return value ? value : compose_env_get(&r->dotenv, name);
}

struct unset_place {
    struct reader *reader;
    const struct yaml *at;
};

static const char *text_get(void *data, const char *name)
{
    return scope_get(((struct unset_place *)data)->reader, name);
}

static void text_unset(void *data, const char *name)
{
    struct unset_place *place = data;
    struct reader *r = place->reader;
    for (size_t i = 0; i < r->unset_n; i++)
        if (strcmp(r->unset[i], name) == 0)
            return;
    if (r->unset_n == UNSET_MAX)
        return;
    compose_strings_add(&r->unset, &r->unset_n, str_copy(name));
    compose_warn(r, place->at, "variable '%.64s' is not set; it stands for nothing", name);
}

struct compose_scope compose_scope(struct reader *r)
{
    return (struct compose_scope){.get = scope_get, .data = r};
}

char *compose_text(struct reader *r, const struct yaml *node)
{
    if (node->kind != YAML_SCALAR) {
        compose_error(r, node, "must be text, but is %s", compose_kind(node));
        return NULL;
    }
    struct unset_place place = {r, node};
    struct compose_scope scope = {.get = text_get, .on_unset = text_unset, .data = &place};
    cleanup_buf struct buf out = BUF_INIT;
    struct err err;
    if (r->text_left == 0)
        return NULL; /* said already */
    if (compose_interpolate(node->text, &scope, &out, &err) < 0) {
        compose_error(r, node, "%s", err.msg);
        return NULL;
    }
    if (out.len >= r->text_left) {
        r->text_left = 0;
        compose_error(r, node, "variables and aliases make the file longer than %d MiB",
                      COMPOSE_TEXTS_MAX >> 20);
        return NULL;
    }
    r->text_left -= out.len;
    return buf_take(&out);
}

void compose_read_text(struct reader *r, const struct yaml *node, char **ret)
{
    char *text = compose_text(r, node);
    if (!text)
        return;
    free(*ret);
    *ret = text;
}

bool compose_read_bool(struct reader *r, const struct yaml *node, bool *ret)
{
    static const char *const names[] = {"false", "no", "off", "true", "yes", "on"};
    cleanup_free char *text = compose_text(r, node);
    if (!text)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        *ret = i >= ARRAY_SIZE(names) / 2;
        return true;
    }
    compose_error(r, node, "'%.64s' must be true or false", text);
    return false;
}

bool compose_read_number(struct reader *r, const struct yaml *node, int64_t min, int64_t max,
                         int64_t *ret)
{
    cleanup_free char *text = compose_text(r, node);
    if (!text)
        return false;
    if (compose_number(text, min, max, ret))
        return true;
    compose_error(r, node, "'%.64s' must be a whole number from %lld to %lld", text, (long long)min,
                  (long long)max);
    return false;
}

bool compose_read_duration(struct reader *r, const struct yaml *node, int64_t *ret_ms)
{
    cleanup_free char *text = compose_text(r, node);
    if (!text)
        return false;
    if (compose_duration(text, ret_ms))
        return true;
    compose_error(r, node, "'%.64s' must be a duration with its unit, such as 10s, 1m30s or 500ms",
                  text);
    return false;
}

bool compose_read_size(struct reader *r, const struct yaml *node, int64_t *ret_bytes)
{
    cleanup_free char *text = compose_text(r, node);
    if (!text)
        return false;
    if (compose_size(text, ret_bytes))
        return true;
    compose_error(r, node, "'%.64s' must be a size such as 64M, 1.5gb or 1024 (bytes)", text);
    return false;
}

bool compose_read_milli(struct reader *r, const struct yaml *node, int64_t *ret_milli)
{
    cleanup_free char *text = compose_text(r, node);
    if (!text)
        return false;
    if (compose_milli(text, ret_milli))
        return true;
    compose_error(r, node,
                  "'%.64s' must be a number of CPUs such as 2 or 0.5, with at most 3 decimals",
                  text);
    return false;
}

int compose_read_choice(struct reader *r, const struct yaml *node, const char *const *names)
{
    cleanup_free char *text = compose_text(r, node);
    if (!text)
        return -1;
    cleanup_buf struct buf all = BUF_INIT;
    for (int i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
        buf_printf(&all, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
    }
    compose_error(r, node, "'%.64s' must be %s", text, str_or_empty(all.data));
    return -1;
}

bool compose_is_list(struct reader *r, const struct yaml *node, const char *meant)
{
    if (node->kind == YAML_LIST)
        return true;
    compose_error(r, node, "must be %s, but is %s", meant, compose_kind(node));
    return false;
}

bool compose_is_map(struct reader *r, const struct yaml *node, const char *meant)
{
    if (node->kind == YAML_MAP)
        return true;
    compose_error(r, node, "must be %s, but is %s", meant, compose_kind(node));
    return false;
}

void compose_check_name(struct reader *r, const struct yaml *at, const char *name)
{
    if (!name_is_valid(name))
        compose_error(r, at, "'%.64s' is no valid name; use a-z, 0-9, '_' and '-', 63 at most",
                      name);
}

void compose_use(struct compose_uses *uses, const struct compose_draft *draft, const char *name,
                 const struct yaml *at)
{
    if ((uses->n & (uses->n - 1)) == 0)
        uses->items = mem_resize(uses->items, uses->n ? uses->n * 2 : 1, sizeof(*uses->items));
    uses->items[uses->n++] = (struct compose_use){draft->index, str_copy(name), at};
}
