/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives to listed images, end to end through the real, confined wherry-image (from
 * $WHERRY_PROGRAMS, else from the build folder that this test is in).
 */
#include "base/err.h"
#include "base/file.h"
#include "runtime/image.h"
#include "runtime/image_json.h"
#include "runtime/index.h"
#include "runtime/internal.h"
#include "tar_maker.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct runtime rt;
    char *dir;
    struct err err;
};

/* The build folder's bin/, three folders above build/X/tests/unit/runtime/image_load_test. */
static char *find_programs(void)
{
    const char *given = getenv("WHERRY_PROGRAMS");
    char self[PATH_MAX];
    if (given)
        return str_copy(given);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    check(n > 0);
    self[n] = '\0';
    char *tests = strstr(self, "/tests/unit/");
    check(tests);
    *tests = '\0';
    return str_printf("%s/bin", self);
}

static void open_index(struct fixture *f)
{
    cleanup_free char *path = str_printf("%s/images/index.db", f->rt.data_dir);
    assert_int_equal(index_open(path, &f->rt.index, &f->err), 0);
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(1, sizeof(*f));
    f->dir = str_copy("/var/tmp/wherry-image.XXXXXX"); /* a disk: whiteouts and xattrs */
    assert_non_null(mkdtemp(f->dir));
    f->rt.data_dir = str_printf("%s/data", f->dir);
    f->rt.program_dir = find_programs();
    open_index(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    index_close(f->rt.index);
    assert_int_equal(file_remove_tree(f->dir, &f->err), 0);
    free(f->rt.data_dir);
    free(f->rt.program_dir);
    free(f->dir);
    free(f);
    return 0;
}

/* An archive in the making: the outer tar and the manifests named in its index. */
struct maker {
    struct tar tar;
    struct buf index;
};

static void make_begin(struct maker *m)
{
    *m = (struct maker){0};
    tar_begin(&m->tar);
    tar_file(&m->tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

/* File @content under its digest, which the caller frees. */
static char *make_blob(struct maker *m, const struct buf *content)
{
    char *digest = digest_string(content);
    cleanup_free char *name = str_printf("blobs/sha256/%s", digest + 7);
    tar_bytes(&m->tar, name, content);
    return digest;
}

/* Add an image of @layers (plain tars, packed with @filter unless 0), called @name (may be NULL).
 * Gives the manifest's digest, which the caller frees. */
static char *make_image(struct maker *m, const char *name, const struct buf *layers, size_t n,
                        int filter)
{
    cleanup_buf struct buf config = BUF_INIT;
    cleanup_buf struct buf manifest = BUF_INIT;
    cleanup_buf struct buf list = BUF_INIT;
    buf_printf(&config,
               "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{\"Cmd\":[\"/bin/x\"]},"
               "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
               image_host_architecture());
    for (size_t i = 0; i < n; i++) {
        cleanup_buf struct buf packed = BUF_INIT;
        cleanup_free char *diff_id = digest_string(&layers[i]);
        if (filter)
            tar_compress(&layers[i], filter, &packed);
        else
            buf_append(&packed, layers[i].data, layers[i].len);
        cleanup_free char *digest = make_blob(m, &packed);
        buf_printf(&config, "%s\"%s\"", i ? "," : "", diff_id);
        buf_printf(&list, "%s{\"digest\":\"%s\",\"size\":%zu}", i ? "," : "", digest, packed.len);
    }
    buf_puts(&config, "]}}");
    cleanup_free char *config_digest = make_blob(m, &config);
    buf_printf(&manifest,
               "{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
               config_digest, config.len, list.data);
    char *digest = make_blob(m, &manifest);
    buf_printf(&m->index, "%s{\"digest\":\"%s\",\"size\":%zu", m->index.len ? "," : "", digest,
               manifest.len);
    if (name)
        buf_printf(&m->index, ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}",
                   name);
    buf_putc(&m->index, '}');
    return digest;
}

/* Write the archive to @file of the fixture's folder; gives its path, which the caller frees. */
static char *make_end(struct maker *m, const struct fixture *f, const char *file)
{
    cleanup_buf struct buf index = BUF_INIT;
    char *path = str_printf("%s/%s", f->dir, file);
    buf_printf(&index, "{\"schemaVersion\":2,\"manifests\":[%s]}", str_or_empty(m->index.data));
    tar_bytes(&m->tar, "index.json", &index);
    tar_end(&m->tar);
    assert_int_equal(file_write_fast(path, m->tar.bytes.data, m->tar.bytes.len, 0600, NULL), 0);
    buf_release(&m->tar.bytes);
    buf_release(&m->index);
    return path;
}

/* A layer with one file. */
static struct buf one_file(const char *name, const char *content)
{
    struct tar t;
    tar_begin(&t);
    tar_file(&t, name, content);
    tar_end(&t);
    return t.bytes;
}

/* An archive with one image of one small layer. */
static char *simple_archive(const struct fixture *f, const char *file, const char *name,
                            const char *content)
{
    struct maker m;
    cleanup_buf struct buf layer = one_file("x", content);
    make_begin(&m);
    free(make_image(&m, name, &layer, 1, ARCHIVE_FILTER_GZIP));
    return make_end(&m, f, file);
}

static int load(struct fixture *f, const char *path, const char *name)
{
    char **names = NULL;
    int rv = image_load(&f->rt, path, name, &names, NULL, NULL, &f->err);
    assert_true((rv == 0) == (names != NULL));
    image_strings_free(names);
    return rv;
}

/* How many entries a folder below the data folder has. */
static int count(const struct fixture *f, const char *folder)
{
    cleanup_free char *path = str_printf("%s/%s", f->rt.data_dir, folder);
    DIR *dir = opendir(path);
    int n = 0;
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

/* Nothing but the folder of pulls. */
static void assert_ingest_clean(const struct fixture *f)
{
    assert_int_equal(count(f, "images/ingest"), 1);
    assert_int_equal(count(f, "images/ingest/pull"), 0);
}

static void layers_are_stacked_in_order(void **state)
{
    struct fixture *f = *state;
    struct maker m;
    struct tar low;
    struct tar high;
    struct image image;
    tar_begin(&low);
    tar_dir(&low, "d", 02750);
    tar_entry(&low, "d/sub", AE_IFDIR, 0711);
    archive_entry_set_uid(low.entry, 7);
    tar_put(&low, NULL, 0);
    tar_file(&low, "d/sub/old", "old");
    tar_end(&low);
    tar_begin(&high);
    tar_file(&high, "d/sub/new", "new"); /* its folders are unnamed here */
    tar_file(&high, "d/.wh.gone", "");
    tar_file(&high, "o/new", "new");
    tar_file(&high, "o/.wh..wh..opq", "");
    tar_end(&high);
    struct buf layers[] = {low.bytes, high.bytes};
    make_begin(&m);
    cleanup_free char *digest = make_image(&m, "team/app:1", layers, 2, ARCHIVE_FILTER_ZSTD);
    cleanup_free char *path = make_end(&m, f, "a.tar");
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_find(&f->rt, "team/app:1", &image, &f->err), 0);
    assert_string_equal(image.name, "docker.io/team/app:1");
    assert_string_equal(image.digest, digest);
    assert_string_equal(image.cmd[0], "/bin/x");
    assert_non_null(image.layer_dirs[1]);
    assert_null(image.layer_dirs[2]);
    cleanup_free char *sub = str_printf("%s/d/sub", image.layer_dirs[1]);
    cleanup_free char *gone = str_printf("%s/d/gone", image.layer_dirs[1]);
    cleanup_free char *opaque = str_printf("%s/o", image.layer_dirs[1]);
    struct stat st;
    char value[8];
    assert_int_equal(stat(sub, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0711); /* as in the layer below */
    assert_int_equal(st.st_uid, 7);
    assert_int_equal(stat(gone, &st), 0);
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
    assert_int_equal(getxattr(opaque, "trusted.overlay.opaque", value, sizeof(value)), 1);
    image_release(&image);
    assert_int_equal(image_find(&f->rt, digest, &image, &f->err), 0);
    image_release(&image);
    assert_ingest_clean(f);
    buf_release(&low.bytes);
    buf_release(&high.bytes);
}

static void layers_below_an_opaque_root_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct maker m;
    struct image image;
    struct buf layers[] = {one_file("x", "1"), one_file(".wh..wh..opq", ""), one_file("y", "2")};
    make_begin(&m);
    free(make_image(&m, "app", layers, 3, 0));
    cleanup_free char *path = make_end(&m, f, "a.tar");
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), 0);
    assert_non_null(image.layer_dirs[1]);
    assert_null(image.layer_dirs[2]);
    image_release(&image);
    for (size_t i = 0; i < 3; i++)
        buf_release(&layers[i]);
}

