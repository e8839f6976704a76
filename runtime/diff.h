/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff - what a container changed of its image's files.
 *
 * By its writable layer alone (kernel documentation, filesystems/overlayfs.rst): what is in there
 * and in no layer of the image was added, what is in both was changed, a device 0/0 deletes, and a
 * folder that is opaque deletes what the layers below have in it. Volumes are no part of it. Links
 * are not followed, no file is opened. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_DIFF_H
#define WHERRY_RUNTIME_DIFF_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct runtime;

enum {
    DIFF_CHANGES_MAX = 20000,
    DIFF_BYTES_MAX = 2 << 20, /* of paths */
};

struct container_change {
    char kind;  /* 'A' added, 'C' changed, 'D' deleted */
    char *path; /* "/etc/motd" */
};

/* The changes of container @id by path; *@ret_cut: there are more. Free with
 * container_changes_free(). */
int container_diff(struct runtime *rt, const char *id, struct container_change **ret, size_t *ret_n,
                   bool *ret_cut, struct err *err);

void container_changes_free(struct container_change *changes, size_t n);

/* The same for the folder @upper above @layers (lowest first, NULL-terminated). For tests, too. */
int diff_folders(const char *upper, const char *const *layers, struct container_change **ret,
                 size_t *ret_n, bool *ret_cut, struct err *err);

#endif
