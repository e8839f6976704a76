/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority - what a cluster's CA does: it is made, certifies members, and hands on to a new one.
 *
 * Everything is PEM. A member's chain is, in the order in which TLS shows it: its own certificate,
 * while the CA is changed the cross certificate, the CA's, and then also that of the CA before. So
 * those who trust either CA find their way.
 *
 * Blocking, small; any thread.
 */
#ifndef WHERRY_CLUSTER_AUTHORITY_H
#define WHERRY_CLUSTER_AUTHORITY_H

#include "store/record.h"

struct err;

enum {
    AUTHORITY_CHAIN_MAX = 4,        /* certificates in a chain */
    AUTHORITY_PEM_MAX = 32 << 10,   /* characters of one */
    AUTHORITY_VALID_S = 90 * 86400, /* how long a member's certificate lasts */
    AUTHORITY_VALID_MIN_S = 5,      /* … at least, when tests say how long */
};

/* A CA. Strings are borrowed. */
struct authority {
    const char *cert;
    const char *key;
    const char
        *cross; /* while it takes over: its key certified by the CA before; else NULL or "" */
    const char *before; /* … and that CA's certificate */
};

/* Make a CA, which comes after the one with certificate @before (NULL: after none). The caller
 * frees both, and wipes the key. */
int authority_new(const char *before, char **ret_cert, char **ret_key, struct err *err);

/* Certify the key of the CA @cert by the CA before. The caller frees it. */
int authority_cross(const char *cert, const char *before, const char *before_key, char **ret_cross,
                    struct err *err);

/* SHA-256 of the certificate @cert: what tokens name a CA by. */
int authority_hash(const char *cert, unsigned char out[32], struct err *err);

/* When the certificate @cert ends, in seconds since 1970. */
int authority_until(const char *cert, int64_t *ret_until_s, struct err *err);

/* ERR_CORRUPT unless @cert is of a CA and @key its key. */
int authority_check(const char *cert, const char *key, struct err *err);

/* Certify @public_key (DER) as that of node @node_id, for @valid_s seconds. The caller frees the
 * chain. */
int authority_certify(const struct authority *ca, int64_t node_id, const struct bytes *public_key,
                      int64_t valid_s, char **ret_chain, struct err *err);

/* What a chain says. */
struct authority_chain {
    char *ca; /* certificate of its CA; the caller frees it */
    unsigned char ca_hash[32];
    bool changing;           /* it has the CA before too */
    int64_t from_s, until_s; /* of the member's own certificate, seconds since 1970 */
};

/* Check that @chain is whole, for the node and the key (DER), and every certificate signed by the
 * next. ERR_CORRUPT. */
int authority_read_chain(const char *chain, int64_t node_id, const struct bytes *public_key,
                         struct authority_chain *ret, struct err *err);

#endif
