/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry_settings - tell wherry-image how to reach a registry.
 *
 * The settings go through a file without a name: credentials are in no argument, no environment
 * and no file. Format: runtime/fetch/settings.h.
 */
#ifndef WHERRY_RUNTIME_REGISTRY_SETTINGS_H
#define WHERRY_RUNTIME_REGISTRY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct registry_access;
struct runtime;

/* A blob that another repository of the same registry has. Borrowed. */
struct registry_mount {
    const char *digest;
    const char *repository;
};

struct registry_wish {
    const char *registry;                 /* "docker.io" */
    const char *platform;                 /* "linux/arm64"; NULL: this machine's */
    const char *const *plain_http;        /* registries the caller names for it; may be NULL */
    const struct registry_access *access; /* instead of asking how it is reached; may be NULL */
    bool mirrors;                         /* try its mirrors first: for reading */
    const char *manifest;                 /* to push; NULL: none */
    const struct registry_mount *mounts;  /* blobs of it that need not be sent */
    size_t mounts_n;
};

/* Make the settings for @wish, asking how the registry and its mirrors are reached. The caller
 * closes *@ret_fd. ERR_INVALID for a mirror that is no URL; what the callback says. */
int registry_settings(const struct runtime *rt, const struct registry_wish *wish, int *ret_fd,
                      struct err *err);

#endif
