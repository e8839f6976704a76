/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target - whom a command calls. The first of these that is given counts:
 *
 *     -H and --token, then WHERRY_HOST and WHERRY_TOKEN     one member
 *     --context, then WHERRY_CONTEXT                        a cluster that was logged in to
 *     the current context                                   likewise
 *     nothing                                               this machine's own socket
 *
 * Of a context's members the first that answers is called; it is tried first the next time.
 */
#ifndef WHERRY_CLI_TARGET_H
#define WHERRY_CLI_TARGET_H

#include <stdbool.h>

struct cli;
struct client;
struct err;

/* Connect to the member to call. Any thread. */
int target_connect(const struct cli *cli, struct client **ret_client, struct err *err);

/* The member that was called cannot serve now: have another of the context called next. False: each
 * was, or there is no context. */
bool target_turn(struct cli *cli);

/* Look at what the last reply said of where the members are: when the context has other addresses,
 * ask for them and keep them. Never fails: it is tried again by the next command. */
void target_note_members(struct cli *cli);

#endif
