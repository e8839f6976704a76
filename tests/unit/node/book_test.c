/* SPDX-License-Identifier: Apache-2.0 */
/* Signed addresses: which record is believed, and which of two is the newer. */
#include "../cluster/fixture.h"

#include "base/buf.h"
#include "cluster/signature.h"
#include "node/book.h"

static char *dir;
static struct identity *one;
static struct identity *two;

static int setup(void **state)
{
    (void)state;
    dir = temp_dir();
    one = new_member(dir, "n1", 1, NULL);
    two = new_member(dir, "n2", 2, one);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    identity_free(one);
    identity_free(two);
    remove_dir(dir);
    return 0;
}

/* What node 1 knows of node 2 before it has said anything. */
static struct known_peer peer_two(void)
{
    struct known_peer p = {.id = 2, .address = str_copy("10.0.0.2:7400")};
    const struct bytes *key = identity_public_key(two);
    bytes_set(&p.public_key, key->data, key->len);
    return p;
}

static struct signed_record record_of(const struct identity *id, int64_t sequence,
                                      const char *address)
{
    struct known_peer self = {0};
    book_write(id, sequence, address, &self);
    return (struct signed_record){.record = self.record, .signature = self.signature};
}

static void release(struct signed_record *r)
{
    bytes_set(&r->record, NULL, 0);
    bytes_set(&r->signature, NULL, 0);
}

/* Offer to @p the record; it is freed. */
static int offer(struct known_peer *p, struct signed_record r)
{
    struct err err;
    int rv = book_offer(p, test_uuid, &r, &err);
    release(&r);
    return rv;
}

static void assert_dialled(const struct known_peer *p, const char *first, const char *second)
{
    char *all[BOOK_ADDRESSES_MAX + 1];
    size_t n;
    book_addresses(p, all, &n);
    assert_int_equal(n, second ? 2 : 1);
    assert_string_equal(all[0], first);
    if (second)
        assert_string_equal(all[1], second);
    for (size_t i = 0; i < n; i++)
        free(all[i]);
}

static void the_newest_counts(void **state)
{
    (void)state;
    struct known_peer p = peer_two();
    assert_dialled(&p, "10.0.0.2:7400", NULL);
    assert_int_equal(offer(&p, record_of(two, 3, "10.1.0.2:7400")), 1);
    assert_dialled(&p, "10.1.0.2:7400", "10.0.0.2:7400");
    assert_int_equal(offer(&p, record_of(two, 2, "10.9.0.2:7400")), 0);
    assert_dialled(&p, "10.1.0.2:7400", "10.0.0.2:7400");
    assert_int_equal(offer(&p, record_of(two, 4, "10.0.0.2:7400")), 1);
    assert_dialled(&p, "10.0.0.2:7400", NULL);
    record_release(&known_peer_type, &p);
}

/* In whatever order two of one sequence arrive, all keep the same one. */
static void a_tie_ends_alike(void **state)
{
    (void)state;
    struct known_peer p = peer_two();
    struct known_peer q = peer_two();
    offer(&p, record_of(two, 5, "10.1.0.1:1"));
    offer(&p, record_of(two, 5, "10.1.0.2:2"));
    offer(&q, record_of(two, 5, "10.1.0.2:2"));
    offer(&q, record_of(two, 5, "10.1.0.1:1"));
    assert_dialled(&p, "10.1.0.2:2", "10.0.0.2:7400");
    assert_dialled(&q, "10.1.0.2:2", "10.0.0.2:7400");
    record_release(&known_peer_type, &p);
    record_release(&known_peer_type, &q);
}

static void only_its_own_key_may_say_it(void **state)
{
    (void)state;
    struct err err;
    struct known_peer p = peer_two();
    /* Another member's. */
    assert_int_equal(offer(&p, record_of(one, 9, "10.6.6.6:7400")), ERR_DENIED);
    /* Another member's signature under what it says of this one. */
    struct signed_record forged = record_of(two, 9, "10.6.6.6:7400");
    signature_make(one, "wherry address 1", forged.record.data, forged.record.len,
                   &forged.signature);
    assert_int_equal(offer(&p, forged), ERR_DENIED);
    /* Its own signature, under another word. */
    forged = record_of(two, 9, "10.6.6.6:7400");
    signature_make(two, "wherry other 1", forged.record.data, forged.record.len, &forged.signature);
    assert_int_equal(offer(&p, forged), ERR_DENIED);
    /* Of another cluster. */
    struct signed_record good = record_of(two, 9, "10.1.0.2:7400");
    assert_int_equal(book_offer(&p, "another", &good, &err), ERR_DENIED);
    /* Any byte changed. */
    for (size_t i = 0; i < good.record.len; i++) {
        good.record.data[i] ^= 1;
        assert_true(book_offer(&p, test_uuid, &good, &err) < 0);
        good.record.data[i] ^= 1;
    }
    for (size_t i = 0; i < good.signature.len; i++) {
        good.signature.data[i] ^= 1;
        assert_int_equal(book_offer(&p, test_uuid, &good, &err), ERR_DENIED);
        good.signature.data[i] ^= 1;
    }
    assert_int_equal(p.record.len, 0);
    assert_int_equal(offer(&p, good), 1);
    record_release(&known_peer_type, &p);
}

static int offer_fields(struct known_peer *p, const struct whereabouts *w)
{
    struct buf out = BUF_INIT;
    struct signed_record r = {0};
    record_encode(&whereabouts_type, w, &out);
    bytes_set(&r.record, out.data, out.len);
    signature_make(two, "wherry address 1", out.data, out.len, &r.signature);
    buf_release(&out);
    return offer(p, r);
}

/* Signed as it should be, and still no good. */
static void nonsense_is_refused(void **state)
{
    (void)state;
    struct known_peer p = peer_two();
    static char good[] = "10.0.0.9:7400";
    char *addresses[BOOK_ADDRESSES_MAX + 1];
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
        addresses[i] = good;
    struct whereabouts w = {.cluster = (char *)(uintptr_t)test_uuid,
                            .node_id = 2,
                            .sequence = 9,
                            .addresses = addresses,
                            .addresses_n = BOOK_ADDRESSES_MAX + 1};
    assert_int_equal(offer_fields(&p, &w), ERR_CORRUPT);
    w.addresses_n = 0;
    assert_int_equal(offer_fields(&p, &w), ERR_CORRUPT);
    w.addresses_n = 1;
    w.sequence = 0;
    assert_int_equal(offer_fields(&p, &w), ERR_CORRUPT);
    w.sequence = INT64_MAX; /* nothing could follow it */
    assert_int_equal(offer_fields(&p, &w), ERR_CORRUPT);
    w.sequence = 9;
    static const char *const bad[] = {"", "10.0.0.9", "box:7400", "10.0.0.9:70000", ":7400"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        addresses[0] = (char *)(uintptr_t)bad[i];
        assert_int_equal(offer_fields(&p, &w), ERR_CORRUPT);
    }
    char *large = mem_alloc(BOOK_RECORD_MAX + 1, 1);
    memset(large, '1', BOOK_RECORD_MAX);
    addresses[0] = large;
    assert_int_equal(offer_fields(&p, &w), ERR_TOOBIG);
    free(large);
    assert_int_equal(p.record.len, 0);
    record_release(&known_peer_type, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tie_ends_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(only_its_own_key_may_say_it, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
