/* SPDX-License-Identifier: Apache-2.0 */
#include "node/web.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/http.h"
#include "node/rights.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    LOOK_MS = 5000, /* at our certificate, and for a port that was taken */
    REQUEST_ID = 16,
};

struct web {
    struct daemon *daemon;
    uv_timer_t timer;
    char *listen;
    bool asked_for; /* the address, by an option */
    struct http *http;
    char *cert; /* that it speaks TLS with */
    struct api_call *calls;
    void (*on_freed)(void *arg);
    void *free_arg;
};

/* --- answers ------------------------------------------------------------------------------- */

static int status_of(int code)
{
    switch (code) {
    case ERR_INVALID:
        return 400;
    case ERR_DENIED:
        return 403;
    case ERR_NOTFOUND:
        return 404;
    case ERR_EXISTS:
    case ERR_CONFLICT:
        return 409;
    case ERR_TOOBIG:
        return 413;
    case ERR_UNSUPPORTED:
        return 501;
    case ERR_BUSY:
    case ERR_UNAVAILABLE:
    case ERR_NOTLEADER:
        return 503;
    case ERR_TIMEOUT:
        return 504;
    case ERR_NOSPACE:
        return 507;
    default:
        return 500;
    }
}

static void refuse_with(struct http_request *r, int status, const char *code, const char *message)
{
    struct buf body = BUF_INIT;
    buf_puts(&body, "{\"error\": {\"code\": ");
    buf_put_json(&body, code);
    buf_puts(&body, ", \"message\": ");
    buf_put_json(&body, message);
    buf_puts(&body, "}}\n");
    http_answer(r, status, "application/json", &body);
}

void web_refuse(struct http_request *r, const struct err *err)
{
    refuse_with(r, status_of(err->code), err_name(err->code), err->msg);
}

static void say(struct http_request *r, int status, const char *text)
{
    struct buf body = BUF_INIT;
    buf_puts(&body, text);
    http_answer(r, status, "text/plain; charset=utf-8", &body);
}

void web_begin(struct web *web, struct api_call *c)
{
    c->web_prev = NULL;
    c->web_next = web->calls;
    if (c->web_next)
        c->web_next->web_prev = c;
    web->calls = c;
    c->web = web;
}

void web_end(struct api_call *c)
{
    struct web *web = c->web;
    if (!web)
        return;
    if (c->web_prev)
        c->web_prev->web_next = c->web_next;
    else
        web->calls = c->web_next;
    if (c->web_next)
        c->web_next->web_prev = c->web_prev;
    c->web = NULL;
}

void web_reply(struct api_call *c, const struct reply *reply)
{
    struct http_request *r = steal(&c->http);
    struct err err = {0};
    if (reply->code != 0) {
        int code = err_from_wire((long)reply->code);
        bool nobody = code == ERR_DENIED && !c->local && !*http_token(r);
        refuse_with(r, nobody ? 401 : status_of(code), err_name(code),
                    *str_or_empty(reply->message) ? reply->message : err_text(code));
        return;
    }
    void *record = mem_alloc(1, c->verb->reply->size);
    struct buf body = BUF_INIT;
    if (record_decode(c->verb->reply, reply->body.data, reply->body.len, false, record, &err) ==
        0) {
        record_json(c->verb->reply, record, 0, &body);
        buf_putc(&body, '\n');
        http_answer(r, 200, "application/json", &body);
        record_release(c->verb->reply, record);
    } else {
        web_refuse(r, &err);
    }
    free(record);
}

/* --- verbs --------------------------------------------------------------------------------- */

static int put_parameter(const struct record_type *type, void *record, const char *name,
                         const char *value, struct err *err)
{
    char *end;
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *f = &type->fields[i];
        void *at = (char *)record + f->offset;
        if (strcmp(f->name, name) != 0)
            continue;
        switch (f->kind) {
        case FIELD_KIND_STRING:
            free(*(char **)at);
            *(char **)at = str_copy(value);
            return 0;
        case FIELD_KIND_INT:
            *(int64_t *)at = strtoll(value, &end, 10);
            return *value && *end == '\0'
                       ? 0
                       : err_set(err, ERR_INVALID, "%.60s: a whole number is wanted", name);
        case FIELD_KIND_BOOL:
            *(bool *)at = strcmp(value, "false") != 0 && strcmp(value, "0") != 0;
            return 0;
        case FIELD_KIND_STRINGS: {
            size_t *n = (void *)((char *)record + f->count_offset);
            char **list = *(char ***)at;
            list = mem_resize(list, *n + 1, sizeof(char *));
            list[(*n)++] = str_copy(value);
            *(char ***)at = list;
            return 0;
        }
        case FIELD_KIND_ENUM:
        case FIELD_KIND_BYTES:
        case FIELD_KIND_RECORD:
        case FIELD_KIND_LIST:
            return err_set(err, ERR_INVALID, "%.60s: takes a POST with a body of JSON", name);
        }
    }
    return err_set(err, ERR_INVALID, "%.60s: there is no such parameter", name);
}

