/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert - the keys and certificates of a cluster: all that is needed of X.509 (RFC 5280).
 *
 * Keys are ECDSA P-256. The CA signs one certificate per member; a machine that is no member yet
 * shows one it signed itself. Certificates begin a week before they were made, so that clocks may
 * differ. A CA's lasts ten years, a member's for as long as its maker says; between members nobody
 * looks at the dates (tls.h).
 *
 * Running out of memory or random numbers aborts. Blocking, small; any thread.
 */
#ifndef WHERRY_CLUSTER_CERT_H
#define WHERRY_CLUSTER_CERT_H

#include "store/record.h"

#include <openssl/types.h>

struct err;

/* A new key. Free with EVP_PKEY_free. */
EVP_PKEY *cert_new_key(void);

/* @key as PEM (PKCS 8, not encrypted). The caller frees it. */
char *cert_key_to_pem(const EVP_PKEY *key);

/* The key in @pem; ERR_CORRUPT if it is none or not P-256. */
int cert_key_from_pem(const char *pem, EVP_PKEY **ret_key, struct err *err);

/* The public half of @key: SubjectPublicKeyInfo in DER. */
void cert_public_key(const EVP_PKEY *key, struct bytes *ret);

/* The key in @der, SubjectPublicKeyInfo; ERR_CORRUPT if it is none or not P-256. */
int cert_key_from_public(const struct bytes *der, EVP_PKEY **ret_key, struct err *err);

/* A certificate of a CA for @key, signed by itself. @before, not NULL: the CA it comes after, whose
 * name it has. Free with X509_free. */
X509 *cert_new_ca(EVP_PKEY *key, const X509 *before);

/* The key and name of @ca, certified by the CA @before: whoever trusts that one trusts what @ca
 * signed. Both have one name, so that the path is no longer by the count of RFC 5280, 6.1.4. */
X509 *cert_new_cross(const X509 *ca, const X509 *before, EVP_PKEY *before_key);

/* A certificate for @key, good for the names "wherry" and "n@node_id" and for @valid_s seconds,
 * signed by the CA. */
X509 *cert_new_node(EVP_PKEY *key, int64_t node_id, int64_t valid_s, const X509 *ca,
                    EVP_PKEY *ca_key);

/* A certificate for @key that says nothing but the key. */
X509 *cert_new_stranger(EVP_PKEY *key);

/* @cert as PEM. The caller frees it. */
char *cert_to_pem(const X509 *cert);

/* The first certificate in @pem. */
int cert_from_pem(const char *pem, X509 **ret_cert, struct err *err);

/* All certificates in @pem, at most @max: ERR_CORRUPT for more, for none, and for one that is
 * damaged. Returns how many; free each. */
int cert_list_from_pem(const char *pem, X509 **certs, int max, struct err *err);

/* When @cert begins and ends, in seconds since 1970. */
void cert_dates(const X509 *cert, int64_t *ret_from_s, int64_t *ret_until_s);

/* SHA-256 of @cert in DER: what a token names a CA by. */
void cert_hash(const X509 *cert, unsigned char out[32]);

/* True when @ca is a CA and signed @cert. Dates are not looked at. */
bool cert_is_signed_by(const X509 *cert, const X509 *ca);

#endif
