/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives there and back (base/tar_write.h, cli/untar.h), and archives that mean harm: nothing of
 * them gets beside the folder they are unpacked in.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tar_write.h"
#include "cli/untar.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static struct err err;

static char *at(const char *name)
{
    return str_printf("%s/%s", root, name);
}

static int begin(void **state)
{
    (void)state;
    str_fill(root, sizeof(root), "/tmp/wherry-untar-XXXXXX");
    assert_non_null(mkdtemp(root));
    cleanup_free char *to = at("to");
    return mkdir(to, 0755);
}

static int end(void **state)
{
    (void)state;
    return file_remove_tree(root, NULL);
}

static void write_text(const char *name, const char *text)
{
    cleanup_free char *path = at(name);
    assert_int_equal(file_write_fast(path, text, strlen(text), 0644, &err), 0);
}

static void assert_text(const char *name, const char *text)
{
    cleanup_free char *path = at(name);
    cleanup_buf struct buf content = BUF_INIT;
    assert_int_equal(file_read(path, 1 << 20, &content, &err), 0);
    assert_string_equal(content.data, text);
}

static bool exists(const char *name)
{
    cleanup_free char *path = at(name);
    return file_exists(path);
}

static int temporary(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Pack "from" as @as and unpack it into "to" as @name. */
static int there_and_back(const char *as, const char *name)
{
    cleanup_free char *from = at("from");
    cleanup_free char *to = at("to");
    cleanup_close int fd = temporary();
    struct tar_options options = {.fd = fd, .max_bytes = INT64_MAX / 2};
    struct tar_writer *w = tar_writer_new(&options);
    assert_int_equal(tar_write_tree(w, AT_FDCWD, from, as, &err), 0);
    assert_int_equal(tar_writer_end(w, &err), 0);
    tar_writer_free(w);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return untar(fd, to, name, false, &err);
}

static void test_a_tree_there_and_back(void **state)
{
    char name[256];
    struct stat a, b;
    (void)state;
    memset(name, 'n', 200);
    name[200] = '\0';
    cleanup_free char *from = at("from");
    cleanup_free char *sub = at("from/sub");
    cleanup_free char *one = at("from/one");
    cleanup_free char *same = at("from/sub/same");
    cleanup_free char *link = at("from/sub/link");
    cleanup_free char *holes = at("from/holes");
    cleanup_free char *long_name = str_printf("from/%s", name);
    assert_int_equal(mkdir(from, 0755) | mkdir(sub, 0700), 0);
    write_text("from/one", "one");
    write_text(long_name, "long");
    assert_int_equal(symlink("../one", link), 0);
    assert_int_equal(linkat(AT_FDCWD, one, AT_FDCWD, same, 0), 0);
    assert_int_equal(chmod(one, 0640), 0);
    cleanup_close int fd = open(holes, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, "x", 1, 5000000), 1);
    assert_int_equal(ftruncate(fd, 20000000), 0);
    assert_int_equal(there_and_back("from", "copy"), 0);
    cleanup_free char *to_long = str_printf("to/copy/%s", name);
    assert_text("to/copy/one", "one");
    assert_text(to_long, "long");
    cleanup_free char *to_one = at("to/copy/one");
    cleanup_free char *to_same = at("to/copy/sub/same");
    cleanup_free char *to_holes = at("to/copy/holes");
    cleanup_free char *to_sub = at("to/copy/sub");
    assert_int_equal(stat(to_one, &a) | stat(to_same, &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(a.st_mode & 07777, 0640);
    assert_int_equal(stat(to_sub, &a), 0);
    assert_int_equal(a.st_mode & 07777, 0700);
    assert_int_equal(stat(to_holes, &a), 0);
    assert_int_equal(a.st_size, 20000000);
    assert_true(a.st_blocks < 1000);
    cleanup_close int back = open(to_holes, O_RDONLY | O_CLOEXEC);
    char c = 0;
    assert_int_equal(pread(back, &c, 1, 5000000), 1);
    assert_int_equal(c, 'x');
}

static void test_the_content_alone(void **state)
{
    (void)state;
    cleanup_free char *from = at("from");
    assert_int_equal(mkdir(from, 0755), 0);
    write_text("from/one", "one");
    assert_int_equal(there_and_back("from", "."), 0);
    assert_text("to/one", "one");
}

static void test_files_do_not_replace_folders(void **state)
{
    (void)state;
    cleanup_free char *there = at("to/one");
    assert_int_equal(mkdir(there, 0755), 0);
    write_text("from", "one");
    assert_int_equal(there_and_back("from", "one"), ERR_EXISTS);
}

/* --- archives by hand ------------------------------------------------------------------------- */

static void add_block(struct buf *tar, const char *name, char type, const char *link,
                      const char *content)
{
    char block[TAR_BLOCK] = {0};
    size_t len = content ? strlen(content) : 0;
    unsigned sum = 0;
    snprintf(block, 100, "%s", name);
    memcpy(block + 100, "0000644", 8);
    memcpy(block + 108, "0000000", 8);
    memcpy(block + 116, "0000000", 8);
    snprintf(block + 124, 12, "%011o", (unsigned)len);
    memcpy(block + 136, "00000000000", 12);
    memset(block + 148, ' ', 8);
    block[156] = type;
    snprintf(block + 157, 100, "%s", link ? link : "");
    memcpy(block + 257, "ustar", 6);
    memcpy(block + 263, "00", 2);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    buf_append(tar, block, sizeof(block));
    buf_append(tar, content ? content : "", len);
    while (tar->len % TAR_BLOCK)
        buf_putc(tar, '\0');
}

static int unpack(const struct buf *tar)
{
    cleanup_close int fd = temporary();
    cleanup_free char *to = at("to");
    static const char zeros[2 * TAR_BLOCK];
    assert_int_equal(fd_write_all(fd, tar->data, tar->len), 0);
    assert_int_equal(fd_write_all(fd, zeros, sizeof(zeros)), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return untar(fd, to, ".", false, &err);
}

static void test_nothing_leads_out(void **state)
{
    static const char *const names[] = {"x/../../out", "../out", "x/../../../../tmp/out"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        cleanup_buf struct buf tar = BUF_INIT;
        add_block(&tar, "x/", '5', NULL, NULL);
        add_block(&tar, names[i], '0', NULL, "evil");
        assert_int_equal(unpack(&tar), ERR_CORRUPT);
        assert_false(exists("out"));
    }
}

static void test_nothing_goes_through_a_link_of_the_archive(void **state)
{
    cleanup_buf struct buf tar = BUF_INIT;
    (void)state;
    add_block(&tar, "x/", '5', NULL, NULL);
    add_block(&tar, "x/link", '2', root, NULL);
    add_block(&tar, "x/link/out", '0', NULL, "evil");
    assert_true(unpack(&tar) < 0);
    assert_false(exists("out"));
}

static void test_no_hard_link_to_what_is_not_in_it(void **state)
{
    cleanup_buf struct buf tar = BUF_INIT;
    (void)state;
    write_text("secret", "secret");
    add_block(&tar, "x/", '5', NULL, NULL);
    add_block(&tar, "x/stolen", '1', "x/../../secret", NULL);
    assert_int_equal(unpack(&tar), ERR_CORRUPT);
    assert_false(exists("to/stolen"));
}

static void test_damage_is_said(void **state)
{
    cleanup_buf struct buf sum = BUF_INIT, pax = BUF_INIT, map = BUF_INIT;
    (void)state;
    add_block(&sum, "x", '0', NULL, "text");
    sum.data[0] = 'y';
    assert_int_equal(unpack(&sum), ERR_CORRUPT);
    /* A length of an extended record that goes beyond it is no record. */
    add_block(&pax, "x", 'x', NULL, "999 path=/etc/shadow\n");
    add_block(&pax, "x/", '5', NULL, NULL);
    assert_int_equal(unpack(&pax), 0);
    add_block(&map, "x", 'x', NULL, "22 GNU.sparse.major=1\n30 GNU.sparse.realsize=100000\n");
    add_block(&map, "x", '0', NULL, "1\n99999999\n512\n");
    assert_true(unpack(&map) < 0);
    buf_reset(&map);
    add_block(&map, "x/", '5', NULL, NULL);
    add_block(&map, "x", 'x', NULL, "-5 path=x\n");
    add_block(&map, "x/y", '0', NULL, "fine");
    assert_int_equal(unpack(&map), 0);
    assert_text("to/y", "fine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_tree_there_and_back, begin, end),
        cmocka_unit_test_setup_teardown(test_the_content_alone, begin, end),
        cmocka_unit_test_setup_teardown(test_files_do_not_replace_folders, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_leads_out, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_goes_through_a_link_of_the_archive, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_no_hard_link_to_what_is_not_in_it, begin, end),
        cmocka_unit_test_setup_teardown(test_damage_is_said, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
