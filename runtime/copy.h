/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy - files out of and into a container, running or not, as tar archives.
 *
 * Neither the container's files nor the archive are read in this process: wherry-image does it,
 * confined, on a copy of the container's mounts (runtime/fetch/tarball.h), so volumes are seen as
 * the container sees them. Of one that does not run the root is mounted for the time; a path in a
 * volume of it leads into that volume, volumes below a folder that is copied are left out.
 *
 * Whoever copies reaches what the container has mounted of its machine, and decides what runs in
 * it. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_COPY_H
#define WHERRY_RUNTIME_COPY_H

#include "runtime/image.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct runtime;

/* What is at a path. */
struct container_file {
    char kind[8]; /* "file", "folder", "link", "other", "none" */
    bool parent;  /* the folder that it is in, or would be in, is there */
    int64_t mode;
    int64_t size;
    char link[4096]; /* what a link says */
};

/* Look at @path of container @id. A link at its end is not followed, others are. */
int container_look(struct runtime *rt, const char *id, const char *path, struct container_file *ret,
                   struct err *err);

/* Write @path with all below it as a tar archive to @fd, at most @max_bytes. ERR_NOTFOUND. */
int container_copy_out(struct runtime *rt, const char *id, const char *path, int fd,
                       int64_t max_bytes, image_progress_cb progress, void *arg, struct err *err);

/* Unpack the tar archive (plain, gzip or zstd) at @fd into the folder @path, which must exist.
 * @owners: keep the archive's, else all belongs to 0:0. ERR_DENIED where it is read-only. A failure
 * may leave a part. */
int container_copy_in(struct runtime *rt, const char *id, const char *path, int fd, bool owners,
                      image_progress_cb progress, void *arg, struct err *err);

/* Write all of volume @name as container_copy_out does; its content may change meanwhile, unless it
 * is that of a @snapshot (NULL or "": none). With owners, modes, links and extended attributes.
 * ERR_NOTFOUND. */
int volume_copy_out(struct runtime *rt, const char *name, const char *snapshot, int fd,
                    int64_t max_bytes, image_progress_cb progress, void *arg, struct err *err);

/* Make volume @name, if it is missing, and unpack the archive into it, durably. ERR_EXISTS when
 * there is something in it, unless @replace: then that goes first. ERR_CONFLICT when a container of
 * this machine has it. A failure leaves it empty. */
int volume_copy_in(struct runtime *rt, const char *name, int fd, bool replace,
                   image_progress_cb progress, void *arg, struct err *err);

/* --- for commit.c ----------------------------------------------------------------------------- */

/* Write the writable layer of @id to @fd as a layer of an image. */
int copy_layer(struct runtime *rt, const char *id, int fd, int64_t max_bytes,
               image_progress_cb progress, void *arg, struct err *err);

#endif
