/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_record - records with content drawn from a seed, for any record type.
 */
#ifndef WHERRY_TESTS_RANDOM_RECORD_H
#define WHERRY_TESTS_RANDOM_RECORD_H

#include "base/mem.h"
#include "store/record.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* xorshift: the same numbers everywhere. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static char *draw_string(uint64_t *seed)
{
    size_t len = draw(seed) % 40;
    char *s = mem_alloc(len + 1, 1);
    for (size_t i = 0; i < len; i++)
        s[i] = (char)(draw(seed) % 255 + 1); /* any byte but 0 */
    return s;
}

static int64_t draw_int(uint64_t *seed)
{
    uint64_t bits = draw(seed) % 65;
    uint64_t value = bits == 0 ? 0 : draw(seed) >> (64 - bits);
    int64_t number;
    memcpy(&number, &value, sizeof(number)); /* also negative ones */
    return number;
}

static void fill_record(const struct record_type *type, void *record, uint64_t *seed);

static void fill_field(const struct field *f, char *record, uint64_t *seed)
{
    void *value = record + f->offset;
    void *list = NULL;
    size_t n = draw(seed) % 4;
    int names = 0;
    switch (f->kind) {
    case FIELD_KIND_STRING:
        *(char **)value = draw(seed) % 4 ? draw_string(seed) : NULL;
        return;
    case FIELD_KIND_INT:
        *(int64_t *)value = draw_int(seed);
        return;
    case FIELD_KIND_BOOL:
        *(bool *)value = draw(seed) % 2;
        return;
    case FIELD_KIND_ENUM:
        while (f->names[names])
            names++;
        *(int *)value = (int)(draw(seed) % (uint64_t)names);
        return;
    case FIELD_KIND_BYTES: {
        uint64_t bytes[4] = {draw(seed), draw(seed), draw(seed), draw(seed)};
        bytes_set(value, bytes, draw(seed) % 33);
        return;
    }
    case FIELD_KIND_RECORD:
        fill_record(f->type, value, seed);
        return;
    case FIELD_KIND_LIST:
        list = n ? mem_alloc(n, f->type->size) : NULL;
        for (size_t i = 0; i < n; i++)
            fill_record(f->type, (char *)list + i * f->type->size, seed);
        break;
    case FIELD_KIND_STRINGS:
        list = n ? mem_alloc(n, sizeof(char *)) : NULL;
        for (size_t i = 0; i < n; i++)
            ((char **)list)[i] = draw_string(seed);
        break;
    }
    *(void **)value = list;
    *(size_t *)(void *)(record + f->count_offset) = n;
}

/* Fill @record (zeroed) with content that follows from *@seed alone. */
static void fill_record(const struct record_type *type, void *record, uint64_t *seed)
{
    for (size_t i = 0; i < type->fields_n; i++)
        fill_field(&type->fields[i], record, seed);
}

#endif