static void shared_layers_are_unpacked_once(void **state)
{
    struct fixture *f = *state;
    struct maker m;
    struct image *images;
    size_t n;
    struct buf layers[] = {one_file("base", "1"), one_file("top", "2")};
    make_begin(&m);
    free(make_image(&m, "one", layers, 1, ARCHIVE_FILTER_GZIP));
    free(make_image(&m, "two", layers, 2, ARCHIVE_FILTER_ZSTD)); /* the same, packed otherwise */
    cleanup_free char *path = make_end(&m, f, "a.tar");
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_list(&f->rt, &images, &n, &f->err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(images[0].name, "docker.io/library/one:latest");
    image_list_free(images, n);
    assert_int_equal(count(f, "images/layers"), 2);
    buf_release(&layers[0]);
    buf_release(&layers[1]);
}

/* What "docker save" writes: manifest.json, plain layers, one of them by a link. */
static char *docker_archive(const struct fixture *f, const char *tags)
{
    struct tar t;
    cleanup_buf struct buf layer = one_file("x", "1");
    cleanup_buf struct buf config = BUF_INIT;
    cleanup_buf struct buf manifest = BUF_INIT;
    cleanup_free char *diff_id = digest_string(&layer);
    char *path = str_printf("%s/docker.tar", f->dir);
    buf_printf(&config, "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}", diff_id,
               diff_id);
    buf_printf(&manifest,
               "[{\"Config\":\"c.json\",\"RepoTags\":%s,\"Layers\":[\"1/layer.tar\","
               "\"2/layer.tar\"]}]",
               tags);
    tar_begin(&t);
    tar_dir(&t, "1", 0755);
    tar_bytes(&t, "1/layer.tar", &layer);
    tar_symlink(&t, "2/layer.tar", "../1/layer.tar");
    tar_bytes(&t, "c.json", &config);
    tar_bytes(&t, "manifest.json", &manifest);
    tar_end(&t);
    assert_int_equal(file_write_fast(path, t.bytes.data, t.bytes.len, 0600, NULL), 0);
    buf_release(&t.bytes);
    return path;
}

static void docker_archives_are_read(void **state)
{
    struct fixture *f = *state;
    struct image image;
    cleanup_free char *path = docker_archive(f, "[\"app:1\",\"host.example/app:2\"]");
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_find(&f->rt, "host.example/app:2", &image, &f->err), 0);
    assert_non_null(image.layer_dirs[1]);
    image_release(&image);
    assert_int_equal(image_find(&f->rt, "app:1", &image, &f->err), 0);
    image_release(&image);
    assert_ingest_clean(f);
}

