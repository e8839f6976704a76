/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t ns_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    return ns_of(CLOCK_REALTIME) / 1000000;
}

int64_t clock_boot_ms(void)
{
    return ns_of(CLOCK_BOOTTIME) / 1000000;
}

int64_t clock_mono_ns(void)
{
    return ns_of(CLOCK_MONOTONIC);
}

void clock_format(int64_t wall_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char when[24];
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, size, "%s.%03dZ", when, (int)(wall_ms % 1000));
}
