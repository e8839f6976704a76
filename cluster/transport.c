/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/transport.h"

#include "cluster/entry.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum {
    MAGIC = 0x31524857, /* "WHR1" */
    ENTRY_HEAD_BYTES = 16,
    CONFIGURATION_FORMAT = 1, /* libraft's */
};

/* Terms and indexes past this are refused, so that no sum of two overflows. */
static const uint64_t NUMBER_MAX = (uint64_t)1 << 62;

enum {
    FLAG_DISRUPT_LEADER = 1,
    FLAG_PRE_VOTE = 2
};

static void put(struct buf *out, uint64_t v)
{
    buf_put_u64(out, v);
}

static void encode_append(const struct raft_append_entries *p, unsigned n, struct buf *out)
{
    check(n <= p->n_entries);
    raft_index proven = p->prev_log_index + n;
    put(out, p->term);
    put(out, p->prev_log_index);
    put(out, p->prev_log_term);
    put(out, p->leader_commit < proven ? p->leader_commit : proven);
    put(out, n);
    for (unsigned i = 0; i < n; i++) {
        put(out, p->entries[i].term);
        buf_put_u32(out, p->entries[i].type);
        buf_put_u32(out, (unsigned)p->entries[i].buf.len);
    }
    for (unsigned i = 0; i < n; i++)
        buf_append(out, p->entries[i].buf.base, p->entries[i].buf.len);
}

static void encode_snapshot(const struct raft_install_snapshot *p, struct buf *out)
{
    struct raft_buffer configuration;
    check(raft_configuration_encode(&p->conf, &configuration) == 0);
    put(out, p->term);
    put(out, p->last_index);
    put(out, p->last_term);
    put(out, p->conf_index);
    put(out, configuration.len);
    buf_append(out, configuration.base, configuration.len);
    buf_append(out, p->data.base, p->data.len);
    raft_free(configuration.base);
}

void transport_encode(const struct raft_message *message, unsigned n_entries, struct buf *out)
{
    buf_put_u32(out, MAGIC);
    buf_put_u32(out, TRANSPORT_VERSION);
    buf_put_u32(out, message->type);
    buf_put_u32(out, 0);
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        encode_append(&message->append_entries, n_entries, out);
        break;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        put(out, message->append_entries_result.term);
        put(out, message->append_entries_result.rejected);
        put(out, message->append_entries_result.last_log_index);
        break;
    case RAFT_IO_REQUEST_VOTE:
        put(out, message->request_vote.term);
        put(out, message->request_vote.candidate_id);
        put(out, message->request_vote.last_log_index);
        put(out, message->request_vote.last_log_term);
        put(out, (message->request_vote.disrupt_leader ? (uint64_t)FLAG_DISRUPT_LEADER : 0) |
                     (message->request_vote.pre_vote ? (uint64_t)FLAG_PRE_VOTE : 0));
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        put(out, message->request_vote_result.term);
        put(out, message->request_vote_result.vote_granted);
        put(out, message->request_vote_result.pre_vote);
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        encode_snapshot(&message->install_snapshot, out);
        break;
    case RAFT_IO_TIMEOUT_NOW:
        put(out, message->timeout_now.term);
        put(out, message->timeout_now.last_log_index);
        put(out, message->timeout_now.last_log_term);
        break;
    default:
        check(!"a type of message that raft does not have");
    }
}

/* What is left to read; @bad once something did not fit. */
struct reader {
    const unsigned char *p;
    size_t left;
    bool bad;
};

static const unsigned char *take(struct reader *r, size_t n)
{
    if (r->bad || r->left < n) {
        r->bad = true;
        return NULL;
    }
    const unsigned char *p = r->p;
    r->p += n;
    r->left -= n;
    return p;
}

