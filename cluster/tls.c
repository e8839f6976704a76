/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/tls.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/authority.h"
#include "cluster/cert.h"
#include "cluster/identity.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A key encrypts no more records than this; AES-GCM allows 2^24.5 (RFC 8446, 5.5), and OpenSSL
     * does not count. */
    REKEY_RECORDS = 1 << 22,
    CERT_LIST_MAX = 8 << 10, /* bytes of certificates the other side may show */
};

struct tls_context {
    SSL_CTX *ctx;
};

struct tls {
    SSL *ssl;
    const unsigned char *in; /* what was fed and is not read yet */
    size_t in_len;
    struct buf out;
    unsigned written; /* records since the key was changed */
    bool wants_ca;
    unsigned char ca_hash[32];
    char *ca_cert;
};

/* --- a BIO over the session's own buffers -------------------------------------------------- */

/* OpenSSL's memory BIO copies what comes in and wipes all it ever held at each reset. */

static int bio_read(BIO *bio, char *out, int size)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = tls->in_len < (size_t)size ? tls->in_len : (size_t)size;
    memcpy(out, tls->in, n);
    tls->in += n;
    tls->in_len -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buf_append(&tls->out, data, (size_t)len);
    return len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wherry");
    check(bio_method && BIO_meth_set_read(bio_method, bio_read) == 1 &&
          BIO_meth_set_write(bio_method, bio_write) == 1 &&
          BIO_meth_set_ctrl(bio_method, bio_ctrl) == 1);
}

static BIO *new_bio(struct tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_method);
    BIO *bio = BIO_new(bio_method);
    check(bio);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- whom to believe ----------------------------------------------------------------------- */

/* Which certificate signed @leaf, if @ca vouches for it: @ca itself, or one that it has certified,
 * as the CA before does while the CA is changed. NULL: it does not. */
static X509 *signer_by(X509 *ca, const X509 *leaf, const STACK_OF(X509) * chain)
{
    if (cert_is_signed_by(leaf, ca))
        return ca;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *cross = sk_X509_value(chain, i);
        if (cert_is_signed_by(leaf, cross) && cert_is_signed_by(cross, ca))
            return cross;
    }
    return NULL;
}

/* Look for the wanted CA among what the server sent. */
static bool find_ca(struct tls *tls, X509_STORE_CTX *store)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
    for (int i = 0; leaf && i < sk_X509_num(chain); i++) {
        X509 *ca = sk_X509_value(chain, i);
        unsigned char hash[32];
        cert_hash(ca, hash);
        X509 *signer =
            memcmp(hash, tls->ca_hash, sizeof(hash)) == 0 ? signer_by(ca, leaf, chain) : NULL;
        if (!signer)
            continue;
        free(tls->ca_cert);
        tls->ca_cert = cert_to_pem(signer);
        return true;
    }
    return false;
}

