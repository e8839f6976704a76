/* SPDX-License-Identifier: Apache-2.0 */
/* Records from JSON: all that is written is read again; what is wrong is named with its place. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "random_record.h"
#include "store/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct record_type *const types[] = {
    &cluster_type, &stack_type,  &service_type, &task_type, &node_type,
    &network_type, &volume_type, &event_type,   &spec_type, &pair_type,
};

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (size_t i = 0; i < 30 * ARRAY_SIZE(types); i++) {
        const struct record_type *type = types[i % ARRAY_SIZE(types)];
        cleanup_buf struct buf json = BUF_INIT, again = BUF_INIT;
        void *record = mem_alloc(1, type->size), *read = mem_alloc(1, type->size);
        struct err err = {0};
        fill_record(type, record, &seed);
        record_json(type, record, 0, &json);
        if (record_from_json(type, json.data, json.len, read, &err) < 0)
            fail_msg("%s: %s\n%s", type->name, err.msg, json.data);
        /* Bytes that are no UTF-8 are not themselves any more; from then on all stays. */
        record_json(type, read, 0, &again);
        record_release(type, record);
        assert_int_equal(record_from_json(type, again.data, again.len, record, &err), 0);
        assert_true(record_equal(type, read, record));
        record_release(type, record);
        record_release(type, read);
        free(record);
        free(read);
    }
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } wrong[] = {
        {"", "no JSON: line 1, column 0: "},
        {"{\n  \"image\": }", "no JSON: line 2, column 12: "},
        {"[]", "the request: an object is wanted"},
        {"{\"image\": 1}", "image: a string is wanted"},
        {"{\"image\": \"a\\u0000b\"}", "no JSON: "},
        {"{\"imag\": \"x\"}", "imag: there is no such field in spec"},
        {"{\"replicas\": 1.5}", "replicas: a whole number is wanted"},
        {"{\"replicas\": 99999999999999999999}", "no JSON: "},
        {"{\"read_only\": 1}", "read_only: true or false is wanted"},
        {"{\"mode\": \"x\"}", "mode: one of replicated global replicated-job global-job is wanted"},
        {"{\"command\": \"x\"}", "command: an array is wanted"},
        {"{\"command\": [\"a\", 2]}", "command[1]: a string is wanted"},
        {"{\"ports\": [{}, {\"target\": \"80\"}]}", "ports[1].target: a whole number is wanted"},
        {"{\"limits\": {\"cpu\": 1}}", "limits.cpu: there is no such field in resources"},
        {"{\"image\": \"a\", \"image\": \"b\"}", "no JSON: line 1, column "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct spec spec;
        struct err err = {0};
        if (record_from_json(&spec_type, wrong[i].json, strlen(wrong[i].json), &spec, &err) == 0)
            fail_msg("%s is read", wrong[i].json);
        assert_int_equal(err.code, ERR_INVALID);
        if (!str_starts(err.msg, wrong[i].message))
            fail_msg("%s gives %s", wrong[i].json, err.msg);
        assert_null(spec.image);
    }
}

static void null_is_nothing_given(void **state)
{
    (void)state;
    static const char json[] = "{\"image\": null, \"command\": null, \"limits\": null}";
    struct spec spec;
    struct err err = {0};
    assert_int_equal(record_from_json(&spec_type, json, strlen(json), &spec, &err), 0);
    assert_null(spec.image);
    record_release(&spec_type, &spec);
}

static void arrays_have_an_end(void **state)
{
    (void)state;
    cleanup_buf struct buf json = BUF_INIT;
    struct spec spec;
    struct err err = {0};
    buf_puts(&json, "{\"ports\": [");
    for (int i = 0; i <= RECORD_LIST_MAX; i++)
        buf_puts(&json, i > 0 ? ",{}" : "{}");
    buf_puts(&json, "]}");
    assert_int_equal(record_from_json(&spec_type, json.data, json.len, &spec, &err), ERR_INVALID);
    assert_string_equal(err.msg, "ports: a shorter array is wanted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(null_is_nothing_given),
        cmocka_unit_test(arrays_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
