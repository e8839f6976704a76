/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manual - the manual page wherry(1), made from the same table of commands as the help texts.
 */
#ifndef WHERRY_CLI_MANUAL_H
#define WHERRY_CLI_MANUAL_H

struct buf;
struct program;

/* Append the page to @out, for man(1): the macros of man(7). */
void manual_write(const struct program *program, struct buf *out);

#endif
