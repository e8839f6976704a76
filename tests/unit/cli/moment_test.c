/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/moment.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const int64_t now_ms = 1764200000000; /* 2025-11-26T23:33:20Z */

static int64_t parse(const char *text)
{
    int64_t ms;
    struct err err = {0};
    if (moment_parse("--since", text, now_ms, &ms, &err) < 0)
        fail_msg("'%s': %s", text, err.msg);
    return ms;
}

static void times_are_read(void **state)
{
    (void)state;
    setenv("TZ", "UTC-2", 1); /* two hours east */
    tzset();
    assert_int_equal(parse("90s"), now_ms - 90000);
    assert_int_equal(parse("1h30m"), now_ms - 5400000);
    assert_int_equal(parse("2d"), now_ms - 2 * 86400000LL);
    assert_int_equal(parse("1764200000"), now_ms);
    assert_int_equal(parse("2025-11-26T23:33:20Z"), now_ms);
    assert_int_equal(parse("2025-11-26T23:33:20.250Z"), now_ms + 250);
    assert_int_equal(parse("2025-11-27T00:33:20+01:00"), now_ms);
    assert_int_equal(parse("2025-11-26T18:03:20-05:30"), now_ms);
    assert_int_equal(parse("2025-11-27 01:33:20"), now_ms);
    assert_int_equal(parse("2025-11-27T01:33"), now_ms - 20000);
    assert_int_equal(parse("2025-11-27"), now_ms - (3600 + 33 * 60 + 20) * 1000);
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "yesterday",
                                        "-5m",
                                        "5",
                                        "99x",
                                        "2025-13-01",
                                        "2025-11-26T23:33:20Zx",
                                        "17642000001234567",
                                        "2025-11-26T23:33:20+99:00"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int64_t ms;
        struct err err = {0};
        if (moment_parse("--since", texts[i], now_ms, &ms, &err) == 0)
            fail_msg("'%s' is read", texts[i]);
        assert_non_null(strstr(err.msg, "option --since needs a time such as 10m"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
