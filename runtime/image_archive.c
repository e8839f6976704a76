/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_archive - images as a tar: "oci-layout", "index.json", "blobs/sha256/…" of the OCI image
 * layout (image-layout.md), and docker's "manifest.json", whose paths are those blobs'.
 *
 * The archive is never made as a whole: it is a list of parts, in memory or blobs on disk, whose
 * places are known from their sizes. Headers are ustar's (POSIX.1-1988), sizes past its octal ones
 * in base 256 (GNU). Owner, mode and time are fixed.
 */
#include "runtime/image.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image_json.h"
#include "runtime/image_store.h"
#include "runtime/image_tree.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK = 512,
    IMAGES_MAX = 256,
    NAME_FIELD = 100,
    OCTAL_DIGITS = 11,
};

/* Bytes of the archive: those in @data, or a blob. */
struct part {
    int64_t offset;
    int64_t len;
    char *data;
    char *digest;
    bool checked;
};

/* An image in it. */
struct member {
    char digest[IMAGE_DIGEST_SIZE];
    int64_t size; /* of the manifest */
    char *holder;
    char **names;
    struct image_manifest *manifest;
};

struct image_archive {
    struct runtime *rt;
    struct member *members;
    size_t members_n;
    struct part *parts;
    size_t parts_n;
    int64_t size;
    int fd; /* of the part that was read last */
    size_t fd_part;
};

/* --- parts ------------------------------------------------------------------------------------
 */

static void add_part(struct image_archive *a, int64_t len, char *data, const char *digest)
{
    a->parts = mem_resize(a->parts, a->parts_n + 1, sizeof(*a->parts));
    a->parts[a->parts_n++] =
        (struct part){.offset = a->size, .len = len, .data = data, .digest = str_copy(digest)};
    a->size += len;
}

static void put_size(char *field, int64_t size)
{
    if (size < 1LL << (3 * OCTAL_DIGITS)) {
        snprintf(field, OCTAL_DIGITS + 1, "%011llo", (unsigned long long)size);
        return;
    }
    field[0] = (char)0x80;
    for (int i = OCTAL_DIGITS; i > 0; i--, size >>= 8)
        field[i] = (char)(size & 0xff);
}

/* Header of a file or, with a name that ends in '/', of a folder. */
static void add_header(struct image_archive *a, const char *name, int64_t size)
{
    char *h = mem_alloc(1, BLOCK);
    unsigned sum = 0;
    bool folder = name[strlen(name) - 1] == '/';
    str_fill(h, NAME_FIELD, name);
    memcpy(h + 100, folder ? "0000755" : "0000644", 8);
    memcpy(h + 108, "0000000", 8); /* user and group 0 */
    memcpy(h + 116, "0000000", 8);
    put_size(h + 124, size);
    memcpy(h + 136, "00000000000", 12); /* time */
    memset(h + 148, ' ', 8);
    h[156] = folder ? '5' : '0';
    memcpy(h + 257, "ustar\00000", 8);
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    h[155] = ' ';
    add_part(a, BLOCK, h, NULL);
}

static void add_padding(struct image_archive *a)
{
    int64_t over = a->size % BLOCK;
    if (over)
        add_part(a, BLOCK - over, mem_alloc(1, BLOCK), NULL);
}

/* A file with the content of @text, which is emptied. */
static void add_text(struct image_archive *a, const char *name, struct buf *text)
{
    int64_t len = (int64_t)text->len;
    add_header(a, name, len);
    add_part(a, len, buf_take(text), NULL);
    add_padding(a);
}

static int add_blob(struct image_archive *a, const struct image_blob *blob, struct err *err)
{
    char name[NAME_FIELD];
    struct stat st;
    for (size_t i = 0; i < a->parts_n; i++) {
        if (str_equal(a->parts[i].digest, blob->digest))
            return 0;
    }
    cleanup_free char *path = image_store_blob_path(a->rt, blob->digest);
    if (lstat(path, &st) < 0 || st.st_size != blob->size)
        return err_set(err, ERR_CORRUPT,
                       "blob %.20s... is missing here: pull or load the image again", blob->digest);
    snprintf(name, sizeof(name), "blobs/sha256/%s", blob->digest + 7);
    add_header(a, name, blob->size);
    add_part(a, blob->size, NULL, blob->digest);
    add_padding(a);
    return 0;
}

/* --- members ----------------------------------------------------------------------------------
 */

