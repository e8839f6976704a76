/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/record_scan.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

/* --- access to a field of a struct --------------------------------------------------------- */

static const void *at(const void *record, size_t offset)
{
    return (const char *)record + offset;
}

static void *at_mut(void *record, size_t offset)
{
    return (char *)record + offset;
}

static const char *get_string(const void *record, const struct field *f)
{
    return *(char *const *)at(record, f->offset);
}

static int64_t get_int(const void *record, const struct field *f)
{
    return *(const int64_t *)at(record, f->offset);
}

static int get_enum(const void *record, const struct field *f)
{
    return *(const int *)at(record, f->offset);
}

static size_t get_count(const void *record, const struct field *f)
{
    return *(const size_t *)at(record, f->count_offset);
}

static const void *get_array(const void *record, const struct field *f)
{
    return *(void *const *)at(record, f->offset);
}

static bool is_empty(const void *record, const struct field *f);

static bool all_empty(const struct record_type *type, const void *record)
{
    for (size_t i = 0; i < type->fields_n; i++)
        if (!is_empty(record, &type->fields[i]))
            return false;
    return true;
}

static bool is_empty(const void *record, const struct field *f)
{
    switch (f->kind) {
    case FIELD_KIND_STRING:
        return *str_or_empty(get_string(record, f)) == '\0';
    case FIELD_KIND_INT:
        return get_int(record, f) == 0;
    case FIELD_KIND_BOOL:
        return !*(const bool *)at(record, f->offset);
    case FIELD_KIND_ENUM:
        return get_enum(record, f) == 0;
    case FIELD_KIND_BYTES:
        return ((const struct bytes *)at(record, f->offset))->len == 0;
    case FIELD_KIND_RECORD:
        return all_empty(f->type, at(record, f->offset));
    case FIELD_KIND_LIST:
    case FIELD_KIND_STRINGS:
        return get_count(record, f) == 0;
    }
    return false;
}

/* --- msgpack out --------------------------------------------------------------------------- */

static int write_buf(void *data, const char *p, size_t len)
{
    buf_append(data, p, len);
    return 0;
}

static void pack_string(msgpack_packer *pk, const char *s)
{
    size_t len = strlen(s);
    msgpack_pack_str(pk, len);
    msgpack_pack_str_body(pk, s, len);
}

static void pack_record(msgpack_packer *pk, const struct record_type *type, const void *record);

static void pack_list(msgpack_packer *pk, const struct field *f, const void *record)
{
    size_t n = get_count(record, f);
    msgpack_pack_array(pk, n);
    for (size_t i = 0; i < n; i++)
        pack_record(pk, f->type, at(get_array(record, f), i * f->type->size));
}

static void pack_strings(msgpack_packer *pk, const struct field *f, const void *record)
{
    size_t n = get_count(record, f);
    char *const *strings = get_array(record, f);
    msgpack_pack_array(pk, n);
    for (size_t i = 0; i < n; i++)
        pack_string(pk, str_or_empty(strings[i]));
}

static void pack_bytes(msgpack_packer *pk, const struct bytes *bytes)
{
    msgpack_pack_bin(pk, bytes->len);
    msgpack_pack_bin_body(pk, bytes->data, bytes->len);
}

static void pack_field(msgpack_packer *pk, const struct field *f, const void *record)
{
    switch (f->kind) {
    case FIELD_KIND_STRING:
        pack_string(pk, str_or_empty(get_string(record, f)));
        break;
    case FIELD_KIND_INT:
        msgpack_pack_int64(pk, get_int(record, f));
        break;
    case FIELD_KIND_BOOL:
        msgpack_pack_true(pk);
        break;
    case FIELD_KIND_ENUM:
        msgpack_pack_int(pk, get_enum(record, f));
        break;
    case FIELD_KIND_BYTES:
        pack_bytes(pk, at(record, f->offset));
        break;
    case FIELD_KIND_RECORD:
        pack_record(pk, f->type, at(record, f->offset));
        break;
    case FIELD_KIND_LIST:
        pack_list(pk, f, record);
        break;
    case FIELD_KIND_STRINGS:
        pack_strings(pk, f, record);
        break;
    }
}

