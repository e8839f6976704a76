/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers, honest and hostile. Each test has a folder with "root", where the layer goes, and
 * "outside", where nothing may ever change.
 */
#include "base/err.h"
#include "base/file.h"
#include "runtime/fetch/layer.h"
#include "tar_maker.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    struct tar tar;
    char opaque[1024];  /* reported, each followed by a space */
    char implied[1024]; /* likewise */
    int64_t max_bytes;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = mem_alloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/wherry-layer.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    cleanup_free char *outside = str_printf("%s/outside", f->dir);
    cleanup_free char *secret = str_printf("%s/outside/secret", f->dir);
    cleanup_free char *root = str_printf("%s/root", f->dir);
    assert_int_equal(mkdir(outside, 0750), 0);
    assert_int_equal(mkdir(root, 0755), 0);
    assert_int_equal(file_write_fast(secret, "s", 1, 0600, NULL), 0);
    f->max_bytes = 64 << 20;
    tar_begin(&f->tar);
    *state = f;
    return 0;
}

/* Nothing outside is new, gone or changed. */
static void assert_outside_untouched(const struct fixture *f)
{
    cleanup_free char *outside = str_printf("%s/outside", f->dir);
    cleanup_free char *secret = str_printf("%s/outside/secret", f->dir);
    cleanup_free char *command =
        str_printf("[ \"$(ls -A %s)\" = secret ] && [ \"$(ls -A %s | sort | tr '\\n' ' ')\" = "
                   "'layer outside root ' ]",
                   outside, f->dir);
    struct stat st;
    assert_int_equal(system(command), 0);
    assert_int_equal(stat(outside, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(stat(secret, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_size, 1);
    assert_int_equal(st.st_uid, 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    file_remove_tree(f->dir, NULL);
    buf_release(&f->tar.bytes);
    free(f);
    return 0;
}

static void append(char *list, size_t size, const char *path)
{
    size_t n = strlen(list);
    snprintf(list + n, size - n, "%s ", path);
}

static void on_opaque(void *arg, const char *path)
{
    struct fixture *f = arg;
    append(f->opaque, sizeof(f->opaque), path);
}

static void on_implied(void *arg, const char *path)
{
    struct fixture *f = arg;
    append(f->implied, sizeof(f->implied), path);
}

/* Unpack @blob, which is said to be @promised and to hold @diff_id. */
static int unpack_as(struct fixture *f, const struct buf *blob, const char *promised,
                     const char *diff_id)
{
    cleanup_free char *path = str_printf("%s/layer", f->dir);
    cleanup_free char *root = str_printf("%s/root", f->dir);
    assert_int_equal(file_write_fast(path, blob->data, blob->len, 0600, NULL), 0);
    cleanup_close int blob_fd = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_close int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(blob_fd >= 0 && root_fd >= 0);
    struct layer_job job = {.blob_fd = blob_fd,
                            .root_fd = root_fd,
                            .digest = promised,
                            .size = (int64_t)blob->len,
                            .diff_id = diff_id,
                            .max_bytes = f->max_bytes,
                            .on_opaque = on_opaque,
                            .on_implied = on_implied,
                            .arg = f};
    mode_t mask = umask(0);
    int rv = layer_unpack(&job, &f->err);
    umask(mask);
    assert_outside_untouched(f);
    return rv;
}

/* Finish the tar and unpack it. */
static int unpack(struct fixture *f)
{
    tar_end(&f->tar);
    cleanup_free char *digest = digest_string(&f->tar.bytes);
    return unpack_as(f, &f->tar.bytes, digest, digest);
}

static struct stat look(const struct fixture *f, const char *name)
{
    cleanup_free char *path = str_printf("%s/root/%s", f->dir, name);
    struct stat st;
    if (lstat(path, &st) < 0)
        memset(&st, 0, sizeof(st)); /* st_mode 0: it is not there */
    return st;
}

static void assert_content(const struct fixture *f, const char *name, const char *content)
{
    cleanup_free char *path = str_printf("%s/root/%s", f->dir, name);
    cleanup_buf struct buf got = BUF_INIT;
    assert_int_equal(file_read(path, 1 << 20, &got, NULL), 0);
    assert_string_equal(str_or_empty(got.data), content);
}

static bool is_whiteout(const struct fixture *f, const char *name)
{
    struct stat st = look(f, name);
    return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static void dot_dot_is_refused(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "a/../../outside/evil", "x");
    assert_int_equal(unpack(f), ERR_CORRUPT);
    assert_non_null(strstr(f->err.msg, "'..'"));
}

static void leading_dot_dot_is_refused(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "../outside/secret", "overwritten");
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

static void absolute_names_start_at_the_root(void **state)
{
    struct fixture *f = *state;
    tar_dir(&f->tar, "/etc", 0755);
    tar_file(&f->tar, "//etc/./passwd", "x");
    assert_int_equal(unpack(f), 0);
    assert_content(f, "etc/passwd", "x");
}

static void absolute_link_does_not_lead_outside(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *target = str_printf("%s/outside", f->dir);
    tar_symlink(&f->tar, "link", target);
    tar_file(&f->tar, "link/secret", "overwritten");
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

static void relative_link_does_not_lead_outside(void **state)
{
    struct fixture *f = *state;
    tar_symlink(&f->tar, "link", "../outside");
    tar_dir(&f->tar, "link/new", 0755);
    tar_file(&f->tar, "link/secret", "overwritten");
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

static void link_inside_is_followed_inside(void **state)
{
    struct fixture *f = *state;
    tar_dir(&f->tar, "usr", 0755);
    tar_dir(&f->tar, "usr/lib", 0755);
    tar_symlink(&f->tar, "lib", "/usr/lib");
    tar_file(&f->tar, "lib/x", "x");
    assert_int_equal(unpack(f), 0);
    assert_content(f, "usr/lib/x", "x");
    assert_true(S_ISLNK(look(f, "lib").st_mode));
}

static void last_component_is_replaced_not_followed(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *secret = str_printf("%s/outside/secret", f->dir);
    cleanup_free char *outside = str_printf("%s/outside", f->dir);
    tar_symlink(&f->tar, "file", secret);
    tar_file(&f->tar, "file", "mine");
    tar_symlink(&f->tar, "folder", outside);
    tar_dir(&f->tar, "folder", 0777);
    tar_file(&f->tar, "folder/secret", "mine");
    assert_int_equal(unpack(f), 0);
    assert_content(f, "file", "mine");
    assert_content(f, "folder/secret", "mine");
    assert_true(S_ISDIR(look(f, "folder").st_mode));
}

static void hard_link_cannot_reach_outside(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *secret = str_printf("%s/outside/secret", f->dir);
    tar_hardlink(&f->tar, "x", secret);
    assert_int_equal(unpack(f), ERR_NOTFOUND);
}

static void hard_link_with_dot_dot_is_refused(void **state)
{
    struct fixture *f = *state;
    tar_hardlink(&f->tar, "x", "../outside/secret");
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

static void hard_link_through_link_cannot_reach_outside(void **state)
{
    struct fixture *f = *state;
    tar_symlink(&f->tar, "link", "../outside");
    tar_hardlink(&f->tar, "x", "link/secret");
    assert_true(unpack(f) < 0);
    assert_int_equal(look(f, "x").st_mode, 0);
}

static void hard_link_to_a_link_links_the_link(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *secret = str_printf("%s/outside/secret", f->dir);
    tar_symlink(&f->tar, "link", secret);
    tar_hardlink(&f->tar, "x", "link");
    tar_file(&f->tar, "x", "mine"); /* replaces the second link only */
    assert_int_equal(unpack(f), 0);
    assert_true(S_ISLNK(look(f, "link").st_mode));
    assert_content(f, "x", "mine");
}

static void hard_links_share_their_file(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "a", "x");
    tar_hardlink(&f->tar, "d/b", "/a");
    assert_int_equal(unpack(f), 0);
    assert_int_equal(look(f, "a").st_ino, look(f, "d/b").st_ino);
}

static void opaque_may_come_last(void **state)
{
    struct fixture *f = *state;
    tar_dir(&f->tar, "d", 0755);
    tar_file(&f->tar, "d/new", "x");
    tar_file(&f->tar, "d/.wh..wh..opq", "");
    assert_int_equal(unpack(f), 0);
    assert_content(f, "d/new", "x");
    assert_string_equal(f->opaque, "d ");
    assert_int_equal(look(f, "d/.wh..wh..opq").st_mode, 0);
}

static void opaque_may_come_before_its_folder(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "d/.wh..wh..opq", "");
    tar_dir(&f->tar, "d", 0700);
    tar_file(&f->tar, "d/new", "x");
    assert_int_equal(unpack(f), 0);
    assert_string_equal(f->opaque, "d ");
    assert_int_equal(look(f, "d").st_mode & 07777, 0700);
}

static void whiteout_hides_what_is_below(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "d/.wh.gone", "");
    tar_file(&f->tar, ".wh.hardlink", "");
    tar_file(&f->tar, ".wh..wh.plnk", ""); /* aufs' own */
    assert_int_equal(unpack(f), 0);
    assert_true(is_whiteout(f, "d/gone"));
    assert_true(is_whiteout(f, "hardlink"));
    assert_int_equal(look(f, ".wh..wh.plnk").st_mode, 0);
    assert_string_equal(f->opaque, "");
}

static void whiteout_spares_its_own_layer(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "before", "x");
    tar_file(&f->tar, ".wh.before", "");
    tar_file(&f->tar, ".wh.after", "");
    tar_file(&f->tar, "after", "y");
    tar_dir(&f->tar, "dir-before", 0755);
    tar_file(&f->tar, ".wh.dir-before", "");
    tar_file(&f->tar, ".wh.dir-after", "");
    tar_dir(&f->tar, "dir-after", 0755);
    tar_file(&f->tar, ".wh.implied", "");
    tar_file(&f->tar, "implied/x", "x");
    assert_int_equal(unpack(f), 0);
    assert_content(f, "before", "x");
    assert_content(f, "after", "y");
    assert_content(f, "implied/x", "x");
    assert_string_equal(f->opaque, "dir-before dir-after implied ");
}

static void whiteout_names_are_checked(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "d/.wh...", ""); /* of ".." */
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

static void whiteout_cannot_be_linked(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, ".wh.a", "");
    tar_hardlink(&f->tar, "b", "a");
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

static void attributes_are_kept(void **state)
{
    struct fixture *f = *state;
    tar_dir(&f->tar, "d", 02775);
    tar_entry(&f->tar, "d/suid", AE_IFREG, 04755);
    archive_entry_set_uid(f->tar.entry, 1000);
    archive_entry_set_gid(f->tar.entry, 2000);
    tar_put(&f->tar, "x", 1);
    assert_int_equal(unpack(f), 0);
    struct stat st = look(f, "d/suid");
    assert_int_equal(st.st_mode & 07777, 04755);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(st.st_gid, 2000);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_int_equal(st.st_mtim.tv_nsec, 500);
    st = look(f, "d");
    assert_int_equal(st.st_mode & 07777, 02775);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000); /* although d/suid came later */
}

static void xattrs_are_sorted(void **state)
{
    struct fixture *f = *state;
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
    char value[64];
    tar_entry(&f->tar, "file", AE_IFREG, 0755);
    archive_entry_xattr_add_entry(f->tar.entry, "user.key", "value", 5);
    archive_entry_xattr_add_entry(f->tar.entry, "security.capability", cap, sizeof(cap));
    archive_entry_xattr_add_entry(f->tar.entry, "trusted.overlay.redirect", "/x", 2);
    archive_entry_xattr_add_entry(f->tar.entry, "trusted.overlay.opaque", "y", 1);
    tar_put(&f->tar, "x", 1);
    assert_int_equal(unpack(f), 0);
    cleanup_free char *path = str_printf("%s/root/file", f->dir);
    assert_int_equal(getxattr(path, "user.key", value, sizeof(value)), 5);
    assert_int_equal(getxattr(path, "security.capability", value, sizeof(value)), 20);
    assert_int_equal(getxattr(path, "trusted.overlay.redirect", value, sizeof(value)), -1);
    assert_int_equal(getxattr(path, "trusted.overlay.opaque", value, sizeof(value)), -1);
}

static void devices_and_pipes_are_made(void **state)
{
    struct fixture *f = *state;
    tar_entry(&f->tar, "null", AE_IFCHR, 0666);
    archive_entry_set_rdevmajor(f->tar.entry, 1);
    archive_entry_set_rdevminor(f->tar.entry, 3);
    tar_put(&f->tar, NULL, 0);
    tar_entry(&f->tar, "pipe", AE_IFIFO, 0600);
    tar_put(&f->tar, NULL, 0);
    assert_int_equal(unpack(f), 0);
    struct stat st = look(f, "null");
    assert_true(S_ISCHR(st.st_mode) && (st.st_mode & 07777) == 0666);
    assert_int_equal(st.st_rdev, makedev(1, 3));
    assert_true(S_ISFIFO(look(f, "pipe").st_mode));
}

static void long_and_unicode_names_are_kept(void **state)
{
    struct fixture *f = *state;
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    cleanup_free char *deep = str_printf("%s/%s/ünïcødé-☃", name, name);
    tar_file(&f->tar, deep, "x");
    assert_int_equal(unpack(f), 0);
    assert_content(f, deep, "x");
}

static void too_long_names_are_refused(void **state)
{
    struct fixture *f = *state;
    char name[300];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    tar_file(&f->tar, name, "x");
    assert_int_equal(unpack(f), ERR_TOOBIG);
}

static void too_deep_names_are_refused(void **state)
{
    struct fixture *f = *state;
    char name[1001];
    for (size_t i = 0; i < 1000; i += 2)
        memcpy(name + i, "d/", 2);
    name[1000] = '\0';
    tar_dir(&f->tar, name, 0755);
    assert_int_equal(unpack(f), ERR_TOOBIG);
}

static void unnamed_folders_are_reported(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "a/b/c", "x");
    tar_file(&f->tar, "a/b/d", "x");
    assert_int_equal(unpack(f), 0);
    assert_string_equal(f->implied, "a a/b . ");
}

static void later_entries_win(void **state)
{
    struct fixture *f = *state;
    tar_dir(&f->tar, ".", 0711);
    tar_file(&f->tar, "x", "one");
    tar_hardlink(&f->tar, "y", "x");
    tar_file(&f->tar, "x", "two");
    tar_dir(&f->tar, "d", 0755);
    tar_file(&f->tar, "d/e/f", "x");
    tar_file(&f->tar, "d", "now a file");
    tar_file(&f->tar, "g", "x");
    tar_dir(&f->tar, "g", 0700);
    assert_int_equal(unpack(f), 0);
    assert_content(f, "x", "two");
    assert_content(f, "y", "one");
    assert_content(f, "d", "now a file");
    assert_true(S_ISDIR(look(f, "g").st_mode));
    assert_int_equal(look(f, ".").st_mode & 07777, 0711);
}

static void file_in_a_file_is_refused(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "x", "x");
    tar_file(&f->tar, "x/y", "y");
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

static void wrong_digests_are_noticed(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "x", "x");
    tar_end(&f->tar);
    cleanup_free char *right = digest_string(&f->tar.bytes);
    cleanup_free char *wrong = digest_string(&(struct buf){0});
    assert_int_equal(unpack_as(f, &f->tar.bytes, wrong, right), ERR_CORRUPT);
    assert_int_equal(unpack_as(f, &f->tar.bytes, right, wrong), ERR_CORRUPT);
    assert_int_equal(unpack_as(f, &f->tar.bytes, right, right), 0);
}

