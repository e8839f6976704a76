/* SPDX-License-Identifier: Apache-2.0 */
/* Registries in the state: what may be stored, races, another cluster key, earlier releases. */
#include "world.h"

#include "base/err.h"
#include "store/level.h"
#include "store/refound.h"

#include <stdio.h>

static struct cluster_keys keys_of(int64_t generation)
{
    return (struct cluster_keys){.generation = generation,
                                 .check = generation % 2 ? HASH_A : HASH_B,
                                 .ca_key = {.generation = generation, .data = BYTES("sealed")}};
}

/* At level 3, with cluster key 1. */
static void begin(struct world *w)
{
    init_cluster(w);
    struct change_level_raise raise = {.level = 3};
    must(w, CHANGE_LEVEL_RAISE, &raise);
    struct change_key_set keys = {.keys = keys_of(1)};
    must(w, CHANGE_KEY_SET, &keys);
}

static struct registry login(char *name)
{
    return (struct registry){.name = name,
                             .username = "ann",
                             .password = {.generation = 1, .data = BYTES("sealed by 1")}};
}

static struct registry get(struct store *store, const char *name)
{
    struct registry registry;
    if (store_find(store, TABLE_REGISTRY, name, &registry) < 0)
        fail_msg("no registry %s", name);
    return registry;
}

static int64_t index_of(struct world *w, const char *name)
{
    struct registry registry = get(w->store, name);
    int64_t index = registry.modified_index;
    record_release(&registry_type, &registry);
    return index;
}

static int64_t set(struct world *w, struct registry registry)
{
    struct change_registry_set change = {.registry = registry};
    return must(w, CHANGE_REGISTRY_SET, &change);
}

static void not_set(struct world *w, struct registry registry, int code, const char *text)
{
    struct change_registry_set change = {.registry = registry};
    refused(w, CHANGE_REGISTRY_SET, &change, code, text);
}

static void a_registry_is_set_changed_and_removed(void **state)
{
    struct world *w = *state;
    begin(w);
    int64_t id = set(w, login("docker.io"));
    struct registry registry = get(w->store, "docker.io");
    assert_int_equal(registry.id, id);
    assert_int_equal(registry.created_ms, w->now_ms);
    assert_string_equal(registry.username, "ann");
    record_release(&registry_type, &registry);
    /* Another at the same time: the second was planned from what is no more. */
    not_set(w, login("docker.io"), ERR_CONFLICT, "docker.io was changed meanwhile");
    struct change_registry_set change = {.registry = login("docker.io"),
                                         .expected_index = index_of(w, "docker.io")};
    change.registry.plain_http = true;
    w->now_ms += 5000;
    assert_int_equal(must(w, CHANGE_REGISTRY_SET, &change), id);
    refused(w, CHANGE_REGISTRY_SET, &change, ERR_CONFLICT, "changed meanwhile");
    registry = get(w->store, "docker.io");
    assert_true(registry.plain_http);
    assert_int_equal(registry.created_ms, w->now_ms - 5000);
    assert_int_equal(registry.modified_ms, w->now_ms);
    struct change_registry_remove removal = {.registry_id = id,
                                             .expected_index = registry.created_index};
    record_release(&registry_type, &registry);
    refused(w, CHANGE_REGISTRY_REMOVE, &removal, ERR_CONFLICT, "changed meanwhile");
    removal.expected_index = index_of(w, "docker.io");
    must(w, CHANGE_REGISTRY_REMOVE, &removal);
    refused(w, CHANGE_REGISTRY_REMOVE, &removal, ERR_NOTFOUND, "does not exist");
    change.expected_index = 7; /* it is gone since */
    refused(w, CHANGE_REGISTRY_SET, &change, ERR_CONFLICT, "changed meanwhile");
}

