/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/http.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/http_words.h"
#include "runtime/fetch/settings.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_S = 15,
    STALL_BYTES_S = 512, /* slower than this a second is a stall */
    DOCUMENT_TIMEOUT_S = 120,
    HEADERS_MAX = 64 << 10,      /* bytes of all headers of one exchange */
    ERROR_BODY_MAX = 8 << 10,    /* bytes kept of what is no success */
    ERROR_BODY_READ = 256 << 10, /* and read, so that the connection can be kept */
    RETRY_AFTER_MAX_S = 3600,
    UPLOAD_PATIENCE = 4, /* times as long as with others until silence is a stall */
};

struct http {
    const struct settings *settings;
    CURL *curl;
    char curl_error[CURL_ERROR_SIZE];
};

/* One exchange under way. */
struct exchange {
    struct http *http;
    const struct http_request *request;
    struct http_answer *answer;
    struct buf error_body;
    size_t error_read;
    size_t header_bytes;
    int64_t range_start; /* of Content-Range, -1 without */
    int64_t file_offset; /* the next byte of the file to send */
    int stopped;         /* a code: we ended it, and *err is set */
    bool enough;         /* we ended it, for no more of the body is wanted */
    struct err *err;
};

/* --- the answer on its way in ------------------------------------------------------------------
 */

static long status_of(const struct exchange *x)
{
    long status = 0;
    curl_easy_getinfo(x->http->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static bool is_success(long status)
{
    return status >= 200 && status < 300;
}

/* The registry was asked to start at an offset: does it? */
static int check_offset(struct exchange *x, long status)
{
    if (x->request->offset <= 0 || (status == 206 && x->range_start == x->request->offset))
        return 0;
    return err_set(x->err, ERR_CONFLICT, "%.100s cannot resume", x->request->host);
}

/* Only the body of a success goes to the sink; some of others' is kept for its words. */
static size_t on_body(char *data, size_t one, size_t len, void *arg)
{
    struct exchange *x = arg;
    long status = status_of(x);
    (void)one;
    if (is_success(status) && x->request->sink) {
        x->stopped = check_offset(x, status);
        if (x->stopped == 0)
            x->stopped = x->request->sink(x->request->arg, data, len, x->err);
        return x->stopped < 0 ? 0 : len;
    }
    x->error_read += len;
    size_t room = ERROR_BODY_MAX - x->error_body.len;
    buf_append(&x->error_body, data, len < room ? len : room);
    x->enough = x->error_read > ERROR_BODY_READ;
    return x->enough ? 0 : len;
}

/* The header's value when it is called @name: without the space around it. */
static bool header_is(const char *line, size_t len, const char *name, char *value, size_t size)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    const char *from = line + n + 1;
    const char *end = line + len;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && strchr(" \t\r\n", end[-1]))
        end--;
    n = (size_t)(end - from);
    if (n >= size || memchr(from, '\0', n))
        return false;
    memcpy(value, from, n);
    value[n] = '\0';
    return true;
}

/* Add one of several WWW-Authenticate headers. One that does not fit is left out. */
static void add_challenge(struct http_answer *a, const char *value)
{
    size_t have = strlen(a->challenge);
    if (have + strlen(value) + 3 > sizeof(a->challenge))
        return;
    snprintf(a->challenge + have, sizeof(a->challenge) - have, "%s%s", have ? ", " : "", value);
}

static int64_t parse_retry_after(const char *value)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (errno || end == value || *end || n < 0)
        return 0; /* a date: not worth a clock */
    return n < RETRY_AFTER_MAX_S ? n : RETRY_AFTER_MAX_S;
}

static int64_t parse_range_start(const char *value)
{
    char *end;
    if (strncasecmp(value, "bytes ", 6) != 0)
        return -1;
    errno = 0;
    long long n = strtoll(value + 6, &end, 10);
    return errno || end == value + 6 || *end != '-' || n < 0 ? -1 : n;
}

static size_t on_header(char *line, size_t one, size_t len, void *arg)
{
    struct exchange *x = arg;
    struct http_answer *a = x->answer;
    char value[HTTP_URL_MAX];
    (void)one;
    x->header_bytes += len;
    if (x->header_bytes > HEADERS_MAX) {
        x->stopped = err_set(x->err, ERR_CORRUPT, "%.100s sends more than %d bytes of headers",
                             x->request->host, HEADERS_MAX);
        return 0;
    }
    if (len > 5 && strncasecmp(line, "HTTP/", 5) == 0) { /* the first of an answer */
        *a = (struct http_answer){0};
        x->range_start = -1;
    } else if (header_is(line, len, "WWW-Authenticate", value, sizeof(value))) {
        add_challenge(a, value);
    } else if (header_is(line, len, "Location", value, sizeof(value))) {
        str_fill(a->location, sizeof(a->location), value);
    } else if (header_is(line, len, "Docker-Content-Digest", value, sizeof(a->digest))) {
        str_fill(a->digest, sizeof(a->digest), value);
    } else if (header_is(line, len, "Retry-After", value, sizeof(value))) {
        a->retry_after_s = parse_retry_after(value);
    } else if (header_is(line, len, "Content-Range", value, sizeof(value))) {
        x->range_start = parse_range_start(value);
    }
    return len;
}

