/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pieces - archives to and from a member, a MiB at a time (container.upload, container.read).
 */
#ifndef WHERRY_CLI_PIECES_H
#define WHERRY_CLI_PIECES_H

struct cli;
struct err;

/* A file without a name, in TMPDIR or /tmp; the caller closes *@ret_fd. */
int pieces_temporary(int *ret_fd, struct err *err);

/* Send all of @fd to the member that has @container, or to @node. *@ret_upload, which the caller
 * frees, names it there. */
int pieces_send(struct cli *cli, const char *node, const char *container, int fd, char **ret_upload,
                struct err *err);

/* Write what that member has under @upload to @fd, and let it forget it. */
int pieces_fetch(struct cli *cli, const char *node, const char *container, const char *upload,
                 int fd, struct err *err);

#endif
