/* SPDX-License-Identifier: Apache-2.0 */
/* The progress file and the frames of entries and snapshots. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/entry.h"
#include "cluster/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int set_up(void **state)
{
    char *dir = str_copy("/tmp/wherry-progress-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    struct err err;
    assert_int_equal(file_remove_tree(*state, &err), 0);
    free(*state);
    return 0;
}

static void test_what_was_saved_is_loaded(void **state)
{
    struct err err;
    int64_t index = -1;
    assert_int_equal(progress_load(*state, &index, &err), 0);
    assert_int_equal(index, 0);
    int64_t indexes[] = {1, 42, INT64_MAX, 0, 7};
    for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
        assert_int_equal(progress_save(*state, indexes[i], &err), 0);
        assert_int_equal(progress_load(*state, &index, &err), 0);
        assert_true(index == indexes[i]);
    }
}

static int load_text(const char *dir, const char *text, size_t len, struct err *err)
{
    cleanup_free char *path = str_printf("%s/progress", dir);
    int64_t index = -1;
    assert_int_equal(file_write(path, text, len, 0600, err), 0);
    int rv = progress_load(dir, &index, err);
    assert_true(rv == 0 || index == -1);
    return rv;
}

static void test_damage_is_found(void **state)
{
    struct err err;
    cleanup_free char *path = str_printf("%s/progress", (char *)*state);
    cleanup_buf struct buf text = BUF_INIT;
    assert_int_equal(progress_save(*state, 123456, &err), 0);
    assert_int_equal(file_read(path, 1000, &text, &err), 0);
    assert_int_equal(load_text(*state, text.data, text.len, &err), 0);
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] ^= 1;
        int rv = load_text(*state, text.data, text.len, &err);
        assert_true(rv == ERR_CORRUPT || rv == ERR_UNSUPPORTED);
        assert_non_null(strstr(err.msg, path));
        text.data[i] ^= 1;
        assert_int_equal(load_text(*state, text.data, i, &err), ERR_CORRUPT);
    }
    char large[5000] = {0};
    assert_int_equal(load_text(*state, large, sizeof(large), &err), ERR_CORRUPT);
    const char *other = "wherry-progress 2 5 x\n";
    assert_int_equal(load_text(*state, other, strlen(other), &err), ERR_UNSUPPORTED);
}

static void test_entries(void **state)
{
    (void)state;
    struct err err;
    for (size_t len = 0; len < 40; len++) {
        char payload[40], *entry = mem_alloc(1, entry_size(len));
        const void *got;
        size_t got_len;
        memset(payload, 'p', sizeof(payload));
        assert_int_equal(entry_size(len) % 8, 0);
        entry_encode(payload, len, entry);
        assert_int_equal(entry_decode(entry, entry_size(len), &got, &got_len, &err), 0);
        assert_int_equal(got_len, len);
        assert_memory_equal(got, payload, len);
        for (size_t i = 0; i < ENTRY_HEADER_BYTES + len; i++) {
            entry[i] ^= 4;
            assert_true(entry_decode(entry, entry_size(len), &got, &got_len, &err) < 0);
            entry[i] ^= 4;
        }
        for (size_t cut = 0; cut < entry_size(len); cut++)
            assert_int_equal(entry_decode(entry, cut, &got, &got_len, &err), ERR_CORRUPT);
        entry[4] = 9;
        assert_int_equal(entry_decode(entry, entry_size(len), &got, &got_len, &err),
                         ERR_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "version 9"));
        free(entry);
    }
}

static void test_snapshots(void **state)
{
    (void)state;
    struct err err;
    unsigned char bytes[SNAPSHOT_HEADER_BYTES + 30];
    const void *payload;
    size_t len;
    int64_t index;
    memset(bytes + SNAPSHOT_HEADER_BYTES, 's', 30);
    snapshot_header_encode(bytes + SNAPSHOT_HEADER_BYTES, 30, 77, bytes);
    assert_int_equal(snapshot_decode(bytes, sizeof(bytes), &payload, &len, &index, &err), 0);
    assert_int_equal(len, 30);
    assert_int_equal(index, 77);
    assert_ptr_equal(payload, bytes + SNAPSHOT_HEADER_BYTES);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 16;
        assert_true(snapshot_decode(bytes, sizeof(bytes), &payload, &len, &index, &err) < 0);
        bytes[i] ^= 16;
        assert_int_equal(snapshot_decode(bytes, i, &payload, &len, &index, &err), ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_saved_is_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_is_found, set_up, tear_down),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
