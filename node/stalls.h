/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stalls - how long the loop was away from its sockets and timers: a count per length.
 */
#ifndef WHERRY_NODE_STALLS_H
#define WHERRY_NODE_STALLS_H

#include <stdint.h>

struct stalls;
struct stalls_reply;
struct uv_loop_s;

/* Measure every turn of @loop from now on; before the loop runs. */
struct stalls *stalls_new(struct uv_loop_s *loop);

/* Stop measuring and free, once the loop has run a last time. */
void stalls_free(struct stalls *s);

/* What was measured since the last call. */
void stalls_take(struct stalls *s, struct stalls_reply *ret);

/* The length of the turn that is running now, in milliseconds so far. */
int64_t stalls_now_ms(const struct stalls *s);

#endif
