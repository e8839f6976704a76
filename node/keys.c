/* SPDX-License-Identifier: Apache-2.0 */
#include "node/keys.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "cluster/keyring.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/keychange.h"
#include "node/registries.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    ASK_MS = 5000,         /* for an answer */
    FIRST_RETRY_MS = 5000, /* between attempts to give an older cluster its key */
    WRONG_MS = 1000,       /* after a wrong unlock key */
    FOUNDING_MAX = 16 << 10,
};

struct keys {
    struct daemon *daemon;
    uv_timer_t timer;
    bool asking;
    size_t next; /* whom to ask, by place in the table */
    bool was_missing;
    int64_t first_ms;  /* not before: the first key of an older cluster */
    int64_t unlock_ms; /* not before: the next attempt to unlock */
    void (*on_freed)(void *arg);
    void *free_arg;
};

static const struct field key_offer_fields[] = {
    FIELD_INT(struct key_offer, generation),
    FIELD_BYTES(struct key_offer, key),
    FIELD_BOOL(struct key_offer, durable),
};
const struct record_type key_offer_type =
    RECORD_TYPE("key_offer", struct key_offer, key_offer_fields);
static const struct field key_receipt_fields[] = {
    FIELD_BOOL(struct key_receipt, held),
};
const struct record_type key_receipt_type =
    RECORD_TYPE("key_receipt", struct key_receipt, key_receipt_fields);

/* --- founding -------------------------------------------------------------------------------- */

static char *founding_path(const struct daemon *d)
{
    return str_printf("%s/identity/founding.keys", d->data_dir);
}

static void make_keys(const struct seal_key *key, const char *ca_key, struct cluster_keys *ret)
{
    unsigned char check_value[32];
    *ret = (struct cluster_keys){.generation = key->generation};
    seal_key_check(key, check_value);
    bytes_set(&ret->check, check_value, sizeof(check_value));
    seal_close(key, "ca", "", ca_key, strlen(ca_key), &ret->ca_key);
}

int keys_found(struct daemon *d, struct cluster_keys *ret_keys, struct err *err)
{
    cleanup_free char *path = founding_path(d);
    cleanup_buf struct buf data = BUF_INIT;
    struct err unusable;
    if (file_exists(path) && file_read(path, FOUNDING_MAX, &data, &unusable) == 0 &&
        record_decode(&cluster_keys_type, data.data, data.len, true, ret_keys, &unusable) == 0) {
        if (keyring_find(d->keyring, ret_keys->generation, &ret_keys->check))
            return 0;
        record_release(&cluster_keys_type, ret_keys); /* of an attempt that was given up */
    }
    if (!*identity_ca_key(d->identity))
        return err_set(err, ERR_CORRUPT, "%s is damaged: delete %s and begin anew", path,
                       d->data_dir);
    struct seal_key key;
    seal_key_new(1, &key);
    make_keys(&key, identity_ca_key(d->identity), ret_keys);
    int rv = keyring_add(d->keyring, &key, true, err);
    seal_key_wipe(&key);
    buf_reset(&data);
    record_encode(&cluster_keys_type, ret_keys, &data);
    if (rv == 0)
        rv = file_write(path, data.data, data.len, 0600, err);
    if (rv < 0)
        record_release(&cluster_keys_type, ret_keys);
    return rv;
}

void keys_founded(struct daemon *d)
{
    cleanup_free char *path = founding_path(d);
    unlink(path);
}

/* --- what is held ---------------------------------------------------------------------------- */

static bool node_is_holder(struct daemon *d, int64_t id)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, id, &node) < 0)
        return false;
    bool holder = keys_are_for(&node);
    record_release(&node_type, &node);
    return holder;
}

static const struct seal_key *held(struct daemon *d, const struct cluster *cluster)
{
    return keyring_find(d->keyring, cluster->keys.generation, &cluster->keys.check);
}

const char *keys_state(struct keys *k)
{
    struct daemon *d = k->daemon;
    struct cluster cluster;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return "none";
    const char *state = cluster.keys.generation == 0 ? "none"
                        : held(d, &cluster)          ? "held"
                        : !node_is_holder(d, d->id)  ? "witness"
                        : cluster.keys.locked        ? "locked"
                                                     : "missing";
    record_release(&cluster_type, &cluster);
    return state;
}

