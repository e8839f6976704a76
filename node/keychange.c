/* SPDX-License-Identifier: Apache-2.0 */
#include "node/keychange.h"
#include "node/contents.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "cluster/keyring.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/keys.h"
#include "node/propose.h"
#include "node/registries.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum {
    HAND_OUT_MS = 10000,
};

struct keychange {
    struct daemon *daemon;
    enum keychange_action action;
    keychange_cb cb;
    void *arg;
    struct cluster cluster; /* as it was at the start */
    struct seal_key fresh;  /* to be in use; that of now for LOCK_OFF */
    struct seal_key unlock; /* with lock set: what wraps it */
    char *unlock_text;
    bool lock; /* how it is to be */
    size_t waiting;
    size_t holders; /* there are, with us */
    size_t held;    /* of them have it */
    struct err err;
};

static void end(struct keychange *c, const struct err *err)
{
    bool is_new = c->action == KEYCHANGE_LOCK || c->action == KEYCHANGE_LOCK_ROTATE;
    c->daemon->keychange = NULL;
    c->cb(c->arg, err, err->code == 0 && is_new ? c->unlock_text : NULL);
    record_release(&cluster_type, &c->cluster);
    seal_key_wipe(&c->fresh);
    seal_key_wipe(&c->unlock);
    if (c->unlock_text)
        OPENSSL_cleanse(c->unlock_text, strlen(c->unlock_text));
    free(c->unlock_text);
    free(c);
}

/* --- the change ------------------------------------------------------------------------------ */

static void on_proposed(void *arg, const struct change_result *result)
{
    struct keychange *c = arg;
    keys_on_change(c->daemon->keys);
    end(c, &result->err);
}

/* All that the state seals, by the key that is to be in use. */
static int seal_all(struct keychange *c, struct cluster_keys *keys, struct err *err)
{
    cleanup_secret struct buf ca_key = BUF_INIT;
    if (keys_open_ca(c->daemon->keys, &c->cluster, &ca_key, err) < 0)
        return err->code;
    unsigned char check_value[32];
    seal_key_check(&c->fresh, check_value);
    keys->generation = c->fresh.generation;
    keys->locked = c->lock;
    bytes_set(&keys->check, check_value, sizeof(check_value));
    seal_close(&c->fresh, "ca", "", ca_key.data, ca_key.len, &keys->ca_key);
    if (c->lock) {
        cleanup_free char *name = str_printf("%lld", (long long)c->fresh.generation);
        seal_close(&c->unlock, "cluster key", name, c->fresh.bytes, SEAL_KEY_BYTES, &keys->wrap);
        seal_close(&c->fresh, "unlock key", "", c->unlock_text, strlen(c->unlock_text),
                   &keys->unlock);
    }
    return 0;
}

/* The passwords of registries, from the key of now to the one that is to be. */
static int seal_registries(struct keychange *c, struct change_key_set *change, struct err *err)
{
    const struct seal_key *now;
    struct registry *rows;
    size_t n;
    int rv = 0;
    store_list(c->daemon->store, TABLE_REGISTRY, BY_NONE, 0, &rows, &n);
    change->registries = mem_alloc(n, sizeof(*change->registries));
    for (size_t i = 0; i < n && rv == 0; i++) {
        cleanup_secret struct buf password = BUF_INIT;
        if (rows[i].password.data.len == 0)
            continue;
        rv = keys_current(c->daemon->keys, &now, err);
        if (rv == 0 && (rv = registries_open(now, &rows[i], &password, err)) < 0)
            err_set(err, rv,
                    "the password of registry %.80s cannot be opened by the cluster key: end that "
                    "login with 'wherry registry logout %.80s' first",
                    rows[i].name, rows[i].name);
        if (rv < 0)
            break;
        struct resealed *to = &change->registries[change->registries_n++];
        to->registry_id = rows[i].id;
        to->expected_index = rows[i].modified_index;
        registries_seal(&c->fresh, rows[i].name, password.data ? password.data : "", &to->password);
    }
    record_free_list(&registry_type, rows, n);
    return rv;
}

static int seal_secrets(struct keychange *c, struct change_key_set *change, struct err *err)
{
    const struct seal_key *now;
    if (store_count(c->daemon->store, TABLE_CONTENT) == 0)
        return 0;
    int rv = keys_current(c->daemon->keys, &now, err);
    return rv < 0 ? rv : contents_reseal_keys(c->daemon->store, now, &c->fresh, change, err);
}

static void propose(struct keychange *c)
{
    struct daemon *d = c->daemon;
    struct err err = c->err;
    struct change_key_set change = {.expected_revision = c->cluster.keys.revision};
    if (err.code == 0 && d->stopping)
        err_set(&err, ERR_CANCELED, "this member is stopping");
    if (err.code == 0 && 2 * c->held <= c->holders)
        err_set(&err, ERR_UNAVAILABLE,
                "only %zu of the %zu members that hold the cluster key can be reached; start or "
                "unlock the others first, or remove them",
                c->held, c->holders);
    if (err.code != 0 || seal_all(c, &change.keys, &err) < 0 ||
        (c->fresh.generation != c->cluster.keys.generation &&
         (seal_registries(c, &change, &err) < 0 || seal_secrets(c, &change, &err) < 0)))
        end(c, &err);
    else
        propose_change(d->propose, CHANGE_KEY_SET, &change, NULL, PROPOSE_TIMEOUT_MS, on_proposed,
                       c);
    record_release(&change_key_set_type, &change);
}

