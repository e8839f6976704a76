/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol - how the runtime and the shim of one container run understand each other.
 *
 * The shim is started with the arguments of enum shim_arg, then the OCI runtime's command line. It
 * inherits two descriptors and /dev/null as its stdio. Once the OCI runtime has ended it writes one
 * line to the status pipe and closes it:
 *
 *     "S PID\n"     the container runs, PID is its first process
 *     "F TEXT\n"    it does not; what failed in the shim, or nothing: then the OCI runtime's own
 *                   log, SHIM_FILE_OCI_LOG, has the reason
 *
 * In its state folder it holds a lock (fcntl, open file description) on SHIM_FILE_LOCK for as long
 * as it lives, and writes, each with one rename:
 *
 *     SHIM_FILE_STARTED   "RUN PID WALL_MS\n"
 *     SHIM_FILE_EXIT      "RUN CODE OOM WALL_MS\n", CODE 0..255, OOM 0 or 1; written before the
 *                         first process is reaped, so that a pid seen without an exit is no other's
 *
 * and then a file named after the container in the exits folder. A copy of the exit file goes to
 * the container's durable folder, for after a reboot.
 */
#ifndef WHERRY_RUNTIME_SHIM_PROTOCOL_H
#define WHERRY_RUNTIME_SHIM_PROTOCOL_H

enum shim_arg {
    SHIM_ARG_PROGRAM,
    SHIM_ARG_ID,
    SHIM_ARG_RUN,
    SHIM_ARG_STATE_DIR, /* run_dir/containers/ID */
    SHIM_ARG_DATA_DIR,  /* data_dir/containers/ID */
    SHIM_ARG_EXITS_DIR, /* run_dir/exits */
    SHIM_ARG_LOG_MAX,   /* bytes of one log file */
    SHIM_ARG_OOM_FILE,  /* memory.events or memory.oom_control of its cgroup; "" for none */
    SHIM_ARG_HIDE,      /* mount point the OCI runtime must not see; "" for none */
    SHIM_ARG_JOIN,      /* cgroup.procs of the cgroup2 group to start it in; "" for none */
    SHIM_ARG_OCI,       /* the OCI runtime's argv[0], and on to the end */
};

enum shim_fd {
    SHIM_FD_STATUS = 3, /* write end of the status pipe */
    SHIM_FD_ROOTFS = 4, /* the container's root as a detached mount (open_tree(2)) */
};

/* Started alone with this argument the program exits with 0: what a probe of an OCI runtime runs in
 * its container. */
#define SHIM_PROBE "probe"

#define SHIM_FILE_LOCK    "lock"
#define SHIM_FILE_STARTED "started"
#define SHIM_FILE_EXIT    "exit"
#define SHIM_FILE_PID     "pid" /* written by the OCI runtime */
#define SHIM_FILE_OCI_LOG "oci.log"
#define SHIM_DIR_ROOTFS   "rootfs"
#define SHIM_DIR_LOG      "log" /* below the durable folder */

enum {
    SHIM_LOG_FILES = 3, /* of one run: RUN.log, RUN.log.1, RUN.log.2 */
    SHIM_START_MAX_MS = 60000,
    SHIM_EXIT_START_FAILED = 127, /* exit code of a run whose program was never executed */
};

#endif
