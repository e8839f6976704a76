/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/authority.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/cert.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* A certificate and its private key. */
struct pair_of {
    X509 *cert;
    EVP_PKEY *key;
};

static void release(struct pair_of *pair)
{
    X509_free(pair->cert);
    EVP_PKEY_free(pair->key);
    *pair = (struct pair_of){0};
}

static int load(const char *cert, const char *key, struct pair_of *ret, struct err *err)
{
    struct pair_of pair = {0};
    int rv = cert_from_pem(str_or_empty(cert), &pair.cert, err);
    if (rv < 0)
        return err_wrap(err, "the CA's certificate");
    rv = key ? cert_key_from_pem(key, &pair.key, err) : 0;
    if (rv < 0) {
        release(&pair);
        return err_wrap(err, "the CA's key");
    }
    if (key && (X509_check_private_key(pair.cert, pair.key) != 1 ||
                !cert_is_signed_by(pair.cert, pair.cert))) {
        release(&pair);
        return err_set(err, ERR_CORRUPT, "the CA's certificate and key do not belong together");
    }
    *ret = pair;
    return 0;
}

int authority_check(const char *cert, const char *key, struct err *err)
{
    struct pair_of pair;
    int rv = load(cert, key, &pair, err);
    if (rv == 0)
        release(&pair);
    return rv;
}

int authority_hash(const char *cert, unsigned char out[32], struct err *err)
{
    X509 *x509;
    int rv = cert_from_pem(cert, &x509, err);
    if (rv < 0)
        return err_wrap(err, "the CA's certificate");
    cert_hash(x509, out);
    X509_free(x509);
    return 0;
}

int authority_until(const char *cert, int64_t *ret_until_s, struct err *err)
{
    X509 *x509;
    int64_t from_s;
    int rv = cert_from_pem(cert, &x509, err);
    if (rv < 0)
        return err_wrap(err, "the CA's certificate");
    cert_dates(x509, &from_s, ret_until_s);
    X509_free(x509);
    return 0;
}

int authority_new(const char *before, char **ret_cert, char **ret_key, struct err *err)
{
    struct pair_of old = {0};
    if (before && load(before, NULL, &old, err) < 0)
        return err->code;
    EVP_PKEY *key = cert_new_key();
    X509 *cert = cert_new_ca(key, old.cert);
    *ret_cert = cert_to_pem(cert);
    *ret_key = cert_key_to_pem(key);
    X509_free(cert);
    EVP_PKEY_free(key);
    release(&old);
    return 0;
}

int authority_cross(const char *cert, const char *before, const char *before_key, char **ret_cross,
                    struct err *err)
{
    struct pair_of old = {0};
    struct pair_of fresh = {0};
    if (load(before, before_key, &old, err) < 0)
        return err->code;
    int rv = load(cert, NULL, &fresh, err);
    if (rv == 0) {
        X509 *cross = cert_new_cross(fresh.cert, old.cert, old.key);
        *ret_cross = cert_to_pem(cross);
        X509_free(cross);
        release(&fresh);
    }
    release(&old);
    return rv;
}

int authority_certify(const struct authority *ca, int64_t node_id, const struct bytes *public_key,
                      int64_t valid_s, char **ret_chain, struct err *err)
{
    struct pair_of own = {0};
    EVP_PKEY *key;
    if (load(ca->cert, ca->key, &own, err) < 0)
        return err->code;
    int rv = cert_key_from_public(public_key, &key, err);
    if (rv == 0) {
        X509 *cert = cert_new_node(key, node_id, valid_s, own.cert, own.key);
        cleanup_free char *pem = cert_to_pem(cert);
        *ret_chain = str_printf("%s%s%s%s", pem, str_or_empty(ca->cross), ca->cert,
                                str_or_empty(ca->before));
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    release(&own);
    return rv;
}

/* --- reading ------------------------------------------------------------------------------- */

static bool is_for(X509 *cert, int64_t node_id, const struct bytes *public_key)
{
    cleanup_free char *name = str_printf("n%lld", (long long)node_id);
    struct bytes key = {0};
    cert_public_key(X509_get0_pubkey(cert), &key);
    bool same = key.len == public_key->len && memcmp(key.data, public_key->data, key.len) == 0;
    bytes_set(&key, NULL, 0);
    return same && X509_check_host(cert, name, 0, 0, NULL) == 1 &&
           X509_check_host(cert, "wherry", 0, 0, NULL) == 1;
}

/* Own, CA; or own, cross, CA, CA before. */
static bool is_whole(X509 *const *certs, int n)
{
    if (n == 2)
        return cert_is_signed_by(certs[0], certs[1]) && cert_is_signed_by(certs[1], certs[1]);
    return n == 4 && cert_is_signed_by(certs[0], certs[1]) &&
           cert_is_signed_by(certs[0], certs[2]) && cert_is_signed_by(certs[2], certs[2]) &&
           cert_is_signed_by(certs[1], certs[3]) && cert_is_signed_by(certs[3], certs[3]);
}

int authority_read_chain(const char *chain, int64_t node_id, const struct bytes *public_key,
                         struct authority_chain *ret, struct err *err)
{
    X509 *certs[AUTHORITY_CHAIN_MAX];
    int n = cert_list_from_pem(chain, certs, AUTHORITY_CHAIN_MAX, err);
    if (n < 0)
        return n;
    int rv = 0;
    if (!X509_get0_pubkey(certs[0]) || !is_for(certs[0], node_id, public_key))
        rv = err_set(err, ERR_CORRUPT, "the certificate is not for this machine's key and number");
    else if (!is_whole(certs, n))
        rv = err_set(err, ERR_CORRUPT, "the certificate is not of the CA that comes with it");
    if (rv == 0) {
        const X509 *ca = certs[n == 4 ? 2 : 1];
        ret->ca = cert_to_pem(ca);
        cert_hash(ca, ret->ca_hash);
        ret->changing = n == 4;
        cert_dates(certs[0], &ret->from_s, &ret->until_s);
    }
    for (int i = 0; i < n; i++)
        X509_free(certs[i]);
    return rv;
}
