/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   library's thread   on_access ─► collected ─► suspended, in `queue` ─┐   ┌─► answered, freed
 *   loop                                                 on_async ◄─────┘   │
 *                                                          on_request ─► http_answer
 */
#include "node/http.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum {
    CONNECTIONS_MAX = 64,
    CONNECTIONS_EACH_MAX = 24, /* of one machine elsewhere */
    CONNECTION_MEMORY = 48 << 10,
    IDLE_S = 60,
    BACKLOG = 64,
};

struct parameter {
    char *name, *value;
};

struct http_request {
    struct http_request *next;
    struct http *http;
    struct MHD_Connection *connection;
    char *method, *path, *token, *key, *source;
    struct parameter query[HTTP_QUERY_MAX];
    size_t query_n;
    struct buf body;
    bool too_big;
    bool handed; /* to the loop */
    bool answered;
    int status;
    const char *type;
    struct buf answer;
};

struct http {
    uv_async_t async;
    struct MHD_Daemon *daemon;
    bool local; /* a unix socket */
    char *path; /* … and where it is */
    char *cert, *key;
    void (*on_request)(void *arg, struct http_request *request);
    void *arg;
    pthread_mutex_t lock;
    struct http_request *queue; /* for the loop, the last first */
    bool stopping;              /* nothing more is handed over */
    size_t open;                /* handed to the loop's function, and not answered; the loop's */
    void (*on_stopped)(void *arg);
    void *stop_arg;
};

/* --- the library's thread ------------------------------------------------------------------ */

static enum MHD_Result on_parameter(void *arg, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct http_request *r = arg;
    (void)kind;
    if (r->query_n == HTTP_QUERY_MAX)
        return MHD_NO;
    r->query[r->query_n++] = (struct parameter){str_copy(name), str_copy(str_or_empty(value))};
    return MHD_YES;
}

static char *source_of(struct MHD_Connection *connection)
{
    char text[INET6_ADDRSTRLEN] = "";
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (address && (address->sa_family == AF_INET || address->sa_family == AF_INET6))
        getnameinfo(address,
                    address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                  : sizeof(struct sockaddr_in6),
                    text, sizeof(text), NULL, 0, NI_NUMERICHOST);
    return str_copy(text);
}

static struct http_request *request_new(struct http *http, struct MHD_Connection *connection,
                                        const char *path, const char *method)
{
    static const char bearer[] = "Bearer ";
    struct http_request *r = mem_alloc(1, sizeof(*r));
    const char *authorization =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    const char *key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Idempotency-Key");
    bool shown = authorization && strncasecmp(authorization, bearer, strlen(bearer)) == 0;
    *r = (struct http_request){.http = http,
                               .connection = connection,
                               .method = str_copy(method),
                               .path = str_copy(path),
                               .token = str_copy(shown ? authorization + strlen(bearer) : ""),
                               .key = str_copy(str_or_empty(key)),
                               .source = source_of(connection),
                               .body = BUF_INIT,
                               .answer = BUF_INIT};
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_parameter, r);
    return r;
}

static void request_free(struct http_request *r)
{
    for (size_t i = 0; i < r->query_n; i++) {
        free(r->query[i].name);
        free(r->query[i].value);
    }
    buf_release(&r->body);
    buf_release(&r->answer);
    free(r->method);
    free(r->path);
    free(r->token);
    free(r->key);
    free(r->source);
    free(r);
}

