/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - one HTTP exchange at a time, with limits on all that the other side can make us wait for
 * or remember.
 *
 * Redirects are given back, not followed: who calls knows what may be sent along. One thread per
 * struct http; connections are kept between calls.
 */
#ifndef WHERRY_RUNTIME_FETCH_HTTP_H
#define WHERRY_RUNTIME_FETCH_HTTP_H

#include "runtime/fetch/auth.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct http;
struct settings;

enum {
    HTTP_URL_MAX = 8192,
    HTTP_REQUEST_HEADERS_MAX = 4,
    HTTP_WORDS_MAX = 120,
};

/* Takes bytes of a success' body. Return negative, with @err set, to stop. */
typedef int (*http_sink_cb)(void *arg, const void *data, size_t len, struct err *err);

/* Told how many bytes of a file were sent so far. */
typedef void (*http_sent_cb)(void *arg, int64_t sent);

struct http_request {
    const char *method; /* "GET", "HEAD", "POST", "PUT" */
    const char *url;
    const char *host;          /* whom to blame in errors: "registry docker.io" */
    const char *ca;            /* PEM of the certificates to trust */
    const char *authorization; /* value of the header, or NULL */
    const char *secret;        /* must not come back in the answer's words; may be NULL */
    const char *headers[HTTP_REQUEST_HEADERS_MAX]; /* "Accept: x"; NULL ends */
    int64_t offset;                                /* GET: from this byte on */
    bool document;                                 /* small: must be done within two minutes */
    const char *body;                              /* POST: a form; PUT: a document */
    size_t body_len;
    int file_fd; /* PUT without body: this file from its start */
    int64_t file_size;
    http_sent_cb sent; /* told as it goes, with @arg; may be NULL */
    http_sink_cb sink; /* NULL: the body is not wanted */
    void *arg;
    const atomic_bool *cancel; /* stop when it is set; may be NULL */
};

struct http_answer {
    long status;
    char challenge[AUTH_HEADER_MAX]; /* WWW-Authenticate headers, joined by ", " */
    char location[HTTP_URL_MAX];     /* absolute, "" without */
    char digest[128];                /* Docker-Content-Digest as it came */
    int64_t retry_after_s;           /* 0 when it did not say */
    char words[HTTP_WORDS_MAX];      /* of an error, printable, or "" */
};

/* A client with the proxies and the patience of @settings, which is borrowed. */
int http_new(const struct settings *settings, struct http **ret, struct err *err);

/* Close its connections and free. NULL is fine. */
void http_free(struct http *http);

/* Send @request and fill @answer. 0 when an answer came, whatever its status. ERR_TIMEOUT for a
 * stall, ERR_CONFLICT when the other side cannot start at the offset, ERR_UNAVAILABLE when it
 * cannot be reached or breaks off, ERR_FAILED when it cannot be trusted or speaks no HTTP;
 * ERR_CANCELED; or what the sink said. */
int http_perform(struct http *http, const struct http_request *request, struct http_answer *answer,
                 struct err *err);

/* True when both URLs have the same scheme, host and port. */
bool http_same_origin(const char *a, const char *b);

/* True when @url is http:// or https:// without user name and password, and short enough;
 * *@ret_tls says which. */
bool http_url_valid(const char *url, bool *ret_tls);

/* @text percent-encoded for a query, which the caller frees. */
char *http_escape(const char *text);

#endif
