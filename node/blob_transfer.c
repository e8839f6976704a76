/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob_transfer - a blob from the members that have it: pieces from several at once, the digest of
 * the whole, and who is to blame when it is wrong.
 *
 *     get all pieces ──► digest right ──► done
 *                        digest wrong ──► all of one member? it is banned, once more from others
 *                                         else one member sends what is of others (solo): where it
 *                                         is right, who sent something else is banned, else it is
 */
#include "node/blobs_get.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/blob_verbs.h"
#include "node/blobs.h"
#include "runtime/image_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    READ_MS = 10000,  /* a call's time-out; the plan gives up earlier */
    SEARCH_MS = 2000, /* between looks for more members that have it */
    ATTEMPTS_MAX = 6, /* to get a blob whose digest is right */
};

struct transfer {
    struct blobs *blobs;
    struct blob_search *search;
    struct exchange *exchange;
    struct blob_plan plan;
    int fd;
    peers_progress_cb progress;
    void *progress_arg;
    struct digest *hash; /* of the first @hashed bytes; NULL: they were changed since */
    int64_t hashed;
    int64_t searched_ms;
    bool doubt;                   /* the whole was wrong: what is there is worth nothing */
    bool differs[BLOB_PEERS_MAX]; /* by place in the plan: a solo replaced pieces by others */
    struct buf block;
};

static struct blob_holder *holder(const struct transfer *t, int64_t id)
{
    for (size_t i = 0; i < t->search->holders_n; i++)
        if (t->search->holders[i].id == id)
            return &t->search->holders[i];
    return NULL;
}

static const char *name_of(const struct transfer *t, int64_t id)
{
    const struct blob_holder *h = holder(t, id);
    return h ? h->name : "a member";
}

static void add_holders(struct transfer *t)
{
    for (size_t i = 0; i < t->search->holders_n; i++)
        if (t->search->holders[i].size == t->plan.size)
            blob_plan_add(&t->plan, t->search->holders[i].id);
}

/* --- the file --------------------------------------------------------------------------------- */

static int read_at(struct transfer *t, int64_t offset, size_t len, struct err *err)
{
    buf_reset(&t->block);
    char *to = buf_reserve(&t->block, len);
    for (size_t got = 0; got < len;) {
        ssize_t n = pread(t->fd, to + got, len - got, offset + (int64_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, n < 0 ? errno : EIO, "read a blob that arrives");
        got += (size_t)n;
    }
    t->block.len = len;
    return 0;
}

static int write_at(struct transfer *t, int64_t offset, const unsigned char *data, size_t len,
                    struct err *err)
{
    for (size_t put = 0; put < len;) {
        ssize_t n = pwrite(t->fd, data + put, len - put, offset + (int64_t)put);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "write a blob that arrives");
        put += (size_t)n;
    }
    return 0;
}

/* Hash on as far as there is no gap. */
static int hash_on(struct transfer *t, struct err *err)
{
    int64_t end = blob_plan_prefix(&t->plan);
    while (t->hash && t->hashed < end) {
        size_t len = end - t->hashed < BLOB_PIECE ? (size_t)(end - t->hashed) : BLOB_PIECE;
        int rv = read_at(t, t->hashed, len, err);
        if (rv < 0)
            return rv;
        digest_update(t->hash, t->block.data, len);
        t->hashed += (int64_t)len;
    }
    return 0;
}

static void hash_anew(struct transfer *t)
{
    digest_free(t->hash);
    t->hash = digest_new();
    t->hashed = 0;
}

