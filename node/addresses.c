/* SPDX-License-Identifier: Apache-2.0 */
#include "node/addresses.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/identity.h"
#include "node/book.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/peers.h"

#include <stdlib.h>
#include <string.h>

struct addresses {
    struct daemon *daemon;
    char *dir;               /* of the identity */
    struct peers peers;      /* the members as the file is to have them */
    struct peers stored;     /* as it has them */
    struct peers dialled;    /* those the bus knows: also some that leave */
    struct peers introduced; /* and some that our table does not have yet (introduce.h) */
    bool writing;
    int64_t warn_ms; /* boot time of the next complaint at the earliest */
};

/* --- the file --------------------------------------------------------------------------------- */

struct write_job {
    struct addresses *addresses;
    char *dir;
    struct peers peers;
    struct err err;
};

static void write_work(void *arg)
{
    struct write_job *job = arg;
    job->err.code = 0;
    peers_save(job->dir, &job->peers, &job->err);
}

static void write_if_changed(struct addresses *a);

static void write_done(void *arg)
{
    struct write_job *job = arg;
    struct addresses *a = job->addresses;
    a->writing = false;
    if (job->err.code == 0) {
        record_release(&peers_type, &a->stored);
        a->stored = job->peers;
        write_if_changed(a);
    } else {
        /* The next change of the table tries again. */
        log_warn("members", "the list of members was not written: %s", job->err.msg);
        record_release(&peers_type, &job->peers);
    }
    free(job->dir);
    free(job);
}

static void write_if_changed(struct addresses *a)
{
    struct daemon *d = a->daemon;
    if (a->writing || d->stopping || record_equal(&peers_type, &a->peers, &a->stored))
        return;
    struct write_job *job = mem_alloc(1, sizeof(*job));
    job->addresses = a;
    job->dir = str_copy(a->dir);
    record_copy(&peers_type, &a->peers, &job->peers);
    a->writing = true;
    jobs_run(d->jobs, write_work, write_done, job);
}

/* --- the bus ---------------------------------------------------------------------------------- */

enum {
    PAGE_MAX = 1 << 20, /* bytes of a BUS_BOOK */
    WARN_EVERY_MS = 10000,
};

/* What the bus is told of one member. */
struct dialled {
    char *address[BOOK_ADDRESSES_MAX + 1];
    size_t n;
};

static int64_t highest_id(const struct peers *peers, int64_t self_id)
{
    int64_t id = self_id;
    for (size_t i = 0; i < peers->members_n; i++)
        id = id < peers->members[i].id ? peers->members[i].id : id;
    return id;
}

static void give_to_bus(struct addresses *a, const struct peers *members)
{
    struct daemon *d = a->daemon;
    size_t max = members->members_n + a->introduced.members_n;
    cleanup_free struct known_peer *all = mem_alloc(max, sizeof(*all)); /* shallow */
    struct peers together = {.members = all};
    const struct peers *known = &together;
    for (size_t i = 0; i < members->members_n && !d->is_copy; i++) /* a copy speaks to none */
        all[together.members_n++] = members->members[i];
    int64_t highest = highest_id(members, d->id);
    for (size_t i = 0; i < a->introduced.members_n && together.members_n > 0; i++)
        if (a->introduced.members[i].id > highest)
            all[together.members_n++] = a->introduced.members[i];
    cleanup_free struct bus_peer *peers = mem_alloc(known->members_n + 1, sizeof(*peers));
    cleanup_free struct dialled *dialled = mem_alloc(known->members_n + 1, sizeof(*dialled));
    for (size_t i = 0; i < known->members_n; i++) {
        struct dialled *to = &dialled[i];
        book_addresses(&known->members[i], to->address, &to->n);
        peers[i] = (struct bus_peer){.id = known->members[i].id,
                                     .address = to->n ? to->address[0] : "",
                                     .more = (const char *const *)&to->address[1],
                                     .more_n = to->n ? to->n - 1 : 0,
                                     .public_key = known->members[i].public_key};
    }
    bus_set_peers(d->bus, d->id, peers, known->members_n);
    for (size_t i = 0; i < known->members_n; i++)
        for (size_t k = 0; k < dialled[i].n; k++)
            free(dialled[i].address[k]);
}

/* Take over into @to what members of the same id and key signed. */
static void keep_records(const struct peers *from, struct peers *to)
{
    for (size_t i = 0; i < to->members_n; i++) {
        struct known_peer *p = &to->members[i];
        const struct known_peer *old = peers_find(from, p->id);
        if (!old || old->public_key.len != p->public_key.len ||
            memcmp(old->public_key.data, p->public_key.data, p->public_key.len) != 0)
            continue;
        bytes_set(&p->record, old->record.data, old->record.len);
        bytes_set(&p->signature, old->signature.data, old->signature.len);
    }
}

