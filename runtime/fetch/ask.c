/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/ask.h"

#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/document.h"
#include "runtime/fetch/registry.h"
#include "runtime/fetch/report.h"

int ask_digest(const struct settings *settings, const char *name, int folder_fd, int64_t max_bytes,
               struct err *err)
{
    struct image_ref ref;
    struct registry *registry = NULL;
    char digest[IMAGE_DIGEST_SIZE];
    int rv = image_ref_parse(name, &ref, err);
    (void)folder_fd;
    (void)max_bytes;
    if (rv < 0)
        return rv;
    struct registries *set = registries_new(settings, &ref, "pull");
    rv = registry_new(set, &registry, err);
    if (rv == 0)
        rv = document_resolve(registry, ref.digest[0] ? ref.digest : ref.tag, digest, err);
    if (rv == 0)
        report_digest(digest);
    registry_free(registry);
    registries_free(set);
    return rv;
}

int ask_entry(const struct settings *settings, const char *name, int folder_fd, int64_t max_bytes,
              struct err *err)
{
    struct image_ref ref = {0};
    struct registry *registry = NULL;
    (void)folder_fd;
    (void)max_bytes;
    str_fill(ref.registry, sizeof(ref.registry), name);
    struct registries *set = registries_new(settings, &ref, NULL);
    int rv = registry_new(set, &registry, err);
    if (rv == 0)
        rv = registry_ping(registry, registry_count(registry) - 1, err);
    registry_free(registry);
    registries_free(set);
    return rv;
}
