/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_fixture - a server on a thread of its own, with a few verbs:
 *
 *     echo   gives the text back          fail   an error
 *     later  echo after 50 ms             huge   an answer over the limit
 *     never  no answer; counts when the caller is gone
 */
#ifndef WHERRY_TESTS_CLUSTER_SERVER_FIXTURE_H
#define WHERRY_TESTS_CLUSTER_SERVER_FIXTURE_H

#include "fixture.h"

#include "base/buf.h"
#include "cluster/client.h"
#include "cluster/server.h"

#include <pthread.h>
#include <stdatomic.h>

struct note {
    char *text;
    int64_t number;
};

static const struct field note_fields[] = {
    FIELD_STRING(struct note, text),
    FIELD_INT(struct note, number),
};

static const struct record_type note_type = RECORD_TYPE("note", struct note, note_fields);

static char *dir;
static char *socket_path;
static struct identity *identity; /* NULL: no remote port */
static char remote_address[32];
static atomic_int calls_n, gone_n;
static atomic_bool was_local;

static uv_loop_t server_loop;
static struct server *server;
static uv_async_t stop_async;
static uv_sem_t started;
static pthread_t thread;
static struct server_call *kept[256]; /* of "never" */
static size_t kept_n;

struct late {
    uv_timer_t timer;
    struct server_call *handle;
    struct buf body;
};

FIXTURE void reply_with(struct server_call *handle, const void *body, size_t len)
{
    struct reply reply = {.index = 42};
    bytes_set(&reply.body, body, len);
    server_reply(handle, &reply);
    bytes_set(&reply.body, NULL, 0);
}

FIXTURE void on_late_closed(uv_handle_t *timer)
{
    struct late *late = timer->data;
    buf_release(&late->body);
    free(late);
}

FIXTURE void on_late(uv_timer_t *timer)
{
    struct late *late = timer->data;
    reply_with(late->handle, late->body.data, late->body.len);
    uv_close((uv_handle_t *)timer, on_late_closed);
}

FIXTURE void on_call(void *arg, struct server_call *handle, const struct call *call, bool local)
{
    (void)arg;
    calls_n++;
    was_local = local;
    if (strcmp(call->verb, "echo") == 0) {
        reply_with(handle, call->body.data, call->body.len);
    } else if (strcmp(call->verb, "later") == 0) {
        struct late *late = mem_alloc(1, sizeof(*late));
        late->handle = handle;
        buf_append(&late->body, call->body.data, call->body.len);
        uv_timer_init(&server_loop, &late->timer);
        late->timer.data = late;
        uv_timer_start(&late->timer, on_late, 50, 0);
    } else if (strcmp(call->verb, "huge") == 0) {
        void *body = mem_alloc(1, WIRE_MESSAGE_MAX);
        reply_with(handle, body, WIRE_MESSAGE_MAX);
        free(body);
    } else if (strcmp(call->verb, "never") == 0) {
        assert_true(kept_n < sizeof(kept) / sizeof(kept[0]));
        kept[kept_n++] = handle;
    } else {
        struct err err;
        struct reply reply = {0};
        err_set(&err, ERR_NOTFOUND, "there is no verb '%s'", call->verb);
        reply_set_err(&reply, &err);
        server_reply(handle, &reply);
        record_release(&reply_type, &reply);
    }
}

FIXTURE void on_gone(void *arg, struct server_call *handle)
{
    (void)arg, (void)handle;
    gone_n++;
}

FIXTURE void on_server_stopped(void *arg)
{
    (void)arg;
    /* Late replies are fine. */
    for (size_t i = 0; i < kept_n; i++)
        reply_with(kept[i], "", 0);
    kept_n = 0;
}

FIXTURE void on_stop(uv_async_t *async)
{
    server_stop(server, on_server_stopped, NULL);
    uv_close((uv_handle_t *)async, NULL);
}

FIXTURE int free_port(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    close(fd);
    return ntohs(sa.sin_port);
}

FIXTURE void *run_server(void *arg)
{
    (void)arg;
    struct err err;
    struct server_config config = {
        .loop = &server_loop, .socket_path = socket_path, .on_call = on_call, .on_gone = on_gone};
    must(server_start(&config, &server, &err));
    if (identity) {
        /* A restarted server is where it was. */
        if (!*remote_address)
            snprintf(remote_address, sizeof(remote_address), "127.0.0.1:%d", free_port());
        must(server_listen_remote(server, remote_address, identity, &err));
    }
    uv_sem_post(&started);
    uv_run(&server_loop, UV_RUN_DEFAULT);
    return NULL;
}

FIXTURE void start_server(void)
{
    calls_n = gone_n = 0;
    assert_int_equal(uv_loop_init(&server_loop), 0);
    assert_int_equal(uv_sem_init(&started, 0), 0);
    assert_int_equal(uv_async_init(&server_loop, &stop_async, on_stop), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_server, NULL), 0);
    uv_sem_wait(&started);
    uv_sem_destroy(&started);
}

FIXTURE void stop_server(void)
{
    uv_async_send(&stop_async);
    pthread_join(thread, NULL);
    assert_int_equal(uv_loop_close(&server_loop), 0);
}

FIXTURE int setup_local(void **state)
{
    (void)state;
    dir = temp_dir();
    socket_path = str_printf("%s/wherry.sock", dir);
    start_server();
    return 0;
}

FIXTURE int setup_remote(void **state)
{
    (void)state;
    dir = temp_dir();
    socket_path = str_printf("%s/wherry.sock", dir);
    identity = new_member(dir, "n1", 1, NULL);
    start_server();
    return 0;
}

FIXTURE int teardown(void **state)
{
    (void)state;
    stop_server();
    assert_false(file_exists(socket_path));
    identity_free(identity);
    identity = NULL;
    remote_address[0] = '\0';
    free(socket_path);
    remove_dir(dir);
    return 0;
}

/* Call @verb with @text and compare what comes back. */
FIXTURE void check_echo(struct client *client, const char *verb, const char *text)
{
    struct err err;
    struct note back;
    struct note note = {.text = str_copy(text), .number = 7};
    must(client_call(client, verb, &note_type, &note, &note_type, &back, 10000, &err));
    assert_string_equal(str_or_empty(back.text), text);
    assert_int_equal(back.number, 7);
    record_release(&note_type, &note);
    record_release(&note_type, &back);
}

/* The code of calling @verb with nothing. */
FIXTURE int call_code(struct client *client, const char *verb, int64_t timeout_ms, struct err *err)
{
    struct note note = {0};
    struct note back;
    int rv = client_call(client, verb, &note_type, &note, &note_type, &back, timeout_ms, err);
    if (rv == 0)
        record_release(&note_type, &back);
    return rv;
}

/* Wait up to a few seconds for *@value to be @wanted. */
FIXTURE void wait_for(atomic_int *value, int wanted)
{
    for (int i = 0; i < 500 && *value != wanted; i++)
        usleep(10000);
    assert_int_equal(*value, wanted);
}

#endif
