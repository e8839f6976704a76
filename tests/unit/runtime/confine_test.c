/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What wherry-image cannot do any more once it is confined. Each case runs in a process of its own
 * and ends with status 0 when all was refused.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/fetch/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/wherry-confine.XXXXXX";

/* Say which expectation failed; the number of the line is the result. */
#define EXPECT(expr)                                                                               \
    do {                                                                                           \
        if (!(expr)) {                                                                             \
            fprintf(stderr, "confine_test: line %d: %s (errno %d)\n", __LINE__, #expr, errno);     \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Run @probe in a confined process; its status. */
static int confined(bool network, uint64_t capabilities, void (*probe)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct confine c = {.folder = folder,
                            .network = network,
                            .capabilities = capabilities,
                            .max_file_bytes = 1 << 20};
        struct err err = {0};
        if (confine_enter(&c, &err) < 0) {
            fprintf(stderr, "confine_test: %s\n", err.msg);
            _exit(2);
        }
        probe();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void probe_calls(void)
{
    char *const argv[] = {NULL};
    EXPECT(mount("x", "/", "tmpfs", 0, NULL) < 0 && errno == EPERM);
    EXPECT(umount2("/", MNT_DETACH) < 0 && errno == EPERM);
    EXPECT(unshare(CLONE_NEWUSER) < 0 && errno == EPERM);
    EXPECT(chroot("/") < 0 && errno == EPERM);
    EXPECT(execve("/bin/sh", argv, argv) < 0 && errno == EPERM);
    EXPECT(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM);
    EXPECT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
    EXPECT(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
    EXPECT(setuid(1000) < 0); /* no CAP_SETUID */
}

static void probe_no_network(void)
{
    probe_calls();
    EXPECT(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
}

static void probe_files(void)
{
    DIR *dir = opendir("/");
    int n = 0;
    EXPECT(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    EXPECT(n == 1); /* "here", which the test put into the folder */
    EXPECT(access("/here", R_OK) == 0);
    EXPECT(access("/../../etc/passwd", F_OK) < 0 && errno == ENOENT);
    EXPECT(getpid() == 1);
    EXPECT(fcntl(100, F_GETFD) < 0); /* the test's own descriptor */
    int fd = open("/new", O_CREAT | O_WRONLY, 0600);
    EXPECT(fd >= 0);
    EXPECT(pwrite(fd, "x", 1, 2 << 20) < 0 && errno == EFBIG);
    EXPECT(unlink("/new") == 0);
}

static void probe_unpack(void)
{
    int fd = open("/file", O_CREAT | O_WRONLY, 0600);
    EXPECT(fd >= 0 && fchown(fd, 1000, 1000) == 0 && fchmod(fd, 04755) == 0);
    EXPECT(mknod("/device", S_IFCHR | 0600, 0) == 0);
    EXPECT(unlink("/file") == 0 && unlink("/device") == 0);
    probe_no_network();
}

static void probe_pull(void)
{
    probe_calls();
    EXPECT(socket(AF_INET, SOCK_STREAM, 0) >= 0);
    EXPECT(access("/ingest/here", R_OK) == 0);
    EXPECT(access("/etc/passwd", F_OK) < 0);
    EXPECT(open("/new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
    EXPECT(open("/etc/new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
    int fd = open("/ingest/new", O_CREAT | O_WRONLY, 0600);
    EXPECT(fd >= 0);
    EXPECT(fchown(fd, 1000, 1000) < 0 && errno == EPERM);
    EXPECT(mknod("/ingest/device", S_IFCHR | 0600, 0x103) < 0);
    EXPECT(unlink("/ingest/new") == 0);
}

static void dangerous_calls_are_refused(void **state)
{
    (void)state;
    assert_int_equal(confined(false, 0, probe_no_network), 0);
}

static void only_the_folder_is_seen(void **state)
{
    (void)state;
    assert_true(dup2(STDERR_FILENO, 100) == 100);
    assert_int_equal(confined(false, 0, probe_files), 0);
    close(100);
}

static void unpacking_keeps_what_it_needs(void **state)
{
    (void)state;
    uint64_t keep = 1ULL << CAP_CHOWN | 1ULL << CAP_FSETID | 1ULL << CAP_FOWNER | 1ULL << CAP_MKNOD;
    assert_int_equal(confined(false, keep, probe_unpack), 0);
}

static void pulling_keeps_the_network_only(void **state)
{
    (void)state;
    assert_int_equal(confined(true, 0, probe_pull), 0);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    cleanup_free char *here = str_printf("%s/here", folder);
    return file_write_fast(here, "x", 1, 0600, NULL);
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dangerous_calls_are_refused),
        cmocka_unit_test(only_the_folder_is_seen),
        cmocka_unit_test(unpacking_keeps_what_it_needs),
        cmocka_unit_test(pulling_keeps_the_network_only),
    };
    if (geteuid() != 0) {
        puts("confine_test: skipped: namespaces take root");
        return 0;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
