/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote callers, over nng's request/reply protocol on TLS.
 *
 * Each of REMOTE_CALLS_MAX slots is an nng context and goes round:
 *
 *     RECEIVING ──on_aio──► READY ──take_ready──► SERVING ──remote_reply──► SENDING ──on_aio─┐
 *         ▲                                                                                  │
 *         └──────────────────────────────────────────────────────────────────────────────────┘
 *
 * on_aio runs on nng's threads: it only moves a slot to the list `ready`, or lets it receive again;
 * the loop does the rest, woken by uv_async_send(). A slot belongs to nng's threads in RECEIVING
 * and SENDING, to the list under the lock in READY, and to the loop in SERVING.
 */
#include "cluster/server_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/address.h"
#include "cluster/identity.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum slot_state {
    SLOT_RECEIVING,
    SLOT_READY,
    SLOT_SERVING,
    SLOT_SENDING,
};

struct remote_slot {
    struct remote *remote;
    struct remote_slot *next; /* in remote->ready */
    enum slot_state state;
    nng_ctx ctx;
    nng_aio *aio;
    nng_msg *msg;             /* what came, in READY */
    int pipe;                 /* the caller's connection, in SERVING */
    struct server_call *call; /* in SERVING, unless it was refused */
};

struct remote {
    struct server *server;
    nng_socket socket;
    nng_listener listener;
    uv_async_t async;
    struct remote_slot slots[REMOTE_CALLS_MAX];
    atomic_int pipes_n;
    pthread_mutex_t lock;
    struct remote_slot *ready, **ready_end; /* under the lock */
    struct buf gone;                        /* under the lock: ids of pipes that went away, int */
    bool stopping;                          /* under the lock */
};

/* --- on nng's threads ---------------------------------------------------------------------- */

static void receive(struct remote_slot *slot)
{
    slot->state = SLOT_RECEIVING;
    nng_ctx_recv(slot->ctx, slot->aio);
}

static void on_received(struct remote_slot *slot)
{
    struct remote *remote = slot->remote;
    slot->msg = nng_aio_get_msg(slot->aio);
    pthread_mutex_lock(&remote->lock);
    slot->state = SLOT_READY;
    slot->next = NULL;
    *remote->ready_end = slot;
    remote->ready_end = &slot->next;
    if (!remote->stopping)
        uv_async_send(&remote->async);
    pthread_mutex_unlock(&remote->lock);
}

static void on_aio(void *arg)
{
    struct remote_slot *slot = arg;
    int rv = nng_aio_result(slot->aio);
    if (slot->state == SLOT_SENDING) {
        if (rv != 0) {
            nng_msg_free(nng_aio_get_msg(slot->aio));
            nng_aio_set_msg(slot->aio, NULL);
        }
        if (rv != NNG_ECLOSED && rv != NNG_ECANCELED)
            receive(slot);
        return;
    }
    if (rv == 0)
        on_received(slot);
    else if (rv != NNG_ECLOSED && rv != NNG_ECANCELED)
        log_error("server", "a slot for remote calls is lost: %s", nng_strerror(rv));
}

/* A connection came or went. Those above the limit are turned away. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct remote *remote = arg;
    if (event == NNG_PIPE_EV_ADD_PRE) {
        if (atomic_fetch_add(&remote->pipes_n, 1) >= REMOTE_PIPES_MAX)
            nng_pipe_close(pipe);
        return;
    }
    atomic_fetch_sub(&remote->pipes_n, 1);
    int id = nng_pipe_id(pipe);
    pthread_mutex_lock(&remote->lock);
    buf_append(&remote->gone, &id, sizeof(id));
    if (!remote->stopping)
        uv_async_send(&remote->async);
    pthread_mutex_unlock(&remote->lock);
}

/* --- on the loop --------------------------------------------------------------------------- */

void remote_set_call(struct remote_slot *slot, struct server_call *call)
{
    slot->call = call;
}

