/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as packets on a shim's socket, as the frames in them, and as a ring's use. The first
 * byte picks: a packet; frames cut in pieces; a ring that is written to and read from at any place.
 */
#include "base/cleanup.h"
#include "runtime/shim/message.h"
#include "runtime/shim/ring.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_packet(const uint8_t *data, size_t size)
{
    struct shim_message m;
    unsigned char header[SHIM_MESSAGE_HEADER];
    if (!shim_message_read(data, size, &m))
        return;
    shim_message_header(&m, header);
    check(m.len == size - SHIM_MESSAGE_HEADER && memcmp(header, data, sizeof(header)) == 0);
}

static void read_frames(const uint8_t *data, size_t size)
{
    struct shim_frames frames = {0};
    size_t step = size > 0 ? data[0] + 1u : 1, total = 0;
    for (size_t at = 1; at < size; at += step) {
        const unsigned char *p = data + at, *piece;
        size_t len = size - at < step ? size - at : step, n;
        int stream;
        while ((stream = shim_frames_next(&frames, &p, &len, &piece, &n)) > 0) {
            check(stream <= 2 && n > 0 && piece >= data && piece + n <= data + size);
            total += n;
        }
        if (stream < 0)
            return;
    }
    check(total <= size);
}

static void use_ring(const uint8_t *data, size_t size)
{
    static unsigned char memory[9000], out[9000];
    struct shim_ring ring = {.memory = memory, .size = sizeof(memory)};
    for (size_t at = 0; at + 4 <= size; at += 4) {
        size_t n = (size_t)data[at + 1] << 8 | data[at + 2];
        uint64_t place = ring.tail + n * (data[at + 3] + 1u);
        if (data[at] % 2) {
            n %= sizeof(out);
            shim_ring_put(&ring, 1, out, n);
        } else {
            size_t got = shim_ring_read(&ring, &place, out, n % sizeof(out));
            check(place >= ring.tail && place + got <= ring.head);
        }
        check(ring.head - ring.tail <= sizeof(memory));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        read_packet(data + 1, size - 1);
        break;
    case 1:
        read_frames(data + 1, size - 1);
        break;
    case 2:
        use_ring(data + 1, size - 1);
        break;
    }
    return 0;
}
