/* SPDX-License-Identifier: Apache-2.0 */
#include "node/introduce.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "node/addresses.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/heartbeat.h"
#include "node/peers.h"

#include <stdbool.h>
#include <stdlib.h>

enum {
    SILENCE_MS = 2000, /* out of contact for so long before we ask */
    ASK_MS = 1000,     /* between two questions */
    ANSWER_MS = 3000,
    IDS_MAX = 256,
};

struct introduce {
    struct daemon *daemon;
    int64_t next_ms;
    size_t next; /* whom to ask, by place among those we know */
    bool asking;
    bool learned;
};

struct introduce *introduce_new(struct daemon *d)
{
    struct introduce *i = mem_alloc(1, sizeof(*i));
    i->daemon = d;
    return i;
}

void introduce_free(struct introduce *i)
{
    free(i);
}

static void on_answer(void *arg, const struct err *err, const struct reply *reply)
{
    struct introduce *i = arg;
    struct daemon *d = i->daemon;
    struct peers peers;
    struct err bad = {0};
    i->asking = false;
    if (err->code != 0 || d->stopping || reply_get_err(reply, &bad) < 0)
        return;
    if (reply->body.len > PEERS_FILE_MAX ||
        record_decode(&peers_type, reply->body.data, reply->body.len, false, &peers, &bad) < 0) {
        log_warn("members", "a list of members cannot be read: %s", bad.msg);
        return;
    }
    if (addresses_introduce(d->addresses, &peers) > 0)
        log_info("members", "members have joined while this one was away");
    i->learned = true;
    record_release(&peers_type, &peers);
}

/* The next member that we are connected to, 0: none. */
static int64_t whom(struct introduce *i)
{
    struct daemon *d = i->daemon;
    int64_t ids[IDS_MAX];
    size_t n = addresses_ids(d->addresses, ids, IDS_MAX);
    for (size_t tries = 0; tries < n; tries++) {
        int64_t id = ids[i->next++ % n];
        if (id != d->id && bus_is_connected(d->bus, id))
            return id;
    }
    return 0;
}

void introduce_step(struct introduce *i, int64_t now_ms)
{
    struct daemon *d = i->daemon;
    if (i->learned && heartbeat_is_synced(d->heartbeat)) {
        addresses_introduce(d->addresses, NULL);
        i->learned = false;
    }
    if (d->removed || d->is_copy || d->stopping || i->asking || now_ms < i->next_ms ||
        heartbeat_out_of_contact_ms(d->heartbeat) < SILENCE_MS)
        return;
    i->next_ms = now_ms + ASK_MS;
    int64_t id = whom(i);
    if (id == 0)
        return;
    struct call call = {.verb = (char[]){"member.introduce"}};
    i->asking = true;
    forward_call(d->forward, id, &call, ANSWER_MS, on_answer, i);
}

void introduce_on_call(struct daemon *d, introduce_reply_cb cb, void *arg)
{
    struct reply reply = {0};
    struct err err;
    cleanup_buf struct buf body = BUF_INIT;
    if (!heartbeat_is_synced(d->heartbeat)) {
        err_set(&err, ERR_UNAVAILABLE, "this member is not in touch with a leader");
        reply_set_err(&reply, &err);
        cb(arg, &reply);
        record_release(&reply_type, &reply);
        return;
    }
    struct node *nodes;
    size_t n;
    struct peers peers;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    peers_from_nodes(nodes, n, 0, &peers);
    record_encode(&peers_type, &peers, &body);
    reply.body = (struct bytes){(unsigned char *)body.data, body.len};
    cb(arg, &reply);
    record_release(&peers_type, &peers);
    record_free_list(&node_type, nodes, n);
}
