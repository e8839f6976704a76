/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* struct digest is OpenSSL's context under our name. */

struct digest *digest_new(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    check(ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
    return (struct digest *)ctx;
}

void digest_update(struct digest *d, const void *data, size_t len)
{
    check(EVP_DigestUpdate((EVP_MD_CTX *)d, data, len) == 1);
}

void digest_final(struct digest *d, unsigned char out[DIGEST_BYTES])
{
    check(EVP_DigestFinal_ex((EVP_MD_CTX *)d, out, NULL) == 1);
    digest_free(d);
}

void digest_free(struct digest *d)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)d);
}

void digest_of(const void *data, size_t len, unsigned char out[DIGEST_BYTES])
{
    struct digest *d = digest_new();
    digest_update(d, data, len);
    digest_final(d, out);
}

int digest_file_text(int fd, char out[DIGEST_TEXT], struct err *err)
{
    unsigned char piece[1 << 16], digest[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    struct digest *sum = digest_new();
    off_t at = 0;
    ssize_t n;
    while ((n = pread(fd, piece, sizeof(piece), at)) > 0) {
        digest_update(sum, piece, (size_t)n);
        at += n;
    }
    digest_final(sum, digest);
    if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "read what is to be checked");
    hex_encode(digest, sizeof(digest), hex);
    snprintf(out, DIGEST_TEXT, "sha256:%s", hex);
    return 0;
}

void hex_encode(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(const char *hex, void *out, size_t len)
{
    if (strlen(hex) != 2 * len)
        return false;
    unsigned char *p = out;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        p[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void random_bytes(void *out, size_t len)
{
    unsigned char *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        check(n > 0);
        p += n;
        len -= (size_t)n;
    }
}
