/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the shim that are pure: its messages, frames and ring. */
#include "base/cleanup.h"
#include "runtime/shim/message.h"
#include "runtime/shim/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_a_message_is_read_as_it_was_written(void **unused)
{
    (void)unused;
    unsigned char packet[SHIM_MESSAGE_HEADER + 3];
    struct shim_message in = {.kind = SHIM_INPUT,
                              .version = 1,
                              .flags = 2,
                              .code = 3,
                              .rows = 0x1234,
                              .columns = 0xfffe,
                              .offset = 0x123456789abcdef0,
                              .other = UINT64_MAX,
                              .len = 3};
    struct shim_message out;
    shim_message_header(&in, packet);
    memcpy(packet + SHIM_MESSAGE_HEADER, "abc", 3);
    assert_true(shim_message_read(packet, sizeof(packet), &out));
    assert_int_equal(out.kind, SHIM_INPUT);
    assert_int_equal(out.version, 1);
    assert_int_equal(out.flags, 2);
    assert_int_equal(out.code, 3);
    assert_int_equal(out.rows, 0x1234);
    assert_int_equal(out.columns, 0xfffe);
    assert_true(out.offset == in.offset && out.other == in.other);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "abc", 3);
}

static void test_what_is_no_message(void **unused)
{
    (void)unused;
    static unsigned char packet[SHIM_MESSAGE_MAX + 1];
    struct shim_message out;
    for (int kind = 0; kind < 256; kind++) {
        packet[0] = (unsigned char)kind;
        bool known = (kind >= 1 && kind <= 6) || (kind >= 64 && kind <= 67);
        bool data = kind == SHIM_INPUT || kind == SHIM_OUTPUT;
        assert_int_equal(shim_message_read(packet, SHIM_MESSAGE_HEADER, &out), known);
        assert_int_equal(shim_message_read(packet, SHIM_MESSAGE_HEADER + 1, &out), data);
        assert_int_equal(shim_message_read(packet, SHIM_MESSAGE_MAX, &out), data);
        assert_false(shim_message_read(packet, SHIM_MESSAGE_MAX + 1, &out));
        assert_false(shim_message_read(packet, SHIM_MESSAGE_HEADER - 1, &out));
        assert_false(shim_message_read(packet, 0, &out));
    }
}

static void test_frames_in_any_pieces(void **unused)
{
    (void)unused;
    static const unsigned char bytes[] = "\1\3\0\0abc\2\1\0\0d\1\2\0\0ef";
    for (size_t step = 1; step < sizeof(bytes); step++) {
        struct shim_frames frames = {0};
        char text[32] = "";
        for (size_t at = 0; at < sizeof(bytes) - 1; at += step) {
            size_t len = sizeof(bytes) - 1 - at < step ? sizeof(bytes) - 1 - at : step, n;
            const unsigned char *data = bytes + at, *piece;
            int stream;
            while ((stream = shim_frames_next(&frames, &data, &len, &piece, &n)) > 0)
                for (size_t i = 0; i < n; i++) {
                    char one[3] = {stream == 1 ? 'o' : 'e', (char)piece[i], '\0'};
                    strcat(text, one);
                }
            assert_int_equal(stream, 0);
        }
        assert_string_equal(text, "oaobocedoeof");
    }
    static const unsigned char *const wild[] = {
        (const unsigned char *)"\3\1\0\0a", (const unsigned char *)"\0\1\0\0a",
        (const unsigned char *)"\1\0\0\0a", (const unsigned char *)"\1\1\0\1a"};
    for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
        struct shim_frames frames = {0};
        const unsigned char *data = wild[i], *piece;
        size_t len = 5, n;
        assert_int_equal(shim_frames_next(&frames, &data, &len, &piece, &n), -1);
    }
}

/* A reader of any speed gets whole frames, in order, and knows of each gap. */
static void test_ring(void **unused)
{
    (void)unused;
    enum {
        SIZE = 1000,
    };
    unsigned char memory[SIZE], data[300], got[SIZE];
    struct shim_ring ring = {.memory = memory, .size = SIZE};
    uint64_t written = 0, place = 0, next = 0;
    struct shim_frames frames = {0};
    unsigned gaps = 0;
    bool gap = false;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        size_t n = 1 + (size_t)rand() % sizeof(data);
        for (size_t i = 0; i < n; i++)
            data[i] = (unsigned char)(written + i);
        shim_ring_put(&ring, 1, data, n);
        written += n;
        assert_true(ring.head - ring.tail <= SIZE);
        if (rand() % 4)
            continue;
        uint64_t from = place;
        size_t len = shim_ring_read(&ring, &from, got, 1 + (size_t)rand() % SIZE);
        if (from != place) {
            gap = true;
            gaps++;
            frames = (struct shim_frames){0};
        }
        place = from + len;
        const unsigned char *p = got, *piece;
        size_t piece_len;
        while (shim_frames_next(&frames, &p, &len, &piece, &piece_len) > 0) {
            if (gap)
                next = piece[0];
            gap = false;
            for (size_t i = 0; i < piece_len; i++)
                assert_int_equal(piece[i], (unsigned char)next++);
        }
    }
    assert_true(gaps > 100);
}

/* Asked for room before each put it loses nothing. */
static void test_ring_without_loss(void **unused)
{
    (void)unused;
    static unsigned char memory[20000], data[9000], got[20000];
    struct shim_ring ring = {.memory = memory, .size = sizeof(memory)};
    uint64_t place = 0, next = 0, written = 0;
    struct shim_frames frames = {0};
    srand(8);
    for (int round = 0; round < 20000; round++) {
        size_t room = shim_ring_room(&ring), n = (size_t)rand() % sizeof(data);
        n = n < room ? n : room;
        for (size_t i = 0; i < n; i++)
            data[i] = (unsigned char)(written + i);
        uint64_t tail = ring.tail;
        shim_ring_put(&ring, 2, data, n);
        assert_true(ring.tail == tail);
        written += n;
        uint64_t from = place;
        size_t len = shim_ring_read(&ring, &from, got, (size_t)rand() % sizeof(got));
        assert_true(from == place);
        place += len;
        const unsigned char *p = got, *piece;
        size_t piece_len;
        int stream;
        while ((stream = shim_frames_next(&frames, &p, &len, &piece, &piece_len)) > 0) {
            assert_int_equal(stream, 2);
            for (size_t i = 0; i < piece_len; i++)
                assert_int_equal(piece[i], (unsigned char)next++);
        }
        assert_int_equal(stream, 0);
        if (rand() % 2)
            shim_ring_forget(&ring, place);
    }
    assert_true(next > 10000000);
    /* What was never there is no place. */
    shim_ring_forget(&ring, UINT64_MAX);
    assert_true(ring.tail <= ring.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_is_read_as_it_was_written),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_frames_in_any_pieces),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_ring_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
