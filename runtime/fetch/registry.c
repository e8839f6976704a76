/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/registry.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image_json.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_S = 15,
    STALL_BYTES_S = 512,  /* slower than this a second... */
    STALL_TIMEOUT_S = 60, /* ...for so long is a stall */
    DOCUMENT_TIMEOUT_S = 120,
    REDIRECTS_MAX = 5,
};

struct registry {
    const struct image_ref *ref;
    CURL *curl;
    struct curl_slist *accept;
    char curl_error[CURL_ERROR_SIZE];
};

/* One answer on its way in. */
struct answer {
    struct registry *registry;
    registry_sink_cb sink;
    void *arg;
    bool failed; /* the sink said no; *err is set */
    struct err *err;
};

#define ACCEPT                                                                                     \
    "Accept: " IMAGE_TYPE_OCI_INDEX ", " IMAGE_TYPE_OCI_MANIFEST ", " IMAGE_TYPE_DOCKER_LIST       \
    ", " IMAGE_TYPE_DOCKER_MANIFEST

/* Only the body of a success goes to the sink; others' are not read. */
static size_t on_body(char *data, size_t one, size_t len, void *arg)
{
    struct answer *answer = arg;
    long status = 0;
    (void)one;
    curl_easy_getinfo(answer->registry->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206)
        return len;
    if (answer->sink(answer->arg, data, len, answer->err) == 0)
        return len;
    answer->failed = true;
    return 0;
}

static void set_options(struct registry *r)
{
    CURL *c = r->curl;
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, r->curl_error);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "wherry");
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    r->curl_error[0] = '\0';
}

static bool curl_started;

static void start_curl(void)
{
    curl_started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int registry_new(const struct image_ref *ref, struct registry **ret, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    check(pthread_once(&once, start_curl) == 0);
    if (!curl_started)
        return err_set(err, ERR_INTERNAL, "libcurl does not start");
    struct registry *r = mem_alloc(1, sizeof(*r));
    r->ref = ref;
    r->curl = curl_easy_init();
    r->accept = curl_slist_append(NULL, ACCEPT);
    check(r->curl && r->accept);
    *ret = r;
    return 0;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    curl_easy_cleanup(registry->curl);
    curl_slist_free_all(registry->accept);
    free(registry);
}

/* What went wrong below HTTP. */
static int transfer_err(struct registry *r, CURLcode rc, struct err *err)
{
    const char *host = r->ref->registry;
    const char *why = r->curl_error[0] ? r->curl_error : curl_easy_strerror(rc);
    if (rc == CURLE_RANGE_ERROR)
        return err_set(err, ERR_CONFLICT, "registry %.80s cannot resume", host);
    if (rc == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, ERR_UNSUPPORTED,
                       "registry %.80s redirects to another protocol than plain HTTP, which is not "
                       "supported yet",
                       host);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, ERR_TIMEOUT, "registry %.80s stalls: %.120s", host, why);
    long number = 0;
    curl_easy_getinfo(r->curl, CURLINFO_OS_ERRNO, &number);
    if (rc == CURLE_COULDNT_CONNECT && number)
        return err_set(err, ERR_UNAVAILABLE, "registry %.80s: %s", host, strerror((int)number));
    if (rc == CURLE_COULDNT_RESOLVE_HOST)
        return err_set(err, ERR_UNAVAILABLE, "registry %.80s: its name cannot be resolved", host);
    return err_set(err, ERR_UNAVAILABLE, "registry %.80s: %.140s", host, why);
}

/* What an HTTP status other than success means. */
static int status_err(struct registry *r, long status, const char *what, struct err *err)
{
    const struct image_ref *ref = r->ref;
    const char *version = ref->digest[0] ? ref->digest : ref->tag;
    if (status == 404)
        return err_set(err, ERR_NOTFOUND, "registry %.60s has no %s %.80s%c%.30s", ref->registry,
                       what, ref->repository, ref->digest[0] ? '@' : ':', version);
    if (status == 401 || status == 403)
        return err_set(err, ERR_DENIED,
                       "registry %.60s asks for credentials for %.80s, which are not supported yet",
                       ref->registry, ref->repository);
    if (status == 416)
        return err_set(err, ERR_CONFLICT, "registry %.60s cannot resume", ref->registry);
    if (status == 429 || status >= 500)
        return err_set(err, ERR_UNAVAILABLE, "registry %.60s answers HTTP status %ld; try later",
                       ref->registry, status);
    return err_set(err, ERR_FAILED, "registry %.60s answers HTTP status %ld for %.80s",
                   ref->registry, status, ref->repository);
}

static int perform(struct registry *r, const char *url, const char *what, struct answer *answer,
                   struct err *err)
{
    long status = 0;
    curl_easy_setopt(r->curl, CURLOPT_URL, url);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, answer);
    CURLcode rc = curl_easy_perform(r->curl);
    if (answer->failed)
        return err ? err->code : ERR_FAILED;
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc == CURLE_OK && (status == 200 || status == 206))
        return 0;
    if (rc == CURLE_OK || (rc == CURLE_RANGE_ERROR && status >= 400))
        return status_err(r, status, what, err);
    return transfer_err(r, rc, err);
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

int registry_get_manifest(struct registry *r, const char *version, struct buf *out, struct err *err)
{
    cleanup_free char *url =
        str_printf("http://%s/v2/%s/manifests/%s", r->ref->registry, r->ref->repository, version);
    struct answer answer = {.registry = r, .sink = on_document, .arg = out, .err = err};
    set_options(r);
    curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->accept);
    curl_easy_setopt(r->curl, CURLOPT_TIMEOUT, (long)DOCUMENT_TIMEOUT_S);
    return perform(r, url, "image", &answer, err);
}

int registry_get_blob(struct registry *r, const char *digest, int64_t offset, registry_sink_cb sink,
                      void *arg, struct err *err)
{
    cleanup_free char *url =
        str_printf("http://%s/v2/%s/blobs/%s", r->ref->registry, r->ref->repository, digest);
    struct answer answer = {.registry = r, .sink = sink, .arg = arg, .err = err};
    set_options(r);
    if (offset > 0)
        curl_easy_setopt(r->curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)offset);
    return perform(r, url, "blob of", &answer, err);
}
