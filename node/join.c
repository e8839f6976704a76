/* SPDX-License-Identifier: Apache-2.0 */
/* How a machine becomes a member: it founds a cluster, or joins one. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "cluster/keyring.h"
#include "node/admission.h"
#include "node/certs.h"
#include "node/daemon.h"
#include "node/keys.h"
#include "node/level.h"
#include "node/members.h"
#include "node/peers.h"
#include "node/pool.h"
#include "node/propose.h"
#include "node/repair.h"
#include "node/waiters.h"
#include "node/witness.h"
#include "store/level.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- founding -------------------------------------------------------------------------------- */

struct founding {
    struct daemon *daemon;
    members_cb cb;
    void *arg;
};

/* There while a founding is under way: a crash in it is resumed, never mistaken for a member whose
 * log was lost. */
static char *founding_path(const struct daemon *d)
{
    return str_printf("%s/identity/founding", d->data_dir);
}

int members_forget_founding(const struct daemon *d, struct err *err)
{
    cleanup_free char *path = founding_path(d);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(err, errno, "remove %s", path);
    return 0;
}

static void end_founding(struct founding *f, const struct err *err)
{
    cleanup_free char *path = founding_path(f->daemon);
    if (err->code == 0) {
        unlink(path);
        keys_founded(f->daemon);
    }
    if (f->cb)
        f->cb(f->arg, err);
    free(f);
}

static void on_founded(void *arg, const struct change_result *result)
{
    struct founding *f = arg;
    /* After a crash the row may be there already. */
    struct err none = {0};
    end_founding(f, result->err.code == ERR_EXISTS ? &none : &result->err);
}

#define POOL_DEFAULT "10.192.0.0/10"

static void propose_cluster(struct founding *f, const char *pool)
{
    struct daemon *d = f->daemon;
    uint32_t random;
    random_bytes(&random, sizeof(random));
    struct change_cluster_init change = {
        .cluster = {.uuid = (char *)(uintptr_t)identity_cluster(d->identity),
                    .ca = (char *)(uintptr_t)identity_ca_cert(d->identity),
                    .pool = (char *)(uintptr_t)(*pool ? pool : POOL_DEFAULT),
                    .vxlan_id = 1 + random % 0xfffffe,
                    .level = level_known(d) > LEVEL_FIRST ? level_known(d) : 0,
                    .created_ms = clock_wall_ms()}};
    struct err err;
    if (level_known(d) > LEVEL_FIRST && keys_found(d, &change.cluster.keys, &err) < 0) {
        end_founding(f, &err);
        return;
    }
    daemon_describe(d, &change.node);
    record_lower(&node_type, &change.node, level_known(d));
    propose_change(d->propose, CHANGE_CLUSTER_INIT, &change, NULL, PROPOSE_TIMEOUT_MS, on_founded,
                   f);
    record_release(&node_type, &change.node);
    record_release(&cluster_keys_type, &change.cluster.keys);
}

/* This machine is a member from now on, on disk too: when it cannot act as one (the log's disk is
 * full, a port is taken), only a new start can. */
static int start_member(struct daemon *d, bool bootstrap, struct err *err)
{
    int rv = daemon_start_member(d, bootstrap, err);
    if (rv < 0) {
        err_wrap(err, "this machine is a member now, but its daemon must be started again");
        daemon_stop(d, rv, err);
    }
    return rv;
}