static void pack_record(msgpack_packer *pk, const struct record_type *type, const void *record)
{
    size_t n = 0;
    for (size_t i = 0; i < type->fields_n; i++)
        n += !is_empty(record, &type->fields[i]);
    msgpack_pack_map(pk, n);
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *f = &type->fields[i];
        if (is_empty(record, f))
            continue;
        pack_string(pk, f->name);
        pack_field(pk, f, record);
    }
}

void record_encode(const struct record_type *type, const void *record, struct buf *out)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, write_buf);
    pack_record(&pk, type, record);
}

/* --- msgpack in ---------------------------------------------------------------------------- */

struct decoder {
    bool strict;
    int depth;
    size_t memory; /* allocated so far */
    struct err *err;
};

static int bad(struct decoder *d, const struct record_type *type, const char *field,
               const char *what)
{
    return err_set(d->err, ERR_CORRUPT, "%s.%s: %s", type->name, field, what);
}

static bool may_allocate(struct decoder *d, size_t n, size_t size)
{
    if (n > RECORD_MEMORY_MAX / (size ? size : 1))
        return false;
    d->memory += n * size;
    return d->memory <= RECORD_MEMORY_MAX;
}

static bool unpack_string(struct decoder *d, const msgpack_object *o, char **ret)
{
    if (o->type != MSGPACK_OBJECT_STR || memchr(o->via.str.ptr, 0, o->via.str.size))
        return false;
    if (!may_allocate(d, o->via.str.size + 1U, 1))
        return false;
    *ret = mem_alloc(o->via.str.size + 1U, 1);
    memcpy(*ret, o->via.str.ptr, o->via.str.size);
    return true;
}

static bool unpack_int(const msgpack_object *o, int64_t *ret)
{
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX)
        *ret = (int64_t)o->via.u64;
    else if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        *ret = o->via.i64;
    else
        return false;
    return true;
}

static bool unpack_enum(const msgpack_object *o, const struct field *f, int *ret)
{
    int64_t value;
    if (!unpack_int(o, &value) || value < 0)
        return false;
    for (int i = 0; f->names[i]; i++)
        if (i == value) {
            *ret = i;
            return true;
        }
    return false;
}

static bool unpack_bytes(struct decoder *d, const msgpack_object *o, struct bytes *ret)
{
    if (o->type != MSGPACK_OBJECT_BIN || !may_allocate(d, o->via.bin.size, 1))
        return false;
    bytes_set(ret, o->via.bin.ptr, o->via.bin.size);
    return true;
}

static bool unpack_strings(struct decoder *d, const msgpack_object *o, const struct field *f,
                           void *record)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > RECORD_LIST_MAX ||
        !may_allocate(d, o->via.array.size, sizeof(char *)))
        return false;
    char **strings = mem_alloc(o->via.array.size, sizeof(char *));
    /* Owned by the record from here on, so that a failure half-way is released with it. */
    *(char ***)at_mut(record, f->offset) = strings;
    *(size_t *)at_mut(record, f->count_offset) = o->via.array.size;
    for (size_t i = 0; i < o->via.array.size; i++)
        if (!unpack_string(d, &o->via.array.ptr[i], &strings[i]))
            return false;
    return true;
}

static int unpack_record(struct decoder *d, const struct record_type *type, const msgpack_object *o,
                         void *record);

