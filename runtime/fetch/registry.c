/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/registry.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/registry_call.h"
#include "runtime/fetch/session.h"
#include "runtime/fetch/settings.h"
#include "runtime/image_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REDIRECTS_MAX = 5,
};

struct registries {
    const struct settings *settings;
    const struct image_ref *ref;
    struct session *sessions[SETTINGS_ENDPOINTS_MAX];
    atomic_bool dead[SETTINGS_ENDPOINTS_MAX];
};

struct registry {
    struct registries *set;
    struct http *http;
    struct http_answer answer; /* the last one */
};

#define ACCEPT                                                                                     \
    "Accept: " IMAGE_TYPE_OCI_INDEX ", " IMAGE_TYPE_OCI_MANIFEST ", " IMAGE_TYPE_DOCKER_LIST       \
    ", " IMAGE_TYPE_DOCKER_MANIFEST

/* "repository:team/app:pull,push repository:other:pull" */
static char *make_scope(const struct settings *settings, const struct image_ref *ref,
                        const char *actions)
{
    struct buf scope = BUF_INIT;
    if (actions)
        buf_printf(&scope, "repository:%s:%s", ref->repository, actions);
    for (size_t i = 0; i < settings->mounts_n; i++) {
        cleanup_free char *more = str_printf(" repository:%s:pull", settings->mounts[i].repository);
        if (!strstr(scope.data, more))
            buf_puts(&scope, more);
    }
    return buf_take(&scope);
}

struct registries *registries_new(const struct settings *settings, const struct image_ref *ref,
                                  const char *actions)
{
    struct registries *set = mem_alloc(1, sizeof(*set));
    cleanup_free char *scope = make_scope(settings, ref, actions);
    set->settings = settings;
    set->ref = ref;
    for (size_t i = 0; i < settings->endpoints_n; i++)
        set->sessions[i] = session_new(&settings->endpoints[i], scope);
    return set;
}

void registries_free(struct registries *set)
{
    for (size_t i = 0; set && i < set->settings->endpoints_n; i++)
        session_free(set->sessions[i]);
    free(set);
}

int registry_new(struct registries *set, struct registry **ret, struct err *err)
{
    struct registry *r = mem_alloc(1, sizeof(*r));
    r->set = set;
    int rv = http_new(set->settings, &r->http, err);
    if (rv < 0) {
        free(r);
        return rv;
    }
    *ret = r;
    return 0;
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    http_free(r->http);
    free(r);
}

size_t registry_count(const struct registry *r)
{
    return r->set->settings->endpoints_n;
}

static const struct endpoint *endpoint_at(const struct registry *r, size_t at)
{
    check(at < r->set->settings->endpoints_n);
    return &r->set->settings->endpoints[at];
}

const char *registry_host(const struct registry *r, size_t at)
{
    return endpoint_at(r, at)->registry;
}

bool registry_is_dead(const struct registry *r, size_t at)
{
    return atomic_load(&r->set->dead[at]);
}

bool registry_is_plain(const struct registry *r, size_t at)
{
    return endpoint_at(r, at)->plain;
}

int64_t registry_retry_after_s(const struct registry *r)
{
    return r->answer.retry_after_s;
}

const struct http_answer *registry_answer(const struct registry *r)
{
    return &r->answer;
}

/* --- calls --------------------------------------------------------------------------------------
 */

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* May we go where the registry sends us? */
static int check_redirect(const struct endpoint *e, const struct http_answer *answer, int hops,
                          struct err *err)
{
    bool tls;
    if (hops >= REDIRECTS_MAX)
        return err_set(err, ERR_FAILED, "registry %.80s redirects more than %d times", e->registry,
                       REDIRECTS_MAX);
    if (!http_url_valid(answer->location, &tls))
        return err_set(err, ERR_FAILED,
                       "registry %.80s redirects to another protocol than HTTP, or nowhere",
                       e->registry);
    if (!tls && !e->plain)
        return err_set(err, ERR_DENIED,
                       "registry %.80s redirects from HTTPS to plain HTTP, which is not followed",
                       e->registry);
    return 0;
}

