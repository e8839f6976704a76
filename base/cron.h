/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cron - times that come again, as crontab(5) writes them.
 *
 * Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday); of each
 * "*", numbers, ranges "1-5", lists "1,15", steps "0-59/10", names "mon", "jan". When both days are
 * given, one of them is enough. Or "@hourly", "@daily" ("@midnight"), "@weekly", "@monthly",
 * "@yearly" ("@annually"), or "@every 90s", which counts from the time before.
 *
 * Where the clock is put forward, a time of the hour that is left out is taken at the change; where
 * it is put back, a time of the hour that comes twice counts the first time. With an hour of "*" or
 * "*" and a step the real time counts: nothing is left out or doubled but what the clock leaves out
 * or doubles.
 *
 * Pure; every function may be called from any thread.
 */
#ifndef WHERRY_BASE_CRON_H
#define WHERRY_BASE_CRON_H

#include "base/err.h"
#include "base/zone.h"

#include <stdbool.h>
#include <stdint.h>

struct cron {
    int64_t every_ms; /* of "@every"; else 0, and these count: */
    uint64_t minutes; /* bit n: n */
    uint32_t hours;
    uint32_t days; /* of the month, from 1 */
    uint32_t months;
    uint32_t weekdays;
    bool any_hour;    /* the hour begins with "*" */
    bool any_day;     /* so does the day of the month */
    bool any_weekday; /* and that of the week */
};

/* Read @text. ERR_INVALID says which field is wrong, and why. */
int cron_parse(const char *text, struct cron *ret_cron, struct err *err);

/* The first time after @after_ms (milliseconds since the epoch) that @cron names in @zone;
 * INT64_MAX when none comes within nine years ("30 2" as day and month never does). */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms);

/* Of the times after @after_ms and not after @now_ms, the last; 0: there is none. Of a schedule
 * that names more than a few thousand in between, one of the later ones. */
int64_t cron_last(const struct cron *cron, const struct zone *zone, int64_t after_ms,
                  int64_t now_ms);

#endif
