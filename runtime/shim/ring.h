/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring - the newest output of a container as frames (message.h), for those who attach.
 *
 *     tail                 head
 *      ▼                    ▼
 *     [frame][frame][frame] ·········   size bytes, used round and round
 *
 * Places are counted from the beginning of all output, so a reader only remembers a number, and
 * however slow it is it holds nobody up: what it did not fetch in time is no longer there, and the
 * ring tells it where the oldest whole frame begins. A ring that must not lose anything (an exec's)
 * is asked for room before each put. Pure functions, on libc alone.
 */
#ifndef WHERRY_RUNTIME_SHIM_RING_H
#define WHERRY_RUNTIME_SHIM_RING_H

#include <stddef.h>
#include <stdint.h>

struct shim_ring {
    unsigned char *memory;
    size_t size;
    uint64_t tail; /* where what it has begins */
    uint64_t head; /* where the next frame goes */
};

/* Bytes of one stream that fit in a frame without anything being forgotten; 0: none. */
size_t shim_ring_room(const struct shim_ring *ring);

/* Append @len bytes of @stream (1 or 2), in frames; the oldest frames go to make room. */
void shim_ring_put(struct shim_ring *ring, int stream, const void *data, size_t len);

/* Forget what is before @offset, which need not be the beginning of a frame: a ring that is used so
 * must never be put to without room. */
void shim_ring_forget(struct shim_ring *ring, uint64_t offset);

/* Copy what is at *@offset on, at most @max bytes. A place that is gone, or never was, is moved to
 * the tail or head first. Returns how many bytes; *@offset is where they begin. */
size_t shim_ring_read(const struct shim_ring *ring, uint64_t *offset, void *to, size_t max);

#endif
