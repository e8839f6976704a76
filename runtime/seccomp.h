/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp - the system calls that a container does not get by default.
 *
 * A list of what is denied, close to what Docker's default profile denies: what reaches the
 * kernel's inside (modules, kexec, bpf, raw clocks), other processes' secrets (keyrings) or a wider
 * attack surface (user namespaces, io_uring, userfaultfd, mounts).
 */
#ifndef WHERRY_RUNTIME_SECCOMP_H
#define WHERRY_RUNTIME_SECCOMP_H

struct json_t;

/* The "seccomp" object of an OCI config; the caller owns it. NULL on an architecture whose calls
 * are not known here: then there is no filter. */
struct json_t *seccomp_json(void);

#endif
