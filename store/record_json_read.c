/* SPDX-License-Identifier: Apache-2.0 */
/* Records from JSON, which comes from anywhere. */
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/record.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES = 160,
};

/* Where the reading is, for messages: "services[0].spec". */
struct place {
    char path[PATH_BYTES];
    int depth;
    size_t memory; /* of arrays, so far */
};

static int read_record(struct place *at, const struct record_type *type, const json_t *json,
                       void *record, struct err *err);

static size_t enter(struct place *at, const char *name)
{
    size_t before = strlen(at->path);
    snprintf(at->path + before, sizeof(at->path) - before, "%s%.60s", before ? "." : "", name);
    return before;
}

static size_t enter_at(struct place *at, size_t index)
{
    size_t before = strlen(at->path);
    snprintf(at->path + before, sizeof(at->path) - before, "[%zu]", index);
    return before;
}

static int refuse(const struct place *at, const char *wanted, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s: %s is wanted", *at->path ? at->path : "the request",
                   wanted);
}

static int read_string(const struct place *at, const json_t *json, char **ret, struct err *err)
{
    if (!json_is_string(json))
        return refuse(at, "a string", err);
    if (strlen(json_string_value(json)) != json_string_length(json))
        return refuse(at, "a string without a 0 byte", err);
    *ret = str_copy(json_string_value(json));
    return 0;
}

static int read_enum(const struct place *at, const struct field *f, const json_t *json, int *ret,
                     struct err *err)
{
    for (int i = 0; json_is_string(json) && f->names[i]; i++)
        if (strcmp(f->names[i], json_string_value(json)) == 0) {
            *ret = i;
            return 0;
        }
    char names[120] = "one of";
    for (int i = 0; f->names[i]; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof(names) - n, " %s", f->names[i]);
    }
    return refuse(at, names, err);
}

static int read_bytes(const struct place *at, const json_t *json, struct bytes *ret,
                      struct err *err)
{
    size_t n = json_is_string(json) ? json_string_length(json) : 1;
    unsigned char *data = n % 2 == 0 ? mem_alloc(n / 2 + 1, 1) : NULL;
    if (!data || !hex_decode(json_string_value(json), data, n / 2)) {
        free(data);
        return refuse(at, "a string of hexadecimal digits, two for each byte,", err);
    }
    *ret = (struct bytes){data, n / 2};
    return 0;
}

static int read_list(struct place *at, const struct field *f, const json_t *json, void **ret,
                     size_t *ret_n, struct err *err)
{
    const size_t size = f->kind == FIELD_KIND_LIST ? f->type->size : sizeof(char *);
    if (!json_is_array(json))
        return refuse(at, "an array", err);
    at->memory += json_array_size(json) * size;
    if (json_array_size(json) > RECORD_LIST_MAX || at->memory > RECORD_MEMORY_MAX)
        return refuse(at, "a shorter array", err);
    char *items = mem_alloc(json_array_size(json), size);
    int rv = 0;
    *ret = items;
    for (size_t i = 0; i < json_array_size(json) && rv == 0; i++) {
        size_t before = enter_at(at, i);
        void *item = items + i * size;
        (*ret_n)++; /* also of what is read by half: it is released */
        rv = f->kind == FIELD_KIND_LIST
                 ? read_record(at, f->type, json_array_get(json, i), item, err)
                 : read_string(at, json_array_get(json, i), item, err);
        at->path[before] = '\0';
    }
    return rv;
}

static int read_field(struct place *at, const struct field *f, const json_t *json, void *record,
                      struct err *err)
{
    void *value = (char *)record + f->offset;
    size_t *count = (void *)((char *)record + f->count_offset);
    switch (f->kind) {
    case FIELD_KIND_STRING:
        return read_string(at, json, value, err);
    case FIELD_KIND_INT:
        if (!json_is_integer(json))
            return refuse(at, "a whole number", err);
        *(int64_t *)value = json_integer_value(json);
        return 0;
    case FIELD_KIND_BOOL:
        if (!json_is_boolean(json))
            return refuse(at, "true or false", err);
        *(bool *)value = json_is_true(json);
        return 0;
    case FIELD_KIND_ENUM:
        return read_enum(at, f, json, value, err);
    case FIELD_KIND_BYTES:
        return read_bytes(at, json, value, err);
    case FIELD_KIND_RECORD:
        return read_record(at, f->type, json, value, err);
    case FIELD_KIND_LIST:
    case FIELD_KIND_STRINGS:
        return read_list(at, f, json, value, count, err);
    }
    return 0;
}

static const struct field *find_field(const struct record_type *type, const char *name)
{
    for (size_t i = 0; i < type->fields_n; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

static int read_record(struct place *at, const struct record_type *type, const json_t *json,
                       void *record, struct err *err)
{
    const char *name;
    json_t *value;
    int rv = 0;
    if (!json_is_object(json))
        return refuse(at, "an object", err);
    if (at->depth == RECORD_DEPTH_MAX)
        return refuse(at, "less depth", err);
    at->depth++;
    json_object_foreach ((json_t *)(uintptr_t)json, name, value) {
        const struct field *f = find_field(type, name);
        size_t before = enter(at, name);
        if (!f)
            rv =
                err_set(err, ERR_INVALID, "%s: there is no such field in %s", at->path, type->name);
        else if (!json_is_null(value))
            rv = read_field(at, f, value, record, err);
        at->path[before] = '\0';
        if (rv < 0)
            break;
    }
    at->depth--;
    return rv;
}

int record_from_json(const struct record_type *type, const char *text, size_t len, void *ret_record,
                     struct err *err)
{
    struct place at = {.path = ""};
    json_error_t why;
    memset(ret_record, 0, type->size);
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (!json)
        return err_set(err, ERR_INVALID, "no JSON: line %d, column %d: %.100s", why.line,
                       why.column, why.text);
    int rv = read_record(&at, type, json, ret_record, err);
    json_decref(json);
    if (rv < 0)
        record_release(type, ret_record);
    return rv;
}
