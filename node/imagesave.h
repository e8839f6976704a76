/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagesave - archives of images that are being fetched piece by piece.
 *
 * An archive is no file: its pieces are made as they are asked for (runtime/image.h). One that
 * nobody asked for within some minutes is given up; until then its images stay. Loop thread.
 */
#ifndef WHERRY_NODE_IMAGESAVE_H
#define WHERRY_NODE_IMAGESAVE_H

struct api_call;
struct image_save_request;

/* Answer image.save. */
void image_save(struct api_call *c, const struct image_save_request *request);

#endif
