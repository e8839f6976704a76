/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_write - a tree of files as a tar archive in pax format (POSIX.1-2017, pax; xattrs as
 * SCHILY.xattr.NAME, holes as GNU sparse format 1.0, both as GNU tar and Go read them).
 *
 * The tree may be a stranger's, and change meanwhile: no link is followed, only regular files are
 * opened, what is longer than it was is cut and what is shorter filled with zeros. Devices, pipes
 * and sockets are never opened; sockets are left out.
 *
 *     struct tar_writer *w = tar_writer_new(&options);
 *     tar_write_tree(w, parent_fd, "www", "html", &err);     www, called html in the archive
 *     tar_writer_end(w, &err);
 *     tar_writer_free(w);
 */
#ifndef WHERRY_BASE_TAR_WRITE_H
#define WHERRY_BASE_TAR_WRITE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct tar_writer;

enum {
    TAR_BLOCK = 512,
    TAR_DEPTH_MAX = 256,
};

struct tar_options {
    int fd;            /* where the archive goes */
    int64_t max_bytes; /* of the archive */
    bool owners;       /* with owners; else all is 0:0 */
    bool follow;       /* the link that tar_write_tree() is given, not those below */
    /* It is the writable layer of an overlay: a device 0/0 becomes ".wh.NAME", and a folder that
     * @is_opaque says hides those below it gets ".wh..wh..opq" (OCI image specification, layer.md).
     * @path is the folder's in the archive. NULL: a plain tree. */
    bool (*is_opaque)(void *arg, const char *path);
    /* Told how many bytes were written so far; false ends it with ERR_CANCELED. May be NULL. */
    bool (*on_progress)(void *arg, int64_t bytes);
    void *arg;
};

struct tar_writer *tar_writer_new(const struct tar_options *options);
void tar_writer_free(struct tar_writer *w);

/* Add @name of the folder @parent_fd, with all below it, as @as. With @name "." the folder itself;
 * with @as "." its entries stand at the archive's top. */
int tar_write_tree(struct tar_writer *w, int parent_fd, const char *name, const char *as,
                   struct err *err);

/* Write the end of the archive. */
int tar_writer_end(struct tar_writer *w, struct err *err);

#endif
