/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - what a registry says about who may come in, taken apart.
 *
 * WWW-Authenticate (RFC 9110, section 11.6.1) and the answer of a token service (Docker registry
 * token authentication specification). Both come from strangers: everything is bounded, nothing is
 * guessed. Pure; any thread.
 */
#ifndef WHERRY_RUNTIME_FETCH_AUTH_H
#define WHERRY_RUNTIME_FETCH_AUTH_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    AUTH_HEADER_MAX = 8192,  /* bytes of all WWW-Authenticate headers of one answer */
    AUTH_VALUE_MAX = 1024,   /* of one parameter */
    AUTH_TOKEN_MAX = 65536,  /* of a token */
    AUTH_EXPIRES_MIN_S = 60, /* what a token lives when its service does not say, or says less */
};

enum auth_scheme {
    AUTH_BASIC,
    AUTH_BEARER,
};

/* A way in that the registry offers. */
struct auth_challenge {
    enum auth_scheme scheme;
    char realm[AUTH_VALUE_MAX]; /* Bearer: the URL of the token service */
    char service[AUTH_VALUE_MAX];
    char scope[AUTH_VALUE_MAX];
};

/* Read @header, the values of all WWW-Authenticate headers joined by ",", and give the best way in
 * that we know: Bearer before Basic. ERR_CORRUPT when it does not follow the grammar or is too
 * long, ERR_UNSUPPORTED when it offers none that we know. */
int auth_challenge_parse(const char *header, struct auth_challenge *ret, struct err *err);

/* What a token service gave. */
struct auth_token {
    char *token;       /* for "Authorization: Bearer" */
    char *refresh;     /* to ask for the next one with; NULL without */
    int64_t expires_s; /* from now on */
};

/* Read the token service's JSON. Only what can stand in a header is taken. auth_token_release. */
int auth_token_parse(const char *json, size_t len, struct auth_token *ret, struct err *err);

/* Free what @token holds, overwriting it, and zero it. */
void auth_token_release(struct auth_token *token);

/* "Basic BASE64(username:password)" (RFC 7617), which the caller frees. */
char *auth_basic(const char *username, const char *password);

/* Overwrite and free a secret. NULL is fine. */
void auth_wipe(char *secret);

#endif
