/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the two times there are. Never called from store/ or scheduler/.
 */
#ifndef WHERRY_BASE_CLOCK_H
#define WHERRY_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since the epoch (CLOCK_REALTIME): for people and for the log. */
int64_t clock_wall_ms(void);

/* Milliseconds of CLOCK_BOOTTIME: for time-outs. Goes on while the machine sleeps. */
int64_t clock_boot_ms(void);

/* Nanoseconds of CLOCK_MONOTONIC: for measuring. */
int64_t clock_mono_ns(void);

/* @wall_ms as RFC 3339 in UTC with milliseconds ("2026-01-02T03:04:05.678Z"). */
void clock_format(int64_t wall_ms, char *out, size_t size);

#endif