static int prepare_founding(struct daemon *d, const char *pool, struct err *err)
{
    if (identity_is_member(d->identity))
        return err_set(err, ERR_EXISTS,
                       "this machine is a member of cluster %.8s already ('wherry status')",
                       identity_cluster(d->identity));
    if (d->joining)
        return err_set(err, ERR_BUSY, "this machine is joining a cluster right now");
    if (d->witness)
        return err_set(err, ERR_INVALID,
                       "a witness cannot be the first member of a cluster: start this daemon "
                       "without --witness, or found the cluster on another machine");
    /* What apply would refuse later must not begin: nothing could be undone then. */
    if (pool_check(*pool ? pool : POOL_DEFAULT, err) < 0)
        return err->code;
    cleanup_free char *path = founding_path(d);
    unsigned char raw[16];
    char uuid[2 * sizeof(raw) + 1];
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), uuid);
    int rv = file_write(path, pool, strlen(pool), 0600, err);
    if (rv == 0 && !*identity_ca_cert(d->identity))
        rv = identity_make_ca(d->identity, err);
    /* Before this machine is a member: after a crash the CA's key is there, sealed. */
    struct cluster_keys keys = {0};
    if (rv == 0)
        rv = level_known(d) > LEVEL_FIRST ? keys_found(d, &keys, err)
                                          : identity_keep_ca_key(d->identity, err);
    record_release(&cluster_keys_type, &keys);
    if (rv == 0)
        rv = identity_set_member(d->identity, uuid, 1, err);
    return rv < 0 ? rv : start_member(d, true, err);
}

void members_found(struct daemon *d, const char *pool, members_cb cb, void *arg)
{
    struct err err = {0};
    struct founding *f = mem_alloc(1, sizeof(*f));
    *f = (struct founding){.daemon = d, .cb = cb, .arg = arg};
    if (prepare_founding(d, pool, &err) < 0) {
        cb(arg, &err);
        free(f);
        return;
    }
    propose_cluster(f, pool);
}

void members_resume_founding(struct daemon *d)
{
    cleanup_free char *path = founding_path(d);
    cleanup_buf struct buf pool = BUF_INIT;
    struct err err;
    if (!file_exists(path))
        return;
    if (file_read(path, 64, &pool, &err) < 0) {
        log_warn("members", "the founding of the cluster cannot go on: %s", err.msg);
        return;
    }
    log_info("members", "the founding of the cluster goes on");
    struct founding *f = mem_alloc(1, sizeof(*f));
    f->daemon = d;
    propose_cluster(f, str_or_empty(pool.data));
}

/* --- joining: the machine that wants in ------------------------------------------------------ */

struct joining {
    struct daemon *daemon;
    members_cb cb;
    void *arg;
};

/* A cluster of the first release gives the CA's key to every member, in plain. */
static int become_member_of_first(struct daemon *d, const struct welcome *w, struct err *err)
{
    int rv = identity_set_ca(d->identity, str_or_empty(w->ca_cert), str_or_empty(w->ca_key), err);
    if (rv == 0)
        rv = identity_keep_ca_key(d->identity, err);
    return rv < 0 ? rv
                  : identity_set_member(d->identity, str_or_empty(w->cluster), w->node_id, err);
}

static int become_member(struct daemon *d, const struct welcome *w, struct err *err)
{
    if (w->code != 0)
        return err_set(err, err_from_wire((long)w->code), "%s", str_or_empty(w->message));
    cleanup_free char *dir = str_printf("%s/identity", d->data_dir);
    struct peers peers;
    peers_from_nodes(w->nodes, w->nodes_n, w->node_id, &peers);
    int rv = members_forget_founding(d, err);
    if (rv == 0)
        rv = peers_save(dir, &peers, err);
    if (rv == 0)
        rv = witness_note(d, err);
    record_release(&peers_type, &peers);
    if (rv == 0 && w->key.len == SEAL_KEY_BYTES && w->key_generation > 0) {
        struct seal_key key = {.generation = w->key_generation};
        memcpy(key.bytes, w->key.data, SEAL_KEY_BYTES);
        rv = keyring_add(d->keyring, &key, !w->locked, err);
        seal_key_wipe(&key);
    }
    if (rv == 0 && *str_or_empty(w->chain))
        rv = identity_join_member(d->identity, str_or_empty(w->cluster), w->node_id, w->chain, err);
    else if (rv == 0)
        rv = become_member_of_first(d, w, err);
    return rv < 0 ? rv : start_member(d, false, err);
}

