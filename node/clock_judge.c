/* SPDX-License-Identifier: Apache-2.0 */
#include "node/clock_judge.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How far apart, without overflow. */
static bool is_far(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return true;
    return difference > CLOCK_FAR_MS || difference < -(int64_t)CLOCK_FAR_MS;
}

/* The middle of the largest group of @all (sorted) that agrees, and its size. */
static int64_t largest_group(const int64_t *all, size_t n, size_t *ret_size)
{
    int64_t middle = 0;
    *ret_size = 0;
    for (size_t from = 0; from < n; from++) {
        size_t to = from;
        while (to + 1 < n && !is_far(all[to + 1], all[from]))
            to++;
        if (to - from + 1 > *ret_size) {
            *ret_size = to - from + 1;
            middle = all[from + (to - from) / 2];
        }
    }
    return middle;
}

/* The earliest of @all (sorted) that is not behind the state, or the latest there is. */
static int64_t earliest_possible(const int64_t *all, size_t n, int64_t state_ahead_ms)
{
    for (size_t i = 0; i < n; i++)
        if (all[i] >= state_ahead_ms || !is_far(all[i], state_ahead_ms))
            return all[i];
    return all[n - 1];
}

void clock_judge(const int64_t *offsets, size_t n, int64_t state_ahead_ms,
                 struct clock_judgement *ret)
{
    int64_t all[CLOCK_JUDGE_MAX];
    size_t all_n = 0;
    size_t group;
    all[all_n++] = 0; /* ours */
    for (size_t i = 0; i < n && all_n < CLOCK_JUDGE_MAX; i++)
        all[all_n++] = offsets[i];
    qsort(all, all_n, sizeof(all[0]), compare);
    int64_t reference = largest_group(all, all_n, &group);
    bool majority = 2 * group > all_n;
    if (!majority)
        reference = earliest_possible(all, all_n, state_ahead_ms);
    bool wrong = is_far(reference, 0);
    *ret = (struct clock_judgement){
        .reference_ms = wrong ? reference : 0, .wrong = wrong, .certain = majority && wrong};
}
