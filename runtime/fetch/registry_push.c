/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/registry_push.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/registry.h"
#include "runtime/fetch/registry_call.h"
#include "runtime/image_json.h"

#include <stdlib.h>
#include <string.h>

/* The registry itself stands behind its mirrors. */
static size_t own(const struct registry *r)
{
    return registry_count(r) - 1;
}

int registry_has_blob(struct registry *r, const char *digest, bool *ret_has, struct err *err)
{
    cleanup_free char *url = registry_url(r, own(r), "blobs", digest);
    struct http_request q = {.method = "HEAD", .url = url, .document = true};
    int rv = registry_call(r, own(r), &q, err);
    if (rv < 0)
        return rv;
    long status = registry_answer(r)->status;
    if (status != 200 && status != 404)
        return registry_status_err(r, own(r), "blob of", err);
    *ret_has = status == 200;
    return 0;
}

int registry_begin_upload(struct registry *r, const struct image_blob *blob, const char *mount_from,
                          bool *ret_mounted, char **ret_location, struct err *err)
{
    cleanup_free char *plain = registry_url(r, own(r), "blobs", "uploads/");
    cleanup_free char *from = mount_from ? http_escape(mount_from) : NULL;
    cleanup_free char *mount =
        from ? str_printf("%s?mount=%s&from=%s", plain, blob->digest, from) : NULL;
    struct http_request q = {.method = "POST", .url = mount ? mount : plain, .document = true};
    int rv = registry_call(r, own(r), &q, err);
    const struct http_answer *a = registry_answer(r);
    /* A registry may refuse to mount what it would take. */
    if (rv == 0 && mount && a->status >= 400 && a->status < 500) {
        q.url = plain;
        rv = registry_call(r, own(r), &q, err);
    }
    if (rv < 0)
        return rv;
    *ret_mounted = a->status == 201 && mount;
    if (*ret_mounted)
        return 0;
    if (a->status != 202)
        return registry_status_err(r, own(r), "place for a blob of", err);
    bool tls;
    if (!http_url_valid(a->location, &tls))
        return err_set(err, ERR_FAILED, "registry %.80s does not say where a blob goes",
                       registry_host(r, own(r)));
    if (!tls && !registry_is_plain(r, own(r)))
        return err_set(err, ERR_DENIED,
                       "registry %.80s sends a blob from HTTPS to plain HTTP, which is not "
                       "followed",
                       registry_host(r, own(r)));
    *ret_location = str_copy(a->location);
    return 0;
}

/* The registry's word for what it stored must be ours. */
static int check_stored(struct registry *r, const char *what, const char *digest, struct err *err)
{
    const struct http_answer *a = registry_answer(r);
    if (a->status < 200 || a->status > 299)
        return registry_status_err(r, own(r), what, err);
    if (a->digest[0] && strcmp(a->digest, digest) != 0)
        return err_set(err, ERR_CORRUPT, "registry %.60s stored something else than %.19s...",
                       registry_host(r, own(r)), digest);
    return 0;
}

int registry_put_blob(struct registry *r, const char *location, const struct image_blob *blob,
                      int fd, http_sent_cb sent, void *arg, const atomic_bool *cancel,
                      struct err *err)
{
    cleanup_free char *url =
        str_printf("%s%cdigest=%s", location, strchr(location, '?') ? '&' : '?', blob->digest);
    struct http_request q = {.method = "PUT",
                             .url = url,
                             .headers = {"Content-Type: application/octet-stream"},
                             .file_fd = fd,
                             .file_size = blob->size,
                             .sent = sent,
                             .arg = arg,
                             .cancel = cancel};
    int rv = registry_call(r, own(r), &q, err);
    return rv < 0 ? rv : check_stored(r, "upload for", blob->digest, err);
}

int registry_put_manifest(struct registry *r, const char *version, const char *type,
                          const char *data, size_t len, const char *digest, struct err *err)
{
    cleanup_free char *url = registry_url(r, own(r), "manifests", version);
    cleanup_free char *header = str_printf("Content-Type: %s", type);
    struct http_request q = {.method = "PUT",
                             .url = url,
                             .headers = {header},
                             .document = true,
                             .body = data,
                             .body_len = len};
    int rv = registry_call(r, own(r), &q, err);
    return rv < 0 ? rv : check_stored(r, "place for", digest, err);
}
