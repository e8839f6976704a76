/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wherry-shim - keeps one run of one container: its stdio, its log, its exit status.
 *
 *     main → shim_launch → [OCI runtime ends] → on_oci_end → RUNNING → [first process ends]
 *                                │                                          │
 *                                └── finish(127), "F …" on the pipe         └── drain, finish
 *
 * The daemon starts it, reads one line from the status pipe and may then die at any moment: the
 * shim is in a session and a cgroup of its own and never looks back (protocol.h).
 */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    /* What a first process leaves in its pipes is read before its end is told. Its namespace has
     * died with it, so nobody writes any more; should somebody do, this bounds the wait. */
    DRAIN_MAX_MS = 1000,
};

static struct shim shim;
static struct shim_stream streams[2]; /* stdout, stderr */

_Noreturn static void give_up(const char *what, int errnum)
{
    shim_say_failed(&shim, what, errnum);
    _exit(SHIM_EXIT_START_FAILED);
}

static int open_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        give_up(path, errno);
    return fd;
}

static void set_up(char **argv)
{
    shim.argv = argv;
    shim.run = strtoll(argv[SHIM_ARG_RUN], NULL, 10);
    shim.status_fd = SHIM_FD_STATUS;
    fcntl(SHIM_FD_STATUS, F_SETFD, FD_CLOEXEC);
    fcntl(SHIM_FD_ROOTFS, F_SETFD, FD_CLOEXEC);
    shim.state_fd = open_dir(argv[SHIM_ARG_STATE_DIR]);
    shim.data_fd = open_dir(argv[SHIM_ARG_DATA_DIR]);
    shim.exits_fd = open_dir(argv[SHIM_ARG_EXITS_DIR]);
    if (!shim_lock(&shim))
        give_up("a shim of this container still runs", EBUSY);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    shim.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (shim.signal_fd < 0)
        give_up("signalfd", errno);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        give_up("become a subreaper", errno);
    shim_log_open(shim.data_fd, shim.run, strtoll(argv[SHIM_ARG_LOG_MAX], NULL, 10));
}

static void start(void)
{
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        give_up("make pipes", errno);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    int rv = shim_launch(&shim, out[1], err[1]);
    if (rv < 0)
        give_up("fork", -rv);
    close(out[1]);
    close(err[1]);
    close(SHIM_FD_ROOTFS);
    streams[0].name = "stdout";
    streams[0].fd = out[0];
    streams[1].name = "stderr";
    streams[1].fd = err[0];
}

static void drain(void)
{
    int64_t deadline = shim_boot_ms() + DRAIN_MAX_MS;
    for (int i = 0; i < 2; i++) {
        while (shim_stream_read(&streams[i]) && shim_boot_ms() < deadline)
            ;
        shim_stream_end(&streams[i]);
    }
}

_Noreturn static void finish(int code)
{
    drain();
    shim_record_exit(&shim, code, code != 0 && shim_oom_killed(shim.argv[SHIM_ARG_OOM_FILE]));
    /* Only now may the pid be another's. */
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    shim_keep_exit(&shim);
    _exit(0);
}

static void on_oci_end(int status)
{
    shim.oci = 0;
    long long pid = status == 0 ? shim_read_number(shim.state_fd, SHIM_FILE_PID) : -1;
    if (pid > 0) {
        shim.pid = (pid_t)pid;
        shim_say_started(&shim);
        return;
    }
    /* The exit first: who reads the failure may look at the state at once. */
    drain();
    shim_record_exit(&shim, SHIM_EXIT_START_FAILED, false);
    shim_say_failed(&shim, "", 0);
    shim_keep_exit(&shim);
    _exit(0);
}

/* Reap everything but the container's first process, whose end ends the shim. */
static void reap(void)
{
    int status;
    if (shim.oci && waitpid(shim.oci, &status, WNOHANG) == shim.oci)
        on_oci_end(status);
    if (shim.oci)
        return;
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            break;
        if (info.si_pid == shim.pid)
            finish(info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status);
        waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void loop(void)
{
    int64_t deadline = shim_boot_ms() + SHIM_START_MAX_MS;
    for (;;) {
        struct pollfd fds[3] = {
            {.fd = shim.signal_fd, .events = POLLIN},
            {.fd = streams[0].fd, .events = POLLIN},
            {.fd = streams[1].fd, .events = POLLIN},
        };
        int n = poll(fds, 3, shim.oci ? 1000 : -1);
        if (n < 0 && errno != EINTR)
            abort();
        if (shim.oci && shim_boot_ms() > deadline)
            kill(shim.oci, SIGKILL);
        for (int i = 0; i < 2 && n > 0; i++) {
            if (fds[i + 1].revents)
                shim_stream_read(&streams[i]);
        }
        if (n > 0 && fds[0].revents) {
            struct signalfd_siginfo info;
            while (read(shim.signal_fd, &info, sizeof(info)) > 0)
                ;
            reap();
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], SHIM_PROBE) == 0)
        return 0;
    if (argc <= SHIM_ARG_OCI)
        return 2;
    set_up(argv);
    start();
    loop();
}