static int unpack_compressed(struct fixture *f, int filter, size_t cut, const char *trailer)
{
    cleanup_buf struct buf blob = BUF_INIT;
    cleanup_free char *diff_id = digest_string(&f->tar.bytes);
    tar_compress(&f->tar.bytes, filter, &blob);
    blob.len -= cut;
    buf_puts(&blob, trailer);
    cleanup_free char *digest = digest_string(&blob);
    return unpack_as(f, &blob, digest, diff_id);
}

static void compressed_layers_are_read(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "x", "content");
    tar_end(&f->tar);
    assert_int_equal(unpack_compressed(f, ARCHIVE_FILTER_GZIP, 0, ""), 0);
    assert_content(f, "x", "content");
    assert_int_equal(unpack_compressed(f, ARCHIVE_FILTER_ZSTD, 0, ""), 0);
    assert_content(f, "x", "content");
    assert_true(unpack_compressed(f, ARCHIVE_FILTER_GZIP, 20, "") < 0);
    assert_true(unpack_compressed(f, ARCHIVE_FILTER_ZSTD, 20, "") < 0);
}

static void nested_compression_stays_packed(void **state)
{
    struct fixture *f = *state;
    cleanup_buf struct buf once = BUF_INIT;
    tar_file(&f->tar, "x", "x");
    tar_end(&f->tar);
    tar_compress(&f->tar.bytes, ARCHIVE_FILTER_GZIP, &once);
    buf_release(&f->tar.bytes);
    f->tar.bytes = once;
    once = (struct buf)BUF_INIT;
    assert_true(unpack_compressed(f, ARCHIVE_FILTER_GZIP, 0, "") < 0);
    assert_int_equal(look(f, "x").st_mode, 0);
}

