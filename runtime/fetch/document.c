/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/document.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/registry.h"
#include "runtime/fetch/retry.h"
#include "runtime/fetch/stream.h"
#include "runtime/image_json.h"
#include "runtime/platform.h"

#include <stdio.h>
#include <string.h>

void document_add_mirror(struct err *err, const struct err *why)
{
    if (err && why->code != 0) {
        size_t n = strlen(err->msg);
        snprintf(err->msg + n, sizeof(err->msg) - n, " (%.110s)", why->msg);
    }
}

/* Do @get at one endpoint until it works, is worth no other try, or was tried often enough. */
typedef int (*attempt_cb)(struct registry *registry, size_t at, void *arg, struct err *err);

static int with_retries(struct registry *registry, size_t at, attempt_cb get, void *arg,
                        struct err *err)
{
    bool last = at + 1 == registry_count(registry); /* a mirror has others behind it */
    for (int attempt = 1;; attempt++) {
        int rv = get(registry, at, arg, err);
        if (rv != ERR_UNAVAILABLE || !last || attempt >= DOCUMENT_ATTEMPTS_MAX ||
            !retry_wait(rv, attempt, registry_retry_after_s(registry), NULL))
            return rv;
    }
}

/* Do @get at one endpoint after the other until it works. */
static int anywhere(struct registry *registry, attempt_cb get, void *arg, struct err *err)
{
    struct err mirror = {0};
    struct err why = {0};
    int rv = 0;
    for (size_t at = 0; at < registry_count(registry); at++) {
        bool last = at + 1 == registry_count(registry);
        if (!last && registry_is_dead(registry, at))
            continue;
        rv = with_retries(registry, at, get, arg, &why);
        if (rv == 0)
            return 0;
        if (!last)
            mirror = why;
    }
    document_add_mirror(&why, &mirror);
    if (err)
        *err = why;
    return rv;
}

struct getting {
    const char *version;
    const char *promised;
    struct buf *content;
    char *digest;
};

static int get_at(struct registry *registry, size_t at, void *arg, struct err *err)
{
    struct getting *g = arg;
    int rv = registry_get_manifest(registry, at, g->version, g->content, err);
    if (rv < 0)
        return rv;
    struct digest *hash = digest_new();
    digest_update(hash, str_or_empty(g->content->data), g->content->len);
    digest_text(hash, g->digest);
    if (g->promised[0] && strcmp(g->promised, g->digest) != 0)
        return err_set(err, ERR_CORRUPT,
                       "registry %.60s: its manifest does not have the digest %.19s... it is "
                       "asked for",
                       registry_host(registry, at), g->promised);
    return 0;
}

int document_get(struct registry *registry, const char *version, const char *promised,
                 struct buf *ret_content, char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    struct getting g = {version, promised, ret_content, ret_digest};
    return anywhere(registry, get_at, &g, err);
}

/* Choose from the index @content; "" when nothing fits. */
static int choose(const struct buf *content, const struct image_platform *platform,
                  char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    struct image_index index;
    int rv = image_index_parse(str_or_empty(content->data), content->len, &index, err);
    if (rv < 0)
        return rv;
    const struct image_index_entry *entry = image_index_choose_for(&index, platform);
    str_fill(ret_digest, IMAGE_DIGEST_SIZE, entry ? entry->blob.digest : "");
    image_index_release(&index);
    return 0;
}

int document_get_manifest(struct registry *registry, const struct image_ref *ref,
                          const struct image_platform *platform, document_index_cb on_index,
                          void *arg, struct buf *ret_content, char ret_digest[IMAGE_DIGEST_SIZE],
                          struct err *err)
{
    char chosen[IMAGE_DIGEST_SIZE] = "";
    int rv = document_get(registry, ref->digest[0] ? ref->digest : ref->tag, ref->digest,
                          ret_content, ret_digest, err);
    for (int depth = 0; rv == 0; depth++) {
        enum image_document kind;
        rv = image_document_kind(str_or_empty(ret_content->data), ret_content->len, &kind, err);
        if (rv < 0 || kind == IMAGE_DOCUMENT_MANIFEST)
            return rv;
        if (depth >= DOCUMENT_DEPTH_MAX)
            return err_set(err, ERR_UNSUPPORTED, "%.120s is an index of indexes, nested too deep",
                           ref->repository);
        if ((rv = on_index(arg, ret_content, ret_digest, err)) < 0 ||
            (rv = choose(ret_content, platform, chosen, err)) < 0)
            return rv;
        if (!chosen[0]) {
            cleanup_free char *wanted = image_platform_format(platform);
            return err_set(err, ERR_UNSUPPORTED, "%.120s has no image for %s", ref->repository,
                           wanted);
        }
        rv = document_get(registry, chosen, chosen, ret_content, ret_digest, err);
    }
    return rv;
}

static int head_at(struct registry *registry, size_t at, void *arg, struct err *err)
{
    struct getting *g = arg;
    int rv = registry_head_manifest(registry, at, g->version, g->digest, err);
    if (rv == 0 && g->digest[0])
        return 0;
    /* Some registries know no HEAD. */
    if (rv < 0 && rv != ERR_FAILED && rv != ERR_NOTFOUND)
        return rv;
    return get_at(registry, at, g, err);
}

int document_resolve(struct registry *registry, const char *version,
                     char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    cleanup_buf struct buf content = BUF_INIT;
    struct getting g = {version, "", &content, ret_digest};
    return anywhere(registry, head_at, &g, err);
}
