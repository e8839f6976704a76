/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_check - what a container's spec may say on any machine. Pure.
 *
 * What depends on the machine is machine.h's.
 */
#ifndef WHERRY_RUNTIME_CONTAINER_CHECK_H
#define WHERRY_RUNTIME_CONTAINER_CHECK_H

#include <stdbool.h>

struct container_spec;
struct err;

/* ERR_INVALID with the field's name for what cannot be honoured anywhere, or not together. */
int container_check(const struct container_spec *spec, struct err *err);

/* An absolute path without "." or ".." parts. */
bool container_path_ok(const char *path);

#endif
