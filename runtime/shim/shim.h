/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim - what the files of wherry-shim share. It stands on libc alone, has one thread, allocates
 * nothing but the ring and prints nothing; what goes wrong for good goes up the status pipe.
 *
 *     main.c     modes, and a container run's beginning and end
 *     exec.c     an exec's
 *     init.c     process 1 of a container
 *     loop.c     what both wait for, the reaping
 *     launch.c   the OCI runtime's start          console.c  the terminal
 *     stream.c   output to log and ring           input.c    standard input
 *     clients.c  those who attach                 log.c, record.c  files
 */
#ifndef WHERRY_RUNTIME_SHIM_SHIM_H
#define WHERRY_RUNTIME_SHIM_SHIM_H

#include "runtime/shim/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SHIM_LINE_MAX = 16384, /* longer lines are written in parts, all but the last tagged P */
    SHIM_PATH_MAX = 4096,
    SHIM_CLIENTS_MAX = 16,
    SHIM_INPUT_MAX = 32768,           /* input that the container has not read yet */
    SHIM_RING_BYTES = 64 << 10,       /* output that those who attach may be behind */
    SHIM_EXEC_RING_BYTES = 256 << 10, /* … that an exec's client has not acknowledged */
};

/* One of the two output streams; a terminal is the first. */
struct shim_stream {
    const char *name; /* "stdout" */
    int number;       /* in frames */
    int fd;           /* read end, non-blocking; -1 after its end */
    size_t len;       /* bytes of an unfinished line */
    char line[SHIM_LINE_MAX];
};

/* Standard input on its way to the container. */
struct shim_input {
    int fd;            /* non-blocking; -1: closed, or never open */
    bool owned;        /* fd is ours to close: a pipe, not the terminal */
    bool close_wanted; /* once what is in the buffer is written */
    size_t start, len;
    char bytes[SHIM_INPUT_MAX];
};

struct shim_client {
    int fd; /* -1: free */
    bool greeted;
    bool owes_welcome;
    bool owes_taken;
    bool starved; /* some of its input did not fit */
    bool blocked; /* its socket is full */
    bool told;    /* of the end */
    uint64_t place;
    uint64_t taken;
};

struct shim {
    char **argv; /* by enum shim_arg or shim_exec_arg */
    char **oci_argv;
    const char *hide;
    const char *join;
    bool exec; /* not a container's run but a command in it */
    bool tty;
    bool has_input;
    bool logs;
    long long run;
    int state_fd; /* folders */
    int exits_fd;
    int data_fd;
    int signal_fd; /* SIGCHLD */
    int status_fd; /* -1 once the result was written */
    int listen_fd;
    int console_fd; /* listens for the terminal; -1 */
    int tty_fd;     /* the terminal's master; -1 */
    int tty_hold;   /* its other end, held so that the master never sees "nobody there"; -1 */
    pid_t oci;      /* the OCI runtime, 0 once it ended */
    pid_t pid;      /* the first process, 0 before */
    bool ended;     /* an exec's command has ended, with: */
    int code;
    bool end_wanted;        /* a client said END */
    uint64_t taken;         /* an exec's input that was taken */
    int64_t alone_ms;       /* boot time since when nobody is connected, 0: somebody is */
    int64_t kill_ms;        /* boot time of the SIGKILL, 0: none is due */
    int64_t deadline_ms;    /* boot time at which a run ends, whoever sleeps; 0: none */
    uint16_t rows, columns; /* asked for before there was a terminal */
    struct shim_ring ring;
    struct shim_stream streams[2];
    struct shim_input input;
    struct shim_client clients[SHIM_CLIENTS_MAX];
};

/* The time in milliseconds: wall clock, and since boot. */
int64_t shim_wall_ms(void);
int64_t shim_boot_ms(void);

/* --- main.c ------------------------------------------------------------------------------------
 */

/* Say that the start failed, and end. */
_Noreturn void shim_give_up(struct shim *shim, const char *what, int errnum);

/* What both modes begin with, once state_fd and the argument lists are set: lock, signals, socket,
 * ring, pipes, then the OCI runtime. */
