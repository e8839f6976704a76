/* SPDX-License-Identifier: Apache-2.0 */
/* How the runtime is told of registries: with the key, without it, after it came or changed. */
#include "../store/world.h"

#include "base/err.h"
#include "base/file.h"
#include "cluster/keyring.h"
#include "node/daemon.h"
#include "node/keys.h"
#include "node/registries.h"
#include "runtime/registry.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct world *world;
    struct daemon daemon;
    char dir[64];
    char name[8];
};

static void set_key(struct fixture *f, const struct seal_key *key, int64_t revision, bool locked)
{
    unsigned char check_value[32];
    seal_key_check(key, check_value);
    struct change_key_set change = {
        .expected_revision = revision,
        .keys = {.generation = key->generation,
                 .check = {.data = check_value, .len = sizeof(check_value)},
                 .ca_key = {.generation = key->generation, .data = BYTES("sealed")},
                 .locked = locked}};
    if (locked) {
        change.keys.wrap = (struct sealed){.data = BYTES("wrapped")};
        change.keys.unlock = (struct sealed){.generation = key->generation, .data = BYTES("u")};
    }
    must(f->world, CHANGE_KEY_SET, &change);
}

static void login(struct fixture *f, const struct seal_key *key, char *name, const char *password)
{
    char *mirrors[] = {"https://mirror.example", "http://10.0.0.1:5000"};
    struct change_registry_set change = {
        .registry = {
            .name = name, .username = "ann", .ca = "PEM", .mirrors = mirrors, .mirrors_n = 2}};
    registries_seal(key, name, password, &change.registry.password);
    must(f->world, CHANGE_REGISTRY_SET, &change);
    bytes_set(&change.registry.password.data, NULL, 0);
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(1, sizeof(*f));
    struct daemon *d = &f->daemon;
    struct err err;
    void *world;
    world_setup(&world);
    f->world = world;
    init_cluster(f->world);
    must(f->world, CHANGE_LEVEL_RAISE, &(struct change_level_raise){.level = 3});
    snprintf(f->dir, sizeof(f->dir), "/tmp/registries-test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(keyring_open(f->dir, &d->keyring, &err), 0);
    assert_int_equal(uv_loop_init(&d->loop), 0);
    d->name = f->name;
    snprintf(f->name, sizeof(f->name), "n1");
    d->id = 1;
    d->registries = registries_new(d);
    d->store = f->world->store;
    d->keys = keys_new(d);
    *state = f;
    return 0;
}

static void on_freed(void *arg)
{
    (void)arg;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err;
    void *world = f->world;
    keys_free(f->daemon.keys, on_freed, NULL);
    uv_run(&f->daemon.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->daemon.loop), 0);
    registries_free(f->daemon.registries);
    keyring_free(f->daemon.keyring);
    assert_int_equal(file_remove_tree(f->dir, &err), 0);
    world_teardown(&world);
    free(f);
    return 0;
}

static void asks(struct fixture *f, const char *name, const char *password)
{
    struct registry_access access = {0};
    struct err err = {0};
    if (registries_access(f->daemon.registries, name, &access, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    if (password)
        assert_string_equal(access.username, "ann");
    assert_string_equal(str_or_empty(access.password), str_or_empty(password));
    registry_access_release(&access);
}

static void asks_in_vain(struct fixture *f, const char *name, const char *text)
{
    struct registry_access access = {0};
    struct err err = {0};
    assert_int_equal(registries_access(f->daemon.registries, name, &access, &err), ERR_UNAVAILABLE);
    if (!strstr(err.msg, text))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, text);
    assert_null(access.password);
}

static void a_login_is_opened_with_the_key(void **state)
{
    struct fixture *f = *state;
    struct seal_key key;
    struct err err;
    seal_key_new(1, &key);
    set_key(f, &key, 0, false);
    login(f, &key, "r.example:5000", "s3cret");
    must(f->world, CHANGE_REGISTRY_SET,
         &(struct change_registry_set){.registry = {.name = "open.example", .plain_http = true}});
    registries_on_change(f->daemon.registries);
    /* Without the key only what is no secret is told. */
    asks_in_vain(f, "r.example:5000", "n1 does not have the cluster key yet");
    asks(f, "open.example", NULL);
    asks(f, "other.example", NULL);
    /* It comes from another member. */
    assert_int_equal(keyring_add(f->daemon.keyring, &key, true, &err), 0);
    keys_on_change(f->daemon.keys);
    asks(f, "r.example:5000", "s3cret");
    asks(f, "R.Example:5000", "s3cret");
    struct registry_access access = {0};
    assert_int_equal(registries_access(f->daemon.registries, "r.example:5000", &access, &err), 0);
    assert_string_equal(access.ca, "PEM");
    assert_string_equal(access.mirrors[1], "http://10.0.0.1:5000");
    assert_null(access.mirrors[2]);
    registry_access_release(&access);
    assert_null(access.password);
    seal_key_wipe(&key);
}

static void a_locked_member_says_so(void **state)
{
    struct fixture *f = *state;
    struct seal_key key;
    seal_key_new(1, &key);
    set_key(f, &key, 0, true);
    login(f, &key, "r.example", "s3cret");
    registries_on_change(f->daemon.registries);
    asks_in_vain(f, "r.example", "'wherry unlock'");
}

/* One password in the place of another's, or changed on the way, opens nothing. */
static void a_password_is_for_its_registry(void **state)
{
    struct fixture *f = *state;
    struct seal_key key;
    struct err err;
    seal_key_new(1, &key);
    set_key(f, &key, 0, false);
    assert_int_equal(keyring_add(f->daemon.keyring, &key, true, &err), 0);
    struct change_registry_set change = {.registry = {.name = "evil.example", .username = "ann"}};
    registries_seal(&key, "r.example", "s3cret", &change.registry.password);
    must(f->world, CHANGE_REGISTRY_SET, &change);
    bytes_set(&change.registry.password.data, NULL, 0);
    keys_on_change(f->daemon.keys);
    asks_in_vain(f, "evil.example", "log in again: 'wherry registry login evil.example'");
}

/* Nothing of the plain text is in the state. */
static void the_state_has_it_sealed(void **state)
{
    struct fixture *f = *state;
    struct seal_key key;
    cleanup_buf struct buf image = BUF_INIT;
    seal_key_new(1, &key);
    set_key(f, &key, 0, false);
    login(f, &key, "r.example", "a-password-of-its-own");
    store_snapshot(f->world->store, &image);
    assert_null(memmem(image.data, image.len, "a-password-of-its-own", 21));
    assert_non_null(memmem(image.data, image.len, "r.example", 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_login_is_opened_with_the_key, setup, teardown),
        cmocka_unit_test_setup_teardown(a_locked_member_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_password_is_for_its_registry, setup, teardown),
        cmocka_unit_test_setup_teardown(the_state_has_it_sealed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
