/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules, and the time zones they are in. The zones are the system's, but for hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/cron.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t utc(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    assert_true(end && !*end);
    return (int64_t)timegm(&tm) * 1000;
}

static void assert_next(const char *schedule, const char *zone_name, const char *after,
                        const char *next)
{
    struct cron cron;
    struct zone zone;
    struct err err;
    char text[32];
    if (cron_parse(schedule, &cron, &err) < 0 || zone_load(zone_name, &zone, &err) < 0)
        fail_msg("%s", err.msg);
    time_t got = (time_t)(cron_next(&cron, &zone, utc(after)) / 1000);
    struct tm tm;
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", gmtime_r(&got, &tm));
    if (strcmp(text, next) != 0)
        fail_msg("'%s' in %s after %s: %s, not %s", schedule, zone_name, after, text, next);
    zone_release(&zone);
}

static void times_that_come_next(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {"* * * * *", "", "2026-01-02 03:04:05", "2026-01-02 03:05:00"},
        {"* * * * *", "", "2026-01-02 03:04:00", "2026-01-02 03:05:00"},
        {"0 3 * * *", "", "2026-01-02 03:00:00", "2026-01-03 03:00:00"},
        {"0 3 * * *", "", "2026-12-31 04:00:00", "2027-01-01 03:00:00"},
        {"*/15 9-17 * * mon-fri", "", "2026-11-27 17:45:00", "2026-11-30 09:00:00"},
        {"5,35 0-23/6 * * *", "", "2026-01-01 06:35:00", "2026-01-01 12:05:00"},
        {"0 0 29 2 *", "", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
        {"0 0 31 * *", "", "2026-04-01 00:00:00", "2026-05-31 00:00:00"},
        {"0 0 13 * fri", "", "2026-02-01 00:00:00", "2026-02-06 00:00:00"}, /* either day */
        {"0 0 * * 7", "", "2026-11-26 00:00:00", "2026-11-29 00:00:00"},
        {"0 0 1 jan,JUL ?", "", "2026-02-01 00:00:00", "2026-07-01 00:00:00"},
        {"@weekly", "", "2026-11-26 00:00:00", "2026-11-29 00:00:00"},
        {"@every 90s", "", "2026-01-01 00:00:00", "2026-01-01 00:01:30"},
        {"30 3 * * *", "Europe/Berlin", "2026-06-01 12:00:00", "2026-06-02 01:30:00"},
        {"30 3 * * *", "Asia/Kolkata", "2026-06-01 12:00:00", "2026-06-01 22:00:00"},
        /* 29 March 2026: 2:00 is 3:00. What is left out is done at the change. */
        {"30 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00", "2026-03-29 01:00:00"},
        {"30 2 * * *", "Europe/Berlin", "2026-03-29 01:00:00", "2026-03-30 00:30:00"},
        {"*/30 * * * *", "Europe/Berlin", "2026-03-29 00:30:00", "2026-03-29 01:00:00"},
        /* 25 October: 3:00 is 2:00. What comes twice is done the first time. */
        {"30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00", "2026-10-25 00:30:00"},
        {"30 2 * * *", "Europe/Berlin", "2026-10-25 00:30:00", "2026-10-26 01:30:00"},
        {"30 * * * *", "Europe/Berlin", "2026-10-25 00:30:00", "2026-10-25 01:30:00"},
        {"0 0 * * *", "America/Santiago", "2026-09-05 12:00:00", "2026-09-06 04:00:00"},
        /* By the rule for what comes after the table. */
        {"30 2 * * *", "Europe/Berlin", "2075-07-01 12:00:00", "2075-07-02 00:30:00"},
        {"30 2 * * *", "Australia/Sydney", "2075-01-01 12:00:00", "2075-01-01 15:30:00"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_next(cases[i][0], cases[i][1], cases[i][2], cases[i][3]);
}

/* The C library says the same of every hour of some years. */
static void zones_are_as_the_system_has_them(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Europe/Berlin", "America/New_York",    "Asia/Kathmandu",    "Africa/Casablanca",
        "Pacific/Apia",  "Australia/Lord_Howe", "America/Sao_Paulo", "Europe/Dublin"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct zone zone;
        struct err err;
        if (zone_load(names[i], &zone, &err) < 0)
            fail_msg("%s", err.msg);
        setenv("TZ", names[i], 1);
        tzset();
        for (time_t at = 315532800; at < 3786912000; at += 3600 * 7 + 60) {
            struct tm tm;
            localtime_r(&at, &tm);
            if (zone_offset(&zone, at) != tm.tm_gmtoff)
                fail_msg("%s at %lld: %d, not %ld", names[i], (long long)at, zone_offset(&zone, at),
                         tm.tm_gmtoff);
        }
        zone_release(&zone);
    }
    unsetenv("TZ");
    tzset();
}

static void never(void **state)
{
    (void)state;
    struct cron cron;
    struct zone none = {0};
    struct err err;
    assert_int_equal(cron_parse("0 0 30 2 *", &cron, &err), 0);
    assert_true(cron_next(&cron, &none, utc("2026-01-01 00:00:00")) == INT64_MAX);
    assert_int_equal(cron_parse("* * 30 2 *", &cron, &err), 0);
    assert_true(cron_next(&cron, &none, utc("2026-01-01 00:00:00")) == INT64_MAX);
}

static void the_last_that_came(void **state)
{
    (void)state;
    struct cron cron;
    struct zone none = {0};
    struct err err;
    int64_t now = utc("2026-01-10 12:00:00");
    assert_int_equal(cron_parse("0 3 * * *", &cron, &err), 0);
    assert_true(cron_last(&cron, &none, utc("2026-01-10 03:00:00"), now) == 0);
    assert_true(cron_last(&cron, &none, utc("2026-01-10 02:00:00"), now) ==
                utc("2026-01-10 03:00:00"));
    assert_true(cron_last(&cron, &none, utc("2025-01-10 02:00:00"), now) ==
                utc("2026-01-10 03:00:00"));
    assert_int_equal(cron_parse("* * * * *", &cron, &err), 0);
    assert_true(cron_last(&cron, &none, utc("2025-01-10 02:00:00"), now) == now);
    assert_int_equal(cron_parse("@every 7m", &cron, &err), 0);
    assert_true(cron_last(&cron, &none, now - 1000 * 60 * 20, now) == now - 1000 * 60 * 6);
    assert_int_equal(cron_parse("0 0 1 1 *", &cron, &err), 0);
    assert_true(cron_last(&cron, &none, utc("2020-01-10 02:00:00"), now) ==
                utc("2026-01-01 00:00:00"));
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "has 0 fields"},
        {"* * * *", "has 4 fields"},
        {"* * * * * *", "has 6 fields"},
        {"60 * * * *", "minute '60': is out of range"},
        {"* 24 * * *", "hour '24': is out of range"},
        {"* * 0 * *", "day of the month '0': is out of range"},
        {"* * * 13 *", "month '13': is out of range"},
        {"* * * * 8", "day of the week '8': is out of range"},
        {"5-1 * * * *", "ends before it begins"},
        {"*/0 * * * *", "the step is no number above 0"},
        {"1,,2 * * * *", "a part is empty"},
        {", * * * *", "a part is empty"},
        {"a * * * *", "is no number"},
        {"* * * monday *", "is no number"},
        {"1-2-3 * * * *", "is no number"},
        {"99999999999 * * * *", "is no number"},
        {"@reboot", "has 1 fields"},
        {"@every 5", "a duration such as"},
        {"@every 0s", "is not within"},
        {"@every 99999999h", "is not within"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cron cron;
        struct err err = {0};
        assert_int_equal(cron_parse(cases[i][0], &cron, &err), ERR_INVALID);
        if (!strstr(err.msg, cases[i][1]))
            fail_msg("'%s': %s", cases[i][0], err.msg);
    }
}

