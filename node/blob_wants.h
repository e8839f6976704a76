/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob_wants - which blobs this machine wants, and whether it is the one that gets them from the
 * registry.
 *
 * Members that begin the same pull at once must not each fetch all of it. For every blob that no
 * member has, one of them fetches and the others wait for it. A member claims the blob, asks the
 * others while it does, and has won when none of them fetches it and none with a higher rank claims
 * it too. A claimant that is asked by one of a higher rank is outbid on the spot; so of two that
 * ask each other in whatever order exactly one wins. The rank is a hash of blob and member: the
 * blobs of an image spread over those that want it.
 *
 *     WAITING ──claim──► CLAIMING ──win──► FETCHING
 *        ▲                  │ yield, outbid    │ end
 *        └──────────────────┴──────────────────┘
 *
 * Nothing of it is kept: it ends with the pull, and who does not answer or makes no progress counts
 * no more. Any thread.
 */
#ifndef WHERRY_NODE_BLOB_WANTS_H
#define WHERRY_NODE_BLOB_WANTS_H

#include <stdbool.h>
#include <stdint.h>

struct blob_wants;

/* The numbers are on the wire. */
enum blob_want {
    BLOB_NOT_WANTED = 0,
    BLOB_WAITING = 1,
    BLOB_CLAIMING = 2,
    BLOB_FETCHING = 3,
};

struct blob_wants *blob_wants_new(void);
void blob_wants_free(struct blob_wants *wants);

/* A pull of this machine wants @digest. End it with blob_wants_end(). */
void blob_wants_begin(struct blob_wants *wants, const char *digest);

/* Claim it. Returns BLOB_FETCHING when another pull of this machine fetches it already. */
enum blob_want blob_wants_claim(struct blob_wants *wants, const char *digest);

/* The others were asked, and nobody is before us. False: we were outbid meanwhile. After true this
 * pull is one that fetches. */
bool blob_wants_win(struct blob_wants *wants, const char *digest);

/* This pull fetches, whatever others do: as if it had won. */
void blob_wants_fetch(struct blob_wants *wants, const char *digest);

/* Somebody else is before us. */
void blob_wants_yield(struct blob_wants *wants, const char *digest);

/* A pull ends, with the blob here or not; @fetching: it had won. */
void blob_wants_end(struct blob_wants *wants, const char *digest, bool fetching);

/* Member @from asks member @self about @digest, and claims it when @claims. Returns what we do, the
 * claim already considered. */
enum blob_want blob_wants_asked(struct blob_wants *wants, const char *digest, int64_t self,
                                int64_t from, bool claims);

/* True when @a comes before @b for @digest (rendezvous hashing, Thaler and Ravishankar 1996). */
bool blob_ranks_before(const char *digest, int64_t a, int64_t b);

#endif
