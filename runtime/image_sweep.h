/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_sweep - delete what no image needs. Both with the content lock.
 */
#ifndef WHERRY_RUNTIME_IMAGE_SWEEP_H
#define WHERRY_RUNTIME_IMAGE_SWEEP_H

#include <stdbool.h>

struct err;
struct runtime;

/* Make the folders of images and delete what earlier runs left: half-unpacked layers, half-read
 * archives, downloads and blobs that nobody came back for within days. */
int image_sweep(struct runtime *rt, struct err *err);

/* Delete what index_collect finds; blobs only with @blobs. Troubles are logged: what stays is swept
 * at the next start. */
void image_sweep_garbage(struct runtime *rt, bool blobs);

#endif
