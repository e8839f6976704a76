/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion - scripts with which a shell completes commands and options, made from the table of
 * commands. In bash and zsh also the names of services, tasks, nodes, networks and the like, which
 * the script asks a member for.
 */
#ifndef WHERRY_CLI_COMPLETION_H
#define WHERRY_CLI_COMPLETION_H

#include <stdbool.h>

struct buf;
struct command;

/* Append the script for @shell ("bash", "zsh", "fish"). False for another shell. */
bool completion_write(const struct command *const *commands, const char *shell, struct buf *out);

#endif
