/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON form of records, for people and scripts. */
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "store/record.h"

#include <inttypes.h>

static void new_line(int indent, struct buf *out)
{
    if (indent < 0)
        return;
    buf_putc(out, '\n');
    for (int i = 0; i < indent; i++)
        buf_puts(out, "  ");
}

static int deeper(int indent)
{
    return indent < 0 ? indent : indent + 1;
}

static const void *member(const void *record, size_t offset)
{
    return (const char *)record + offset;
}

static void json_strings(char *const *strings, size_t n, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_puts(out, ", ");
        buf_put_json(out, str_or_empty(strings[i]));
    }
    buf_putc(out, ']');
}

static void json_bytes(const struct bytes *bytes, struct buf *out)
{
    buf_putc(out, '"');
    hex_encode(bytes->data, bytes->len, buf_reserve(out, 2 * bytes->len));
    out->len += 2 * bytes->len;
    buf_putc(out, '"');
}

static void json_field(const struct field *f, const void *record, int indent, struct buf *out)
{
    const void *value = member(record, f->offset);
    switch (f->kind) {
    case FIELD_KIND_STRING: {
        const char *s = str_or_empty(*(char *const *)value);
        buf_put_json(out, f->secret && *s ? "***" : s);
        break;
    }
    case FIELD_KIND_INT:
        buf_printf(out, "%" PRId64, *(const int64_t *)value);
        break;
    case FIELD_KIND_BOOL:
        buf_puts(out, *(const bool *)value ? "true" : "false");
        break;
    case FIELD_KIND_ENUM:
        buf_put_json(out, f->names[*(const int *)value]);
        break;
    case FIELD_KIND_BYTES:
        json_bytes(value, out);
        break;
    case FIELD_KIND_RECORD:
        record_json(f->type, value, indent, out);
        break;
    case FIELD_KIND_LIST:
        record_json_list(f->type, *(void *const *)value,
                         *(const size_t *)member(record, f->count_offset), indent, out);
        break;
    case FIELD_KIND_STRINGS:
        json_strings(*(char **const *)value, *(const size_t *)member(record, f->count_offset), out);
        break;
    }
}

void record_json(const struct record_type *type, const void *record, int indent, struct buf *out)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < type->fields_n; i++) {
        if (i > 0)
            buf_puts(out, indent < 0 ? ", " : ",");
        new_line(deeper(indent), out);
        buf_put_json(out, type->fields[i].name);
        buf_puts(out, ": ");
        json_field(&type->fields[i], record, deeper(indent), out);
    }
    new_line(indent, out);
    buf_putc(out, '}');
}

void record_json_list(const struct record_type *type, const void *records, size_t n, int indent,
                      struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_puts(out, indent < 0 ? ", " : ",");
        new_line(deeper(indent), out);
        record_json(type, member(records, i * type->size), deeper(indent), out);
    }
    if (n > 0)
        new_line(indent, out);
    buf_putc(out, ']');
}