/* Whom to blame at @url, where the registry sent us. */
static void name_host(const struct endpoint *e, const char *url, char *host, size_t size)
{
    const char *at = strstr(url, "://") ? strstr(url, "://") + 3 : url;
    snprintf(host, size, "%.60s, where %s %.60s redirects,", at, e->mirror ? "mirror" : "registry",
             e->registry);
    char *slash = strchr(host, '/');
    const char *rest = strstr(host, ", where ");
    if (slash && rest && slash < rest) /* the host of the URL alone */
        memmove(slash, rest, strlen(rest) + 1);
}

/* Send @q, and follow where it leads: with the authorization only as long as it is the same host.
 * *@ret_strange says that the answer is not the registry's own. */
static int follow(struct registry *r, const struct endpoint *e, struct http_request *q,
                  bool *ret_strange, struct err *err)
{
    char url[HTTP_URL_MAX];
    char host[160];
    bool read_only = strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0;
    *ret_strange = false;
    for (int hops = 0;; hops++) {
        int rv = http_perform(r->http, q, &r->answer, err);
        if (rv < 0 || !is_redirect(r->answer.status) || !read_only)
            return rv;
        if ((rv = check_redirect(e, &r->answer, hops, err)) < 0)
            return rv;
        if (!http_same_origin(r->answer.location, e->url)) {
            q->authorization = NULL;
            *ret_strange = true;
        }
        name_host(e, r->answer.location, host, sizeof(host));
        q->host = host;
        str_fill(url, sizeof(url), r->answer.location);
        q->url = url;
    }
}

int registry_call(struct registry *r, size_t at, const struct http_request *request,
                  struct err *err)
{
    const struct endpoint *e = endpoint_at(r, at);
    struct session *session = r->set->sessions[at];
    cleanup_free char *host = str_printf("%s %s", e->mirror ? "mirror" : "registry", e->registry);
    for (int renewals = 0;; renewals++) {
        struct http_request q = *request;
        bool strange = false;
        bool ours = http_same_origin(q.url, e->url);
        char *authorization = ours ? session_authorization(session, r->http) : NULL;
        q.authorization = authorization;
        q.host = host;
        q.ca = e->ca;
        q.secret = e->password;
        int rv = follow(r, e, &q, &strange, err);
        bool again = rv == 0 && r->answer.status == 401 && ours && !strange && renewals == 0;
        if (again)
            rv = session_renew(session, r->http, authorization, &r->answer, err);
        auth_wipe(authorization);
        if ((rv == ERR_UNAVAILABLE || rv == ERR_TIMEOUT) && e->mirror)
            atomic_store(&r->set->dead[at], true);
        if (rv < 0 || !again)
            return rv;
    }
}

/* What it does not do when it answers 401 or 403. */
static const char *entry_words(const struct endpoint *e, const struct http_answer *a)
{
    return a->status == 401 && e->password ? "take the credentials" : "let us in";
}

/* What an HTTP status other than success means for @what. */
int registry_status_err(struct registry *r, size_t at, const char *what, struct err *err)
{
    const struct image_ref *ref = r->set->ref;
    const struct http_answer *a = &r->answer;
    const char *host = endpoint_at(r, at)->registry;
    const char *colon = a->words[0] ? ": " : "";
    const char *version = ref->digest[0] ? ref->digest : ref->tag;
    if (a->status == 404)
        return err_set(err, ERR_NOTFOUND, "registry %.60s has no %s %.80s%c%.30s", host, what,
                       ref->repository, ref->digest[0] ? '@' : ':', version);
    if (a->status == 401 || a->status == 403)
        return err_set(err, ERR_DENIED, "registry %.60s does not %s for %.60s%s%.80s", host,
                       entry_words(endpoint_at(r, at), a), ref->repository, colon, a->words);
    if (a->status == 416)
        return err_set(err, ERR_CONFLICT, "registry %.60s cannot resume", host);
    if (a->status == 429 || a->status >= 500)
        return err_set(err, ERR_UNAVAILABLE,
                       "registry %.60s answers HTTP status %ld%s%.90s; try later", host, a->status,
                       colon, a->words);
    return err_set(err, ERR_FAILED, "registry %.60s answers HTTP status %ld for %.60s%s%.90s", host,
                   a->status, ref->repository, colon, a->words);
}

