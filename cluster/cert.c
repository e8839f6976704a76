/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cert.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DAYS_BEFORE = 7, /* how far a clock may be behind the maker's */
    DAYS_VALID = 3653,
    DAY_S = 86400,
    SERIAL_BITS = 159, /* at most 20 octets, positive (RFC 5280, 4.1.2.2) */
};

/* --- keys ---------------------------------------------------------------------------------- */

EVP_PKEY *cert_new_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    check(key);
    return key;
}

/* The content of @bio as a string; @bio is freed. */
static char *take_bio(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    check(len > 0);
    struct buf text = BUF_INIT;
    buf_append(&text, data, (size_t)len);
    OPENSSL_cleanse(data, (size_t)len);
    BIO_free(bio);
    return buf_take(&text);
}

char *cert_key_to_pem(const EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    return take_bio(bio);
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32];
    size_t len;
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

int cert_key_from_pem(const char *pem, EVP_PKEY **ret_key, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    check(bio);
    /* The empty pass phrase keeps OpenSSL from asking for one at the terminal. */
    static char no_phrase[] = "";
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_phrase);
    BIO_free(bio);
    ERR_clear_error();
    if (!key)
        return err_set(err, ERR_CORRUPT, "is not a private key in PEM");
    if (!is_p256(key)) {
        EVP_PKEY_free(key);
        return err_set(err, ERR_CORRUPT, "is not an ECDSA P-256 key");
    }
    *ret_key = key;
    return 0;
}

void cert_public_key(const EVP_PKEY *key, struct bytes *ret)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    check(len > 0);
    bytes_set(ret, der, (size_t)len);
    OPENSSL_free(der);
}

/* --- certificates -------------------------------------------------------------------------- */

static void set_serial(X509 *cert)
{
    BIGNUM *serial = BN_new();
    check(serial && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1);
    check(BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)));
    BN_free(serial);
}

static void add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    check(extension && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

int cert_key_from_public(const struct bytes *der, EVP_PKEY **ret_key, struct err *err)
{
    const unsigned char *p = der->data;
    EVP_PKEY *key = der->len > 0 && der->len < 1024 ? d2i_PUBKEY(NULL, &p, (long)der->len) : NULL;
    ERR_clear_error();
    if (!key || p != der->data + der->len || !is_p256(key)) {
        EVP_PKEY_free(key);
        return err_set(err, ERR_CORRUPT, "is not an ECDSA P-256 public key");
    }
    *ret_key = key;
    return 0;
}

/* A certificate for @key named @name that still lacks issuer, extensions and signature. */
static X509 *new_certificate(EVP_PKEY *key, const char *name, int64_t valid_s)
{
    X509 *cert = X509_new();
    check(cert && X509_set_version(cert, X509_VERSION_3) == 1);
    set_serial(cert);
    check(X509_time_adj_ex(X509_getm_notBefore(cert), -DAYS_BEFORE, 0, NULL));
    check(
        X509_time_adj_ex(X509_getm_notAfter(cert), (int)(valid_s / DAY_S), valid_s % DAY_S, NULL));
    check(!name || X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                              (const unsigned char *)name, -1, -1, 0) == 1);
    check(X509_set_pubkey(cert, key) == 1);
    return cert;
}

static void sign(X509 *cert, EVP_PKEY *key)
{
    check(X509_sign(cert, key, EVP_sha256()) > 0);
}

