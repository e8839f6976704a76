/* SPDX-License-Identifier: Apache-2.0 */
/* The names users give: STACK, STACK.SERVICE, STACK.SERVICE.NUMBER. */
#include "node/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void splits_into_its_parts(void **state)
{
    (void)state;
    struct object_name name;
    struct err err;
    assert_int_equal(object_name_parse("app", &name, &err), 0);
    assert_string_equal(name.stack, "app");
    assert_null(name.service);
    assert_int_equal(name.slot, 0);
    object_name_release(&name);
    assert_int_equal(object_name_parse("app.web_2-x", &name, &err), 0);
    assert_string_equal(name.service, "web_2-x");
    object_name_release(&name);
    assert_int_equal(object_name_parse("app.web.12", &name, &err), 0);
    assert_string_equal(name.stack, "app");
    assert_string_equal(name.service, "web");
    assert_int_equal(name.slot, 12);
    object_name_release(&name);
}

static void refuses_everything_else(void **state)
{
    (void)state;
    char longest[300];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    const char *const bad[] = {
        NULL,         "",           ".",          "..",          "app.",
        ".web",       "app..1",     "app.web.",   "app.web.0",   "app.web.-1",
        "app.web.+1", "app.web. 1", "app.web.1x", "app.web.1.2", "app.web.99999999999999999999999",
        "App.web",    "app.web/..", "../etc",     "app\n",       "%s%n",
        "-app",       longest,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct object_name name = {0};
        struct err err = {0};
        assert_int_equal(object_name_parse(bad[i], &name, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, "STACK"));
        assert_null(name.stack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_into_its_parts),
        cmocka_unit_test(refuses_everything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
