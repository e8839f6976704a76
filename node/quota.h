/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota - how many calls of each other member wait here for their answer.
 *
 * A member that asks without end, or whose calls all get stuck here, gets no more than its share of
 * our memory, and takes nothing from the others' shares. Loop thread.
 */
#ifndef WHERRY_NODE_QUOTA_H
#define WHERRY_NODE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUOTA_CALLS_MAX = 4096, /* of one member */
};

/* Zero is empty; quota_release(). */
struct quota {
    struct quota_share {
        int64_t member;
        size_t n;
    } * shares; /* of those that have any */
    size_t shares_n;
};

/* One more call of @member. False: it has QUOTA_CALLS_MAX already. */
bool quota_take(struct quota *quota, int64_t member);

/* One of them is answered. */
void quota_give(struct quota *quota, int64_t member);

/* Free what it holds. */
void quota_release(struct quota *quota);

#endif
