/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context - the clusters this user has logged in to: where their members are, and the token.
 *
 * They are kept in $XDG_CONFIG_HOME/wherry/contexts (~/.config/wherry/contexts; the file 0600, its
 * folder 0700), a text of lines:
 *
 *     wherry contexts 1
 *     current home               which one is used when nothing else is said; may be missing
 *     context home               begins a context; what follows is of it
 *     cluster 5f0e…              its uuid
 *     address 10.0.0.1:7401      of a member, the one to try first first; several
 *     token wherry1-c-…
 *
 * The file holds secrets: one that others may read, or that is not the user's own, is refused. So
 * is anything in it that this version does not know. It is replaced as a whole, durably, under a
 * lock. Any thread.
 */
#ifndef WHERRY_CLI_CONTEXT_H
#define WHERRY_CLI_CONTEXT_H

#include <stddef.h>

struct buf;
struct err;

enum {
    CONTEXTS_VERSION = 1,
    CONTEXTS_MAX = 64,
    CONTEXT_ADDRESSES_MAX = 256,
    CONTEXTS_BYTES_MAX = 1 << 20,
};

/* The name that stands for this machine's own socket. */
#define CONTEXT_LOCAL "local"

struct context {
    char *name;
    char *cluster;
    char **addresses;
    size_t addresses_n;
    char *token;
};

struct contexts {
    char *current; /* NULL: none */
    struct context *items;
    size_t n;
};

/* Free what it owns, secrets wiped, and zero it. */
void contexts_release(struct contexts *contexts);

/* The context of that name, or NULL. Borrowed. */
struct context *contexts_find(const struct contexts *contexts, const char *name);

/* Put in a context (copied) in place of that of its name. ERR_TOOBIG: there are too many,
 * ERR_INVALID: a part of it is not as it must be. */
int contexts_put(struct contexts *contexts, const struct context *context, struct err *err);

/* Take out the context of that name; when it was the current one, none is. ERR_NOTFOUND. */
int contexts_remove(struct contexts *contexts, const char *name, struct err *err);

/* Read @len bytes of a file. ERR_CORRUPT names the line, ERR_UNSUPPORTED another version. */
int contexts_parse(const char *text, size_t len, struct contexts *ret, struct err *err);

/* Append the file. */
void contexts_format(const struct contexts *contexts, struct buf *out);

/* Where the file is. The caller frees *@ret_path. */
int contexts_path(char **ret_path, struct err *err);

/* Read the file. None: no contexts. */
int contexts_load(struct contexts *ret, struct err *err);

/* Change the file: @edit gets what is in it; when it returns 0 that is written. */
typedef int (*contexts_edit_cb)(struct contexts *contexts, void *arg, struct err *err);
int contexts_change(contexts_edit_cb edit, void *arg, struct err *err);

#endif
