/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cron.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum {
    DAY_S = 86400,
    LATE_S = 22 * 3600,
    DAYS_MAX = 9 * 366,    /* from one 29 February to the next but one */
    STEPS_MAX = 20000,     /* of cron_next(), when the real time counts */
    LAST_STEPS_MAX = 4096, /* of cron_last() */
    EVERY_MAX_S = 366 * DAY_S,
};

/* --- reading ---------------------------------------------------------------------------------- */

struct form {
    const char *name;
    int min, max;
    const char *const *names; /* of its values, from @min; NULL: none */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct form forms[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, month_names},
    {"day of the week", 0, 7, weekday_names},
};

static int bad(const struct form *form, const char *text, size_t len, const char *why,
               struct err *err)
{
    return err_set(err, ERR_INVALID, "%s '%.*s': %s", form->name, (int)(len < 60 ? len : 60), text,
                   why);
}

/* A number or a name. Returns -1 when there is none. */
static int take_value(const struct form *form, const char **at)
{
    for (int i = 0; form->names && form->names[i]; i++) {
        size_t len = strlen(form->names[i]);
        if (strncasecmp(*at, form->names[i], len) == 0 && !isalpha((unsigned char)(*at)[len])) {
            *at += len;
            return form->min + i;
        }
    }
    int n = 0;
    int digits = 0;
    while (isdigit((unsigned char)**at) && digits++ < 4)
        n = 10 * n + (*(*at)++ - '0');
    return digits ? n : -1;
}

/* One part of a list, "1-5/2", which ends at @end. */
static int take_part(const struct form *form, const char *at, const char *end, uint64_t *ret,
                     struct err *err)
{
    const char *start = at;
    size_t len = (size_t)(end - at);
    int first = form->min;
    int last = form->max;
    int step = 1;
    bool star = *at == '*' || *at == '?';
    if (star) {
        at++;
    } else {
        first = last = take_value(form, &at);
        if (*at == '-' && first >= 0) {
            at++;
            last = take_value(form, &at);
        }
    }
    bool steps = *at == '/';
    if (steps) {
        at++;
        if (first == last && !star)
            last = form->max; /* "5/10": from 5 on */
        step = isdigit((unsigned char)*at) ? take_value(&forms[0], &at) : -1;
    }
    if (at != end || first < 0 || last < 0)
        return bad(form, start, len, "is no number, range, list or step", err);
    if (first < form->min || last > form->max)
        return bad(form, start, len, "is out of range", err);
    if (first > last)
        return bad(form, start, len, "ends before it begins", err);
    if (step < 1)
        return bad(form, start, len, "the step is no number above 0", err);
    for (int i = first; i <= last; i += step)
        *ret |= 1ULL << i;
    return 0;
}

static int take_field(const struct form *form, const char *text, size_t len, uint64_t *ret,
                      struct err *err)
{
    const char *end = text + len;
    *ret = 0;
    for (const char *at = text;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        if (stop == at)
            return bad(form, text, len, "a part is empty", err);
        int rv = take_part(form, at, stop, ret, err);
        if (rv < 0 || !comma)
            return rv;
        at = comma + 1;
    }
}

/* "1h30m", "90s". */
static int take_every(const char *text, struct cron *cron, struct err *err)
{
    int64_t total = 0;
    const char *at = text;
    while (*at) {
        int64_t n = 0;
        const char *digits = at;
        while (isdigit((unsigned char)*at) && at - digits < 9)
            n = 10 * n + (*at++ - '0');
        int64_t unit = *at == 'h' ? 3600 : *at == 'm' ? 60 : *at == 's' ? 1 : 0;
        if (at == digits || unit == 0)
            return err_set(err, ERR_INVALID,
                           "'@every %.40s': a duration such as 90s, 10m or 1h30m must follow",
                           text);
        total += n * unit;
        at++;
        if (total > EVERY_MAX_S)
            break;
    }
    if (total < 1 || total > EVERY_MAX_S)
        return err_set(err, ERR_INVALID, "'@every %.40s' is not within 1s and 8784h", text);
    cron->every_ms = total * 1000;
    return 0;
}

