/* SPDX-License-Identifier: Apache-2.0 */
#include "base/zone.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ZONES_DIR "/usr/share/zoneinfo"

enum {
    NAME_MAX_BYTES = 64,
    FILE_BYTES_MAX = 256 << 10,
    HEADER_BYTES = 44,
    CHANGES_MAX = 8192,
    TYPES_MAX = 256,
    OFFSET_MAX_S = 26 * 3600, /* RFC 8536, 3.2 */
    DAY_S = 86400,
};

/* --- the calendar ----------------------------------------------------------------------------- */

/* Years of 400 come round: eras of 146,097 days, which begin in March so that the odd day is last.
 */
int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + days - 719468;
}

void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day = days - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    *ret_day = (int)(of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month < 10 ? month + 3 : month - 9);
    *ret_year = year + era * 400 + (*ret_month <= 2);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* --- the rule --------------------------------------------------------------------------------- */

/* A number of at most three digits; -1: there is none. */
static int take_number(const char **text)
{
    int n = 0;
    int digits = 0;
    while (isdigit((unsigned char)**text) && digits++ < 3)
        n = 10 * n + (*(*text)++ - '0');
    return digits ? n : -1;
}

/* "[+-]hh[:mm[:ss]]" as seconds. */
static bool take_time(const char **text, int *ret)
{
    int sign = **text == '-' ? -1 : 1;
    *text += **text == '-' || **text == '+';
    int hours = take_number(text);
    int parts[2] = {0, 0};
    for (int i = 0; i < 2 && **text == ':'; i++) {
        ++*text;
        parts[i] = take_number(text);
        if (parts[i] < 0 || parts[i] > 59)
            return false;
    }
    if (hours < 0 || hours > 167)
        return false;
    *ret = sign * (hours * 3600 + parts[0] * 60 + parts[1]);
    return true;
}

/* "CET", "<+03>". */
static bool skip_name(const char **text)
{
    const char *start = *text;
    if (**text == '<') {
        const char *end = strchr(*text, '>');
        *text = end ? end + 1 : start;
        return end != NULL;
    }
    while (isalpha((unsigned char)**text))
        ++*text;
    return *text - start >= 3;
}

/* A standard time or summer time, west positive in the text. */
static bool take_offset(const char **text, int32_t *ret)
{
    int west;
    if (!take_time(text, &west) || west > OFFSET_MAX_S || west < -OFFSET_MAX_S)
        return false;
    *ret = -west;
    return true;
}

static bool take_date(const char **text, struct zone_date *date)
{
    *date = (struct zone_date){.time = 2 * 3600};
    if (*(*text)++ != ',')
        return false;
    if (**text == 'M') {
        ++*text;
        date->kind = ZONE_MONTH_DAY;
        date->month = take_number(text);
        if (*(*text)++ != '.')
            return false;
        date->week = take_number(text);
        if (*(*text)++ != '.')
            return false;
        date->day = take_number(text);
        if (date->month < 1 || date->month > 12 || date->week < 1 || date->week > 5 ||
            date->day < 0 || date->day > 6)
            return false;
    } else {
        date->kind = **text == 'J' ? ZONE_JULIAN : ZONE_DAY;
        *text += **text == 'J';
        date->day = take_number(text);
        if (date->day < (date->kind == ZONE_JULIAN) || date->day > 365)
            return false;
    }
    if (**text != '/')
        return true;
    ++*text;
    return take_time(text, &date->time);
}

static bool parse_rule(const char *text, struct zone *zone)
{
    if (!*text)
        return true; /* RFC 8536, 3.3: nothing is known */
    if (!skip_name(&text) || !take_offset(&text, &zone->standard_s))
        return false;
    zone->has_rule = true;
    if (!*text)
        return true;
    if (!skip_name(&text))
        return false;
    zone->summer_s = zone->standard_s + 3600;
    if (*text != ',' && !take_offset(&text, &zone->summer_s))
        return false;
    zone->has_summer = true;
    return take_date(&text, &zone->begin) && take_date(&text, &zone->end) && !*text;
}

