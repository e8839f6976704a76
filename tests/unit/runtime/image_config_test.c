/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/image_json.h"
#include "runtime/platform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER  "sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]}"
#define BLOB   "{\"digest\":\"" DIGEST "\",\"size\":7}"

static int parse_config(const char *json, struct image *image, struct err *err)
{
    static char diff_ids[IMAGE_LAYERS_MAX][IMAGE_DIGEST_SIZE];
    size_t n = 0;
    *image = (struct image){0};
    int rv = image_config_parse(json, strlen(json), image, diff_ids, &n, err);
    if (rv == 0) {
        assert_int_equal(n, 1);
        assert_string_equal(diff_ids[0], DIGEST);
    } else {
        image_release(image);
    }
    return rv;
}

static void config_is_read(void **state)
{
    struct image image;
    struct err err;
    (void)state;
    assert_int_equal(
        parse_config("{\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/run\",\"-x\"],\"Cmd\":[],"
                     "\"Env\":[\"A=b\",\"C=\"],\"User\":\"1:2\",\"WorkingDir\":\"/w\","
                     "\"Volumes\":{\"/data\":{}},\"ExposedPorts\":{\"80/tcp\":{}},"
                     "\"StopSignal\":\"SIGQUIT\"}," ROOTFS "}",
                     &image, &err),
        0);
    assert_string_equal(image.entrypoint[1], "-x");
    assert_null(image.entrypoint[2]);
    assert_null(image.cmd);
    assert_string_equal(image.env[1], "C=");
    assert_string_equal(image.user, "1:2");
    assert_string_equal(image.working_dir, "/w");
    assert_string_equal(image.volumes[0], "/data");
    assert_string_equal(image.exposed[0], "80/tcp");
    assert_string_equal(image.stop_signal, "SIGQUIT");
    image_release(&image);
}

static void config_may_say_nothing(void **state)
{
    struct image image;
    struct err err;
    (void)state;
    assert_int_equal(parse_config("{\"config\":null," ROOTFS "}", &image, &err), 0);
    assert_string_equal(image.user, "");
    assert_null(image.env);
    image_release(&image);
    assert_int_equal(
        parse_config("{\"config\":{\"Cmd\":null,\"User\":null}," ROOTFS "}", &image, &err), 0);
    image_release(&image);
}

