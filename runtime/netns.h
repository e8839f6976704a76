/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns - step into another network namespace and back.
 *
 * Only the calling thread moves; what it opens meanwhile (sockets, files of /proc/sys/net) belongs
 * to that namespace. Always leave again in the same function.
 */
#ifndef WHERRY_RUNTIME_NETNS_H
#define WHERRY_RUNTIME_NETNS_H

#include <sys/types.h>

struct err;

/* Move the calling thread into the namespace bind-mounted at @path. *ret_home is for netns_leave.
 */
int netns_enter(const char *path, int *ret_home, struct err *err);

/* Move back and close @home. Aborts if that fails: a thread must not go on in the wrong place. */
void netns_leave(int home);

/* The number that tells the namespace at @path from all others alive. ERR_NOTFOUND when @path does
 * not hold one. */
int netns_inode(const char *path, ino_t *ret_inode, struct err *err);

#endif
