/* SPDX-License-Identifier: Apache-2.0 */
/* Raft's messages as bytes, also bytes that somebody made up. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/entry.h"
#include "cluster/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static struct raft_configuration some_configuration(void)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    assert_int_equal(raft_configuration_add(&configuration, 1, "n1", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&configuration, 42, "n42", RAFT_STANDBY), 0);
    assert_int_equal(raft_configuration_add(&configuration, 7, "n7", RAFT_SPARE), 0);
    return configuration;
}

static void assert_same_configuration(const struct raft_configuration *a,
                                      const struct raft_configuration *b)
{
    assert_int_equal(a->n, b->n);
    for (unsigned i = 0; i < a->n; i++) {
        assert_true(a->servers[i].id == b->servers[i].id);
        assert_string_equal(a->servers[i].address, b->servers[i].address);
        assert_int_equal(a->servers[i].role, b->servers[i].role);
    }
}

/* An AppendEntries with a command, a barrier and a change; free with release_append(). */
static struct raft_message some_append(void)
{
    struct raft_configuration configuration = some_configuration();
    struct raft_message m = {.type = RAFT_IO_APPEND_ENTRIES,
                             .append_entries = {.term = 5,
                                                .prev_log_index = 10,
                                                .prev_log_term = 4,
                                                .leader_commit = 12,
                                                .n_entries = 3}};
    struct raft_entry *entries = mem_alloc(3, sizeof(*entries));
    entries[0] = (struct raft_entry){.term = 4, .type = RAFT_COMMAND, .buf = {NULL, 24}};
    entries[1] = (struct raft_entry){.term = 5, .type = RAFT_BARRIER, .buf = {NULL, 8}};
    for (int i = 0; i < 2; i++)
        entries[i].buf.base = raft_calloc(1, entries[i].buf.len);
    entry_encode("change", 6, entries[0].buf.base);
    entries[2] = (struct raft_entry){.term = 5, .type = RAFT_CHANGE};
    assert_int_equal(raft_configuration_encode(&configuration, &entries[2].buf), 0);
    raft_configuration_close(&configuration);
    m.append_entries.entries = entries;
    return m;
}

static void release_append(struct raft_message *m)
{
    for (unsigned i = 0; i < m->append_entries.n_entries; i++)
        raft_free(m->append_entries.entries[i].buf.base);
    free(m->append_entries.entries);
}

static void decode(const struct buf *bytes, struct raft_message *ret_message)
{
    struct err err;
    if (transport_decode(bytes->data, bytes->len, ret_message, &err) < 0)
        fail_msg("%s", err.msg);
}

static void assert_refused(const void *data, size_t len)
{
    struct raft_message m;
    struct err err;
    int rv = transport_decode(data, len, &m, &err);
    if (rv == 0)
        fail_msg("%zu bytes were taken", len);
    assert_true(rv == ERR_CORRUPT || rv == ERR_UNSUPPORTED);
    assert_true(err.msg[0] != '\0');
}

static void test_append_entries(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes = BUF_INIT;
    struct raft_message m = some_append(), got;
    transport_encode(&m, 3, &bytes);
    decode(&bytes, &got);
    const struct raft_append_entries *a = &m.append_entries, *b = &got.append_entries;
    assert_int_equal(got.type, RAFT_IO_APPEND_ENTRIES);
    assert_true(b->term == 5 && b->prev_log_index == 10 && b->prev_log_term == 4);
    assert_true(b->leader_commit == 12);
    assert_int_equal(b->n_entries, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(a->entries[i].term == b->entries[i].term);
        assert_int_equal(a->entries[i].type, b->entries[i].type);
        assert_int_equal(a->entries[i].buf.len, b->entries[i].buf.len);
        assert_memory_equal(a->entries[i].buf.base, b->entries[i].buf.base, a->entries[i].buf.len);
        assert_ptr_equal(b->entries[i].batch, b->entries[0].buf.base); /* one block */
    }
    transport_release(&got);
    release_append(&m);
}

static void test_a_part_of_the_entries_commits_no_further_than_itself(void **state)
{
    (void)state;
    struct raft_message m = some_append(), got;
    for (unsigned n = 0; n < 3; n++) {
        cleanup_buf struct buf bytes = BUF_INIT;
        transport_encode(&m, n, &bytes);
        decode(&bytes, &got);
        assert_int_equal(got.append_entries.n_entries, n);
        assert_true(got.append_entries.leader_commit == (n < 2 ? 10 + n : 12));
        transport_release(&got);
    }
    release_append(&m);
}

