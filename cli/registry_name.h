/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry_name - a registry as people write it.
 */
#ifndef WHERRY_CLI_REGISTRY_NAME_H
#define WHERRY_CLI_REGISTRY_NAME_H

struct err;

/* The registry that @text means, as images name it: "https://Index.Docker.io/v1/" and NULL are
 * "docker.io", "https://registry.example:5000/" is "registry.example:5000". ERR_INVALID says how it
 * should look. The caller frees *@ret. Pure. */
int registry_name_read(const char *text, char **ret, struct err *err);

#endif
