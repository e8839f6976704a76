/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - where HTTP requests come in, by libmicrohttpd.
 *
 * A thread of the library's own speaks with clients; a request that has come in whole is handed to
 * the loop, and its connection rests until http_answer(). What comes in is capped: HTTP_BODY_MAX,
 * 64 connections (24 from one machine elsewhere), 48 kB of headers. It knows nothing of what is
 * asked.
 */
#ifndef WHERRY_NODE_HTTP_H
#define WHERRY_NODE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;
struct http;
struct http_request;
struct uv_loop_s;

enum {
    HTTP_BODY_MAX = 1 << 20,
    HTTP_QUERY_MAX = 16, /* parameters of a request that are looked at */
};

struct http_config {
    struct uv_loop_s *loop;
    const char *listen; /* "127.0.0.1:7480", "[::1]:7480", "unix:/run/api.sock" */
    const char *cert;   /* PEM of a chain, and of its key: TLS is spoken; NULL: it is not */
    const char *key;
    /* A request; loop thread. http_answer() must come exactly once, now or later. */
    void (*on_request)(void *arg, struct http_request *request);
    void *arg;
};

/* ERR_INVALID: @listen is no address as struct http_config has it. */
int http_check_address(const char *listen, struct err *err);

/* True for addresses that only this machine reaches: of the loopback, and unix:. */
bool http_is_local_address(const char *listen);

/* Listen. ERR_BUSY: the port is taken. Strings of @config are copied. */
int http_start(const struct http_config *config, struct http **ret_http, struct err *err);

/* True when every request was answered. */
bool http_is_idle(const struct http *http);

/* Stop, and free it. Every request must have been answered. @on_stopped comes when nothing of it is
 * on the loop any more. */
void http_stop(struct http *http, void (*on_stopped)(void *arg), void *arg);

/* What is asked; borrowed until http_answer(). */
const char *http_method(const struct http_request *r);
const char *http_path(const struct http_request *r);
/* A parameter behind the '?', decoded; NULL: it is not there. */
const char *http_query(const struct http_request *r, const char *name);
/* All of them by number; NULL behind the last. */
const char *http_query_at(const struct http_request *r, size_t i, const char **ret_value);
const char *http_body(const struct http_request *r, size_t *ret_len);
/* What "Authorization: Bearer" shows, or "". */
const char *http_token(const struct http_request *r);
/* "Idempotency-Key", or "". */
const char *http_key(const struct http_request *r);
/* The client's address, "10.0.0.7"; "" of a unix socket. */
const char *http_source(const struct http_request *r);
/* It came over a unix socket, whose owner and group are the check. */
bool http_is_local(const struct http_request *r);

/* Answer with @status and what @body holds, which is taken, of media type @type. @r is gone then.
 */
void http_answer(struct http_request *r, int status, const char *type, struct buf *body);

#endif