char *registry_url(const struct registry *r, size_t at, const char *kind, const char *version)
{
    return str_printf("%s/v2/%s/%s/%s", endpoint_at(r, at)->url, r->set->ref->repository, kind,
                      version);
}

/* Call and have the statuses of success only. */
static int call(struct registry *r, size_t at, const struct http_request *q, const char *what,
                struct err *err)
{
    int rv = registry_call(r, at, q, err);
    if (rv == 0 && (r->answer.status < 200 || r->answer.status > 299))
        rv = registry_status_err(r, at, what, err);
    return rv;
}

int registry_ping(struct registry *r, size_t at, struct err *err)
{
    const struct endpoint *e = endpoint_at(r, at);
    cleanup_free char *url = str_printf("%s/v2/", e->url);
    struct http_request q = {.method = "GET", .url = url, .document = true};
    int rv = registry_call(r, at, &q, err);
    if (rv < 0 || (r->answer.status >= 200 && r->answer.status <= 299))
        return rv;
    long status = r->answer.status;
    const char *colon = r->answer.words[0] ? ": " : "";
    if (status == 401 || status == 403)
        return err_set(err, ERR_DENIED, "registry %.80s does not %s%s%.90s", e->registry,
                       entry_words(e, &r->answer), colon, r->answer.words);
    return err_set(err, status >= 500 || status == 429 ? ERR_UNAVAILABLE : ERR_FAILED,
                   "registry %.80s answers HTTP status %ld to /v2/%s%.100s; is it a registry?",
                   e->registry, status, colon, r->answer.words);
}

static int on_document(void *arg, const void *data, size_t len, struct err *err)
{
    struct buf *out = arg;
    if (out->len + len > IMAGE_DOCUMENT_MAX)
        return err_set(err, ERR_TOOBIG, "the registry's manifest is larger than %d bytes",
                       IMAGE_DOCUMENT_MAX);
    buf_append(out, data, len);
    return 0;
}

int registry_get_manifest(struct registry *r, size_t at, const char *version, struct buf *out,
                          struct err *err)
{
    cleanup_free char *url = registry_url(r, at, "manifests", version);
    struct http_request q = {.method = "GET",
                             .url = url,
                             .headers = {ACCEPT},
                             .document = true,
                             .sink = on_document,
                             .arg = out};
    buf_reset(out);
    return call(r, at, &q, "image", err);
}

int registry_head_manifest(struct registry *r, size_t at, const char *version,
                           char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    cleanup_free char *url = registry_url(r, at, "manifests", version);
    struct http_request q = {.method = "HEAD", .url = url, .headers = {ACCEPT}, .document = true};
    int rv = call(r, at, &q, "image", err);
    if (rv == 0)
        str_fill(ret_digest, IMAGE_DIGEST_SIZE,
                 image_digest_valid(r->answer.digest) ? r->answer.digest : "");
    return rv;
}

int registry_get_blob(struct registry *r, size_t at, const char *digest, int64_t offset,
                      http_sink_cb sink, void *arg, const atomic_bool *cancel, struct err *err)
{
    cleanup_free char *url = registry_url(r, at, "blobs", digest);
    struct http_request q = {
        .method = "GET", .url = url, .offset = offset, .sink = sink, .arg = arg, .cancel = cancel};
    return call(r, at, &q, "blob of", err);
}
