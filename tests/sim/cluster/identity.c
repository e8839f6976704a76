/* SPDX-License-Identifier: Apache-2.0 */
/* In place of keys and signatures, whose random numbers are not ours: a key is a member's name, and
 * a signature of bytes is a hash of both. */
#include "sim.h"

#include "base/digest.h"
#include "cluster/identity.h"
#include "cluster/signature.h"

static const struct member *owner(const struct identity *identity)
{
    return (const struct member *)(const void *)identity;
}

const char *identity_cluster(const struct identity *identity)
{
    (void)identity;
    return CLUSTER_UUID;
}

int64_t identity_node_id(const struct identity *identity)
{
    return owner(identity)->id;
}

const struct bytes *identity_public_key(const struct identity *identity)
{
    return &owner(identity)->key;
}

bool identity_ca_hash(const struct identity *identity, unsigned char out[32])
{
    (void)identity;
    memset(out, 0, 32);
    return true;
}

static void sign(const struct bytes *key, const char *word, const void *data, size_t len,
                 unsigned char out[DIGEST_BYTES])
{
    struct digest *digest = digest_new();
    digest_update(digest, key->data, key->len);
    digest_update(digest, word, strlen(word));
    digest_update(digest, data, len);
    digest_final(digest, out);
}

void signature_make(const struct identity *identity, const char *word, const void *data, size_t len,
                    struct bytes *ret)
{
    unsigned char hash[DIGEST_BYTES];
    sign(&owner(identity)->key, word, data, len, hash);
    bytes_set(ret, hash, sizeof(hash));
}

bool signature_is_good(const struct bytes *public_key, const char *word, const void *data,
                       size_t len, const struct bytes *signature)
{
    unsigned char hash[DIGEST_BYTES];
    sign(public_key, word, data, len, hash);
    return signature->len == sizeof(hash) && memcmp(signature->data, hash, sizeof(hash)) == 0;
}
