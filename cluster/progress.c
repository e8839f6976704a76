/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/progress.h"

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
    PROGRESS_VERSION = 1,
    PROGRESS_BYTES_MAX = 256,
};

static void encode(int64_t index, struct buf *out)
{
    buf_printf(out, "wherry-progress %d %" PRId64, PROGRESS_VERSION, index);
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    digest_of(out->data, out->len, digest);
    hex_encode(digest, sizeof(digest), hex);
    buf_printf(out, " %s\n", hex);
}

int progress_load(const char *dir, int64_t *ret_index, struct err *err)
{
    cleanup_free char *path = str_printf("%s/progress", dir);
    if (!file_exists(path)) {
        *ret_index = 0;
        return 0;
    }
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read(path, PROGRESS_BYTES_MAX, &text, err);
    if (rv == ERR_TOOBIG)
        return err_set(err, ERR_CORRUPT, "%s is damaged: it is too long", path);
    if (rv < 0)
        return rv;
    int version = 0;
    int64_t index = -1;
    int n = sscanf(text.data, "wherry-progress %d %" SCNd64, &version, &index);
    if (n >= 1 && version != PROGRESS_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s has version %d and this build knows %d", path,
                       version, PROGRESS_VERSION);
    cleanup_buf struct buf expected = BUF_INIT;
    encode(index, &expected);
    if (n != 2 || index < 0 || expected.len != text.len ||
        memcmp(expected.data, text.data, text.len) != 0)
        return err_set(err, ERR_CORRUPT, "%s is damaged: its checksum does not match", path);
    *ret_index = index;
    return 0;
}

int progress_save(const char *dir, int64_t index, struct err *err)
{
    cleanup_free char *path = str_printf("%s/progress", dir);
    cleanup_buf struct buf text = BUF_INIT;
    encode(index, &text);
    return file_write(path, text.data, text.len, 0600, err);
}
