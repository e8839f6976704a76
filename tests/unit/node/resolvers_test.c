/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked for names of the world: the servers of the asker's service, else the machine's. */
#include "node/resolvers.h"

#include "base/cleanup.h"
#include "node/agent.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(uintptr_t)(text))

static void assert_server(const struct sockaddr_in *server, const char *address)
{
    assert_int_equal(server->sin_family, AF_INET);
    assert_int_equal(ntohs(server->sin_port), 53);
    assert_string_equal(inet_ntoa(server->sin_addr), address);
}

static void the_machine_says_who(void **state)
{
    (void)state;
    struct sockaddr_in out[3];
    char text[] = "# nameserver 1.1.1.1\nnameserver 10.0.0.1\n  nameserver   10.0.0.2\n"
                  "nameserver 169.254.1.1\nnameserver ::1\nsearch x\nnameserver 10.0.0.3\n"
                  "nameserver 10.0.0.4\n";
    assert_int_equal(resolvers_of_text(text, out, 3), 3);
    assert_server(&out[0], "10.0.0.1");
    assert_server(&out[1], "10.0.0.2");
    assert_server(&out[2], "10.0.0.3");
}

static void a_service_says_who(void **state)
{
    (void)state;
    char *servers[] = {S("10.9.0.1"), S("169.254.1.1"), S("10.9.0.2")};
    struct task_address here[] = {{1, S("10.192.0.5"), NULL}, {2, S("10.192.16.5"), NULL}};
    struct task_address other[] = {{1, S("10.192.0.6"), NULL}};
    struct agent plain = {.task = {.addresses = other, .addresses_n = 1}};
    struct agent asking = {.next = &plain,
                           .task = {.addresses = here, .addresses_n = 2},
                           .spec = {.options = {.dns = servers, .dns_n = 3}}};
    struct sockaddr_in out[3];
    struct in_addr asker;
    inet_pton(AF_INET, "10.192.16.5", &asker);
    assert_int_equal(resolvers_of_agents(&asking, asker, out, 3), 2); /* never ourselves */
    assert_server(&out[0], "10.9.0.1");
    assert_server(&out[1], "10.9.0.2");
    assert_int_equal(resolvers_of_agents(&asking, asker, out, 1), 1);
    inet_pton(AF_INET, "10.192.0.6", &asker);
    assert_int_equal(resolvers_of_agents(&asking, asker, out, 3), 0);
    inet_pton(AF_INET, "10.192.0.7", &asker);
    assert_int_equal(resolvers_of_agents(&asking, asker, out, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_says_who),
        cmocka_unit_test(a_service_says_who),
    };
    return cmocka_run_group_tests_name("resolvers", tests, NULL, NULL);
}