void addresses_set_members(struct addresses *a, const struct node *nodes, size_t n)
{
    struct peers peers;
    peers_from_nodes(nodes, n, a->daemon->id, &peers);
    keep_records(&a->peers, &peers);
    give_to_bus(a, &peers);
    record_release(&peers_type, &a->dialled);
    a->dialled = peers;
}

void addresses_keep(struct addresses *a, const struct node *nodes, size_t n)
{
    struct peers peers;
    peers_from_nodes(nodes, n, a->daemon->id, &peers);
    keep_records(&a->peers, &peers);
    record_copy(&known_peer_type, &a->peers.self, &peers.self);
    record_release(&peers_type, &a->peers);
    a->peers = peers;
    write_if_changed(a);
}

size_t addresses_introduce(struct addresses *a, const struct peers *members)
{
    struct peers introduced = {0};
    size_t n = members && members->members_n <= PEERS_MAX ? members->members_n : 0;
    size_t before = a->introduced.members_n;
    int64_t highest = highest_id(&a->dialled, a->daemon->id);
    introduced.members = mem_alloc(n, sizeof(*introduced.members));
    for (size_t i = 0; i < n; i++)
        if (members->members[i].id > highest && members->members[i].public_key.len > 0)
            record_copy(&known_peer_type, &members->members[i],
                        &introduced.members[introduced.members_n++]);
    if (introduced.members_n == 0)
        free(steal(&introduced.members));
    bool same = record_equal(&peers_type, &a->introduced, &introduced);
    record_release(&peers_type, &a->introduced);
    a->introduced = introduced;
    if (!same)
        give_to_bus(a, &a->dialled);
    return introduced.members_n > before ? introduced.members_n - before : 0;
}

size_t addresses_ids(const struct addresses *a, int64_t *ids, size_t max)
{
    size_t n = a->dialled.members_n < max ? a->dialled.members_n : max;
    for (size_t i = 0; i < n; i++)
        ids[i] = a->dialled.members[i].id;
    return n;
}

char *addresses_of(const struct addresses *a, int64_t id, const char *fallback)
{
    const struct known_peer *p = peers_find(&a->peers, id);
    char *all[BOOK_ADDRESSES_MAX + 1];
    size_t n = 0;
    if (p)
        book_addresses(p, all, &n);
    for (size_t i = 1; i < n; i++)
        free(all[i]);
    return n ? all[0] : str_copy(str_or_empty(fallback));
}

/* --- what members send each other ------------------------------------------------------------- */

static void add_record(struct book_page *page, const struct known_peer *p)
{
    if (p->record.len > 0)
        page->records[page->records_n++] =
            (struct signed_record){.record = p->record, .signature = p->signature};
}

static void send_page(struct addresses *a, int64_t to, const struct book_page *page)
{
    cleanup_buf struct buf message = BUF_INIT;
    if (page->records_n == 0)
        return;
    record_encode(&book_page_type, page, &message);
    bus_send(a->daemon->bus, to, BUS_BOOK, false, message.data, message.len);
}

void addresses_on_up(struct addresses *a, int64_t id)
{
    cleanup_free struct signed_record *records =
        mem_alloc(a->peers.members_n + 1, sizeof(*records));
    struct book_page page = {.records = records};
    add_record(&page, &a->peers.self);
    for (size_t i = 0; i < a->peers.members_n; i++)
        add_record(&page, &a->peers.members[i]);
    send_page(a, id, &page);
}

/* To all but @but, who has it. */
static void pass_on(struct addresses *a, int64_t but, const struct book_page *page)
{
    for (size_t i = 0; i < a->peers.members_n; i++)
        if (a->peers.members[i].id != but)
            send_page(a, a->peers.members[i].id, page);
}

static bool is_own(const struct addresses *a)
{
    struct whereabouts w;
    struct err err;
    if (a->peers.self.record.len == 0 || book_read(&a->peers.self.record, &w, &err) < 0)
        return false;
    bool own = w.addresses_n == 1 && str_equal(w.addresses[0], a->daemon->address) &&
               w.node_id == a->daemon->id &&
               str_equal(w.cluster, identity_cluster(a->daemon->identity));
    record_release(&whereabouts_type, &w);
    return own;
}

