/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/retry.h"

#include "base/err.h"

#include <stddef.h>
#include <time.h>

enum {
    SLICE_MS = 100, /* between looks at the cancel flag */
};

/* It may pass: the connection broke, or the registry is busy. */
static bool is_transient(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_CONFLICT;
}

bool retry_wait(int code, int attempt, int64_t asked_s, const atomic_bool *cancel)
{
    if (!is_transient(code) ||
        attempt >= (code == ERR_TIMEOUT ? RETRY_STALLS_MAX : RETRY_ATTEMPTS_MAX))
        return false;
    int64_t left_ms = (int64_t)RETRY_FIRST_PAUSE_MS << (attempt - 1);
    if (asked_s > RETRY_WAIT_MAX_S)
        return false; /* it says itself that it will not be soon */
    if (asked_s * 1000 > left_ms)
        left_ms = asked_s * 1000;
    for (; left_ms > 0; left_ms -= SLICE_MS) {
        struct timespec slice = {.tv_nsec = SLICE_MS * 1000000L};
        if (cancel && atomic_load(cancel))
            return false;
        nanosleep(&slice, NULL);
    }
    return true;
}
