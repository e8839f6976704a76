/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity - who this machine is, the cluster's CA, and tokens.
 *
 * A machine's identity is an ECDSA P-256 key made on first start; its address may change. Files in
 * DIR (0700), all written durably:
 *     node.key   its private key (PEM, 0600)
 *     node.crt   its certificate, signed by the CA, followed by the CA's (PEM)
 *     ca.crt, ca.key   the cluster's CA (members hold the key: any may admit a machine)
 *     member     cluster uuid and our node id (text): there only once we are a member
 * `member` is written last and removed first: what a crash left half-way is thrown away by the next
 * identity_open().
 *
 * A token is "wherry1-j-HASH-SECRET" (join) or "wherry1-c-HASH-SECRET" (call): HASH is the SHA-256
 * of the CA certificate (DER) in hexadecimal, SECRET 32 hexadecimal digits. The cluster stores the
 * SHA-256 of the secret only.
 *
 * Blocking, small; any thread.
 */
#ifndef WHERRY_CLUSTER_IDENTITY_H
#define WHERRY_CLUSTER_IDENTITY_H

#include "store/model.h"

struct err;
struct identity;

/* Open DIR, making it and the key on first use. */
int identity_open(const char *dir, struct identity **ret_identity, struct err *err);

/* Free. NULL is fine. */
void identity_free(struct identity *identity);

/* Our public key, SubjectPublicKeyInfo in DER. Borrowed. */
const struct bytes *identity_public_key(const struct identity *identity);

/* True once identity_set_member() was done, also in an earlier life. */
bool identity_is_member(const struct identity *identity);

/* Our node id; 0 when not a member. */
int64_t identity_node_id(const struct identity *identity);

/* The cluster's uuid, "" when not a member. Borrowed. */
const char *identity_cluster(const struct identity *identity);

/* SHA-256 of the CA certificate (DER): what tokens pin. False when there is none. */
bool identity_ca_hash(const struct identity *identity, unsigned char ret_hash[32]);

/* PEM of CA certificate and key, "" when there is none. Borrowed. */
const char *identity_ca_cert(const struct identity *identity);
const char *identity_ca_key(const struct identity *identity);

/* Make a new CA in DIR (wherry init). ERR_EXISTS when there is one. Until identity_set_member() was
 * done it is forgotten by the next identity_open(). */
int identity_make_ca(struct identity *identity, struct err *err);

/* Take over the CA of the cluster we join. */
int identity_set_ca(struct identity *identity, const char *cert_pem, const char *key_pem,
                    struct err *err);

/* Become node @node_id of cluster @uuid: writes `member` and a certificate for our key with the
 * names "wherry" (what clients check) and "n@node_id". Needs the CA. */
int identity_set_member(struct identity *identity, const char *uuid, int64_t node_id,
                        struct err *err);

/* Forget cluster, CA and key: the next identity_open() is somebody else. For a removed member and
 * a failed join. */
int identity_reset(struct identity *identity, struct err *err);

/* PEM of our certificate followed by the CA's ("" when not a member), and of our private key: for
 * TLS. Borrowed. */
const char *identity_cert(const struct identity *identity);
const char *identity_key(const struct identity *identity);

/* Make a token of @kind for the CA. The caller frees *@ret_token. */
int token_make(const struct identity *identity, enum token_kind kind, char **ret_token,
               struct err *err);

/* Take a token apart. ERR_INVALID says what is wrong without repeating the secret. */
int token_parse(const char *token, enum token_kind *ret_kind, unsigned char ret_ca_hash[32],
                unsigned char ret_secret_hash[32], struct err *err);

#endif
