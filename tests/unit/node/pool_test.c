/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pool.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct in_addr ip(const char *text)
{
    struct in_addr address;
    assert_int_equal(inet_pton(AF_INET, text, &address), 1);
    return address;
}

static void contains_what_the_prefix_covers(void **state)
{
    (void)state;
    assert_true(pool_contains("10.192.0.0/10", ip("10.192.0.1")));
    assert_true(pool_contains("10.192.0.0/10", ip("10.255.255.255")));
    assert_false(pool_contains("10.192.0.0/10", ip("10.191.255.255")));
    assert_false(pool_contains("10.192.0.0/10", ip("11.0.0.0")));
    assert_true(pool_contains("172.16.0.0/18", ip("172.16.63.255")));
    assert_false(pool_contains("172.16.0.0/18", ip("172.16.64.0")));
}

static void refuses_what_is_no_range(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "/10",
        "10.192.0.0",
        "10.192.0.0/",
        "10.192.0.0/x",
        "10.192.0.0/10x",
        "10.192.0.0/10 ",
        " 10.192.0.0/10",
        "10.192.0.0/+10",
        "10.192.0.0/-1",
        "10.192.0.0/010",
        "10.192.0.0/7",
        "10.192.0.0/19",
        "10.192.0.0/4294967306",
        "10.192.0.1/10", /* bits behind the prefix */
        "10.192.0/10",
        "10.192.0.0.0.0.0.0.0/10",
        "fd00::/10",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        assert_int_equal(pool_check(bad[i], &err), ERR_INVALID);
        assert_true(err.msg[0]);
        assert_false(pool_contains(bad[i], ip("10.192.0.1")));
    }
}

static void refuses_the_networks_of_this_machine(void **state)
{
    (void)state;
    struct err err = {0};
    /* Loopback is everywhere. */
    assert_int_equal(pool_check("127.0.0.0/8", &err), ERR_CONFLICT);
    assert_int_equal(pool_check("127.0.0.0/16", &err), ERR_CONFLICT);
    assert_int_equal(pool_check("198.18.0.0/15", &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contains_what_the_prefix_covers),
        cmocka_unit_test(refuses_what_is_no_range),
        cmocka_unit_test(refuses_the_networks_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
