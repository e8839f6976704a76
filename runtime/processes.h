/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes - what runs in a container, without a ps in it.
 *
 * From cgroup.procs of its control group and the groups below it, and /proc (proc(5)). What they
 * call themselves is their own word: text is cleaned and cut. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_PROCESSES_H
#define WHERRY_RUNTIME_PROCESSES_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct runtime;

enum {
    PROCESSES_MAX = 4096,
    PROCESS_COMMAND_MAX = 4096, /* bytes shown of a command line */
};

struct container_process {
    int64_t pid;        /* on this machine */
    int64_t inside_pid; /* in the container */
    int64_t parent_pid; /* on this machine */
    int64_t uid;        /* on this machine */
    char user[64];      /* by the container's /etc/passwd, else the number */
    char state;         /* "R", "S", "D", "Z", "T"… */
    int64_t threads;
    int64_t cpu_ms; /* processor time */
    int64_t rss_bytes;
    int64_t started_ms; /* wall clock */
    char *command;      /* arguments with blanks between them; "[name]" without */
};

/* The processes of container @id by their pid, at most PROCESSES_MAX. ERR_NOTFOUND when it does not
 * run. Free with container_processes_free(). */
int container_processes(struct runtime *rt, const char *id, struct container_process **ret,
                        size_t *ret_n, struct err *err);

/* Free an array as container_processes() gives it. */
void container_processes_free(struct container_process *processes, size_t n);

/* --- for tests -------------------------------------------------------------------------------- */

/* Fill @p from the texts of /proc/PID/stat and /proc/PID/status. False when they make no sense. */
int processes_parse(const char *stat, const char *status, int64_t boot_ms,
                    struct container_process *p);

#endif
