/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal - values encrypted by the cluster key, and the unlock key that the cluster key is wrapped
 * by.
 *
 * A sealed value is AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits: nonce, ciphertext
 * and tag in that order. Its kind, its name and the key's generation are authenticated with it, so
 * that one value cannot be put in another's place. A generation seals far fewer than 2^32 values.
 *
 * An unlock key is what people keep: "WHRU-", 32 hexadecimal digits (128 random bits), "-", four
 * digits that tell a slip of the pen from a wrong key. The key it stands for is the SHA-256 of a
 * label and those bits; being random they need no slow hash.
 *
 * Running out of memory or random numbers aborts. Pure functions; any thread.
 */
#ifndef WHERRY_CLUSTER_SEAL_H
#define WHERRY_CLUSTER_SEAL_H

#include "store/model.h"

struct buf;
struct err;

enum {
    SEAL_KEY_BYTES = 32,
    SEAL_NONCE_BYTES = 12,
    SEAL_TAG_BYTES = 16,
    SEALED_MAX = 1 << 20, /* bytes of a sealed value */
};

/* A key and which of the cluster's keys it is, counted from 1; 0 for an unlock key. */
struct seal_key {
    int64_t generation;
    unsigned char bytes[SEAL_KEY_BYTES];
};

/* Draw a new key. Wipe it with seal_key_wipe() when done. */
void seal_key_new(int64_t generation, struct seal_key *ret);

/* Overwrite the key with zeros. */
void seal_key_wipe(struct seal_key *key);

/* What tells whether a key is the one meant, and nothing else about it: SHA-256 of a label and the
 * key. */
void seal_key_check(const struct seal_key *key, unsigned char out[32]);

/* True when the key has that check value of 32 bytes; takes the same time either way. */
bool seal_key_matches(const struct seal_key *key, const struct bytes *check);

/* Seal @len bytes into @ret, freeing what it had. */
void seal_close(const struct seal_key *key, const char *kind, const char *name, const void *data,
                size_t len, struct sealed *ret);

/* Append the plain value to @out, which the caller wipes. ERR_DENIED when it was sealed by another
 * key or for another kind or name, or is damaged: that cannot be told apart. */
int seal_open(const struct seal_key *key, const char *kind, const char *name,
              const struct sealed *sealed, struct buf *out, struct err *err);

/* Wipe the bytes of @buf and free them. */
void seal_wipe(struct buf *buf);
#define cleanup_secret __attribute__((cleanup(seal_wipe)))

/* Draw an unlock key: its text, which the caller frees, and the key. */
void unlock_key_new(char **ret_text, struct seal_key *ret);

/* The key that @text stands for. ERR_INVALID says what is wrong without repeating it. Blanks at
 * either end are left out; case does not matter. */
int unlock_key_parse(const char *text, struct seal_key *ret, struct err *err);

#endif
