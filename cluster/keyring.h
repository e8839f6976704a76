/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring - the cluster keys that this member holds, in memory and, unless the cluster is locked,
 * in its file cluster.key (0600).
 *
 * Usually there is one. While the key is changed there are also those that were handed out and may
 * become the next; which one does, the replicated state says by its check value (seal.h). More than
 * one of the same generation is possible then.
 *
 *     keyring_open → keyring_add (a new one, before the change) … keyring_keep (after it)
 *
 * The file is text: "wherry key 1", then a line "GENERATION HEX" for each. Blocking, small; one
 * thread.
 */
#ifndef WHERRY_CLUSTER_KEYRING_H
#define WHERRY_CLUSTER_KEYRING_H

#include "cluster/seal.h"

struct keyring;

/* Open the keys kept in DIR, if any. ERR_CORRUPT when the file is damaged. */
int keyring_open(const char *dir, struct keyring **ret_ring, struct err *err);

/* Wipe and free. NULL is fine. */
void keyring_free(struct keyring *ring);

/* Hold @key too; @durable: in the file as well, before this returns. Of too many, one that was
 * handed out and not taken into use is given up. */
int keyring_add(struct keyring *ring, const struct seal_key *key, bool durable, struct err *err);

/* The key of @generation with that check value, NULL when it is not held. Borrowed. */
const struct seal_key *keyring_find(const struct keyring *ring, int64_t generation,
                                    const struct bytes *check);

/* The state has settled on this key: those of earlier generations and others of this one are
 * forgotten, in the file too; later ones may be next. The file holds this key if @durable, and
 * those of the later ones that were added so: before a lock is taken off its key was made durable.
 * It is removed when it would hold none. Does nothing to what is so already. */
int keyring_keep(struct keyring *ring, int64_t generation, const struct bytes *check, bool durable,
                 struct err *err);

/* Forget all, and remove the file. */
int keyring_clear(struct keyring *ring, struct err *err);

#endif