static void bombs_are_stopped(void **state)
{
    struct fixture *f = *state;
    char *zeros = mem_alloc(8 << 20, 1);
    f->max_bytes = 4 << 20;
    tar_entry(&f->tar, "zeros", AE_IFREG, 0644);
    tar_put(&f->tar, zeros, 8 << 20);
    free(zeros);
    tar_end(&f->tar);
    assert_int_equal(unpack_compressed(f, ARCHIVE_FILTER_GZIP, 0, ""), ERR_TOOBIG);
}

static void bombs_of_many_files_are_stopped(void **state)
{
    struct fixture *f = *state;
    char *zeros = mem_alloc(1 << 20, 1);
    f->max_bytes = 4 << 20;
    for (int i = 0; i < 8; i++) {
        cleanup_free char *name = str_printf("zeros%d", i);
        tar_entry(&f->tar, name, AE_IFREG, 0644);
        tar_put(&f->tar, zeros, 1 << 20);
    }
    free(zeros);
    tar_end(&f->tar);
    assert_int_equal(unpack_compressed(f, ARCHIVE_FILTER_ZSTD, 0, ""), ERR_TOOBIG);
}

static void empty_layer_is_fine(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unpack(f), 0);
}

static void owner_minus_one_is_refused(void **state)
{
    struct fixture *f = *state;
    tar_entry(&f->tar, "x", AE_IFREG, 0644);
    archive_entry_set_uid(f->tar.entry, UINT32_MAX);
    tar_put(&f->tar, "x", 1);
    assert_int_equal(unpack(f), ERR_CORRUPT);
}

