/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/acknowledged.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum {
    SLOTS = 2,
    SLOT_BYTES = 512,
    NUMBERS = 7,
    HASHED_BYTES = 8 + 8 * NUMBERS,
    HASH_BYTES = 24,
    RECORD_BYTES = HASHED_BYTES + HASH_BYTES,
};

static const unsigned char magic[8] = {'W', 'H', 'A', 'C', 'K', 0, 0, 1};

static void put_u64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t get_u64(const unsigned char *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static void encode(const struct acknowledged *r, unsigned char out[RECORD_BYTES])
{
    const uint64_t numbers[NUMBERS] = {r->sequence, r->raft_id,     r->index,      r->term,
                                       r->vote,     r->term_before, r->vote_before};
    unsigned char digest[DIGEST_BYTES];
    memcpy(out, magic, sizeof(magic));
    for (int i = 0; i < NUMBERS; i++)
        put_u64(out + 8 + 8 * i, numbers[i]);
    digest_of(out, HASHED_BYTES, digest);
    memcpy(out + HASHED_BYTES, digest, HASH_BYTES);
}

static bool decode(const unsigned char *p, struct acknowledged *r)
{
    unsigned char again[RECORD_BYTES];
    *r = (struct acknowledged){
        .sequence = get_u64(p + 8),
        .raft_id = get_u64(p + 16),
        .index = get_u64(p + 24),
        .term = get_u64(p + 32),
        .vote = get_u64(p + 40),
        .term_before = get_u64(p + 48),
        .vote_before = get_u64(p + 56),
    };
    encode(r, again);
    return memcmp(p, again, sizeof(again)) == 0;
}

/* A slot that begins as ours but for the version. */
static bool is_newer_version(const unsigned char *p)
{
    return memcmp(p, magic, sizeof(magic) - 1) == 0 && p[sizeof(magic) - 1] > magic[7];
}

int acknowledged_load(const char *dir, struct acknowledged *ret_record, struct err *err)
{
    cleanup_free char *path = str_printf("%s/acknowledged", dir);
    cleanup_buf struct buf data = BUF_INIT;
    if (!file_exists(path))
        return err_set(err, ERR_NOTFOUND, "%s is missing", path);
    int rv = file_read(path, SLOTS * SLOT_BYTES, &data, err);
    if (rv < 0 && rv != ERR_TOOBIG)
        return rv;
    bool found = false;
    struct acknowledged record;
    for (size_t at = 0; rv == 0 && at + RECORD_BYTES <= data.len; at += SLOT_BYTES) {
        const unsigned char *slot = (const unsigned char *)data.data + at;
        if (is_newer_version(slot))
            return err_set(err, ERR_UNSUPPORTED, "%s has version %d and this build knows %d", path,
                           slot[7], magic[7]);
        if (decode(slot, &record) && (!found || record.sequence > ret_record->sequence)) {
            *ret_record = record;
            found = true;
        }
    }
    if (!found)
        return err_set(err, ERR_CORRUPT, "%s is damaged: no checksum in it matches", path);
    return 0;
}

int acknowledged_create(const char *dir, struct acknowledged *record, struct err *err)
{
    cleanup_free char *path = str_printf("%s/acknowledged", dir);
    unsigned char slots[SLOTS * SLOT_BYTES] = {0};
    for (size_t at = 0; at < sizeof(slots); at += SLOT_BYTES) {
        record->sequence++;
        encode(record, slots + at);
    }
    return file_write(path, slots, sizeof(slots), 0600, err);
}

int acknowledged_open(const char *dir, int *ret_fd, struct err *err)
{
    cleanup_free char *path = str_printf("%s/acknowledged", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    *ret_fd = fd;
    return 0;
}

int acknowledged_write(int fd, struct acknowledged *record, struct err *err)
{
    unsigned char slot[RECORD_BYTES];
    record->sequence++;
    encode(record, slot);
    off_t at = (off_t)(record->sequence % SLOTS * SLOT_BYTES);
    if (pwrite(fd, slot, sizeof(slot), at) != (ssize_t)sizeof(slot))
        return err_errno(err, errno, "write what was acknowledged");
    return 0;
}

int acknowledged_write_synced(int fd, struct acknowledged *record, struct err *err)
{
    for (int i = 0; i < SLOTS; i++)
        if (acknowledged_write(fd, record, err) < 0)
            return err->code;
    if (fdatasync(fd) < 0)
        return err_errno(err, errno, "sync what was acknowledged");
    return 0;
}
