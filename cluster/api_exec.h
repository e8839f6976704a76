/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_exec - commands in containers, and attaching to them: a session that is asked again and
 * again.
 *
 *     exec.start or attach.start   → node_id, session, place
 *     session.read place           → output from there on, or the end        } any number of times,
 *     session.write place input    → how much of it was taken                } one of each at a
 * time session.end
 *
 * Output is frames (runtime/shim/message.h); its place counts their bytes. A reader that asks from
 * a place has all that is before. A reply that was lost is asked for again; input that was taken is
 * not taken twice. So a session goes on over broken connections, and an exec also over the death of
 * the daemon on its machine. An attached one ends with that; attach.start then goes on at its
 * place. A session that nobody asks about for 60 s ends, and the command of an exec with it.
 */
#ifndef WHERRY_CLUSTER_API_EXEC_H
#define WHERRY_CLUSTER_API_EXEC_H

#include "store/model.h"

enum {
    SESSION_INPUT_MAX = 64 << 10,
    SESSION_NAME_LEN = 32,
};

/* attach.start: not a place. */
enum {
    ATTACH_FROM_NOW = -1,
    ATTACH_FROM_KEPT = -2, /* what the shim still has */
};

struct exec_request {
    int64_t task_id; /* 0: @container */
    char *container; /* by name or id, on @node; for those who may do everything */
    char *node;      /* a member's name; "": the called one */
    char *name; /* 32 lower-case hexadecimal digits, drawn by the caller: a retry starts nothing
                   twice */
    char **argv;
    size_t argv_n;
    char **environment; /* "K=V", over the container's */
    size_t environment_n;
    char *user;        /* "": the container's */
    char *working_dir; /* "": the container's */
    bool tty;
    bool stdin_open;
    bool privileged; /* for admins */
    int64_t rows;
    int64_t columns;
};

struct attach_request {
    int64_t task_id; /* as above */
    char *container;
    char *node;    /* as above */
    int64_t place; /* of run @run, or ATTACH_FROM_… */
    int64_t run;   /* if the container is in another run by now, from that one's beginning on */
};

struct session_started {
    int64_t node_id;
    char *session;
    int64_t run;
    int64_t place; /* of the output that comes first */
    bool tty;
    bool has_input;
};

struct session_read_request {
    int64_t node_id;
    char *session;
    int64_t place;
    int64_t wait_ms; /* for there to be something, at most 30000 */
};

struct session_read_reply {
    struct bytes output;
    int64_t place; /* of the first byte; more than was asked for: what is between was left out */
    bool ended;    /* nothing more will come: the command ended, or the container's run */
    bool has_code; /* … and it is known how */
    int64_t code;
};

struct session_write_request {
    int64_t node_id;
    char *session;
    int64_t place; /* how much input was sent before */
    struct bytes input;
    bool close;   /* … and after this nothing more comes */
    int64_t rows; /* of the terminal; 0: as they are */
    int64_t columns;
    int64_t wait_ms; /* for all of it to be taken */
};

struct session_write_reply {
    int64_t taken; /* up to this place; what is behind is to be sent again */
    bool ended;    /* nobody takes any more */
};

struct session_request {
    int64_t node_id;
    char *session;
};

#endif
