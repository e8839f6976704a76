/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main - wherry-shim: starts one run of a container and outlives the daemon with it.
 *
 * A child subreaper, so that the container's first process becomes its child once the OCI runtime
 * has ended; that is how it learns its exit status.
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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

_Noreturn void shim_give_up(struct shim *s, const char *what, int errnum)
{
    shim_say_failed(s, what, errnum);
    _exit(SHIM_EXIT_START_FAILED);
}

static int open_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        shim_give_up(&shim, path, errno);
    return fd;
}

/* --- what a run and an exec begin with ----------------------------------------------------------
 */

static void set_up_signals(struct shim *s)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        shim_give_up(s, "signalfd", errno);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        shim_give_up(s, "become a subreaper", errno);
}

/* Its end of a pipe for stream @i; a terminal's output does not come through one, but what the OCI
 * runtime itself says does. */
static int make_output(struct shim *s, int i)
{
    int ends[2];
    if (i == 0 && s->tty)
        return STDOUT_FILENO;
    if (pipe2(ends, O_CLOEXEC) < 0)
        shim_give_up(s, "make a pipe", errno);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    s->streams[i].fd = ends[0];
    return ends[1];
}

static int make_input(struct shim *s)
{
    int ends[2];
    s->input.fd = -1;
    if (!s->has_input || s->tty)
        return STDIN_FILENO;
    if (pipe2(ends, O_CLOEXEC) < 0)
        shim_give_up(s, "make a pipe", errno);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    s->input.fd = ends[1];
    s->input.owned = true;
    return ends[0];
}

static void start(struct shim *s)
{
    int in = make_input(s), out = make_output(s, 0), err = make_output(s, 1);
    int rv = s->tty ? shim_console_open(s) : 0;
    if (rv < 0)
        shim_give_up(s, "listen for the terminal", -rv);
    if ((rv = shim_launch(s, in, out, err)) < 0)
        shim_give_up(s, "fork", -rv);
    const int given[] = {in, out, err};
    for (int i = 0; i < 3; i++)
        if (given[i] > STDERR_FILENO)
            close(given[i]);
    if (!s->exec)
        close(SHIM_FD_ROOTFS);
}

void shim_begin(struct shim *s, const char *flags, size_t ring_bytes)
{
    s->status_fd = SHIM_FD_STATUS;
    s->tty = strchr(flags, SHIM_FLAG_TTY) != NULL;
    s->has_input = strchr(flags, SHIM_FLAG_INPUT) != NULL;
    s->logs = !s->exec && !strchr(flags, SHIM_FLAG_NO_LOG);
    s->console_fd = s->tty_fd = s->tty_hold = -1;
    s->streams[0] = (struct shim_stream){.name = "stdout", .number = 1, .fd = -1};
    s->streams[1] = (struct shim_stream){.name = "stderr", .number = 2, .fd = -1};
    if (!shim_lock(s))
        shim_give_up(s, "a shim of this container still runs", EBUSY);
    set_up_signals(s);
    s->ring.size = ring_bytes;
    s->ring.memory =
        mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->ring.memory == MAP_FAILED)
        shim_give_up(s, "take memory", errno);
    if (fchdir(s->state_fd) < 0)
        shim_give_up(s, "enter the state folder", errno);
    int rv = shim_clients_listen(s);
    if (rv < 0)
        shim_give_up(s, "listen for those who attach", -rv);
    start(s);
}

/* --- a run --------------------------------------------------------------------------------------
 */

static void drain(void)
{
    int64_t deadline = shim_boot_ms() + DRAIN_MAX_MS;
    for (int i = 0; i < 2; i++) {
        while (shim_stream_read(&shim, &shim.streams[i]) > 0 && shim_boot_ms() < deadline)
            shim_clients_pump(&shim);
        shim_stream_end(&shim, &shim.streams[i]);
    }
}

_Noreturn static void finish(int code)
{
    drain();
    long long kills = shim_oom_kills(shim.argv[SHIM_ARG_OOM_FILE]);
    shim_record_exit(&shim, code, kills);
    shim.ended = true;
    shim.code = code;
    shim_clients_pump(&shim);
    unlink(SHIM_SOCKET);
    /* Only now may the pid be another's. */
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    shim_keep_exit(&shim);
    _exit(0);
}

void shim_on_end(struct shim *s, int code)
{
    if (s->exec) {
        s->ended = true;
        s->code = code;
    } else {
        finish(code);
    }
}

void shim_on_oci_end(struct shim *s, int status)
{
    /* What it sent before it ended is there. */
    if (s->console_fd >= 0)
        shim_console_accept(s);
    shim_console_close(s);
    long long pid = status == 0 ? shim_read_number(s->state_fd, SHIM_FILE_PID) : -1;
    if (pid > 0) {
        s->pid = (pid_t)pid;
        shim_say_started(s);
        return;
    }
    if (s->exec)
        shim_give_up(s, "", 0);
    /* The exit first: who reads the failure may look at the state at once. */
    drain();
    shim_record_exit(s, SHIM_EXIT_START_FAILED, 0);
    shim_say_failed(s, "", 0);
    unlink(SHIM_SOCKET);
    shim_keep_exit(s);
    _exit(0);
}

static void run(char **argv)
{
    shim.argv = argv;
    shim.oci_argv = &argv[SHIM_ARG_OCI];
    shim.hide = argv[SHIM_ARG_HIDE];
    shim.join = argv[SHIM_ARG_JOIN];
    shim.run = strtoll(argv[SHIM_ARG_RUN], NULL, 10);
    shim.status_fd = SHIM_FD_STATUS;
    fcntl(SHIM_FD_STATUS, F_SETFD, FD_CLOEXEC);
    fcntl(SHIM_FD_ROOTFS, F_SETFD, FD_CLOEXEC);
    shim.state_fd = open_dir(argv[SHIM_ARG_STATE_DIR]);
    shim.data_fd = open_dir(argv[SHIM_ARG_DATA_DIR]);
    shim.exits_fd = open_dir(argv[SHIM_ARG_EXITS_DIR]);
    long long deadline = shim_read_number(shim.state_fd, SHIM_FILE_DEADLINE);
    shim.deadline_ms = deadline > 0 ? deadline : 0;
    if (shim.deadline_ms > 0 && shim_boot_ms() >= shim.deadline_ms)
        shim_give_up(&shim, "its deadline is over", 0);
    shim_log_open(shim.data_fd, shim.run, argv[SHIM_ARG_LOG]);
    shim_begin(&shim, argv[SHIM_ARG_LOG], SHIM_RING_BYTES);
    shim_loop(&shim);
}

static bool is_mode(int argc, char **argv, const char *mode)
{
    /* No run is called so: a run's second argument is a number. */
    return argc > 3 && strcmp(argv[1], mode) == 0 && strcmp(argv[2], "--") == 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], SHIM_PROBE) == 0)
        return 0;
    if (is_mode(argc, argv, SHIM_MODE_INIT))
        return shim_init_main(argv + 3);
    if (is_mode(argc, argv, SHIM_MODE_EXEC) && argc > SHIM_EXEC_OCI)
        return shim_exec_main(&shim, argv);
    if (argc <= SHIM_ARG_OCI)
        return 2;
    run(argv);
}