/* --- handing out ----------------------------------------------------------------------------- */

struct handing {
    struct keychange *change;
    int64_t to;
};

static void on_receipt(void *arg, const struct err *failed, const struct reply *reply)
{
    struct handing *h = arg;
    struct keychange *c = h->change;
    struct key_receipt receipt = {0};
    struct err err = *failed;
    char name[80];
    if (err.code == 0 && reply_get_err(reply, &err) == 0 &&
        record_decode(&key_receipt_type, reply->body.data, reply->body.len, false, &receipt,
                      &err) == 0)
        c->held += receipt.held;
    daemon_node_name(c->daemon, h->to, name, sizeof(name));
    /* One that cannot be reached asks for the key when it is back, but for one that is not to have
     * it on disk: that would be locked then. */
    if (err.code == ERR_UNAVAILABLE && !c->lock)
        err.code = 0;
    if (err.code != 0 && c->err.code == 0)
        err_set(&c->err, err.code == ERR_TIMEOUT ? ERR_UNAVAILABLE : err.code,
                "%s did not take the new key, nothing was changed: %.140s", name, err.msg);
    record_release(&key_receipt_type, &receipt);
    free(h);
    if (--c->waiting == 0)
        propose(c);
}

static void hand_out(struct keychange *c)
{
    struct daemon *d = c->daemon;
    struct node *nodes;
    size_t n;
    cleanup_secret struct buf body = BUF_INIT;
    struct key_offer offer = {.generation = c->fresh.generation,
                              .key = {c->fresh.bytes, SEAL_KEY_BYTES},
                              .durable = !c->lock};
    record_encode(&key_offer_type, &offer, &body);
    struct call call = {.verb = (char[]){"member.hold"},
                        .body = {(unsigned char *)body.data, body.len}};
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n; i++) {
        if (!keys_are_for(&nodes[i]))
            continue;
        c->holders++;
        if (nodes[i].id == d->id || nodes[i].status != NODE_UP)
            continue;
        struct handing *h = mem_alloc(1, sizeof(*h));
        *h = (struct handing){.change = c, .to = nodes[i].id};
        c->waiting++;
        forward_call(d->forward, h->to, &call, HAND_OUT_MS, on_receipt, h);
    }
    record_free_list(&node_type, nodes, n);
}

/* --- the start ------------------------------------------------------------------------------- */

/* The unlock key that is to wrap: a new one, or that of now. */
static int take_unlock_key(struct keychange *c, const struct seal_key *now, struct err *err)
{
    if (c->action != KEYCHANGE_ROTATE) {
        unlock_key_new(&c->unlock_text, &c->unlock);
        return 0;
    }
    cleanup_secret struct buf text = BUF_INIT;
    if (seal_open(now, "unlock key", "", &c->cluster.keys.unlock, &text, err) < 0)
        return err->code;
    c->unlock_text = str_copy(text.data);
    return unlock_key_parse(c->unlock_text, &c->unlock, err);
}

static int decide(struct keychange *c, struct err *err)
{
    struct daemon *d = c->daemon;
    const struct cluster_keys *keys = &c->cluster.keys;
    const struct seal_key *now = NULL;
    bool first = keys->generation == 0 && *identity_ca_key(d->identity);
    if (!first && keys_current(d->keys, &now, err) < 0)
        return err->code;
    if (keys->locked ? c->action == KEYCHANGE_LOCK : c->action == KEYCHANGE_LOCK_OFF)
        return err_set(err, ERR_EXISTS, "the lock is %s already", keys->locked ? "on" : "off");
    if (!keys->locked && c->action == KEYCHANGE_LOCK_ROTATE)
        return err_set(err, ERR_NOTFOUND, "the lock is off: 'wherry lock on' makes an unlock key");
    c->lock = c->action == KEYCHANGE_LOCK || (keys->locked && c->action != KEYCHANGE_LOCK_OFF);
    if (c->action == KEYCHANGE_LOCK_OFF)
        c->fresh = *now;
    else
        seal_key_new(keys->generation + 1, &c->fresh);
    return c->lock ? take_unlock_key(c, now, err) : 0;
}

static void on_nothing(void *arg, const struct err *err, const char *unlock_key)
{
    (void)arg;
    (void)err;
    (void)unlock_key;
}

int keychange_start(struct daemon *d, enum keychange_action action, keychange_cb cb, void *arg,
                    struct err *err)
{
    if (d->keychange)
        return err_set(err, ERR_BUSY, "the cluster key is being changed right now; try again");
    struct keychange *c = mem_alloc(1, sizeof(*c));
    *c = (struct keychange){.daemon = d, .action = action, .cb = cb, .arg = arg, .held = 1};
    d->keychange = c;
    int rv = store_get(d->store, TABLE_CLUSTER, 1, &c->cluster);
    if (rv < 0) {
        c->cluster = (struct cluster){0};
        err_set(err, ERR_UNAVAILABLE, "this member has no state yet: try again");
    } else if ((rv = decide(c, err)) == 0) {
        rv = keyring_add(d->keyring, &c->fresh, !c->lock, err);
    }
    if (rv < 0) {
        c->cb = on_nothing;
        end(c, err);
        return rv;
    }
    hand_out(c);
    if (c->waiting == 0)
        propose(c);
    return 0;
}
