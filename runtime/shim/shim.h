/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim - what the files of wherry-shim share. It stands on libc alone, has one thread, allocates
 * nothing and prints nothing; what goes wrong for good goes up the status pipe.
 */
#ifndef WHERRY_RUNTIME_SHIM_SHIM_H
#define WHERRY_RUNTIME_SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SHIM_LINE_MAX = 16384, /* longer lines are written in parts, all but the last tagged P */
    SHIM_PATH_MAX = 4096,
};

struct shim {
    char **argv; /* by enum shim_arg */
    long long run;
    int state_fd; /* folders */
    int exits_fd;
    int data_fd;
    int signal_fd; /* SIGCHLD */
    int status_fd; /* -1 once the result was written */
    pid_t oci;     /* the OCI runtime, 0 once it ended */
    pid_t pid;     /* the container's first process, 0 before */
};

/* One of the container's two output streams. */
struct shim_stream {
    const char *name; /* "stdout" */
    int fd;           /* read end, non-blocking; -1 after its end */
    size_t len;       /* bytes of an unfinished line */
    char line[SHIM_LINE_MAX];
};

/* The time in milliseconds: wall clock, and since boot. */
int64_t shim_wall_ms(void);
int64_t shim_boot_ms(void);

/* launch.c: start the OCI runtime in a mount namespace of its own, with the container's root
 * attached there. Writes shim->oci. Returns 0 or -errno. */
int shim_launch(struct shim *shim, int stdout_fd, int stderr_fd);

/* log.c: open the log of this run below folder @data_fd. Never fails: what cannot be written is
 * counted, and marked once writing works again. */
void shim_log_open(int data_fd, long long run, int64_t max_bytes);

/* Read what @stream has, at most one line's worth, and log it. False when there was nothing or it
 * has ended. */
bool shim_stream_read(struct shim_stream *stream);

/* Log the unfinished line and close the stream. */
void shim_stream_end(struct shim_stream *stream);

/* Write out the lines collected. */
void shim_log_flush(void);

/* record.c: take the lock that says this shim lives. False when another holds it. */
bool shim_lock(const struct shim *shim);

/* Say on the status pipe that the start failed in the shim itself, or with "" in the OCI runtime.
 */
void shim_say_failed(struct shim *shim, const char *what, int errnum);

/* Record and say that shim->pid runs. */
void shim_say_started(struct shim *shim);

/* Write the exit file and touch the container's name in the exits folder. */
void shim_record_exit(const struct shim *shim, int code, bool oom_killed);

/* Keep a copy of the exit file in the durable folder. */
void shim_keep_exit(const struct shim *shim);

/* The number in @name below folder @dir_fd, or -1. */
long long shim_read_number(int dir_fd, const char *name);

/* True when the kernel killed a process of the container for want of memory. */
bool shim_oom_killed(const char *oom_file);

#endif
