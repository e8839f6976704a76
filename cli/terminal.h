/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal - the user's terminal given to a program elsewhere: raw, and put back however we end.
 *
 *     terminal_raw()  …  terminal_restore()
 *
 * One terminal, standard input's. After terminal_watch() signals are bytes to read.
 */
#ifndef WHERRY_CLI_TERMINAL_H
#define WHERRY_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* Every key is a byte from now on, also ctrl-c. Put back at exit, at a signal that ends us, and by
 * terminal_restore(). False: standard input is no terminal. */
bool terminal_raw(void);

/* As it was. Fine when it is so. */
void terminal_restore(void);

/* The size of the terminal; false: none is known. */
bool terminal_size(int64_t *ret_rows, int64_t *ret_columns);

/* A descriptor that gets a byte, the signal's number, for each SIGWINCH, SIGINT, SIGTERM and SIGHUP
 * from now on. */
int terminal_watch(void);

/* Put a byte 0 into that descriptor. Any thread. */
void terminal_wake(void);

#endif