/* Is the whole what it should be? The hash begins anew afterwards. */
static int check_whole(struct transfer *t, bool *ret_right, struct err *err)
{
    char text[2 * DIGEST_BYTES + 1];
    unsigned char raw[DIGEST_BYTES];
    int rv = hash_on(t, err);
    if (rv < 0)
        return rv;
    digest_final(steal(&t->hash), raw);
    hex_encode(raw, sizeof(raw), text);
    *ret_right = strcmp(text, t->search->digest + strlen("sha256:")) == 0;
    hash_anew(t);
    return 0;
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* In place of one of another member: do they differ? */
static int compare(struct transfer *t, const struct blob_place *place, const unsigned char *data,
                   struct err *err)
{
    int rv = read_at(t, place->offset, place->len, err);
    if (rv < 0 || memcmp(t->block.data, data, place->len) == 0)
        return rv;
    for (size_t i = 0; i < t->plan.peers_n; i++)
        if (t->plan.peers[i].id == place->before)
            t->differs[i] = true;
    return 0;
}

static int take_piece(struct transfer *t, uint64_t tag, const unsigned char *data, struct err *err)
{
    struct blob_place place;
    int rv = 0;
    if (!blob_plan_done(&t->plan, tag, &place))
        return 0;
    if (place.before)
        rv = compare(t, &place, data, err);
    if (rv == 0)
        rv = write_at(t, place.offset, data, place.len, err);
    return rv < 0 ? rv : hash_on(t, err);
}

static enum blob_failure failure_of(int code)
{
    if (code == ERR_BUSY)
        return BLOB_BUSY;
    if (code == ERR_NOTFOUND || code == ERR_UNKNOWN || code == ERR_UNSUPPORTED ||
        code == ERR_DENIED)
        return BLOB_GONE;
    return BLOB_LOST;
}

static int take_answer(struct transfer *t, const struct exchange_answer *a, struct err *err)
{
    struct blob_read_reply reply = {0};
    struct err why = a->err;
    size_t len = blob_plan_expects(&t->plan, a->tag);
    int rv = 0;
    mem_reuse();
    if (why.code == 0)
        record_decode(&blob_read_reply_type, a->body.data, a->body.len, false, &reply, &why);
    if (why.code == 0 && reply.data.len == len)
        rv = len ? take_piece(t, a->tag, reply.data.data, err) : 0;
    else
        blob_plan_failed(&t->plan, a->tag, why.code ? failure_of(why.code) : BLOB_GONE,
                         clock_boot_ms());
    record_release(&blob_read_reply_type, &reply);
    return rv;
}

static void ask_pieces(struct transfer *t)
{
    struct blob_question q;
    while (blob_plan_next(&t->plan, clock_boot_ms(), &q)) {
        struct blob_read_request request = {.digest = (char *)(uintptr_t)t->search->digest,
                                            .offset = q.offset,
                                            .len = (int64_t)q.len};
        exchange_ask(t->exchange, q.to, q.tag, "blob.read", &blob_read_request_type, &request,
                     READ_MS);
    }
}

/* --- getting it ------------------------------------------------------------------------------- */

/* "n2, n3": whose pieces are on their way. */
static void put_names(const struct transfer *t, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < t->plan.peers_n && n + 1 < size; i++)
        if (t->plan.peers[i].in_flight > 0)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "",
                                  name_of(t, t->plan.peers[i].id));
}

static bool tell(struct transfer *t)
{
    char names[128];
    put_names(t, names, sizeof(names));
    return t->progress(t->progress_arg, blob_plan_bytes(&t->plan), names);
}

/* Others may have it by now. */
static void search_again(struct transfer *t)
{
    struct blob_search *s = t->search;
    if (clock_boot_ms() - t->searched_ms < SEARCH_MS)
        return;
    cleanup_free struct blob_search *fresh = mem_copy(s, sizeof(*s));
    t->searched_ms = clock_boot_ms();
    blob_search_ask(t->blobs, fresh, false);
    for (size_t i = 0; i < fresh->holders_n && s->holders_n < BLOB_PEERS_MAX; i++)
        if (!holder(t, fresh->holders[i].id))
            s->holders[s->holders_n++] = fresh->holders[i];
    add_holders(t);
}

