/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume_copy - the commands that take a volume's content elsewhere.
 */
#ifndef WHERRY_CLI_VOLUME_COPY_H
#define WHERRY_CLI_VOLUME_COPY_H

struct command;

extern const struct command command_volume_backup, command_volume_restore, command_volume_move,
    command_volume_snapshot;

#endif
