/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/seal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    UNLOCK_BYTES = 16,
    UNLOCK_SUM_BYTES = 2,
    UNLOCK_PREFIX = 5, /* "WHRU-" */
    UNLOCK_LEN = UNLOCK_PREFIX + 2 * UNLOCK_BYTES + 1 + 2 * UNLOCK_SUM_BYTES,
};

/* --- keys ---------------------------------------------------------------------------------- */

void seal_key_new(int64_t generation, struct seal_key *ret)
{
    ret->generation = generation;
    random_bytes(ret->bytes, sizeof(ret->bytes));
}

void seal_key_wipe(struct seal_key *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

/* SHA-256 of @label with its 0 byte, then @data. */
static void labelled_digest(const char *label, const void *data, size_t len, unsigned char out[32])
{
    struct digest *digest = digest_new();
    digest_update(digest, label, strlen(label) + 1);
    digest_update(digest, data, len);
    digest_final(digest, out);
}

void seal_key_check(const struct seal_key *key, unsigned char out[32])
{
    labelled_digest("wherry key check 1", key->bytes, sizeof(key->bytes), out);
}

bool seal_key_matches(const struct seal_key *key, const struct bytes *check)
{
    unsigned char own[DIGEST_BYTES];
    seal_key_check(key, own);
    return check->len == sizeof(own) && CRYPTO_memcmp(check->data, own, sizeof(own)) == 0;
}

/* --- sealing ------------------------------------------------------------------------------- */

/* What is authenticated beside the value. */
static void bind(const char *kind, const char *name, int64_t generation, struct buf *out)
{
    static const char label[] = "wherry sealed 1";
    buf_append(out, label, sizeof(label));
    buf_append(out, kind, strlen(kind) + 1);
    buf_append(out, name, strlen(name) + 1);
    buf_put_u64(out, (unsigned long long)generation);
}

void seal_close(const struct seal_key *key, const char *kind, const char *name, const void *data,
                size_t len, struct sealed *ret)
{
    check(len <= SEALED_MAX - SEAL_NONCE_BYTES - SEAL_TAG_BYTES);
    cleanup_buf struct buf bound = BUF_INIT;
    bind(kind, name, key->generation, &bound);
    cleanup_free unsigned char *sealed = mem_alloc(SEAL_NONCE_BYTES + len + SEAL_TAG_BYTES, 1);
    random_bytes(sealed, SEAL_NONCE_BYTES);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    check(ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, sealed) == 1);
    check(EVP_EncryptUpdate(ctx, NULL, &n, (unsigned char *)bound.data, (int)bound.len) == 1);
    check(EVP_EncryptUpdate(ctx, sealed + SEAL_NONCE_BYTES, &n, data, (int)len) == 1 &&
          (size_t)n == len);
    check(EVP_EncryptFinal_ex(ctx, sealed + SEAL_NONCE_BYTES + len, &n) == 1 && n == 0);
    check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES,
                              sealed + SEAL_NONCE_BYTES + len) == 1);
    EVP_CIPHER_CTX_free(ctx);
    ret->generation = key->generation;
    bytes_set(&ret->data, sealed, SEAL_NONCE_BYTES + len + SEAL_TAG_BYTES);
}

