/* SPDX-License-Identifier: Apache-2.0 */
/* The index of images: files of 0.2.0, what is collected, what is forecast; the digest of a tree.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/image_flight.h"
#include "runtime/image_tree.h"
#include "runtime/index.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#define D(c) "sha256:" c c c c c c c c c c c c c c c c
#define A    D("aaaa")
#define B    D("bbbb")
#define C    D("cccc")

/* As 0.2.0 made its file. */
static const char old_schema[] =
    "CREATE TABLE manifest(digest TEXT PRIMARY KEY, config TEXT NOT NULL,"
    " size_bytes INTEGER NOT NULL, created_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE name(name TEXT PRIMARY KEY, digest TEXT NOT NULL"
    " REFERENCES manifest(digest), created_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX name_digest ON name(digest);"
    "CREATE TABLE layer(chain_id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE) WITHOUT ROWID;"
    "CREATE TABLE manifest_layer(digest TEXT NOT NULL REFERENCES manifest(digest)"
    " ON DELETE CASCADE, position INTEGER NOT NULL, chain_id TEXT NOT NULL,"
    " PRIMARY KEY(digest, position)) WITHOUT ROWID;"
    "CREATE INDEX manifest_layer_chain ON manifest_layer(chain_id);"
    "CREATE TABLE blob(digest TEXT NOT NULL, manifest TEXT NOT NULL"
    " REFERENCES manifest(digest) ON DELETE CASCADE, PRIMARY KEY(digest, manifest)) WITHOUT ROWID;"
    "CREATE INDEX blob_manifest ON blob(manifest);"
    "CREATE TABLE hold(holder TEXT PRIMARY KEY, digest TEXT NOT NULL"
    " REFERENCES manifest(digest)) WITHOUT ROWID;"
    "CREATE INDEX hold_digest ON hold(digest);"
    "INSERT INTO manifest VALUES('" A "', '" B "', 7, 1000);"
    "INSERT INTO name VALUES('docker.io/library/app:1', '" A "', 1000);"
    "INSERT INTO layer VALUES('" C "', 5);"
    "INSERT INTO manifest_layer VALUES('" A "', 0, '" C "');"
    "INSERT INTO blob VALUES('" A "', '" A "'); INSERT INTO blob VALUES('" B "', '" A "');"
    "INSERT INTO hold VALUES('t1', '" A "');"
    "PRAGMA user_version=1;";

