/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/image_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names_are_normalized(void **state)
{
    static const char *const cases[][2] = {
        {"nginx", "docker.io/library/nginx:latest"},
        {"nginx:1.2", "docker.io/library/nginx:1.2"},
        {"docker.io/nginx", "docker.io/library/nginx:latest"},
        {"index.docker.io/nginx", "docker.io/library/nginx:latest"},
        {"docker.io/library/nginx:1", "docker.io/library/nginx:1"},
        {"team/app", "docker.io/team/app:latest"},
        {"localhost/app", "localhost/app:latest"},
        {"localhost:5000/team/app:v1", "localhost:5000/team/app:v1"},
        {"127.0.0.1:5000/a_b/c__d/e--f.g", "127.0.0.1:5000/a_b/c__d/e--f.g:latest"},
        {"[::1]:5000/app", "[::1]:5000/app:latest"},
        {"quay.io/Team", NULL},
        {"Registry.Example.com/app", "Registry.Example.com/app:latest"},
        {"app@sha256:" HEX64, "docker.io/library/app@sha256:" HEX64},
        {"app:1@sha256:" HEX64, "docker.io/library/app:1@sha256:" HEX64},
        {"", NULL},
        {"UPPER", NULL},
        {"a..b", NULL},
        {"a___b", NULL},
        {"-a", NULL},
        {"a-", NULL},
        {"a/", NULL},
        {"/a", NULL},
        {"a//b", NULL},
        {"a b", NULL},
        {"a:", NULL},
        {"a:-x", NULL},
        {"a:b:c", NULL},
        {"a@sha256:123", NULL},
        {"a@sha512:" HEX64, NULL},
        {"../../etc/passwd", NULL},
        {"host.example/../x", NULL},
        {"host:port/app", NULL},
        {"host:123456/app", NULL},
        {"user@host/app", NULL},
        {"a.-b/app", NULL},
        {HEX64, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_free char *name = NULL;
        struct err err = {0};
        int rv = image_name_parse(cases[i][0], &name, &err);
        if (cases[i][1]) {
            assert_int_equal(rv, 0);
            assert_string_equal(name, cases[i][1]);
            cleanup_free char *again = NULL;
            assert_int_equal(image_name_parse(name, &again, &err), 0);
            assert_string_equal(again, name);
        } else if (rv != ERR_INVALID) {
            fail_msg("'%s' is taken for '%s'", cases[i][0], name);
        } else {
            assert_true(strlen(err.msg) > 20);
        }
    }
}

static void long_names_are_refused(void **state)
{
    char text[1000];
    cleanup_free char *name = NULL;
    struct err err;
    (void)state;
    for (size_t n = 1; n < sizeof(text); n++) {
        memset(text, 'a', n);
        text[n] = '\0';
        int rv = image_name_parse(text, &name, &err);
        if (rv == 0) {
            assert_true(n < 256);
            free(steal(&name));
        }
    }
    assert_int_equal(image_name_parse(text, &name, &err), ERR_INVALID);
}

static void local_registries_are_known(void **state)
{
    (void)state;
    assert_true(image_registry_is_local("localhost"));
    assert_true(image_registry_is_local("localhost:5000"));
    assert_true(image_registry_is_local("127.0.0.1:5000"));
    assert_true(image_registry_is_local("127.1.2.3"));
    assert_true(image_registry_is_local("[::1]:5000"));
    assert_false(image_registry_is_local("127.0.0.1.example.com"));
    assert_false(image_registry_is_local("localhost.example.com:5000"));
    assert_false(image_registry_is_local("10.0.0.1:5000"));
    assert_false(image_registry_is_local("docker.io"));
}

static void digests_are_checked(void **state)
{
    (void)state;
    assert_true(image_digest_valid("sha256:" HEX64));
    assert_false(image_digest_valid("sha256:" HEX64 "0"));
    assert_false(image_digest_valid("sha256:"));
    assert_false(image_digest_valid(HEX64));
    assert_false(image_digest_valid("sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123"
                                    "456789abcdef"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_normalized),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(local_registries_are_known),
        cmocka_unit_test(digests_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