static enum MHD_Result say(struct MHD_Connection *connection, struct http_request *r)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->answer.len, r->answer.data, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (r->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (r->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
    enum MHD_Result rv = MHD_queue_response(connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return rv;
}

/* Hand a whole request to the loop; the connection rests meanwhile. False, and it is answered:
 * there is no loop any more. */
static bool hand_over(struct http_request *r)
{
    struct http *http = r->http;
    r->handed = true;
    check(pthread_mutex_lock(&http->lock) == 0);
    if (!http->stopping) {
        MHD_suspend_connection(r->connection);
        r->next = http->queue;
        http->queue = r;
        uv_async_send(&http->async);
    } else {
        r->answered = true;
        r->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        r->type = "text/plain";
    }
    bool over = http->stopping;
    check(pthread_mutex_unlock(&http->lock) == 0);
    return !over;
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *path,
                                 const char *method, const char *version, const char *data,
                                 size_t *len, void **own)
{
    struct http_request *r = *own;
    (void)version;
    if (!r) {
        *own = request_new(arg, connection, path, method);
        return MHD_YES;
    }
    if (*len > 0) {
        r->too_big |= r->body.len + *len > HTTP_BODY_MAX;
        if (!r->too_big)
            buf_append(&r->body, data, *len);
        *len = 0;
        return MHD_YES;
    }
    if (r->too_big && !r->handed) {
        buf_puts(&r->answer,
                 "{\"error\": {\"code\": \"ERR_TOOBIG\", \"message\": \"a request has at "
                 "most 1 MiB\"}}\n");
        r->handed = r->answered = true;
        r->status = MHD_HTTP_CONTENT_TOO_LARGE;
        r->type = "application/json";
    }
    if (!r->handed && hand_over(r))
        return MHD_YES;
    return r->answered ? say(connection, r) : MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **own,
                         enum MHD_RequestTerminationCode code)
{
    (void)arg;
    (void)connection;
    (void)code;
    if (*own)
        request_free(*own);
    *own = NULL;
}

/* --- the loop ------------------------------------------------------------------------------ */

static void on_async(uv_async_t *async)
{
    struct http *http = async->data;
    check(pthread_mutex_lock(&http->lock) == 0);
    struct http_request *list = NULL;
    while (http->queue) { /* in the order in which they came */
        struct http_request *r = http->queue;
        http->queue = r->next;
        r->next = list;
        list = r;
    }
    check(pthread_mutex_unlock(&http->lock) == 0);
    while (list) {
        struct http_request *r = list;
        list = r->next;
        http->open++;
        http->on_request(http->arg, r);
    }
}

static void answer(struct http_request *r, int status, const char *type, struct buf *body)
{
    r->status = status;
    r->type = type;
    r->answer = *body;
    *body = (struct buf)BUF_INIT;
    r->answered = true;
    MHD_resume_connection(r->connection);
}

void http_answer(struct http_request *r, int status, const char *type, struct buf *body)
{
    r->http->open--;
    answer(r, status, type, body);
}

bool http_is_idle(const struct http *http)
{
    return http->open == 0;
}

const char *http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

const char *http_query(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->query_n; i++)
        if (strcmp(r->query[i].name, name) == 0)
            return r->query[i].value;
    return NULL;
}

const char *http_query_at(const struct http_request *r, size_t i, const char **ret_value)
{
    if (i >= r->query_n)
        return NULL;
    *ret_value = r->query[i].value;
    return r->query[i].name;
}

const char *http_body(const struct http_request *r, size_t *ret_len)
{
    *ret_len = r->body.len;
    return r->body.len ? r->body.data : "";
}

const char *http_token(const struct http_request *r)
{
    return r->token;
}

const char *http_key(const struct http_request *r)
{
    return r->key;
}

const char *http_source(const struct http_request *r)
{
    return r->source;
}

bool http_is_local(const struct http_request *r)
{
    return r->http->local;
}

/* --- begin and end ------------------------------------------------------------------------- */

/* "127.0.0.1:7480" or "[::1]:7480". */
static int parse_address(const char *listen, struct sockaddr_storage *ret, socklen_t *ret_len,
                         struct err *err)
{
    const char *colon = strrchr(listen, ':');
    char host[64] = "";
    struct sockaddr_in *four = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    size_t n = colon ? (size_t)(colon - listen) : sizeof(host);
    if (n > 0 && n < sizeof(host) && port > 0 && port < 65536) {
        bool bracket = listen[0] == '[' && listen[n - 1] == ']';
        memcpy(host, listen + bracket, n - 2 * bracket);
        *ret = (struct sockaddr_storage){0};
        if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons((uint16_t)port);
            *ret_len = sizeof(*four);
            return 0;
        }
        if (bracket && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons((uint16_t)port);
            *ret_len = sizeof(*six);
            return 0;
        }
    }
    return err_set(err, ERR_INVALID,
                   "--http %.80s: not ADDRESS:PORT, such as 127.0.0.1:7480, unix:PATH or off",
                   listen);
}

static int check_path(const char *path, struct err *err)
{
    struct sockaddr_un address;
    if (path[0] == '/' && strlen(path) < sizeof(address.sun_path))
        return 0;
    return err_set(err, ERR_INVALID, "--http unix:%.100s: not an absolute path of at most %zu",
                   path, sizeof(address.sun_path) - 1);
}

