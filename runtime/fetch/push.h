/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push - put an image of this machine into a registry.
 */
#ifndef WHERRY_RUNTIME_FETCH_PUSH_H
#define WHERRY_RUNTIME_FETCH_PUSH_H

#include <stdint.h>

struct err;
struct settings;

/* Put the manifest that @settings name and its blobs, files of the folder @blobs_fd called by the
 * digits of their digests, into the repository of @name (normalized), and list it as the name's tag
 * or digest. What the registry has is not sent. @max_bytes does not matter. */
int push_image(const struct settings *settings, const char *name, int blobs_fd, int64_t max_bytes,
               struct err *err);

#endif