static void what_no_registry_is_is_refused(void **state)
{
    struct world *w = *state;
    begin(w);
    static char *const bad[] = {"",
                                "https://a.example",
                                "a.example/x",
                                "A.example",
                                "a.example:",
                                "a.example:0",
                                "a:65536",
                                "a:1:2",
                                "-a",
                                "a-",
                                "[::1",
                                "a b"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        not_set(w, (struct registry){.name = bad[i]}, ERR_INVALID, "is no registry");
    static char *const good[] = {"docker.io", "127.0.0.1:5000", "[::1]:5000", "localhost", "a:1"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        set(w, (struct registry){.name = good[i]});
    struct registry registry = login("b.example");
    registry.username = "a:b";
    not_set(w, registry, ERR_INVALID, "no colon");
    registry.username = "a\nb";
    not_set(w, registry, ERR_INVALID, "no control characters");
    registry.username = NULL;
    not_set(w, registry, ERR_INVALID, "a password without a user");
    static char *mirrors[] = {"ftp://m",         "https://",        "m.example",
                              "https://u:p@m.e", "https://m.e/ x/", "https:///x"};
    for (size_t i = 0; i < ARRAY_SIZE(mirrors); i++) {
        registry = (struct registry){.name = "b.example", .mirrors = &mirrors[i], .mirrors_n = 1};
        not_set(w, registry, ERR_INVALID, "is no mirror");
    }
    cleanup_free char *ca = mem_alloc(REGISTRY_CA_MAX + 2, 1);
    memset(ca, 'x', REGISTRY_CA_MAX + 1);
    not_set(w, (struct registry){.name = "b.example", .ca = ca}, ERR_TOOBIG, "of certificates");
    cleanup_free char *secret = mem_alloc(REGISTRY_PASSWORD_MAX + 100, 1);
    registry = login("b.example");
    registry.password.data =
        (struct bytes){.data = (unsigned char *)secret, .len = REGISTRY_PASSWORD_MAX + 100};
    not_set(w, registry, ERR_TOOBIG, "password is longer");
}

static void there_are_not_too_many(void **state)
{
    struct world *w = *state;
    char name[32];
    begin(w);
    for (int i = 0; i < REGISTRIES_MAX; i++) {
        snprintf(name, sizeof(name), "r%d.example", i);
        set(w, (struct registry){.name = name});
    }
    not_set(w, (struct registry){.name = "more.example"}, ERR_TOOBIG, "registries already");
    /* All of their passwords fit into the change of the key. */
    _Static_assert((int)REGISTRIES_MAX * ((int)REGISTRY_PASSWORD_MAX + 256) < (int)BATCH_BYTES_MAX,
                   "a key can be rotated");
}

/* The new key takes over with everything that the one before sealed, or not at all. */
static void another_key_seals_anew(void **state)
{
    struct world *w = *state;
    begin(w);
    int64_t id = set(w, login("docker.io"));
    set(w, (struct registry){.name = "open.example"});
    struct change_key_set change = {.expected_revision = 1, .keys = keys_of(2)};
    refused(w, CHANGE_KEY_SET, &change, ERR_CONFLICT, "docker.io was changed meanwhile");
    struct resealed again = {.registry_id = id,
                             .expected_index = index_of(w, "docker.io"),
                             .password = {.generation = 1, .data = BYTES("sealed by 1")}};
    change.registries = &again;
    change.registries_n = 1;
    refused(w, CHANGE_KEY_SET, &change, ERR_INVALID, "not sealed by the new key");
    again.password = (struct sealed){.generation = 2, .data = BYTES("sealed by 2")};
    again.expected_index--;
    refused(w, CHANGE_KEY_SET, &change, ERR_CONFLICT, "docker.io was changed meanwhile");
    again.expected_index++;
    must(w, CHANGE_KEY_SET, &change);
    struct registry registry = get(w->store, "docker.io");
    assert_int_equal(registry.password.generation, 2);
    assert_memory_equal(registry.password.data.data, "sealed by 2", 11);
    record_release(&registry_type, &registry);
    /* A login that was sealed by the key of before comes too late. */
    not_set(w, login("late.example"), ERR_CONFLICT, "cluster key was changed");
    /* A lock that is taken off keeps the key: nothing is sealed anew. */
    struct change_key_set off = {.expected_revision = 2, .keys = keys_of(2)};
    must(w, CHANGE_KEY_SET, &off);
}

static void a_restored_cluster_asks_for_logins(void **state)
{
    struct world *w = *state;
    begin(w);
    struct registry registry = login("docker.io");
    registry.ca = "PEM";
    set(w, registry);
    set(w, (struct registry){.name = "open.example", .plain_http = true});
    struct refound refound = {
        .cluster = {.uuid = "ffffffffffffffffffffffffffffffff",
                    .ca = "NEW PEM",
                    .vxlan_id = 99,
                    .level = 3},
        .founder = {.name = "n2", .address = "10.9.9.9:7400", .public_key = BYTES("a new key")},
        .now_ms = 1800000000000};
    struct refound_result result;
    struct err err;
    cleanup_buf struct buf image = BUF_INIT;
    struct store *store = store_new();
    store_snapshot(w->store, &image);
    assert_int_equal(store_restore(store, image.data, image.len, &err), 0);
    assert_int_equal(store_refound(store, &refound, &result, &err), 0);
    assert_string_equal(result.logins[0], "docker.io");
    assert_null(result.logins[1]);
    refound_result_release(&result);
    struct registry kept = get(store, "docker.io");
    assert_string_equal(kept.username, "ann");
    assert_string_equal(kept.ca, "PEM");
    assert_int_equal(kept.password.data.len, 0);
    record_release(&registry_type, &kept);
    assert_int_equal(store_count(store, TABLE_REGISTRY), 2);
    store_free(store);
}

/* A table that earlier releases do not have must not be in what they read. */
static void earlier_releases_read_the_snapshot(void **state)
{
    struct world *w = *state;
    cleanup_buf struct buf before = BUF_INIT;
    cleanup_buf struct buf after = BUF_INIT;
    struct err err;
    init_cluster(w);
    struct change_level_raise raise = {.level = 2};
    must(w, CHANGE_LEVEL_RAISE, &raise);
    store_snapshot(w->store, &before);
    assert_null(memmem(before.data, before.len, "CREATE TABLE registry", 21));
    raise.level = 3;
    must(w, CHANGE_LEVEL_RAISE, &raise);
    set(w, (struct registry){.name = "docker.io", .plain_http = true});
    store_snapshot(w->store, &after);
    assert_non_null(memmem(after.data, after.len, "CREATE TABLE registry", 21));
    /* Ours reads both, and goes on. */
    struct store *store = store_new();
    assert_int_equal(store_restore(store, before.data, before.len, &err), 0);
    assert_int_equal(store_count(store, TABLE_REGISTRY), 0);
    assert_int_equal(store_restore(store, after.data, after.len, &err), 0);
    assert_int_equal(store_count(store, TABLE_REGISTRY), 1);
    assert_same_digest(store, w->store);
    store_free(store);
    store = store_new();
    store_pretend_level(store, 2);
    assert_int_equal(store_restore(store, after.data, after.len, &err), ERR_UNSUPPORTED);
    store_free(store);
}

static void all_of_it_is_of_level_3(void **state)
{
    (void)state;
    struct change_registry_set set_change = {.registry = login("docker.io")};
    struct change change = {.kind = CHANGE_REGISTRY_SET, .body = &set_change};
    assert_int_equal(change_level(&change), 3);
    struct change_registry_remove removal = {.registry_id = 1};
    change = (struct change){.kind = CHANGE_REGISTRY_REMOVE, .body = &removal};
    assert_int_equal(change_level(&change), 3);
    struct resealed again = {.registry_id = 1};
    struct change_key_set keys = {.registries = &again, .registries_n = 1};
    change = (struct change){.kind = CHANGE_KEY_SET, .body = &keys};
    assert_int_equal(change_level(&change), 3);
    keys.registries_n = 0;
    assert_int_equal(change_level(&change), 2);
}

/* What the policy led to is in the digest; by itself it restarts nothing. */
static void only_other_bits_replace_tasks(void **state)
{
    struct world *w = *state;
    begin(w);
    struct deploy_service web = {
        .name = "web", .spec = {.image = "web:1", .image_digest = "w@sha256:1", .replicas = 1}};
    deploy_app(w, &web, 1, false);
    struct service service;
    assert_int_equal(store_find(w->store, TABLE_SERVICE, "app.web", &service), 0);
    assert_int_equal(service.revision, 1);
    record_release(&service_type, &service);
    web.spec.pull_policy = PULL_ALWAYS;
    deploy_app(w, &web, 1, false);
    assert_int_equal(store_find(w->store, TABLE_SERVICE, "app.web", &service), 0);
    assert_int_equal(service.revision, 1);
    assert_int_equal(service.spec.pull_policy, PULL_ALWAYS);
    record_release(&service_type, &service);
    web.spec.image_digest = "w@sha256:2";
    deploy_app(w, &web, 1, false);
    assert_int_equal(store_find(w->store, TABLE_SERVICE, "app.web", &service), 0);
    assert_int_equal(service.revision, 2);
    record_release(&service_type, &service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_registry_is_set_changed_and_removed, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(what_no_registry_is_is_refused, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(there_are_not_too_many, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(another_key_seals_anew, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_restored_cluster_asks_for_logins, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(earlier_releases_read_the_snapshot, world_setup,
                                        world_teardown),
        cmocka_unit_test(all_of_it_is_of_level_3),
        cmocka_unit_test_setup_teardown(only_other_bits_replace_tasks, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