void shim_begin(struct shim *shim, const char *flags, size_t ring_bytes);

/* The OCI runtime ended: with 0 once the program runs. */
void shim_on_oci_end(struct shim *shim, int status);

/* The first process ended with @code, and is not reaped yet. */
void shim_on_end(struct shim *shim, int code);

/* --- exec.c, init.c ----------------------------------------------------------------------------
 */

int shim_exec_main(struct shim *shim, char **argv);
int shim_init_main(char **argv);

/* What is due by the clock. */
void shim_exec_tick(struct shim *shim);

/* --- loop.c: wait, and serve everybody. Never returns. */
_Noreturn void shim_loop(struct shim *shim);

/* --- launch.c: start the OCI runtime in a mount namespace of its own, a run's with the container's
 * root attached there. Descriptors become its stdio. Writes shim->oci. Returns 0 or -errno. */
int shim_launch(struct shim *shim, int in_fd, int out_fd, int err_fd);

/* --- console.c ---------------------------------------------------------------------------------
 */

/* Listen on SHIM_CONSOLE in the working folder. Returns 0 or -errno. */
int shim_console_open(struct shim *shim);

/* The OCI runtime connected: take the terminal. */
void shim_console_accept(struct shim *shim);

/* Nothing comes any more. */
void shim_console_close(struct shim *shim);

void shim_console_resize(struct shim *shim, uint16_t rows, uint16_t columns);

/* --- stream.c ----------------------------------------------------------------------------------
 */

/* Read what @stream has, at most one line's worth and no more than there is room for, to ring and
 * log. 1: something; 0: nothing now; -1: it has ended. */
int shim_stream_read(struct shim *shim, struct shim_stream *stream);

/* Log the unfinished line and close the stream. */
void shim_stream_end(struct shim *shim, struct shim_stream *stream);

/* --- input.c -----------------------------------------------------------------------------------
 */

/* Take as much of the @len bytes as there is room for; returns how many. A closed input takes all,
 * and forgets it. */
size_t shim_input_take(struct shim_input *input, const void *data, size_t len);

/* Write what the container takes now; close it if that is wanted and everything is written. */
void shim_input_flush(struct shim_input *input);

/* --- clients.c ---------------------------------------------------------------------------------
 */

/* Listen on SHIM_SOCKET in the working folder. Returns 0 or -errno. */
int shim_clients_listen(struct shim *shim);

void shim_clients_accept(struct shim *shim);

/* Read what client @c sent. */
void shim_client_read(struct shim *shim, struct shim_client *c);

/* Send everybody what there is to send. */
void shim_clients_pump(struct shim *shim);

/* The input has room again. */
void shim_clients_room(struct shim *shim);

/* True when somebody is connected. */
bool shim_clients_any(const struct shim *shim);

/* --- log.c: open the log of this run below folder @data_fd; @options is SHIM_ARG_LOG. Never fails:
 * what cannot be written is counted, and marked once writing works again. */
void shim_log_open(int data_fd, long long run, const char *options);

/* Add a line, or a part of one (@tag P). */
void shim_log_line(const char *stream, char tag, const char *text, size_t len);

/* Write out the lines collected. */
void shim_log_flush(void);

/* --- record.c: take the lock that says this shim lives. False when another holds it. */
bool shim_lock(const struct shim *shim);

/* Say on the status pipe that the start failed in the shim itself, or with "" in the OCI runtime.
 */
void shim_say_failed(struct shim *shim, const char *what, int errnum);

/* Record and say that shim->pid runs. */
void shim_say_started(struct shim *shim);

/* Write the exit file and touch the container's name in the exits folder. */
void shim_record_exit(const struct shim *shim, int code, long long oom_kills);

/* Keep a copy of the exit file in the durable folder. */
void shim_keep_exit(const struct shim *shim);

/* The number in @name below folder @dir_fd, or -1. */
long long shim_read_number(int dir_fd, const char *name);

/* How many processes of the container the kernel killed for want of memory. */
long long shim_oom_kills(const char *oom_file);

#endif
