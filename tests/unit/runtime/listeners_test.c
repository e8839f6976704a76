/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "runtime/listeners.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PORT_FIRST = 20000, /* below what the kernel gives out */
    PORT_LAST = 30000,
};

/* A socket bound to @address on a free port. */
static int bound(int type, const char *address, uint16_t *ret_port)
{
    for (int port = PORT_FIRST + rand() % 5000; port < PORT_LAST; port++) {
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        bool is_six = strchr(address, ':') != NULL;
        int fd = socket(is_six ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(is_six ? inet_pton(AF_INET6, address, &six.sin6_addr)
                                : inet_pton(AF_INET, address, &four.sin_addr),
                         1);
        int rv = is_six ? bind(fd, (const struct sockaddr *)&six, sizeof(six))
                        : bind(fd, (const struct sockaddr *)&four, sizeof(four));
        if (rv == 0 && (type != SOCK_STREAM || listen(fd, 4) == 0)) {
            *ret_port = (uint16_t)port;
            return fd;
        }
        close(fd);
    }
    fail_msg("no free port");
    return -1;
}

static bool is_held(uint8_t protocol, uint16_t port, char holder[LISTENERS_HOLDER])
{
    struct listener *list;
    struct err err;
    size_t n;
    assert_int_equal(listeners_read(&list, &n, &err), 0);
    const struct listener *found = listeners_find(list, n, protocol, port, false);
    if (found && holder)
        listener_holder(found, holder);
    bool held = found != NULL;
    free(list);
    return held;
}

static void who_listens_holds_a_port(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        char holder[LISTENERS_HOLDER], pid[32];
        uint16_t port;
        int fd = bound(SOCK_STREAM, addresses[i], &port);
        assert_true(is_held(IPPROTO_TCP, port, holder));
        assert_false(is_held(IPPROTO_UDP, port, NULL));
        snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
        assert_non_null(strstr(holder, "listeners_test"));
        assert_non_null(strstr(holder, pid));
        close(fd);
        assert_false(is_held(IPPROTO_TCP, port, NULL));
    }
}

static void one_of_ipv6_alone_holds_none(void **state)
{
    (void)state;
    uint16_t port;
    int fd = bound(SOCK_STREAM, "::1", &port);
    assert_false(is_held(IPPROTO_TCP, port, NULL));
    close(fd);
}

static void a_udp_port_is_held_but_for_those_given_out(void **state)
{
    (void)state;
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t len = sizeof(any);
    uint16_t port;
    int fd = bound(SOCK_DGRAM, "0.0.0.0", &port);
    assert_true(is_held(IPPROTO_UDP, port, NULL));
    assert_false(is_held(IPPROTO_TCP, port, NULL));
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
    assert_false(is_held(IPPROTO_UDP, ntohs(any.sin_port), NULL));
    close(fd);
}

static void a_connection_holds_none(void **state)
{
    (void)state;
    struct sockaddr_in there = {.sin_family = AF_INET}, here;
    socklen_t len = sizeof(here);
    uint16_t port;
    int server = bound(SOCK_STREAM, "127.0.0.1", &port);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    there.sin_port = htons(port);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client, (const struct sockaddr *)&there, sizeof(there)), 0);
    assert_int_equal(getsockname(client, (struct sockaddr *)&here, &len), 0);
    assert_false(is_held(IPPROTO_TCP, ntohs(here.sin_port), NULL));
    close(client);
    close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_listens_holds_a_port),
        cmocka_unit_test(one_of_ipv6_alone_holds_none),
        cmocka_unit_test(a_udp_port_is_held_but_for_those_given_out),
        cmocka_unit_test(a_connection_holds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
