/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container - what the files of `wherry container` share: single containers of a machine, by the
 * verbs of cluster/api_container.h.
 */
#ifndef WHERRY_CLI_CONTAINER_H
#define WHERRY_CLI_CONTAINER_H

#include "cli/args.h"

struct command;

/* Every command's options struct begins so: "const char *node;". */
#define CONTAINER_NODE(s)                                                                          \
    ARG_OPTION(s, ARG_TEXT, node, 0, "node", "NAME",                                               \
               "the member whose container it is (a task's name needs none)")

/* What a command says of its containers. */
#define CONTAINER_NAMES                                                                            \
    "A container is a task's name ('shop.web.2', or 'shop.web' with one task), the name of one "   \
    "of\n"                                                                                         \
    "no stack ('cache'), an id ('t42', 'c-cache') or the beginning of one."

/* The text of a request, which the records do not change. */
#define TEXT(s) ((char *)(uintptr_t)(s))

extern const struct command command_container_ls, command_container_inspect, command_container_logs,
    command_container_stats, command_container_top, command_container_kill, command_container_pause,
    command_container_resume, command_container_update, command_container_wait,
    command_container_cp, command_container_diff, command_container_commit,
    command_container_checkpoint, command_container_create, command_container_run,
    command_container_start, command_container_stop, command_container_restart,
    command_container_rm, command_container_prune;

#endif