static void bad_configs_are_refused(void **state)
{
    static const struct {
        const char *json;
        int code;
    } cases[] = {
        {"", ERR_CORRUPT},
        {"[]", ERR_CORRUPT},
        {"{", ERR_CORRUPT},
        {"{\"config\":{}}", ERR_CORRUPT},
        {"{\"config\":[]," ROOTFS "}", ERR_CORRUPT},
        {"{\"config\":{\"Cmd\":\"sh\"}," ROOTFS "}", ERR_CORRUPT},
        {"{\"config\":{\"Cmd\":[1]}," ROOTFS "}", ERR_CORRUPT},
        {"{\"config\":{\"Env\":[\"A=\\u0000\"]}," ROOTFS "}", ERR_CORRUPT},
        {"{\"config\":{\"User\":7}," ROOTFS "}", ERR_CORRUPT},
        {"{\"config\":{\"Volumes\":[\"/x\"]}," ROOTFS "}", ERR_CORRUPT},
        {"{\"config\":{},\"config\":{}," ROOTFS "}", ERR_CORRUPT},
        {"{\"rootfs\":{\"diff_ids\":[]}}", ERR_CORRUPT},
        {"{\"rootfs\":{\"diff_ids\":[\"../../x\"]}}", ERR_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct image image;
        struct err err = {0};
        int rv = parse_config(cases[i].json, &image, &err);
        if (rv != cases[i].code)
            fail_msg("%s: %d %s", cases[i].json, rv, err.msg);
    }
}

static void configs_of_other_machines_are_refused(void **state)
{
    static const struct {
        const char *json;
        const char *platform;
        int code;
    } cases[] = {
        {"{}", NULL, 0},
        {"{\"os\":\"windows\"}", NULL, ERR_UNSUPPORTED},
        {"{\"os\":\"linux\",\"architecture\":\"pdp11\"}", NULL, ERR_UNSUPPORTED},
        {"{\"os\":\"linux\",\"architecture\":\"pdp11\"}", "linux/pdp11", 0},
        {"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}", "linux/arm/v6",
         ERR_UNSUPPORTED},
        {"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v5\"}", "linux/arm/v6", 0},
        {"not JSON", NULL, ERR_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct image_platform platform;
        struct err err = {0};
        assert_int_equal(image_platform_parse(cases[i].platform, &platform, &err), 0);
        assert_int_equal(image_config_check(cases[i].json, strlen(cases[i].json), &platform, &err),
                         cases[i].code);
    }
}

static void swollen_json_is_refused_before_it_is_parsed(void **state)
{
    cleanup_buf struct buf json = BUF_INIT;
    struct image image;
    struct err err;
    (void)state;
    buf_puts(&json, "{\"config\":[");
    for (int i = 0; i < 1000000; i++)
        buf_puts(&json, "[],");
    buf_puts(&json, "[]]}");
    assert_int_equal(parse_config(json.data, &image, &err), ERR_TOOBIG);
    buf_reset(&json);
    for (int i = 0; i < 60000; i++)
        buf_putc(&json, '[');
    assert_int_equal(parse_config(json.data, &image, &err), ERR_CORRUPT); /* too deep */
}

static void manifest_is_read(void **state)
{
    static const char json[] =
        "{\"schemaVersion\":2,\"config\":" BLOB ",\"layers\":[" BLOB
        ",{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"digest\":\"" OTHER
        "\",\"size\":9}]}";
    cleanup_free struct image_manifest *m = mem_alloc(1, sizeof(*m));
    enum image_document kind;
    struct err err;
    (void)state;
    assert_int_equal(image_document_kind(json, strlen(json), &kind, &err), 0);
    assert_int_equal(kind, IMAGE_DOCUMENT_MANIFEST);
    assert_int_equal(image_manifest_parse(json, strlen(json), m, &err), 0);
    assert_int_equal(m->layers_n, 2);
    assert_string_equal(m->layers[1].digest, OTHER);
    assert_int_equal(m->layers[1].size, 9);
}

static void bad_manifests_are_refused(void **state)
{
    static const struct {
        const char *json;
        int code;
    } cases[] = {
        {"{\"config\":" BLOB ",\"layers\":[]}", ERR_CORRUPT},
        {"{\"config\":" BLOB "}", ERR_CORRUPT},
        {"{\"layers\":[" BLOB "]}", ERR_CORRUPT},
        {"{\"config\":" BLOB ",\"layers\":[" BLOB "],\"manifests\":[]}", ERR_CORRUPT},
        {"{\"config\":" BLOB ",\"layers\":[{\"digest\":\"" DIGEST "\",\"size\":-1}]}", ERR_CORRUPT},
        {"{\"config\":" BLOB ",\"layers\":[{\"digest\":\"" DIGEST "\",\"size\":\"1\"}]}",
         ERR_CORRUPT},
        {"{\"config\":" BLOB ",\"layers\":[{\"digest\":\"sha256:../../../etc\",\"size\":1}]}",
         ERR_CORRUPT},
        {"{\"config\":{\"digest\":\"" DIGEST "\",\"size\":99999999},\"layers\":[" BLOB "]}",
         ERR_TOOBIG},
        {"{\"config\":" BLOB ",\"layers\":[{\"mediaType\":\"application/x-squashfs\",\"digest\":"
         "\"" DIGEST "\",\"size\":1}]}",
         ERR_UNSUPPORTED},
    };
    cleanup_free struct image_manifest *m = mem_alloc(1, sizeof(*m));
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        int rv = image_manifest_parse(cases[i].json, strlen(cases[i].json), m, &err);
        if (rv != cases[i].code)
            fail_msg("%s: %d %s", cases[i].json, rv, err.msg);
    }
}

static void schema_1_is_refused_in_words(void **state)
{
    static const char json[] = "{\"schemaVersion\":1,\"fsLayers\":[]}";
    enum image_document kind;
    struct err err;
    (void)state;
    assert_int_equal(image_document_kind(json, strlen(json), &kind, &err), ERR_UNSUPPORTED);
}

static void platform_is_chosen(void **state)
{
    cleanup_free char *json =
        str_printf("{\"manifests\":["
                   "{\"digest\":\"" OTHER
                   "\",\"size\":1,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
                   "{\"digest\":\"" OTHER
                   "\",\"size\":1,\"platform\":{\"os\":\"windows\",\"architecture\":\"%s\"}},"
                   "{\"digest\":\"" OTHER
                   "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"pdp11\"}},"
                   "{\"digest\":\"" DIGEST
                   "\",\"size\":2,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
                   image_host_architecture(), image_host_architecture());
    struct image_index index;
    struct err err;
    (void)state;
    assert_int_equal(image_index_parse(json, strlen(json), &index, &err), 0);
    const struct image_index_entry *chosen = image_index_choose(&index);
    assert_non_null(chosen);
    assert_string_equal(chosen->blob.digest, DIGEST);
    index.n = 3; /* without the fitting one */
    assert_null(image_index_choose(&index));
    index.n = 4;
    image_index_release(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_is_read),
        cmocka_unit_test(config_may_say_nothing),
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(configs_of_other_machines_are_refused),
        cmocka_unit_test(swollen_json_is_refused_before_it_is_parsed),
        cmocka_unit_test(manifest_is_read),
        cmocka_unit_test(bad_manifests_are_refused),
        cmocka_unit_test(schema_1_is_refused_in_words),
        cmocka_unit_test(platform_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
