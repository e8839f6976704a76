/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tarball - files of a container as a tar archive, and an archive into a container.
 *
 * Both sides are strangers': the files may change under us, the archive may say anything. So it is
 * done here, confined, with nothing in reach but the tree at descriptor 3 and the archive at
 * descriptor 4. The tree is a copy of the container's mounts on which devices cannot be opened, and
 * every path is resolved in it by openat2(RESOLVE_IN_ROOT): whatever its links say, and however
 * they change meanwhile, they lead inside.
 */
#ifndef WHERRY_RUNTIME_FETCH_TARBALL_H
#define WHERRY_RUNTIME_FETCH_TARBALL_H

#include <stdbool.h>
#include <stdint.h>

struct err;

enum {
    TARBALL_TREE_FD = 3,
    TARBALL_ARCHIVE_FD = 4,
};

/* Before the confinement: have the tree at descriptor 3. @live: it is the /proc/PID of the
 * container's first process, whose mounts are copied; else a detached mount (open_tree(2)). */
int tarball_open_tree(bool live, struct err *err);

/* Say what is at @path: a line "look" with "KIND PARENT MODE SIZE LINK". */
int tarball_look(const char *path, struct err *err);

/* Write @path with all below it, under its last name, to the archive. */
int tarball_out(const char *path, int64_t max_bytes, struct err *err);

/* Write the tree, the writable layer of an overlay, as a layer of an image. */
int tarball_layer(int64_t max_bytes, struct err *err);

/* Unpack the archive into the folder @path, which exists. @owners: keep the archive's, else all is
 * 0:0; @root: the folder itself takes what the archive says of it. What is a folder stays one;
 * devices are refused. */
int tarball_in(const char *path, bool owners, bool root, int64_t max_bytes, struct err *err);

#endif