/* --- the request on its way out ----------------------------------------------------------------
 */

static size_t on_send(char *to, size_t one, size_t len, void *arg)
{
    struct exchange *x = arg;
    const struct http_request *q = x->request;
    int64_t left = q->file_size - x->file_offset;
    size_t want = (int64_t)(one * len) < left ? one * len : (size_t)left;
    ssize_t n = want ? pread(q->file_fd, to, want, x->file_offset) : 0;
    if (n < 0 || (want && n == 0)) {
        x->stopped = n < 0 ? err_errno(x->err, errno, "read a blob of the image")
                           : err_set(x->err, ERR_CORRUPT, "a blob of the image is cut off");
        return CURL_READFUNC_ABORT;
    }
    x->file_offset += n;
    if (q->sent)
        q->sent(q->arg, x->file_offset);
    return (size_t)n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct exchange *x = arg;
    if (origin != SEEK_SET || offset < 0 || offset > x->request->file_size)
        return CURL_SEEKFUNC_FAIL;
    x->file_offset = offset;
    return CURL_SEEKFUNC_OK;
}

static int on_tick(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct exchange *x = arg;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return x->request->cancel && atomic_load(x->request->cancel);
}

static void set_body(CURL *c, struct exchange *x)
{
    const struct http_request *q = x->request;
    bool put = strcmp(q->method, "PUT") == 0;
    if (strcmp(q->method, "HEAD") == 0) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    } else if (put && !q->body) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->file_size);
    } else if (put || strcmp(q->method, "POST") == 0) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body ? q->body : "");
        if (put)
            curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "PUT");
    } else {
        check(strcmp(q->method, "GET") == 0);
    }
}

static void set_tls(CURL *c, const struct http_request *q)
{
    struct curl_blob ca = {
        .data = (char *)(uintptr_t)q->ca, .len = strlen(q->ca), .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
}

static void set_limits(CURL *c, const struct exchange *x)
{
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_S);
    long stall_s = x->http->settings->stall_s;
    if (strcmp(x->request->method, "PUT") == 0) /* it may look at what it got before it answers */
        stall_s *= UPLOAD_PATIENCE;
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, stall_s);
    if (x->request->document)
        curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)DOCUMENT_TIMEOUT_S);
}

static void set_proxy(CURL *c, const struct exchange *x)
{
    const struct settings *s = x->http->settings;
    bool tls = str_starts(x->request->url, "https:");
    const char *proxy = tls ? s->proxy_https : s->proxy_http;
    curl_easy_setopt(c, CURLOPT_PROXY, str_or_empty(proxy));
    curl_easy_setopt(c, CURLOPT_NOPROXY, str_or_empty(s->proxy_except));
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static struct curl_slist *make_headers(const struct http_request *q)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < HTTP_REQUEST_HEADERS_MAX && q->headers[i]; i++)
        list = curl_slist_append(list, q->headers[i]);
    list = curl_slist_append(list, "Expect:"); /* no waiting for "100 Continue" */
    if (strcmp(q->method, "POST") == 0 && !q->body)
        list = curl_slist_append(list, "Content-Type:");
    if (q->authorization) {
        char *line = str_printf("Authorization: %s", q->authorization);
        list = curl_slist_append(list, line);
        auth_wipe(line);
    }
    if (q->offset > 0) {
        cleanup_free char *line = str_printf("Range: bytes=%lld-", (long long)q->offset);
        list = curl_slist_append(list, line);
    }
    check(list);
    return list;
}

/* --- the exchange ------------------------------------------------------------------------------
 */

/* What went wrong below HTTP. */
static int transfer_err(struct exchange *x, CURLcode rc, struct err *err)
{
    struct http *h = x->http;
    const char *host = x->request->host;
    const char *why = h->curl_error[0] ? h->curl_error : curl_easy_strerror(rc);
    long number = 0;
    curl_easy_getinfo(h->curl, CURLINFO_OS_ERRNO, &number);
    if (rc == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, ERR_CANCELED, "%.100s: canceled", host);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, ERR_TIMEOUT, "%.100s stalls: %.100s", host, why);
    if (rc == CURLE_COULDNT_CONNECT && number)
        return err_set(err, ERR_UNAVAILABLE, "%.100s: %s", host, strerror((int)number));
    if (rc == CURLE_COULDNT_RESOLVE_HOST)
        return err_set(err, ERR_UNAVAILABLE, "%.100s: its name cannot be resolved", host);
    if (rc == CURLE_PEER_FAILED_VERIFICATION)
        return err_set(err, ERR_FAILED,
                       "%.70s shows a certificate that cannot be trusted (%.90s); give its CA "
                       "with 'wherry registry set --ca FILE HOST'",
                       host, why);
    if (rc == CURLE_SSL_CONNECT_ERROR && strstr(why, "wrong version number"))
        return err_set(err, ERR_FAILED,
                       "%.90s speaks no TLS; name it as a registry for plain HTTP (--plain-http) "
                       "if it is meant to be one",
                       host);
    if (rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_WEIRD_SERVER_REPLY)
        return err_set(err, ERR_FAILED, "%.100s speaks no HTTP: %.100s", host, why);
    return err_set(err, ERR_UNAVAILABLE, "%.100s: %.130s", host, why);
}