/* Names in the archive: the one that was asked for; for a digest all but those by digest. */
static int name_member(struct image_archive *a, struct member *m, char *name, struct err *err)
{
    size_t n = 0;
    if (name) {
        while (m->names && m->names[n])
            n++;
        m->names = mem_resize(m->names, n + 2, sizeof(char *));
        m->names[n] = str_copy(name);
        m->names[n + 1] = NULL;
        return 0;
    }
    if (m->names)
        return 0;
    int rv = index_names_of(a->rt->index, m->digest, &m->names, err);
    for (size_t i = 0; rv == 0 && m->names[i]; i++) {
        if (strchr(m->names[i], '@'))
            free(m->names[i]);
        else
            m->names[n++] = m->names[i];
    }
    if (rv == 0)
        m->names[n] = NULL;
    return rv;
}

static struct member *find_member(struct image_archive *a, const char *digest)
{
    for (size_t i = 0; i < a->members_n; i++) {
        if (strcmp(a->members[i].digest, digest) == 0)
            return &a->members[i];
    }
    return NULL;
}

/* Hold the image, so that it stays, and read its manifest. */
static int open_member(struct image_archive *a, struct member *m, struct err *err)
{
    unsigned char raw[8];
    char hex[2 * sizeof(raw) + 1];
    cleanup_buf struct buf text = BUF_INIT;
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), hex);
    m->holder = str_printf("archive %s", hex);
    int rv = index_hold(a->rt->index, m->holder, m->digest, clock_wall_ms(), err);
    if (rv < 0 || (rv = image_store_read(a->rt, m->digest, &text, err)) < 0)
        return rv;
    m->size = (int64_t)text.len;
    m->manifest = mem_alloc(1, sizeof(*m->manifest));
    return image_manifest_parse(text.data, text.len, m->manifest, err);
}

static int add_member(struct image_archive *a, const char *ref, struct err *err)
{
    struct index_image row;
    bool named;
    int rv = image_store_lookup(a->rt, ref, &row, &named, err);
    if (rv < 0)
        return rv;
    cleanup_free char *name = row.name;
    struct member *m = find_member(a, row.digest);
    if (!m) {
        a->members = mem_resize(a->members, a->members_n + 1, sizeof(*a->members));
        m = &a->members[a->members_n++];
        *m = (struct member){0};
        str_fill(m->digest, sizeof(m->digest), row.digest);
        if ((rv = open_member(a, m, err)) < 0)
            return rv;
    }
    bool by_digest = !named || !name || strchr(name, '@');
    return name_member(a, m, by_digest ? NULL : name, err);
}

/* --- documents --------------------------------------------------------------------------------
 */

static void put_index_entry(const struct member *m, const char *name, bool first, struct buf *out)
{
    buf_printf(out, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld", first ? "" : ",",
               m->manifest->docker ? IMAGE_TYPE_DOCKER_MANIFEST : IMAGE_TYPE_OCI_MANIFEST,
               m->digest, (long long)m->size);
    if (name) {
        buf_puts(out, ",\"annotations\":{\"io.containerd.image.name\":");
        buf_put_json(out, name);
        buf_puts(out, ",\"org.opencontainers.image.ref.name\":");
        buf_put_json(out, name);
        buf_putc(out, '}');
    }
    buf_putc(out, '}');
}