void remote_reply(struct remote_slot *slot, const struct reply *reply)
{
    check(slot->state == SLOT_SERVING);
    cleanup_buf struct buf out = BUF_INIT;
    record_encode(&reply_type, reply, &out);
    if (out.len > WIRE_MESSAGE_MAX) {
        struct err err;
        struct reply instead = {.id = reply->id};
        err_set(&err, ERR_TOOBIG, "the answer has more than 4 MiB; ask for less");
        reply_set_err(&instead, &err);
        buf_reset(&out);
        record_encode(&reply_type, &instead, &out);
        record_release(&reply_type, &instead);
    }
    nng_msg *msg;
    check(nng_msg_alloc(&msg, 0) == 0 && nng_msg_append(msg, out.data, out.len) == 0);
    slot->state = SLOT_SENDING;
    nng_aio_set_msg(slot->aio, msg);
    nng_ctx_send(slot->ctx, slot->aio);
}

static struct remote_slot *take_ready(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    struct remote_slot *slot = remote->ready;
    if (slot) {
        remote->ready = slot->next;
        if (!remote->ready)
            remote->ready_end = &remote->ready;
        slot->next = NULL;
        slot->state = SLOT_SERVING;
    }
    pthread_mutex_unlock(&remote->lock);
    return slot;
}

static void tell_gone(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    cleanup_buf struct buf gone = remote->gone;
    remote->gone = (struct buf)BUF_INIT;
    pthread_mutex_unlock(&remote->lock);
    for (size_t i = 0; i + sizeof(int) <= gone.len; i += sizeof(int)) {
        int pipe;
        memcpy(&pipe, gone.data + i, sizeof(pipe));
        for (size_t k = 0; k < REMOTE_CALLS_MAX; k++) {
            struct remote_slot *slot = &remote->slots[k];
            struct server *server = remote->server;
            /* Only the loop sets a call, so this needs no lock. Its slot is kept: nng wants the
             * reply all the same, and throws it away. */
            if (slot->call && slot->pipe == pipe && server->config.on_gone)
                server->config.on_gone(server->config.arg, slot->call);
            if (server->stopping)
                return;
        }
    }
}

static void on_async(uv_async_t *async)
{
    struct remote *remote = async->data;
    struct server *server = remote->server;
    struct remote_slot *slot;
    while (!server->stopping && (slot = take_ready(remote))) {
        nng_msg *msg = slot->msg;
        slot->msg = NULL;
        slot->pipe = nng_pipe_id(nng_msg_get_pipe(msg));
        server_dispatch(server, NULL, slot, nng_msg_body(msg), nng_msg_len(msg));
        nng_msg_free(msg);
    }
    if (!server->stopping)
        tell_gone(remote);
}

/* --- starting and stopping ----------------------------------------------------------------- */

static void on_async_closed(uv_handle_t *handle)
{
    struct remote *remote = handle->data;
    struct server *server = remote->server;
    for (struct remote_slot *slot = remote->ready; slot; slot = slot->next)
        nng_msg_free(slot->msg);
    buf_release(&remote->gone);
    pthread_mutex_destroy(&remote->lock);
    free(remote);
    server_handle_closed(server);
}

void remote_stop(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    remote->stopping = true;
    pthread_mutex_unlock(&remote->lock);
    for (size_t i = 0; i < REMOTE_CALLS_MAX; i++) {
        struct remote_slot *slot = &remote->slots[i];
        if (slot->call)
            server_call_gone(slot->call);
        if (!slot->aio)
            continue;
        nng_ctx_close(slot->ctx);
        nng_aio_stop(slot->aio);
        nng_aio_free(slot->aio);
    }
    nng_close(remote->socket);
    uv_close((uv_handle_t *)&remote->async, on_async_closed);
}

