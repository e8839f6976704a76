/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci - the OCI runtimes of this machine: crun, runc and others, by name.
 *
 * Each is behind struct oci_ops; those of oci.c work any runtime by runc's command line. Only "run"
 * and "exec" start a process. A container's end needs none: its control group is emptied by us and
 * the runtime's note of it is a folder below run_dir/oci.
 *
 * That a runtime is there does not say that it works: each is tried once, by running a container.
 * The default when the runtime is opened, the others after that, in a thread of their own, or when
 * one is asked for. A container's runtime is noted in its state folder when it is started, so that
 * a command in it finds the one that made it, whatever the default is by then.
 */
#ifndef WHERRY_RUNTIME_OCI_H
#define WHERRY_RUNTIME_OCI_H

#include <stddef.h>

struct buf;
struct err;
struct oci_runtime;
struct runtime;
struct runtime_config;

/* What one can do. Command lines are NULL-terminated; free them with image_strings_free(). */
struct oci_ops {
    /* That creates and starts container @id of @bundle and returns. */
    char **(*run_argv)(const struct runtime *rt, const struct oci_runtime *oci, const char *id,
                       const char *bundle);
    /* That runs @argv in container @id and waits for it. */
    char **(*exec_argv)(const struct runtime *rt, const struct oci_runtime *oci, const char *id,
                        const char *pid_file, const char *const *argv);
    /* Forget container @id, whose processes are gone. */
    void (*forget)(const struct runtime *rt, const struct oci_runtime *oci, const char *id);
};

enum oci_health {
    OCI_UNTRIED,
    OCI_WORKS,
    OCI_FAILS,
};

struct oci_runtime {
    char *name;   /* "crun", or what the configuration calls it */
    char *wanted; /* a program's name or path */
    const struct oci_ops *ops;
    enum oci_health health;
    char *path;       /* absolute; NULL until it was found */
    char *version;    /* "crun 1.8.1"; NULL until it works */
    const char *hide; /* mount it must not see: crun refuses hybrid cgroups; NULL: none */
    char *reason;     /* why it does not work */
};

/* Those by runc's command line. */
extern const struct oci_ops oci_command_line;

/* List the runtimes of @config, choose the default by trying, and try the others in a thread.
 * ERR_UNAVAILABLE with what each one said when there is none. */
int oci_open(struct runtime *rt, const struct runtime_config *config, struct err *err);

/* Wait for the thread and free the list. */
void oci_close(struct runtime *rt);

/* The runtime called @name, NULL for the default. ERR_NOTFOUND names those there are,
 * ERR_UNAVAILABLE says why it does not work here. Lives as long as @rt. */
int oci_find(struct runtime *rt, const char *name, const struct oci_runtime **ret_oci,
             struct err *err);

/* Note that container @id is made by @oci, and which one it was: the default where nothing is noted
 * (0.2.0) or it is not configured any more. */
int oci_note(const struct runtime *rt, const char *id, const struct oci_runtime *oci,
             struct err *err);
const struct oci_runtime *oci_of(const struct runtime *rt, const char *id);

/* oci_of(@rt, @id)'s command line for an exec. */
char **oci_exec_argv(const struct runtime *rt, const char *id, const char *pid_file,
                     const char *const *argv);

/* Have oci_of(@rt, @id) forget container @id, whose processes are gone. */
void oci_forget(const struct runtime *rt, const char *id);

/* Set @err to ERR_FAILED with the error the runtime wrote to its log @path, if any; else with
 * @fallback. */
int oci_log_error(const char *path, const char *fallback, struct err *err);

/* oci_probe.c: find the program @oci->wanted, have it run a container and fill in the rest. False
 * with the reason in @oci->reason when that did not work. */
int oci_probe(const struct runtime *rt, struct oci_runtime *oci);

/* Remove what probes of a process that was killed left. Before the first oci_probe(). */
void oci_probe_sweep(const struct runtime *rt);

#endif
