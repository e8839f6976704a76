/* SPDX-License-Identifier: Apache-2.0 */
/*
 * book - where each member says it is: signed with its key, so that anybody may pass it on.
 *
 * The identity of a member is its key; its address may change. A member that has a new address
 * makes a record with the next sequence number and signs it. Members hand each other the newest
 * records outside raft (addresses.h): so it is enough that a member reaches one other to be found
 * by all, also when no two know each other's address any more and there is no leader.
 *
 * What is signed is the msgpack record struct whereabouts under the word "wherry address 1". It
 * holds no time: of two valid ones the higher sequence is the newer, of equal sequence the one that
 * compares higher as bytes, so that all end up with the same one.
 *
 * Pure functions; any thread.
 */
#ifndef WHERRY_NODE_BOOK_H
#define WHERRY_NODE_BOOK_H

#include "node/peers.h"

struct err;
struct identity;

enum {
    BOOK_RECORD_MAX = 1024, /* bytes of one record */
    BOOK_ADDRESSES_MAX = 4, /* in one record */
};

struct whereabouts {
    char *cluster; /* its uuid */
    int64_t node_id;
    int64_t sequence; /* counts the changes, from 1 */
    char **addresses; /* "10.0.0.2:7400", the best one first */
    size_t addresses_n;
};

/* A record as it travels. */
struct signed_record {
    struct bytes record;
    struct bytes signature;
};

/* What members send each other. */
struct book_page {
    struct signed_record *records;
    size_t records_n;
};

extern const struct record_type whereabouts_type, book_page_type;

/* Decode and check all that can be checked without a key: ERR_CORRUPT, ERR_TOOBIG. */
int book_read(const struct bytes *record, struct whereabouts *ret, struct err *err);

/* Put into @self our record with the sequence @sequence. */
void book_write(const struct identity *identity, int64_t sequence, const char *address,
                struct known_peer *self);

/* A record that claims to be of @peer arrived: take it when it is newer than the one there. 1:
 * taken; 0: not newer; ERR_DENIED: not signed with the peer's key, or of another member or cluster;
 * ERR_CORRUPT, ERR_TOOBIG. */
int book_offer(struct known_peer *peer, const char *cluster, const struct signed_record *offered,
               struct err *err);

/* Where to dial @peer, the best first: what it signed, then what the table of nodes says. The
 * caller frees the @ret_n strings; at most BOOK_ADDRESSES_MAX + 1. */
void book_addresses(const struct known_peer *peer, char *ret[BOOK_ADDRESSES_MAX + 1],
                    size_t *ret_n);

#endif
