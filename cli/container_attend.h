/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_attend - show what a container writes until its first run ends, and take its exit code:
 * without -i and -t by its log, which has all of it; else by a session.
 */
#ifndef WHERRY_CLI_CONTAINER_ATTEND_H
#define WHERRY_CLI_CONTAINER_ATTEND_H

#include <stdbool.h>

struct cli;
struct err;

struct attended {
    struct cli *cli;
    char *node; /* where it is, borrowed; NULL: the called machine */
    char *id;   /* borrowed */
    bool interactive;
    bool tty;
    int code; /* afterwards: its exit code; -1: not known */
};

/* Attend the container, handing on signals that this program gets. Sets cli->exit_status to its
 * exit code, or to 125 when that is not known; *@ret_detached: the user left it running. */
int container_attend(struct attended *run, bool *ret_detached, struct err *err);

/* The exit status for a command that could not be run for the reason given, as shells say it: 126
 * or 127. */
int container_not_started(const char *message);

/* ERR_INVALID when a terminal is @wanted and standard input is none. */
int container_check_terminal(bool wanted, struct err *err);

#endif
