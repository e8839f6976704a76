/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp_bpf - a profile as the program the kernel takes, made once for many containers.
 *
 * An OCI runtime compiles "linux.seccomp" anew at each start, a third of crun's time with a profile
 * of 400 calls. crun takes the compiled program instead (annotation run.oci.seccomp_bpf_data); one
 * that does not know the annotation compiles as ever.
 */
#ifndef WHERRY_RUNTIME_SECCOMP_BPF_H
#define WHERRY_RUNTIME_SECCOMP_BPF_H

#include <stdint.h>

struct seccomp_profile;

/* Programs that were made; zeroed is empty. Thread-safe. */
struct seccomp_cache;

/* A new cache, and its end (NULL is fine). */
struct seccomp_cache *seccomp_cache_new(void);
void seccomp_cache_free(struct seccomp_cache *cache);

/* The program of @profile for @capabilities on @kernel (as seccomp_json() has them), in base64.
 * NULL when it cannot be made here: then the OCI runtime may say why. Borrowed from @cache. The
 * profile must outlive the cache: it is known by its address. */
const char *seccomp_program(struct seccomp_cache *cache, const struct seccomp_profile *profile,
                            uint64_t capabilities, unsigned kernel);

#endif
