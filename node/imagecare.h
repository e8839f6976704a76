/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagecare - which images this machine keeps, and what it deletes when its disk gets short.
 *
 * The images of all services and of the revisions they may roll back to stay, whether a container
 * of theirs is here or not: the runtime is told soon after either changed. Once a minute it is
 * asked whether the disk is short (image_make_room() in runtime/image.h). Loop thread; the work is
 * done by jobs.
 */
#ifndef WHERRY_NODE_IMAGECARE_H
#define WHERRY_NODE_IMAGECARE_H

struct daemon;
struct imagecare;

/* Begin, once this machine is a member. */
struct imagecare *imagecare_new(struct daemon *d);

/* The tables of the mask @tables changed. */
void imagecare_on_change(struct imagecare *care, unsigned tables);

/* No more jobs. */
void imagecare_stop(struct imagecare *care);

/* Free, when no job runs any more. NULL is fine. */
void imagecare_free(struct imagecare *care);

#endif
