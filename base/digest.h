/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest - SHA-256 (FIPS 180-4) through OpenSSL, and its hexadecimal form.
 */
#ifndef WHERRY_BASE_DIGEST_H
#define WHERRY_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

enum {
    DIGEST_BYTES = 32,
    DIGEST_HEX = 64,  /* without the terminating 0 */
    DIGEST_TEXT = 72, /* "sha256:…" with it */
};

struct err;
struct digest; /* a running hash */

/* Start a hash. End it with digest_final or digest_free. */
struct digest *digest_new(void);

/* Add @len bytes. */
void digest_update(struct digest *d, const void *data, size_t len);

/* Write the hash to @out and free @d. */
void digest_final(struct digest *d, unsigned char out[DIGEST_BYTES]);

/* Give up a hash. NULL is fine. */
void digest_free(struct digest *d);

/* Hash @len bytes at once. */
void digest_of(const void *data, size_t len, unsigned char out[DIGEST_BYTES]);

/* Hash all of the file @fd, from its begin; its offset is 0 afterwards. Written as "sha256:…". */
int digest_file_text(int fd, char out[DIGEST_TEXT], struct err *err);

/* @len bytes as lower-case hexadecimal, terminated; @out has room for 2 * @len + 1. */
void hex_encode(const void *data, size_t len, char *out);

/* Parse exactly 2 * @len hexadecimal digits. False on anything else. */
bool hex_decode(const char *hex, void *out, size_t len);

/* Fill @out with random bytes from the kernel. */
void random_bytes(void *out, size_t len);

#endif
