/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/entry.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

enum {
    ENTRY_MAGIC = 0x31454857,    /* "WHE1" */
    SNAPSHOT_MAGIC = 0x31534857, /* "WHS1" */
    SNAPSHOT_DIGEST_AT = SNAPSHOT_HEADER_BYTES - DIGEST_BYTES,
};

static void put_u32(unsigned char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void put_u64(unsigned char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint32_t get_u32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t get_u64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

/* CRC-32 (ISO 3309, the one of zip and Ethernet), four bits at a time. */
static uint32_t crc32_of(const unsigned char *p, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

size_t entry_size(size_t payload_len)
{
    return (ENTRY_HEADER_BYTES + payload_len + 7) & ~(size_t)7;
}

void entry_encode(const void *payload, size_t len, void *out)
{
    check(len <= UINT32_MAX);
    unsigned char *p = out;
    size_t end = ENTRY_HEADER_BYTES + len;
    put_u32(p, ENTRY_MAGIC);
    put_u32(p + 4, ENTRY_VERSION);
    put_u32(p + 8, (uint32_t)len);
    put_u32(p + 12, crc32_of(payload, len));
    memcpy(p + ENTRY_HEADER_BYTES, payload, len);
    memset(p + end, 0, entry_size(len) - end);
}

int entry_decode(const void *data, size_t len, const void **ret_payload, size_t *ret_len,
                 struct err *err)
{
    const unsigned char *p = data;
    if (len < ENTRY_HEADER_BYTES || get_u32(p) != ENTRY_MAGIC)
        return err_set(err, ERR_CORRUPT, "log entry of %zu bytes has no entry header", len);
    uint32_t version = get_u32(p + 4);
    if (version != ENTRY_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "log entry has format version %u and this build knows %d: upgrade it",
                       version, ENTRY_VERSION);
    size_t payload_len = get_u32(p + 8);
    if (entry_size(payload_len) != len)
        return err_set(err, ERR_CORRUPT, "log entry of %zu bytes says it holds %zu", len,
                       payload_len);
    if (crc32_of(p + ENTRY_HEADER_BYTES, payload_len) != get_u32(p + 12))
        return err_set(err, ERR_CORRUPT, "log entry of %zu bytes does not match its checksum", len);
    *ret_payload = p + ENTRY_HEADER_BYTES;
    *ret_len = payload_len;
    return 0;
}

static void snapshot_digest(const unsigned char *header, const void *payload, size_t len,
                            unsigned char out[DIGEST_BYTES])
{
    struct digest *d = digest_new();
    digest_update(d, header, SNAPSHOT_DIGEST_AT);
    digest_update(d, payload, len);
    digest_final(d, out);
}

void snapshot_header_encode(const void *payload, size_t len, int64_t index,
                            unsigned char out[SNAPSHOT_HEADER_BYTES])
{
    put_u32(out, SNAPSHOT_MAGIC);
    put_u32(out + 4, SNAPSHOT_VERSION);
    put_u64(out + 8, len);
    put_u64(out + 16, (uint64_t)index);
    put_u64(out + 24, 0);
    snapshot_digest(out, payload, len, out + SNAPSHOT_DIGEST_AT);
}

int snapshot_decode(const void *data, size_t len, const void **ret_payload, size_t *ret_len,
                    int64_t *ret_index, struct err *err)
{
    const unsigned char *p = data;
    if (len < SNAPSHOT_HEADER_BYTES || get_u32(p) != SNAPSHOT_MAGIC)
        return err_set(err, ERR_CORRUPT, "snapshot of %zu bytes has no snapshot header", len);
    uint32_t version = get_u32(p + 4);
    if (version != SNAPSHOT_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "snapshot has format version %u and this build knows %d: upgrade it",
                       version, SNAPSHOT_VERSION);
    size_t payload_len = len - SNAPSHOT_HEADER_BYTES;
    if (get_u64(p + 8) != payload_len)
        return err_set(err, ERR_CORRUPT, "snapshot holds %zu bytes and should hold %llu",
                       payload_len, (unsigned long long)get_u64(p + 8));
    unsigned char digest[DIGEST_BYTES];
    snapshot_digest(p, p + SNAPSHOT_HEADER_BYTES, payload_len, digest);
    if (memcmp(digest, p + SNAPSHOT_DIGEST_AT, sizeof(digest)) != 0)
        return err_set(err, ERR_CORRUPT, "snapshot of %zu bytes does not match its checksum", len);
    *ret_payload = p + SNAPSHOT_HEADER_BYTES;
    *ret_len = payload_len;
    *ret_index = (int64_t)get_u64(p + 16);
    return 0;
}
