/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

enum {
    KEY_BYTES_MAX = 40, /* longer ones are like no valid key */
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be changed, added or removed (Levenshtein 1966), or swapped with their
 * neighbour, to make @b of @a. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][KEY_BYTES_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > KEY_BYTES_MAX || b_len > KEY_BYTES_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= b_len; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            row[k] = least(least(row[k - 1], above[k]) + 1, above[k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                row[k] = least(row[k], above2[k - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

void compose_unknown(struct reader *r, const struct yaml *at, const char *name,
                     const struct compose_key *keys, size_t n)
{
    size_t best = strlen(name) < 4 ? 2 : 3; /* as many changes are too many */
    const char *meant = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(name, keys[i].name);
        if (d < best) {
            best = d;
            meant = keys[i].name;
        }
    }
    if (meant)
        compose_error(r, at, "unknown key '%.64s' (did you mean '%s'?)", name, meant);
    else
        compose_error(r, at, "unknown key '%.64s'", name);
}

/* "x-" keys are the user's own, but for ours. */
static void read_extension(struct reader *r, const struct yaml_pair *pair)
{
    if (strcmp(pair->key->text, "x-wherry") != 0 || pair->value->kind == YAML_NULL)
        return;
    size_t before = compose_enter(r, "x-wherry");
    if (compose_is_map(r, pair->value, "a mapping"))
        for (size_t i = 0; i < pair->value->n; i++)
            compose_unknown(r, pair->value->pairs[i].key, pair->value->pairs[i].key->text, NULL, 0);
    compose_leave(r, before);
}

static void refuse_later(struct reader *r, const struct yaml_pair *pair,
                         const struct compose_key *key)
{
    const struct yaml *value = pair->value;
    if (key->state == KEY_LATER_IF_SET && value->kind == YAML_SCALAR &&
        strcmp(value->text, "false") == 0)
        return;
    compose_error(r, pair->key, "'%s' is not supported yet%s%s", key->name, key->advice ? "; " : "",
                  str_or_empty(key->advice));
}

static bool is_known(const struct compose_key *keys, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(keys[i].name, name) == 0)
            return true;
    return false;
}

static void read_key(struct reader *r, const struct yaml_pair *pair, const struct compose_key *keys,
                     size_t n, void *object)
{
    const char *name = pair->key->text;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        switch (keys[i].state) {
        case KEY_READ: {
            size_t before = compose_enter(r, name);
            keys[i].read(r, pair->value, object);
            compose_leave(r, before);
            return;
        }
        case KEY_NOTED:
            return;
        case KEY_LATER:
        case KEY_LATER_IF_SET:
            refuse_later(r, pair, &keys[i]);
            return;
        case KEY_REFUSED: {
            size_t before = compose_enter(r, name);
            compose_error(r, pair->key, "%s", keys[i].advice);
            compose_leave(r, before);
            return;
        }
        }
    }
    compose_unknown(r, pair->key, name, keys, n);
}

void compose_section(struct reader *r, const struct yaml *node, const struct compose_key *keys,
                     size_t n, void *object)
{
    if (node->kind == YAML_NULL || !compose_is_map(r, node, "a mapping"))
        return;
    for (size_t i = 0; i < node->n; i++) {
        const char *name = node->pairs[i].key->text;
        if (str_starts(name, "x-") && !is_known(keys, n, name))
            read_extension(r, &node->pairs[i]);
        else
            read_key(r, &node->pairs[i], keys, n, object);
    }
}