static int on_verify(X509_STORE_CTX *store, void *arg)
{
    (void)arg;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = SSL_get_app_data(ssl);
    if (!tls->wants_ca || find_ca(tls, store))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

/* --- context ------------------------------------------------------------------------------- */

static void use_cert(SSL_CTX *ctx, X509 *cert)
{
    check(SSL_CTX_use_certificate(ctx, cert) == 1);
}

/* Our chain: behind our certificate the CA's, which a joiner looks for. */
static int use_member_certs(SSL_CTX *ctx, const struct identity *identity, struct err *err)
{
    X509 *certs[AUTHORITY_CHAIN_MAX];
    int n = cert_list_from_pem(identity_cert(identity), certs, AUTHORITY_CHAIN_MAX, err);
    if (n < 0)
        return n;
    use_cert(ctx, certs[0]);
    for (int i = 1; i < n; i++)
        check(SSL_CTX_add1_chain_cert(ctx, certs[i]) == 1);
    for (int i = 0; i < n; i++)
        X509_free(certs[i]);
    return 0;
}

static int use_identity(SSL_CTX *ctx, const struct identity *identity, struct err *err)
{
    EVP_PKEY *key;
    int rv = cert_key_from_pem(identity_key(identity), &key, err);
    if (rv < 0)
        return rv;
    if (identity_is_member(identity)) {
        rv = use_member_certs(ctx, identity, err);
    } else {
        X509 *cert = cert_new_stranger(key);
        use_cert(ctx, cert);
        X509_free(cert);
    }
    if (rv == 0 && SSL_CTX_use_PrivateKey(ctx, key) != 1)
        rv = err_set(err, ERR_CORRUPT, "the certificate is not for this machine's key");
    EVP_PKEY_free(key);
    return rv;
}

static int new_context(const struct identity *identity, int oldest, int verify,
                       struct tls_context **ret_context, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    check(ctx);
    check(SSL_CTX_set_min_proto_version(ctx, oldest) == 1);
    check(SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                                        "TLS_AES_256_GCM_SHA384") == 1);
    check(SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1); /* TLS 1.2 */
    check(SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256") == 1);
    check(SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
    SSL_CTX_set_verify(ctx, verify, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
    int rv = identity ? use_identity(ctx, identity, err) : 0;
    ERR_clear_error();
    if (rv < 0) {
        SSL_CTX_free(ctx);
        return rv;
    }
    *ret_context = mem_alloc(1, sizeof(**ret_context));
    (*ret_context)->ctx = ctx;
    return 0;
}

int tls_context_new(const struct identity *identity, struct tls_context **ret_context,
                    struct err *err)
{
    return new_context(identity, identity ? TLS1_3_VERSION : TLS1_2_VERSION,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, ret_context, err);
}

int tls_context_new_calls(const struct identity *identity, struct tls_context **ret_context,
                          struct err *err)
{
    return new_context(identity, TLS1_2_VERSION, SSL_VERIFY_NONE, ret_context, err);
}

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

/* --- session ------------------------------------------------------------------------------- */

struct tls *tls_new(struct tls_context *context, bool server)
{
    struct tls *tls = mem_alloc(1, sizeof(*tls));
    tls->ssl = SSL_new(context->ctx);
    check(tls->ssl);
    SSL_set_app_data(tls->ssl, tls);
    BIO *bio = new_bio(tls);
    SSL_set_bio(tls->ssl, bio, bio);
    if (server)
        SSL_set_accept_state(tls->ssl);
    else
        SSL_set_connect_state(tls->ssl);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    buf_release(&tls->out);
    free(tls->ca_cert);
    free(tls);
}

void tls_expect_ca(struct tls *tls, const unsigned char ca_hash[32])
{
    tls->wants_ca = true;
    memcpy(tls->ca_hash, ca_hash, sizeof(tls->ca_hash));
}

const char *tls_ca_cert(const struct tls *tls)
{
    return str_or_empty(tls->ca_cert);
}

void tls_feed(struct tls *tls, const void *data, size_t len)
{
    check(tls->in_len == 0);
    tls->in = data;
    tls->in_len = len;
}

/* Say in @err why the handshake failed, from OpenSSL's queue of errors. */
static int explain(const struct tls *tls, struct err *err)
{
    if (tls->wants_ca && SSL_get_verify_result(tls->ssl) == X509_V_ERR_CERT_UNTRUSTED)
        return err_set(err, ERR_DENIED,
                       "its certificate is not of the cluster the token is for, or the cluster's "
                       "CA was replaced since and a new token is needed; nothing was sent");
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return err_set(err, ERR_CORRUPT, "TLS: %s", reason ? reason : "the other side closed");
}

int tls_handshake(struct tls *tls, struct err *err)
{
    ERR_clear_error();
    int rv = SSL_do_handshake(tls->ssl);
    if (rv == 1)
        return 1;
    if (SSL_get_error(tls->ssl, rv) == SSL_ERROR_WANT_READ)
        return 0;
    int code = explain(tls, err);
    ERR_clear_error();
    return code;
}

int tls_read(struct tls *tls, void *out, size_t size)
{
    ERR_clear_error();
    int rv = SSL_read(tls->ssl, out, size > INT_MAX ? INT_MAX : (int)size);
    if (rv > 0)
        return rv;
    int why = SSL_get_error(tls->ssl, rv);
    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ)
        return 0;
    return why == SSL_ERROR_ZERO_RETURN ? ERR_UNAVAILABLE : ERR_CORRUPT;
}

int tls_write(struct tls *tls, const void *data, size_t len)
{
    check(len > 0 && len <= TLS_RECORD_MAX);
    ERR_clear_error();
    if (++tls->written == REKEY_RECORDS) {
        tls->written = 0;
        if (SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
            return ERR_INTERNAL;
    }
    int rv = SSL_write(tls->ssl, data, (int)len);
    ERR_clear_error();
    return rv == (int)len ? 0 : ERR_UNAVAILABLE;
}

struct buf *tls_out(struct tls *tls)
{
    return &tls->out;
}

int tls_peer_key(const struct tls *tls, struct bytes *ret)
{
    X509 *cert = SSL_get0_peer_certificate(tls->ssl);
    EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
    if (!key)
        return ERR_DENIED;
    cert_public_key(key, ret);
    return 0;
}
