/* SPDX-License-Identifier: Apache-2.0 */
#include "node/certs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/authority.h"
#include "cluster/identity.h"
#include "node/clocks.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/keys.h"
#include "node/members.h"
#include "node/propose.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 1000,
    ASK_MS = 10000,
    RETRY_MS = 2000,        /* after a failure */
    AGAIN_MS = 3600 * 1000, /* between two renewals at least: a clock may be wrong */
    RENEW_PART = 3,         /* renewed when less than a third of its time is left */
};

struct certs {
    struct daemon *daemon;
    uv_timer_t timer;
    bool asking;
    size_t next; /* whom to ask, by place in the table */
    bool has_ca; /* the state says which CA is in use */
    unsigned char ca_hash[DIGEST_BYTES];
    bool changing; /* … and has one before it */
    int64_t next_ms;
    int64_t again_ms; /* for its age alone not before */
    bool warned;
    void (*on_freed)(void *arg);
    void *free_arg;
};

/* The answer to member.certify. */
struct certified {
    char *chain;
};
static const struct field certified_fields[] = {
    FIELD_STRING(struct certified, chain),
};
static const struct record_type certified_type =
    RECORD_TYPE("certified", struct certified, certified_fields);

/* --- signing --------------------------------------------------------------------------------- */

static int64_t valid_s(const struct daemon *d)
{
    return d->options.certificate_s > 0 ? d->options.certificate_s : AUTHORITY_VALID_S;
}

int certs_check(struct daemon *d, struct err *err)
{
    struct cluster cluster;
    cleanup_secret struct buf key = BUF_INIT;
    if (clocks_offset_ms(d->clocks, d->id) != 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "the clock of the member asked is wrong, so it makes no certificates: ask "
                       "another one, or set its clock");
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_UNAVAILABLE, "the member asked has no state yet: try again");
    int rv = keys_open_ca(d->keys, &cluster, &key, err);
    record_release(&cluster_type, &cluster);
    return rv;
}

int certs_sign(struct daemon *d, int64_t node_id, const struct bytes *public_key, char **ret_chain,
               struct err *err)
{
    struct cluster cluster;
    cleanup_secret struct buf key = BUF_INIT;
    if (certs_check(d, err) < 0)
        return err->code;
    check(store_get(d->store, TABLE_CLUSTER, 1, &cluster) == 0);
    int rv = keys_open_ca(d->keys, &cluster, &key, err);
    if (rv == 0) {
        struct authority ca = {.cert = str_or_empty(cluster.ca),
                               .key = key.data,
                               .cross = cluster.ca_cross,
                               .before = cluster.ca_old};
        rv = authority_certify(&ca, node_id, public_key, valid_s(d), ret_chain, err);
    }
    record_release(&cluster_type, &cluster);
    return rv;
}

bool certs_on_call(struct certs *certs, int64_t from, const struct call *call,
                   void (*cb)(void *arg, const struct reply *reply), void *arg)
{
    struct daemon *d = certs->daemon;
    struct certified answer = {0};
    struct reply reply = {0};
    struct node node;
    struct err err;
    int rv;
    if (!str_equal(call->verb, "member.certify"))
        return false;
    if (store_get(d->store, TABLE_NODE, from, &node) < 0) {
        rv = err_set(&err, ERR_DENIED, "n%lld is no member any more", (long long)from);
    } else {
        rv = certs_sign(d, from, &node.public_key, &answer.chain, &err);
        record_release(&node_type, &node);
    }
    cleanup_buf struct buf body = BUF_INIT;
    if (rv < 0) {
        reply_set_err(&reply, &err);
        cb(arg, &reply);
        record_release(&reply_type, &reply);
    } else {
        record_encode(&certified_type, &answer, &body);
        reply.body = (struct bytes){(unsigned char *)body.data, body.len};
        cb(arg, &reply);
    }
    record_release(&certified_type, &answer);
    return true;
}

/* --- our own --------------------------------------------------------------------------------- */

/* True when our chain is not of the CA the state names, or not with all of it. */
static bool is_outdated(const struct certs *c, const struct authority_chain *chain)
{
    return c->has_ca && (memcmp(chain->ca_hash, c->ca_hash, sizeof(c->ca_hash)) != 0 ||
                         chain->changing != c->changing);
}

