/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/epoch.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    FILE_VERSION = 1,
    FILE_BYTES_MAX = 256,
    MAGIC = 0x31494857, /* "WHI1" */
    WIRE_VERSION = 1,
    PREFIX_BYTES = 16,
};

/* --- the files -------------------------------------------------------------------------------- */

static void encode(int64_t number, struct buf *out)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    buf_printf(out, "wherry-epoch %d %" PRId64, FILE_VERSION, number);
    digest_of(out->data, out->len, digest);
    hex_encode(digest, sizeof(digest), hex);
    buf_printf(out, " %s\n", hex);
}

static int load(const char *dir, const char *name, int64_t *ret_number, struct err *err)
{
    cleanup_free char *path = str_printf("%s/%s", dir, name);
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf expected = BUF_INIT;
    int version = 0;
    int64_t number = -1;
    *ret_number = 0;
    if (!file_exists(path))
        return 0;
    int rv = file_read(path, FILE_BYTES_MAX, &text, err);
    if (rv < 0 && rv != ERR_TOOBIG)
        return rv;
    int n =
        rv == 0 && text.data ? sscanf(text.data, "wherry-epoch %d %" SCNd64, &version, &number) : 0;
    if (n >= 1 && version != FILE_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s has version %d and this build knows %d", path,
                       version, FILE_VERSION);
    encode(number, &expected);
    if (n != 2 || number <= 0 || expected.len != text.len ||
        memcmp(expected.data, text.data, text.len) != 0)
        return err_set(err, ERR_CORRUPT, "%s is damaged: its checksum does not match", path);
    *ret_number = number;
    return 0;
}

static int save(const char *dir, const char *name, int64_t number, struct err *err)
{
    cleanup_free char *path = str_printf("%s/%s", dir, name);
    cleanup_buf struct buf text = BUF_INIT;
    check(number > 0);
    encode(number, &text);
    return file_write(path, text.data, text.len, 0600, err);
}

int epoch_load(const char *dir, int64_t *ret_own, int64_t *ret_cut_off_by, struct err *err)
{
    int rv = load(dir, "epoch", ret_own, err);
    return rv < 0 ? rv : load(dir, "cut-off", ret_cut_off_by, err);
}

int epoch_save(const char *dir, int64_t number, struct err *err)
{
    return save(dir, "epoch", number, err);
}

int epoch_save_cut_off(const char *dir, int64_t number, struct err *err)
{
    return save(dir, "cut-off", number, err);
}

/* --- on the wire ------------------------------------------------------------------------------ */

void epoch_encode(int64_t number, struct buf *out)
{
    if (number == 0)
        return;
    buf_put_u32(out, MAGIC);
    buf_put_u32(out, WIRE_VERSION);
    buf_put_u64(out, (unsigned long long)number);
}

static uint64_t get(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | p[n];
    return value;
}

bool epoch_decode(const void **data, size_t *len, int64_t *ret_number)
{
    const unsigned char *p = *data;
    *ret_number = 0;
    if (*len < 4 || get(p, 4) != MAGIC)
        return true;
    if (*len < PREFIX_BYTES || get(p + 4, 4) != WIRE_VERSION)
        return false;
    uint64_t number = get(p + 8, 8);
    if (number == 0 || number > INT64_MAX)
        return false;
    *ret_number = (int64_t)number;
    *data = p + PREFIX_BYTES;
    *len -= PREFIX_BYTES;
    return true;
}
