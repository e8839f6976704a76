/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init - process 1 of a container: starts the program, passes signals on to it, reaps whatever
 * ends, and ends as the program did. Without it the program is process 1 itself, to which the
 * kernel delivers no signal it has no handler for, and which would have to reap.
 */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that are about this process itself. */
static const int own[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};

_Noreturn static void start(char **argv, const sigset_t *before)
{
    /* A process group of its own, in front of the terminal if there is one: ctrl-c is for it. */
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, getpid());
    signal(SIGTTOU, SIG_DFL);
    signal(SIGTTIN, SIG_DFL);
    sigprocmask(SIG_SETMASK, before, NULL);
    execvp(argv[0], argv);
    int code = errno == ENOENT ? 127 : 126;
    const char *why = strerror(errno);
    const char *parts[] = {"wherry-init: ", argv[0], ": ", why, "\n"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        ssize_t n = write(STDERR_FILENO, parts[i], strlen(parts[i]));
        (void)n;
    }
    _exit(code);
}

/* Reap all that ended. The exit code once @child did, else -1. */
static int reap(pid_t child)
{
    int status, code = -1;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == child)
            code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return code;
}

int shim_init_main(char **argv)
{
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&all, own[i]);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGTTIN, SIG_IGN);
    pid_t child = fork();
    if (child < 0)
        return 126;
    if (child == 0)
        start(argv, &before);
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(&all, &info);
        int code = number == SIGCHLD ? reap(child) : -1;
        if (code >= 0)
            return code;
        if (number > 0 && number != SIGCHLD)
            kill(child, number);
    }
}
