/* SPDX-License-Identifier: Apache-2.0 */
/* Questions before what costs: on a terminal, and where there is nobody to ask. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/confirm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WARNING "One thing.\nAnother \x1b[31mthing.\n"

/* What confirm() returns in a process whose input is @answer, on a terminal, or nothing (NULL). Its
 * words, standard error, are appended to @said. */
static int ask(const char *answer, struct buf *said)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    const char *path = answer ? ptsname(terminal) : "/dev/null";
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err;
        setsid();
        int fd = open(path, O_RDWR);
        int other = open(ptsname(terminal), O_RDWR);
        dup2(fd, STDIN_FILENO);
        dup2(other, STDERR_FILENO);
        int rv = confirm(WARNING, "remove n3", &err);
        if (rv < 0)
            dprintf(other, "<%s>", err.msg);
        _exit(rv == 0 ? 0 : rv == ERR_CANCELED ? 1 : 2);
    }
    if (answer)
        assert_int_equal(write(terminal, answer, strlen(answer)), strlen(answer));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    char part[512];
    for (ssize_t n; (n = read(terminal, part, sizeof(part))) > 0;) /* until the other end is shut */
        buf_append(said, part, (size_t)n);
    close(terminal);
    return WEXITSTATUS(status);
}

static void yes_and_no(void **state)
{
    static const struct {
        const char *answer;
        int status;
    } cases[] = {{"y\n", 0},
                 {"YES\n", 0},
                 {"n\n", 1},
                 {"\n", 1},
                 {"yo\n", 1},
                 {"\x04", 1},
                 {"yes yes yes yes yes\n", 1}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_buf struct buf said = BUF_INIT;
        assert_int_equal(ask(cases[i].answer, &said), cases[i].status);
        assert_non_null(strstr(said.data, "One thing."));
        assert_non_null(strstr(said.data, "Another ?[31mthing."));
        assert_non_null(strstr(said.data, "Remove n3 all the same? [y/N]"));
    }
}

static void nobody_to_ask(void **state)
{
    cleanup_buf struct buf said = BUF_INIT;
    (void)state;
    assert_int_equal(ask(NULL, &said), 1);
    assert_non_null(strstr(said.data, "One thing."));
    assert_non_null(strstr(said.data, "<nothing was done: to remove n3 all the same, add --yes>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yes_and_no),
        cmocka_unit_test(nobody_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
