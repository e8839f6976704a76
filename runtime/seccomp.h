/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp - which system calls a container gets: profiles, and what they are for one container.
 *
 * A profile is in Docker's format (moby's profiles/seccomp, also containers-common's seccomp.json):
 * rules that hold or not by the container's capabilities, the architecture and the kernel. What
 * holds becomes "linux.seccomp" of an OCI config (config-linux.md, Seccomp).
 *
 * The default is built in (seccomp_default.c): an allow list. A call that is known and kept back
 * gives EPERM, one that is not known here ENOSYS, so that programs fall back to an older one.
 */
#ifndef WHERRY_RUNTIME_SECCOMP_H
#define WHERRY_RUNTIME_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct json_t;

enum {
    SECCOMP_ARGS_MAX = 6,
    SECCOMP_TEXT_MAX = 1 << 20,
    SECCOMP_RULES_MAX = 1024,
    SECCOMP_NAMES_MAX = 8192, /* of all rules */
};

/* A comparison of a call's argument. */
struct seccomp_arg {
    unsigned index;
    uint64_t value;
    uint64_t value_two;
    const char *op; /* "SCMP_CMP_EQ" */
};

struct seccomp_rule {
    const char *const *names; /* NULL-terminated */
    const char *action;       /* "SCMP_ACT_ALLOW" */
    int errnum;               /* of SCMP_ACT_ERRNO, -1: not said */
    struct seccomp_arg args[SECCOMP_ARGS_MAX];
    size_t args_n;
    uint64_t include_caps;         /* holds only with all of these (capability.h) */
    uint64_t exclude_caps;         /* not with any of these */
    unsigned include_kernel;       /* not before this, major << 16 | minor; 0: any */
    unsigned exclude_kernel;       /* not from this on */
    const char *const *arches;     /* only on these, in Docker's words; NULL: on all */
    const char *const *not_arches; /* not on these */
};

struct seccomp_profile {
    const char *default_action;
    int default_errnum;               /* -1: not said */
    const char *const *architectures; /* "SCMP_ARCH_X86_64", the machine's own and its others */
    const char *const *flags;         /* may be NULL */
    const struct seccomp_rule *rules;
    size_t rules_n;
    struct owned *owned; /* of one that was read */
    void *json;
};

/* The built-in profile. Never freed. */
const struct seccomp_profile *seccomp_default(void);

/* Read a profile from @len bytes of JSON at @text, which are hostile. ERR_INVALID names the place
 * ("syscalls[3].args[0].op: …"), ERR_UNSUPPORTED what cannot be honoured here. Free it with
 * seccomp_profile_free(). */
int seccomp_profile_parse(const char *text, size_t len, struct seccomp_profile **ret_profile,
                          struct err *err);

/* Free one that was read. NULL is fine. */
void seccomp_profile_free(struct seccomp_profile *profile);

/* What @profile says for a container with @capabilities on a kernel of @kernel (major << 16 |
 * minor): the "seccomp" object of an OCI config, which the caller owns. Pure. */
struct json_t *seccomp_json(const struct seccomp_profile *profile, uint64_t capabilities,
                            unsigned kernel);

/* True when @rule is one for such a container. Pure. */
bool seccomp_rule_holds(const struct seccomp_rule *rule, uint64_t capabilities, unsigned kernel);

/* The running kernel, major << 16 | minor. */
unsigned seccomp_kernel(void);

#endif