static void nameless_archives_ask_for_a_name(void **state)
{
    struct fixture *f = *state;
    struct image image;
    cleanup_free char *path = docker_archive(f, "null");
    assert_int_equal(load(f, path, NULL), ERR_INVALID);
    assert_non_null(strstr(f->err.msg, "give a name"));
    assert_int_equal(load(f, path, "given:3"), 0);
    assert_int_equal(image_find(&f->rt, "given:3", &image, &f->err), 0);
    image_release(&image);
}

static void lying_names_are_refused(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *path = simple_archive(
        f, "a.tar", "app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "1");
    assert_int_equal(load(f, path, NULL), ERR_CORRUPT);
    free(steal(&path));
    path = simple_archive(f, "a.tar", "../../etc", "1");
    assert_int_equal(load(f, path, NULL), ERR_INVALID);
    assert_int_equal(count(f, "images/layers"), 0);
    assert_ingest_clean(f);
}

static int load_bytes(struct fixture *f, const struct buf *bytes)
{
    cleanup_free char *path = str_printf("%s/bad.tar", f->dir);
    assert_int_equal(file_write_fast(path, bytes->data, bytes->len, 0600, NULL), 0);
    return load(f, path, NULL);
}

static void damaged_archives_leave_nothing(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *path = simple_archive(f, "a.tar", "app", "1");
    cleanup_buf struct buf good = BUF_INIT;
    cleanup_buf struct buf noise = BUF_INIT;
    unsigned seed = 3;
    assert_int_equal(file_read(path, 1 << 20, &good, &f->err), 0);
    for (int i = 0; i < 8192; i++)
        buf_putc(&noise, (char)rand_r(&seed));
    assert_true(load_bytes(f, &noise) < 0);
    assert_true(load_bytes(f, &(struct buf){.data = (char[]){""}}) < 0);
    for (size_t cut = 512; cut < good.len - 1024; cut += 1024) {
        struct buf part = {.data = good.data, .len = cut};
        assert_true(load_bytes(f, &part) < 0);
    }
    for (size_t at = 600; at < good.len - 2048; at += 531) { /* never a whole image by chance */
        cleanup_buf struct buf bad = BUF_INIT;
        buf_append(&bad, good.data, good.len);
        bad.data[at] ^= 0x55;
        load_bytes(f, &bad);
    }
    assert_ingest_clean(f);
    assert_int_equal(load(f, path, NULL), 0);
}

static void missing_and_wrong_blobs_are_named(void **state)
{
    struct fixture *f = *state;
    struct maker m;
    cleanup_buf struct buf layer = one_file("x", "1");
    cleanup_buf struct buf other = one_file("x", "2");
    make_begin(&m);
    cleanup_free char *digest = digest_string(&layer);
    free(make_image(&m, "app", &layer, 1, 0));
    cleanup_free char *name = str_printf("blobs/sha256/%s", digest + 7);
    tar_bytes(&m.tar, name, &other); /* the last of a name counts */
    cleanup_free char *path = make_end(&m, f, "a.tar");
    assert_int_equal(load(f, path, NULL), ERR_CORRUPT);
    assert_non_null(strstr(f->err.msg, "damaged"));
    assert_int_equal(count(f, "images/blobs/sha256"), 0);
    make_begin(&m);
    buf_printf(&m.index,
               "{\"digest\":\"%s\",\"size\":5,\"annotations\":{\"io.containerd.image.name\":"
               "\"app\"}}",
               digest);
    free(steal(&path));
    path = make_end(&m, f, "b.tar");
    assert_int_equal(load(f, path, NULL), ERR_CORRUPT);
    assert_non_null(strstr(f->err.msg, "lacks"));
}

static void escaping_layers_are_refused(void **state)
{
    struct fixture *f = *state;
    struct maker m;
    cleanup_buf struct buf layer = one_file("../../../evil", "1");
    struct image image;
    make_begin(&m);
    free(make_image(&m, "app", &layer, 1, ARCHIVE_FILTER_GZIP));
    cleanup_free char *path = make_end(&m, f, "a.tar");
    assert_int_equal(load(f, path, NULL), ERR_CORRUPT);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), ERR_NOTFOUND);
    assert_int_equal(count(f, "images/layers"), 0);
}

