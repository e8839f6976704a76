/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks, random numbers and log of this process: ours come before those of libc and base/ when
 * the program is linked, so libuv's timers and all our code see them.
 */
#include "sim.h"

#include "base/digest.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    BOOT_MS = 1000000, /* the machines have been up for a while */
};
static const int64_t WALL_MS = 1700000000000;

static struct sim *world;
static const struct member *observer;

void clock_enter(struct sim *s, const struct member *member)
{
    world = s;
    observer = member;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    if (!world)
        return (int)syscall(SYS_clock_gettime, id, t);
    int64_t ms = BOOT_MS + (int64_t)world->now;
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        ms = WALL_MS + (int64_t)world->now + (observer ? observer->skew_ms : 0);
    t->tv_sec = (time_t)(ms / 1000);
    t->tv_nsec = (long)(ms % 1000) * 1000000;
    return 0;
}

void random_bytes(void *out, size_t len)
{
    unsigned char *p = out;
    check(world);
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)(random_next(&world->seed) >> 32);
}

void log_set_level(enum log_level level)
{
    (void)level;
}

void log_write(enum log_level level, const char *room, const char *fmt, ...)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    if (!world || !world->options.verbose)
        return;
    va_list args;
    fprintf(stderr, "%8llu n%lld %s %s: ", world->now, observer ? (long long)observer->id : 0,
            levels[level], room);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}
