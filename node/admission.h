/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission - what strangers and members say to each other on the bus port: one request, one reply,
 * each a record.
 */
#ifndef WHERRY_NODE_ADMISSION_H
#define WHERRY_NODE_ADMISSION_H

#include "store/model.h"

/* What a machine without a pinned key sends. */
struct admission {
    char *token;
    struct node node;   /* its description; the key is taken from the connection */
    bool replace;       /* in the place of a member of its name that is down */
    bool ask;           /* it does not want in: is node.id a member still? No token is needed */
    struct bytes renew; /* node.id lost its log and asks for a raft id; of 16 bytes, a request id */
};

/* What it gets. */
struct welcome {
    int64_t code; /* wire number of an error, 0: welcome */
    char *message;
    char *cluster;
    int64_t node_id;
    char *ca_cert; /* only of a cluster of the first release, as is the next */
    char *ca_key;
    char *chain;            /* its certificate (cluster/authority.h) */
    int64_t key_generation; /* the cluster key, unless it is a witness */
    struct bytes key;
    bool locked;        /* … which is to be in memory only */
    int64_t raft_id;    /* to one that asked to be renewed */
    struct node *nodes; /* where the members are */
    size_t nodes_n;
};
extern const struct record_type admission_type, welcome_type;

#endif