static void no_archive_is_said(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "/nonexistent.tar", NULL), ERR_NOTFOUND);
    assert_int_equal(load(f, f->dir, NULL), ERR_INVALID);
    cleanup_buf struct buf tar = one_file("readme", "hello");
    assert_int_equal(load_bytes(f, &tar), ERR_INVALID);
    assert_non_null(strstr(f->err.msg, "no image archive"));
}

static bool refuse(void *arg, const char *text)
{
    (void)text;
    ++*(int *)arg;
    return false;
}

static void loading_can_be_canceled(void **state)
{
    struct fixture *f = *state;
    char **names = NULL;
    int calls = 0;
    cleanup_free char *path = simple_archive(f, "a.tar", "app", "1");
    assert_int_equal(image_load(&f->rt, path, NULL, &names, refuse, &calls, &f->err), ERR_CANCELED);
    assert_int_equal(calls, 1);
    assert_ingest_clean(f);
    assert_int_equal(count(f, "images/layers"), 0);
}

static void removing_deletes_what_nobody_uses(void **state)
{
    struct fixture *f = *state;
    struct maker m;
    struct image image;
    struct buf layers[] = {one_file("base", "1"), one_file("top", "2")};
    make_begin(&m);
    free(make_image(&m, "one", layers, 1, 0));
    free(make_image(&m, "two", layers, 2, 0));
    cleanup_free char *path = make_end(&m, f, "a.tar");
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_remove(&f->rt, "two", NULL, &f->err), 0);
    assert_int_equal(count(f, "images/layers"), 1);
    assert_int_equal(count(f, "images/blobs/sha256"), 3);
    assert_int_equal(image_find(&f->rt, "two", &image, &f->err), ERR_NOTFOUND);
    assert_int_equal(image_find(&f->rt, "one", &image, &f->err), 0);
    image_release(&image);
    assert_int_equal(image_remove(&f->rt, "one", NULL, &f->err), 0);
    assert_int_equal(count(f, "images/layers"), 0);
    assert_int_equal(count(f, "images/blobs/sha256"), 0);
    assert_int_equal(image_remove(&f->rt, "one", NULL, &f->err), ERR_NOTFOUND);
    buf_release(&layers[0]);
    buf_release(&layers[1]);
}

