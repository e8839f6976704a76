/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysctl - kernel parameters of a container: those alone that belong to a namespace of its own.
 * Pure.
 */
#ifndef WHERRY_RUNTIME_SYSCTL_H
#define WHERRY_RUNTIME_SYSCTL_H

struct container_spec;
struct err;

/* ERR_INVALID for a parameter of @spec that is not "NAME=VALUE", or that would be the machine's:
 * net.* needs a network namespace, kernel.{shm*,msg*,sem} and fs.mqueue.* an IPC namespace of the
 * container's own; others are refused. */
int sysctl_check(const struct container_spec *spec, struct err *err);

#endif
