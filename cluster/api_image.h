/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_image - records of the verbs about the images of one member (api.h has those of loading and
 * pulling). "node" is the member that is asked, by name; "" for the one that is called.
 */
#ifndef WHERRY_CLUSTER_API_IMAGE_H
#define WHERRY_CLUSTER_API_IMAGE_H

#include "store/record.h"

struct image_list_request {
    char *node;
};

/* An image by a name, a digest or the first digits of one. */
struct image_request {
    char *name;
    char *node;
};

struct image_tag_request {
    char *image;
    char *name; /* the new one */
    char *node;
};

/* Names that were given or taken off. */
struct image_names_reply {
    char **names;
    size_t names_n;
};

struct image_layer_record {
    char *digest;
    char *diff_id;
    int64_t size_bytes;
    int64_t unpacked_bytes;
    bool damaged;
};

struct image_history_record {
    char *created;
    char *created_by;
    char *comment;
    int64_t layer; /* from 1; 0: none */
    int64_t size_bytes;
};

struct image_record {
    char **names;
    size_t names_n;
    char *digest;
    char *config_digest;
    char *os;
    char *architecture;
    char *variant;
    char *created; /* as the image says it */
    char *author;
    int64_t size_bytes;
    int64_t unpacked_bytes;
    int64_t pulled_ms;
    int64_t used_ms;
    char **containers;
    size_t containers_n;
    bool kept;
    bool damaged;
    char **entrypoint;
    size_t entrypoint_n;
    char **cmd;
    size_t cmd_n;
    char **env;
    size_t env_n;
    char *user;
    char *working_dir;
    char *stop_signal;
    char **volumes;
    size_t volumes_n;
    char **exposed;
    size_t exposed_n;
    char **labels;
    size_t labels_n;
    struct image_layer_record *layers; /* lowest first */
    size_t layers_n;
    struct image_history_record *history; /* oldest first */
    size_t history_n;
};

/* Id "" makes an archive of the images @names ready, which is in the reply's name from then on. A
 * piece of it, or with @done: nobody needs it any more. */
struct image_save_request {
    char *id;
    char **names;
    size_t names_n;
    int64_t offset;
    bool done;
    char *node;
};

struct image_save_reply {
    char *id;
    int64_t size;
    struct bytes data;
};

struct image_prune_request {
    bool all;
    bool dry_run;
    char *node;
};

struct image_check_request {
    bool repair;
    char *node;
};

/* What image.check found (runtime/image.h). */
struct image_finding_record {
    char *image;
    char *part;
    char *problem;
    char *containers;
    bool fatal;
    bool repaired;
};

/* How much it looked at. */
struct image_checked {
    int64_t images;
    int64_t blobs;
    int64_t layers;
    int64_t bytes;
    struct image_finding_record *findings;
    size_t findings_n;
};

extern const struct record_type image_list_request_type, image_request_type, image_tag_request_type,
    image_names_reply_type, image_record_type, image_save_request_type, image_save_reply_type,
    image_prune_request_type, image_check_request_type, image_finding_record_type,
    image_checked_type, image_layer_record_type, image_history_record_type;

#endif
