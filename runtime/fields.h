/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields - a struct as a JSON object, by a table of its fields.
 *
 * The table is the one place where a field is named. Fields that have their default (NULL, 0,
 * false) are left out; what the table does not know is ignored when it is read, so that a file of a
 * later release can be looked at.
 */
#ifndef WHERRY_RUNTIME_FIELDS_H
#define WHERRY_RUNTIME_FIELDS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct json_t;

enum field_kind {
    FIELD_TEXT,   /* const char * */
    FIELD_NUMBER, /* int64_t */
    FIELD_FLAG,   /* bool */
    FIELD_LIST,   /* const char *const *, NULL-terminated or NULL */
    FIELD_CHOICE, /* an enum from 0, by its words */
    FIELD_ROWS,   /* an array of structs and a size_t */
};

struct field {
    const char *name; /* NULL ends a table */
    enum field_kind kind;
    size_t offset;
    int64_t least;              /* of a number */
    const char *const *words;   /* of a choice, NULL-terminated */
    const struct field *fields; /* of a row */
    size_t row_bytes;
    size_t n_offset;
};

/* Memory that a struct read from JSON needs besides it. */
struct owned {
    void **parts;
    size_t n;
};

/* Free it all. */
void owned_release(struct owned *owned);

/* Bounds that no field may leave: texts up to 1 MiB, lists up to 4096 of them, arrays up to 512
 * rows, numbers not below their least, choices that exist. ERR_INVALID names the field. */
int fields_check(const struct field *fields, const void *from, struct err *err);

/* Write the struct at @from into the object @json. ERR_INVALID names a field that is not UTF-8. */
int fields_save(const struct field *fields, const void *from, struct json_t *json, struct err *err);

/* Fill the zeroed struct at @to from the object @json, which owns its texts. ERR_CORRUPT names a
 * field of another type. Memory goes to @owned, also when it fails. */
int fields_load(const struct field *fields, struct json_t *json, void *to, struct owned *owned,
                struct err *err);

#endif