/* The local second of @date in @year, as if it were UTC. */
static int64_t date_in(const struct zone_date *date, int64_t year)
{
    int64_t days;
    if (date->kind == ZONE_MONTH_DAY) {
        int64_t first = days_from_civil(year, date->month, 1);
        int weekday = (int)(((first + 4) % 7 + 7) % 7);
        days = first + (date->day - weekday + 7) % 7 + 7 * (int64_t)(date->week - 1);
        int64_t next = date->month == 12 ? days_from_civil(year + 1, 1, 1)
                                         : days_from_civil(year, date->month + 1, 1);
        while (days >= next)
            days -= 7;
    } else {
        int day =
            date->kind == ZONE_DAY ? date->day : date->day - 1 + (is_leap(year) && date->day >= 60);
        days = days_from_civil(year, 1, 1) + day;
    }
    return days * DAY_S + date->time;
}

static int32_t offset_by_rule(const struct zone *zone, int64_t at_s)
{
    if (!zone->has_summer)
        return zone->standard_s;
    int64_t local = at_s + zone->standard_s;
    int64_t year;
    int month, day;
    civil_from_days((local - (local < 0 ? DAY_S - 1 : 0)) / DAY_S, &year, &month, &day);
    int64_t begin = date_in(&zone->begin, year) - zone->standard_s;
    int64_t end = date_in(&zone->end, year) - zone->summer_s;
    bool summer =
        begin < end ? at_s >= begin && at_s < end : at_s >= begin || at_s < end; /* in the south */
    return summer ? zone->summer_s : zone->standard_s;
}

/* --- the file --------------------------------------------------------------------------------- */

static uint64_t big_endian(const unsigned char *p, int bytes)
{
    uint64_t n = 0;
    for (int i = 0; i < bytes; i++)
        n = n << 8 | p[i];
    return n;
}

/* Numbers of a header, RFC 8536, 3.1. */
struct counts {
    size_t isut, isstd, leaps, changes, types, chars;
};

