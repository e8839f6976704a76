/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blobs_get - blobs from other members, for the runtime: who has one, who is getting it, and is it
 * for us to get.
 *
 * In the threads of pulls; they block, and look up every 100 ms whether they are still to go on.
 */
#include "node/blobs_get.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/blob_verbs.h"
#include "node/blob_wants.h"
#include "node/blobs.h"
#include "node/exchange.h"
#include "runtime/image_json.h"
#include "runtime/image_name.h"
#include "runtime/peers.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HAVE_MS = 1000,         /* for the answers of all members */
    NAME_MS = 2000,         /* likewise, where nothing is faster */
    AGAIN_MS = 250,         /* until a member that gets the blob is asked again */
    STALL_MS = 5000,        /* a member that gets it is waited for while it gets … */
    STALL_BYTES = 64 << 10, /* … so many bytes meanwhile */
    SMALL = 16 << 10,       /* blobs that are not worth a word about who gets them */
};

/* --- who has it ------------------------------------------------------------------------------- */

static bool is_left_out(const struct blob_search *s, int64_t id)
{
    for (size_t i = 0; i < s->left_out_n; i++)
        if (s->left_out[i] == id)
            return true;
    return false;
}

static void leave_out(struct blob_search *s, int64_t id)
{
    if (!is_left_out(s, id) && s->left_out_n < ARRAY_SIZE(s->left_out))
        s->left_out[s->left_out_n++] = id;
}

bool blob_search_is_banned(const struct blob_search *s, int64_t id)
{
    for (size_t i = 0; i < s->banned_n; i++)
        if (s->banned[i] == id)
            return true;
    return false;
}

void blob_search_ban(struct blob_search *s, int64_t id)
{
    if (!blob_search_is_banned(s, id) && s->banned_n < ARRAY_SIZE(s->banned))
        s->banned[s->banned_n++] = id;
}

/* What one member answered about the blob. */
static void take_found(struct blob_search *s, const struct exchange_answer *a,
                       const struct blob_found *found, bool claims)
{
    bool sized = found->size >= 0 &&
                 (s->size < 0 ? found->size <= IMAGE_DOCUMENT_MAX : found->size == s->size);
    if (found->whole && sized && !blob_search_is_banned(s, a->from) &&
        s->holders_n < BLOB_PEERS_MAX) {
        struct blob_holder *h = &s->holders[s->holders_n++];
        h->id = a->from;
        h->size = found->size;
        str_fill(h->name, sizeof(h->name), a->name);
    } else if (found->whole && !sized) {
        log_warn("image", "%s has a blob %.19s... of %lld bytes, which is not its size", a->name,
                 s->digest, (long long)found->size);
    }
    if (is_left_out(s, a->from))
        return;
    if (found->want == BLOB_FETCHING) {
        s->fetchers[s->fetchers_n++ % BLOB_PEERS_MAX] = a->from;
        if (found->bytes > s->fetched)
            s->fetched = found->bytes;
    } else if (found->want == BLOB_CLAIMING &&
               (!claims || blob_ranks_before(s->digest, a->from, s->self))) {
        s->claimants_n++;
    }
}

void blob_search_ask(struct blobs *blobs, struct blob_search *s, bool claims)
{
    char *digests[] = {(char *)(uintptr_t)s->digest};
    struct blob_have_request request = {.digests = digests, .digests_n = 1, .claims = claims};
    struct exchange *x = exchange_open(blobs_exchanges(blobs));
    struct exchange_answer *a;
    int64_t until_ms = clock_boot_ms() + HAVE_MS;
    s->holders_n = s->fetchers_n = s->claimants_n = 0;
    s->fetched = 0;
    s->self = blobs_self(blobs);
    exchange_ask(x, 0, 0, "blob.have", &blob_have_request_type, &request, HAVE_MS);
    while (exchange_is_open(x)) {
        int64_t left_ms = until_ms - clock_boot_ms();
        if (left_ms <= 0 || !(a = exchange_next(x, left_ms)))
            break;
        struct blob_have_reply reply;
        if (a->err.code == 0 && record_decode(&blob_have_reply_type, a->body.data, a->body.len,
                                              false, &reply, &a->err) == 0) {
            if (reply.blobs_n == 1)
                take_found(s, a, &reply.blobs[0], claims);
            record_release(&blob_have_reply_type, &reply);
        }
        exchange_answer_free(a);
    }
    exchange_close(x);
}

/* --- is it for us to get? --------------------------------------------------------------------- */

/* Claim the blob. True: it is ours; false: somebody has it or is before us, which @s says. */
static bool claim(struct blobs *blobs, struct blob_search *s)
{
    struct blob_wants *wants = blobs_wants(blobs);
    if (blob_wants_claim(wants, s->digest) == BLOB_FETCHING)
        return blob_wants_win(wants, s->digest); /* another pull of this machine gets it */
    blob_search_ask(blobs, s, true);
    if (s->holders_n == 0 && s->fetchers_n == 0 && s->claimants_n == 0)
        return blob_wants_win(wants, s->digest);
    blob_wants_yield(wants, s->digest);
    return false;
}

static bool on_want(void *arg, const char *digest, int64_t size)
{
    struct blobs *blobs = arg;
    struct blob_search s = {.digest = digest, .size = size};
    blob_wants_begin(blobs_wants(blobs), digest);
    if (size > SMALL)
        return !claim(blobs, &s);
    blob_search_ask(blobs, &s, false);
    if (s.holders_n > 0)
        return true;
    blob_wants_fetch(blobs_wants(blobs), digest);
    return false;
}

static void on_release(void *arg, const char *digest, bool ours)
{
    blob_wants_end(blobs_wants(arg), digest, ours);
}