static void held_images_stay(void **state)
{
    struct fixture *f = *state;
    struct image image;
    cleanup_free char *path = simple_archive(f, "a.tar", "app", "1");
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), 0);
    cleanup_free char *digest = str_copy(image.digest);
    image_release(&image);
    assert_int_equal(image_hold(&f->rt, "c1", digest, &f->err), 0);
    assert_int_equal(image_remove(&f->rt, "app", NULL, &f->err), ERR_BUSY);
    assert_non_null(strstr(f->err.msg, "c1"));
    free(steal(&path));
    path = simple_archive(f, "b.tar", "app", "2"); /* the name moves on, the content stays */
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(count(f, "images/layers"), 2);
    assert_int_equal(image_find(&f->rt, digest, &image, &f->err), 0);
    image_release(&image);
    assert_int_equal(image_unhold(&f->rt, "c1", &f->err), 0);
    assert_int_equal(count(f, "images/layers"), 1);
    assert_int_equal(image_find(&f->rt, digest, &image, &f->err), ERR_NOTFOUND);
    assert_int_equal(image_hold(&f->rt, "c2", digest, &f->err), ERR_NOTFOUND);
    assert_int_equal(image_unhold(&f->rt, "c2", &f->err), 0);
}

static void leftovers_of_a_crash_are_swept(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *layer = str_printf("%s/images/layers/7/d", f->rt.data_dir);
    cleanup_free char *ingest = str_printf("%s/images/ingest/load-1", f->rt.data_dir);
    assert_int_equal(file_mkdirs(layer, 0700, &f->err), 0);
    assert_int_equal(file_mkdirs(ingest, 0700, &f->err), 0);
    cleanup_free char *path = simple_archive(f, "a.tar", "app", "1");
    assert_int_equal(load(f, path, NULL), 0);
    assert_false(file_exists(layer));
    assert_int_equal(count(f, "images/layers"), 1);
    assert_ingest_clean(f);
}

