/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers - the file DATA/identity/peers: who the other members are and where they were last.
 *
 * Kept so that a member finds the others before it has a state, or when it has none any more (a
 * damaged log). It follows the table of nodes and the book of addresses (book.h); it is written
 * durably, and only when something in it changed.
 *
 *     u32 magic "WHP1" | u32 version | u64 length | SHA-256 of the record | the record (msgpack)
 *
 * Numbers are little-endian. Pure functions and blocking, small input and output; any thread.
 */
#ifndef WHERRY_NODE_PEERS_H
#define WHERRY_NODE_PEERS_H

#include "store/record.h"

struct buf;
struct err;
struct node;

enum {
    PEERS_FILE_MAX = 1 << 20,
    PEERS_MAX = 1024, /* members in it */
};

/* Another member. */
struct known_peer {
    int64_t id;
    char *name;
    char *address; /* as the table of nodes has it, "10.0.0.2:7400" */
    struct bytes public_key;
    struct bytes record; /* the newest it signed (book.h); empty: none was seen */
    struct bytes signature;
};

struct peers {
    struct known_peer *members; /* the others */
    size_t members_n;
    struct known_peer self; /* id, record and signature only */
};

extern const struct record_type known_peer_type, peers_type;

/* The members in @nodes but @self_id, without records. Release with record_release(&peers_type). */
void peers_from_nodes(const struct node *nodes, size_t n, int64_t self_id, struct peers *ret_peers);

/* The member @id among the others, or NULL. Borrowed. */
struct known_peer *peers_find(const struct peers *peers, int64_t id);

/* Append the content of the file to @out. */
void peers_encode(const struct peers *peers, struct buf *out);

/* Take the content of the file apart: ERR_CORRUPT, or ERR_UNSUPPORTED for a later version. */
int peers_decode(const void *data, size_t len, struct peers *ret_peers, struct err *err);

/* Read DIR/peers, DIR being the folder of the identity. ERR_NOTFOUND when there is none. */
int peers_load(const char *dir, struct peers *ret_peers, struct err *err);

/* Replace DIR/peers, durably. */
int peers_save(const char *dir, const struct peers *peers, struct err *err);

#endif
