/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci - the OCI runtime (crun, runc or another by name) by its command line.
 *
 * Only "run" and "exec" start a process. A container's end needs none: its control group is emptied
 * by us and the runtime's note of it is a folder below run_dir/oci.
 */
#ifndef WHERRY_RUNTIME_OCI_H
#define WHERRY_RUNTIME_OCI_H

struct err;
struct runtime;

/* Find the OCI runtime that works here by having each candidate run a container, and fill
 * rt->oci_*. @wanted as in struct runtime_config. ERR_UNAVAILABLE with what each one said. */
int oci_probe(struct runtime *rt, const char *wanted, struct err *err);

/* Command line that creates and starts container @id of @bundle and returns. A NULL-terminated
 * array; free with image_strings_free(). */
char **oci_run_argv(const struct runtime *rt, const char *id, const char *bundle);

/* Command line that runs @argv in container @id and waits for it. Likewise. */
char **oci_exec_argv(const struct runtime *rt, const char *id, const char *pid_file,
                     const char *const *argv);

/* Have the runtime forget container @id, whose processes are gone. */
void oci_forget(const struct runtime *rt, const char *id);

/* Set @err to ERR_FAILED with the error the runtime wrote to its log @path, if any; else with
 * @fallback. */
int oci_log_error(const char *path, const char *fallback, struct err *err);

#endif
