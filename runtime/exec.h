/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec - a command in a running container, with input, output and perhaps a terminal of its own.
 *
 *     exec_start(rt, id, "a name", &spec, &err)
 *     exec_attach(rt, id, "a name", 0, &fd, &err)       attach.h
 *
 * The OCI runtime starts it, so that all of the container's confinement is its own too (namespaces,
 * control group, seccomp filter, capabilities); a shim of its own owns it from then on
 * (runtime/shim/ protocol.h), in containers/ID/exec/NAME below the run folder. That one keeps every
 * byte of output until it was acknowledged and outlives this process. It ends the command when
 * nobody has been attached for 60 s, and removes the folder when the end was fetched. Any thread.
 */
#ifndef WHERRY_RUNTIME_EXEC_H
#define WHERRY_RUNTIME_EXEC_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct runtime;

struct exec_spec {
    const char *const *argv; /* NULL-terminated */
    const char *const *env;  /* "K=V" over the container's; NULL-terminated or NULL */
    const char *user;        /* as container_spec's; NULL: the container's */
    const char *working_dir; /* NULL: the container's */
    bool tty;
    bool stdin_open;
    bool privileged;        /* all capabilities this process has */
    uint16_t rows, columns; /* of the terminal, 0: unknown */
    const char *owner;      /* kept with it: exec_owner(); NULL: "" */
};

enum {
    EXEC_NAME_LEN = 32,
    EXECS_MAX = 64, /* in one container at a time */
};

/* Start @spec as @name, 32 lower-case hexadecimal digits that the caller draws, in container @id.
 * Returns once the program was executed; ERR_FAILED has the OCI runtime's own words when it was not
 * ("executable file `foo` not found"), ERR_NOTFOUND: the container does not run, or a user is not
 * there, ERR_BUSY: too many run there. */
int exec_start(struct runtime *rt, const char *id, const char *name, const struct exec_spec *spec,
               struct err *err);

/* True for a name as above. */
bool exec_name_ok(const char *name);

/* Its folder; the caller frees it. */
char *exec_dir(const struct runtime *rt, const char *id, const char *name);

/* What was kept as its owner; the caller frees it. NULL: there is no such command. */
char *exec_owner(const struct runtime *rt, const char *id, const char *name);

/* Remove what commands left whose shims were killed, and end them. */
void exec_sweep(struct runtime *rt, const char *id);

#endif
