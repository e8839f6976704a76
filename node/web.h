/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web - the HTTP API: the same verbs as for the command line, and what monitors ask.
 *
 *     POST /v1/VERB          {"field": …}: the verb's request, its reply as JSON
 *     GET  /v1/VERB?field=…  the same of a request without lists
 *     GET  /v1/openapi.json  all of that described (OpenAPI 3.0), made of the table of verbs
 *     GET  /metrics          Prometheus' text format
 *     GET  /healthz          this daemon answers
 *     GET  /readyz           … and its member is in touch with its cluster
 *
 * Who shows a token is its caller; over a unix socket without one the machine itself is. By default
 * it listens on 127.0.0.1:7480, for this machine; other addresses speak TLS with the member's
 * certificate. Loop thread.
 */
#ifndef WHERRY_NODE_WEB_H
#define WHERRY_NODE_WEB_H

#include "base/err.h"

struct api_call;
struct daemon;
struct http_request;
struct reply;
struct web;

#define WEB_LISTEN "127.0.0.1:7480"

/* Listen as d->options.http says. A port that is taken is an error only where it was asked for. */
int web_start(struct daemon *d, struct err *err);

/* End it: who waits is told so. @on_freed comes when nothing of it is on the loop any more. */
void web_free(struct web *web, void (*on_freed)(void *arg), void *arg);

/* For api.c: @c is being answered, its @reply, and its end. Fine for calls of other carriers. */
void web_begin(struct web *web, struct api_call *c);
void web_reply(struct api_call *c, const struct reply *reply);
void web_end(struct api_call *c);

/* Answer with an error as JSON: its name, and what it says. */
void web_refuse(struct http_request *r, const struct err *err);

/* What is at /metrics (metrics.c), and at /v1/openapi.json (openapi.c). */
void web_metrics(struct daemon *d, struct http_request *r);
void web_openapi(struct http_request *r);

#endif