static bool is_locked(struct daemon *d)
{
    struct cluster cluster;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return false;
    bool locked = cluster.keys.locked;
    record_release(&cluster_type, &cluster);
    return locked;
}

const char *keys_lock(struct keys *k)
{
    if (!is_locked(k->daemon))
        return "off";
    return strcmp(keys_state(k), "locked") == 0 ? "locked" : "on";
}

int keys_current(struct keys *k, const struct seal_key **ret_key, struct err *err)
{
    struct daemon *d = k->daemon;
    struct cluster cluster;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_UNAVAILABLE, "this member has no state yet: try again");
    const struct seal_key *key = held(d, &cluster);
    record_release(&cluster_type, &cluster);
    if (key) {
        *ret_key = key;
        return 0;
    }
    const char *state = keys_state(k);
    if (strcmp(state, "witness") == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s is a witness and holds no cluster key: call another member", d->name);
    if (strcmp(state, "locked") == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s is locked since it started: open it with 'wherry unlock', or call "
                       "another member",
                       d->name);
    return err_set(err, ERR_UNAVAILABLE,
                   "%s does not have the cluster key yet: try again in a moment", d->name);
}

int keys_open_ca(struct keys *k, const struct cluster *cluster, struct buf *out, struct err *err)
{
    const struct seal_key *key;
    if (cluster->keys.generation == 0) { /* of an older version, and still in its file */
        const char *plain = identity_ca_key(k->daemon->identity);
        buf_puts(out, plain);
        return *plain ? 0 : err_set(err, ERR_UNAVAILABLE, "the CA's key is not here");
    }
    int rv = keys_current(k, &key, err);
    return rv < 0 ? rv : seal_open(key, "ca", "", &cluster->keys.ca_key, out, err);
}

/* --- following the state --------------------------------------------------------------------- */

/* Nothing is thrown away on the word of a state that may be an old one. */
static void settle(struct keys *k, const struct cluster *cluster)
{
    struct daemon *d = k->daemon;
    struct err err;
    if (!held(d, cluster) && !cluster->keys.locked && node_is_holder(d, d->id))
        return; /* the older ones stay until the present one is here */
    if (keyring_keep(d->keyring, cluster->keys.generation, &cluster->keys.check,
                     !cluster->keys.locked, &err) < 0 ||
        identity_drop_ca_key(d->identity, &err) < 0)
        log_error("keys", "%s", err.msg);
}

static void note_missing(struct keys *k, bool missing)
{
    if (missing && !k->was_missing)
        log_info("keys", "the cluster key in use is not here (%s)", keys_state(k));
    else if (!missing && k->was_missing)
        log_info("keys", "the cluster key in use is here");
    k->was_missing = missing;
}

void keys_on_change(struct keys *k)
{
    struct daemon *d = k->daemon;
    struct cluster cluster;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return;
    if (cluster.keys.generation > 0) {
        note_missing(k, !held(d, &cluster) && node_is_holder(d, d->id));
        if (daemon_is_synced(d))
            settle(k, &cluster);
    }
    record_release(&cluster_type, &cluster);
    registries_on_change(d->registries);
}

/* --- asking another member ------------------------------------------------------------------- */

static void on_key(void *arg, const struct err *failed, const struct reply *reply)
{
    struct keys *k = arg;
    struct daemon *d = k->daemon;
    struct key_offer offer;
    struct err err;
    k->asking = false;
    if (failed->code != 0 || reply_get_err(reply, &err) < 0 ||
        record_decode(&key_offer_type, reply->body.data, reply->body.len, false, &offer, &err) < 0)
        return;
    if (offer.key.len == SEAL_KEY_BYTES && offer.generation > 0) {
        struct seal_key key = {.generation = offer.generation};
        memcpy(key.bytes, offer.key.data, SEAL_KEY_BYTES);
        if (keyring_add(d->keyring, &key, true, &err) < 0)
            log_error("keys", "%s", err.msg);
        seal_key_wipe(&key);
    }
    record_release(&key_offer_type, &offer);
    keys_on_change(k);
}