/* A name that is not UTF-8 is kept byte by byte. */
static void other_bytes_in_names_are_kept(void **state)
{
    struct fixture *f = *state;
    tar_file(&f->tar, "plain-\xff\xfe", "x");
    assert_int_equal(unpack(f), 0);
    assert_content(f, "plain-\xff\xfe", "x");
}

/* Flip bytes of a good layer, thousands of times: no crash, no escape (unpack_as checks). */
static void garbled_layers_do_no_harm(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 1;
    tar_dir(&f->tar, "d", 0755);
    tar_file(&f->tar, "d/f", "content");
    tar_symlink(&f->tar, "d/l", "../../outside");
    tar_hardlink(&f->tar, "h", "d/f");
    tar_file(&f->tar, "d/ünï", "x");
    tar_file(&f->tar, "d/l/../x", "x");
    tar_end(&f->tar);
    cleanup_free char *root = str_printf("%s/root", f->dir);
    for (int i = 0; i < 300; i++) {
        cleanup_buf struct buf blob = BUF_INIT;
        buf_append(&blob, f->tar.bytes.data, f->tar.bytes.len);
        for (int j = 0; j < 1 + i % 8; j++)
            blob.data[(size_t)rand_r(&seed) % blob.len] = (char)rand_r(&seed);
        cleanup_free char *digest = digest_string(&blob);
        unpack_as(f, &blob, digest, digest);
        assert_int_equal(file_remove_tree(root, NULL), 0);
        assert_int_equal(mkdir(root, 0755), 0);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(dot_dot_is_refused),
        T(leading_dot_dot_is_refused),
        T(absolute_names_start_at_the_root),
        T(absolute_link_does_not_lead_outside),
        T(relative_link_does_not_lead_outside),
        T(link_inside_is_followed_inside),
        T(last_component_is_replaced_not_followed),
        T(hard_link_cannot_reach_outside),
        T(hard_link_with_dot_dot_is_refused),
        T(hard_link_through_link_cannot_reach_outside),
        T(hard_link_to_a_link_links_the_link),
        T(hard_links_share_their_file),
        T(opaque_may_come_last),
        T(opaque_may_come_before_its_folder),
        T(whiteout_hides_what_is_below),
        T(whiteout_spares_its_own_layer),
        T(whiteout_names_are_checked),
        T(whiteout_cannot_be_linked),
        T(attributes_are_kept),
        T(xattrs_are_sorted),
        T(devices_and_pipes_are_made),
        T(long_and_unicode_names_are_kept),
        T(too_long_names_are_refused),
        T(too_deep_names_are_refused),
        T(unnamed_folders_are_reported),
        T(later_entries_win),
        T(file_in_a_file_is_refused),
        T(wrong_digests_are_noticed),
        T(compressed_layers_are_read),
        T(nested_compression_stays_packed),
        T(bombs_are_stopped),
        T(bombs_of_many_files_are_stopped),
        T(empty_layer_is_fine),
        T(owner_minus_one_is_refused),
        T(other_bytes_in_names_are_kept),
        T(garbled_layers_do_no_harm),
    };
    if (geteuid() != 0) {
        puts("layer_test: skipped: layers hold files of many owners, which takes root");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
