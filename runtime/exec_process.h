/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_process - the OCI process of a command in a container (OCI runtime specification, config.md,
 * "process"): the container's own with what is asked for in its place.
 */
#ifndef WHERRY_RUNTIME_EXEC_PROCESS_H
#define WHERRY_RUNTIME_EXEC_PROCESS_H

#include <sys/types.h>

struct buf;
struct err;
struct exec_spec;

/* Append the JSON for @spec in the container whose bundle's config.json is @config_path and whose
 * first process is @pid: names of users are looked up in its root. ERR_INVALID for what is no
 * UTF-8, no absolute path, no KEY=VALUE; ERR_NOTFOUND for a user. */
int exec_process_json(const char *config_path, const struct exec_spec *spec, pid_t pid,
                      struct buf *out, struct err *err);

#endif