static void test_small_messages(void **state)
{
    (void)state;
    struct raft_message messages[] = {
        {.type = RAFT_IO_APPEND_ENTRIES_RESULT, .append_entries_result = {7, 8, 9}},
        {.type = RAFT_IO_REQUEST_VOTE, .request_vote = {7, 8, 9, 6, true, false}},
        {.type = RAFT_IO_REQUEST_VOTE, .request_vote = {7, 8, 9, 6, false, true}},
        {.type = RAFT_IO_REQUEST_VOTE_RESULT, .request_vote_result = {7, true, raft_tribool_true}},
        {.type = RAFT_IO_TIMEOUT_NOW, .timeout_now = {7, 8, 6}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        cleanup_buf struct buf bytes = BUF_INIT;
        cleanup_buf struct buf again = BUF_INIT;
        struct raft_message got;
        transport_encode(&messages[i], 0, &bytes);
        decode(&bytes, &got);
        assert_int_equal(got.type, messages[i].type);
        transport_encode(&got, 0, &again);
        assert_int_equal(bytes.len, again.len);
        assert_memory_equal(bytes.data, again.data, again.len);
    }
}

static struct raft_message some_snapshot(void)
{
    static char data[] = "0123456789";
    struct raft_message m = {
        .type = RAFT_IO_INSTALL_SNAPSHOT,
        .install_snapshot = {
            .term = 5, .last_index = 100, .last_term = 4, .conf_index = 50, .data = {data, 10}}};
    m.install_snapshot.conf = some_configuration();
    return m;
}

static void test_install_snapshot(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes = BUF_INIT;
    struct raft_message m = some_snapshot(), got;
    transport_encode(&m, 0, &bytes);
    decode(&bytes, &got);
    const struct raft_install_snapshot *p = &got.install_snapshot;
    assert_true(p->term == 5 && p->last_index == 100 && p->last_term == 4 && p->conf_index == 50);
    assert_same_configuration(&p->conf, &m.install_snapshot.conf);
    assert_int_equal(p->data.len, 10);
    assert_memory_equal(p->data.base, "0123456789", 10);
    transport_release(&got);
    raft_configuration_close(&m.install_snapshot.conf);
}

static void test_a_cut_message_is_refused_at_any_length(void **state)
{
    (void)state;
    cleanup_buf struct buf append = BUF_INIT;
    cleanup_buf struct buf snapshot = BUF_INIT;
    struct raft_message m = some_append(), s = some_snapshot();
    transport_encode(&m, 3, &append);
    transport_encode(&s, 0, &snapshot);
    for (size_t len = 0; len < append.len; len++) {
        char *exact = mem_copy(append.data, len); /* so that a sanitizer sees one byte past it */
        assert_refused(exact, len);
        free(exact);
    }
    /* What is left of the snapshot's own bytes only its checksum tells. */
    for (size_t len = 0; len <= snapshot.len - 10; len++) {
        char *exact = mem_copy(snapshot.data, len);
        assert_refused(exact, len);
        free(exact);
    }
    buf_putc(&append, 'x');
    assert_refused(append.data, append.len);
    release_append(&m);
    raft_configuration_close(&s.install_snapshot.conf);
}

/* Encode an AppendEntries that @spoil changed; it must be refused. */
#define REFUSE_APPEND(spoil)                                                                       \
    do {                                                                                           \
        cleanup_buf struct buf bytes_ = BUF_INIT;                                                  \
        struct raft_message m_ = some_append();                                                    \
        struct raft_append_entries *p = &m_.append_entries;                                        \
        spoil;                                                                                     \
        transport_encode(&m_, p->n_entries, &bytes_);                                              \
        assert_refused(bytes_.data, bytes_.len);                                                   \
        release_append(&m_);                                                                       \
    } while (0)

static void test_impossible_numbers_are_refused(void **state)
{
    (void)state;
    REFUSE_APPEND(p->term = 0);
    REFUSE_APPEND(p->term = UINT64_MAX);
    REFUSE_APPEND(p->prev_log_index = UINT64_MAX - 1);
    REFUSE_APPEND(p->prev_log_index = 0);
    REFUSE_APPEND(p->prev_log_term = 0);
    REFUSE_APPEND(p->prev_log_term = 6);
    REFUSE_APPEND(p->entries[0].term = 0);
    REFUSE_APPEND(p->entries[0].term = 6);
    REFUSE_APPEND(p->entries[0].type = 0);
    REFUSE_APPEND(p->entries[0].type = RAFT_CHANGE + 1);
    REFUSE_APPEND(p->entries[0].type = RAFT_CHANGE); /* its bytes are no configuration */
    REFUSE_APPEND(p->entries[0].buf.len = 0);
    REFUSE_APPEND(p->entries[0].buf.len = 23);
    REFUSE_APPEND(((char *)p->entries[0].buf.base)[20] ^= 1);
}

static void test_a_count_larger_than_the_message_allocates_nothing(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes = BUF_INIT;
    struct raft_message m = some_append();
    transport_encode(&m, 3, &bytes);
    uint64_t counts[] = {4, 1 << 20, UINT32_MAX, UINT64_MAX / 16, UINT64_MAX / 16 + 2, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        memcpy(bytes.data + TRANSPORT_HEADER_BYTES + 4 * sizeof(uint64_t), &counts[i],
               sizeof(counts[i]));
        assert_refused(bytes.data, bytes.len);
    }
    release_append(&m);
}

static void test_an_unknown_version_is_named(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes = BUF_INIT;
    struct raft_message m = {.type = RAFT_IO_TIMEOUT_NOW, .timeout_now = {7, 8, 6}}, got;
    struct err err;
    transport_encode(&m, 0, &bytes);
    bytes.data[4] = 2;
    assert_int_equal(transport_decode(bytes.data, bytes.len, &got, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "version 2"));
}

static void refuse_configuration(const void *data, size_t len)
{
    struct raft_configuration got;
    struct err err;
    char *exact = mem_copy(data, len);
    assert_int_equal(transport_decode_configuration(exact, len, &got, &err), ERR_CORRUPT);
    free(exact);
}

static void test_configurations(void **state)
{
    (void)state;
    struct raft_configuration configuration = some_configuration(), got;
    struct raft_buffer bytes;
    struct err err;
    assert_int_equal(raft_configuration_encode(&configuration, &bytes), 0);
    assert_int_equal(transport_decode_configuration(bytes.base, bytes.len, &got, &err), 0);
    assert_same_configuration(&configuration, &got);
    raft_configuration_close(&got);
    raft_configuration_close(&configuration);
    for (size_t len = 0; len + 8 <= bytes.len; len++)
        refuse_configuration(bytes.base, len);
    char *p = bytes.base;
    p[0] = 2; /* format */
    refuse_configuration(p, bytes.len);
    p[0] = 1;
    p[1] = 0; /* servers */
    refuse_configuration(p, bytes.len);
    p[1] = 2;
    refuse_configuration(p, bytes.len);
    p[8] = 1;
    refuse_configuration(p, bytes.len);
    p[1] = 3, p[8] = 0;
    memcpy(p + 9 + 12, p + 9, 8); /* the second has the first one's id */
    refuse_configuration(p, bytes.len);
    raft_free(bytes.base);
}

static void test_random_bytes(void **state)
{
    (void)state;
    struct buf good[2] = {BUF_INIT, BUF_INIT};
    struct raft_message m = some_append(), s = some_snapshot();
    transport_encode(&m, 3, &good[0]);
    transport_encode(&s, 0, &good[1]);
    uint64_t seed = 88172645463325252;
    for (int i = 0; i < 200000; i++) {
        const struct buf *from = &good[i & 1];
        struct raft_message got;
        struct err err;
        char *bytes = mem_copy(from->data, from->len);
        for (int flips = i % 7; flips >= 0; flips--) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            bytes[(seed >> 8) % from->len] = (char)seed;
        }
        if (transport_decode(bytes, from->len, &got, &err) == 0)
            transport_release(&got);
        free(bytes);
    }
    buf_release(&good[0]);
    buf_release(&good[1]);
    release_append(&m);
    raft_configuration_close(&s.install_snapshot.conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_entries),
        cmocka_unit_test(test_a_part_of_the_entries_commits_no_further_than_itself),
        cmocka_unit_test(test_small_messages),
        cmocka_unit_test(test_install_snapshot),
        cmocka_unit_test(test_a_cut_message_is_refused_at_any_length),
        cmocka_unit_test(test_impossible_numbers_are_refused),
        cmocka_unit_test(test_a_count_larger_than_the_message_allocates_nothing),
        cmocka_unit_test(test_an_unknown_version_is_named),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