/* Make the Location absolute; a bad one is as none. */
static void settle_location(const char *url, struct http_answer *a)
{
    char *absolute = NULL;
    if (!a->location[0])
        return;
    CURLU *u = curl_url();
    check(u);
    bool ok = curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_set(u, CURLUPART_URL, a->location, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
              curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_URL, &absolute, 0) == CURLUE_OK;
    if (!ok || !str_fill(a->location, sizeof(a->location), absolute))
        a->location[0] = '\0';
    curl_free(absolute);
    curl_url_cleanup(u);
}

static int run(struct exchange *x, struct err *err)
{
    struct http *h = x->http;
    CURL *c = h->curl;
    struct curl_slist *headers = make_headers(x->request);
    curl_easy_reset(c);
    h->curl_error[0] = '\0';
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->curl_error);
    curl_easy_setopt(c, CURLOPT_URL, x->request->url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "wherry");
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    set_limits(c, x);
    set_proxy(c, x);
    set_tls(c, x->request);
    set_body(c, x);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    x->answer->status = status_of(x);
    if (x->stopped < 0)
        return x->stopped;
    if (rc != CURLE_OK && !x->enough)
        return transfer_err(x, rc, err);
    return 0;
}

static bool contains(const struct buf *text, const char *what)
{
    return what && *what && text->len && memmem(text->data, text->len, what, strlen(what));
}

/* True when the error's body repeats what we sent: then its words are not for others. */
static bool tells_secret(const struct exchange *x)
{
    const struct http_request *q = x->request;
    const char *space = q->authorization ? strchr(q->authorization, ' ') : NULL;
    return contains(&x->error_body, q->secret) ||
           contains(&x->error_body, space ? space + 1 : q->authorization);
}

int http_perform(struct http *http, const struct http_request *request, struct http_answer *answer,
                 struct err *err)
{
    struct err why = {0};
    struct exchange x = {
        .http = http, .request = request, .answer = answer, .range_start = -1, .err = &why};
    *answer = (struct http_answer){0};
    int rv = run(&x, &why);
    if (rv == 0 && is_success(answer->status) && request->sink)
        rv = check_offset(&x, answer->status); /* of a body without a byte */
    if (rv == 0)
        settle_location(request->url, answer);
    if (rv == 0 && !is_success(answer->status) && !tells_secret(&x))
        http_words(x.error_body.data, x.error_body.len, answer->words, sizeof(answer->words));
    buf_release(&x.error_body);
    if (rv < 0 && err)
        *err = why;
    return rv;
}

/* --- clients and URLs --------------------------------------------------------------------------
 */

static bool curl_started;

static void start_curl(void)
{
    curl_started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int http_new(const struct settings *settings, struct http **ret, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    check(pthread_once(&once, start_curl) == 0);
    if (!curl_started)
        return err_set(err, ERR_INTERNAL, "libcurl does not start");
    struct http *h = mem_alloc(1, sizeof(*h));
    h->settings = settings;
    h->curl = curl_easy_init();
    check(h->curl);
    *ret = h;
    return 0;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    free(http);
}

/* A part of @url, "" when it has none; curl_free. NULL when it is no URL of ours. */
static char *url_part(const char *url, CURLUPart part)
{
    char *text = NULL;
    CURLU *u = curl_url();
    check(u);
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK)
        curl_url_get(u, part, &text, CURLU_DEFAULT_PORT);
    curl_url_cleanup(u);
    return text;
}

bool http_same_origin(const char *a, const char *b)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    bool same = true;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        char *x = url_part(a, parts[i]);
        char *y = url_part(b, parts[i]);
        same &= x && y && strcasecmp(x, y) == 0;
        curl_free(x);
        curl_free(y);
    }
    return same;
}

bool http_url_valid(const char *url, bool *ret_tls)
{
    if (strlen(url) >= HTTP_URL_MAX)
        return false;
    char *scheme = url_part(url, CURLUPART_SCHEME);
    bool tls = scheme && strcasecmp(scheme, "https") == 0;
    bool plain = scheme && strcasecmp(scheme, "http") == 0;
    curl_free(scheme);
    if (tls || plain)
        *ret_tls = tls;
    return tls || plain;
}

char *http_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    check(escaped);
    char *copy = str_copy(escaped);
    curl_free(escaped);
    return copy;
}
