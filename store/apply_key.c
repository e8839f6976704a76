/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster key and the CA: what the state says of them. It holds neither key itself. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_SEALED_MAX = 4096, /* bytes of a sealed key */
    CERT_MAX = 8192,       /* characters of a certificate in PEM */
};

/* --- the cluster key ------------------------------------------------------------------------- */

static bool is_sealed_by(const struct sealed *sealed, int64_t generation)
{
    return sealed->generation == generation && sealed->data.len > 0 &&
           sealed->data.len <= KEY_SEALED_MAX;
}

int keys_validate(const struct cluster_keys *keys, struct err *err)
{
    bool wrapped = keys->wrap.data.len > 0 || keys->unlock.data.len > 0;
    if (keys->generation < 1 || keys->check.len != DIGEST_BYTES ||
        !is_sealed_by(&keys->ca_key, keys->generation))
        return err_set(err, ERR_INVALID, "the cluster key is not described as a key is");
    if (keys->locked
            ? !is_sealed_by(&keys->wrap, 0) || !is_sealed_by(&keys->unlock, keys->generation)
            : wrapped)
        return err_set(err, ERR_INVALID, "a lock without its key, or a key without its lock");
    return 0;
}

/* The cluster's row, if its keys are those that the change was planned from. */
static int get_cluster(struct apply *apply, int64_t expected_revision, struct cluster *ret,
                       struct err *err)
{
    check(store_get(apply->store, TABLE_CLUSTER, 1, ret) == 0); /* dispatch asks for it */
    if (ret->keys.revision == expected_revision)
        return 0;
    record_release(&cluster_type, ret);
    return err_set(err, ERR_CONFLICT, "the cluster's keys were changed meanwhile; try again");
}

static void replace_keys(struct cluster *cluster, const struct cluster_keys *keys)
{
    int64_t revision = cluster->keys.revision + 1;
    record_release(&cluster_keys_type, &cluster->keys);
    record_copy(&cluster_keys_type, keys, &cluster->keys);
    cluster->keys.revision = revision;
}

static int set_keys(struct apply *apply, struct cluster *cluster,
                    const struct change_key_set *change, struct err *err)
{
    const struct cluster_keys *keys = &change->keys;
    const struct cluster_keys *old = &cluster->keys;
    bool same = keys->generation == old->generation && keys->check.len == old->check.len &&
                memcmp(keys->check.data, old->check.data, keys->check.len) == 0;
    if (!same && keys->generation != old->generation + 1)
        return err_set(err, ERR_INVALID, "cluster key %" PRId64 " does not come after %" PRId64,
                       keys->generation, old->generation);
    if (!same && registries_reseal(apply, change->registries, change->registries_n,
                                   keys->generation, err) < 0)
        return err->code;
    if (!same &&
        contents_reseal(apply, change->contents, change->contents_n, keys->generation, err) < 0)
        return err->code;
    bool was_locked = old->locked;
    replace_keys(cluster, keys);
    apply_put(apply, TABLE_CLUSTER, cluster);
    if (!same)
        apply_event(apply, "cluster", cluster->uuid, "cluster key %" PRId64 " is in use",
                    keys->generation);
    if (was_locked != keys->locked)
        apply_event(apply, "cluster", cluster->uuid, "lock set to %s", keys->locked ? "on" : "off");
    return 0;
}

int apply_key_set(struct apply *apply, const struct change_key_set *change, struct err *err)
{
    struct cluster cluster;
    int rv = keys_validate(&change->keys, err);
    if (rv == 0)
        rv = get_cluster(apply, change->expected_revision, &cluster, err);
    if (rv < 0)
        return rv;
    rv = set_keys(apply, &cluster, change, err);
    record_release(&cluster_type, &cluster);
    return rv;
}

/* --- the CA ------------------------------------------------------------------------------------
 */

static bool is_cert(const char *pem)
{
    size_t len = strlen(str_or_empty(pem));
    return len > 0 && len <= CERT_MAX;
}

static int rotate_ca(struct apply *apply, struct cluster *cluster,
                     const struct change_ca_rotate *change, struct err *err)
{
    if (*str_or_empty(cluster->ca_old))
        return err_set(err, ERR_CONFLICT,
                       "the CA is being changed already; end that with wherry ca rotate --finish");
    if (!is_cert(change->ca) || !is_cert(change->cross) || cluster->keys.generation == 0 ||
        !is_sealed_by(&change->ca_key, cluster->keys.generation))
        return err_set(err, ERR_INVALID, "a new CA without its certificates or its sealed key");
    free(cluster->ca_old);
    free(cluster->ca_cross);
    cluster->ca_old = cluster->ca;
    cluster->ca = str_copy(change->ca);
    cluster->ca_cross = str_copy(change->cross);
    cluster->keys.ca_key.generation = change->ca_key.generation;
    bytes_set(&cluster->keys.ca_key.data, change->ca_key.data.data, change->ca_key.data.len);
    cluster->keys.revision++;
    apply_put(apply, TABLE_CLUSTER, cluster);
    apply_event(apply, "cluster", cluster->uuid, "a new CA takes over");
    return 0;
}

int apply_ca_rotate(struct apply *apply, const struct change_ca_rotate *change, struct err *err)
{
    struct cluster cluster;
    int rv = get_cluster(apply, change->expected_revision, &cluster, err);
    if (rv < 0)
        return rv;
    rv = rotate_ca(apply, &cluster, change, err);
    record_release(&cluster_type, &cluster);
    return rv;
}

/* Whoever has one could not be sure any more that he talks to this cluster. */
static int64_t drop_tokens(struct apply *apply, const struct bytes *ca_hash)
{
    struct token *tokens;
    size_t n;
    int64_t dropped = 0;
    store_list(apply->store, TABLE_TOKEN, BY_NONE, 0, &tokens, &n);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].ca.len == ca_hash->len &&
            memcmp(tokens[i].ca.data, ca_hash->data, ca_hash->len) == 0)
            continue;
        apply_delete(apply, TABLE_TOKEN, tokens[i].id);
        dropped++;
    }
    record_free_list(&token_type, tokens, n);
    return dropped;
}

static int finish_ca(struct apply *apply, struct cluster *cluster,
                     const struct change_ca_finish *change, struct err *err)
{
    if (!*str_or_empty(cluster->ca_old))
        return err_set(err, ERR_NOTFOUND, "there is no change of the CA to finish");
    if (change->ca_hash.len != DIGEST_BYTES)
        return err_set(err, ERR_INVALID, "the hash of the CA has not %d bytes", DIGEST_BYTES);
    free(cluster->ca_old);
    free(cluster->ca_cross);
    cluster->ca_old = cluster->ca_cross = NULL;
    cluster->keys.revision++;
    apply_put(apply, TABLE_CLUSTER, cluster);
    int64_t dropped = drop_tokens(apply, &change->ca_hash);
    apply_event(apply, "cluster", cluster->uuid,
                "the CA before is forgotten, and %" PRId64 " tokens that named it", dropped);
    return 0;
}

int apply_ca_finish(struct apply *apply, const struct change_ca_finish *change, struct err *err)
{
    struct cluster cluster;
    int rv = get_cluster(apply, change->expected_revision, &cluster, err);
    if (rv < 0)
        return rv;
    rv = finish_ca(apply, &cluster, change, err);
    record_release(&cluster_type, &cluster);
    return rv;
}
