/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token_input - a token from standard input, where no list of processes shows it.
 */
#ifndef WHERRY_CLI_TOKEN_INPUT_H
#define WHERRY_CLI_TOKEN_INPUT_H

struct err;

/* A line of standard input, without an echo when that is a terminal. ERR_INVALID when there is
 * none. The caller wipes and frees *@ret. */
int token_read(char **ret, struct err *err);

#endif
