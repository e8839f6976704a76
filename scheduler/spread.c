/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/spread.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* A node, while the nodes of a level are sorted into groups. */
struct member {
    size_t place;
    size_t parent; /* its group one level up */
    const char *value;
};

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return strcmp(x->value, y->value);
}

static const char *value_of(const struct node *node, const char *label)
{
    static const char labels[] = "node.labels.";
    const char *key = str_starts(label, labels) ? label + sizeof(labels) - 1 : label;
    return str_or_empty(pair_get(node->labels, node->labels_n, key));
}

void spread_init(struct spread *spread, const struct ledger *ledger, const struct spec *spec)
{
    *spread = (struct spread){.levels = spec->spread_n, .nodes_n = ledger->n};
    if (spread->levels == 0)
        return;
    struct member *members = mem_alloc(ledger->n, sizeof(*members));
    size_t groups_n = 0;
    spread->groups = mem_alloc(spread->levels * ledger->n, sizeof(*spread->groups));
    spread->counts = mem_alloc(spread->levels * ledger->n, sizeof(*spread->counts));
    for (size_t level = 0; level < spread->levels; level++) {
        size_t *groups = spread->groups + level * ledger->n;
        const size_t *groups_above = spread->groups + (level ? level - 1 : 0) * ledger->n;
        for (size_t i = 0; i < ledger->n; i++)
            members[i] =
                (struct member){.place = i,
                                .parent = level ? groups_above[i] : 0,
                                .value = value_of(ledger->nodes[i].node, spec->spread[level])};
        qsort(members, ledger->n, sizeof(*members), compare_members);
        for (size_t i = 0; i < ledger->n; i++) {
            if (i == 0 || compare_members(&members[i - 1], &members[i]) != 0)
                groups_n++;
            groups[members[i].place] = groups_n - 1;
        }
    }
    free(members);
    for (size_t i = 0; i < ledger->n; i++)
        spread_add(spread, i, ledger->nodes[i].lasting);
}

void spread_release(struct spread *spread)
{
    free(spread->groups);
    free(spread->counts);
    *spread = (struct spread){0};
}

int spread_compare(const struct spread *spread, size_t a, size_t b)
{
    for (size_t level = 0; level < spread->levels; level++) {
        const size_t *groups = spread->groups + level * spread->nodes_n;
        int64_t x = spread->counts[groups[a]], y = spread->counts[groups[b]];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

void spread_add(struct spread *spread, size_t place, int64_t n)
{
    for (size_t level = 0; level < spread->levels; level++)
        spread->counts[spread->groups[level * spread->nodes_n + place]] += n;
}
