/* SPDX-License-Identifier: Apache-2.0 */
/*
 * again - the daemon starts itself anew: the same program with the same arguments, in this process.
 */
#ifndef WHERRY_NODE_AGAIN_H
#define WHERRY_NODE_AGAIN_H

struct err;

/* Returns only when it cannot, with a code. */
int again_run(struct err *err);

#endif