int cron_parse(const char *text, struct cron *ret_cron, struct err *err)
{
    static const struct {
        const char *name, *fields;
    } shorts[] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    uint64_t bits[5];
    const char *starts[5];
    size_t lens[5];
    *ret_cron = (struct cron){0};
    if (strncmp(text, "@every ", 7) == 0)
        return take_every(text + 7, ret_cron, err);
    for (size_t i = 0; i < ARRAY_SIZE(shorts); i++)
        if (strcmp(text, shorts[i].name) == 0)
            text = shorts[i].fields;
    size_t n = 0;
    for (const char *at = text;; n++) {
        at += strspn(at, " \t");
        if (!*at)
            break;
        if (n < 5) {
            starts[n] = at;
            lens[n] = strcspn(at, " \t");
        }
        at += strcspn(at, " \t");
    }
    if (n != 5)
        return err_set(err, ERR_INVALID,
                       "'%.60s' has %zu fields: minute, hour, day of the month, month and day of "
                       "the week are five, as in \"0 3 * * *\"",
                       text, n);
    for (size_t i = 0; i < 5; i++) {
        int rv = take_field(&forms[i], starts[i], lens[i], &bits[i], err);
        if (rv < 0)
            return rv;
    }
    *ret_cron = (struct cron){.minutes = bits[0],
                              .hours = (uint32_t)bits[1],
                              .days = (uint32_t)bits[2],
                              .months = (uint32_t)bits[3],
                              .weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f),
                              .any_hour = *starts[1] == '*',
                              .any_day = *starts[2] == '*' || *starts[2] == '?',
                              .any_weekday = *starts[4] == '*' || *starts[4] == '?'};
    return 0;
}

/* --- the next --------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool day_fits(const struct cron *cron, int64_t days)
{
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    int weekday = (int)(((days + 4) % 7 + 7) % 7); /* day 0 was a Thursday */
    bool by_day = cron->days >> day & 1;
    bool by_weekday = cron->weekdays >> weekday & 1;
    if (!(cron->months >> month & 1))
        return false;
    return cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* Times of day that are given: day by day, as the clocks show them. */
static int64_t next_by_clock(const struct cron *cron, const struct zone *zone, int64_t after_s)
{
    int64_t today = floor_div(after_s + zone_offset(zone, after_s), DAY_S) - 1;
    for (int64_t days = today; days < today + DAYS_MAX; days++) {
        if (!day_fits(cron, days))
            continue;
        for (int hour = 0; hour < 24; hour++) {
            for (int minute = 0; (cron->hours >> hour & 1) && minute < 60; minute++) {
                if (!(cron->minutes >> minute & 1))
                    continue;
                int64_t at = zone_to_utc(zone, days * DAY_S + hour * 3600 + minute * 60);
                if (at > after_s)
                    return at;
            }
        }
    }
    return INT64_MAX;
}

/* Every hour or so: minute by minute, as time passes. */
static int64_t next_by_time(const struct cron *cron, const struct zone *zone, int64_t after_s)
{
    int64_t at = (floor_div(after_s, 60) + 1) * 60;
    for (int i = 0; i < STEPS_MAX; i++) {
        int64_t local = at + zone_offset(zone, at);
        int64_t days = floor_div(local, DAY_S);
        int64_t of_day = local - days * DAY_S;
        int minute = (int)(of_day / 60 % 60);
        bool fits = day_fits(cron, days);
        if (!fits && of_day < LATE_S) /* the day may have an hour less */
            at += (LATE_S - of_day) / 60 * 60;
        else if (!fits || !(cron->hours >> (of_day / 3600) & 1))
            at += (60 - minute) * 60;
        else if (!(cron->minutes >> minute & 1))
            at += 60;
        else
            return at;
    }
    return INT64_MAX;
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms)
{
    int64_t after_s = floor_div(after_ms, 1000);
    if (after_s > (int64_t)1 << 40 || after_s < -((int64_t)1 << 40))
        return INT64_MAX;
    if (cron->every_ms > 0)
        return after_ms + cron->every_ms;
    int64_t at =
        cron->any_hour ? next_by_time(cron, zone, after_s) : next_by_clock(cron, zone, after_s);
    return at == INT64_MAX ? at : at * 1000;
}

int64_t cron_last(const struct cron *cron, const struct zone *zone, int64_t after_ms,
                  int64_t now_ms)
{
    int64_t last = 0;
    if (cron->every_ms > 0)
        return now_ms - after_ms < cron->every_ms ? 0
                                                  : now_ms - (now_ms - after_ms) % cron->every_ms;
    /* After a long time away the recent ones matter only. */
    int64_t from = after_ms;
    const int64_t day_ms = (int64_t)DAY_S * 1000;
    if (now_ms - from > 2 * day_ms) {
        int64_t late = now_ms - 2 * day_ms;
        if (cron_next(cron, zone, late) <= now_ms)
            from = late;
    }
    for (int i = 0; i < LAST_STEPS_MAX; i++) {
        int64_t next = cron_next(cron, zone, from);
        if (next > now_ms)
            break;
        last = from = next;
    }
    return last;
}
