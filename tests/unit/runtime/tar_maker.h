/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_maker - build tars in memory for tests, also ones that no honest tool would write.
 */
#ifndef WHERRY_TESTS_TAR_MAKER_H
#define WHERRY_TESTS_TAR_MAKER_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

struct tar {
    struct archive *archive;
    struct archive_entry *entry; /* the one being described */
    struct buf bytes;
};

static inline la_ssize_t tar_on_write(struct archive *a, void *arg, const void *data, size_t len)
{
    (void)a;
    buf_append(arg, data, len);
    return (la_ssize_t)len;
}

static inline void tar_begin(struct tar *t)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    *t = (struct tar){.archive = archive_write_new()};
    check(archive_write_set_format_pax(t->archive) == ARCHIVE_OK);
    check(archive_write_set_bytes_per_block(t->archive, 0) == ARCHIVE_OK);
    check(archive_write_open(t->archive, &t->bytes, NULL, tar_on_write, NULL) == ARCHIVE_OK);
}

/* Describe the next entry; more may be set on t->entry before tar_put. */
static inline void tar_entry(struct tar *t, const char *name, unsigned type, unsigned mode)
{
    t->entry = archive_entry_new();
    archive_entry_copy_pathname(t->entry, name);
    archive_entry_set_filetype(t->entry, type);
    archive_entry_set_perm(t->entry, (mode_t)mode);
    archive_entry_set_mtime(t->entry, 1000000000, 500);
}

static inline void tar_put(struct tar *t, const char *content, size_t len)
{
    if (archive_entry_filetype(t->entry) == AE_IFREG && !archive_entry_hardlink(t->entry))
        archive_entry_set_size(t->entry, (la_int64_t)len);
    check(archive_write_header(t->archive, t->entry) >= ARCHIVE_WARN);
    if (len)
        check(archive_write_data(t->archive, content, len) == (la_ssize_t)len);
    archive_entry_free(t->entry);
    t->entry = NULL;
}

static inline void tar_file(struct tar *t, const char *name, const char *content)
{
    tar_entry(t, name, AE_IFREG, 0644);
    tar_put(t, content, strlen(content));
}

static inline void tar_bytes(struct tar *t, const char *name, const struct buf *content)
{
    tar_entry(t, name, AE_IFREG, 0644);
    tar_put(t, content->data, content->len);
}

static inline void tar_dir(struct tar *t, const char *name, unsigned mode)
{
    tar_entry(t, name, AE_IFDIR, mode);
    tar_put(t, NULL, 0);
}

static inline void tar_symlink(struct tar *t, const char *name, const char *target)
{
    tar_entry(t, name, AE_IFLNK, 0777);
    archive_entry_copy_symlink(t->entry, target);
    tar_put(t, NULL, 0);
}

static inline void tar_hardlink(struct tar *t, const char *name, const char *target)
{
    tar_entry(t, name, AE_IFREG, 0644);
    archive_entry_copy_hardlink(t->entry, target);
    tar_put(t, NULL, 0);
}

static inline void tar_end(struct tar *t)
{
    check(archive_write_close(t->archive) == ARCHIVE_OK);
    archive_write_free(t->archive);
    t->archive = NULL;
}

/* Compress @from: ARCHIVE_FILTER_GZIP or ARCHIVE_FILTER_ZSTD. */
static inline void tar_compress(const struct buf *from, int filter, struct buf *to)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    check(archive_write_set_format_raw(a) == ARCHIVE_OK);
    check(archive_write_add_filter(a, filter) == ARCHIVE_OK);
    check(archive_write_set_bytes_per_block(a, 0) == ARCHIVE_OK);
    check(archive_write_open(a, to, NULL, tar_on_write, NULL) == ARCHIVE_OK);
    archive_entry_copy_pathname(e, "data");
    archive_entry_set_filetype(e, AE_IFREG);
    check(archive_write_header(a, e) == ARCHIVE_OK);
    check(archive_write_data(a, from->data, from->len) == (la_ssize_t)from->len);
    archive_entry_free(e);
    check(archive_write_close(a) == ARCHIVE_OK);
    archive_write_free(a);
}

/* "sha256:HEX" of @bytes; the caller frees it. */
static inline char *digest_string(const struct buf *bytes)
{
    unsigned char raw[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    digest_of(str_or_empty(bytes->data), bytes->len, raw);
    hex_encode(raw, sizeof(raw), hex);
    return str_printf("sha256:%s", hex);
}

#endif
