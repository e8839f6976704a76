/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writes - what tests of consensus write: the cluster's row first, then tokens with the hashes of
 * 0, 1, 2 …, so that each write can be looked for by its number.
 */
#ifndef WHERRY_TESTS_WRITES_H
#define WHERRY_TESTS_WRITES_H

#include "base/digest.h"
#include "cluster/consensus.h"
#include "store/store.h"

static inline void propose_cluster(struct consensus *c, consensus_propose_cb cb, void *arg)
{
    struct change_cluster_init body = {
        .cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                    .ca = "PEM",
                    .pool = "10.192.0.0/10",
                    .vxlan_id = 77},
        .node = {.name = "n1",
                 .address = "10.0.0.1:7400",
                 .public_key = {.data = (unsigned char *)"key", .len = 3}}};
    struct change change = {.kind = CHANGE_CLUSTER_INIT, .body = &body};
    consensus_propose(c, &change, cb, arg);
}

static inline void propose_token(struct consensus *c, int64_t number, consensus_propose_cb cb,
                                 void *arg)
{
    unsigned char hash[DIGEST_BYTES];
    digest_of(&number, sizeof(number), hash);
    struct change_token_add body = {
        .token = {.kind = TOKEN_JOIN, .hash = {.data = hash, .len = sizeof(hash)}}};
    struct change change = {.kind = CHANGE_TOKEN_ADD, .body = &body};
    consensus_propose(c, &change, cb, arg);
}

/* True when token @number is in the store. */
static inline bool has_token(struct store *store, int64_t number)
{
    unsigned char hash[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    struct token token;
    digest_of(&number, sizeof(number), hash);
    hex_encode(hash, sizeof(hash), hex);
    if (store_find(store, TABLE_TOKEN, hex, &token) < 0)
        return false;
    record_release(&token_type, &token);
    return true;
}

#endif
