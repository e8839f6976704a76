/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confirm - ask before a change that costs more than it seems to.
 */
#ifndef WHERRY_CLI_CONFIRM_H
#define WHERRY_CLI_CONFIRM_H

struct err;

/* Print @warning, lines of what @what ("remove n3") would cost, to stderr, and ask on a terminal
 * whether to do it. Returns 0 for yes; ERR_CANCELED for no, and where there is nobody to ask: then
 * the message says that --yes does it. */
int confirm(const char *warning, const char *what, struct err *err);

#endif