static void on_answer(void *arg, const struct err *failed, const void *data, size_t len)
{
    struct joining *j = arg;
    struct err err = *failed;
    struct welcome w = {0};
    j->daemon->joining = false;
    if (err.code == 0 && j->daemon->stopping)
        err_set(&err, ERR_CANCELED, "this daemon is stopping");
    if (err.code == 0 && record_decode(&welcome_type, data, len, false, &w, &err) == 0)
        become_member(j->daemon, &w, &err);
    record_release(&welcome_type, &w);
    j->cb(j->arg, &err);
    free(j);
}

static int check_may_join(struct daemon *d, const char *token, unsigned char ca_hash[32],
                          struct err *err)
{
    enum token_kind kind;
    unsigned char secret[32];
    if (identity_is_member(d->identity))
        return err_set(
            err, ERR_EXISTS,
            "this machine is a member of cluster %.8s already: 'wherry leave' takes it out; if "
            "that "
            "fails, have another member remove it ('wherry node rm'), then stop this daemon and "
            "delete %.80s",
            identity_cluster(d->identity), d->data_dir);
    if (d->joining)
        return err_set(err, ERR_BUSY, "this machine is joining a cluster already");
    int rv = token_parse(token, &kind, ca_hash, secret, err);
    if (rv < 0)
        return rv;
    if (kind != TOKEN_JOIN)
        return err_set(
            err, ERR_INVALID,
            "this token is for calls, not for joining; 'wherry token' on a member prints "
            "one to join with");
    return daemon_start_bus(d, err);
}

void members_join(struct daemon *d, const char *address, const char *token, bool replace,
                  members_cb cb, void *arg)
{
    struct err err = {0};
    unsigned char ca_hash[32];
    if (check_may_join(d, token, ca_hash, &err) < 0) {
        cb(arg, &err);
        return;
    }
    struct admission a = {.token = (char *)(uintptr_t)token, .replace = replace};
    daemon_describe(d, &a.node);
    cleanup_buf struct buf message = BUF_INIT;
    record_encode(&admission_type, &a, &message);
    record_release(&node_type, &a.node);
    struct joining *j = mem_alloc(1, sizeof(*j));
    *j = (struct joining){.daemon = d, .cb = cb, .arg = arg};
    d->joining = true;
    bus_join(d->bus, address, ca_hash, message.data, message.len, on_answer, j);
}

/* --- joining: the member that is asked ------------------------------------------------------- */

enum {
    TOKEN_WAIT_MS = 1000,
    TOKEN_SLACK_MS = 60000,
    REFUSED_LOG_MS = 1000,
};

struct admitting {
    struct daemon *daemon;
    struct bus_stranger *stranger;
    struct bytes key;
    struct change_node_add change;
    unsigned char secret_hash[DIGEST_BYTES];
};

static void answer(struct bus_stranger *stranger, const struct welcome *w)
{
    cleanup_secret struct buf message = BUF_INIT;
    record_encode(&welcome_type, w, &message);
    bus_stranger_reply(stranger, message.data, message.len);
}

static void refuse(struct bus_stranger *stranger, const struct err *err)
{
    struct welcome w = {.code = -err->code, .message = (char *)(uintptr_t)err->msg};
    answer(stranger, &w);
}

static bool has_key(const struct node *node, const struct bytes *key)
{
    return node->public_key.len == key->len &&
           memcmp(node->public_key.data, key->data, key->len) == 0;
}

/* The token was good. A machine that was let in but never heard of it (a crash, a lost answer) asks
 * again with the same key: it is told again. */
static int64_t id_of_admitted(const struct admitting *a, const struct change_result *result,
                              const struct welcome *w)
{
    if (result->err.code == 0)
        return result->id;
    for (size_t i = 0; i < w->nodes_n && result->err.code == ERR_EXISTS; i++)
        if (has_key(&w->nodes[i], &a->key))
            return w->nodes[i].id;
    return 0;
}