/* --- waiting for who gets it ------------------------------------------------------------------ */

struct waiting {
    int64_t bytes;    /* that it had … */
    int64_t since_ms; /* … at this time */
};

/* Is somebody getting it, with progress? Else those who say so count no more. */
static bool is_under_way(struct blob_search *s, struct waiting *w)
{
    int64_t now_ms = clock_boot_ms();
    if (s->fetchers_n == 0 && s->claimants_n == 0)
        return false;
    if (w->since_ms == 0 || s->fetched >= w->bytes + STALL_BYTES) {
        w->bytes = s->fetched;
        w->since_ms = now_ms;
    }
    if (now_ms - w->since_ms < STALL_MS)
        return true;
    for (size_t i = 0; i < s->fetchers_n && i < BLOB_PEERS_MAX; i++) {
        log_info("image", "n%lld does not get on with blob %.19s...; not waited for any more",
                 (long long)s->fetchers[i], s->digest);
        leave_out(s, s->fetchers[i]);
    }
    *w = (struct waiting){0};
    return false;
}

static bool pause_for(peers_progress_cb progress, void *arg, int64_t bytes, int64_t ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000};
    if (!progress(arg, bytes, ""))
        return false;
    nanosleep(&t, NULL);
    return true;
}

static int on_blob(void *arg, const char *digest, int64_t size, bool wanted, int fd,
                   peers_progress_cb progress, void *progress_arg, struct err *err)
{
    struct blobs *blobs = arg;
    cleanup_free struct blob_search *s = mem_alloc(1, sizeof(*s));
    struct waiting w = {0};
    int failures = 0;
    s->digest = digest;
    s->size = size;
    for (;;) {
        blob_search_ask(blobs, s, false);
        if (s->holders_n > 0) {
            struct err why = {0};
            int rv = blob_transfer(blobs, s, fd, progress, progress_arg, &why);
            if (rv == 0)
                return 0;
            if (rv != ERR_NOTFOUND && rv != ERR_CORRUPT) {
                *err = why;
                return rv;
            }
            log_info("image", "blob %.19s... does not come from other members: %s", digest,
                     why.msg);
            if (++failures < BLOB_PEERS_MAX)
                continue; /* those that failed are banned; others may be left */
        }
        if (wanted && is_under_way(s, &w)) {
            if (!pause_for(progress, progress_arg, s->fetched, AGAIN_MS))
                return err_set(err, ERR_CANCELED, "canceled");
            continue;
        }
        if (!wanted || claim(blobs, s))
            return err_set(err, ERR_NOTFOUND, "no other member has blob %.19s...", digest);
        if (!pause_for(progress, progress_arg, 0, AGAIN_MS))
            return err_set(err, ERR_CANCELED, "canceled");
    }
}

/* --- names ------------------------------------------------------------------------------------ */

enum {
    NAMES_MAX = 64, /* different digests that a name has */
};

struct candidate {
    char digest[IMAGE_DIGEST_SIZE];
    size_t members;
    int64_t created_ms; /* the newest */
};

/* Most members first, then the newest, then the digest: all that ask get the same. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
    if (a->members != b->members)
        return a->members > b->members;
    if (a->created_ms != b->created_ms)
        return a->created_ms > b->created_ms;
    return strcmp(a->digest, b->digest) < 0;
}

static size_t count(struct candidate *all, size_t n, const struct image_name_reply *reply)
{
    size_t i = 0;
    if (!image_digest_valid(str_or_empty(reply->digest)))
        return n;
    while (i < n && strcmp(all[i].digest, reply->digest) != 0)
        i++;
    if (i == NAMES_MAX)
        return n;
    if (i == n)
        all[i] = (struct candidate){0};
    str_fill(all[i].digest, sizeof(all[i].digest), reply->digest);
    all[i].members++;
    if (reply->created_ms > all[i].created_ms)
        all[i].created_ms = reply->created_ms;
    return i == n ? n + 1 : n;
}

static int on_resolve(void *arg, const char *name, char ret_digest[72], struct err *err)
{
    struct blobs *blobs = arg;
    struct image_name_request request = {.name = (char *)(uintptr_t)name};
    struct candidate all[NAMES_MAX];
    size_t n = 0;
    size_t best = 0;
    struct exchange *x = exchange_open(blobs_exchanges(blobs));
    struct exchange_answer *a;
    int64_t until_ms = clock_boot_ms() + NAME_MS;
    exchange_ask(x, 0, 0, "image.name", &image_name_request_type, &request, NAME_MS);
    while (exchange_is_open(x)) {
        int64_t left_ms = until_ms - clock_boot_ms();
        struct image_name_reply reply;
        if (left_ms <= 0 || !(a = exchange_next(x, left_ms)))
            break;
        if (a->err.code == 0 && a->same_machine &&
            record_decode(&image_name_reply_type, a->body.data, a->body.len, false, &reply,
                          &a->err) == 0) {
            n = count(all, n, &reply);
            record_release(&image_name_reply_type, &reply);
        }
        exchange_answer_free(a);
    }
    exchange_close(x);
    for (size_t i = 1; i < n; i++)
        if (is_better(&all[i], &all[best]))
            best = i;
    if (n == 0)
        return err_set(err, ERR_NOTFOUND, "no other member has image %.150s", name);
    str_fill(ret_digest, IMAGE_DIGEST_SIZE, all[best].digest);
    return 0;
}

void blobs_fill_peers(struct blobs *blobs, struct runtime_peers *ret)
{
    *ret = (struct runtime_peers){.want = on_want,
                                  .blob = on_blob,
                                  .release = on_release,
                                  .resolve = on_resolve,
                                  .arg = blobs};
}
