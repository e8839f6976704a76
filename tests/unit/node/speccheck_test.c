/* SPDX-License-Identifier: Apache-2.0 */
/* What a member refuses before it does anything for a deploy. */
#include "node/speccheck.h"

#include "base/err.h"
#include "base/mem.h"
#include "cluster/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(uintptr_t)(text))

static int check_with(struct container_options options, struct err *err)
{
    struct deploy_spec services[] = {
        {.name = S("web"), .spec = {.image = S("i")}},
        {.name = S("db"), .spec = {.image = S("i"), .options = options}},
    };
    struct deploy_request request = {.name = S("app"), .services = services, .services_n = 2};
    *err = (struct err){0};
    return speccheck(&request, err);
}

static void a_bad_value_is_refused_by_name(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(check_with((struct container_options){0}, &err), 0);
    assert_int_equal(check_with((struct container_options){.cpu_shares = 1}, &err), ERR_INVALID);
    assert_true(str_starts(err.msg, "service app.db: cpu_shares is 1"));
}

static void a_bad_profile_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{", "{}", "{\"defaultAction\": \"SCMP_ACT_FLY\"}",
                                      "{\"defaultAction\": \"SCMP_ACT_ALLOW\"} {"};
    struct err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int rv = check_with((struct container_options){.seccomp = S(bad[i])}, &err);
        if (rv != ERR_INVALID && rv != ERR_UNSUPPORTED)
            fail_msg("%s: %d %s", bad[i], rv, err.msg);
        assert_true(str_starts(err.msg, "service app.db: security_opt.seccomp: "));
    }
    const char *good = "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}";
    assert_int_equal(check_with((struct container_options){.seccomp = S(good)}, &err), 0);
    assert_int_equal(check_with((struct container_options){.seccomp = S("unconfined")}, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_value_is_refused_by_name),
        cmocka_unit_test(a_bad_profile_is_refused),
    };
    return cmocka_run_group_tests_name("speccheck", tests, NULL, NULL);
}
