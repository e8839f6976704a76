/* SPDX-License-Identifier: Apache-2.0 */
/* The backup's file: every damage is told, in whatever pieces it comes. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/backup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char state[3000];

static void make_file(struct buf *out)
{
    char *members[] = {"n1", "n2"};
    struct backup_stack stack = {.name = "shop", .services = 3};
    struct backup_volume volumes[] = {{.name = "shop_data", .home = "n2"}, {.name = "shop_new"}};
    struct backup_header header = {.cluster = "0123456789abcdef0123456789abcdef",
                                   .index = 77,
                                   .term = 5,
                                   .time_ms = 1700000000000,
                                   .node = "n1",
                                   .version = "9.9",
                                   .level = 2,
                                   .members = members,
                                   .members_n = 2,
                                   .stacks = &stack,
                                   .stacks_n = 1,
                                   .volumes = volumes,
                                   .volumes_n = 2,
                                   .services = 3};
    for (size_t i = 0; i < sizeof(state); i++)
        state[i] = (char)(i * 7);
    backup_begin(&header, state, sizeof(state), out);
    buf_append(out, state, sizeof(state));
}

/* Read @len bytes in pieces of @step. */
static int scan_in_steps(const char *data, size_t len, size_t step, struct backup_header *ret,
                         struct err *err)
{
    struct backup_scan *scan = backup_scan_new();
    int rv = 0;
    for (size_t at = 0; at < len && rv == 0; at += step)
        rv = backup_scan_feed(scan, data + at, len - at < step ? len - at : step, err);
    if (rv == 0)
        rv = backup_scan_end(scan, ret, err);
    backup_scan_free(scan);
    return rv;
}

static void a_file_is_read_in_any_pieces(void **unused)
{
    static const size_t steps[] = {1, 7, 63, 64, 65, 1000, 1 << 20};
    cleanup_buf struct buf file = BUF_INIT;
    struct err err = {0};
    (void)unused;
    make_file(&file);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct backup_header header;
        assert_int_equal(scan_in_steps(file.data, file.len, steps[i], &header, &err), 0);
        assert_int_equal(header.index, 77);
        assert_string_equal(header.stacks[0].name, "shop");
        assert_string_equal(header.volumes[0].home, "n2");
        assert_int_equal(header.members_n, 2);
        record_release(&backup_header_type, &header);
    }
    struct backup_header header;
    const void *found;
    size_t len;
    assert_int_equal(backup_open(file.data, file.len, &header, &found, &len, &err), 0);
    assert_int_equal(len, sizeof(state));
    assert_memory_equal(found, state, sizeof(state));
    record_release(&backup_header_type, &header);
}

static void every_flipped_bit_is_found(void **unused)
{
    cleanup_buf struct buf file = BUF_INIT;
    (void)unused;
    make_file(&file);
    for (size_t at = 0; at < file.len; at++) {
        struct backup_header header;
        struct err err = {0};
        file.data[at] ^= (char)(1 << (at % 8));
        int rv = scan_in_steps(file.data, file.len, file.len, &header, &err);
        if (rv != ERR_CORRUPT && !(rv == ERR_UNSUPPORTED && at >= 4 && at < 8))
            fail_msg("byte %zu: %d", at, rv);
        assert_true(err.msg[0] != '\0');
        file.data[at] ^= (char)(1 << (at % 8));
    }
}

static void every_cut_is_found(void **unused)
{
    cleanup_buf struct buf file = BUF_INIT;
    struct backup_header header;
    struct err err;
    (void)unused;
    make_file(&file);
    for (size_t len = 0; len < file.len; len++)
        assert_int_equal(scan_in_steps(file.data, len, 500, &header, &err), ERR_CORRUPT);
    buf_putc(&file, 'x');
    assert_int_equal(scan_in_steps(file.data, file.len, 500, &header, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "bytes after its end"));
}

static void a_newer_format_is_refused(void **unused)
{
    cleanup_buf struct buf file = BUF_INIT;
    struct backup_header header;
    struct err err;
    (void)unused;
    make_file(&file);
    file.data[4] = 2;
    assert_int_equal(scan_in_steps(file.data, file.len, 500, &header, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "format version 2"));
}

static void impossible_lengths_take_no_memory(void **unused)
{
    cleanup_buf struct buf file = BUF_INIT;
    struct backup_header header;
    struct err err;
    (void)unused;
    make_file(&file);
    memset(file.data + 8, 0xff, 8);
    assert_int_equal(scan_in_steps(file.data, file.len, 500, &header, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "impossible lengths"));
    memset(file.data + 8, 0, 8);
    memset(file.data + 16, 0xff, 8);
    assert_int_equal(scan_in_steps(file.data, file.len, 500, &header, &err), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_in_any_pieces),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(every_cut_is_found),
        cmocka_unit_test(a_newer_format_is_refused),
        cmocka_unit_test(impossible_lengths_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
