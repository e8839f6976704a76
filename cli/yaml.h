/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml - a YAML 1.2 document as a tree with positions, from libfyaml's events.
 *
 * Aliases are the node they point to, shared, and merge keys ("<<") are carried out, so a tree may
 * be a graph but never has a cycle. A text that would grow past the limits below when expanded is
 * refused, as are duplicate keys, keys that are no scalars, tags but the core schema's and a second
 * document. Pure; any thread.
 */
#ifndef WHERRY_CLI_YAML_H
#define WHERRY_CLI_YAML_H

#include <stdbool.h>
#include <stddef.h>

enum {
    YAML_DEPTH_MAX = 32,
    YAML_NODES_MAX = 50000,     /* written in the text */
    YAML_EXPANDED_MAX = 200000, /* with every alias replaced by its content */
    YAML_ANCHORS_MAX = 1000,
};

enum yaml_kind {
    YAML_NULL, /* nothing, "~" or "null", unquoted */
    YAML_SCALAR,
    YAML_LIST,
    YAML_MAP,
};

struct yaml;

struct yaml_pair {
    struct yaml *key; /* a scalar */
    struct yaml *value;
};

struct yaml {
    enum yaml_kind kind;
    bool plain; /* a scalar without quotes and no block */
    int line;   /* one-based */
    int column; /* one-based, in characters */
    char *text; /* scalars */
    struct yaml **items;
    struct yaml_pair *pairs;
    size_t n;      /* of items or pairs */
    size_t room;   /* for that many there is memory */
    size_t weight; /* nodes in it, aliases expanded */
};

struct yaml_document {
    struct yaml *root; /* NULL when the text holds no document */
    struct yaml **nodes;
    size_t nodes_n;
};

struct yaml_error {
    int line;
    int column;
    char msg[240];
};

/* Parse @len bytes. Returns 0, or ERR_INVALID with @error filled and *@ret untouched. */
int yaml_parse(const char *text, size_t len, struct yaml_document *ret, struct yaml_error *error);

/* Free the tree. */
void yaml_release(struct yaml_document *document);

/* The value of @key in @map, or NULL when it is not there or @map no mapping. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);

#endif
