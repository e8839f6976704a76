/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netdiff.h"

#include <stdlib.h>

void netdiff_run(const struct netdiff *diff, void *wanted, size_t wanted_n, void *present,
                 size_t present_n, void *ctx)
{
    if (wanted_n)
        qsort(wanted, wanted_n, diff->size, diff->compare);
    if (present_n)
        qsort(present, present_n, diff->size, diff->compare);
    netdiff_sorted(diff, wanted, wanted_n, present, present_n, ctx);
}

void netdiff_sorted(const struct netdiff *diff, const void *wanted, size_t wanted_n,
                    const void *present, size_t present_n, void *ctx)
{
    const char *w = wanted, *p = present;
    size_t i = 0, j = 0;
    while (i < wanted_n || j < present_n) {
        const void *a = w ? w + i * diff->size : NULL, *b = p ? p + j * diff->size : NULL;
        int c = i == wanted_n ? 1 : j == present_n ? -1 : diff->compare(a, b);
        if (c > 0) {
            diff->drop(ctx, b);
            j++;
        } else {
            if (c < 0 || (diff->same && !diff->same(a, b)))
                diff->put(ctx, a, c < 0 ? NULL : b);
            i++;
            j += c == 0;
        }
    }
}