/* What every certificate of a CA says, but who signs it. */
static void describe_ca(X509 *cert, X509V3_CTX *ctx)
{
    add_extension(cert, ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(cert, ctx, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(cert, ctx, NID_subject_key_identifier, "hash");
}

X509 *cert_new_ca(EVP_PKEY *key, const X509 *before)
{
    unsigned char random[4];
    char hex[2 * sizeof(random) + 1];
    random_bytes(random, sizeof(random));
    hex_encode(random, sizeof(random), hex);
    cleanup_free char *name = str_printf("Wherry CA %s", hex);
    X509 *cert = new_certificate(key, before ? NULL : name, (int64_t)DAYS_VALID * DAY_S);
    if (before)
        check(X509_set_subject_name(cert, X509_get_subject_name(before)) == 1);
    check(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    describe_ca(cert, &ctx);
    sign(cert, key);
    return cert;
}

X509 *cert_new_cross(const X509 *ca, const X509 *before, EVP_PKEY *before_key)
{
    X509 *cert = new_certificate(X509_get0_pubkey(ca), NULL, (int64_t)DAYS_VALID * DAY_S);
    check(X509_set_subject_name(cert, X509_get_subject_name(ca)) == 1);
    check(X509_set_issuer_name(cert, X509_get_subject_name(before)) == 1);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, (X509 *)(uintptr_t)before, cert, NULL, NULL, 0);
    describe_ca(cert, &ctx);
    add_extension(cert, &ctx, NID_authority_key_identifier, "keyid");
    sign(cert, before_key);
    return cert;
}

X509 *cert_new_node(EVP_PKEY *key, int64_t node_id, int64_t valid_s, const X509 *ca,
                    EVP_PKEY *ca_key)
{
    cleanup_free char *name = str_printf("n%lld", (long long)node_id);
    cleanup_free char *names = str_printf("DNS:wherry,DNS:%s", name);
    X509 *cert = new_certificate(key, name, valid_s);
    check(X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, (X509 *)(uintptr_t)ca, cert, NULL, NULL, 0);
    add_extension(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(cert, &ctx, NID_key_usage, "critical,digitalSignature");
    add_extension(cert, &ctx, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(cert, &ctx, NID_subject_alt_name, names);
    add_extension(cert, &ctx, NID_authority_key_identifier, "keyid");
    sign(cert, ca_key);
    return cert;
}

X509 *cert_new_stranger(EVP_PKEY *key)
{
    X509 *cert = new_certificate(key, "wherry stranger", (int64_t)DAYS_VALID * DAY_S);
    check(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1);
    sign(cert, key);
    return cert;
}

char *cert_to_pem(const X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(bio && PEM_write_bio_X509(bio, cert) == 1);
    return take_bio(bio);
}

int cert_from_pem(const char *pem, X509 **ret_cert, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    check(bio);
    static char no_phrase[] = "";
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, no_phrase);
    BIO_free(bio);
    ERR_clear_error();
    if (!cert)
        return err_set(err, ERR_CORRUPT, "is not a certificate in PEM");
    *ret_cert = cert;
    return 0;
}

int cert_list_from_pem(const char *pem, X509 **certs, int max, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    check(bio);
    static char no_phrase[] = "";
    int n = 0;
    X509 *cert;
    while (n < max && (cert = PEM_read_bio_X509(bio, NULL, NULL, no_phrase)))
        certs[n++] = cert;
    /* It ends because there is no more, not because of what there is. */
    bool at_end = BIO_pending(bio) == 0;
    BIO_free(bio);
    ERR_clear_error();
    if (n > 0 && at_end)
        return n;
    while (n > 0)
        X509_free(certs[--n]);
    return err_set(err, ERR_CORRUPT, "is no list of 1 to %d certificates in PEM", max);
}

/* @time in seconds since 1970. */
static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void cert_dates(const X509 *cert, int64_t *ret_from_s, int64_t *ret_until_s)
{
    *ret_from_s = seconds_of(X509_get0_notBefore(cert));
    *ret_until_s = seconds_of(X509_get0_notAfter(cert));
}

void cert_hash(const X509 *cert, unsigned char out[32])
{
    unsigned len = 32;
    check(X509_digest(cert, EVP_sha256(), out, &len) == 1 && len == 32);
}

bool cert_is_signed_by(const X509 *cert, const X509 *ca)
{
    /* OpenSSL caches what it parsed in the object, so it takes it without const. */
    X509 *subject = (X509 *)(uintptr_t)cert;
    X509 *issuer = (X509 *)(uintptr_t)ca;
    EVP_PKEY *key = X509_get0_pubkey(ca);
    bool ok = key && X509_check_ca(issuer) == 1 && X509_check_issued(issuer, subject) == 0 &&
              X509_verify(subject, key) == 1;
    ERR_clear_error();
    return ok;
}
