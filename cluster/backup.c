/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/backup.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKUP_MAGIC = 0x314b4857, /* "WHK1" */
    HASHED_BYTES = 32,         /* of the prefix */
};

/* clang-format off */
static const struct field backup_stack_fields[] = {
    FIELD_STRING(struct backup_stack, name),
    FIELD_INT(struct backup_stack, services),
};
const struct record_type backup_stack_type =
    RECORD_TYPE("backup_stack", struct backup_stack, backup_stack_fields);

static const struct field backup_volume_fields[] = {
    FIELD_STRING(struct backup_volume, name),
    FIELD_STRING(struct backup_volume, home),
};
const struct record_type backup_volume_type =
    RECORD_TYPE("backup_volume", struct backup_volume, backup_volume_fields);

static const struct field backup_header_fields[] = {
    FIELD_STRING(struct backup_header, cluster),
    FIELD_INT(struct backup_header, index),
    FIELD_INT(struct backup_header, term),
    FIELD_INT(struct backup_header, time_ms),
    FIELD_STRING(struct backup_header, node),
    FIELD_STRING(struct backup_header, version),
    FIELD_INT(struct backup_header, level),
    FIELD_STRINGS(struct backup_header, members),
    FIELD_LIST(struct backup_header, stacks, backup_stack_type),
    FIELD_LIST(struct backup_header, volumes, backup_volume_type),
    FIELD_INT(struct backup_header, services),
    FIELD_INT(struct backup_header, tasks),
    FIELD_INT(struct backup_header, networks),
    FIELD_INT(struct backup_header, tokens),
    FIELD_INT(struct backup_header, events),
};
const struct record_type backup_header_type =
    RECORD_TYPE("backup", struct backup_header, backup_header_fields);
/* clang-format on */

/* --- writing -------------------------------------------------------------------------------- */

void backup_begin(const struct backup_header *header, const void *state, size_t len,
                  struct buf *out)
{
    cleanup_buf struct buf record = BUF_INIT;
    unsigned char sum[DIGEST_BYTES];
    record_encode(&backup_header_type, header, &record);
    check(record.len <= BACKUP_HEADER_MAX && len <= BACKUP_STATE_MAX);
    size_t start = out->len;
    buf_put_u32(out, BACKUP_MAGIC);
    buf_put_u32(out, BACKUP_VERSION);
    buf_put_u64(out, record.len);
    buf_put_u64(out, len);
    buf_put_u64(out, 0);
    struct digest *d = digest_new();
    digest_update(d, out->data + start, HASHED_BYTES);
    digest_update(d, record.data, record.len);
    digest_update(d, state, len);
    digest_final(d, sum);
    buf_append(out, sum, sizeof(sum));
    buf_append(out, record.data, record.len);
}

/* --- reading -------------------------------------------------------------------------------- */

struct backup_scan {
    unsigned char prefix[BACKUP_PREFIX_BYTES];
    struct buf header; /* the record, encoded */
    struct digest *digest;
    uint64_t header_len;
    uint64_t state_len;
    uint64_t seen; /* bytes of the file so far */
};

struct backup_scan *backup_scan_new(void)
{
    struct backup_scan *scan = mem_alloc(1, sizeof(*scan));
    scan->digest = digest_new();
    return scan;
}

void backup_scan_free(struct backup_scan *scan)
{
    if (!scan)
        return;
    digest_free(scan->digest);
    buf_release(&scan->header);
    free(scan);
}

static uint64_t number_at(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | p[n];
    return value;
}

