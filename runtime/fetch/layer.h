/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer - unpack a layer of an image as a folder that overlayfs can stack.
 *
 * The archive's whiteouts become overlayfs' own: ".wh.NAME" a character device 0/0, and a folder
 * that hides what lower layers have in it is reported as opaque, whatever the order of the entries
 * (OCI image specification, layer.md). trusted.overlay.opaque itself is set by the runtime: it asks
 * for CAP_SYS_ADMIN, which nothing that reads strangers' archives shall have.
 */
#ifndef WHERRY_RUNTIME_FETCH_LAYER_H
#define WHERRY_RUNTIME_FETCH_LAYER_H

#include "runtime/image_name.h"

#include <stdint.h>

struct err;

enum {
    LAYER_ENTRIES_MAX = 2000000,
    LAYER_FOLDER_NAMES_MAX = 128 << 20, /* bytes of folder names remembered */
};

/* What to unpack, where, and whom to tell. */
struct layer_job {
    int blob_fd;                                     /* the layer as its registry has it */
    int root_fd;                                     /* an empty folder */
    const char *digest;                              /* of the blob */
    int64_t size;                                    /* of the blob */
    const char *diff_id;                             /* of the tar in it */
    int64_t max_bytes;                               /* that it may unpack to */
    void (*on_opaque)(void *arg, const char *path);  /* may repeat itself */
    void (*on_implied)(void *arg, const char *path); /* made, but not named by the archive */
    void (*on_progress)(void *arg, int64_t bytes);   /* of the blob; may be NULL */
    void *arg;
};

/* Unpack and check digest, size and diff_id. On failure the folder holds a part. Names, links and
 * attributes of the archive cannot reach outside the root. */
int layer_unpack(const struct layer_job *job, struct err *err);

#endif
