/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidy - the daemon is small when it is idle: after a busy time its free memory goes
 * back, and the code that it ran then.
 */
#ifndef WHERRY_NODE_TIDY_H
#define WHERRY_NODE_TIDY_H

struct daemon;
struct tidy;

/* Look every few seconds whether the state has changed, or large things were transferred
 * (mem_reuse()), since the last look. */
struct tidy *tidy_new(struct daemon *d);

/* Stop looking, and free once the loop has run a last time. */
void tidy_free(struct tidy *t);

#endif
