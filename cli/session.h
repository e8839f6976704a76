/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - give standard input and output to a session of a member (cluster/api_exec.h).
 *
 * Two threads with a connection each: one asks for output and waits for it there, the other sends
 * what is typed; so a key is on its way at once. Broken connections are made anew and go on where
 * they were, for up to a minute.
 */
#ifndef WHERRY_CLI_SESSION_H
#define WHERRY_CLI_SESSION_H

#include "cluster/api.h"

#include <stdbool.h>

struct cli;
struct err;

struct session_options {
    bool raw;                            /* the terminal is given away */
    bool input;                          /* standard input is sent */
    bool close_input;                    /* its end is told */
    bool detach_keys;                    /* ctrl-p ctrl-q leaves */
    const struct attach_request *attach; /* of an attached session: how to begin again */
};

enum session_end {
    SESSION_OVER,     /* the command, or the container's run, ended */
    SESSION_DETACHED, /* ctrl-p ctrl-q */
    SESSION_SIGNAL,   /* a signal ended us */
};

/* Go on until the end. *@ret_code is the exit code, or the signal's number; -1 when it is not
 * known. */
int session_run(struct cli *cli, const struct session_started *started,
                const struct session_options *options, enum session_end *ret_end, int *ret_code,
                struct err *err);

/* The task that the user calls @name ("web", "web.2", "shop.web.2": of a service the first that
 * runs), or the name or id of a container of member @node (NULL: of the called one). One of
 * *@ret_task_id and
 * *@ret_container (which the caller frees) is set. */
int session_find_task(struct cli *cli, const char *name, const char *node, int64_t *ret_task_id,
                      char **ret_container, struct err *err);

#endif
