/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/netip.h"

#include <string.h>

static struct in6_addr ip(const char *text)
{
    struct in6_addr a;
    if (!netip_parse(text, &a))
        fail_msg("%s is no address", text);
    return a;
}

static void both_families_come_and_go_as_text(void **state)
{
    (void)state;
    static const char *const same[] = {"10.192.16.5", "255.255.255.255", "fd00:28::9", "::1"};
    static const char *const none[] = {"",          "::",  "::ffff:10.0.0.1", "10.1",
                                       "1.2.3.4.5", "g::", "10.0.0.1 ",       "fd00::1%eth0"};
    char text[INET6_ADDRSTRLEN];
    struct in6_addr a;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        a = ip(same[i]);
        assert_string_equal(netip_text(&a, text), same[i]);
        assert_int_equal(netip_is4(&a), !strchr(same[i], ':'));
    }
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        if (netip_parse(none[i], &a))
            fail_msg("%s was taken", none[i]);
    a = ip("FD00:0028::0:9");
    assert_string_equal(netip_text(&a, text), "fd00:28::9");
}

static void adding_carries(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        uint32_t n;
    } rows[] = {{"10.0.0.255", "10.0.1.0", 1},
                {"fd00::ffff:ffff", "fd00::1:0:0", 1},
                {"fd00::", "fd00::ffff:ffff", UINT32_MAX}};
    char text[INET6_ADDRSTRLEN];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct in6_addr from = ip(rows[i].from), to = netip_plus(&from, rows[i].n);
        assert_string_equal(netip_text(&to, text), rows[i].to);
    }
}

static void prefixes_are_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *last;
        unsigned bits;
    } rows[] = {{"10.192.16.0/20", "10.192.31.255", 20},
                {"10.0.0.7/32", "10.0.0.7", 32},
                {"fd00:28::/64", "fd00:28::ffff:ffff:ffff:ffff", 64},
                {"fd00::1:0/115", "fd00::1:1fff", 115},
                {"fd00::9/128", "fd00::9", 128}};
    char text[INET6_ADDRSTRLEN];
    struct network_prefix p;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(netprefix_parse(rows[i].prefix, &p));
        assert_true(netprefix_valid(&p));
        assert_int_equal(netprefix_bits(&p), rows[i].bits);
        struct in6_addr last = netprefix_last(&p), behind = netip_plus(&last, 1);
        assert_string_equal(netip_text(&last, text), rows[i].last);
        assert_true(netprefix_contains(&p, &p.address) && netprefix_contains(&p, &last));
        assert_false(netprefix_contains(&p, &behind));
    }
    static const char *const none[] = {"10.0.0.0",   "10.0.0.0/33",        "10.0.0.0/",
                                       "fd00::/129", "fd00::/-1",          "fd00::/6x",
                                       "/64",        "::ffff:10.0.0.0/100"};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        if (netprefix_parse(none[i], &p))
            fail_msg("%s was taken", none[i]);
    assert_true(netprefix_parse("fd00::1/64", &p));
    assert_false(netprefix_valid(&p));
    assert_true(netprefix_parse("10.0.0.1/20", &p));
    assert_false(netprefix_valid(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_families_come_and_go_as_text),
        cmocka_unit_test(adding_carries),
        cmocka_unit_test(prefixes_are_ranges),
    };
    return cmocka_run_group_tests_name("netip", tests, NULL, NULL);
}
