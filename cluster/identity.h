/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity - who this machine is, the cluster's CA, and tokens.
 *
 * A machine's identity is an ECDSA P-256 key made on first start; its address may change. Files in
 * DIR (0700), all written durably:
 *     node.key   its private key (PEM, 0600)
 *     node.crt   its chain (authority.h): its certificate, and those of the CA (PEM)
 *     ca.crt     the CA's certificate again, for people
 *     member     cluster uuid and our node id (text): there only once we are a member
 * The CA's private key is in none of them: it is in the replicated state, sealed (seal.h). An older
 * version kept it in ca.key; it is read once more to be moved, see identity_ca_key().
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

/* PEM of the CA's certificate, "" when there is none. Borrowed. */
const char *identity_ca_cert(const struct identity *identity);

/* PEM of the CA's private key: of one that was made or set by this process, or of a file ca.key
 * that an older version left. "" else. Borrowed. */
const char *identity_ca_key(const struct identity *identity);

/* Write the CA's private key to the file of an older version: for a cluster that is of one. */
int identity_keep_ca_key(struct identity *identity, struct err *err);

/* Forget the CA's private key, and remove the file of an older version, durably. */
int identity_drop_ca_key(struct identity *identity, struct err *err);

/* Make a new CA (wherry init); its key is in memory only. ERR_EXISTS when there is one. Until
 * identity_set_member() was done it is forgotten by the next identity_open(). */
int identity_make_ca(struct identity *identity, struct err *err);

/* Take over a CA with its key, which stays in memory. */
int identity_set_ca(struct identity *identity, const char *cert_pem, const char *key_pem,
                    struct err *err);

/* Become node @node_id of cluster @uuid: writes `member` and a chain for our key with the names
 * "wherry" (what clients check) and "n@node_id". Needs the CA's key. */
int identity_set_member(struct identity *identity, const char *uuid, int64_t node_id,
                        struct err *err);

/* As identity_set_member(), with a chain that another member has made for our key. */
int identity_join_member(struct identity *identity, const char *uuid, int64_t node_id,
                         const char *chain, struct err *err);

/* A member gets a new chain: checked, written, then in use. */
int identity_set_chain(struct identity *identity, const char *chain, struct err *err);

/* What our chain says; false when we are no member. @ret->ca is borrowed. */
struct authority_chain;
bool identity_chain(const struct identity *identity, struct authority_chain *ret);

/* Grows whenever what we show in TLS becomes another: contexts are made anew then. */
unsigned identity_version(const struct identity *identity);

/* Forget cluster, CA and key: the next identity_open() is somebody else. For a removed member and
 * a failed join. */
int identity_reset(struct identity *identity, struct err *err);

/* PEM of our chain ("" when not a member), and of our private key: for TLS. Borrowed. */
const char *identity_cert(const struct identity *identity);
const char *identity_key(const struct identity *identity);

/* Make a token of @kind for the CA. The caller frees *@ret_token. */
int token_make(const struct identity *identity, enum token_kind kind, char **ret_token,
               struct err *err);

/* Take a token apart. ERR_INVALID says what is wrong without repeating the secret. */
int token_parse(const char *token, enum token_kind *ret_kind, unsigned char ret_ca_hash[32],
                unsigned char ret_secret_hash[32], struct err *err);

#endif
