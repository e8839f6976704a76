/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone - a time zone: what its clocks show at a given time.
 *
 * Read from the system's files (RFC 8536, versions 2 and later): a table of changes, and for what
 * comes after it a rule as in POSIX's TZ. A zone of zeroes is UTC.
 */
#ifndef WHERRY_BASE_ZONE_H
#define WHERRY_BASE_ZONE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When a yearly change comes, "M3.5.0/2". */
struct zone_date {
    enum {
        ZONE_DAY,       /* "n": from 0, with 29 February */
        ZONE_JULIAN,    /* "Jn": from 1, without it */
        ZONE_MONTH_DAY, /* "Mm.w.d" */
    } kind;
    int day;
    int month;
    int week; /* 5: the last */
    int time; /* seconds after midnight, of the clock before the change */
};

struct zone {
    int64_t *changes_s; /* sorted, seconds since the epoch */
    int32_t *offsets_s; /* after each, seconds east of Greenwich */
    size_t changes_n;
    int32_t first_s; /* before the first of them */
    bool has_rule;   /* what follows: after the last */
    bool has_summer;
    int32_t standard_s;
    int32_t summer_s;
    struct zone_date begin; /* of summer time */
    struct zone_date end;
};

/* True for what may be the name of a file under the folder of zones: "Europe/Berlin". Such a zone
 * need not exist. */
bool zone_name_is_valid(const char *name);

/* Read zone @name, "" and "UTC" being UTC. ERR_NOTFOUND when the system has none, ERR_CORRUPT for a
 * file that is none of a zone. Blocks for a small file. Free with zone_release(). */
int zone_load(const char *name, struct zone *ret_zone, struct err *err);

/* As zone_load(), of the bytes of such a file. */
int zone_parse(const void *data, size_t len, struct zone *ret_zone, struct err *err);

/* Free what @zone holds and zero it. */
void zone_release(struct zone *zone);

/* Seconds east of Greenwich at @at_s, seconds since the epoch. */
int32_t zone_offset(const struct zone *zone, int64_t at_s);

/* When the clocks of @zone show @local_s, which is counted as if it were UTC: the first time if
 * they show it twice, the moment of the change if they leave it out. */
int64_t zone_to_utc(const struct zone *zone, int64_t local_s);

/* Days since the epoch of a date in the proleptic Gregorian calendar, and back. Months from 1. */
int64_t days_from_civil(int64_t year, int month, int day);
void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);

#endif
