/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/segment.h"

#include <stdbool.h>
#include <stdio.h>

enum {
    FORMAT = 1,
    FORMAT_BYTES = 8,
    CRC_BYTES = 8,
    COUNT_BYTES = 8,
    ENTRY_BYTES = 16, /* of the header */
    SECTOR_BYTES = 512,
    BATCH_ENTRIES_MAX = (8 << 20) / 32, /* as libraft has it */
    TYPE_COMMAND = 1,                   /* RAFT_COMMAND, RAFT_BARRIER, RAFT_CHANGE */
    TYPE_CHANGE = 3,
    CRC_POLYNOMIAL = 0x04c11db7,
};

/* CRC-32 as in GCC's libiberty: the highest bit first, nothing inverted. */
static void make_table(uint32_t table[256])
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x80000000U ? crc << 1 ^ CRC_POLYNOMIAL : crc << 1;
        table[byte] = crc;
    }
}

static uint32_t crc_of(const uint32_t table[256], const unsigned char *p, size_t len, uint32_t crc)
{
    while (len-- > 0)
        crc = crc << 8 ^ table[(crc >> 24 ^ *p++) & 255];
    return crc;
}

uint32_t segment_crc(const void *data, size_t len, uint32_t crc)
{
    uint32_t table[256];
    make_table(table);
    return crc_of(table, data, len, crc);
}

static uint64_t get_le(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static bool is_zero(const unsigned char *p, size_t from, size_t to)
{
    while (from < to)
        if (p[from++] != 0)
            return false;
    return true;
}

/* True when one of the sectors that hold the bytes @from to @to has nothing from @from on: it is as
 * it was before the write of these bytes. What is past the end of the file counts as that too. */
static bool may_be_torn(const unsigned char *p, size_t len, size_t from, size_t to)
{
    if (to > len)
        return true;
    for (size_t sector = from / SECTOR_BYTES * SECTOR_BYTES; sector < to; sector += SECTOR_BYTES) {
        size_t begin = sector < from ? from : sector;
        size_t end = sector + SECTOR_BYTES < len ? sector + SECTOR_BYTES : len;
        if (is_zero(p, begin, end))
            return true;
    }
    return false;
}

/* One batch, as far as it could be read. */
struct batch {
    uint64_t n;
    size_t bytes; /* all of it, as far as it is known */
    uint64_t max_term;
    const char *why; /* NULL: it is good */
};

static struct batch read_batch(const uint32_t table[256], const unsigned char *p, size_t len)
{
    struct batch b = {.bytes = CRC_BYTES + COUNT_BYTES};
    if (b.bytes > len) {
        b.why = "it ends within a batch";
        return b;
    }
    b.n = get_le(p + CRC_BYTES, 8);
    if (b.n == 0 || b.n > BATCH_ENTRIES_MAX) {
        b.why = b.n == 0 ? "a batch of no entries" : "a batch of impossibly many entries";
        return b;
    }
    size_t header = COUNT_BYTES + b.n * ENTRY_BYTES, data = 0;
    b.bytes = CRC_BYTES + header;
    if (b.bytes > len) {
        b.why = "it ends within a batch";
        return b;
    }
    if (crc_of(table, p + CRC_BYTES, header, 0) != get_le(p, 4)) {
        b.why = "the checksum of a batch's header does not match";
        return b;
    }
    for (uint64_t i = 0; i < b.n; i++) {
        const unsigned char *entry = p + CRC_BYTES + COUNT_BYTES + i * ENTRY_BYTES;
        uint64_t term = get_le(entry, 8);
        if (entry[8] < TYPE_COMMAND || entry[8] > TYPE_CHANGE)
            b.why = "an entry of an unknown kind";
        b.max_term = term > b.max_term ? term : b.max_term;
        data += get_le(entry + 12, 4);
    }
    if (b.why)
        return b;
    b.bytes += data;
    if (b.bytes > len)
        b.why = "it ends within a batch";
    else if (crc_of(table, p + CRC_BYTES + header, data, 0) != get_le(p + 4, 4))
        b.why = "the checksum of a batch's data does not match";
    return b;
}

static void end_at(struct segment *s, enum segment_end end, const char *why)
{
    s->end = end;
    snprintf(s->why, sizeof(s->why), "%s", why);
}

void segment_read(const void *data, size_t len, int closed, struct segment *ret_segment)
{
    const unsigned char *p = data;
    struct segment s = {.end = SEGMENT_WHOLE};
    uint32_t table[256];
    make_table(table);
    bool begun = len >= FORMAT_BYTES && get_le(p, 8) == FORMAT;
    if (begun) {
        s.used = FORMAT_BYTES;
    } else if (closed || !is_zero(p, 0, len)) {
        bool torn = !closed && may_be_torn(p, len, 0, FORMAT_BYTES);
        end_at(&s, torn ? SEGMENT_TORN : SEGMENT_DAMAGED,
               len < FORMAT_BYTES ? "it is too short" : "it does not begin as a segment does");
    }
    while (begun && s.end == SEGMENT_WHOLE && s.used < len) {
        if (!closed && is_zero(p, s.used, len))
            break;
        struct batch b = read_batch(table, p + s.used, len - s.used);
        if (!b.why) {
            s.used += b.bytes;
            s.entries += b.n;
            s.max_term = b.max_term > s.max_term ? b.max_term : s.max_term;
            continue;
        }
        bool torn = !closed && may_be_torn(p, len, s.used, s.used + b.bytes);
        end_at(&s, torn ? SEGMENT_TORN : SEGMENT_DAMAGED, b.why);
    }
    if (closed && begun && s.end == SEGMENT_WHOLE && s.entries == 0)
        end_at(&s, SEGMENT_DAMAGED, "it holds no entries");
    *ret_segment = s;
}