static bool decrypt(const struct seal_key *key, const struct buf *bound, const struct bytes *sealed,
                    unsigned char *out)
{
    size_t len = sealed->len - SEAL_NONCE_BYTES - SEAL_TAG_BYTES;
    unsigned char *tag = sealed->data + SEAL_NONCE_BYTES + len;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    check(ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, sealed->data) == 1);
    check(EVP_DecryptUpdate(ctx, NULL, &n, (unsigned char *)bound->data, (int)bound->len) == 1);
    check(EVP_DecryptUpdate(ctx, out, &n, sealed->data + SEAL_NONCE_BYTES, (int)len) == 1);
    check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) == 1);
    bool ok = EVP_DecryptFinal_ex(ctx, out + len, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

int seal_open(const struct seal_key *key, const char *kind, const char *name,
              const struct sealed *sealed, struct buf *out, struct err *err)
{
    if (sealed->generation != key->generation)
        return err_set(err, ERR_DENIED, "%s %s is sealed by cluster key %lld, not %lld", kind, name,
                       (long long)sealed->generation, (long long)key->generation);
    cleanup_buf struct buf bound = BUF_INIT;
    bind(kind, name, key->generation, &bound);
    cleanup_secret struct buf plain = BUF_INIT;
    bool ok =
        sealed->data.len >= SEAL_NONCE_BYTES + SEAL_TAG_BYTES && sealed->data.len <= SEALED_MAX;
    if (ok) {
        size_t len = sealed->data.len - SEAL_NONCE_BYTES - SEAL_TAG_BYTES;
        unsigned char *text = (unsigned char *)buf_reserve(&plain, len);
        ok = decrypt(key, &bound, &sealed->data, text);
        plain.len = len;
    }
    if (!ok)
        return err_set(err, ERR_DENIED,
                       "%s %s does not open: it is damaged, or sealed by another key", kind, name);
    buf_append(out, plain.data, plain.len);
    return 0;
}

void seal_wipe(struct buf *buf)
{
    if (buf->data)
        OPENSSL_cleanse(buf->data, buf->cap);
    buf_release(buf);
}

/* --- the unlock key ------------------------------------------------------------------------ */

static const char unlock_prefix[] = "WHRU-";

static void unlock_sum(const unsigned char secret[UNLOCK_BYTES], unsigned char out[32])
{
    labelled_digest("wherry unlock sum 1", secret, UNLOCK_BYTES, out);
}

static void unlock_derive(const unsigned char secret[UNLOCK_BYTES], struct seal_key *ret)
{
    ret->generation = 0;
    labelled_digest("wherry unlock key 1", secret, UNLOCK_BYTES, ret->bytes);
}

void unlock_key_new(char **ret_text, struct seal_key *ret)
{
    unsigned char secret[UNLOCK_BYTES];
    unsigned char sum[DIGEST_BYTES];
    char secret_hex[2 * UNLOCK_BYTES + 1];
    char sum_hex[2 * UNLOCK_SUM_BYTES + 1];
    random_bytes(secret, sizeof(secret));
    unlock_sum(secret, sum);
    hex_encode(secret, sizeof(secret), secret_hex);
    hex_encode(sum, UNLOCK_SUM_BYTES, sum_hex);
    *ret_text = str_printf("%s%s-%s", unlock_prefix, secret_hex, sum_hex);
    unlock_derive(secret, ret);
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(secret_hex, sizeof(secret_hex));
}

/* Take "WHRU-" text of the right length apart. */
static bool unlock_decode(const char *text, unsigned char secret[UNLOCK_BYTES],
                          unsigned char sum[UNLOCK_SUM_BYTES])
{
    char hex[2 * UNLOCK_BYTES + 1] = "";
    for (size_t i = 0; i < sizeof(hex) - 1; i++)
        hex[i] = (char)tolower((unsigned char)text[UNLOCK_PREFIX + i]);
    char sum_hex[2 * UNLOCK_SUM_BYTES + 1] = "";
    for (size_t i = 0; i < sizeof(sum_hex) - 1; i++)
        sum_hex[i] = (char)tolower((unsigned char)text[UNLOCK_PREFIX + 2 * UNLOCK_BYTES + 1 + i]);
    bool ok = text[UNLOCK_PREFIX + 2 * UNLOCK_BYTES] == '-' &&
              hex_decode(hex, secret, UNLOCK_BYTES) && hex_decode(sum_hex, sum, UNLOCK_SUM_BYTES);
    OPENSSL_cleanse(hex, sizeof(hex));
    return ok;
}

int unlock_key_parse(const char *text, struct seal_key *ret, struct err *err)
{
    char copy[UNLOCK_LEN + 1];
    unsigned char secret[UNLOCK_BYTES];
    unsigned char sum[UNLOCK_SUM_BYTES];
    unsigned char right[DIGEST_BYTES];
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    if (len < UNLOCK_PREFIX || strncasecmp(text, unlock_prefix, UNLOCK_PREFIX) != 0)
        return err_set(err, ERR_INVALID, "not an unlock key: it begins with '%s'", unlock_prefix);
    if (len != UNLOCK_LEN)
        return err_set(err, ERR_INVALID, "the unlock key has %zu characters, not %d; was it cut?",
                       len, UNLOCK_LEN);
    memcpy(copy, text, len);
    copy[len] = '\0';
    bool ok = unlock_decode(copy, secret, sum);
    if (ok)
        unlock_sum(secret, right);
    ok = ok && memcmp(sum, right, sizeof(sum)) == 0;
    if (ok)
        unlock_derive(secret, ret);
    OPENSSL_cleanse(copy, sizeof(copy));
    OPENSSL_cleanse(secret, sizeof(secret));
    return ok ? 0
              : err_set(err, ERR_INVALID,
                        "the unlock key has a slip in it; look at it again, or copy it anew");
}