struct fixture {
    char *dir;
    char *path;
    struct index *index;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = mem_alloc(1, sizeof(*f));
    f->dir = str_copy("/var/tmp/wherry-index.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = str_printf("%s/index.db", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    index_close(f->index);
    assert_int_equal(file_remove_tree(f->dir, &f->err), 0);
    free(f->path);
    free(f->dir);
    free(f);
    return 0;
}

static void open_index(struct fixture *f)
{
    assert_int_equal(index_open(f->path, &f->index, &f->err), 0);
}

static void record(struct fixture *f, const char *digest, const char *chain, int64_t number,
                   const char *name, int64_t now_ms, bool loaded)
{
    struct index_layer layer = {.number = number, .bytes = 100, .entries = 3};
    struct index_manifest m = {.size_bytes = 9, .layers = &layer, .layers_n = 1, .loaded = loaded};
    str_fill(layer.chain_id, sizeof(layer.chain_id), chain);
    str_fill(layer.blob, sizeof(layer.blob), chain);
    str_fill(layer.tree, sizeof(layer.tree), chain);
    str_fill(m.digest, sizeof(m.digest), digest);
    str_fill(m.config, sizeof(m.config), digest);
    assert_int_equal(index_record(f->index, &m, name, now_ms, &f->err), 0);
}

static void test_a_file_of_an_older_release_keeps_what_it_says(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, old_schema, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    open_index(f);
    struct index_image image;
    assert_int_equal(index_name_find(f->index, "docker.io/library/app:1", &image, &f->err), 0);
    assert_string_equal(image.digest, A);
    assert_int_equal(image.used_ms, 1000);
    assert_int_equal(image.holders, 1);
    assert_false(image.kept || image.damaged || image.loaded);
    free(image.name);
    struct index_layer *layers;
    size_t n;
    assert_int_equal(index_layers(f->index, &layers, &n, &f->err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(layers[0].number, 5);
    assert_string_equal(layers[0].tree, "");
    free(layers);
    struct index_layer measured = {.number = 5, .bytes = 11, .entries = 2};
    str_fill(measured.tree, sizeof(measured.tree), B);
    assert_int_equal(index_layer_measure(f->index, &measured, &f->err), 0);
    /* And once more: nothing is migrated twice. */
    index_close(f->index);
    open_index(f);
    assert_int_equal(index_layer_find(f->index, C, &measured, &f->err), 0);
    assert_string_equal(measured.tree, B);
}

static void test_a_newer_file_is_left_alone(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(index_open(f->path, &f->index, &f->err), ERR_UNSUPPORTED);
    f->index = NULL;
}

/* The digests of index_unused(), as one letter each. */
static const char *unused(struct fixture *f)
{
    static char letters[16];
    struct index_image *images;
    size_t n;
    assert_int_equal(index_unused(f->index, &images, &n, &f->err), 0);
    assert_true(n < sizeof(letters));
    for (size_t i = 0; i < n; i++)
        letters[i] = images[i].digest[7];
    letters[n] = '\0';
    index_images_free(images, n);
    return letters;
}

static void test_unused_images_come_in_the_order_of_use(void **state)
{
    struct fixture *f = *state;
    bool changed;
    open_index(f);
    record(f, A, D("1111"), 1, "docker.io/library/a:1", 100, true);
    record(f, B, D("2222"), 2, "docker.io/library/b:1", 300, false);
    record(f, C, D("3333"), 3, "docker.io/library/c@" D("9999"), 200, false);
    assert_string_equal(unused(f), "cba"); /* from an archive last */
    assert_int_equal(index_hold(f->index, "t1", C, 400, &f->err), 0);
    assert_string_equal(unused(f), "ba");
    assert_int_equal(index_unhold(f->index, "t1", 500, &f->err), 0);
    assert_string_equal(unused(f), "bca");
    const char *refs[] = {"docker.io/library/c@" D("9999"), A, NULL};
    assert_int_equal(index_keep(f->index, refs, &changed, &f->err), 0);
    assert_true(changed);
    assert_string_equal(unused(f), "b");
    assert_int_equal(index_keep(f->index, refs, &changed, &f->err), 0);
    assert_false(changed);
    index_close(f->index); /* what is kept outlives us */
    open_index(f);
    assert_string_equal(unused(f), "b");
}

static void test_a_forecast_changes_nothing_and_a_drop_spares_what_is_used(void **state)
{
    struct fixture *f = *state;
    struct index_garbage garbage;
    const char *both[] = {A, B};
    bool gone;
    open_index(f);
    record(f, A, D("1111"), 1, "docker.io/library/a:1", 100, false);
    record(f, B, D("1111"), 1, "docker.io/library/b:1", 100, false);
    assert_int_equal(index_forecast(f->index, both, 1, &garbage, &f->err), 0);
    assert_int_equal(garbage.layers_n, 0); /* the other has it too */
    assert_int_equal(garbage.blobs_n, 1);
    index_garbage_release(&garbage);
    assert_int_equal(index_forecast(f->index, both, 2, &garbage, &f->err), 0);
    assert_int_equal(garbage.layers_n, 1);
    assert_int_equal(garbage.layer_bytes[0], 100);
    assert_int_equal(garbage.blobs_n, 3);
    index_garbage_release(&garbage);
    assert_string_equal(unused(f), "ab");
    assert_int_equal(index_hold(f->index, "t1", A, 200, &f->err), 0);
    assert_int_equal(index_drop(f->index, A, &gone, &f->err), 0);
    assert_false(gone);
    assert_int_equal(index_drop(f->index, B, &gone, &f->err), 0);
    assert_true(gone);
    assert_int_equal(index_collect(f->index, &garbage, &f->err), 0);
    assert_int_equal(garbage.layers_n, 0);
    index_garbage_release(&garbage);
    struct index_image image;
    assert_int_equal(index_manifest_find(f->index, B, &image, &f->err), ERR_NOTFOUND);
    assert_int_equal(index_manifest_find(f->index, A, &image, &f->err), 0);
    free(image.name);
}

static void test_a_replaced_layer_stays_as_long_as_its_holder(void **state)
{
    struct fixture *f = *state;
    struct index_garbage garbage;
    struct index_image image;
    bool in_use;
    bool known;
    open_index(f);
    record(f, A, D("1111"), 1, "docker.io/library/a:1", 100, false);
    assert_int_equal(index_hold(f->index, "t1", A, 200, &f->err), 0);
    assert_int_equal(index_layer_mark(f->index, 1, &f->err), 0);
    assert_int_equal(index_manifest_find(f->index, A, &image, &f->err), 0);
    assert_true(image.damaged);
    free(image.name);
    assert_int_equal(index_layer_replace(f->index, 1, &in_use, &f->err), 0);
    assert_true(in_use);
    record(f, A, D("1111"), 2, NULL, 300, false);
    assert_int_equal(index_layer_known(f->index, 1, &known, &f->err), 0);
    assert_true(known);
    assert_int_equal(index_collect(f->index, &garbage, &f->err), 0);
    assert_int_equal(garbage.layers_n, 0);
    index_garbage_release(&garbage);
    assert_int_equal(index_unhold(f->index, "t1", 400, &f->err), 0);
    assert_int_equal(index_collect(f->index, &garbage, &f->err), 0);
    assert_int_equal(garbage.layers_n, 1);
    assert_int_equal(garbage.layers[0], 1);
    index_garbage_release(&garbage);
}

static void test_blobs_in_flight_are_deleted_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct image_flight flight;
    struct image_flight_blob *blobs;
    size_t n;
    bool deleted;
    cleanup_free char *path = str_printf("%s/blob", f->dir);
    assert_int_equal(file_write(path, "x", 1, 0600, &f->err), 0);
    image_flight_init(&flight);
    image_flight_begin(&flight);
    image_flight_begin(&flight);
    image_flight_look(&flight);
    image_flight_looked(&flight, A, true);
    assert_int_equal(image_flight_delete(&flight, A, path, &deleted), 0);
    assert_false(deleted);
    assert_true(file_exists(path));
    image_flight_end(&flight, &blobs, &n);
    assert_int_equal(n, 0);
    free(blobs);
    image_flight_end(&flight, &blobs, &n);
    assert_int_equal(n, 1);
    assert_string_equal(blobs[0].digest, A);
    free(blobs);
    assert_int_equal(image_flight_delete(&flight, A, path, &deleted), 0);
    assert_true(deleted);
    assert_false(file_exists(path));
    image_flight_release(&flight);
}

static char *tree_of(struct fixture *f)
{
    struct image_tree tree;
    cleanup_free char *dir = str_printf("%s/tree", f->dir);
    assert_int_equal(image_tree_read(dir, true, 100, 1 << 20, NULL, NULL, &tree, &f->err), 0);
    return str_copy(tree.digest);
}

/* Each change gives another digest. */
static void test_a_tree_digest_sees_everything(void **state)
{
    struct fixture *f = *state;
    static const char *const changes[] = {
        "chmod 600 a",
        "chown 7 a",
        "touch -d 2001-01-01 a",
        "ln -sfn other l",
        "mv a z",
        "setfattr -n user.k -v w b",
        "printf y | dd of=b conv=notrunc status=none; touch -d @5 b",
        "rm h; cp -p b h",
        "mkdir d/e",
        "mknod p c 1 5",
        "setfattr -n trusted.overlay.opaque -v y d",
    };
    cleanup_free char *make = str_printf(
        "mkdir %s/tree && cd %s/tree && echo 1 >a && echo 2 >b && setfattr -n user.k -v v b && "
        "ln b h && ln -s a l && mkdir d && truncate -s 100k d/hole && touch -d @5 b",
        f->dir, f->dir);
    assert_int_equal(system(make), 0);
    char *last = tree_of(f);
    char *again = tree_of(f);
    assert_string_equal(last, again);
    free(again);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        cleanup_free char *command = str_printf("cd %s/tree && %s", f->dir, changes[i]);
        assert_int_equal(system(command), 0);
        char *now = tree_of(f);
        if (strcmp(now, last) == 0)
            fail_msg("'%s' changes nothing", changes[i]);
        free(last);
        last = now;
    }
    free(last);
    struct image_tree tree;
    cleanup_free char *dir = str_printf("%s/tree", f->dir);
    assert_int_equal(image_tree_read(dir, false, 5, 1 << 20, NULL, NULL, &tree, &f->err),
                     ERR_TOOBIG);
    assert_int_equal(image_tree_read(dir, false, 100, 1000, NULL, NULL, &tree, &f->err),
                     ERR_TOOBIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_of_an_older_release_keeps_what_it_says),
        TEST(test_a_newer_file_is_left_alone),
        TEST(test_unused_images_come_in_the_order_of_use),
        TEST(test_a_forecast_changes_nothing_and_a_drop_spares_what_is_used),
        TEST(test_a_replaced_layer_stays_as_long_as_its_holder),
        TEST(test_blobs_in_flight_are_deleted_at_the_end),
        TEST(test_a_tree_digest_sees_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
