/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/settings.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/fetch/auth.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STALL_DEFAULT_S = 30,
    CERTIFICATES_MAX = 4 << 20,
};

/* Where distributions keep the certificates they trust, as one file. */
static const char *const certificate_files[] = {
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

static void read_certificates(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(certificate_files) && out->len == 0; i++)
        file_read(certificate_files[i], CERTIFICATES_MAX, out, NULL);
}

static char *copy_text(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? str_copy(text) : NULL;
}

static int read_endpoint(json_t *object, const struct buf *system, struct endpoint *e,
                         struct err *err)
{
    cleanup_free char *own = copy_text(object, "ca");
    e->url = copy_text(object, "url");
    e->registry = copy_text(object, "registry");
    e->username = copy_text(object, "username");
    e->password = copy_text(object, "password");
    e->ca = str_printf("%s\n%s", str_or_empty(system->data), str_or_empty(own));
    e->mirror = json_is_true(json_object_get(object, "mirror"));
    if (!e->url || !e->registry)
        return err_set(err, ERR_INVALID, "the settings name no registry");
    e->plain = str_starts(e->url, "http://");
    if (!e->plain && !str_starts(e->url, "https://"))
        return err_set(err, ERR_INVALID, "'%.100s' begins with neither https:// nor http://",
                       e->url);
    return 0;
}

static int read_push(json_t *push, struct settings *s, struct err *err)
{
    const char *manifest = str_or_empty(json_string_value(json_object_get(push, "manifest")));
    json_t *mounts = json_object_get(push, "mounts");
    const char *digest;
    json_t *repository;
    if (!image_digest_valid(manifest))
        return err_set(err, ERR_INVALID, "the settings name no manifest to push");
    str_fill(s->push_manifest, sizeof(s->push_manifest), manifest);
    s->mounts = mem_alloc(json_object_size(mounts) + 1, sizeof(*s->mounts));
    json_object_foreach (mounts, digest, repository) {
        struct settings_mount *m = &s->mounts[s->mounts_n++];
        str_fill(m->digest, sizeof(m->digest), digest);
        m->repository = str_copy(str_or_empty(json_string_value(repository)));
    }
    return 0;
}

static int take(json_t *root, struct settings *s, struct err *err)
{
    cleanup_buf struct buf system = BUF_INIT;
    json_t *proxy = json_object_get(root, "proxy");
    json_t *endpoints = json_object_get(root, "endpoints");
    read_certificates(&system);
    s->platform = copy_text(root, "platform");
    s->proxy_http = copy_text(proxy, "http");
    s->proxy_https = copy_text(proxy, "https");
    s->proxy_except = copy_text(proxy, "except");
    s->stall_s = (long)json_integer_value(json_object_get(root, "stall_s"));
    if (s->stall_s <= 0)
        s->stall_s = STALL_DEFAULT_S;
    size_t n = json_array_size(endpoints);
    if (n == 0 || n > SETTINGS_ENDPOINTS_MAX)
        return err_set(err, ERR_INVALID, "the settings name not 1 to %d registries",
                       SETTINGS_ENDPOINTS_MAX);
    json_t *push = json_object_get(root, "push");
    int pushed = push ? read_push(push, s, err) : 0;
    if (pushed < 0)
        return pushed;
    for (size_t i = 0; i < n; i++) {
        int rv = read_endpoint(json_array_get(endpoints, i), &system,
                               &s->endpoints[s->endpoints_n++], err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int read_all(int fd, struct buf *out, struct err *err)
{
    for (;;) {
        ssize_t n = pread(fd, buf_reserve(out, 65536), 65536, (off_t)out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read the settings");
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len > SETTINGS_MAX)
            return err_set(err, ERR_TOOBIG, "the settings have more than %d bytes", SETTINGS_MAX);
    }
}

int settings_read(int fd, struct settings *ret, struct err *err)
{
    struct settings s = {0};
    cleanup_buf struct buf text = BUF_INIT;
    int rv = read_all(fd, &text, err);
    if (rv == 0 && ftruncate(fd, 0) < 0)
        rv = err_errno(err, errno, "empty the settings");
    if (rv < 0)
        return rv;
    json_t *root = json_loadb(str_or_empty(text.data), text.len, 0, NULL);
    rv = root ? take(root, &s, err) : err_set(err, ERR_INVALID, "the settings are no JSON");
    json_decref(root);
    if (text.data)
        explicit_bzero(text.data, text.len);
    if (rv < 0)
        settings_release(&s);
    else
        *ret = s;
    return rv;
}

void settings_release(struct settings *s)
{
    for (size_t i = 0; i < s->endpoints_n; i++) {
        struct endpoint *e = &s->endpoints[i];
        free(e->url);
        free(e->registry);
        free(e->username);
        auth_wipe(e->password);
        free(e->ca);
    }
    for (size_t i = 0; i < s->mounts_n; i++)
        free(s->mounts[i].repository);
    free(s->mounts);
    free(s->platform);
    auth_wipe(s->proxy_http);
    auth_wipe(s->proxy_https);
    free(s->proxy_except);
    *s = (struct settings){0};
}