static int read_prefix(struct backup_scan *scan, struct err *err)
{
    const unsigned char *p = scan->prefix;
    if (number_at(p, 4) != BACKUP_MAGIC)
        return err_set(err, ERR_CORRUPT, "this is not a backup of wherry");
    uint64_t version = number_at(p + 4, 4);
    if (version != BACKUP_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "the backup has format version %" PRIu64 " and this build knows %d: use a "
                       "newer wherry",
                       version, BACKUP_VERSION);
    scan->header_len = number_at(p + 8, 8);
    scan->state_len = number_at(p + 16, 8);
    if (scan->header_len == 0 || scan->header_len > BACKUP_HEADER_MAX || scan->state_len == 0 ||
        scan->state_len > BACKUP_STATE_MAX || number_at(p + 24, 8) != 0)
        return err_set(err, ERR_CORRUPT, "the backup is damaged: impossible lengths");
    digest_update(scan->digest, p, HASHED_BYTES);
    return 0;
}

/* How many of the next @len bytes belong to the part of the file that ends at @end. */
static size_t up_to(const struct backup_scan *scan, uint64_t end, size_t len)
{
    return end - scan->seen < len ? (size_t)(end - scan->seen) : len;
}

int backup_scan_feed(struct backup_scan *scan, const void *data, size_t len, struct err *err)
{
    const unsigned char *p = data;
    if (scan->seen < BACKUP_PREFIX_BYTES) {
        size_t n = up_to(scan, BACKUP_PREFIX_BYTES, len);
        memcpy(scan->prefix + scan->seen, p, n);
        scan->seen += n;
        p += n;
        len -= n;
        if (scan->seen < BACKUP_PREFIX_BYTES)
            return 0;
        int rv = read_prefix(scan, err);
        if (rv < 0)
            return rv;
    }
    uint64_t header_end = BACKUP_PREFIX_BYTES + scan->header_len;
    if (scan->seen < header_end) {
        size_t n = up_to(scan, header_end, len);
        buf_append(&scan->header, p, n);
        digest_update(scan->digest, p, n);
        scan->seen += n;
        p += n;
        len -= n;
    }
    size_t n = up_to(scan, header_end + scan->state_len, len);
    if (scan->seen >= header_end) {
        digest_update(scan->digest, p, n);
        scan->seen += n;
        len -= n;
    }
    return len == 0 ? 0 : err_set(err, ERR_CORRUPT, "the backup has bytes after its end");
}

int64_t backup_scan_size(const struct backup_scan *scan)
{
    return scan->seen < BACKUP_PREFIX_BYTES
               ? 0
               : (int64_t)(BACKUP_PREFIX_BYTES + scan->header_len + scan->state_len);
}

int backup_scan_end(struct backup_scan *scan, struct backup_header *ret_header, struct err *err)
{
    unsigned char sum[DIGEST_BYTES];
    int64_t size = backup_scan_size(scan);
    if (size == 0)
        return err_set(err, ERR_CORRUPT,
                       "this is not a backup of wherry: it has only %" PRIu64 " bytes", scan->seen);
    if ((int64_t)scan->seen != size)
        return err_set(err, ERR_CORRUPT,
                       "the backup is cut short: %" PRIu64 " of %" PRId64 " bytes", scan->seen,
                       size);
    digest_final(steal(&scan->digest), sum);
    if (memcmp(sum, scan->prefix + HASHED_BYTES, sizeof(sum)) != 0)
        return err_set(err, ERR_CORRUPT, "the backup is damaged: it does not match its checksum");
    int rv = record_decode(&backup_header_type, scan->header.data, scan->header.len, false,
                           ret_header, err);
    return rv < 0 ? err_wrap(err, "the backup's header") : 0;
}

int backup_open(const void *data, size_t len, struct backup_header *ret_header,
                const void **ret_state, size_t *ret_len, struct err *err)
{
    struct backup_scan *scan = backup_scan_new();
    int rv = backup_scan_feed(scan, data, len, err);
    if (rv == 0)
        rv = backup_scan_end(scan, ret_header, err);
    if (rv == 0) {
        *ret_len = (size_t)scan->state_len;
        *ret_state = (const char *)data + (len - *ret_len);
    }
    backup_scan_free(scan);
    return rv;
}
