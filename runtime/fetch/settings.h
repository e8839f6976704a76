/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings - what the runtime tells wherry-image about the registries to speak with.
 *
 * A JSON document at descriptor 3, so that credentials are in no argument, environment or file:
 *
 *     {"platform": "linux/arm64", "stall_s": 30,
 *      "proxy": {"http": URL, "https": URL, "except": "a,b"},
 *      "endpoints": [{"url": "https://mirror:5000", "registry": "mirror:5000",
 *                     "username": ..., "password": ..., "ca": PEM, "mirror": true}, ...],
 *      "push": {"manifest": DIGEST, "mounts": {DIGEST: REPOSITORY}}}
 *
 * It is read before the process confines itself, with the system's certificates.
 */
#ifndef WHERRY_RUNTIME_FETCH_SETTINGS_H
#define WHERRY_RUNTIME_FETCH_SETTINGS_H

#include "runtime/image_name.h"

#include <stdbool.h>
#include <stddef.h>

struct err;

enum {
    SETTINGS_MAX = 8 << 20, /* bytes of the document */
    SETTINGS_ENDPOINTS_MAX = 17,
};

/* A place that has the registry's content: a mirror, or the registry itself. */
struct endpoint {
    char *url;      /* "https://registry-1.docker.io", without a slash at its end */
    char *registry; /* for people: "docker.io", "mirror.example" */
    char *username; /* NULL: none */
    char *password;
    char *ca;    /* PEM to trust: the system's certificates and its own */
    bool plain;  /* http */
    bool mirror; /* not the registry itself */
};

/* A blob that another repository of the registry has. */
struct settings_mount {
    char digest[IMAGE_DIGEST_SIZE];
    char *repository;
};

struct settings {
    struct endpoint endpoints[SETTINGS_ENDPOINTS_MAX]; /* in the order to try them */
    size_t endpoints_n;
    char *platform;    /* "OS/ARCHITECTURE[/VARIANT]", or NULL: this machine's */
    char *proxy_http;  /* NULL: none */
    char *proxy_https; /* likewise */
    char *proxy_except;
    long stall_s;                          /* so long without bytes is a stall */
    char push_manifest[IMAGE_DIGEST_SIZE]; /* "" when nothing is to be pushed */
    struct settings_mount *mounts;
    size_t mounts_n;
};

/* Read the document at @fd and the system's certificates. It is empty afterwards. */
int settings_read(int fd, struct settings *ret, struct err *err);

/* Free what @settings holds, overwriting secrets, and zero it. */
void settings_release(struct settings *settings);

#endif
