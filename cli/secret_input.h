/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_input - tokens and passwords from standard input, where no list of processes shows them.
 */
#ifndef WHERRY_CLI_SECRET_INPUT_H
#define WHERRY_CLI_SECRET_INPUT_H

#include <stddef.h>

struct err;

/* A line of standard input of at most @max bytes; when that is a terminal, after "@prompt: " and
 * without an echo. ERR_INVALID when there is none, or it is longer. The caller wipes and frees
 * *@ret. */
int secret_read(const char *prompt, size_t max, char **ret, struct err *err);

/* A line of standard input, shown as it is typed, after "@prompt: "; ERR_INVALID when standard
 * input is no terminal. The caller frees *@ret. */
int line_ask(const char *prompt, size_t max, char **ret, struct err *err);

/* A token: secret_read() that says where tokens come from. */
int token_read(char **ret, struct err *err);

/* Overwrite @text and free it. NULL is fine. */
void secret_free(char *text);

#endif
