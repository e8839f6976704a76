/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_content - what is asked and answered about configs and secrets. Included by api.h.
 */
#ifndef WHERRY_CLUSTER_API_CONTENT_H
#define WHERRY_CLUSTER_API_CONTENT_H

#include "store/model.h"

/* Make a config or secret of no stack, or give it another content. */
struct content_set_request {
    enum content_kind kind;
    char *name;
    struct bytes data;
    bool update;         /* it must be there (ERR_NOTFOUND); else it must not (ERR_EXISTS) */
    struct pair *labels; /* sorted by key; of an update: none keep those there are */
    size_t labels_n;
};

struct content_set_reply {
    int64_t version;
    bool same;       /* it had that content already */
    char **services; /* that get the new one: "app.web" */
    size_t services_n;
};

struct content_request {
    enum content_kind kind;
    char *name; /* "": all */
};

/* The newest version of one. */
struct content_info {
    char *name;
    char *kind;
    int64_t version;
    int64_t versions; /* that are kept */
    char *stack;      /* "": made by hand */
    int64_t size;
    char *state;     /* of a secret: "sealed", or "due": a restore has lost it; else "" */
    char **services; /* that have it, of whichever version */
    size_t services_n;
    struct pair *labels;
    size_t labels_n;
    char *data; /* of an inspected config that is text; "": none, as of a secret always */
    int64_t created_ms;
};

struct content_list_reply {
    struct content_info *contents;
    size_t contents_n;
};

extern const struct record_type content_info_type;

#endif