static int unpack_list(struct decoder *d, const struct record_type *type, const struct field *f,
                       const msgpack_object *o, void *record)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > RECORD_LIST_MAX)
        return bad(d, type, f->name, "is not a list, or too long");
    if (!may_allocate(d, o->via.array.size, f->type->size))
        return bad(d, type, f->name, "needs too much memory");
    char *items = mem_alloc(o->via.array.size, f->type->size);
    *(void **)at_mut(record, f->offset) = items;
    *(size_t *)at_mut(record, f->count_offset) = o->via.array.size;
    for (size_t i = 0; i < o->via.array.size; i++) {
        int rv = unpack_record(d, f->type, &o->via.array.ptr[i], items + i * f->type->size);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int unpack_field(struct decoder *d, const struct record_type *type, const struct field *f,
                        const msgpack_object *o, void *record)
{
    void *to = at_mut(record, f->offset);
    bool ok = false;
    switch (f->kind) {
    case FIELD_KIND_STRING:
        ok = unpack_string(d, o, to);
        break;
    case FIELD_KIND_INT:
        ok = unpack_int(o, to);
        break;
    case FIELD_KIND_BOOL:
        ok = o->type == MSGPACK_OBJECT_BOOLEAN;
        if (ok)
            *(bool *)to = o->via.boolean;
        break;
    case FIELD_KIND_ENUM:
        ok = unpack_enum(o, f, to);
        break;
    case FIELD_KIND_BYTES:
        ok = unpack_bytes(d, o, to);
        break;
    case FIELD_KIND_RECORD:
        return unpack_record(d, f->type, o, to);
    case FIELD_KIND_LIST:
        return unpack_list(d, type, f, o, record);
    case FIELD_KIND_STRINGS:
        ok = unpack_strings(d, o, f, record);
        break;
    }
    return ok ? 0 : bad(d, type, f->name, "has a value of the wrong kind");
}

static const struct field *find_field(const struct record_type *type, const msgpack_object *key)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        size_t len = strlen(type->fields[i].name);
        if (key->via.str.size == len && memcmp(key->via.str.ptr, type->fields[i].name, len) == 0)
            return &type->fields[i];
    }
    return NULL;
}

static int unpack_record(struct decoder *d, const struct record_type *type, const msgpack_object *o,
                         void *record)
{
    if (o->type != MSGPACK_OBJECT_MAP)
        return err_set(d->err, ERR_CORRUPT, "%s: not a map", type->name);
    if (++d->depth > RECORD_DEPTH_MAX)
        return err_set(d->err, ERR_CORRUPT, "%s: nested too deep", type->name);
    for (size_t i = 0; i < o->via.map.size; i++) {
        const msgpack_object_kv *kv = &o->via.map.ptr[i];
        if (kv->key.type != MSGPACK_OBJECT_STR)
            return err_set(d->err, ERR_CORRUPT, "%s: a key is not a string", type->name);
        const struct field *f = find_field(type, &kv->key);
        if (!f && d->strict)
            return err_set(d->err, ERR_CORRUPT, "%s: has an unknown field", type->name);
        if (!f)
            continue;
        /* Canonical: a field that is there is not empty, so one that is set came twice. */
        if (!is_empty(record, f))
            return bad(d, type, f->name, "given twice");
        int rv = unpack_field(d, type, f, &kv->val, record);
        if (rv < 0)
            return rv;
        if (is_empty(record, f)) {
            struct field owned = *f;
            record_release(&(struct record_type){.fields = &owned, .fields_n = 1}, record);
        }
    }
    d->depth--;
    return 0;
}

int record_decode_within(const struct record_type *type, const void *data, size_t len, bool strict,
                         size_t *memory, void *ret_record, struct err *err)
{
    memset(ret_record, 0, type->size);
    size_t value_len = scan_value(data, len);
    if (value_len == 0)
        return err_set(err, ERR_CORRUPT, "%s: not msgpack, or cut short", type->name);
    if (value_len != len)
        return err_set(err, ERR_CORRUPT, "%s: bytes after its end", type->name);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    int rv;
    if (msgpack_unpack_next(&unpacked, data, len, &offset) == MSGPACK_UNPACK_SUCCESS) {
        struct decoder d = {.strict = strict, .memory = *memory, .err = err};
        rv = unpack_record(&d, type, &unpacked.data, ret_record);
        *memory = d.memory;
    } else {
        rv = err_set(err, ERR_CORRUPT, "%s: not msgpack", type->name);
    }
    if (rv < 0)
        record_release(type, ret_record);
    msgpack_unpacked_destroy(&unpacked);
    return rv;
}

int record_decode(const struct record_type *type, const void *data, size_t len, bool strict,
                  void *ret_record, struct err *err)
{
    size_t memory = 0;
    return record_decode_within(type, data, len, strict, &memory, ret_record, err);
}

/* --- memory -------------------------------------------------------------------------------- */

static void free_strings(char **strings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(strings[i]);
    free(strings);
}

