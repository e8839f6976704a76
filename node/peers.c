/* SPDX-License-Identifier: Apache-2.0 */
#include "node/peers.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/model.h"

#include <string.h>

enum {
    VERSION = 1,
    HEADER_BYTES = 4 + 4 + 8 + DIGEST_BYTES,
};

static const char magic[4] = {'W', 'H', 'P', '1'};

static const struct field known_peer_fields[] = {
    FIELD_INT(struct known_peer, id),         FIELD_STRING(struct known_peer, name),
    FIELD_STRING(struct known_peer, address), FIELD_BYTES(struct known_peer, public_key),
    FIELD_BYTES(struct known_peer, record),   FIELD_BYTES(struct known_peer, signature),
};
const struct record_type known_peer_type =
    RECORD_TYPE("known_peer", struct known_peer, known_peer_fields);

static const struct field peers_fields[] = {
    FIELD_LIST(struct peers, members, known_peer_type),
    FIELD_RECORD(struct peers, self, known_peer_type),
};
const struct record_type peers_type = RECORD_TYPE("peers", struct peers, peers_fields);

void peers_from_nodes(const struct node *nodes, size_t n, int64_t self_id, struct peers *ret_peers)
{
    *ret_peers = (struct peers){.members = mem_alloc(n, sizeof(*ret_peers->members))};
    for (size_t i = 0; i < n && ret_peers->members_n < PEERS_MAX; i++) {
        if (nodes[i].id == self_id)
            continue;
        struct known_peer *p = &ret_peers->members[ret_peers->members_n++];
        p->id = nodes[i].id;
        p->name = str_copy(str_or_empty(nodes[i].name));
        p->address = str_copy(str_or_empty(nodes[i].address));
        bytes_set(&p->public_key, nodes[i].public_key.data, nodes[i].public_key.len);
    }
}

struct known_peer *peers_find(const struct peers *peers, int64_t id)
{
    for (size_t i = 0; i < peers->members_n; i++)
        if (peers->members[i].id == id)
            return &peers->members[i];
    return NULL;
}

void peers_encode(const struct peers *peers, struct buf *out)
{
    cleanup_buf struct buf record = BUF_INIT;
    unsigned char hash[DIGEST_BYTES];
    record_encode(&peers_type, peers, &record);
    digest_of(record.data, record.len, hash);
    buf_append(out, magic, sizeof(magic));
    buf_put_u32(out, VERSION);
    buf_put_u64(out, record.len);
    buf_append(out, hash, sizeof(hash));
    buf_append(out, record.data, record.len);
}

static uint64_t get_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

int peers_decode(const void *data, size_t len, struct peers *ret_peers, struct err *err)
{
    const unsigned char *p = data;
    unsigned char hash[DIGEST_BYTES];
    if (len < HEADER_BYTES || memcmp(p, magic, sizeof(magic)) != 0)
        return err_set(err, ERR_CORRUPT, "it is no list of members");
    if (get_le(p + 4, 4) != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "it is of a later version");
    if (get_le(p + 8, 8) != len - HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "it was cut short");
    digest_of(p + HEADER_BYTES, len - HEADER_BYTES, hash);
    if (memcmp(hash, p + 16, sizeof(hash)) != 0)
        return err_set(err, ERR_CORRUPT, "its checksum is wrong");
    struct peers peers;
    int rv = record_decode(&peers_type, p + HEADER_BYTES, len - HEADER_BYTES, false, &peers, err);
    if (rv < 0)
        return rv;
    if (peers.members_n > PEERS_MAX) {
        record_release(&peers_type, &peers);
        return err_set(err, ERR_CORRUPT, "it has more than %d members", PEERS_MAX);
    }
    *ret_peers = peers;
    return 0;
}

int peers_load(const char *dir, struct peers *ret_peers, struct err *err)
{
    cleanup_free char *path = str_printf("%s/peers", dir);
    cleanup_buf struct buf data = BUF_INIT;
    int rv = file_read(path, PEERS_FILE_MAX, &data, err);
    if (rv == 0 && (rv = peers_decode(data.data, data.len, ret_peers, err)) < 0)
        err_wrap(err, "%s", path);
    return rv;
}

int peers_save(const char *dir, const struct peers *peers, struct err *err)
{
    cleanup_free char *path = str_printf("%s/peers", dir);
    cleanup_buf struct buf data = BUF_INIT;
    peers_encode(peers, &data);
    if (data.len > PEERS_FILE_MAX)
        return err_set(err, ERR_TOOBIG, "%s would have more than %d bytes", path, PEERS_FILE_MAX);
    return file_write(path, data.data, data.len, 0600, err);
}
