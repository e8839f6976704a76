/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiters - answers that come when there is something to say, or when the wait is over.
 *
 * What is waited for is a poll: a function that is asked again whenever the state changed, after
 * waiters_wake() and every 100 ms, until it says it is done. From its deadline on it is
 * told that this is the last time: it should be done then, and is asked again until it is. At
 * waiters_free() it must be. Loop thread.
 */
#ifndef WHERRY_NODE_WAITERS_H
#define WHERRY_NODE_WAITERS_H

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct waiters;

enum {
    WAIT_MAX_MS = 30000,
};

/* Answer if there is something to say, or because it is @last. True: done, never asked again. */
typedef bool (*waiter_poll)(void *arg, bool last);

/* Begin: everything happens on the loop of the daemon. */
struct waiters *waiters_new(struct uv_loop_s *loop);

/* Every waiter is asked a last time and must be done; then everything is freed. */
void waiters_free(struct waiters *w, void (*on_freed)(void *arg), void *arg);

/* Ask @poll now, and if it is not done for at most @wait_ms (capped at WAIT_MAX_MS). */
void waiters_add(struct waiters *w, int64_t wait_ms, waiter_poll poll, void *arg);

/* Something may have changed: ask all. */
void waiters_wake(struct waiters *w);

#endif
