/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry - which failures are worth another try, and how long to wait before it.
 */
#ifndef WHERRY_RUNTIME_FETCH_RETRY_H
#define WHERRY_RUNTIME_FETCH_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    RETRY_ATTEMPTS_MAX = 5,     /* in a row without getting on */
    RETRY_STALLS_MAX = 3,       /* of them, when it was silent for long each time */
    RETRY_WAIT_MAX_S = 30,      /* that a registry may ask for */
    RETRY_FIRST_PAUSE_MS = 500, /* doubled each time */
};

/* After attempt @attempt (the first is 1) failed with @code: wait before the next; @asked_s is what
 * the registry asked for, 0 for nothing. False at once when it is not worth another try or that was
 * the last, or when @cancel (may be NULL) is set. */
bool retry_wait(int code, int attempt, int64_t asked_s, const atomic_bool *cancel);

#endif