/* The request of @verb, to @record, which is zeroed on failure. */
static int read_request(struct http_request *r, const struct verb *verb, void *record,
                        struct err *err)
{
    const char *name, *value;
    size_t len;
    const char *body = http_body(r, &len);
    int rv = 0;
    memset(record, 0, verb->request->size);
    if (len > 0)
        rv = record_from_json(verb->request, body, len, record, err);
    for (size_t i = 0; rv == 0 && (name = http_query_at(r, i, &value)); i++)
        if (strcmp(name, "stale") != 0)
            rv = put_parameter(verb->request, record, name, value, err);
    if (rv < 0)
        record_release(verb->request, record);
    return rv;
}

/* A retry with the same key is not done twice. */
static int read_key(struct http_request *r, unsigned char id[REQUEST_ID], struct call *call,
                    struct err *err)
{
    const char *key = http_key(r);
    if (!*key)
        return 0;
    if (strlen(key) != 2 * REQUEST_ID || !hex_decode(key, id, REQUEST_ID))
        return err_set(err, ERR_INVALID, "Idempotency-Key: %d hexadecimal digits are wanted",
                       2 * REQUEST_ID);
    call->request_id = (struct bytes){id, REQUEST_ID};
    return 0;
}

static void call_verb(struct daemon *d, struct http_request *r, const struct verb *verb)
{
    cleanup_buf struct buf body = BUF_INIT;
    cleanup_free void *record = mem_alloc(1, verb->request->size);
    unsigned char id[REQUEST_ID];
    const char *stale = http_query(r, "stale");
    struct call call = {.verb = (char *)(uintptr_t)verb->name,
                        .token = (char *)(uintptr_t)http_token(r),
                        .stale = stale && strcmp(stale, "false") != 0 && strcmp(stale, "0") != 0};
    struct err err = {0};
    if (read_request(r, verb, record, &err) < 0) {
        web_refuse(r, &err);
        return;
    }
    record_encode(verb->request, record, &body);
    record_release(verb->request, record);
    call.body = (struct bytes){(unsigned char *)body.data, body.len};
    if (read_key(r, id, &call, &err) < 0)
        web_refuse(r, &err);
    else
        api_on_http(d, r, &call);
}

/* --- what monitors ask --------------------------------------------------------------------- */

static void say_ready(struct daemon *d, struct http_request *r)
{
    if (d->stopping)
        say(r, 503, "this member is stopping\n");
    else if (!d->waiters)
        say(r, 503, "this machine is not a member of a cluster\n");
    else if (consensus_leader(d->consensus) == 0)
        say(r, 503, "there is no leader\n");
    else if (!daemon_is_synced(d))
        say(r, 503, "this member is not in touch with the leader\n");
    else
        say(r, 200, "ok\n");
}

/* Metrics name stacks: from elsewhere they take a token. */
static bool may_measure(const struct web *web, struct http_request *r)
{
    struct daemon *d = web->daemon;
    struct caller caller = {0};
    struct err err = {0};
    if (http_is_local_address(web->listen))
        return true;
    int rv = d->store ? caller_from_token(d->store, http_token(r), daemon_now_ms(d), &caller, &err)
                      : ERR_DENIED;
    if (rv == 0)
        caller_release(&caller);
    else
        refuse_with(r, 401, err_name(ERR_DENIED), "a token is needed, as Authorization: Bearer");
    return rv == 0;
}

static bool is_get(struct http_request *r)
{
    if (strcmp(http_method(r), "GET") == 0 || strcmp(http_method(r), "HEAD") == 0)
        return true;
    refuse_with(r, 405, err_name(ERR_INVALID), "only GET is answered here");
    return false;
}