/* Until all pieces are there, or nobody can be asked. */
static int get_pieces(struct transfer *t, struct err *err)
{
    while (!blob_plan_is_whole(&t->plan)) {
        blob_plan_expire(&t->plan, clock_boot_ms());
        /* Where one was to send all, and cannot, the next one is. */
        if (blob_plan_is_stuck(&t->plan) && !(t->plan.solo && blob_plan_solo(&t->plan)))
            return err_set(err, ERR_NOTFOUND, "no member that has it answers any more");
        ask_pieces(t);
        struct exchange_answer *a = exchange_next(t->exchange, TICK_MS);
        int rv = 0;
        for (; a && rv == 0; a = rv == 0 ? exchange_next(t->exchange, 0) : NULL) {
            rv = take_answer(t, a, err);
            exchange_answer_free(a);
            ask_pieces(t);
        }
        if (rv < 0)
            return rv;
        if (!tell(t))
            return err_set(err, ERR_CANCELED, "canceled");
        search_again(t);
    }
    return 0;
}

static void ban(struct transfer *t, int64_t id)
{
    log_warn("image", "%s sent wrong bytes of blob %.19s...: its copy is damaged", name_of(t, id),
             t->search->digest);
    blob_plan_ban(&t->plan, id);
    blob_search_ban(t->search, id);
}

/* The whole is wrong. Find out more, or begin anew: the plan wants pieces again. */
static void after_wrong(struct transfer *t)
{
    int64_t only = blob_plan_only_origin(&t->plan);
    t->doubt = true;
    memset(t->differs, 0, sizeof(t->differs));
    if (only)
        ban(t, only);
    else
        blob_plan_solo(&t->plan);
}

/* The whole is right. Who sent something else in a solo did not send what it is. */
static void after_right(struct transfer *t)
{
    for (size_t i = 0; i < t->plan.peers_n; i++)
        if (t->differs[i] && !t->plan.peers[i].bad)
            ban(t, t->plan.peers[i].id);
}

static int run(struct transfer *t, struct err *err)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        bool right = false;
        int rv = get_pieces(t, err);
        if (rv == 0)
            rv = check_whole(t, &right, err);
        if (rv < 0)
            return rv;
        if (right) {
            after_right(t);
            return 0;
        }
        after_wrong(t);
    }
    return err_set(err, ERR_CORRUPT, "its bytes were wrong %d times", ATTEMPTS_MAX);
}

/* The start of a blob is worth keeping, unless it may be wrong or of another one. */
static void give_up(struct transfer *t)
{
    for (size_t i = 0; i < t->plan.peers_n; i++)
        if (t->plan.peers[i].out)
            blob_search_ban(t->search, t->plan.peers[i].id);
    int64_t keep = t->doubt || t->search->size < 0 ? 0 : blob_plan_prefix(&t->plan);
    if (ftruncate(t->fd, keep) < 0)
        log_warn("image", "a part of a blob is left as it is: %s", strerror(errno));
}

int blob_transfer(struct blobs *blobs, struct blob_search *s, int fd, peers_progress_cb progress,
                  void *progress_arg, struct err *err)
{
    struct transfer t = {.blobs = blobs,
                         .search = s,
                         .fd = fd,
                         .progress = progress,
                         .progress_arg = progress_arg,
                         .searched_ms = clock_boot_ms()};
    int64_t size = s->size >= 0 ? s->size : s->holders[0].size;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "look at a blob that arrives");
    /* Without a known size nothing says that what is there is of this blob. */
    if ((s->size < 0 || st.st_size > size) && ftruncate(fd, st.st_size = 0) < 0)
        return err_errno(err, errno, "empty a blob that arrives");
    blob_plan_init(&t.plan, size, st.st_size);
    add_holders(&t);
    t.exchange = exchange_open(blobs_exchanges(blobs));
    hash_anew(&t);
    int rv = hash_on(&t, err);
    if (rv == 0)
        rv = run(&t, err);
    if (rv < 0)
        give_up(&t);
    else if (ftruncate(fd, size) < 0)
        rv = err_errno(err, errno, "end a blob that arrived");
    exchange_close(t.exchange);
    digest_free(t.hash);
    buf_release(&t.block);
    blob_plan_release(&t.plan);
    return rv;
}
