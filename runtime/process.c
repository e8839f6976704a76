/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* From here to exec the child calls nothing but the kernel: other threads of the parent may have
 * held any lock when it was made. */

static void reset_signals(void)
{
    /* By system call: the C library keeps 32 and 33 for itself, yet may have inherited them
     * ignored. All zero is the kernel's struct for SIG_DFL. */
    static const unsigned long action[4];
    for (int sig = 1; sig < NSIG; sig++)
        syscall(SYS_rt_sigaction, sig, action, NULL, NSIG / 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Bring @fds to 3, 4, … in order, and close the rest. They are moved out of the way first. */
static int place_fds(const struct process *p)
{
    int high[PROCESS_FDS_MAX];
    for (size_t i = 0; i < p->keep_n; i++) {
        high[i] = fcntl(p->keep_fds[i], F_DUPFD, 64);
        if (high[i] < 0)
            return -errno;
    }
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return -errno;
    int out = fcntl(p->out_fd >= 0 ? p->out_fd : null_fd, F_DUPFD, 64);
    if (dup2(null_fd, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        return -errno;
    for (size_t i = 0; i < p->keep_n; i++) {
        if (dup2(high[i], 3 + (int)i) < 0)
            return -errno;
    }
    if (syscall(SYS_close_range, 3 + (unsigned)p->keep_n, ~0U, 0) < 0)
        return -errno;
    return 0;
}

static int hide_mount(const char *path)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return -errno;
    return umount2(path, MNT_DETACH) < 0 && errno != EINVAL ? -errno : 0;
}

_Noreturn static void child(const struct process *p, int report_fd, int detached)
{
    int rv = 0;
    reset_signals();
    setsid();
    for (size_t i = 0; i < p->join_n && rv == 0; i++)
        rv = write(p->join_fds[i], "0", 1) < 0 ? -errno : 0;
    if (rv == 0 && detached) {
        pid_t pid = fork();
        if (pid > 0)
            _exit(0);
        rv = pid < 0 ? -errno : 0;
        setsid();
    }
    if (rv == 0 && p->hide)
        rv = hide_mount(p->hide);
    /* Report a failed exec through a descriptor that a successful one closes. */
    int report = fcntl(report_fd, F_DUPFD_CLOEXEC, 64);
    struct process q = *p;
    int keep[PROCESS_FDS_MAX];
    for (size_t i = 0; i < p->keep_n; i++)
        keep[i] = p->keep_fds[i];
    keep[q.keep_n++] = report;
    q.keep_fds = keep;
    if (rv == 0)
        rv = place_fds(&q);
    if (rv == 0) {
        report = 3 + (int)p->keep_n;
        fcntl(report, F_SETFD, FD_CLOEXEC);
        execv(p->argv[0], (char *const *)(uintptr_t)p->argv);
        rv = -errno;
    }
    ssize_t n = write(report, &rv, sizeof(rv));
    _exit(n == sizeof(rv) ? 127 : 126);
}

pid_t process_start(const struct process *p, int detached, struct err *err)
{
    check(p->keep_n < PROCESS_FDS_MAX);
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_errno(err, errno, "start %s: make a pipe", p->argv[0]);
    cleanup_close int report = pipes[0];
    /* No handler of this process may run in the child before it has put them off. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid == 0)
        child(p, pipes[1], detached);
    int fork_errno = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(pipes[1]);
    if (pid < 0)
        return err_errno(err, fork_errno, "start %s: fork", p->argv[0]);
    int failed = 0;
    ssize_t n;
    while ((n = read(report, &failed, sizeof(failed))) < 0 && errno == EINTR)
        ;
    if (detached || n > 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (n > 0)
        return err_errno(err, -failed, "start %s", p->argv[0]);
    return detached ? 0 : pid;
}

/* Append what is there, throwing away what exceeds @max. False at the end. */
static bool take_output(int fd, size_t max, struct buf *out)
{
    char piece[4096];
    ssize_t n = read(fd, piece, sizeof(piece));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    size_t room = out->len < max ? max - out->len : 0;
    buf_append(out, piece, (size_t)n < room ? (size_t)n : room);
    return true;
}

static int wait_end(pid_t pid, int fd, int64_t timeout_ms, size_t max, struct buf *out,
                    int *ret_status)
{
    cleanup_close int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int64_t deadline = clock_boot_ms() + timeout_ms;
    struct pollfd fds[2] = {{.fd = pid_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    for (;;) {
        int64_t left = deadline - clock_boot_ms();
        if (pid_fd < 0 || left <= 0) {
            kill(pid, SIGKILL);
            while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
                ;
            return ERR_TIMEOUT;
        }
        if (poll(fds, 2, left < 1000 ? (int)left : 1000) < 0)
            continue;
        if (fds[1].revents && !take_output(fd, max, out))
            fds[1].fd = -1;
        if (fds[0].revents && waitpid(pid, ret_status, WNOHANG) == pid)
            break;
    }
    /* What it left in the pipe; somebody else may hold the other end for ever. */
    for (int i = 0; i < 32 && fds[1].fd >= 0; i++) {
        struct pollfd rest = {.fd = fd, .events = POLLIN};
        if (poll(&rest, 1, 0) <= 0 || !take_output(fd, max, out))
            break;
    }
    return 0;
}

int process_run(const char *const *argv, const char *hide, int64_t timeout_ms, size_t max,
                struct buf *out, int *ret_code, struct err *err)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_errno(err, errno, "start %s: make a pipe", argv[0]);
    cleanup_close int read_fd = pipes[0];
    fcntl(read_fd, F_SETFL, O_NONBLOCK);
    struct process p = {.argv = argv, .out_fd = pipes[1], .hide = hide};
    pid_t pid = process_start(&p, 0, err);
    close(pipes[1]);
    if (pid < 0)
        return pid;
    int status = 0;
    size_t before = out->len;
    if (wait_end(pid, read_fd, timeout_ms, before + max, out, &status) < 0)
        return err_set(err, ERR_TIMEOUT, "%s did not end within %lld ms", argv[0],
                       (long long)timeout_ms);
    *ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}
