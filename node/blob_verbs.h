/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob_verbs - what members ask each other about images, and what they answer. Records on the bus.
 *
 *     blob.have    who has these blobs whole, or is getting them; the asker may claim them
 *     blob.read    a piece of one; the answer comes on the bulk connection
 *     image.name   what a name stands for there
 */
#ifndef WHERRY_NODE_BLOB_VERBS_H
#define WHERRY_NODE_BLOB_VERBS_H

#include "store/record.h"

enum {
    BLOB_HAVE_MAX = 256, /* digests in one question */
};

struct blob_have_request {
    char **digests; /* "sha256:…" */
    size_t digests_n;
    bool claims; /* the asker is about to get them from the registry (blob_wants.h) */
};

struct blob_found {
    bool whole;
    int64_t size;  /* when whole */
    int64_t want;  /* enum blob_want */
    int64_t bytes; /* how far a fetch of it is */
};

struct blob_have_reply {
    struct blob_found *blobs; /* one for each that was asked for, in order */
    size_t blobs_n;
};

struct blob_read_request {
    char *digest;
    int64_t offset;
    int64_t len; /* at most BLOB_PIECE_MAX */
};

struct blob_read_reply {
    struct bytes data; /* fewer bytes only at the blob's end */
};

struct image_name_request {
    char *name; /* normalized */
};

struct image_name_reply {
    char *digest; /* of the manifest */
    int64_t created_ms;
};

extern const struct record_type blob_have_request_type, blob_found_type, blob_have_reply_type,
    blob_read_request_type, blob_read_reply_type, image_name_request_type, image_name_reply_type;

#endif
