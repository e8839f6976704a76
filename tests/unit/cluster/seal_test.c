/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed values, unlock keys and the ring of cluster keys. */
#include "fixture.h"

#include "base/buf.h"
#include "cluster/keyring.h"
#include "cluster/seal.h"

#include <sys/stat.h>

static const char text[] = "what nobody is to read";

static char *dir;

static int setup(void **state)
{
    (void)state;
    dir = temp_dir();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_dir(dir);
    return 0;
}

static struct sealed sealed_text(const struct seal_key *key)
{
    struct sealed sealed = {0};
    seal_close(key, "secret", "db", text, sizeof(text), &sealed);
    return sealed;
}

static int open_as(const struct seal_key *key, const char *kind, const char *name,
                   const struct sealed *sealed)
{
    cleanup_secret struct buf out = BUF_INIT;
    struct err err;
    int rv = seal_open(key, kind, name, sealed, &out, &err);
    if (rv == 0) {
        assert_int_equal(out.len, sizeof(text));
        assert_memory_equal(out.data, text, sizeof(text));
    } else {
        assert_int_equal(out.len, 0);
        assert_null(strstr(err.msg, "nobody"));
    }
    return rv;
}

static void what_was_sealed_opens_as_what_it_was(void **state)
{
    (void)state;
    struct seal_key key;
    struct seal_key other;
    seal_key_new(3, &key);
    seal_key_new(3, &other);
    struct sealed sealed = sealed_text(&key);
    struct sealed again = sealed_text(&key);
    assert_int_equal(open_as(&key, "secret", "db", &sealed), 0);
    assert_memory_not_equal(sealed.data.data, again.data.data, SEAL_NONCE_BYTES);
    assert_int_equal(open_as(&key, "secret", "dc", &sealed), ERR_DENIED);
    assert_int_equal(open_as(&key, "ca", "db", &sealed), ERR_DENIED);
    /* The border between kind and name counts. */
    assert_int_equal(open_as(&key, "secretd", "b", &sealed), ERR_DENIED);
    assert_int_equal(open_as(&other, "secret", "db", &sealed), ERR_DENIED);
    other = key;
    other.generation = 4;
    assert_int_equal(open_as(&other, "secret", "db", &sealed), ERR_DENIED);
    sealed.generation = 4; /* nor does it help to rename the generation */
    assert_int_equal(open_as(&other, "secret", "db", &sealed), ERR_DENIED);
    bytes_set(&sealed.data, NULL, 0);
    bytes_set(&again.data, NULL, 0);
}