/* Ask the next holder that is up. */
static void ask(struct keys *k)
{
    struct daemon *d = k->daemon;
    struct node *nodes;
    size_t n;
    struct call call = {.verb = (char[]){"member.key"}};
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n && !k->asking; i++) {
        const struct node *node = &nodes[k->next++ % n];
        if (node->id == d->id || node->status != NODE_UP || !keys_are_for(node))
            continue;
        k->asking = true;
        forward_call(d->forward, node->id, &call, ASK_MS, on_key, k);
    }
    record_free_list(&node_type, nodes, n);
}

static void on_first(void *arg, const struct err *err, const char *unlock_key)
{
    (void)arg;
    (void)unlock_key;
    if (err->code != 0)
        log_warn("keys", "this cluster has no cluster key yet: %s", err->msg);
    else
        log_info("keys", "this cluster has its cluster key; the CA's key is sealed by it");
}

/* A cluster of an older version: its leader makes the first key. */
static void make_first(struct keys *k)
{
    struct daemon *d = k->daemon;
    struct err err;
    int64_t now = clock_boot_ms();
    if (now < k->first_ms || !*identity_ca_key(d->identity) || store_level(d->store) <= LEVEL_FIRST)
        return;
    k->first_ms = now + FIRST_RETRY_MS;
    if (keychange_start(d, KEYCHANGE_ROTATE, on_first, k, &err) < 0)
        on_first(k, &err, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct keys *k = timer->data;
    struct daemon *d = k->daemon;
    struct cluster cluster;
    if (d->stopping || d->removed || !daemon_is_synced(d))
        return;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return;
    if (cluster.keys.generation == 0 && consensus_is_ready(d->consensus))
        make_first(k);
    else if (cluster.keys.generation > 0 && held(d, &cluster))
        settle(k, &cluster);
    else if (cluster.keys.generation > 0 && !cluster.keys.locked && node_is_holder(d, d->id))
        ask(k);
    else if (cluster.keys.generation > 0)
        settle(k, &cluster);
    record_release(&cluster_type, &cluster);
}

/* --- being asked ----------------------------------------------------------------------------- */

static void reply_record(keys_reply_cb cb, void *arg, const struct record_type *type,
                         const void *record)
{
    cleanup_secret struct buf body = BUF_INIT;
    record_encode(type, record, &body);
    struct reply reply = {.body = {(unsigned char *)body.data, body.len}};
    cb(arg, &reply);
}

static void reply_err(keys_reply_cb cb, void *arg, const struct err *err)
{
    struct reply reply = {0};
    reply_set_err(&reply, err);
    cb(arg, &reply);
    record_release(&reply_type, &reply);
}

/* member.key: while the cluster is locked only the unlock key opens a member. */
static void give(struct keys *k, keys_reply_cb cb, void *arg)
{
    struct daemon *d = k->daemon;
    const struct seal_key *key;
    struct err err;
    if (!daemon_is_synced(d))
        err_set(&err, ERR_UNAVAILABLE, "this member is not in touch with a leader");
    else if (is_locked(d))
        err_set(&err, ERR_DENIED, "the cluster is locked");
    else if (keys_current(k, &key, &err) == 0) {
        struct key_offer offer = {.generation = key->generation,
                                  .key = {(unsigned char *)(uintptr_t)key->bytes, SEAL_KEY_BYTES}};
        reply_record(cb, arg, &key_offer_type, &offer);
        return;
    }
    reply_err(cb, arg, &err);
}

/* member.hold: one that is locked must not be opened by a change of the key. */
static void hold(struct keys *k, const struct call *call, keys_reply_cb cb, void *arg)
{
    struct daemon *d = k->daemon;
    struct key_offer offer;
    struct err err = {0};
    if (record_decode(&key_offer_type, call->body.data, call->body.len, false, &offer, &err) < 0) {
        reply_err(cb, arg, &err);
        return;
    }
    struct key_receipt receipt = {.held = strcmp(keys_state(k), "locked") != 0};
    struct seal_key key = {.generation = offer.generation};
    if (offer.generation < 1 || offer.key.len != SEAL_KEY_BYTES) {
        err_set(&err, ERR_INVALID, "that is no cluster key");
    } else if (receipt.held) {
        memcpy(key.bytes, offer.key.data, SEAL_KEY_BYTES);
        keyring_add(d->keyring, &key, offer.durable, &err);
    }
    seal_key_wipe(&key);
    record_release(&key_offer_type, &offer);
    if (err.code != 0)
        reply_err(cb, arg, &err);
    else
        reply_record(cb, arg, &key_receipt_type, &receipt);
}

static bool knows(struct daemon *d, int64_t id)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, id, &node) < 0)
        return false;
    record_release(&node_type, &node);
    return true;
}