/* How long a certificate lasts from when it was made; it begins a week before that (cert.h). */
static int64_t lasts_s(const struct authority_chain *chain)
{
    return chain->until_s - chain->from_s - INT64_C(7) * 86400;
}

/* Near its end, or made by a clock that was ahead. */
static bool is_old(const struct daemon *d, const struct authority_chain *chain)
{
    int64_t now_s = daemon_now_ms(d) / 1000;
    return chain->until_s - now_s < lasts_s(chain) / RENEW_PART || chain->from_s > now_s;
}

static void note_failure(struct certs *c, const struct err *err)
{
    c->next_ms = clock_boot_ms() + RETRY_MS;
    if (!c->warned)
        log_warn("certs", "this member's certificate could not be renewed, trying on: %s",
                 err->msg);
    c->warned = true;
}

static void use(struct certs *c, const char *chain)
{
    struct daemon *d = c->daemon;
    struct authority_chain said;
    struct err err;
    if (identity_set_chain(d->identity, chain, &err) < 0) {
        note_failure(c, &err);
        return;
    }
    check(identity_chain(d->identity, &said));
    char until[40];
    clock_format(said.until_s * 1000, until, sizeof(until));
    log_info("certs", "this member has a new certificate, good until %s", until);
    /* By a clock that is wrong it may look old at once. */
    int64_t rest_ms = lasts_s(&said) * 1000 / RENEW_PART / 10;
    c->warned = false;
    c->again_ms = clock_boot_ms() + (rest_ms < AGAIN_MS ? rest_ms : AGAIN_MS);
    members_describe(d->members);
}

static void on_certified(void *arg, const struct err *failed, const struct reply *reply)
{
    struct certs *c = arg;
    struct certified answer;
    struct err err = *failed;
    c->asking = false;
    if (err.code == 0 && reply_get_err(reply, &err) == 0 &&
        record_decode(&certified_type, reply->body.data, reply->body.len, false, &answer, &err) ==
            0) {
        if (!c->daemon->stopping)
            use(c, str_or_empty(answer.chain));
        record_release(&certified_type, &answer);
    } else if (!c->daemon->stopping) {
        note_failure(c, &err);
    }
}

/* Ask the next member that is up and may hold the key. False: there is none. */
static bool ask(struct certs *c)
{
    struct daemon *d = c->daemon;
    struct node *nodes;
    size_t n;
    struct call call = {.verb = (char[]){"member.certify"}};
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n && !c->asking; i++) {
        const struct node *node = &nodes[c->next++ % n];
        if (node->id == d->id || node->status != NODE_UP || !keys_are_for(node))
            continue;
        c->asking = true;
        forward_call(d->forward, node->id, &call, ASK_MS, on_certified, c);
    }
    record_free_list(&node_type, nodes, n);
    return c->asking;
}

static void renew(struct certs *c)
{
    struct daemon *d = c->daemon;
    cleanup_free char *chain = NULL;
    struct err err;
    if (certs_sign(d, d->id, identity_public_key(d->identity), &chain, &err) == 0) {
        use(c, chain);
        return;
    }
    if (!ask(c))
        note_failure(c, &err);
}

static void on_timer(uv_timer_t *timer)
{
    struct certs *c = timer->data;
    struct daemon *d = c->daemon;
    struct authority_chain chain;
    int64_t now = clock_boot_ms();
    if (d->stopping || d->removed || c->asking || now < c->next_ms ||
        !identity_chain(d->identity, &chain))
        return;
    /* An old state may name an old CA; one's own certificate may be renewed by it all the same. */
    bool outdated = is_outdated(c, &chain) && daemon_is_synced(d);
    if (outdated ||
        (c->has_ca && now >= c->again_ms && clocks_are_compared(d->clocks) && is_old(d, &chain)))
        renew(c);
}

