/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of images: manifests, indexes and configs, and the choice from an index. The first
 * byte chooses.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/image_json.h"
#include "runtime/platform.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void manifest(const char *text, size_t len)
{
    static struct image_manifest m;
    enum image_document kind;
    struct err err;
    image_document_kind(text, len, &kind, &err);
    if (image_manifest_parse(text, len, &m, &err) < 0)
        return;
    check(m.layers_n > 0 && m.layers_n <= IMAGE_LAYERS_MAX);
    check(image_digest_valid(m.config.digest));
    for (size_t i = 0; i < m.layers_n; i++)
        check(image_digest_valid(m.layers[i].digest) && m.layers[i].size >= 0);
}

static void index_choice(const char *text, size_t len)
{
    static const char *const wishes[] = {NULL, "linux/arm/v7", "linux/arm64", "linux/amd64/v3"};
    struct image_index index;
    struct err err;
    if (image_index_parse(text, len, &index, &err) < 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
        struct image_platform platform;
        check(image_platform_parse(wishes[i], &platform, &err) == 0);
        const struct image_index_entry *e = image_index_choose_for(&index, &platform);
        check(!e || (e >= index.entries && e < index.entries + index.n));
        check(!e || image_digest_valid(e->blob.digest));
        check(!e || index.n == 1 || strcmp(e->architecture, platform.architecture) == 0);
    }
    image_index_release(&index);
}

static void config(const char *text, size_t len)
{
    static char diff_ids[IMAGE_LAYERS_MAX][IMAGE_DIGEST_SIZE];
    struct image image = {0};
    size_t n = 0;
    struct err err;
    image_config_check(text, len, NULL, &err);
    if (image_config_parse(text, len, &image, diff_ids, &n, &err) == 0)
        check(n > 0 && n <= IMAGE_LAYERS_MAX);
    image_release(&image);
}

static void platform_text(const char *text)
{
    struct image_platform p;
    struct err err;
    if (image_platform_parse(text, &p, &err) < 0)
        return;
    char *again = image_platform_format(&p);
    struct image_platform same;
    check(image_platform_parse(again, &same, &err) == 0);
    check(image_platform_rank(&same, p.os, p.architecture, p.variant) > 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = mem_alloc(1, size);
    memcpy(text, data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        manifest(text, size - 1);
        break;
    case 1:
        index_choice(text, size - 1);
        break;
    case 2:
        config(text, size - 1);
        break;
    case 3:
        platform_text(text);
        break;
    }
    free(text);
    return 0;
}