static void release_field(const struct field *f, void *record)
{
    void *value = at_mut(record, f->offset);
    switch (f->kind) {
    case FIELD_KIND_STRING:
        free(*(char **)value);
        *(char **)value = NULL;
        break;
    case FIELD_KIND_BYTES:
        bytes_set(value, NULL, 0);
        break;
    case FIELD_KIND_RECORD:
        record_release(f->type, value);
        break;
    case FIELD_KIND_LIST:
        record_free_list(f->type, *(void **)value, get_count(record, f));
        *(void **)value = NULL;
        *(size_t *)at_mut(record, f->count_offset) = 0;
        break;
    case FIELD_KIND_STRINGS:
        free_strings(*(char ***)value, get_count(record, f));
        *(char ***)value = NULL;
        *(size_t *)at_mut(record, f->count_offset) = 0;
        break;
    case FIELD_KIND_INT:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_ENUM:
        break;
    }
}

bool record_field_is_empty(const struct field *f, const void *record)
{
    return is_empty(record, f);
}

void record_field_clear(const struct field *f, void *record)
{
    void *value = at_mut(record, f->offset);
    release_field(f, record);
    if (f->kind == FIELD_KIND_INT)
        *(int64_t *)value = 0;
    else if (f->kind == FIELD_KIND_BOOL)
        *(bool *)value = false;
    else if (f->kind == FIELD_KIND_ENUM)
        *(int *)value = 0;
}

void record_release(const struct record_type *type, void *record)
{
    for (size_t i = 0; i < type->fields_n; i++)
        release_field(&type->fields[i], record);
    memset(record, 0, type->size);
}

void record_free_list(const struct record_type *type, void *records, size_t n)
{
    if (!records)
        return;
    for (size_t i = 0; i < n; i++)
        record_release(type, (char *)records + i * type->size);
    free(records);
}

void bytes_set(struct bytes *bytes, const void *data, size_t len)
{
    unsigned char *copy = len ? mem_copy(data, len) : NULL;
    free(bytes->data);
    bytes->data = copy;
    bytes->len = len;
}

static void copy_list(const struct field *f, const void *from, void *to)
{
    size_t n = get_count(from, f);
    char *items = n ? mem_alloc(n, f->type->size) : NULL;
    for (size_t i = 0; i < n; i++)
        record_copy(f->type, at(get_array(from, f), i * f->type->size), items + i * f->type->size);
    *(void **)at_mut(to, f->offset) = items;
}

static void copy_strings(const struct field *f, const void *from, void *to)
{
    size_t n = get_count(from, f);
    char *const *strings = get_array(from, f);
    char **copies = n ? mem_alloc(n, sizeof(char *)) : NULL;
    for (size_t i = 0; i < n; i++)
        copies[i] = str_copy(strings[i]);
    *(char ***)at_mut(to, f->offset) = copies;
}

static void copy_field(const struct field *f, const void *from, void *to)
{
    switch (f->kind) {
    case FIELD_KIND_STRING:
        *(char **)at_mut(to, f->offset) = str_copy(get_string(from, f));
        break;
    case FIELD_KIND_BYTES: {
        const struct bytes *bytes = at(from, f->offset);
        struct bytes *copy = at_mut(to, f->offset);
        copy->data = bytes->len ? mem_copy(bytes->data, bytes->len) : NULL;
        break;
    }
    case FIELD_KIND_RECORD:
        record_copy(f->type, at(from, f->offset), at_mut(to, f->offset));
        break;
    case FIELD_KIND_LIST:
        copy_list(f, from, to);
        break;
    case FIELD_KIND_STRINGS:
        copy_strings(f, from, to);
        break;
    case FIELD_KIND_INT:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_ENUM:
        break;
    }
}

void record_copy(const struct record_type *type, const void *from, void *to)
{
    memcpy(to, from, type->size);
    for (size_t i = 0; i < type->fields_n; i++)
        copy_field(&type->fields[i], from, to);
}

bool record_field_equal(const struct field *f, const void *a, const void *b)
{
    const struct record_type only = {.name = f->name, .fields = f, .fields_n = 1};
    return record_equal(&only, a, b);
}

bool record_equal(const struct record_type *type, const void *a, const void *b)
{
    /* The encoding is canonical: fields in the table's order, empty ones left out. */
    cleanup_buf struct buf left = BUF_INIT;
    cleanup_buf struct buf right = BUF_INIT;
    record_encode(type, a, &left);
    record_encode(type, b, &right);
    return left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
}