static void put_index(const struct image_archive *a, struct buf *out)
{
    bool first = true;
    buf_printf(out, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[",
               IMAGE_TYPE_OCI_INDEX);
    for (size_t i = 0; i < a->members_n; i++) {
        const struct member *m = &a->members[i];
        for (size_t j = 0; j == 0 || m->names[j]; j++) {
            put_index_entry(m, m->names[j], first, out);
            first = false;
            if (!m->names[j])
                break;
        }
    }
    buf_puts(out, "]}");
}

static void put_docker_manifest(const struct image_archive *a, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < a->members_n; i++) {
        const struct member *m = &a->members[i];
        buf_printf(out, "%s{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":[", i > 0 ? "," : "",
                   m->manifest->config.digest + 7);
        for (size_t j = 0; m->names[j]; j++) {
            if (j > 0)
                buf_putc(out, ',');
            buf_put_json(out, m->names[j]);
        }
        buf_puts(out, "],\"Layers\":[");
        for (size_t j = 0; j < m->manifest->layers_n; j++)
            buf_printf(out, "%s\"blobs/sha256/%s\"", j > 0 ? "," : "",
                       m->manifest->layers[j].digest + 7);
        buf_puts(out, "]}");
    }
    buf_putc(out, ']');
}

static int add_blobs(struct image_archive *a, struct err *err)
{
    int rv = 0;
    add_header(a, "blobs/", 0);
    add_header(a, "blobs/sha256/", 0);
    for (size_t i = 0; rv == 0 && i < a->members_n; i++) {
        const struct member *m = &a->members[i];
        struct image_blob self = {.size = m->size};
        str_fill(self.digest, sizeof(self.digest), m->digest);
        rv = add_blob(a, &self, err);
        if (rv == 0)
            rv = add_blob(a, &m->manifest->config, err);
        for (size_t j = 0; rv == 0 && j < m->manifest->layers_n; j++)
            rv = add_blob(a, &m->manifest->layers[j], err);
    }
    return rv;
}

static int add_all(struct image_archive *a, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    buf_puts(&text, "{\"imageLayoutVersion\":\"1.0.0\"}");
    add_text(a, "oci-layout", &text);
    put_index(a, &text);
    add_text(a, "index.json", &text);
    put_docker_manifest(a, &text);
    add_text(a, "manifest.json", &text);
    int rv = add_blobs(a, err);
    if (rv == 0)
        add_part(a, 2 * (int64_t)BLOCK, mem_alloc(2, BLOCK), NULL);
    return rv;
}

/* --- open, read, close ------------------------------------------------------------------------
 */

int image_archive_open(struct runtime *rt, const char *const *refs, struct image_archive **ret,
                       struct err *err)
{
    struct image_archive *a = mem_alloc(1, sizeof(*a));
    int rv = 0;
    a->rt = rt;
    a->fd = -1;
    for (size_t i = 0; rv == 0 && refs[i]; i++) {
        rv = i < IMAGES_MAX
                 ? add_member(a, refs[i], err)
                 : err_set(err, ERR_TOOBIG, "at most %d images go into an archive", IMAGES_MAX);
    }
    if (rv == 0 && a->members_n == 0)
        rv = err_set(err, ERR_INVALID, "no image was named");
    if (rv == 0)
        rv = add_all(a, err);
    if (rv < 0)
        image_archive_close(a);
    else
        *ret = a;
    return rv;
}

int64_t image_archive_size(const struct image_archive *archive)
{
    return archive->size;
}

/* Open the blob of part @i and check it the first time. */
static int open_part(struct image_archive *a, size_t i, struct err *err)
{
    struct part *p = &a->parts[i];
    char digest[IMAGE_DIGEST_SIZE];
    if (a->fd >= 0 && a->fd_part == i)
        return 0;
    cleanup_free char *path = image_store_blob_path(a->rt, p->digest);
    if (a->fd >= 0)
        close(a->fd);
    a->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    a->fd_part = i;
    if (a->fd < 0)
        return err_errno(err, errno, "open blob %s", path);
    int rv = p->checked ? 0 : image_tree_file(a->fd, false, NULL, NULL, digest, err);
    if (rv < 0 || p->checked)
        return rv;
    if (strcmp(digest, p->digest) != 0)
        return err_set(err, ERR_CORRUPT,
                       "blob %.20s... is damaged: 'wherry image check --repair' looks for a good "
                       "one",
                       p->digest);
    p->checked = true;
    return 0;
}

static size_t find_part(const struct image_archive *a, int64_t offset)
{
    size_t low = 0;
    size_t high = a->parts_n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (a->parts[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int image_archive_read(struct image_archive *a, int64_t offset, void *data, size_t len,
                       size_t *ret_n, struct err *err)
{
    size_t done = 0;
    if (offset < 0 || offset > a->size)
        return err_set(err, ERR_INVALID, "the archive has %lld bytes", (long long)a->size);
    for (size_t i = find_part(a, offset); i < a->parts_n && done < len; i++) {
        struct part *p = &a->parts[i];
        int64_t from = offset + (int64_t)done - p->offset;
        if (from >= p->len)
            continue;
        size_t n = (uint64_t)(p->len - from) < len - done ? (size_t)(p->len - from) : len - done;
        if (p->data) {
            memcpy((char *)data + done, p->data + from, n);
            done += n;
            continue;
        }
        int rv = open_part(a, i, err);
        if (rv < 0)
            return rv;
        for (size_t have = 0; have < n;) {
            ssize_t got = pread(a->fd, (char *)data + done, n - have, from + (int64_t)have);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return err_errno(err, got < 0 ? errno : EIO, "read blob %.20s...", p->digest);
            have += (size_t)got;
            done += (size_t)got;
        }
    }
    *ret_n = done;
    return 0;
}

void image_archive_close(struct image_archive *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->members_n; i++) {
        if (a->members[i].holder)
            image_unhold(a->rt, a->members[i].holder, NULL);
        free(a->members[i].holder);
        image_strings_free(a->members[i].names);
        free(a->members[i].manifest);
    }
    for (size_t i = 0; i < a->parts_n; i++) {
        free(a->parts[i].data);
        free(a->parts[i].digest);
    }
    if (a->fd >= 0)
        close(a->fd);
    free(a->members);
    free(a->parts);
    free(a);
}
