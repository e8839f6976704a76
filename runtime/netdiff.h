/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdiff - bring what the kernel has to what is wanted, asking for the difference only.
 */
#ifndef WHERRY_RUNTIME_NETDIFF_H
#define WHERRY_RUNTIME_NETDIFF_H

#include <stdbool.h>
#include <stddef.h>

/* How two lists of one kind are brought together. */
struct netdiff {
    size_t size;                                  /* of one item */
    int (*compare)(const void *a, const void *b); /* by key */
    bool (*same)(const void *a, const void *b);   /* all of it; NULL: equal keys suffice */
    /* @wanted is missing, or differs from the @present of the same key. */
    void (*put)(void *ctx, const void *wanted, const void *present);
    /* @present is wanted no longer. */
    void (*drop)(void *ctx, const void *present);
};

/* Call put and drop so that @present becomes @wanted. Both are sorted here; duplicates by key in
 * @present beyond the first are dropped. */
void netdiff_run(const struct netdiff *diff, void *wanted, size_t wanted_n, void *present,
                 size_t present_n, void *ctx);

/* The same of two lists that are sorted already. */
void netdiff_sorted(const struct netdiff *diff, const void *wanted, size_t wanted_n,
                    const void *present, size_t present_n, void *ctx);

#endif
