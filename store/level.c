/* SPDX-License-Identifier: Apache-2.0 */
#include "store/level.h"

#include "store/internal.h"

#include "base/mem.h"

#include <limits.h>

enum {
    KIND_LAST_OF_FIRST = 15,
    KIND_LAST_OF_SECOND = 39,
    KIND_LAST_OF_THIRD = 41,
    KIND_LAST_OF_FOURTH = 50,
};

int change_kind_level(int kind)
{
    if (kind <= KIND_LAST_OF_FIRST)
        return LEVEL_FIRST;
    return kind <= KIND_LAST_OF_SECOND   ? 2
           : kind <= KIND_LAST_OF_THIRD  ? 3
           : kind <= KIND_LAST_OF_FOURTH ? 4
                                         : 5;
}

int change_level(const struct change *change)
{
    int kind = change_kind_level((int)change->kind);
    int body = record_level(change_type((int)change->kind), change->body);
    int level = body > kind ? body : kind;
    return change->begin > 0 && level < CHANGE_BEGIN_LEVEL ? CHANGE_BEGIN_LEVEL : level;
}

/* True when @f has a value that is younger than the field. */
static bool is_newer(const struct field *f, const char *record)
{
    return f->newer_since > 0 && *(const int *)(const void *)(record + f->offset) >= f->newer;
}

static int field_level(const struct field *f, const char *record)
{
    int level = f->since > LEVEL_FIRST ? f->since : LEVEL_FIRST;
    if (is_newer(f, record))
        return f->newer_since;
    if (f->kind == FIELD_KIND_RECORD) {
        int inner = record_level(f->type, record + f->offset);
        return inner > level ? inner : level;
    }
    if (f->kind != FIELD_KIND_LIST)
        return level;
    const char *items = *(char *const *)(const void *)(record + f->offset);
    size_t n = *(const size_t *)(const void *)(record + f->count_offset);
    for (size_t i = 0; i < n; i++) {
        int inner = record_level(f->type, items + i * f->type->size);
        level = inner > level ? inner : level;
    }
    return level;
}

int record_level(const struct record_type *type, const void *record)
{
    int level = LEVEL_FIRST;
    for (size_t i = 0; i < type->fields_n; i++) {
        if (record_field_is_empty(&type->fields[i], record))
            continue;
        int of_field = field_level(&type->fields[i], record);
        level = of_field > level ? of_field : level;
    }
    return level;
}

void record_lower(const struct record_type *type, void *record, int level)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *f = &type->fields[i];
        char *at = record;
        if (f->since > level || (is_newer(f, record) && f->newer_since > level)) {
            record_field_clear(f, record);
        } else if (f->kind == FIELD_KIND_RECORD) {
            record_lower(f->type, at + f->offset, level);
        } else if (f->kind == FIELD_KIND_LIST) {
            char *items = *(char **)(void *)(at + f->offset);
            size_t n = *(size_t *)(void *)(at + f->count_offset);
            for (size_t k = 0; k < n; k++)
                record_lower(f->type, items + k * f->type->size, level);
        }
    }
}

int level_of(int64_t number)
{
    return number < LEVEL_FIRST ? LEVEL_FIRST : number > INT_MAX ? INT_MAX : (int)number;
}

int store_level(struct store *store)
{
    if (store->level != 0)
        return store->level;
    struct cluster cluster;
    if (store_get(store, TABLE_CLUSTER, 1, &cluster) < 0)
        return LEVEL_KNOWN;
    store->level = level_of(cluster.level);
    record_release(&cluster_type, &cluster);
    return store->level;
}

void store_pretend_level(struct store *store, int level)
{
    store->pretend_level = level;
}