int http_check_address(const char *listen, struct err *err)
{
    struct sockaddr_storage address;
    socklen_t len;
    return str_starts(listen, "unix:") ? check_path(listen + strlen("unix:"), err)
                                       : parse_address(listen, &address, &len, err);
}

bool http_is_local_address(const char *listen)
{
    return str_starts(listen, "unix:") || str_starts(listen, "127.") ||
           str_starts(listen, "[::1]:");
}

static int listen_on(int fd, const struct sockaddr *address, socklen_t len, const char *listen_at,
                     struct err *err)
{
    if (bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0) {
        int rv = err_errno(err, errno, "listen on %.100s", listen_at);
        if (errno == EADDRINUSE)
            rv = err->code = ERR_BUSY;
        return rv;
    }
    return 0;
}

static int open_unix(const char *path, int *ret_fd, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (check_path(path, err) < 0)
        return err->code;
    memcpy(address.sun_path, path, strlen(path) + 1);
    *ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*ret_fd < 0)
        return err_errno(err, errno, "make a socket");
    unlink(path);
    mode_t mask = umask(0117);
    int rv = listen_on(*ret_fd, (const struct sockaddr *)&address, sizeof(address), path, err);
    umask(mask);
    const struct group *group = getgrnam("wherry");
    if (rv == 0 && group && chown(path, 0, group->gr_gid) < 0)
        log_warn("http", "give %s to the group wherry: %s", path, strerror(errno));
    return rv;
}

static int open_socket(const char *listen_at, int *ret_fd, struct err *err)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    const int on = 1;
    if (str_starts(listen_at, "unix:"))
        return open_unix(listen_at + strlen("unix:"), ret_fd, err);
    if (parse_address(listen_at, &address, &len, err) < 0)
        return err->code;
    *ret_fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*ret_fd < 0)
        return err_errno(err, errno, "make a socket");
    setsockopt(*ret_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return listen_on(*ret_fd, (const struct sockaddr *)&address, len, listen_at, err);
}

static void http_free(struct http *http)
{
    pthread_mutex_destroy(&http->lock);
    free(http->path);
    free(http->cert);
    free(http->key);
    free(http);
}

int http_start(const struct http_config *config, struct http **ret_http, struct err *err)
{
    int fd = -1;
    int rv = open_socket(config->listen, &fd, err);
    if (rv < 0) {
        if (fd >= 0)
            close(fd);
        return rv;
    }
    struct http *http = mem_alloc(1, sizeof(*http));
    http->local = str_starts(config->listen, "unix:");
    http->path = str_copy(http->local ? config->listen + strlen("unix:") : NULL);
    http->cert = str_copy(config->cert);
    http->key = str_copy(config->key);
    http->on_request = config->on_request;
    http->arg = config->arg;
    check(pthread_mutex_init(&http->lock, NULL) == 0);
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_EACH_MAX, NULL},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, http->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, http->key},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                     (http->cert ? MHD_USE_TLS : 0);
    http->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_ARRAY,
        http->cert ? tls : &tls[ARRAY_SIZE(tls) - 1], MHD_OPTION_END);
    if (!http->daemon) {
        close(fd);
        http_free(http);
        return err_set(err, ERR_FAILED, "libmicrohttpd does not start on %.100s", config->listen);
    }
    check(uv_async_init(config->loop, &http->async, on_async) == 0);
    http->async.data = http;
    *ret_http = http;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;
    void (*on_stopped)(void *arg) = http->on_stopped;
    void *arg = http->stop_arg;
    http_free(http);
    on_stopped(arg);
}

void http_stop(struct http *http, void (*on_stopped)(void *arg), void *arg)
{
    /* What came in meanwhile is answered with the end. */
    MHD_socket fd = MHD_quiesce_daemon(http->daemon);
    check(pthread_mutex_lock(&http->lock) == 0);
    struct http_request *list = http->queue;
    http->queue = NULL;
    http->stopping = true;
    check(pthread_mutex_unlock(&http->lock) == 0);
    while (list) {
        struct http_request *r = list;
        struct buf empty = BUF_INIT;
        list = r->next;
        answer(r, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", &empty);
    }
    MHD_stop_daemon(http->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    if (http->path)
        unlink(http->path);
    http->on_stopped = on_stopped;
    http->stop_arg = arg;
    uv_close((uv_handle_t *)&http->async, on_closed);
}
