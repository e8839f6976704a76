/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/signature.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cluster/cert.h"
#include "cluster/identity.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

/* What is really signed: the word, a 0 byte, the statement. */
static void statement(const char *word, const void *data, size_t len, struct buf *out)
{
    buf_append(out, word, strlen(word) + 1);
    buf_append(out, data, len);
}

void signature_make(const struct identity *identity, const char *word, const void *data, size_t len,
                    struct bytes *ret)
{
    cleanup_buf struct buf text = BUF_INIT;
    unsigned char out[SIGNATURE_BYTES_MAX];
    size_t n = sizeof(out);
    EVP_PKEY *key;
    struct err err;
    statement(word, data, len, &text);
    check(cert_key_from_pem(identity_key(identity), &key, &err) == 0); /* it was loaded once */
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    check(md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
          EVP_DigestSign(md, out, &n, (unsigned char *)text.data, text.len) == 1);
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    bytes_set(ret, out, n);
}

bool signature_is_good(const struct bytes *public_key, const char *word, const void *data,
                       size_t len, const struct bytes *signature)
{
    const unsigned char *der = public_key->data;
    if (public_key->len == 0 || signature->len == 0 || signature->len > SIGNATURE_BYTES_MAX)
        return false;
    cleanup_buf struct buf text = BUF_INIT;
    statement(word, data, len, &text);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)public_key->len);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    check(md);
    bool good = key && EVP_PKEY_is_a(key, "EC") &&
                EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(md, signature->data, signature->len, (unsigned char *)text.data,
                                 text.len) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good;
}
