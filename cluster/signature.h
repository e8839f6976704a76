/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature - statements signed with a machine's key: ECDSA P-256 over SHA-256 (FIPS 186-5), in
 * DER.
 *
 * What is signed begins with a word that says what kind of statement it is, so that one kind can
 * never be shown as another, and nothing here as a part of TLS. Any thread.
 */
#ifndef WHERRY_CLUSTER_SIGNATURE_H
#define WHERRY_CLUSTER_SIGNATURE_H

#include "store/record.h"

#include <stdbool.h>

struct identity;

enum {
    SIGNATURE_BYTES_MAX = 80,
};

/* Sign @len bytes as a statement of kind @word with our key. */
void signature_make(const struct identity *identity, const char *word, const void *data, size_t len,
                    struct bytes *ret);

/* True when @signature was made with the private half of @public_key (SubjectPublicKeyInfo in DER)
 * over these bytes and this word. Any bytes may be given as any of them. */
bool signature_is_good(const struct bytes *public_key, const char *word, const void *data,
                       size_t len, const struct bytes *signature);

#endif
