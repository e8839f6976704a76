/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fields.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 1 << 20,
    LIST_MAX = 4096,
    ROWS_MAX = 512,
};

/* Where field @f of the struct at @base is. */
static void *place(const struct field *f, const void *base)
{
    return (char *)(uintptr_t)base + f->offset;
}

static const char *get_text(const struct field *f, const void *base)
{
    return *(const char **)place(f, base);
}

static int64_t get_number(const struct field *f, const void *base)
{
    return *(int64_t *)place(f, base);
}

static bool get_flag(const struct field *f, const void *base)
{
    return *(bool *)place(f, base);
}

static const char *const *get_list(const struct field *f, const void *base)
{
    return *(const char *const **)place(f, base);
}

static int get_choice(const struct field *f, const void *base)
{
    return *(int *)place(f, base);
}

/* Row number @i; all of them begin at row 0. */
static const char *get_row(const struct field *f, const void *base, size_t i)
{
    return *(const char **)place(f, base) + i * f->row_bytes;
}

static size_t get_rows_n(const struct field *f, const void *base)
{
    return *(const size_t *)((const char *)base + f->n_offset);
}

void owned_release(struct owned *owned)
{
    for (size_t i = 0; i < owned->n; i++)
        free(owned->parts[i]);
    free(owned->parts);
    *owned = (struct owned){0};
}

static void *own(struct owned *owned, void *part)
{
    owned->parts = mem_resize(owned->parts, owned->n + 1, sizeof(void *));
    owned->parts[owned->n++] = part;
    return part;
}

static int check_list(const struct field *f, const char *const *list, struct err *err)
{
    for (size_t n = 0; list && list[n]; n++) {
        if (n >= LIST_MAX || strlen(list[n]) > TEXT_MAX)
            return err_set(err, ERR_INVALID, "%s: more than %d entries, or one above 1 MiB",
                           f->name, LIST_MAX);
    }
    return 0;
}

static int words_n(const struct field *f)
{
    int n = 0;
    while (f->words[n])
        n++;
    return n;
}

static int check_rows(const struct field *f, const void *from, struct err *err)
{
    size_t n = get_rows_n(f, from);
    if (n > ROWS_MAX)
        return err_set(err, ERR_INVALID, "%s: more than %d", f->name, ROWS_MAX);
    for (size_t i = 0; i < n; i++) {
        int rv = fields_check(f->fields, get_row(f, from, i), err);
        if (rv < 0) {
            err_wrap(err, "%s", f->name);
            return rv;
        }
    }
    return 0;
}

static int check_field(const struct field *f, const void *from, struct err *err)
{
    switch (f->kind) {
    case FIELD_TEXT:
        if (get_text(f, from) && strlen(get_text(f, from)) > TEXT_MAX)
            return err_set(err, ERR_INVALID, "%s: above 1 MiB", f->name);
        return 0;
    case FIELD_NUMBER:
        if (get_number(f, from) < f->least)
            return err_set(err, ERR_INVALID, "%s: %lld is below the least of %lld", f->name,
                           (long long)get_number(f, from), (long long)f->least);
        return 0;
    case FIELD_FLAG:
        return 0;
    case FIELD_LIST:
        return check_list(f, get_list(f, from), err);
    case FIELD_CHOICE:
        if (get_choice(f, from) < 0 || get_choice(f, from) >= words_n(f))
            return err_set(err, ERR_INVALID, "%s: there is no choice %d", f->name,
                           get_choice(f, from));
        return 0;
    case FIELD_ROWS:
        return check_rows(f, from, err);
    }
    return 0;
}

