/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_json.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/platform.h"

#include <stdlib.h>
#include <string.h>

enum {
    CONFIG_STRINGS_MAX = 4096, /* of one list */
};

static void decref(json_t **root)
{
    json_decref(*root);
}
#define cleanup_json __attribute__((cleanup(decref)))

/* A list of strings; NULL when missing, null or empty. */
static int parse_strings(json_t *config, const char *key, char ***ret, struct err *err)
{
    json_t *list = json_object_get(config, key);
    size_t n = json_array_size(list);
    if (!list || json_is_null(list) || (json_is_array(list) && n == 0))
        return 0;
    if (!json_is_array(list) || n > CONFIG_STRINGS_MAX)
        return err_set(err, ERR_CORRUPT, "the image's config: %s is no list of at most %d strings",
                       key, CONFIG_STRINGS_MAX);
    char **strings = mem_alloc(n + 1, sizeof(*strings));
    *ret = strings;
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s)
            return err_set(err, ERR_CORRUPT, "the image's config: %s[%zu] is no string", key, i);
        strings[i] = str_copy(s);
    }
    return 0;
}

/* The keys of an object; NULL when missing, null or empty. */
static int parse_keys(json_t *config, const char *key, char ***ret, struct err *err)
{
    json_t *object = json_object_get(config, key);
    size_t n = json_object_size(object);
    if (!object || json_is_null(object) || (json_is_object(object) && n == 0))
        return 0;
    if (!json_is_object(object) || n > CONFIG_STRINGS_MAX)
        return err_set(err, ERR_CORRUPT, "the image's config: %s is no object of at most %d keys",
                       key, CONFIG_STRINGS_MAX);
    char **strings = mem_alloc(n + 1, sizeof(*strings));
    *ret = strings;
    size_t i = 0;
    const char *name;
    json_t *value;
    json_object_foreach (object, name, value) {
        strings[i++] = str_copy(name);
    }
    return 0;
}

static int parse_string(json_t *config, const char *key, char **ret, struct err *err)
{
    json_t *value = json_object_get(config, key);
    if (value && !json_is_null(value) && !json_is_string(value))
        return err_set(err, ERR_CORRUPT, "the image's config: %s is no string", key);
    *ret = str_copy(str_or_empty(json_string_value(value)));
    return 0;
}

int image_config_check(const char *data, size_t len, const struct image_platform *platform,
                       struct err *err)
{
    cleanup_json json_t *root = NULL;
    struct image_platform host;
    image_platform_host(&host);
    int rv = image_json_load("image config", data, len, &root, err);
    if (rv < 0)
        return rv;
    const struct image_platform *wanted = platform ? platform : &host;
    const char *os = str_or_empty(json_string_value(json_object_get(root, "os")));
    const char *arch = str_or_empty(json_string_value(json_object_get(root, "architecture")));
    const char *variant = str_or_empty(json_string_value(json_object_get(root, "variant")));
    if (image_platform_rank(wanted, os[0] ? os : wanted->os, arch[0] ? arch : wanted->architecture,
                            variant) > 0)
        return 0;
    cleanup_free char *text = image_platform_format(wanted);
    return err_set(err, ERR_UNSUPPORTED, "the image is for %.30s/%.30s%s%.30s, wanted is %s", os,
                   arch, variant[0] ? "/" : "", variant, text);
}

static int parse_diff_ids(json_t *root, char (*ret)[IMAGE_DIGEST_SIZE], size_t *ret_n,
                          struct err *err)
{
    json_t *list = json_object_get(json_object_get(root, "rootfs"), "diff_ids");
    size_t n = json_array_size(list);
    if (n == 0 || n > IMAGE_LAYERS_MAX)
        return err_set(err, ERR_CORRUPT,
                       "the image's config: rootfs.diff_ids has not 1 to %d "
                       "digests",
                       IMAGE_LAYERS_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *s = str_or_empty(json_string_value(json_array_get(list, i)));
        if (!image_digest_valid(s))
            return err_set(err, ERR_CORRUPT,
                           "the image's config: rootfs.diff_ids[%zu] is no sha256 digest", i);
        str_fill(ret[i], IMAGE_DIGEST_SIZE, s);
    }
    *ret_n = n;
    return 0;
}

int image_config_parse(const char *data, size_t len, struct image *ret_image,
                       char (*ret_diff_ids)[IMAGE_DIGEST_SIZE], size_t *ret_diff_ids_n,
                       struct err *err)
{
    cleanup_json json_t *root = NULL;
    int rv = image_json_load("image config", data, len, &root, err);
    if (rv < 0 || (rv = parse_diff_ids(root, ret_diff_ids, ret_diff_ids_n, err)) < 0)
        return rv;
    json_t *config = json_object_get(root, "config");
    if (config && !json_is_object(config) && !json_is_null(config))
        return err_set(err, ERR_CORRUPT, "the image's config: 'config' is no object");
    if ((rv = parse_strings(config, "Entrypoint", &ret_image->entrypoint, err)) < 0 ||
        (rv = parse_strings(config, "Cmd", &ret_image->cmd, err)) < 0 ||
        (rv = parse_strings(config, "Env", &ret_image->env, err)) < 0 ||
        (rv = parse_keys(config, "Volumes", &ret_image->volumes, err)) < 0 ||
        (rv = parse_keys(config, "ExposedPorts", &ret_image->exposed, err)) < 0 ||
        (rv = parse_string(config, "User", &ret_image->user, err)) < 0 ||
        (rv = parse_string(config, "WorkingDir", &ret_image->working_dir, err)) < 0 ||
        (rv = parse_string(config, "StopSignal", &ret_image->stop_signal, err)) < 0)
        return rv;
    return 0;
}