static void admitting_free(struct admitting *a)
{
    bytes_set(&a->key, NULL, 0);
    record_release(&node_type, &a->change.node);
    free(a);
}

/* What a new member needs: its certificate, and the cluster key if it is to hold it. */
static int equip(struct daemon *d, const struct admitting *a, struct welcome *w, struct err *err)
{
    const struct seal_key *key;
    struct cluster cluster;
    if (certs_sign(d, w->node_id, &a->key, &w->chain, err) < 0)
        return err->code;
    check(store_get(d->store, TABLE_CLUSTER, 1, &cluster) == 0);
    if (cluster.keys.generation == 0) { /* it may be of the first release itself */
        w->ca_cert = (char *)(uintptr_t)identity_ca_cert(d->identity);
        w->ca_key = (char *)(uintptr_t)identity_ca_key(d->identity);
        free(steal(&w->chain));
    } else if (keys_are_for(&a->change.node) && keys_current(d->keys, &key, err) == 0) {
        w->locked = cluster.keys.locked;
        w->key_generation = key->generation;
        w->key = (struct bytes){(unsigned char *)(uintptr_t)key->bytes, SEAL_KEY_BYTES};
    }
    record_release(&cluster_type, &cluster);
    return 0;
}

static void on_admitted(void *arg, const struct change_result *result)
{
    struct admitting *a = arg;
    struct daemon *d = a->daemon;
    struct err err = result->err;
    struct welcome w = {.cluster = (char *)(uintptr_t)identity_cluster(d->identity)};
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &w.nodes, &w.nodes_n);
    w.node_id = id_of_admitted(a, result, &w);
    if (w.node_id && equip(d, a, &w, &err) == 0)
        answer(a->stranger, &w);
    else
        refuse(a->stranger, &err);
    record_free_list(&node_type, w.nodes, w.nodes_n);
    free(w.chain);
    admitting_free(a);
}

/* Whether the token is one of this cluster, as far as this member knows. Its time is looked at
 * loosely: to say when it is over is up to the state. */
static bool is_known(const struct admitting *a)
{
    char hex[DIGEST_HEX + 1];
    struct token token;
    hex_encode(a->secret_hash, sizeof(a->secret_hash), hex);
    if (store_find(a->daemon->store, TABLE_TOKEN, hex, &token) < 0)
        return false;
    bool over =
        token.expires_ms != 0 && token.expires_ms + TOKEN_SLACK_MS < daemon_now_ms(a->daemon);
    bool good = token.kind == TOKEN_JOIN && !over;
    record_release(&token_type, &token);
    return good;
}

/* Somebody may be guessing tokens: at most a line a second. */
static void log_refused(const struct bus_stranger *stranger)
{
    static int64_t logged_ms;
    static int suppressed;
    int64_t now = clock_boot_ms();
    if (logged_ms && now - logged_ms < REFUSED_LOG_MS) {
        suppressed++;
        return;
    }
    log_warn("members", "refused to let %s join: its token is not good (and %d before it)",
             bus_stranger_source(stranger), suppressed);
    logged_ms = now;
    suppressed = 0;
}

/* A stranger must not be able to write into the log: only what shows a real token is proposed. One
 * that was made a moment ago on another member may need a moment to get here. */
static bool poll_token(void *arg, bool last)
{
    struct admitting *a = arg;
    struct daemon *d = a->daemon;
    if (!d->stopping && is_known(a)) {
        a->change.token_hash = (struct bytes){a->secret_hash, sizeof(a->secret_hash)};
        propose_change(d->propose, CHANGE_NODE_ADD, &a->change, NULL, PROPOSE_TIMEOUT_MS / 2,
                       on_admitted, a);
        return true;
    }
    if (!last)
        return false;
    struct err err;
    err_set(&err, ERR_DENIED,
            "the join token is not known to this cluster, or has expired; get one with wherry "
            "token");
    log_refused(a->stranger);
    refuse(a->stranger, &err);
    admitting_free(a);
    return true;
}

