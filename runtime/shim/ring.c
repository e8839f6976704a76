/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shim/ring.h"

#include "runtime/shim/message.h"

#include <string.h>

static void copy_in(struct shim_ring *ring, const void *data, size_t len)
{
    size_t at = (size_t)(ring->head % ring->size);
    size_t first = len < ring->size - at ? len : ring->size - at;
    memcpy(ring->memory + at, data, first);
    memcpy(ring->memory, (const unsigned char *)data + first, len - first);
    ring->head += len;
}

static void copy_out(const struct shim_ring *ring, uint64_t from, void *to, size_t len)
{
    size_t at = (size_t)(from % ring->size);
    size_t first = len < ring->size - at ? len : ring->size - at;
    memcpy(to, ring->memory + at, first);
    memcpy((unsigned char *)to + first, ring->memory, len - first);
}

size_t shim_ring_room(const struct shim_ring *ring)
{
    size_t left = ring->size - (size_t)(ring->head - ring->tail);
    if (left <= SHIM_FRAME_HEADER)
        return 0;
    left -= SHIM_FRAME_HEADER;
    return left < SHIM_FRAME_MAX ? left : SHIM_FRAME_MAX;
}

static void drop_oldest(struct shim_ring *ring)
{
    unsigned char header[SHIM_FRAME_HEADER];
    copy_out(ring, ring->tail, header, sizeof(header));
    size_t len = header[1] | (size_t)header[2] << 8 | (size_t)header[3] << 16;
    ring->tail += SHIM_FRAME_HEADER + len;
}

void shim_ring_put(struct shim_ring *ring, int stream, const void *data, size_t len)
{
    const unsigned char *p = data;
    while (len > 0) {
        size_t n = len < SHIM_FRAME_MAX ? len : SHIM_FRAME_MAX;
        while (ring->head - ring->tail + SHIM_FRAME_HEADER + n > ring->size)
            drop_oldest(ring);
        const unsigned char header[SHIM_FRAME_HEADER] = {(unsigned char)stream, (unsigned char)n,
                                                         (unsigned char)(n >> 8),
                                                         (unsigned char)(n >> 16)};
        copy_in(ring, header, sizeof(header));
        copy_in(ring, p, n);
        p += n;
        len -= n;
    }
}

void shim_ring_forget(struct shim_ring *ring, uint64_t offset)
{
    if (offset > ring->tail && offset <= ring->head)
        ring->tail = offset;
}

size_t shim_ring_read(const struct shim_ring *ring, uint64_t *offset, void *to, size_t max)
{
    if (*offset < ring->tail)
        *offset = ring->tail;
    if (*offset > ring->head)
        *offset = ring->head;
    uint64_t there = ring->head - *offset;
    size_t n = there < max ? (size_t)there : max;
    copy_out(ring, *offset, to, n);
    return n;
}
