/* SPDX-License-Identifier: Apache-2.0 */
/* A registry as people write it. */
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/registry_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_people_write(void **state)
{
    static const char *const names[][2] = {
        {NULL, "docker.io"},
        {"docker.io", "docker.io"},
        {"https://index.docker.io/v1/", "docker.io"},
        {"registry-1.docker.io", "docker.io"},
        {"https://Registry.Example:5000/", "registry.example:5000"},
        {"http://10.0.0.1:5000", "10.0.0.1:5000"},
        {"localhost", "localhost"},
        {"[::1]:5000", "[::1]:5000"},
        {"r.example/v2/", "r.example"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char *name = NULL;
        struct err err;
        if (registry_name_read(names[i][0], &name, &err) < 0)
            fail_msg("%s: %s", names[i][0], err.msg);
        assert_string_equal(name, names[i][1]);
        free(name);
    }
}

static void what_is_none(void **state)
{
    static const char *const names[] = {"",          "r.example/team", "ftp://r.example",
                                        "r example", "user@r.example", "r.example:x",
                                        "https://"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char *name = NULL;
        struct err err;
        if (registry_name_read(names[i], &name, &err) != ERR_INVALID)
            fail_msg("%s was taken", names[i]);
        assert_non_null(strstr(err.msg, "is no registry"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_people_write),
        cmocka_unit_test(what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
