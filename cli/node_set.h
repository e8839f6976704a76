/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_set - the commands below "node" that change what a member is for.
 */
#ifndef WHERRY_CLI_NODE_SET_H
#define WHERRY_CLI_NODE_SET_H

struct command;

extern const struct command node_drain, node_pause, node_activate, node_rm, node_repair;

#endif