/* A machine inside the range of the cluster's networks could not be told from a container. */
static int check_address(struct daemon *d, const struct node *node, struct err *err)
{
    struct cluster cluster;
    struct in_addr ip;
    char text[INET_ADDRSTRLEN + 1];
    str_fill(text, sizeof(text), str_or_empty(node->address));
    text[strcspn(text, ":")] = '\0';
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_UNAVAILABLE, "the member asked has no state yet: try again");
    int rv = 0;
    if (inet_pton(AF_INET, text, &ip) != 1)
        rv = err_set(err, ERR_INVALID, "'%.40s' is not an IPv4 address", text);
    else if (pool_contains(cluster.pool, ip))
        rv = err_set(err, ERR_CONFLICT,
                     "this machine's address %s lies in %s, the range of the cluster's networks",
                     text, cluster.pool);
    record_release(&cluster_type, &cluster);
    return rv;
}

/* A machine whose connections we refuse wants to know why. It is told only when our own copy is
 * known to be up to date. */
static bool answer_ask(struct daemon *d, struct bus_stranger *stranger, const struct admission *a,
                       const struct bytes *public_key)
{
    struct welcome w = {0};
    struct err err = {0};
    struct node node;
    if (a->renew.len == REQUEST_ID_BYTES) {
        repair_answer(d, stranger, a, public_key);
        return true;
    }
    if (!a->ask)
        return false;
    if (!daemon_is_synced(d))
        err_set(&err, ERR_UNAVAILABLE, "this member is not in touch with a leader");
    else if (store_get(d->store, TABLE_NODE, a->node.id, &node) < 0)
        err_set(&err, ERR_NOTFOUND, "n%lld is no member any more", (long long)a->node.id);
    else {
        if (node.public_key.len != public_key->len ||
            memcmp(node.public_key.data, public_key->data, public_key->len) != 0)
            err_set(&err, ERR_DENIED, "n%lld has another key", (long long)a->node.id);
        record_release(&node_type, &node);
    }
    if (err.code != 0)
        refuse(stranger, &err);
    else
        answer(stranger, &w);
    return true;
}

void members_on_stranger(struct daemon *d, struct bus_stranger *stranger,
                         const struct bytes *public_key, const void *data, size_t len)
{
    struct err err = {0};
    struct admission a = {0};
    enum token_kind kind;
    unsigned char ca_hash[32];
    unsigned char secret_hash[32];
    if (!d->waiters || d->stopping || d->removed)
        err_set(&err, ERR_UNAVAILABLE, "the machine asked is no member of a cluster itself");
    else if (record_decode(&admission_type, data, len, false, &a, &err) == 0 &&
             !answer_ask(d, stranger, &a, public_key) &&
             token_parse(str_or_empty(a.token), &kind, ca_hash, secret_hash, &err) == 0 &&
             check_address(d, &a.node, &err) == 0 && certs_check(d, &err) == 0) {
        struct admitting *admitting = mem_alloc(1, sizeof(*admitting));
        *admitting = (struct admitting){.daemon = d, .stranger = stranger};
        memcpy(admitting->secret_hash, secret_hash, sizeof(secret_hash));
        bytes_set(&admitting->key, public_key->data, public_key->len);
        record_copy(&node_type, &a.node, &admitting->change.node);
        admitting->change.replace = a.replace;
        bytes_set(&admitting->change.node.public_key, public_key->data, public_key->len);
        waiters_add(d->waiters, TOKEN_WAIT_MS, poll_token, admitting);
    }
    record_release(&admission_type, &a);
    if (err.code != 0)
        refuse(stranger, &err);
}