static void every_changed_bit_and_every_cut_is_noticed(void **state)
{
    (void)state;
    struct seal_key key;
    seal_key_new(1, &key);
    struct sealed sealed = sealed_text(&key);
    for (size_t bit = 0; bit < 8 * sealed.data.len; bit++) {
        sealed.data.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_int_equal(open_as(&key, "secret", "db", &sealed), ERR_DENIED);
        sealed.data.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    size_t whole = sealed.data.len;
    for (size_t len = 0; len < whole; len++) {
        sealed.data.len = len;
        assert_int_equal(open_as(&key, "secret", "db", &sealed), ERR_DENIED);
    }
    sealed.data.len = whole;
    assert_int_equal(open_as(&key, "secret", "db", &sealed), 0);
    bytes_set(&sealed.data, NULL, 0);
}

static void an_unlock_key_is_itself_or_refused(void **state)
{
    (void)state;
    struct err err;
    char *unlock;
    struct seal_key key;
    struct seal_key parsed;
    unlock_key_new(&unlock, &key);
    must(unlock_key_parse(unlock, &parsed, &err));
    assert_memory_equal(parsed.bytes, key.bytes, sizeof(key.bytes));
    cleanup_free char *typed = str_printf("  %s\r\n", unlock);
    for (char *c = typed; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
    must(unlock_key_parse(typed, &parsed, &err));
    assert_memory_equal(parsed.bytes, key.bytes, sizeof(key.bytes));
    for (size_t len = 0; len < strlen(unlock); len++) {
        cleanup_free char *cut = str_printf("%.*s", (int)len, unlock);
        assert_int_equal(unlock_key_parse(cut, &parsed, &err), ERR_INVALID);
    }
    for (size_t i = 0; i < strlen(unlock); i++) {
        cleanup_free char *slip = str_copy(unlock);
        slip[i] = slip[i] == '0' ? '1' : '0';
        assert_int_equal(unlock_key_parse(slip, &parsed, &err), ERR_INVALID);
        assert_null(strstr(err.msg, slip + 10));
    }
    free(unlock);
}

/* --- the ring ----------------------------------------------------------------------------------
 */

static struct keyring *open_ring(void)
{
    struct err err;
    struct keyring *ring;
    must(keyring_open(dir, &ring, &err));
    return ring;
}

static bool on_disk(void)
{
    cleanup_free char *path = str_printf("%s/cluster.key", dir);
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    assert_int_equal(st.st_mode & 07777, 0600);
    return true;
}

static bool holds(const struct keyring *ring, const struct seal_key *key)
{
    unsigned char check_value[32];
    seal_key_check(key, check_value);
    const struct seal_key *found =
        keyring_find(ring, key->generation, &(struct bytes){check_value, sizeof(check_value)});
    assert_true(!found || memcmp(found->bytes, key->bytes, sizeof(key->bytes)) == 0);
    return found != NULL;
}

static void keep(struct keyring *ring, const struct seal_key *key, bool durable)
{
    struct err err;
    unsigned char check_value[32];
    seal_key_check(key, check_value);
    must(keyring_keep(ring, key->generation, &(struct bytes){check_value, sizeof(check_value)},
                      durable, &err));
}

static void a_ring_settles_on_the_key_in_use(void **state)
{
    (void)state;
    struct err err;
    struct seal_key first;
    struct seal_key second;
    struct seal_key never;
    seal_key_new(1, &first);
    seal_key_new(2, &second);
    seal_key_new(2, &never);
    struct keyring *ring = open_ring();
    must(keyring_add(ring, &first, true, &err));
    must(keyring_add(ring, &never, true, &err));
    must(keyring_add(ring, &second, true, &err));
    keyring_free(ring);
    ring = open_ring();
    assert_true(holds(ring, &first) && holds(ring, &second) && holds(ring, &never));
    /* What comes later than the state knows of is not thrown away. */
    keep(ring, &first, true);
    assert_true(holds(ring, &second) && holds(ring, &never));
    keep(ring, &second, true);
    assert_false(holds(ring, &first) || holds(ring, &never));
    keyring_free(ring);
    ring = open_ring();
    assert_true(holds(ring, &second));
    assert_false(holds(ring, &first) || holds(ring, &never));
    keyring_free(ring);
}

static void a_locked_ring_leaves_nothing_on_disk(void **state)
{
    (void)state;
    struct err err;
    struct seal_key first;
    struct seal_key second;
    seal_key_new(1, &first);
    seal_key_new(2, &second);
    struct keyring *ring = open_ring();
    must(keyring_add(ring, &first, true, &err));
    must(keyring_add(ring, &second, false, &err));
    assert_true(on_disk());
    keep(ring, &second, false);
    assert_false(on_disk());
    assert_true(holds(ring, &second));
    keyring_free(ring);
    ring = open_ring();
    assert_false(holds(ring, &second));
    must(keyring_add(ring, &second, false, &err));
    keep(ring, &second, true);
    assert_true(on_disk());
    must(keyring_clear(ring, &err));
    assert_false(on_disk());
    keyring_free(ring);
}

static bool file_has(const struct seal_key *key)
{
    struct keyring *ring = open_ring();
    bool has = holds(ring, key);
    keyring_free(ring);
    return has;
}

/* A key for a lock is handed out before it is in use: it must not get to a disk by the way. */
static void what_is_for_memory_stays_there(void **state)
{
    (void)state;
    struct err err;
    struct seal_key first;
    struct seal_key second;
    struct seal_key third;
    seal_key_new(1, &first);
    seal_key_new(2, &second);
    seal_key_new(2, &third);
    struct keyring *ring = open_ring();
    must(keyring_add(ring, &first, true, &err));
    must(keyring_add(ring, &second, false, &err));
    keep(ring, &first, true);
    must(keyring_add(ring, &third, true, &err));
    assert_true(file_has(&first) && file_has(&third));
    assert_false(file_has(&second));
    /* Now it is to be there, and was held already. */
    must(keyring_add(ring, &second, true, &err));
    assert_true(file_has(&second));
    keep(ring, &second, true);
    assert_true(file_has(&second));
    assert_false(file_has(&first) || file_has(&third));
    keyring_free(ring);
}

/* A lock is being taken off: until the state says so it goes on saying that nothing is on disk. */
static void the_next_key_stays_on_disk_under_a_lock(void **state)
{
    (void)state;
    struct err err;
    struct seal_key locked;
    struct seal_key next;
    seal_key_new(1, &locked);
    seal_key_new(2, &next);
    struct keyring *ring = open_ring();
    must(keyring_add(ring, &locked, false, &err));
    must(keyring_add(ring, &next, true, &err));
    keep(ring, &locked, false);
    assert_true(file_has(&next));
    assert_false(file_has(&locked));
    keep(ring, &next, true);
    assert_true(file_has(&next));
    keep(ring, &next, false);
    assert_false(file_has(&next));
    keyring_free(ring);
}

static void offers_do_not_push_out_the_key_in_use(void **state)
{
    (void)state;
    struct err err;
    struct seal_key first;
    struct seal_key last;
    seal_key_new(1, &first);
    struct keyring *ring = open_ring();
    must(keyring_add(ring, &first, true, &err));
    for (int i = 0; i < 20; i++) {
        seal_key_new(2, &last);
        must(keyring_add(ring, &last, true, &err));
    }
    assert_true(holds(ring, &first) && holds(ring, &last));
    keyring_free(ring);
}

static void a_damaged_file_is_named(void **state)
{
    (void)state;
    struct err err;
    struct seal_key key;
    struct keyring *ring = open_ring();
    seal_key_new(1, &key);
    must(keyring_add(ring, &key, true, &err));
    keyring_free(ring);
    cleanup_free char *path = str_printf("%s/cluster.key", dir);
    cleanup_buf struct buf good = BUF_INIT;
    must(file_read(path, 4096, &good, &err));
    for (size_t len = 0; len < good.len; len++) {
        if (len == strlen("wherry key 1\n"))
            continue; /* a ring without a key */
        must(file_write(path, good.data, len, 0600, &err));
        assert_int_equal(keyring_open(dir, &ring, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, path));
    }
    must(file_write(path, "wherry key 1\n1 \0\n", 17, 0600, &err));
    assert_int_equal(keyring_open(dir, &ring, &err), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens_as_what_it_was),
        cmocka_unit_test(every_changed_bit_and_every_cut_is_noticed),
        cmocka_unit_test(an_unlock_key_is_itself_or_refused),
        cmocka_unit_test_setup_teardown(a_ring_settles_on_the_key_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(a_locked_ring_leaves_nothing_on_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_for_memory_stays_there, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_key_stays_on_disk_under_a_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(offers_do_not_push_out_the_key_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
