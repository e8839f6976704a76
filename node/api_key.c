/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about the cluster key, its lock, and the CA. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cluster/authority.h"
#include "node/api.h"
#include "node/certs.h"
#include "node/daemon.h"
#include "node/keychange.h"
#include "node/keys.h"

#include <stdlib.h>
#include <string.h>

/* --- the key and its lock --------------------------------------------------------------------- */

static void on_rotated(void *arg, const struct err *err, const char *unlock_key)
{
    struct empty empty = {0};
    (void)unlock_key;
    if (err->code != 0)
        api_fail(arg, err);
    else
        api_reply(arg, &empty);
}

void api_key_rotate(struct api_call *c, const void *request)
{
    struct err err;
    (void)request;
    if (keychange_start(c->daemon, KEYCHANGE_ROTATE, on_rotated, c, &err) < 0)
        api_fail(c, &err);
}

static void on_locked(void *arg, const struct err *err, const char *unlock_key)
{
    struct lock_reply reply = {.unlock_key = (char *)(uintptr_t)unlock_key};
    if (err->code != 0)
        api_fail(arg, err);
    else
        api_reply(arg, &reply);
}

void api_lock_set(struct api_call *c, const void *request)
{
    const struct lock_set_request *r = request;
    struct err err;
    enum keychange_action action;
    if (str_equal(r->to, "on")) {
        action = KEYCHANGE_LOCK;
    } else if (str_equal(r->to, "off")) {
        action = KEYCHANGE_LOCK_OFF;
    } else if (str_equal(r->to, "rotate")) {
        action = KEYCHANGE_LOCK_ROTATE;
    } else {
        api_fail_with(c, ERR_INVALID, "a lock is set to on, off or rotate, not '%.40s'",
                      str_or_empty(r->to));
        return;
    }
    if (keychange_start(c->daemon, action, on_locked, c, &err) < 0)
        api_fail(c, &err);
}

void api_lock_key(struct api_call *c, const void *request)
{
    struct daemon *d = c->daemon;
    const struct seal_key *key;
    struct cluster cluster;
    struct err err = {0};
    cleanup_secret struct buf text = BUF_INIT;
    (void)request;
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0) {
        api_fail_with(c, ERR_UNAVAILABLE, "this member has no state yet: try again");
        return;
    }
    if (!cluster.keys.locked)
        err_set(&err, ERR_NOTFOUND, "the lock is off: 'wherry lock on' makes an unlock key");
    else if (keys_current(d->keys, &key, &err) == 0)
        seal_open(key, "unlock key", "", &cluster.keys.unlock, &text, &err);
    record_release(&cluster_type, &cluster);
    on_locked(c, &err, text.data);
}

void api_lock_open(struct api_call *c, const void *request)
{
    const struct lock_open_request *r = request;
    struct empty empty = {0};
    struct err err;
    if (keys_unlock(c->daemon->keys, str_or_empty(r->unlock_key), &err) < 0)
        api_fail(c, &err);
    else
        api_reply(c, &empty);
}

/* --- the CA ------------------------------------------------------------------------------------
 */

static bool is_hash(const struct bytes *bytes, const unsigned char hash[DIGEST_BYTES])
{
    return bytes->len == DIGEST_BYTES && memcmp(bytes->data, hash, DIGEST_BYTES) == 0;
}

static void describe_members(struct daemon *d, const unsigned char hash[DIGEST_BYTES],
                             struct ca_info *info)
{
    struct node *nodes;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &info->members_n);
    info->members = mem_alloc(info->members_n, sizeof(*info->members));
    for (size_t i = 0; i < info->members_n; i++) {
        info->members[i] =
            (struct ca_member){.name = str_copy(nodes[i].name),
                               .status = str_copy(node_status_names[nodes[i].status]),
                               .current = is_hash(&nodes[i].cert_ca, hash),
                               .until_ms = nodes[i].cert_until_ms};
        info->members_before += !info->members[i].current;
    }
    record_free_list(&node_type, nodes, info->members_n);
}

static int64_t count_tokens_before(struct daemon *d, const unsigned char hash[DIGEST_BYTES])
{
    struct token *tokens;
    size_t n;
    int64_t count = 0;
    store_list(d->store, TABLE_TOKEN, BY_NONE, 0, &tokens, &n);
    for (size_t i = 0; i < n; i++)
        count += !is_hash(&tokens[i].ca, hash);
    record_free_list(&token_type, tokens, n);
    return count;
}

static int describe_ca(struct daemon *d, const struct cluster *cluster, struct ca_info *info,
                       struct err *err)
{
    unsigned char hash[DIGEST_BYTES];
    unsigned char before[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    bool changing = *str_or_empty(cluster->ca_old) != '\0';
    if (authority_hash(str_or_empty(cluster->ca), hash, err) < 0 ||
        authority_until(cluster->ca, &info->until_ms, err) < 0 ||
        (changing && authority_hash(cluster->ca_old, before, err) < 0))
        return err->code;
    info->until_ms *= 1000;
    hex_encode(hash, sizeof(hash), hex);
    info->ca = str_copy(hex);
    describe_members(d, hash, info);
    if (!changing)
        return 0;
    hex_encode(before, sizeof(before), hex);
    info->before = str_copy(hex);
    info->tokens_before = count_tokens_before(d, hash);
    return 0;
}

void api_ca_inspect(struct api_call *c, const void *request)
{
    struct cluster cluster;
    struct ca_info info = {0};
    struct err err = {0};
    (void)request;
    if (store_get(c->daemon->store, TABLE_CLUSTER, 1, &cluster) < 0) {
        api_fail_with(c, ERR_UNAVAILABLE, "this member has no state yet: try again");
        return;
    }
    int rv = describe_ca(c->daemon, &cluster, &info, &err);
    record_release(&cluster_type, &cluster);
    if (rv < 0)
        api_fail(c, &err);
    else
        api_reply(c, &info);
    record_release(&ca_info_type, &info);
}

static void on_ca_changed(void *arg, const struct err *err)
{
    on_rotated(arg, err, NULL);
}

void api_ca_rotate(struct api_call *c, const void *request)
{
    struct err err;
    (void)request;
    if (certs_rotate_ca(c->daemon, on_ca_changed, c, &err) < 0)
        api_fail(c, &err);
}

void api_ca_finish(struct api_call *c, const void *request)
{
    struct err err;
    (void)request;
    if (certs_finish_ca(c->daemon, on_ca_changed, c, &err) < 0)
        api_fail(c, &err);
}