static int64_t own_sequence(const struct addresses *a)
{
    struct whereabouts w;
    struct err err;
    if (a->peers.self.record.len == 0 || book_read(&a->peers.self.record, &w, &err) < 0)
        return 0;
    int64_t sequence = w.sequence;
    record_release(&whereabouts_type, &w);
    return sequence;
}

/* Sign where we are, as newer than @sequence, and tell all. */
static void sign_own(struct addresses *a, int64_t sequence)
{
    struct daemon *d = a->daemon;
    struct signed_record own;
    a->peers.self.id = d->id;
    book_write(d->identity, sequence + 1, d->address, &a->peers.self);
    own.record = a->peers.self.record;
    own.signature = a->peers.self.signature;
    pass_on(a, 0, &(struct book_page){.records = &own, .records_n = 1});
    write_if_changed(a);
}

/* A record of ours came back. We have none, or an older one, when our list was lost: the next we
 * sign must be newer than what the others hold. */
static int offer_own(struct addresses *a, const struct signed_record *offered, struct err *err)
{
    a->peers.self.id = a->daemon->id;
    const struct bytes *key = identity_public_key(a->daemon->identity);
    bytes_set(&a->peers.self.public_key, key->data, key->len);
    int rv = book_offer(&a->peers.self, identity_cluster(a->daemon->identity), offered, err);
    bytes_set(&a->peers.self.public_key, NULL, 0);
    if (rv == 1 && !is_own(a))
        sign_own(a, own_sequence(a));
    return rv < 0 ? rv : 0;
}

static int offer(struct addresses *a, const struct signed_record *offered, struct err *err)
{
    struct whereabouts w;
    int rv = book_read(&offered->record, &w, err);
    if (rv < 0)
        return rv;
    int64_t id = w.node_id;
    record_release(&whereabouts_type, &w);
    if (id == a->daemon->id)
        return offer_own(a, offered, err);
    struct known_peer *p = peers_find(&a->peers, id);
    /* One that joined a moment ago is not in our table yet: it will send it again. */
    return p ? book_offer(p, identity_cluster(a->daemon->identity), offered, err) : 0;
}

void addresses_on_message(struct addresses *a, int64_t from, const void *data, size_t len)
{
    struct book_page page = {0};
    struct err err = {0};
    int rv = len > PAGE_MAX ? err_set(&err, ERR_TOOBIG, "more than %d bytes of addresses", PAGE_MAX)
                            : record_decode(&book_page_type, data, len, false, &page, &err);
    cleanup_free struct signed_record *fresh = mem_alloc(page.records_n + 1, sizeof(*fresh));
    struct book_page news = {.records = fresh};
    for (size_t i = 0; i < page.records_n; i++) {
        struct err bad;
        int taken = offer(a, &page.records[i], &bad);
        if (taken == 1)
            fresh[news.records_n++] = page.records[i];
        else if (taken < 0 && rv == 0)
            rv = (err = bad).code;
        if (taken < 0)
            break; /* who sends one such may send many: each costs the check of a signature */
    }
    int64_t now = clock_boot_ms();
    if (rv < 0 && now >= a->warn_ms) {
        a->warn_ms = now + WARN_EVERY_MS;
        log_warn("members", "n%lld sent addresses that are not believed: %s", (long long)from,
                 err.msg);
    }
    if (news.records_n > 0) {
        keep_records(&a->peers, &a->dialled);
        give_to_bus(a, &a->dialled);
        pass_on(a, from, &news);
        write_if_changed(a);
    }
    record_release(&book_page_type, &page);
}

/* --- life ------------------------------------------------------------------------------------- */

struct addresses *addresses_new(struct daemon *d)
{
    struct addresses *a = mem_alloc(1, sizeof(*a));
    struct err err;
    a->daemon = d;
    a->dir = str_printf("%s/identity", d->data_dir);
    int rv = peers_load(a->dir, &a->stored, &err);
    if (rv == 0) {
        record_copy(&peers_type, &a->stored, &a->peers);
        record_copy(&peers_type, &a->stored, &a->dialled);
        give_to_bus(a, &a->dialled);
    } else if (rv != ERR_NOTFOUND) {
        log_warn("members", "the list of members cannot be used: %s", err.msg);
    }
    if (!is_own(a)) {
        if (a->peers.self.record.len > 0)
            log_info("members", "this machine has a new address: %s", d->address);
        sign_own(a, own_sequence(a));
    }
    return a;
}

void addresses_free(struct addresses *a)
{
    if (!a)
        return;
    record_release(&peers_type, &a->peers);
    record_release(&peers_type, &a->stored);
    record_release(&peers_type, &a->dialled);
    free(a->dir);
    free(a);
}