bool keys_on_call(struct keys *k, int64_t from, const struct call *call, keys_reply_cb cb,
                  void *arg)
{
    struct daemon *d = k->daemon;
    struct err err;
    bool asks = str_equal(call->verb, "member.key");
    if (!asks && !str_equal(call->verb, "member.hold"))
        return false;
    if (!knows(d, from) || !knows(d, d->id)) {
        err_set(&err, ERR_UNAVAILABLE, "this member's copy of the state is not there yet");
        reply_err(cb, arg, &err);
    } else if (!node_is_holder(d, from) || !node_is_holder(d, d->id)) {
        err_set(&err, ERR_DENIED, "the cluster key is not for witnesses");
        reply_err(cb, arg, &err);
    } else if (asks) {
        give(k, cb, arg);
    } else {
        hold(k, call, cb, arg);
    }
    return true;
}

/* --- unlocking ------------------------------------------------------------------------------- */

static int open_wrap(const struct cluster *cluster, const struct seal_key *unlock,
                     struct seal_key *ret, struct err *err)
{
    cleanup_secret struct buf plain = BUF_INIT;
    cleanup_free char *name = str_printf("%lld", (long long)cluster->keys.generation);
    if (seal_open(unlock, "cluster key", name, &cluster->keys.wrap, &plain, err) < 0 ||
        plain.len != SEAL_KEY_BYTES)
        return err_set(err, ERR_DENIED,
                       "this is not the unlock key of the cluster as it is now; it may have been "
                       "changed ('wherry lock key' on a member that is open shows it)");
    ret->generation = cluster->keys.generation;
    memcpy(ret->bytes, plain.data, SEAL_KEY_BYTES);
    return 0;
}

int keys_unlock(struct keys *k, const char *text, struct err *err)
{
    struct daemon *d = k->daemon;
    struct cluster cluster;
    struct seal_key unlock;
    struct seal_key key = {0};
    if (strcmp(keys_state(k), "locked") != 0)
        return 0;
    if (clock_boot_ms() < k->unlock_ms)
        return err_set(err, ERR_BUSY, "a wrong unlock key was given a moment ago; wait a second");
    if (unlock_key_parse(text, &unlock, err) < 0)
        return err->code;
    check(store_get(d->store, TABLE_CLUSTER, 1, &cluster) == 0);
    int rv = open_wrap(&cluster, &unlock, &key, err);
    record_release(&cluster_type, &cluster);
    seal_key_wipe(&unlock);
    if (rv == 0)
        rv = keyring_add(d->keyring, &key, false, err);
    else
        k->unlock_ms = clock_boot_ms() + WRONG_MS;
    seal_key_wipe(&key);
    if (rv == 0)
        keys_on_change(k);
    return rv;
}

/* --- beginning and end ----------------------------------------------------------------------- */

struct keys *keys_new(struct daemon *d)
{
    struct keys *k = mem_alloc(1, sizeof(*k));
    k->daemon = d;
    uv_timer_init(&d->loop, &k->timer);
    k->timer.data = k;
    uv_timer_start(&k->timer, on_timer, TICK_MS, TICK_MS);
    return k;
}

static void on_closed(uv_handle_t *handle)
{
    struct keys *k = handle->data;
    void (*on_freed)(void *arg) = k->on_freed;
    void *arg = k->free_arg;
    free(k);
    on_freed(arg);
}

void keys_free(struct keys *k, void (*on_freed)(void *arg), void *arg)
{
    k->on_freed = on_freed;
    k->free_arg = arg;
    uv_close((uv_handle_t *)&k->timer, on_closed);
}
