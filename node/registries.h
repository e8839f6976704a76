/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries - how this member reaches the registries of images: the answer to what the runtime
 * asks (runtime/registry.h).
 *
 *     state (passwords sealed) ──loop: registries_on_change()──► snapshot, with the cluster key
 *                                                                     │ any thread
 *     runtime ──registries_access("docker.io")──► opens that one password, for this one use
 *
 * The passwords lie in memory as they lie in the state: sealed. What the runtime is given it wipes
 * (registry_access_release()).
 */
#ifndef WHERRY_NODE_REGISTRIES_H
#define WHERRY_NODE_REGISTRIES_H

struct buf;
struct daemon;
struct err;
struct registries;
struct registry;
struct registry_access;
struct seal_key;
struct sealed;

/* Begin, with none; before this machine is a member it knows of none. */
struct registries *registries_new(struct daemon *d);

/* When no thread asks any more. NULL is fine. */
void registries_free(struct registries *r);

/* The state's registries, or the cluster key held here, may have changed. Loop thread. */
void registries_on_change(struct registries *r);

/* A registry_access_cb; @arg is the struct registries. ERR_UNAVAILABLE when somebody is logged in
 * to
 * @name, but this member cannot open the password now: the message says why and what to do. Any
 * thread. */
int registries_access(void *arg, const char *name, struct registry_access *ret_access,
                      struct err *err);

/* The parts of @registry as the runtime takes them, with @password (may be NULL). Pure. */
void registries_describe(const struct registry *registry, const char *password,
                         struct registry_access *ret_access);

/* Seal the password of the registry @name into @ret. */
void registries_seal(const struct seal_key *key, const char *name, const char *password,
                     struct sealed *ret);

/* Append the password of @registry to @out, which the caller wipes. ERR_DENIED when @key is not the
 * one that it was sealed by, or it is damaged. */
int registries_open(const struct seal_key *key, const struct registry *registry, struct buf *out,
                    struct err *err);

#endif
