/* SPDX-License-Identifier: Apache-2.0 */
#include "node/book.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/address.h"
#include "cluster/identity.h"
#include "cluster/signature.h"

#include <inttypes.h>
#include <string.h>

static const char word[] = "wherry address 1";

static const struct field whereabouts_fields[] = {
    FIELD_STRING(struct whereabouts, cluster),
    FIELD_INT(struct whereabouts, node_id),
    FIELD_INT(struct whereabouts, sequence),
    FIELD_STRINGS(struct whereabouts, addresses),
};
const struct record_type whereabouts_type =
    RECORD_TYPE("whereabouts", struct whereabouts, whereabouts_fields);

static const struct field signed_record_fields[] = {
    FIELD_BYTES(struct signed_record, record),
    FIELD_BYTES(struct signed_record, signature),
};
static const struct record_type signed_record_type =
    RECORD_TYPE("signed_record", struct signed_record, signed_record_fields);

static const struct field book_page_fields[] = {
    FIELD_LIST(struct book_page, records, signed_record_type),
};
const struct record_type book_page_type =
    RECORD_TYPE("book_page", struct book_page, book_page_fields);

static int check_addresses(const struct whereabouts *w, struct err *err)
{
    if (w->addresses_n == 0 || w->addresses_n > BOOK_ADDRESSES_MAX)
        return err_set(err, ERR_CORRUPT, "a record of addresses has %zu of them", w->addresses_n);
    for (size_t i = 0; i < w->addresses_n; i++) {
        struct address split;
        union socket_address sa;
        if (address_split(str_or_empty(w->addresses[i]), NULL, &split, err) < 0 ||
            address_numeric(&split, &sa, err) < 0)
            return err_set(err, ERR_CORRUPT, "a record of addresses has one that is none");
    }
    return 0;
}

int book_read(const struct bytes *record, struct whereabouts *ret, struct err *err)
{
    struct whereabouts w;
    if (record->len > BOOK_RECORD_MAX)
        return err_set(err, ERR_TOOBIG, "a record of addresses has more than %d bytes",
                       BOOK_RECORD_MAX);
    int rv = record_decode(&whereabouts_type, record->data, record->len, false, &w, err);
    if (rv < 0)
        return rv;
    if (w.node_id <= 0 || w.sequence <= 0 || w.sequence == INT64_MAX)
        rv = err_set(err, ERR_CORRUPT, "a record of addresses is of no member");
    else
        rv = check_addresses(&w, err);
    if (rv < 0)
        record_release(&whereabouts_type, &w);
    else
        *ret = w;
    return rv;
}

void book_write(const struct identity *identity, int64_t sequence, const char *address,
                struct known_peer *self)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct whereabouts w = {.cluster = (char *)(uintptr_t)identity_cluster(identity),
                            .node_id = identity_node_id(identity),
                            .sequence = sequence,
                            .addresses = (char *[]){(char *)(uintptr_t)address},
                            .addresses_n = 1};
    record_encode(&whereabouts_type, &w, &out);
    bytes_set(&self->record, out.data, out.len);
    signature_make(identity, word, out.data, out.len, &self->signature);
}

/* As memcmp, a prefix before what it begins. */
static int compare_bytes(const struct bytes *a, const struct bytes *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int rv = n ? memcmp(a->data, b->data, n) : 0;
    return rv ? rv : (a->len > b->len) - (a->len < b->len);
}

static bool is_newer(const struct known_peer *peer, const struct whereabouts *w,
                     const struct bytes *record)
{
    struct whereabouts held;
    struct err err;
    if (peer->record.len == 0 || book_read(&peer->record, &held, &err) < 0)
        return true;
    bool newer = w->sequence > held.sequence ||
                 (w->sequence == held.sequence && compare_bytes(record, &peer->record) > 0);
    record_release(&whereabouts_type, &held);
    return newer;
}

int book_offer(struct known_peer *peer, const char *cluster, const struct signed_record *offered,
               struct err *err)
{
    struct whereabouts w;
    int rv = book_read(&offered->record, &w, err);
    if (rv < 0)
        return rv;
    if (w.node_id != peer->id || !str_equal(w.cluster, cluster))
        rv = err_set(err, ERR_DENIED, "a record of addresses is of another member or cluster");
    else if (!is_newer(peer, &w, &offered->record))
        rv = 0;
    else if (!signature_is_good(&peer->public_key, word, offered->record.data, offered->record.len,
                                &offered->signature))
        rv = err_set(err, ERR_DENIED, "a record of addresses is not signed by n%" PRId64, peer->id);
    else
        rv = 1;
    record_release(&whereabouts_type, &w);
    if (rv == 1) {
        bytes_set(&peer->record, offered->record.data, offered->record.len);
        bytes_set(&peer->signature, offered->signature.data, offered->signature.len);
    }
    return rv;
}

static void add(const char *address, char *ret[], size_t *n)
{
    if (!*str_or_empty(address))
        return;
    for (size_t i = 0; i < *n; i++)
        if (strcmp(ret[i], address) == 0)
            return;
    ret[(*n)++] = str_copy(address);
}

void book_addresses(const struct known_peer *peer, char *ret[BOOK_ADDRESSES_MAX + 1], size_t *ret_n)
{
    struct whereabouts w;
    struct err err;
    *ret_n = 0;
    if (peer->record.len > 0 && book_read(&peer->record, &w, &err) == 0) {
        for (size_t i = 0; i < w.addresses_n; i++)
            add(w.addresses[i], ret, ret_n);
        record_release(&whereabouts_type, &w);
    }
    add(peer->address, ret, ret_n);
}
