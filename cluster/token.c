/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/identity.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/cert.h"

#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <string.h>

enum {
    SECRET_BYTES = 16,
    SECRET_HEX = 2 * SECRET_BYTES,
    PREFIX_LEN = 8, /* "wherry1-" */
    HASH_AT = PREFIX_LEN + 2,
    SECRET_AT = HASH_AT + DIGEST_HEX + 1,
    TOKEN_LEN = SECRET_AT + SECRET_HEX,
};

static const char prefix[] = "wherry1-";

static char letter_of(enum token_kind kind)
{
    switch (kind) {
    case TOKEN_JOIN:
        return 'j';
    case TOKEN_CALL:
        return 'c';
    }
    check(!"a kind of token");
    return '?';
}

bool identity_ca_hash(const struct identity *identity, unsigned char ret_hash[32])
{
    X509 *ca;
    struct err err;
    if (cert_from_pem(identity_ca_cert(identity), &ca, &err) < 0)
        return false;
    cert_hash(ca, ret_hash);
    X509_free(ca);
    return true;
}

int token_make(const struct identity *identity, enum token_kind kind, char **ret_token,
               struct err *err)
{
    const char *ca_pem = identity_ca_cert(identity);
    if (*ca_pem == '\0')
        return err_set(err, ERR_NOTFOUND,
                       "this machine has no cluster CA; make a cluster first: wherry init");
    X509 *ca;
    if (cert_from_pem(ca_pem, &ca, err) < 0)
        return err_wrap(err, "ca.crt");
    unsigned char hash[DIGEST_BYTES];
    cert_hash(ca, hash);
    X509_free(ca);
    unsigned char secret[SECRET_BYTES];
    random_bytes(secret, sizeof(secret));
    char hash_hex[DIGEST_HEX + 1];
    char secret_hex[SECRET_HEX + 1];
    hex_encode(hash, sizeof(hash), hash_hex);
    hex_encode(secret, sizeof(secret), secret_hex);
    *ret_token = str_printf("%s%c-%s-%s", prefix, letter_of(kind), hash_hex, secret_hex);
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(secret_hex, sizeof(secret_hex));
    return 0;
}

/* Decode the @len bytes at @hex, of which there may be more. */
static bool decode_part(const char *hex, void *out, size_t len)
{
    char part[DIGEST_HEX + 1];
    memcpy(part, hex, 2 * len);
    part[2 * len] = '\0';
    bool ok = hex_decode(part, out, len);
    OPENSSL_cleanse(part, sizeof(part));
    return ok;
}

int token_parse(const char *token, enum token_kind *ret_kind, unsigned char ret_ca_hash[32],
                unsigned char ret_secret_hash[32], struct err *err)
{
    if (!str_starts(token, prefix))
        return err_set(err, ERR_INVALID, "not a token: it begins with '%s'", prefix);
    if (strlen(token) != TOKEN_LEN)
        return err_set(err, ERR_INVALID, "the token has %zu characters, not %d; was it cut?",
                       strlen(token), TOKEN_LEN);
    char letter = token[PREFIX_LEN];
    if ((letter != 'j' && letter != 'c') || token[PREFIX_LEN + 1] != '-')
        return err_set(err, ERR_INVALID, "the token is of a kind this version does not know");
    unsigned char hash[DIGEST_BYTES];
    unsigned char secret[SECRET_BYTES];
    if (token[SECRET_AT - 1] != '-' || !decode_part(token + HASH_AT, hash, sizeof(hash)) ||
        !decode_part(token + SECRET_AT, secret, sizeof(secret)))
        return err_set(err, ERR_INVALID, "the token is damaged; copy it again");
    *ret_kind = letter == 'j' ? TOKEN_JOIN : TOKEN_CALL;
    memcpy(ret_ca_hash, hash, sizeof(hash));
    digest_of(secret, sizeof(secret), ret_secret_hash);
    OPENSSL_cleanse(secret, sizeof(secret));
    return 0;
}