static bool take_header(const unsigned char *p, size_t left, struct counts *c)
{
    if (left < HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    size_t *fields[] = {&c->isut, &c->isstd, &c->leaps, &c->changes, &c->types, &c->chars};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        *fields[i] = (size_t)big_endian(p + 20 + 4 * i, 4);
    return c->changes <= CHANGES_MAX && c->types >= 1 && c->types <= TYPES_MAX &&
           c->chars <= FILE_BYTES_MAX && c->leaps <= CHANGES_MAX && c->isut <= TYPES_MAX &&
           c->isstd <= TYPES_MAX;
}

static size_t body_bytes(const struct counts *c, size_t time_bytes)
{
    return c->changes * (time_bytes + 1) + c->types * 6 + c->chars + c->leaps * (time_bytes + 4) +
           c->isstd + c->isut;
}

static bool take_changes(const unsigned char *p, const struct counts *c, struct zone *zone)
{
    const unsigned char *kinds = p + 8 * c->changes;
    const unsigned char *types = kinds + c->changes;
    int32_t offsets[TYPES_MAX];
    for (size_t i = 0; i < c->types; i++) {
        offsets[i] = (int32_t)big_endian(types + 6 * i, 4);
        if (offsets[i] > OFFSET_MAX_S || offsets[i] < -OFFSET_MAX_S)
            return false;
    }
    zone->first_s = offsets[0];
    zone->changes_s = mem_alloc(c->changes + 1, sizeof(*zone->changes_s));
    zone->offsets_s = mem_alloc(c->changes + 1, sizeof(*zone->offsets_s));
    for (size_t i = 0; i < c->changes; i++) {
        zone->changes_s[i] = (int64_t)big_endian(p + 8 * i, 8);
        if (kinds[i] >= c->types || (i > 0 && zone->changes_s[i] <= zone->changes_s[i - 1]))
            return false;
        zone->offsets_s[i] = offsets[kinds[i]];
    }
    zone->changes_n = c->changes;
    return true;
}

/* Version 1's part, which is passed over; then the same with times of 64 bits, and the rule. */
static bool parse(const unsigned char *p, size_t len, struct zone *zone)
{
    struct counts c;
    if (!take_header(p, len, &c) || p[4] < '2')
        return false;
    size_t at = HEADER_BYTES + body_bytes(&c, 4);
    if (at > len || !take_header(p + at, len - at, &c))
        return false;
    at += HEADER_BYTES;
    size_t body = body_bytes(&c, 8);
    if (body > len - at || !take_changes(p + at, &c, zone))
        return false;
    at += body;
    if (at >= len || p[at] != '\n')
        return false;
    const unsigned char *rule = p + at + 1;
    const unsigned char *end = memchr(rule, '\n', len - at - 1);
    if (!end || memchr(rule, '\0', (size_t)(end - rule)))
        return false;
    cleanup_free char *text = mem_alloc((size_t)(end - rule) + 1, 1);
    memcpy(text, rule, (size_t)(end - rule));
    return parse_rule(text, zone);
}

int zone_parse(const void *data, size_t len, struct zone *ret_zone, struct err *err)
{
    *ret_zone = (struct zone){0};
    if (parse(data, len, ret_zone))
        return 0;
    zone_release(ret_zone);
    return err_set(err, ERR_CORRUPT, "not the file of a time zone");
}

bool zone_name_is_valid(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_BYTES && strspn(name, good) == len && name[0] != '/' &&
           name[0] != '-' && name[len - 1] != '/' && !strstr(name, "//");
}

int zone_load(const char *name, struct zone *ret_zone, struct err *err)
{
    cleanup_buf struct buf data = BUF_INIT;
    *ret_zone = (struct zone){0};
    if (!*name || strcmp(name, "UTC") == 0)
        return 0;
    if (!zone_name_is_valid(name))
        return err_set(err, ERR_INVALID, "'%.64s' is not the name of a time zone", name);
    cleanup_free char *path = str_printf(ZONES_DIR "/%s", name);
    if (file_read(path, FILE_BYTES_MAX, &data, err) < 0)
        return err_set(err, ERR_NOTFOUND,
                       "there is no time zone '%s' on this machine (zones are files under "
                       "%s, from the package tzdata)",
                       name, ZONES_DIR);
    if (zone_parse(data.data, data.len, ret_zone, err) < 0)
        return err_wrap(err, "time zone '%s'", name);
    return 0;
}

void zone_release(struct zone *zone)
{
    free(zone->changes_s);
    free(zone->offsets_s);
    *zone = (struct zone){0};
}

/* --- what clocks show ------------------------------------------------------------------------- */

int32_t zone_offset(const struct zone *zone, int64_t at_s)
{
    size_t low = 0;
    size_t high = zone->changes_n;
    while (low < high) { /* the first change after @at_s */
        size_t middle = low + (high - low) / 2;
        if (zone->changes_s[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->changes_n && zone->has_rule)
        return offset_by_rule(zone, at_s);
    return low == 0 ? zone->first_s : zone->offsets_s[low - 1];
}

int64_t zone_to_utc(const struct zone *zone, int64_t local_s)
{
    int64_t before = local_s - zone_offset(zone, local_s - DAY_S);
    int64_t after = local_s - zone_offset(zone, local_s + DAY_S);
    int64_t low = before < after ? before : after;
    int64_t high = before < after ? after : before;
    if (low + zone_offset(zone, low) == local_s)
        return low;
    if (high + zone_offset(zone, high) == local_s)
        return high;
    int32_t old = zone_offset(zone, low); /* left out: the change is between them */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (zone_offset(zone, middle) == old)
            low = middle;
        else
            high = middle;
    }
    return high;
}
