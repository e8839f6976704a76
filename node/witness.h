/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness - a member that votes and does nothing else.
 *
 * It has the log and the state, as every voter must, and nothing of a machine that runs services:
 * no images, containers, networks or names, no cluster key. Should it come to lead, it hands
 * leadership on (shape.h). A machine becomes one when it joins with `wherry node --witness` and
 * stays one until it leaves: the file identity/witness says so.
 */
#ifndef WHERRY_NODE_WITNESS_H
#define WHERRY_NODE_WITNESS_H

struct daemon;
struct err;

/* At the start: find out whether this machine is one (d->witness), and if so take the lock of its
 * data folder, which else the runtime takes. ERR_INVALID when it is asked to be one and joined as
 * a full member; ERR_BUSY when another daemon has the folder. */
int witness_open(struct daemon *d, struct err *err);

/* We are about to be a member: note as what. */
int witness_note(const struct daemon *d, struct err *err);

#endif
