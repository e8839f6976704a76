/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what another member says of addresses, or as the file of the members. The first byte
 * picks: a record, whose signature is made to be good; a record and a signature; a whole page; the
 * file. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "cluster/signature.h"
#include "node/book.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char uuid[] = "6f9619ff8b864d11b42d00c04fc964ff";

/* A member, made once. */
static struct identity *member(void)
{
    static struct identity *id;
    if (id)
        return id;
    char dir[] = "/tmp/wherry-fuzz-XXXXXX";
    struct err err;
    check(mkdtemp(dir) && identity_open(dir, &id, &err) == 0 && identity_make_ca(id, &err) == 0 &&
          identity_set_member(id, uuid, 2, &err) == 0);
    check(file_remove_tree(dir, &err) == 0);
    return id;
}

static void offer(const uint8_t *record, size_t len, const uint8_t *signature, size_t signature_len)
{
    struct known_peer p = {.id = 2, .public_key = *identity_public_key(member())};
    struct signed_record r = {0};
    struct err err;
    bytes_set(&r.record, record, len);
    if (signature)
        bytes_set(&r.signature, signature, signature_len);
    else
        signature_make(member(), "wherry address 1", record, len, &r.signature);
    int rv = book_offer(&p, uuid, &r, &err);
    check(rv <= 1 && (rv == 1) == (p.record.len > 0));
    if (rv == 1) {
        char *all[BOOK_ADDRESSES_MAX + 1];
        size_t n;
        book_addresses(&p, all, &n);
        check(n >= 1 && n <= BOOK_ADDRESSES_MAX);
        for (size_t i = 0; i < n; i++)
            free(all[i]);
        check(book_offer(&p, uuid, &r, &err) == 0); /* once is enough */
    }
    bytes_set(&p.record, NULL, 0);
    bytes_set(&p.signature, NULL, 0);
    bytes_set(&r.record, NULL, 0);
    bytes_set(&r.signature, NULL, 0);
}

static void as_page(const uint8_t *data, size_t size)
{
    struct book_page page;
    struct err err;
    if (record_decode(&book_page_type, data, size, false, &page, &err) < 0)
        return;
    for (size_t i = 0; i < page.records_n && i < 8; i++)
        offer(page.records[i].record.data, page.records[i].record.len,
              page.records[i].signature.data, page.records[i].signature.len);
    record_release(&book_page_type, &page);
}

static void as_file(const uint8_t *data, size_t size)
{
    struct peers peers;
    struct err err;
    if (peers_decode(data, size, &peers, &err) < 0)
        return;
    cleanup_buf struct buf again = BUF_INIT;
    peers_encode(&peers, &again);
    record_release(&peers_type, &peers);
    check(peers_decode(again.data, again.len, &peers, &err) == 0);
    record_release(&peers_type, &peers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t half = data[1] < size - 2 ? data[1] : size - 2;
    switch (data[0] % 4) {
    case 0:
        offer(data + 2, size - 2, NULL, 0);
        break;
    case 1:
        offer(data + 2, half, data + 2 + half, size - 2 - half);
        break;
    case 2:
        as_page(data + 2, size - 2);
        break;
    case 3:
        as_file(data + 2, size - 2);
        break;
    default:
        break;
    }
    return 0;
}
