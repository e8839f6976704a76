/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_copy - a folder with all that is in it.
 */
#ifndef WHERRY_RUNTIME_TREE_COPY_H
#define WHERRY_RUNTIME_TREE_COPY_H

struct err;

/* Copy all that is in folder @from into the empty folder @to, which nobody else reaches, with
 * owners, modes, times, links of both kinds, access lists and users' extended attributes, and the
 * folder's own owner and mode. Blocks of files are shared where the file system can. Sockets are
 * left out; links are not followed. Blocking; any thread. */
int tree_copy(int from, int to, struct err *err);

#endif