static void files_that_are_none_of_a_zone(void **state)
{
    (void)state;
    struct buf data = BUF_INIT;
    struct zone zone;
    struct err err = {0};
    assert_int_equal(file_read("/usr/share/zoneinfo/Europe/Berlin", 1 << 20, &data, &err), 0);
    for (size_t len = 0; len < data.len;
         len++) { /* a copy of that length: what is read past it is seen */
        char *copy = mem_alloc(len, 1);
        memcpy(copy, data.data, len);
        if (zone_parse(copy, len, &zone, &err) == 0)
            fail_msg("taken with %zu of %zu bytes", len, data.len);
        free(copy);
    }
    for (size_t i = 0; i < data.len; i++) {
        char *copy = mem_alloc(data.len, 1);
        memcpy(copy, data.data, data.len);
        copy[i] ^= 0x55;
        if (zone_parse(copy, data.len, &zone, &err) == 0) {
            zone_to_utc(&zone, 1 << 30);
            zone_release(&zone);
        }
        free(copy);
    }
    buf_release(&data);
    static const char *const names[] = {"../../etc/passwd", "/etc/passwd", "a//b", "", "-x", "a b"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_false(zone_name_is_valid(names[i]));
    assert_int_equal(zone_load("Europe/Nowhere", &zone, &err), ERR_NOTFOUND);
    assert_int_equal(zone_load("Europe", &zone, &err), ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_that_come_next),
        cmocka_unit_test(zones_are_as_the_system_has_them),
        cmocka_unit_test(never),
        cmocka_unit_test(the_last_that_came),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(files_that_are_none_of_a_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
