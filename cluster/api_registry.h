/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_registry - what is asked and answered about registries of images. Included by api.h.
 */
#ifndef WHERRY_CLUSTER_API_REGISTRY_H
#define WHERRY_CLUSTER_API_REGISTRY_H

#include "store/model.h"

/* Change the given parts of how a registry is reached; one that is not known yet is added. One of
 * which nothing is left, without login, mirrors, CA and plain_http, is removed. */
struct registry_set_request {
    char *name;
    bool set_login;
    char *username; /* "": log out. ERR_NOTFOUND when nobody is logged in */
    char *password;
    bool check; /* with a login: ask the registry first whether it takes it (ERR_DENIED) */
    bool set_mirrors;
    char **mirrors;
    size_t mirrors_n;
    bool set_plain_http;
    bool plain_http;
    bool set_ca;
    char *ca; /* PEM, "" for none */
};

/* All of a registry but its password, which nobody is told. */
struct registry_info {
    char *name;
    char *username; /* "": nobody is logged in */
    char *login;    /* "none", "sealed"; "due": its password was lost in a restore */
    char **mirrors;
    size_t mirrors_n;
    bool plain_http;
    char *ca; /* PEM */
    int64_t created_ms;
    int64_t modified_ms;
};

struct registry_list_reply {
    struct registry_info *registries;
    size_t registries_n;
};

extern const struct record_type registry_info_type;

#endif
