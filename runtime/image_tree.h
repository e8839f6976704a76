/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_tree - what is in an unpacked layer: one digest over all of it, and how much it is.
 *
 * The digest is SHA-256 over the entries, each folder's in the order of their names' bytes, before
 * what is below them. An entry is its path, type, permissions, owner, time of modification (not of
 * the root), device number, link target, extended attributes in order of their names (user.*,
 * trusted.*, security.capability, POSIX ACLs), and content; a further name of a file already seen
 * is the path of the first. Every part stands behind its length. Holes count as the zeros they read
 * as.
 *
 * It is taken by the runtime when a layer was unpacked, so the helper that reads strangers'
 * archives has no say in it, and compared by image_check().
 */
#ifndef WHERRY_RUNTIME_IMAGE_TREE_H
#define WHERRY_RUNTIME_IMAGE_TREE_H

#include "runtime/image_name.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

enum {
    IMAGE_TREE_ENTRIES_MAX = 2000000, /* of all layers of an image */
};

struct image_tree {
    char digest[IMAGE_DIGEST_SIZE];
    int64_t entries;
    int64_t bytes; /* that it takes on the disk */
    int64_t size;  /* of its files' content, holes included */
};

/* Called now and then with the bytes read so far. False: give up with ERR_CANCELED. */
typedef bool (*image_tree_cb)(void *arg, int64_t bytes);

/* Read the tree at @path. @cold: from the disk where possible, not from the kernel's cache. More
 * than @max_entries or @max_size (of content) is ERR_TOOBIG. @cb may be NULL. Any thread. */
int image_tree_read(const char *path, bool cold, int64_t max_entries, int64_t max_size,
                    image_tree_cb cb, void *arg, struct image_tree *ret, struct err *err);

/* The digest of the file @fd, from its start; @cold and @cb as above. */
int image_tree_file(int fd, bool cold, image_tree_cb cb, void *arg, char ret[IMAGE_DIGEST_SIZE],
                    struct err *err);

#endif
