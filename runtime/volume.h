/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume - named local volumes: folders of this machine that outlive containers.
 */
#ifndef WHERRY_RUNTIME_VOLUME_H
#define WHERRY_RUNTIME_VOLUME_H

struct err;
struct runtime;

/* Make volume @name ([a-zA-Z0-9_.-], at most 128 bytes) if it is missing, durably, and write its
 * absolute folder to *@ret_path, which the caller frees. */
int volume_ensure(struct runtime *rt, const char *name, char **ret_path, struct err *err);

/* Delete volume @name with its content. A missing one is fine. */
int volume_remove(struct runtime *rt, const char *name, struct err *err);

#endif
