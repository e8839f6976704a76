/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/keyring.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEYS_MAX = 4,
    FILE_MAX = 4096,
    LINE_MAX_BYTES = 128,
};

struct held {
    struct seal_key key;
    bool durable; /* the file is to have it */
};

struct keyring {
    char *dir;
    char *path;
    struct held keys[KEYS_MAX]; /* the oldest first */
    size_t n;
    bool on_disk; /* the file is there */
    bool stale;   /* it does not have exactly those that it is to have */
};

static const char first_line[] = "wherry key 1\n";

static void drop(struct keyring *ring, size_t i)
{
    ring->n--;
    memmove(&ring->keys[i], &ring->keys[i + 1], (ring->n - i) * sizeof(ring->keys[0]));
    seal_key_wipe(&ring->keys[ring->n].key);
}

/* --- the file ------------------------------------------------------------------------------ */

static void encode(const struct keyring *ring, struct buf *out)
{
    buf_puts(out, first_line);
    for (size_t i = 0; i < ring->n; i++) {
        const struct seal_key *key = &ring->keys[i].key;
        char hex[2 * SEAL_KEY_BYTES + 1];
        if (!ring->keys[i].durable)
            continue;
        hex_encode(key->bytes, SEAL_KEY_BYTES, hex);
        buf_printf(out, "%" PRId64 " %s\n", key->generation, hex);
    }
}

static bool decode_line(const char *line, struct seal_key *ret)
{
    char *end;
    ret->generation = strtoll(line, &end, 10);
    return ret->generation > 0 && *end == ' ' && strlen(end + 1) == 2 * (size_t)SEAL_KEY_BYTES &&
           hex_decode(end + 1, ret->bytes, SEAL_KEY_BYTES);
}

/* What it says is what we would have written, byte for byte. */
static bool decode(const char *text, struct keyring *ring)
{
    if (!str_starts(text, first_line))
        return false;
    const char *p = text + strlen(first_line);
    while (*p) {
        char line[LINE_MAX_BYTES];
        size_t len = strcspn(p, "\n");
        if (len >= sizeof(line) || p[len] != '\n' || ring->n == KEYS_MAX)
            return false;
        memcpy(line, p, len);
        line[len] = '\0';
        if (!decode_line(line, &ring->keys[ring->n].key))
            return false;
        ring->keys[ring->n++].durable = true;
        p += len + 1;
    }
    cleanup_secret struct buf again = BUF_INIT;
    encode(ring, &again);
    return strcmp(again.data, text) == 0;
}

static int save(struct keyring *ring, struct err *err)
{
    cleanup_secret struct buf text = BUF_INIT;
    encode(ring, &text);
    int rv = file_write(ring->path, text.data, text.len, 0600, err);
    if (rv == 0) {
        ring->on_disk = true;
        ring->stale = false;
    }
    return rv;
}

static int erase(struct keyring *ring, struct err *err)
{
    if (!ring->on_disk)
        return 0;
    if (unlink(ring->path) < 0 && errno != ENOENT)
        return err_errno(err, errno, "remove %s", ring->path);
    int rv = file_sync_dir(ring->dir, err);
    if (rv == 0)
        ring->on_disk = false;
    return rv;
}

int keyring_open(const char *dir, struct keyring **ret_ring, struct err *err)
{
    struct keyring *ring = mem_alloc(1, sizeof(*ring));
    ring->dir = str_copy(dir);
    ring->path = str_printf("%s/cluster.key", dir);
    ring->on_disk = file_exists(ring->path);
    cleanup_secret struct buf text = BUF_INIT;
    int rv = ring->on_disk ? file_read(ring->path, FILE_MAX, &text, err) : 0;
    if (rv == 0 && ring->on_disk &&
        (text.len == 0 || strlen(text.data) != text.len || !decode(text.data, ring)))
        rv = err_set(err, ERR_CORRUPT,
                     "%s is damaged; delete it, and this member gets the key from the others",
                     ring->path);
    if (rv < 0) {
        keyring_free(ring);
        return rv;
    }
    *ret_ring = ring;
    return 0;
}

void keyring_free(struct keyring *ring)
{
    if (!ring)
        return;
    while (ring->n > 0)
        drop(ring, 0);
    free(ring->dir);
    free(ring->path);
    free(ring);
}

/* --- what is held -------------------------------------------------------------------------- */

static bool same_key(const struct seal_key *a, const struct seal_key *b)
{
    return a->generation == b->generation && memcmp(a->bytes, b->bytes, SEAL_KEY_BYTES) == 0;
}

static void make_durable(struct keyring *ring, size_t i)
{
    ring->stale |= !ring->keys[i].durable || !ring->on_disk;
    ring->keys[i].durable = true;
}

int keyring_add(struct keyring *ring, const struct seal_key *key, bool durable, struct err *err)
{
    check(key->generation > 0);
    size_t i = 0;
    while (i < ring->n && !same_key(&ring->keys[i].key, key))
        i++;
    /* The first is the one in use; what was handed out after it may be given up. */
    if (i == KEYS_MAX) {
        ring->stale |= ring->keys[1].durable;
        drop(ring, 1);
    }
    if (i >= ring->n) {
        i = ring->n++;
        ring->keys[i] = (struct held){.key = *key};
    }
    if (!durable)
        return 0;
    make_durable(ring, i);
    return ring->stale ? save(ring, err) : 0;
}

static bool is_key(const struct seal_key *key, int64_t generation, const struct bytes *check)
{
    return key->generation == generation && seal_key_matches(key, check);
}

const struct seal_key *keyring_find(const struct keyring *ring, int64_t generation,
                                    const struct bytes *check)
{
    for (size_t i = 0; i < ring->n; i++)
        if (is_key(&ring->keys[i].key, generation, check))
            return &ring->keys[i].key;
    return NULL;
}

int keyring_keep(struct keyring *ring, int64_t generation, const struct bytes *check, bool durable,
                 struct err *err)
{
    for (size_t i = ring->n; i-- > 0;) {
        struct held *h = &ring->keys[i];
        if (is_key(&h->key, generation, check) && durable) {
            make_durable(ring, i);
        } else if (is_key(&h->key, generation, check)) {
            ring->stale |= h->durable;
            h->durable = false;
        } else if (h->key.generation <= generation) {
            ring->stale |= h->durable;
            drop(ring, i);
        }
    }
    bool any = false;
    for (size_t i = 0; i < ring->n; i++)
        any |= ring->keys[i].durable;
    if (!any)
        return erase(ring, err);
    return ring->stale ? save(ring, err) : 0;
}

int keyring_clear(struct keyring *ring, struct err *err)
{
    while (ring->n > 0)
        drop(ring, 0);
    return erase(ring, err);
}
