/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume_fill - what the image has where a volume is mounted, as the volume's first content.
 *
 * As Docker does it: a volume that is empty gets a copy of the image's folder, with owners, modes,
 * times, links and extended attributes, and the folder's own owner and mode; so a program that does
 * not run as root may write to it. The copy is made beside the volume and put in its place at once,
 * after it is on the disk: a power cut leaves a volume that is empty or whole.
 *
 * The root is hostile: it is looked into without following links out of it. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_VOLUME_FILL_H
#define WHERRY_RUNTIME_VOLUME_FILL_H

struct err;

/* Fill the volume at @folder with what is at @target below @root_fd. Fine when there is no such
 * folder, or something is in the volume already. */
int volume_fill(int root_fd, const char *target, const char *folder, struct err *err);

#endif
