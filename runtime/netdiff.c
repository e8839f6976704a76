/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netdiff.h"

#include <stdlib.h>

void netdiff_run(const struct netdiff *diff, void *wanted, size_t wanted_n, void *present,
                 size_t present_n, void *ctx)
{
    char *w = wanted, *p = present;
    if (wanted_n)
        qsort(w, wanted_n, diff->size, diff->compare);
    if (present_n)
        qsort(p, present_n, diff->size, diff->compare);
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
