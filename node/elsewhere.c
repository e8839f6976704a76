/* SPDX-License-Identifier: Apache-2.0 */
#include "node/elsewhere.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/forward.h"

#include <stdlib.h>

enum {
    EXTRA_MS = 10000, /* beside what the other may take */
};

static void on_reply(void *arg, const struct err *err, const struct reply *reply)
{
    struct api_call *c = arg;
    struct err remote = {0};
    void *record = mem_alloc(1, c->verb->reply->size);
    const struct record_type *type = c->verb->reply;
    if (err->code != 0)
        api_fail(c, err);
    else if (reply_get_err(reply, &remote) < 0 ||
             record_decode(type, reply->body.data, reply->body.len, false, record, &remote) < 0)
        api_fail(c, &remote);
    else
        api_reply(c, record);
    record_release(type, record);
    free(record);
}

bool call_elsewhere(struct api_call *c, const char *name, const void *request, int64_t wait_ms)
{
    struct daemon *d = c->daemon;
    struct node node;
    if (!*str_or_empty(name) || c->from != 0 || str_equal(name, d->name))
        return false;
    if (!d->waiters || !d->store || store_find(d->store, TABLE_NODE, name, &node) < 0) {
        api_fail_with(c, ERR_NOTFOUND, "there is no node '%.80s' ('wherry node ls' lists them)",
                      name);
        return true;
    }
    int64_t id = node.id;
    record_release(&node_type, &node);
    if (id == d->id)
        return false;
    cleanup_buf struct buf body = BUF_INIT;
    record_encode(c->verb->request, request, &body);
    cleanup_free char *verb = str_copy(c->verb->name);
    struct call call = {
        .verb = verb, .token = c->caller.secret, .body = {(unsigned char *)body.data, body.len}};
    forward_call(d->forward, id, &call, wait_ms + EXTRA_MS, on_reply, c);
    return true;
}