static void on_request(void *arg, struct http_request *r)
{
    struct web *web = arg;
    struct daemon *d = web->daemon;
    const char *path = http_path(r);
    static const char prefix[] = "/v1/";
    const struct verb *verb = str_starts(path, prefix) ? api_verb(path + strlen(prefix)) : NULL;
    if (verb && strcmp(http_method(r), "GET") != 0 && strcmp(http_method(r), "POST") != 0)
        refuse_with(r, 405, err_name(ERR_INVALID), "verbs take GET and POST");
    else if (verb)
        call_verb(d, r, verb);
    else if (!is_get(r))
        return;
    else if (strcmp(path, "/healthz") == 0)
        say(r, 200, "ok\n");
    else if (strcmp(path, "/readyz") == 0)
        say_ready(d, r);
    else if (strcmp(path, "/v1/openapi.json") == 0)
        web_openapi(r);
    else if (strcmp(path, "/metrics") != 0)
        refuse_with(r, 404, err_name(ERR_NOTFOUND),
                    "there is no such path: /v1/openapi.json lists them");
    else if (may_measure(web, r))
        web_metrics(d, r);
}

/* --- begin and end ------------------------------------------------------------------------- */

static void on_nothing(void *arg)
{
    (void)arg;
}

/* The certificate that we speak with, or NULL; false: there is none yet where one is needed. */
static bool find_cert(const struct web *web, const char **ret_cert, const char **ret_key)
{
    const struct identity *identity = web->daemon->identity;
    *ret_cert = *ret_key = NULL;
    if (http_is_local_address(web->listen))
        return true;
    *ret_cert = identity_cert(identity);
    *ret_key = identity_key(identity);
    return **ret_cert != '\0';
}

static int listen_now(struct web *web, struct err *err)
{
    struct http_config config = {
        .loop = &web->daemon->loop, .listen = web->listen, .on_request = on_request, .arg = web};
    if (!find_cert(web, &config.cert, &config.key))
        return 0;
    int rv = http_start(&config, &web->http, err);
    if (rv < 0)
        return rv;
    free(web->cert);
    web->cert = str_copy(config.cert);
    log_info("http", "the API is at %s%s", web->listen, config.cert ? ", by TLS" : "");
    return 0;
}

/* A new certificate is spoken with by a new listener. */
static void on_timer(uv_timer_t *timer)
{
    struct web *web = timer->data;
    const char *cert, *key;
    struct err err;
    bool there = find_cert(web, &cert, &key);
    if (web->http && there && cert && !str_equal(cert, web->cert) && http_is_idle(web->http))
        http_stop(steal(&web->http), on_nothing, NULL);
    if (!web->http && there && listen_now(web, &err) < 0)
        log_debug("http", "%s", err.msg);
}

int web_start(struct daemon *d, struct err *err)
{
    const char *listen = d->options.http ? d->options.http : WEB_LISTEN;
    if (strcmp(listen, "off") == 0)
        return 0;
    if (http_check_address(listen, err) < 0)
        return err->code;
    struct web *web = mem_alloc(1, sizeof(*web));
    web->daemon = d;
    web->listen = str_copy(listen);
    web->asked_for = d->options.http != NULL;
    uv_timer_init(&d->loop, &web->timer);
    web->timer.data = web;
    uv_timer_start(&web->timer, on_timer, LOOK_MS, LOOK_MS);
    d->web = web;
    int rv = listen_now(web, err);
    if (rv == ERR_BUSY && !web->asked_for) {
        log_warn("http",
                 "%s is taken: there is no HTTP API until it is free; --http gives another "
                 "address, or off",
                 listen);
        rv = 0;
    }
    return rv;
}

static void on_closed(uv_handle_t *handle)
{
    struct web *web = handle->data;
    void (*on_freed)(void *arg) = web->on_freed;
    void *arg = web->free_arg;
    free(web->listen);
    free(web->cert);
    free(web);
    on_freed(arg);
}

void web_free(struct web *web, void (*on_freed)(void *arg), void *arg)
{
    struct err err;
    err_set(&err, ERR_UNAVAILABLE, "this member is stopping");
    while (web->calls) {
        struct api_call *c = web->calls;
        api_cut(c, &err);
        web_end(c);
    }
    if (web->http)
        http_stop(steal(&web->http), on_nothing, NULL);
    web->on_freed = on_freed;
    web->free_arg = arg;
    uv_close((uv_handle_t *)&web->timer, on_closed);
}
