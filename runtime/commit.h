/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit - an image of what a container made of its own.
 *
 * The writable layer becomes a layer on top of the image's (a plain tar, so that its digest is its
 * diff_id), the config the image's with what is to be other in it (OCI image specification,
 * config.md, manifest.md). Volumes are no part of it. While the layer is read the container is
 * frozen, unless @no_pause: then files that change meanwhile may be half of the old and half of the
 * new. The image is complete, synced and listed when this returns. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_COMMIT_H
#define WHERRY_RUNTIME_COMMIT_H

#include "runtime/image.h"

struct err;
struct runtime;

/* What the image's config is to say; NULL leaves what is there. Lists are NULL-terminated. */
struct container_commit {
    const char *name; /* of the image */
    const char *author;
    const char *message;
    const char *const *entrypoint;
    const char *const *command;
    const char *const *env;    /* "K=V", over those there are */
    const char *const *labels; /* likewise */
    const char *working_dir;
    const char *user;
    bool no_pause;
};

/* Make the image; *@ret_digest ("sha256:HEX") and *@ret_name, normalized, which the caller frees.
 * ERR_INVALID for a name that is none. */
int container_commit(struct runtime *rt, const char *id, const struct container_commit *commit,
                     image_progress_cb progress, void *arg, char ret_digest[72], char **ret_name,
                     struct err *err);

#endif