int fields_check(const struct field *fields, const void *from, struct err *err)
{
    for (const struct field *f = fields; f->name; f++) {
        int rv = check_field(f, from, err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

/* NULL where a string is not UTF-8. */
static json_t *list_json(const char *const *list)
{
    json_t *array = json_array();
    for (; *list; list++) {
        if (json_array_append_new(array, json_string(*list)) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *rows_json(const struct field *f, const void *from, struct err *err)
{
    json_t *array = json_array();
    for (size_t i = 0; i < get_rows_n(f, from); i++) {
        json_t *row = json_object();
        json_array_append_new(array, row);
        if (fields_save(f->fields, get_row(f, from, i), row, err) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* The value of a field; *ret_default when it has none worth writing. */
static json_t *field_json(const struct field *f, const void *from, bool *ret_default,
                          struct err *err)
{
    bool is_default = false;
    json_t *value = NULL;
    switch (f->kind) {
    case FIELD_TEXT:
        is_default = !get_text(f, from);
        value = is_default ? NULL : json_string(get_text(f, from));
        break;
    case FIELD_NUMBER:
        is_default = get_number(f, from) == 0;
        value = json_integer(get_number(f, from));
        break;
    case FIELD_FLAG:
        is_default = !get_flag(f, from);
        value = json_boolean(get_flag(f, from));
        break;
    case FIELD_LIST:
        is_default = !get_list(f, from);
        value = is_default ? NULL : list_json(get_list(f, from));
        break;
    case FIELD_CHOICE:
        value = json_string(f->words[get_choice(f, from)]);
        break;
    case FIELD_ROWS:
        is_default = get_rows_n(f, from) == 0;
        value = rows_json(f, from, err);
        break;
    }
    *ret_default = is_default;
    return value;
}

int fields_save(const struct field *fields, const void *from, json_t *json, struct err *err)
{
    for (const struct field *f = fields; f->name; f++) {
        bool is_default;
        json_t *value = field_json(f, from, &is_default, err);
        if (is_default)
            json_decref(value);
        else if (!value || json_object_set_new(json, f->name, value) < 0)
            return err_set(err, ERR_INVALID, "%s: not valid UTF-8", f->name);
    }
    return 0;
}

static const char *const *load_list(json_t *array, struct owned *owned)
{
    size_t n = json_array_size(array);
    const char **list = own(owned, mem_alloc(n + 1, sizeof(*list)));
    for (size_t i = 0; i < n; i++) {
        list[i] = json_string_value(json_array_get(array, i));
        if (!list[i])
            return NULL;
    }
    return list;
}

static bool load_rows(const struct field *f, json_t *array, void *to, struct owned *owned,
                      struct err *err)
{
    size_t n = json_array_size(array);
    if (n > ROWS_MAX)
        return false;
    char *rows = own(owned, mem_alloc(n + 1, f->row_bytes));
    *(char **)place(f, to) = rows;
    *(size_t *)((char *)to + f->n_offset) = n;
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_array_get(array, i);
        if (!json_is_object(row) ||
            fields_load(f->fields, row, rows + i * f->row_bytes, owned, err) < 0)
            return false;
    }
    return true;
}

static bool load_choice(const struct field *f, const char *word, int *ret)
{
    for (int i = 0; word && f->words[i]; i++) {
        if (strcmp(word, f->words[i]) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

/* False when @value is of another type. */
static bool load_field(const struct field *f, json_t *value, void *to, struct owned *owned,
                       struct err *err)
{
    switch (f->kind) {
    case FIELD_TEXT:
        *(const char **)place(f, to) = json_string_value(value);
        return json_is_string(value);
    case FIELD_NUMBER:
        *(int64_t *)place(f, to) = json_integer_value(value);
        return json_is_integer(value);
    case FIELD_FLAG:
        *(bool *)place(f, to) = json_is_true(value);
        return json_is_boolean(value);
    case FIELD_LIST:
        if (!json_is_array(value))
            return false;
        *(const char *const **)place(f, to) = load_list(value, owned);
        return get_list(f, to) != NULL;
    case FIELD_CHOICE:
        return load_choice(f, json_string_value(value), place(f, to));
    case FIELD_ROWS:
        return json_is_array(value) && load_rows(f, value, to, owned, err);
    }
    return false;
}

int fields_load(const struct field *fields, json_t *json, void *to, struct owned *owned,
                struct err *err)
{
    for (const struct field *f = fields; f->name; f++) {
        json_t *value = json_object_get(json, f->name);
        if (value && !load_field(f, value, to, owned, err))
            return err_set(err, ERR_CORRUPT, "%s: not what it should be", f->name);
    }
    return 0;
}
