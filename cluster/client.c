/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/client_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/identity.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct client {
    struct client_unix *local; /* one of the two */
    struct client_nng *remote;
    char *token;
    int64_t last_id;
    bool stale;
    int64_t index; /* of the newest reply */
    int64_t members;
};

int client_wait(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - clock_boot_ms();
        if (left < 0)
            left = 0;
        struct pollfd p = {.fd = fd, .events = events};
        int rv = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (rv > 0)
            return 0;
        if (rv == 0)
            return ERR_TIMEOUT;
        check(errno == EINTR);
    }
}

static int open_remote(struct client *client, const char *address, const char *token,
                       struct err *err)
{
    enum token_kind kind;
    unsigned char ca_hash[32];
    unsigned char secret_hash[32];
    if (*str_or_empty(token) == '\0')
        return err_set(err, ERR_INVALID,
                       "calls to %s need a token; make one on a member: wherry token create",
                       address);
    int rv = token_parse(token, &kind, ca_hash, secret_hash, err);
    if (rv < 0)
        return rv;
    return client_nng_open(address, ca_hash, &client->remote, err);
}

int client_open(const char *target, const char *token, struct client **ret_client, struct err *err)
{
    struct client *client = mem_alloc(1, sizeof(*client));
    int rv;
    if (str_starts(target, "unix://"))
        rv = client_unix_open(target + strlen("unix://"), &client->local, err);
    else if (*target == '/')
        rv = client_unix_open(target, &client->local, err);
    else
        rv = open_remote(client, target, token, err);
    if (rv < 0) {
        free(client);
        return rv;
    }
    client->token = str_copy(str_or_empty(token));
    *ret_client = client;
    return 0;
}

void client_set_stale(struct client *client, bool stale)
{
    client->stale = stale;
}

int64_t client_members(const struct client *client)
{
    return client->members;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    if (client->local)
        client_unix_close(client->local);
    if (client->remote)
        client_nng_close(client->remote);
    OPENSSL_cleanse(client->token, strlen(client->token));
    free(client->token);
    free(client);
}

/* Unpack what came back for call @id. */
static int decode_reply(struct client *client, const struct buf *raw, int64_t id,
                        const struct record_type *type, void *ret_reply, struct err *err)
{
    struct reply reply;
    int rv = record_decode(&reply_type, raw->data, raw->len, false, &reply, err);
    if (rv < 0)
        return rv;
    if (reply.index > client->index)
        client->index = reply.index;
    client->members = reply.members;
    rv = reply_get_err(&reply, err);
    if (rv == 0 && reply.id != id)
        rv = err_set(err, ERR_CORRUPT, "the member answered another call");
    if (rv == 0 && reply.body.len == 0)
        memset(ret_reply, 0, type->size); /* an empty record may be left out */
    else if (rv == 0)
        rv = record_decode(type, reply.body.data, reply.body.len, false, ret_reply, err);
    record_release(&reply_type, &reply);
    return rv;
}

int64_t client_index(const struct client *client)
{
    return client->index;
}

int client_call_as(struct client *client, const struct client_request *request, const char *verb,
                   const struct record_type *request_type, const void *what,
                   const struct record_type *answer_type, void *ret_reply, int64_t timeout_ms,
                   struct err *err)
{
    cleanup_buf struct buf body = BUF_INIT;
    record_encode(request_type, what, &body);
    if (body.len > WIRE_MESSAGE_MAX - 4096)
        return err_set(err, ERR_TOOBIG, "the request has more than 4 MiB");
    struct call call = {
        .version = WIRE_VERSION,
        .id = ++client->last_id,
        .verb = (char *)(uintptr_t)verb,
        .token = client->token,
        .stale = client->stale,
        .request_id = {.data = (unsigned char *)(uintptr_t)request->id, .len = sizeof(request->id)},
        .begin = request->begin,
        .body = {.data = (unsigned char *)body.data, .len = body.len},
    };
    cleanup_buf struct buf raw = BUF_INIT;
    int64_t deadline_ms = clock_boot_ms() + timeout_ms;
    int rv = client->local ? client_unix_exchange(client->local, &call, deadline_ms, &raw, err)
                           : client_nng_exchange(client->remote, &call, deadline_ms, &raw, err);
    return rv < 0 ? rv : decode_reply(client, &raw, call.id, answer_type, ret_reply, err);
}

int client_call(struct client *client, const char *verb, const struct record_type *request_type,
                const void *request, const struct record_type *answer_type, void *ret_reply,
                int64_t timeout_ms, struct err *err)
{
    struct client_request as = {.begin = client->index};
    random_bytes(as.id, sizeof(as.id));
    return client_call_as(client, &as, verb, request_type, request, answer_type, ret_reply,
                          timeout_ms, err);
}
