/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege - which specs give their containers more of a machine than a container has.
 *
 * A deployer may run any program as root inside a container. What leads out of it is an admin's to
 * deploy: files and devices of the machine, its namespaces, further capabilities, fewer filters of
 * system calls, priority over its own processes. Pure; any thread.
 */
#ifndef WHERRY_NODE_PRIVILEGE_H
#define WHERRY_NODE_PRIVILEGE_H

#include "store/model.h"

struct err;

/* ERR_DENIED, naming the key and @service, when @spec asks for what only an admin may deploy. */
int privilege_check(const struct spec *spec, const char *service, struct err *err);

#endif
