/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol - how the runtime and the shim of one container run understand each other.
 *
 * One program in several modes. A container run's shim is started with the arguments of enum
 * shim_arg, then the OCI runtime's command line. It inherits two descriptors and /dev/null as its
 * stdio. Once the OCI runtime has ended it writes one line to the status pipe and closes it:
 *
 *     "S PID\n"     the container runs, PID is its first process
 *     "F TEXT\n"    it does not; what failed in the shim, or nothing: then the OCI runtime's own
 *                   log, SHIM_FILE_OCI_LOG, has the reason
 *
 * In its state folder it holds a lock (fcntl, open file description) on SHIM_FILE_LOCK for as long
 * as it lives, and writes, each with one rename:
 *
 *     SHIM_FILE_STARTED   "RUN PID WALL_MS\n"
 *     SHIM_FILE_EXIT      "RUN CODE OOM WALL_MS KILLS\n", CODE 0..255, OOM 0 or 1, KILLS how many
 *                         processes the kernel ended for want of memory; written before the first
 *                         process is reaped, so that a pid seen without an exit is no other's
 *
 * and then a file named after the container in the exits folder. A copy of the exit file goes to
 * the container's durable folder, for after a reboot.
 *
 * In the same folder it listens on SHIM_SOCKET, for root only: who connects can attach (message.h).
 * With a terminal it listens on SHIM_CONSOLE while the OCI runtime starts, which sends it the
 * terminal's descriptor there (runc, "terminals.md").
 *
 * An exec is a second shim, "wherry-shim exec -- …" with the arguments of enum shim_exec_arg, in a
 * folder of its own, SHIM_DIR_EXEC/NAME in the container's state folder: the same status line, lock
 * and socket, no log and no exit file. It keeps all output until a client acknowledged it, so none
 * is lost; when nobody is connected for SHIM_ALONE_MS, or a client says END, it ends the command.
 * Last of all it removes its folder.
 *
 * "wherry-shim init -- PROGRAM…" is a container's process 1, mounted at SHIM_INIT_PATH: it starts
 * the program, passes signals on to it and reaps.
 *
 * Across versions: a daemon starts the shim that is installed beside it, which after an upgrade may
 * be newer than itself, and finds shims of earlier versions that run on. So arguments and files are
 * only ever added to: a shim of 0.2.0 reads SHIM_ARG_LOG as a number and stops at the blank, a
 * daemon of 0.2.0 reads the exit file's first four numbers, and where there is no socket (0.2.0)
 * nobody can attach. Versions of the socket's protocol are agreed on in HELLO and WELCOME.
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
    SHIM_ARG_LOG,       /* "BYTES FILES FLAGS": of one log file, how many of them, enum shim_flag */
    SHIM_ARG_OOM_FILE,  /* memory.events or memory.oom_control of its cgroup; "" for none */
    SHIM_ARG_HIDE,      /* mount point the OCI runtime must not see; "" for none */
    SHIM_ARG_JOIN,      /* cgroup.procs of the cgroup2 group to start it in; "" for none */
    SHIM_ARG_OCI,       /* the OCI runtime's argv[0], and on to the end */
};

/* Letters in SHIM_ARG_LOG and SHIM_EXEC_FLAGS; "-" for none. */
enum shim_flag {
    SHIM_FLAG_TTY = 't',
    SHIM_FLAG_INPUT = 'i',  /* standard input is open */
    SHIM_FLAG_NO_LOG = 'n', /* output is thrown away, but for those who are attached */
};

#define SHIM_MODE_EXEC "exec"
#define SHIM_MODE_INIT "init"

enum shim_exec_arg {
    SHIM_EXEC_PROGRAM,
    SHIM_EXEC_MODE, /* SHIM_MODE_EXEC */
    SHIM_EXEC_DASHES,
    SHIM_EXEC_DIR,   /* its folder */
    SHIM_EXEC_FLAGS, /* enum shim_flag */
    SHIM_EXEC_HIDE,  /* as SHIM_ARG_HIDE */
    SHIM_EXEC_JOIN,  /* as SHIM_ARG_JOIN */
    SHIM_EXEC_OCI,   /* the OCI runtime's argv[0], and on to the end */
};

enum shim_fd {
    SHIM_FD_STATUS = 3, /* write end of the status pipe */
    SHIM_FD_ROOTFS = 4, /* the container's root as a detached mount (open_tree(2)); no exec's */
};

/* Started alone with this argument the program exits with 0: what a probe of an OCI runtime runs in
 * its container. */
#define SHIM_PROBE "probe"

#define SHIM_FILE_LOCK    "lock"
#define SHIM_FILE_STARTED "started"
#define SHIM_FILE_EXIT    "exit"
#define SHIM_FILE_PID     "pid" /* written by the OCI runtime */
#define SHIM_FILE_OCI_LOG "oci.log"
/* Boot time in milliseconds at which the container is killed; there before the start, and written
 * anew when the end is put off. */
#define SHIM_FILE_DEADLINE "deadline"
#define SHIM_SOCKET        "attach"
#define SHIM_CONSOLE       "console"
#define SHIM_DIR_EXEC      "exec"
#define SHIM_INIT_PATH     "/run/wherry-init"
#define SHIM_DIR_ROOTFS    "rootfs"
#define SHIM_DIR_LOG       "log" /* below the durable folder */

enum {
    SHIM_LOG_FILES = 3, /* of one run, if not said otherwise: RUN.log, RUN.log.1, RUN.log.2 */
    SHIM_LOG_FILES_MAX = 64,
    SHIM_ALONE_MS = 60000,  /* an exec without a client lives so long */
    SHIM_LINGER_MS = 60000, /* an exec that has ended waits so long for its client */
    SHIM_HANGUP_MS = 2000,  /* between SIGHUP and SIGKILL when an exec is ended */
    SHIM_START_MAX_MS = 60000,
    SHIM_EXIT_START_FAILED = 127, /* exit code of a run whose program was never executed */
};

#endif
