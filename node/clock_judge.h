/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_judge - whose clock is wrong. A pure function.
 *
 * A clock is right when it is within CLOCK_FAR_MS of the one that is taken for the time: the one in
 * the middle of the largest group of clocks that agree, where that is more than half of those
 * known. Where no majority agrees, the earliest clock that is not behind the state's own time: a
 * machine that lost its clock's battery is years behind, and the state never goes back.
 */
#ifndef WHERRY_NODE_CLOCK_JUDGE_H
#define WHERRY_NODE_CLOCK_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLOCK_FAR_MS = 30000,
    CLOCK_JUDGE_MAX = 256, /* clocks that are looked at */
};

struct clock_judgement {
    int64_t reference_ms; /* the time, as an offset from our clock; 0 when ours is right */
    bool wrong;           /* ours is far from it */
    bool certain;         /* a majority of the clocks known says so */
};

/* @offsets: the @n others' clocks less ours. @state_ahead_ms: the state's own time less our clock.
 */
void clock_judge(const int64_t *offsets, size_t n, int64_t state_ahead_ms,
                 struct clock_judgement *ret);

#endif
