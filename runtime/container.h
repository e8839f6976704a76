/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container - one isolated program: its files, its runs, its end.
 *
 * A container is made once and may run many times. Its writable layer lives until it is removed;
 * each run has a number, a process, a shim and a log file of its own.
 *
 *     create → start(1) → RUNNING → EXITED → start(2) → … → remove
 *
 * The shim (runtime/shim/) owns a run's stdio, log and exit status and outlives this process.
 * Whether it lives is told by a lock it holds and the machine's boot id, never by a pid. So
 * container_state() is true after any crash of the daemon: a run that ended meanwhile has its exit
 * file, one whose shim was killed is SHIM_LOST (its processes are killed then, through the cgroup).
 */
#ifndef WHERRY_RUNTIME_CONTAINER_H
#define WHERRY_RUNTIME_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;
struct runtime;

struct container_mount {
    const char *source; /* absolute path on this machine */
    const char *target; /* absolute path in the container */
    bool read_only;
    const char *propagation; /* "rprivate", "rshared", "rslave"...; NULL: rprivate */
    bool fill; /* it is a volume: while that is empty it gets what the image has at @target */
};

/* A file system in memory. */
struct container_tmpfs {
    const char *target;
    int64_t size_bytes;         /* 0: half of the memory */
    int64_t mode;               /* permission bits, 0: 1777 */
    const char *const *options; /* further ones of mount(8); NULL-terminated or NULL */
};

struct container_device {
    const char *source; /* absolute path on this machine; a folder: all devices in it */
    const char *target; /* NULL: as source */
    const char *access; /* of "rwm"; NULL: all */
};

/* A limit of setrlimit(2); -1 is unlimited. */
struct container_ulimit {
    const char *name; /* "nofile" */
    int64_t soft;
    int64_t hard;
};

/* A limit or weight of one block device. */
struct container_io {
    enum container_io_kind {
        CONTAINER_IO_WEIGHT,
        CONTAINER_IO_READ_BPS,
        CONTAINER_IO_WRITE_BPS,
        CONTAINER_IO_READ_IOPS,
        CONTAINER_IO_WRITE_IOPS,
    } kind;
    const char *path; /* of the device on this machine */
    int64_t value;
};

/* What to run. Strings are borrowed during the call. */
struct container_spec {
    const char *id;    /* [a-z0-9-], at most 32 bytes; unique on this machine */
    const char *image; /* name or manifest digest; must be on this machine */
    const char *const
        *entrypoint; /* NULL: the image's; an empty array clears it and the image's cmd */
    const char *const *command; /* NULL: the image's cmd */
    const char *const *env;     /* "K=V", over the image's */
    const char *hostname;
    const char *user;        /* NULL: the image's; "1000:1000", or names of its passwd */
    const char *working_dir; /* NULL: the image's */
    const char *stop_signal; /* NULL: the image's, else SIGTERM; "SIGQUIT", "QUIT" or "3" */
    const struct container_mount *mounts;
    size_t mounts_n;
    const char *netns;       /* path of its network namespace; NULL: the host's */
    const char *resolv_conf; /* content of /etc/resolv.conf; NULL: the host's */
    const char *hosts;       /* content of /etc/hosts; NULL: just localhost and hostname */
    int64_t cpu_milli;       /* limit in thousandths of a CPU, 0: none */
    int64_t memory_bytes;    /* limit, 0: none */
    int64_t pids_max;        /* 0: 4096 */
    bool read_only;          /* read-only root */
    int64_t log_max_bytes;   /* of one log file, 0: 10 MB */
    int64_t log_files;       /* of a run, 0: 3 */
    bool log_none;           /* its output is thrown away */

