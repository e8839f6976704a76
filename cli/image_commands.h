/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_commands - the subcommands of `wherry image` that are not in image.c.
 */
#ifndef WHERRY_CLI_IMAGE_COMMANDS_H
#define WHERRY_CLI_IMAGE_COMMANDS_H

#include "cli/cli.h"

extern const struct command command_image_inspect, command_image_history, command_image_save,
    command_image_prune, command_image_check;

/* --node of struct @s, which has a member node. */
#define IMAGE_NODE_OPTION(s)                                                                       \
    ARG_OPTION(s, ARG_TEXT, node, 0, "node", "NODE",                                               \
               "the member that is asked (default: the "                                           \
               "one that is called)")

#endif
