/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - one table describes a type's fields; msgpack, JSON, copying and freeing follow from it.
 *
 * A record is a plain struct. Its strings and lists are heap memory it owns; a zeroed struct is an
 * empty record; NULL and "" are the same string. On the wire a record is a msgpack map of field
 * name to value (msgpack specification); fields that are zero, empty or NULL are left out, so a
 * field added later costs nothing where it is not used.
 *
 *     struct point { int64_t x; char *label; };
 *     static const struct field point_fields[] = {
 *         FIELD_INT(struct point, x),
 *         FIELD_STRING(struct point, label),
 *     };
 *     const struct record_type point_type = RECORD_TYPE("point", struct point, point_fields);
 *
 * A field that a later release adds to a part of the state or of a change says so behind its other
 * arguments: FIELD_INT(struct point, y, .since = 2), see level.h.
 *
 * A list is two members, X and X_n: an array and its length. Pure functions; any thread.
 */
#ifndef WHERRY_STORE_RECORD_H
#define WHERRY_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

enum field_kind {
    FIELD_KIND_STRING,  /* char * */
    FIELD_KIND_INT,     /* int64_t */
    FIELD_KIND_BOOL,    /* bool */
    FIELD_KIND_ENUM,    /* an enum of int size, from 0, with names */
    FIELD_KIND_BYTES,   /* struct bytes */
    FIELD_KIND_RECORD,  /* an embedded struct */
    FIELD_KIND_LIST,    /* T *x; size_t x_n */
    FIELD_KIND_STRINGS, /* char **x; size_t x_n */
};

/* Owned bytes. */
struct bytes {
    unsigned char *data;
    size_t len;
};

struct record_type;

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    size_t count_offset;            /* lists: where the length is */
    const struct record_type *type; /* records and lists of them */
    const char *const *names;       /* enums: NULL-terminated, by value */
    bool secret;                    /* printed as "***" */
    int since;                      /* the level that knows it (level.h); 0: the first */
    int newer;                      /* enums: values from this one on … */
    int newer_since;                /* … are of this level; 0: all are of @since */
};

struct record_type {
    const char *name;
    size_t size;
    const struct field *fields;
    size_t fields_n;
};

#define RECORD_TYPE(type_name, struct_type, table)                                                 \
    {                                                                                              \
        .name = (type_name), .size = sizeof(struct_type), .fields = (table),                       \
        .fields_n = sizeof(table) / sizeof((table)[0])                                             \
    }
#define FIELD_OF(s, m, k) .name = #m, .kind = (k), .offset = offsetof(s, m)
#define FIELD_STRING(s, m, ...)                                                                    \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_STRING), ##__VA_ARGS__                                           \
    }
#define FIELD_SECRET(s, m, ...)                                                                    \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_STRING), .secret = true, ##__VA_ARGS__                           \
    }
#define FIELD_INT(s, m, ...)                                                                       \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_INT), ##__VA_ARGS__                                              \
    }
#define FIELD_BOOL(s, m, ...)                                                                      \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_BOOL), ##__VA_ARGS__                                             \
    }
#define FIELD_ENUM(s, m, n, ...)                                                                   \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_ENUM), .names = (n), ##__VA_ARGS__                               \
    }
#define FIELD_BYTES(s, m, ...)                                                                     \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_BYTES), ##__VA_ARGS__                                            \
    }
#define FIELD_RECORD(s, m, t, ...)                                                                 \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_RECORD), .type = &(t), ##__VA_ARGS__                             \
    }
#define FIELD_LIST(s, m, t, ...)                                                                   \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_LIST), .count_offset = offsetof(s, m##_n), .type = &(t),         \
                                         ##__VA_ARGS__                                             \
    }
#define FIELD_STRINGS(s, m, ...)                                                                   \
    {                                                                                              \
        FIELD_OF(s, m, FIELD_KIND_STRINGS), .count_offset = offsetof(s, m##_n), ##__VA_ARGS__      \
    }

enum {
    RECORD_DEPTH_MAX = 16,
    RECORD_LIST_MAX = 65536,      /* elements of one list */
    RECORD_MEMORY_MAX = 64 << 20, /* bytes one decode may allocate */
};

/* Append @record in msgpack to @out. */
void record_encode(const struct record_type *type, const void *record, struct buf *out);

/* Decode exactly @len bytes into *@ret_record, which must be zeroed or uninitialized memory of
 * type->size; on failure it is left zeroed and nothing is owned. A value of the wrong type, a
 * number outside an enum, a string with a 0 byte, trailing bytes and excess over the limits are
 * ERR_CORRUPT; so is an unknown field when @strict, else it is skipped (a newer peer's). */
int record_decode(const struct record_type *type, const void *data, size_t len, bool strict,
                  void *ret_record, struct err *err);

/* As record_decode, for one of several records that share the limit RECORD_MEMORY_MAX: *@memory is
 * what the earlier ones took (0 at first) and grows by what this one takes. */
int record_decode_within(const struct record_type *type, const void *data, size_t len, bool strict,
                         size_t *memory, void *ret_record, struct err *err);

/* Read the JSON object of @len bytes at @text, as record_json() writes it: fields that are missing
 * or null are empty. ERR_INVALID says where and why: a field that there is not, a value of another
 * kind, text that is no JSON (with its line and column). On failure *@ret_record is zeroed. */
int record_from_json(const struct record_type *type, const char *text, size_t len, void *ret_record,
                     struct err *err);

/* Free what @record owns and zero it. */
void record_release(const struct record_type *type, void *record);

/* Free an array of @n records with what they own. NULL is fine. */
void record_free_list(const struct record_type *type, void *records, size_t n);

/* Make *@to (not initialized) a deep copy of @from. */
void record_copy(const struct record_type *type, const void *from, void *to);

/* True when both hold the same values. */
bool record_equal(const struct record_type *type, const void *a, const void *b);

/* True when field @f of both holds the same. */
bool record_field_equal(const struct field *f, const void *a, const void *b);

/* True when field @f of @record is not set: it is left out on the wire. */
bool record_field_is_empty(const struct field *f, const void *record);

/* Free what field @f of @record owns and empty it. */
void record_field_clear(const struct field *f, void *record);

/* Append @record as a JSON object: every field, in the table's order; enums by name, bytes in
 * hexadecimal, secrets as "***". @indent < 0: on one line; else pretty, starting at that depth. */
void record_json(const struct record_type *type, const void *record, int indent, struct buf *out);

/* Append @n records as a JSON array. */
void record_json_list(const struct record_type *type, const void *records, size_t n, int indent,
                      struct buf *out);

/* Set @bytes to a copy of @len bytes, freeing what it had. */
void bytes_set(struct bytes *bytes, const void *data, size_t len);

#endif