static uint32_t get_u32(struct reader *r)
{
    const unsigned char *p = take(r, 4);
    uint32_t v = 0;
    if (p)
        memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t get_u64(struct reader *r)
{
    const unsigned char *p = take(r, 8);
    uint64_t v = 0;
    if (p)
        memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

/* A term or an index. */
static uint64_t get_number(struct reader *r)
{
    uint64_t v = get_u64(r);
    if (v > NUMBER_MAX)
        r->bad = true;
    return v;
}

static uint64_t get_at_most(struct reader *r, uint64_t max)
{
    uint64_t v = get_u64(r);
    if (v > max)
        r->bad = true;
    return v;
}

static int decode_server(struct reader *r, struct raft_configuration *configuration)
{
    uint64_t id = get_u64(r);
    size_t address_len = r->bad ? 0 : strnlen((const char *)r->p, r->left);
    if (address_len > TRANSPORT_ADDRESS_MAX)
        return -1;
    const char *address = (const char *)take(r, address_len + 1);
    const unsigned char *role = take(r, 1);
    if (r->bad || !address || !role || id == 0 || id > INT64_MAX || *role > RAFT_SPARE)
        return -1;
    return raft_configuration_add(configuration, id, address, *role);
}

int transport_decode_configuration(const void *data, size_t len,
                                   struct raft_configuration *ret_configuration, struct err *err)
{
    struct reader r = {.p = data, .left = len};
    const unsigned char *format = take(&r, 1);
    uint64_t n = get_at_most(&r, TRANSPORT_SERVERS_MAX);
    if (r.bad || !format || *format != CONFIGURATION_FORMAT || n == 0)
        return err_set(err, ERR_CORRUPT, "raft configuration of %zu bytes is damaged", len);
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int rv = 0;
    for (uint64_t i = 0; rv == 0 && i < n; i++)
        rv = decode_server(&r, &configuration);
    if (rv != 0 || r.left > 7) {
        raft_configuration_close(&configuration);
        return err_set(err, ERR_CORRUPT, "raft configuration of %llu servers is damaged",
                       (unsigned long long)n);
    }
    *ret_configuration = configuration;
    return 0;
}

void transport_copy_configuration(const struct raft_configuration *from,
                                  struct raft_configuration *ret_to)
{
    raft_configuration_init(ret_to);
    for (unsigned i = 0; i < from->n; i++)
        check(raft_configuration_add(ret_to, from->servers[i].id, from->servers[i].address,
                                     from->servers[i].role) == 0);
}

/* An entry that apply would choke on is not even appended. One of a later version is: the member
 * must stop at it and be upgraded. */
static int check_payload(uint32_t type, const void *p, size_t len, struct err *err)
{
    const void *payload;
    size_t payload_len;
    if (type == RAFT_COMMAND)
        return entry_decode(p, len, &payload, &payload_len, err) == ERR_CORRUPT ? ERR_CORRUPT : 0;
    struct raft_configuration configuration;
    if (type == RAFT_CHANGE) {
        if (transport_decode_configuration(p, len, &configuration, err) < 0)
            return ERR_CORRUPT;
        raft_configuration_close(&configuration);
    }
    return 0;
}

/* Check the heads of @n entries and that their bytes are exactly what is left after them. */
static int check_entries(struct reader r, uint64_t n, raft_term term, struct err *err)
{
    const unsigned char *heads = take(&r, (size_t)n * ENTRY_HEAD_BYTES);
    struct reader head = {.p = heads, .left = (size_t)n * ENTRY_HEAD_BYTES, .bad = !heads};
    for (uint64_t i = 0; i < n && !r.bad; i++) {
        uint64_t entry_term = get_u64(&head);
        uint32_t type = get_u32(&head), len = get_u32(&head);
        const unsigned char *p = take(&r, len);
        if (r.bad || entry_term == 0 || entry_term > term || type < RAFT_COMMAND ||
            type > RAFT_CHANGE || len == 0 || len % 8 != 0 || len > TRANSPORT_ENTRY_BYTES_MAX)
            return err_set(err, ERR_CORRUPT, "entry %llu of %llu is damaged", (unsigned long long)i,
                           (unsigned long long)n);
        if (check_payload(type, p, len, err) < 0)
            return ERR_CORRUPT;
    }
    if (r.bad || r.left != 0)
        return err_set(err, ERR_CORRUPT, "the entries do not fill the message exactly");
    return 0;
}

static int decode_append(struct reader *r, struct raft_append_entries *p, struct err *err)
{
    p->term = get_number(r);
    p->prev_log_index = get_number(r);
    p->prev_log_term = get_number(r);
    p->leader_commit = get_number(r);
    uint64_t n = get_at_most(r, r->left / ENTRY_HEAD_BYTES);
    if (r->bad || p->term == 0 || p->prev_log_term > p->term ||
        (p->prev_log_index == 0) != (p->prev_log_term == 0))
        return err_set(err, ERR_CORRUPT, "AppendEntries has impossible numbers");
    if (p->leader_commit > p->prev_log_index + n)
        return err_set(err, ERR_CORRUPT, "AppendEntries commits past what it holds");
    if (check_entries(*r, n, p->term, err) < 0)
        return ERR_CORRUPT;
    if (n == 0)
        return 0;
    struct reader heads = *r;
    take(r, (size_t)n * ENTRY_HEAD_BYTES);
    /* libraft frees one block for all entries of a message: the batch. */
    char *batch = raft_malloc(r->left);
    p->entries = raft_calloc((size_t)n, sizeof(*p->entries));
    check(batch && p->entries);
    memcpy(batch, r->p, r->left);
    p->n_entries = (unsigned)n;
    size_t at = 0;
    for (uint64_t i = 0; i < n; i++) {
        struct raft_entry *entry = &p->entries[i];
        entry->term = get_u64(&heads);
        entry->type = (unsigned short)get_u32(&heads);
        entry->buf.len = get_u32(&heads);
        entry->buf.base = batch + at;
        entry->batch = batch;
        at += entry->buf.len;
    }
    take(r, r->left);
    return 0;
}

static int decode_snapshot(struct reader *r, struct raft_install_snapshot *p, struct err *err)
{
    p->term = get_number(r);
    p->last_index = get_number(r);
    p->last_term = get_number(r);
    p->conf_index = get_number(r);
    uint64_t len = get_at_most(r, r->left);
    const unsigned char *configuration = take(r, (size_t)len);
    if (r->bad || !configuration || p->term == 0 || p->last_index == 0 || p->last_term == 0 ||
        p->last_term > p->term || p->conf_index == 0 || p->conf_index > p->last_index ||
        r->left == 0)
        return err_set(err, ERR_CORRUPT, "InstallSnapshot has impossible numbers");
    if (transport_decode_configuration(configuration, (size_t)len, &p->conf, err) < 0)
        return ERR_CORRUPT;
    p->data.len = r->left;
    p->data.base = raft_malloc(r->left);
    check(p->data.base);
    memcpy(p->data.base, r->p, r->left);
    take(r, r->left);
    return 0;
}

static void decode_vote(struct reader *r, struct raft_request_vote *p)
{
    p->term = get_number(r);
    p->candidate_id = get_number(r);
    p->last_log_index = get_number(r);
    p->last_log_term = get_number(r);
    uint64_t flags = get_at_most(r, FLAG_DISRUPT_LEADER | FLAG_PRE_VOTE);
    p->disrupt_leader = flags & FLAG_DISRUPT_LEADER;
    p->pre_vote = flags & FLAG_PRE_VOTE;
    if (p->term == 0 || p->candidate_id == 0)
        r->bad = true;
}

static int decode_body(struct reader *r, struct raft_message *m, struct err *err)
{
    switch (m->type) {
    case RAFT_IO_APPEND_ENTRIES:
        return decode_append(r, &m->append_entries, err);
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        m->append_entries_result.term = get_number(r);
        m->append_entries_result.rejected = get_number(r);
        m->append_entries_result.last_log_index = get_number(r);
        return 0;
    case RAFT_IO_REQUEST_VOTE:
        decode_vote(r, &m->request_vote);
        return 0;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        m->request_vote_result.term = get_number(r);
        m->request_vote_result.vote_granted = get_at_most(r, 1) == 1;
        m->request_vote_result.pre_vote = (raft_tribool)get_at_most(r, raft_tribool_false);
        return 0;
    case RAFT_IO_INSTALL_SNAPSHOT:
        return decode_snapshot(r, &m->install_snapshot, err);
    case RAFT_IO_TIMEOUT_NOW:
        m->timeout_now.term = get_number(r);
        m->timeout_now.last_log_index = get_number(r);
        m->timeout_now.last_log_term = get_number(r);
        return 0;
    default:
        return err_set(err, ERR_CORRUPT, "raft has no message of type %d", m->type);
    }
}

int transport_decode(const void *data, size_t len, struct raft_message *ret_message,
                     struct err *err)
{
    struct reader r = {.p = data, .left = len};
    uint32_t magic = get_u32(&r), version = get_u32(&r), type = get_u32(&r), zero = get_u32(&r);
    if (r.bad || magic != MAGIC || zero != 0 || type > RAFT_IO_TIMEOUT_NOW)
        return err_set(err, ERR_CORRUPT, "%zu bytes are no raft message", len);
    if (version != TRANSPORT_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "raft message has version %u and this build knows %d: upgrade the older one",
                       version, TRANSPORT_VERSION);
    struct raft_message message;
    memset(&message, 0, sizeof(message));
    message.type = (unsigned short)type;
    int rv = decode_body(&r, &message, err);
    if (rv < 0)
        return rv;
    if (r.bad || r.left != 0) {
        transport_release(&message);
        return err_set(err, ERR_CORRUPT, "raft message of type %u and %zu bytes is damaged", type,
                       len);
    }
    *ret_message = message;
    return 0;
}

void transport_release(struct raft_message *message)
{
    if (message->type == RAFT_IO_APPEND_ENTRIES && message->append_entries.entries) {
        raft_free(message->append_entries.entries[0].batch);
        raft_free(message->append_entries.entries);
        message->append_entries.entries = NULL;
        message->append_entries.n_entries = 0;
    }
    if (message->type == RAFT_IO_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    }
}