/* A configuration of nng's TLS with our certificate. */
static int tls_config(const struct identity *identity, nng_tls_config **ret, struct err *err)
{
    nng_tls_config *config;
    int rv = nng_tls_config_alloc(&config, NNG_TLS_MODE_SERVER);
    if (rv != 0)
        return err_set(err, ERR_FAILED, "nng's TLS: %s", nng_strerror(rv));
    rv = nng_tls_config_own_cert(config, identity_cert(identity), identity_key(identity), NULL);
    if (rv == 0)
        rv = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_NONE);
    if (rv != 0) {
        nng_tls_config_free(config);
        return err_set(err, ERR_FAILED, "nng does not take our certificate: %s", nng_strerror(rv));
    }
    *ret = config;
    return 0;
}

static int start_listener(struct remote *remote, const char *listen, nng_tls_config *config,
                          struct err *err)
{
    cleanup_free char *url = str_printf("tls+tcp://%s", listen);
    int rv = nng_listener_create(&remote->listener, remote->socket, url);
    if (rv == 0)
        rv = nng_listener_set_ptr(remote->listener, NNG_OPT_TLS_CONFIG, config);
    if (rv == 0)
        rv = nng_listener_start(remote->listener, 0);
    if (rv == NNG_EADDRINUSE)
        return err_set(err, ERR_BUSY, "something else listens on %s", listen);
    if (rv != 0)
        return err_set(err, ERR_UNAVAILABLE, "cannot listen on %s: %s", listen, nng_strerror(rv));
    return 0;
}

static int open_socket(struct remote *remote, struct err *err)
{
    int rv = nng_rep0_open(&remote->socket);
    if (rv != 0)
        return err_set(err, ERR_FAILED, "nng: %s", nng_strerror(rv));
    rv = nng_socket_set_size(remote->socket, NNG_OPT_RECVMAXSZ, WIRE_MESSAGE_MAX);
    if (rv == 0)
        rv = nng_pipe_notify(remote->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, remote);
    if (rv == 0)
        rv = nng_pipe_notify(remote->socket, NNG_PIPE_EV_REM_POST, on_pipe, remote);
    return rv == 0 ? 0 : err_set(err, ERR_FAILED, "nng: %s", nng_strerror(rv));
}

static int open_slots(struct remote *remote, struct err *err)
{
    for (size_t i = 0; i < REMOTE_CALLS_MAX; i++) {
        struct remote_slot *slot = &remote->slots[i];
        slot->remote = remote;
        int rv = nng_ctx_open(&slot->ctx, remote->socket);
        if (rv != 0)
            return err_set(err, ERR_FAILED, "nng: %s", nng_strerror(rv));
        rv = nng_aio_alloc(&slot->aio, on_aio, slot);
        if (rv != 0) {
            nng_ctx_close(slot->ctx);
            return err_set(err, ERR_FAILED, "nng: %s", nng_strerror(rv));
        }
        receive(slot);
    }
    return 0;
}

int server_listen_remote(struct server *server, const char *listen, const struct identity *identity,
                         struct err *err)
{
    check(!server->remote && identity_is_member(identity));
    struct address address;
    nng_tls_config *config = NULL;
    int rv = address_split(listen, NULL, &address, err);
    if (rv == 0)
        rv = tls_config(identity, &config, err);
    if (rv < 0)
        return rv;
    struct remote *remote = mem_alloc(1, sizeof(*remote));
    remote->server = server;
    remote->ready_end = &remote->ready;
    check(pthread_mutex_init(&remote->lock, NULL) == 0);
    rv = open_socket(remote, err);
    if (rv < 0) {
        nng_tls_config_free(config);
        pthread_mutex_destroy(&remote->lock);
        free(remote);
        return rv;
    }
    check(uv_async_init(server->config.loop, &remote->async, on_async) == 0);
    remote->async.data = remote;
    server->handles++;
    rv = open_slots(remote, err);
    if (rv == 0)
        rv = start_listener(remote, listen, config, err);
    nng_tls_config_free(config);
    if (rv < 0) {
        remote_stop(remote);
        return rv;
    }
    server->remote = remote;
    return 0;
}
