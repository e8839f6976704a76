/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process - start a program and wait for it, from a process with many threads.
 *
 * The child gets /dev/null as stdin, default signals, no descriptor but those named, and a session
 * of its own.
 */
#ifndef WHERRY_RUNTIME_PROCESS_H
#define WHERRY_RUNTIME_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

enum {
    PROCESS_FDS_MAX = 16,
};

struct process {
    const char *const *argv; /* argv[0] is an absolute path */
    int out_fd;              /* its stdout and stderr, -1: /dev/null */
    const char *hide;        /* mount point it must not see, NULL: none */
    const int *keep_fds;     /* become descriptors 3, 4, … of the program */
    size_t keep_n;
    const int *join_fds; /* cgroup.procs files, open for writing, whose groups it enters */
    size_t join_n;
};

/* Start @p. With @detached it is no child of this process (nobody waits for it) and 0 is returned;
 * else its pid. A negative code when it could not be started. */
pid_t process_start(const struct process *p, int detached, struct err *err);

/* Start @argv, append at most @max bytes of what it prints to @out and wait for its end, at most
 * @timeout_ms; ERR_TIMEOUT kills it. *@ret_code is 0..255, 128 + signal. */
int process_run(const char *const *argv, const char *hide, int64_t timeout_ms, size_t max,
                struct buf *out, int *ret_code, struct err *err);

#endif