static void images_survive_reopening(void **state)
{
    struct fixture *f = *state;
    struct image image;
    cleanup_free char *path = simple_archive(f, "a.tar", "app", "1");
    assert_int_equal(load(f, path, NULL), 0);
    index_close(f->rt.index);
    open_index(f);
    assert_int_equal(load(f, path, NULL), 0); /* sweeps, and finds the layer */
    assert_int_equal(count(f, "images/layers"), 1);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), 0);
    image_release(&image);
}

static void damage_is_said_and_healed(void **state)
{
    struct fixture *f = *state;
    struct image image;
    cleanup_free char *path = simple_archive(f, "a.tar", "app", "1");
    assert_int_equal(load(f, path, NULL), 0);
    cleanup_free char *command =
        str_printf("for b in %s/images/blobs/sha256/*; do printf x >>$b; done", f->rt.data_dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), ERR_CORRUPT);
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), 0);
    assert_int_equal(file_remove_tree(image.layer_dirs[0], &f->err), 0);
    image_release(&image);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), ERR_CORRUPT);
    assert_int_equal(load(f, path, NULL), 0);
    assert_int_equal(image_find(&f->rt, "app", &image, &f->err), 0);
    image_release(&image);
}

static void damaged_index_is_named(void **state)
{
    struct fixture *f = *state;
    struct index *index;
    cleanup_free char *path = str_printf("%s/other.db", f->dir);
    assert_int_equal(file_write_fast(path, "this is no database, not at all", 31, 0600, NULL), 0);
    assert_int_equal(index_open(path, &index, &f->err), ERR_CORRUPT);
    assert_non_null(strstr(f->err.msg, "other.db"));
}

struct loader {
    struct fixture *f;
    const char *path;
    int rv;
    struct err err;
};

static void *load_in_thread(void *arg)
{
    struct loader *l = arg;
    char **names = NULL;
    l->rv = image_load(&l->f->rt, l->path, NULL, &names, NULL, NULL, &l->err);
    image_strings_free(names);
    return NULL;
}

static void many_may_load_at_once(void **state)
{
    struct fixture *f = *state;
    struct image image;
    pthread_t threads[6];
    struct loader loaders[6];
    cleanup_free char *one = simple_archive(f, "a.tar", "one", "1");
    cleanup_free char *two = simple_archive(f, "b.tar", "two", "2");
    for (size_t i = 0; i < 6; i++) {
        loaders[i] = (struct loader){.f = f, .path = i % 2 ? one : two};
        assert_int_equal(pthread_create(&threads[i], NULL, load_in_thread, &loaders[i]), 0);
    }
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (loaders[i].rv < 0)
            fail_msg("%s", loaders[i].err.msg);
    }
    assert_int_equal(count(f, "images/layers"), 2);
    assert_int_equal(image_find(&f->rt, "one", &image, &f->err), 0);
    image_release(&image);
    assert_ingest_clean(f);
}

static void a_missing_program_is_named(void **state)
{
    struct fixture *f = *state;
    cleanup_free char *path = simple_archive(f, "a.tar", "app", "1");
    free(f->rt.program_dir);
    f->rt.program_dir = str_copy("/nonexistent");
    assert_int_equal(load(f, path, NULL), ERR_NOTFOUND);
    assert_non_null(strstr(f->err.msg, "/nonexistent/wherry-image"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(layers_are_stacked_in_order),
        T(layers_below_an_opaque_root_are_left_out),
        T(shared_layers_are_unpacked_once),
        T(docker_archives_are_read),
        T(nameless_archives_ask_for_a_name),
        T(lying_names_are_refused),
        T(damaged_archives_leave_nothing),
        T(missing_and_wrong_blobs_are_named),
        T(escaping_layers_are_refused),
        T(no_archive_is_said),
        T(loading_can_be_canceled),
        T(removing_deletes_what_nobody_uses),
        T(held_images_stay),
        T(leftovers_of_a_crash_are_swept),
        T(images_survive_reopening),
        T(damage_is_said_and_healed),
        T(damaged_index_is_named),
        T(many_may_load_at_once),
        T(a_missing_program_is_named),
    };
    if (geteuid() != 0) {
        puts("image_load_test: skipped: unpacking takes root");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
