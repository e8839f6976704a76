/* SPDX-License-Identifier: Apache-2.0 */
/* What image suits which machine. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/platform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void platforms_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *same; /* NULL: refused */
        int code;
    } cases[] = {
        {"linux/amd64", "linux/amd64", 0},
        {"linux/x86_64", "linux/amd64", 0},
        {"linux/arm/v7", "linux/arm/v7", 0},
        {"linux/arm64/v8", "linux/arm64/v8", 0},
        {"linux/aarch64", "linux/arm64/v8", 0},
        {"linux/armhf", "linux/arm/v7", 0},
        {"linux", NULL, ERR_INVALID},
        {"linux/", NULL, ERR_INVALID},
        {"/amd64", NULL, ERR_INVALID},
        {"linux/arm/", NULL, ERR_INVALID},
        {"linux/arm/v7/x", NULL, ERR_INVALID},
        {"linux/a b", NULL, ERR_INVALID},
        {"linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, ERR_INVALID},
        {"windows/amd64", NULL, ERR_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct image_platform p;
        struct err err = {0};
        int rv = image_platform_parse(cases[i].text, &p, &err);
        if (rv != cases[i].code)
            fail_msg("%s: %d %s", cases[i].text, rv, err.msg);
        if (rv < 0)
            continue;
        cleanup_free char *text = image_platform_format(&p);
        assert_string_equal(text, cases[i].same);
    }
}

static int rank(const char *wanted, const char *os, const char *architecture, const char *variant)
{
    struct image_platform p;
    assert_int_equal(image_platform_parse(wanted, &p, NULL), 0);
    return image_platform_rank(&p, os, architecture, variant);
}

static void an_arm_takes_its_own_variant_and_older_ones(void **state)
{
    (void)state;
    int v7 = rank("linux/arm/v7", "linux", "arm", "v7");
    int v6 = rank("linux/arm/v7", "linux", "arm", "v6");
    int v5 = rank("linux/arm/v7", "linux", "arm", "v5");
    assert_true(v7 > v6 && v6 > v5 && v5 > 0);
    assert_int_equal(rank("linux/arm/v7", "linux", "arm", "v8"), 0);
    assert_int_equal(rank("linux/arm/v6", "linux", "arm", "v7"), 0);
    assert_int_equal(rank("linux/arm/v6", "linux", "arm", ""), 0); /* that is v7 */
    assert_true(rank("linux/arm/v7", "linux", "arm", "") > v6);
    assert_true(rank("linux/arm64", "linux", "arm64", "v8") > 0);
    assert_true(rank("linux/arm64/v8", "linux", "arm64", "") > 0);
    assert_int_equal(rank("linux/arm64/v8", "linux", "arm64", "v9"), 0);
    assert_int_equal(rank("linux/arm64/v8", "linux", "arm", "v7"), 0);
}

static void others_do_not_suit(void **state)
{
    (void)state;
    assert_int_equal(rank("linux/amd64", "unknown", "unknown", ""), 0);
    assert_int_equal(rank("linux/amd64", "windows", "amd64", ""), 0);
    assert_int_equal(rank("linux/amd64", "linux", "386", ""), 0);
    assert_int_equal(rank("linux/amd64", "linux", "amd64", "v3"), 0);
    assert_int_equal(rank("linux/amd64/v3", "linux", "amd64", "strange"), 0);
    assert_true(rank("linux/amd64/v3", "linux", "amd64", "v2") >
                rank("linux/amd64/v3", "linux", "amd64", ""));
}

static void this_machine_has_one(void **state)
{
    struct image_platform host;
    (void)state;
    image_platform_host(&host);
    assert_true(host.host);
    assert_true(image_platform_rank(&host, "linux", host.architecture, host.variant) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platforms_are_read),
        cmocka_unit_test(an_arm_takes_its_own_variant_and_older_ones),
        cmocka_unit_test(others_do_not_suit),
        cmocka_unit_test(this_machine_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
