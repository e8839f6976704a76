/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/moment.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/compose_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SECONDS_DIGITS = 9, /* of a time since 1970, from 1973 on */
    DAY_MS = 24 * 3600 * 1000,
};

/* "2d": compose_duration() knows no days. */
static bool parse_ago(const char *text, int64_t *ret_ms)
{
    char *end;
    long long days = strtoll(text, &end, 10);
    if (*text >= '0' && *text <= '9' && strcmp(end, "d") == 0 && days >= 0 && days < 100000) {
        *ret_ms = days * DAY_MS;
        return true;
    }
    return compose_duration(text, ret_ms);
}

static bool parse_seconds(const char *text, int64_t *ret_ms)
{
    size_t n = strspn(text, "0123456789");
    if (n < SECONDS_DIGITS || n > 12 || text[n] != '\0')
        return false;
    *ret_ms = strtoll(text, NULL, 10) * 1000;
    return true;
}

/* "Z", "+01:00", or nothing: the machine's own zone. */
static bool parse_zone(const char *text, struct tm *tm, int64_t *ret_ms)
{
    int hours, minutes, n = 0;
    if (*text == '\0') {
        tm->tm_isdst = -1;
        time_t at = mktime(tm);
        *ret_ms = (int64_t)at * 1000;
        return at != (time_t)-1;
    }
    int64_t offset = 0;
    if (strcmp(text, "Z") != 0) {
        if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || text[n + 1] != '\0' ||
            (*text != '+' && *text != '-') || hours < 0 || hours > 23 || minutes < 0 ||
            minutes > 59)
            return false;
        offset = (hours * 60 + minutes) * 60 * (*text == '+' ? 1 : -1);
    }
    *ret_ms = ((int64_t)timegm(tm) - offset) * 1000;
    return true;
}

static bool parse_date(const char *text, int64_t *ret_ms)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                        "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct tm tm = {0};
        const char *rest = strptime(text, forms[i], &tm);
        int64_t fraction = 0;
        if (!rest)
            continue;
        if (*rest == '.') {
            size_t n = strspn(rest + 1, "0123456789");
            fraction = (int64_t)(strtod(rest, NULL) * 1000);
            rest += 1 + n;
        }
        if (!parse_zone(rest, &tm, ret_ms))
            continue;
        *ret_ms += fraction;
        return true;
    }
    return false;
}

int moment_parse(const char *option, const char *text, int64_t now_ms, int64_t *ret_ms,
                 struct err *err)
{
    int64_t ago;
    if (parse_seconds(text, ret_ms) || parse_date(text, ret_ms))
        return 0;
    if (parse_ago(text, &ago)) {
        *ret_ms = now_ms - ago;
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "option %s needs a time such as 10m (ago), 2026-11-27T10:00 or 1764200000, not "
                   "'%.60s'",
                   option, text);
}