    /* Below 0, false and NULL mean the default. Lists of strings are NULL-terminated. */
    const char *domainname;
    const char *const *group_add; /* names of its /etc/group, or numbers */
    const struct container_tmpfs *tmpfs;
    size_t tmpfs_n;
    int64_t shm_bytes;          /* of /dev/shm, 0: 64 MiB */
    const char *const *cap_add; /* "NET_ADMIN", "CAP_NET_ADMIN", "ALL" */
    const char *const *cap_drop;
    bool privileged; /* all capabilities, all devices, no seccomp, no masked paths */
    const struct container_device *devices;
    size_t devices_n;
    const char *const *device_rules; /* "c 1:3 rwm" */
    bool no_new_privileges;
    const char *seccomp;        /* NULL: the default profile; "unconfined"; else a profile's JSON in
                                   Docker's format */
    const char *apparmor;       /* a profile's name; NULL: none */
    const char *const *sysctls; /* "net.core.somaxconn=1024" */
    const struct container_ulimit *ulimits;
    size_t ulimits_n;
    bool init;       /* a small init is its process 1 */
    bool stdin_open; /* standard input is a pipe that attach can write to */
    bool tty;        /* a pseudo terminal */
    bool pid_host;   /* the host's namespaces instead of its own */
    bool ipc_host;
    bool uts_host;
    bool cgroupns_host;
    bool userns;            /* a user namespace: ids in it are others outside */
    int64_t memswap_bytes;  /* memory and swap together; 0: as the memory limit; -1: unlimited */
    int64_t swappiness_set; /* 1 + 0..100; 0: the default */
    int64_t reserved_bytes; /* memory kept when memory is short: soft limit */
    const char *cpuset;     /* "0-3,7" */
    int64_t cpu_shares;
    int64_t io_weight; /* 10..1000 */
    const struct container_io *io;
    size_t io_n;
    int64_t oom_score_adj;
    bool oom_kill_disable;
    const char *oci_runtime;        /* by name; NULL: the runtime's default */
    int64_t storage_bytes;          /* of the writable layer, 0: no limit */
    const char *const *labels;      /* "K=V", kept and shown, without effect */
    const char *const *annotations; /* "K=V", into config.json */
};

enum container_status {
    CONTAINER_CREATED, /* never ran since this machine booted */
    CONTAINER_RUNNING,
    CONTAINER_EXITED,    /* exit_code is true */
    CONTAINER_SHIM_LOST, /* its shim was killed or the machine rebooted under it; no exit code */
};

struct container_state {
    enum container_status status;
    int64_t run;   /* of the latest start, 0: none */
    pid_t pid;     /* of its first process, when running */
    bool paused;   /* running, and frozen (freeze.h) */
    int exit_code; /* 0..255; 128 + signal */
    bool oom_killed;
    int64_t oom_kills;   /* processes of this run that the kernel ended for want of memory */
    int64_t started_ms;  /* wall clock, 0: unknown */
    int64_t finished_ms; /* likewise */
};

/* Make the container's folders, durably. ERR_EXISTS if the id is taken, ERR_NOTFOUND if the image
 * is not here, ERR_INVALID with the field's name for what cannot be honoured. */
int container_create(struct runtime *rt, const struct container_spec *spec, struct err *err);

/* Mount its root, write the bundle, start the shim and with it run number @run (greater than any
 * before). Returns once the program was executed; ERR_FAILED has the OCI runtime's own words when
 * it was not ("exec: \"foo\": not found"). */
int container_start(struct runtime *rt, const char *id, int64_t run, struct err *err);

/* Its run is killed by its shim at @boot_ms (CLOCK_BOOTTIME), whatever becomes of this program,
 * unless that is put off by another call before. To be set before the start; 0: none. A small file
 * in the run folder is written. Any thread. */
int container_set_deadline(struct runtime *rt, const char *id, int64_t boot_ms, struct err *err);

/* Send @signal (0: its stop signal) to its first process. ERR_NOTFOUND when it does not run. One
 * that is paused goes on when it is to end (0, SIGTERM, SIGKILL); any other signal waits there. */
int container_signal(struct runtime *rt, const char *id, int signal, struct err *err);

/* SIGKILL everything in its cgroup, paused or not, and wait up to 10 s for the end. Fine when it
 * does not run. */
int container_kill(struct runtime *rt, const char *id, struct err *err);

/* How it is, now. */
int container_state(struct runtime *rt, const char *id, struct container_state *ret_state,
                    struct err *err);

/* Ids of all containers on this machine, in order; free with image_strings_free(). */
int container_list(struct runtime *rt, char ***ret_ids, struct err *err);

/* Run @argv inside a running container and wait at most @timeout_ms. Its output (both streams, at
 * most 4096 bytes) is appended to @output. ERR_TIMEOUT kills it. */
int container_exec(struct runtime *rt, const char *id, const char *const *argv, int64_t timeout_ms,
                   struct buf *output, int *ret_exit_code, struct err *err);

/* Kill it if it runs, unmount, delete its cgroups, logs and files. Fine when it does not exist. */
int container_remove(struct runtime *rt, const char *id, struct err *err);

/* A folder in which a file named ID changes whenever a run of container ID ends: to be watched with
 * inotify so that an end is noticed at once. A killed shim cannot write there: look at the states
 * every few seconds too. Borrowed. */
const char *container_exits_dir(const struct runtime *rt);

#endif
