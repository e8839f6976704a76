/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment - a reader of libraft's log files that cannot be crashed by what is in them.
 *
 * A segment (libraft 0.15, disk format 1, little endian):
 *
 *     u64 format | batch…       up to the end of a closed segment; zeros follow in an open one
 *     batch: u32 CRC of the header | u32 CRC of the data | header | data
 *     header: u64 n | n times (u64 term | u8 type | 3 unused | u32 length)
 *
 * An open segment is allocated as zeros and written front to back in blocks, one write at a time,
 * each durable before the next begins. So a power cut can only have torn the last write, and a torn
 * write is one where some sectors are zeros still. A bad batch in which no sector is zeros was
 * written and damaged later.
 *
 * Pure; any thread.
 */
#ifndef WHERRY_CLUSTER_SEGMENT_H
#define WHERRY_CLUSTER_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

enum segment_end {
    SEGMENT_WHOLE,   /* good up to its end, or up to the zeros of what was not written yet */
    SEGMENT_TORN,    /* its last write did not get to the disk whole: legitimate at the very end */
    SEGMENT_DAMAGED, /* what was written is not what is there */
};

struct segment {
    enum segment_end end;
    uint64_t entries;  /* that are good */
    size_t used;       /* bytes that are good, from the start */
    char why[80];      /* for TORN and DAMAGED: what is wrong at @used */
    uint64_t max_term; /* of the good entries */
};

/* Read the @len bytes of a segment. Of a closed one (@closed) all must be good; it is WHOLE or
 * DAMAGED. */
void segment_read(const void *data, size_t len, int closed, struct segment *ret_segment);

/* The checksum libraft uses, going on from @crc (0 at first). */
uint32_t segment_crc(const void *data, size_t len, uint32_t crc);

#endif
