/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/server_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- calls --------------------------------------------------------------------------------- */

static void reply_on(struct local *local, struct remote_slot *slot, const struct reply *reply)
{
    if (local)
        local_reply(local, reply);
    else if (slot)
        remote_reply(slot, reply);
}

static void refuse(struct local *local, struct remote_slot *slot, int64_t id, const struct err *err)
{
    struct reply reply = {.id = id};
    reply_set_err(&reply, err);
    reply_on(local, slot, &reply);
    record_release(&reply_type, &reply);
}

/* What makes @call unusable, if anything. */
static int check_call(const struct call *call, struct err *err)
{
    if (call->version != WIRE_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "the call speaks version %" PRId64 ", this member version %d; use a client "
                       "of the member's release",
                       call->version, WIRE_VERSION);
    if (*str_or_empty(call->verb) == '\0')
        return err_set(err, ERR_CORRUPT, "call: no verb");
    if (call->request_id.len != 0 && call->request_id.len != 16)
        return err_set(err, ERR_CORRUPT, "call: its request id has %zu bytes, not 16",
                       call->request_id.len);
    return 0;
}

static struct server_call *new_call(struct server *server, struct local *local,
                                    struct remote_slot *slot, int64_t id)
{
    struct server_call *handle = mem_alloc(1, sizeof(*handle));
    handle->server = server;
    handle->local = local;
    handle->slot = slot;
    handle->id = id;
    handle->next = server->calls;
    if (handle->next)
        handle->next->prev = handle;
    server->calls = handle;
    return handle;
}

bool server_dispatch(struct server *server, struct local *local, struct remote_slot *slot,
                     const void *data, size_t len)
{
    struct call call;
    struct err err;
    if (record_decode(&call_type, data, len, false, &call, &err) < 0) {
        refuse(local, slot, 0, &err);
        return false;
    }
    if (check_call(&call, &err) < 0) {
        refuse(local, slot, call.id, &err);
    } else {
        /* Strings are never NULL for whoever serves the call. */
        if (!call.token)
            call.token = str_copy("");
        struct server_call *handle = new_call(server, local, slot, call.id);
        server->config.on_call(server->config.arg, handle, &call, local != NULL);
    }
    record_release(&call_type, &call);
    return true;
}

void server_call_gone(struct server_call *call)
{
    struct server *server = call->server;
    call->local = NULL;
    call->slot = NULL;
    if (!server->stopping && server->config.on_gone)
        server->config.on_gone(server->config.arg, call);
}

static void unlink_call(struct server_call *handle)
{
    if (handle->prev)
        handle->prev->next = handle->next;
    else
        handle->server->calls = handle->next;
    if (handle->next)
        handle->next->prev = handle->prev;
}

const char *server_source(const struct server_call *handle)
{
    return handle->server && handle->slot ? remote_source(handle->slot) : "";
}

void server_hang_up(struct server_call *handle)
{
    if (handle->server) {
        unlink_call(handle);
        if (handle->local)
            local_hang_up(handle->local);
        else if (handle->slot)
            remote_hang_up(handle->slot);
    }
    free(handle);
}

void server_tag(struct server_call *handle, int64_t tag)
{
    if (handle->server && handle->slot)
        remote_tag(handle->slot, tag);
}

void server_end_if(struct server *server, bool (*is_over)(void *arg, int64_t tag), void *arg)
{
    if (server->remote)
        remote_end_if(server->remote, is_over, arg);
}

void server_reply(struct server_call *handle, const struct reply *reply)
{
    struct server *server = handle->server;
    if (server) {
        unlink_call(handle);
        struct reply out = *reply;
        out.id = handle->id;
        reply_on(handle->local, handle->slot, &out);
    }
    free(handle);
}

/* --- starting and stopping ----------------------------------------------------------------- */

int server_start(const struct server_config *config, struct server **ret_server, struct err *err)
{
    struct server *server = mem_alloc(1, sizeof(*server));
    server->config = *config;
    server->config.socket_path = str_copy(config->socket_path);
    check(uv_pipe_init(config->loop, &server->listener, 0) == 0);
    server->listener.data = server;
    server->handles = 1;
    int rv = local_listen(server, err);
    if (rv < 0) {
        server_stop(server, NULL, NULL);
        return rv;
    }
    *ret_server = server;
    return 0;
}

void server_handle_closed(struct server *server)
{
    check(server->handles > 0);
    if (--server->handles > 0 || !server->stopping)
        return;
    for (struct server_call *call = server->calls; call; call = call->next) {
        call->server = NULL;
        call->local = NULL;
        call->slot = NULL;
    }
    void (*on_stopped)(void *arg) = server->on_stopped;
    void *arg = server->stop_arg;
    free((char *)(uintptr_t)server->config.socket_path);
    free(server);
    if (on_stopped)
        on_stopped(arg);
}

void server_stop(struct server *server, void (*on_stopped)(void *arg), void *arg)
{
    check(!server->stopping);
    server->stopping = true;
    server->on_stopped = on_stopped;
    server->stop_arg = arg;
    if (server->remote)
        remote_stop(steal(&server->remote));
    local_stop(server);
}
