/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion - scripts with which a shell completes commands and options, made from the table of
 * commands. Names of services and nodes are not completed.
 */
#ifndef WHERRY_CLI_COMPLETION_H
#define WHERRY_CLI_COMPLETION_H

#include <stdbool.h>

struct buf;
struct command;

/* Append the script for @shell ("bash", "zsh", "fish"). False for another shell. */
bool completion_write(const struct command *const *commands, const char *shell, struct buf *out);

#endif
