/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry - how the registries that images come from and go to are reached.
 *
 * The runtime keeps no credentials: whoever opened it answers what it asks per registry.
 */
#ifndef WHERRY_RUNTIME_REGISTRY_H
#define WHERRY_RUNTIME_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct runtime;

/* How to reach one registry. All strings are owned; NULL is "none". */
struct registry_access {
    char *username;  /* basic authentication, and for its token service */
    char *password;  /* without a user name: a token of the registry itself; with the user name
                        "<token>" (as Docker stores it): an identity token for its token service */
    char *ca;        /* PEM of certificates to trust besides the system's */
    char **mirrors;  /* base URLs to try first, in order: "https://mirror.example:5000";
                        NULL-terminated or NULL */
    bool plain_http; /* no TLS; registries on loopback are spoken to without as well, unless there
                        is a ca */
};

/* Free what @access holds, overwriting the password, and zero it. */
void registry_access_release(struct registry_access *access);

/* Tell how @registry ("docker.io", "registry.example:5000") is reached: fill the zeroed
 * *@ret_access. Nothing known is no error. Called on any thread, several at once. */
typedef int (*registry_access_cb)(void *arg, const char *registry,
                                  struct registry_access *ret_access, struct err *err);

/* Ask @cb from now on, for mirrors too (their host and port): none gets another's credentials;
 * once, right after runtime_open(). */
void runtime_on_registry(struct runtime *rt, registry_access_cb cb, void *arg);

/* Have @registry accept @access: asks /v2/ with it (OCI distribution specification, end-1), and the
 * token service if it sends us there. ERR_DENIED with its words when it does not take the
 * credentials. Blocks. */
int registry_check(struct runtime *rt, const char *registry, const struct registry_access *access,
                   struct err *err);

#endif