void certs_on_change(struct certs *c)
{
    struct cluster cluster;
    struct err err;
    if (store_get(c->daemon->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return;
    if (authority_hash(str_or_empty(cluster.ca), c->ca_hash, &err) == 0) {
        c->has_ca = true;
        c->changing = *str_or_empty(cluster.ca_old) != '\0';
        c->next_ms = 0;
    }
    record_release(&cluster_type, &cluster);
    on_timer(&c->timer);
}

/* --- another CA ------------------------------------------------------------------------------ */

struct ca_change {
    certs_cb cb;
    void *arg;
};

static void on_proposed(void *arg, const struct change_result *result)
{
    struct ca_change *change = arg;
    change->cb(change->arg, &result->err);
    free(change);
}

static void propose(struct daemon *d, enum change_kind kind, const void *body, certs_cb cb,
                    void *arg)
{
    struct ca_change change = {.cb = cb, .arg = arg};
    propose_change(d->propose, kind, body, NULL, PROPOSE_TIMEOUT_MS, on_proposed,
                   mem_copy(&change, sizeof(change)));
}

static void free_key(char **key)
{
    if (*key)
        OPENSSL_cleanse(*key, strlen(*key));
    free(*key);
}

static int make_ca(struct daemon *d, const struct cluster *cluster, struct change_ca_rotate *ret,
                   struct err *err)
{
    const struct seal_key *key;
    cleanup_secret struct buf old_key = BUF_INIT;
    __attribute__((cleanup(free_key))) char *ca_key = NULL;
    if (*str_or_empty(cluster->ca_old))
        return err_set(err, ERR_EXISTS,
                       "the CA is being changed already: 'wherry ca inspect' shows how far it is, "
                       "'wherry ca rotate --finish' ends it");
    if (keys_current(d->keys, &key, err) < 0 || keys_open_ca(d->keys, cluster, &old_key, err) < 0 ||
        authority_new(cluster->ca, &ret->ca, &ca_key, err) < 0 ||
        authority_cross(ret->ca, cluster->ca, old_key.data, &ret->cross, err) < 0)
        return err->code;
    ret->expected_revision = cluster->keys.revision;
    seal_close(key, "ca", "", ca_key, strlen(ca_key), &ret->ca_key);
    return 0;
}

int certs_rotate_ca(struct daemon *d, certs_cb cb, void *arg, struct err *err)
{
    struct cluster cluster;
    struct change_ca_rotate change = {0};
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_UNAVAILABLE, "this member has no state yet: try again");
    int rv = make_ca(d, &cluster, &change, err);
    if (rv == 0)
        propose(d, CHANGE_CA_ROTATE, &change, cb, arg);
    record_release(&change_ca_rotate_type, &change);
    record_release(&cluster_type, &cluster);
    return rv;
}

int certs_finish_ca(struct daemon *d, certs_cb cb, void *arg, struct err *err)
{
    struct cluster cluster;
    struct change_ca_finish change = {0};
    unsigned char hash[DIGEST_BYTES];
    if (store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_UNAVAILABLE, "this member has no state yet: try again");
    int rv = authority_hash(str_or_empty(cluster.ca), hash, err);
    if (rv == 0 && !*str_or_empty(cluster.ca_old))
        rv = err_set(err, ERR_NOTFOUND, "there is no change of the CA to finish");
    if (rv == 0) {
        change.expected_revision = cluster.keys.revision;
        change.ca_hash = (struct bytes){hash, sizeof(hash)};
        propose(d, CHANGE_CA_FINISH, &change, cb, arg);
    }
    record_release(&cluster_type, &cluster);
    return rv;
}

/* --- beginning and end ----------------------------------------------------------------------- */

struct certs *certs_new(struct daemon *d)
{
    struct certs *c = mem_alloc(1, sizeof(*c));
    c->daemon = d;
    uv_timer_init(&d->loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_timer, TICK_MS, TICK_MS);
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct certs *c = handle->data;
    void (*on_freed)(void *arg) = c->on_freed;
    void *arg = c->free_arg;
    free(c);
    on_freed(arg);
}

void certs_free(struct certs *c, void (*on_freed)(void *arg), void *arg)
{
    c->on_freed = on_freed;
    c->free_arg = arg;
    uv_close((uv_handle_t *)&c->timer, on_closed);
}
