/* SPDX-License-Identifier: Apache-2.0 */
#include "node/blobs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/blob_plan.h"
#include "node/blob_verbs.h"
#include "node/blob_wants.h"
#include "node/daemon.h"
#include "node/exchange.h"
#include "node/job.h"
#include "runtime/image_name.h"
#include "runtime/peers.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    READS_MAX = 32,       /* pieces that are being read, at once */
    MEMBER_READS_MAX = 8, /* … for one member */
    QUESTIONS_MAX = 512,  /* of all kinds */
};

struct blobs {
    struct daemon *daemon;
    struct exchanges *exchanges;
    struct blob_wants *wants;
    struct runtime_peers peers;
    atomic_llong self;
    struct question *questions; /* that jobs work on; loop only */
};

/* A member's question. A job works on it and owns it meanwhile. */
struct question {
    struct question *next; /* loop only, as are from and answer() */
    int64_t from;
    blobs_reply_cb cb;
    void *arg;
    struct blobs *blobs;
    struct runtime *runtime;
    const struct record_type *type; /* of the request */
    union {
        struct blob_have_request have;
        struct blob_read_request read;
        struct image_name_request name;
    } request;
    struct blob_have_reply found; /* of have: what we do was noted on the loop */
    struct buf body;              /* the answer */
    struct err err;
};

/* --- in jobs ---------------------------------------------------------------------------------- */

/* What we do was noted before we look, so a blob that is filed meanwhile is seen as one or the
 * other. */
static void work_have(void *arg)
{
    struct question *q = arg;
    for (size_t i = 0; i < q->found.blobs_n; i++) {
        struct blob_found *b = &q->found.blobs[i];
        int64_t size = image_blob_size(q->runtime, q->request.have.digests[i]);
        b->whole = size >= 0;
        b->size = size >= 0 ? size : 0;
        if (!b->whole && b->want == BLOB_FETCHING)
            b->bytes = image_blob_part(q->runtime, q->request.have.digests[i]);
    }
    record_encode(&blob_have_reply_type, &q->found, &q->body);
}

static void work_read(void *arg)
{
    struct question *q = arg;
    const struct blob_read_request *r = &q->request.read;
    cleanup_buf struct buf data = BUF_INIT;
    mem_reuse();
    if (image_blob_read(q->runtime, r->digest, r->offset, (size_t)r->len, &data, &q->err) < 0)
        return;
    struct blob_read_reply reply = {.data = {(unsigned char *)data.data, data.len}};
    record_encode(&blob_read_reply_type, &reply, &q->body);
}

static void work_name(void *arg)
{
    struct question *q = arg;
    struct image_name_reply reply = {0};
    char digest[IMAGE_DIGEST_SIZE];
    if (image_name_digest(q->runtime, str_or_empty(q->request.name.name), digest, &reply.created_ms,
                          &q->err) < 0)
        return;
    reply.digest = digest;
    record_encode(&image_name_reply_type, &reply, &q->body);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void free_question(struct question *q)
{
    record_release(q->type, &q->request);
    record_release(&blob_have_reply_type, &q->found);
    buf_release(&q->body);
    free(q);
}

static void answer(struct question *q)
{
    struct reply reply = {.body = {(unsigned char *)q->body.data, q->body.len}};
    if (q->err.code != 0) {
        reply = (struct reply){0};
        reply_set_err(&reply, &q->err);
    }
    q->cb(q->arg, &reply, q->type == &blob_read_request_type && q->err.code == 0);
    free(reply.message);
    free_question(q);
}

static void on_done(void *arg)
{
    struct question *q = arg;
    struct question **link = &q->blobs->questions;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    answer(q);
}

static int refuse(struct question *q, int code, const char *what)
{
    return err_set(&q->err, code, "%s", what);
}

static bool is_witness(struct daemon *d, int64_t id)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, id, &node) < 0)
        return true; /* or gone */
    bool witness = node.witness;
    record_release(&node_type, &node);
    return witness;
}

static int check_load(struct question *q)
{
    size_t all = 0;
    size_t reads = 0;
    size_t of_member = 0;
    for (const struct question *o = q->blobs->questions; o; o = o->next) {
        bool read = o->type == &blob_read_request_type;
        all++;
        reads += read;
        of_member += read && o->from == q->from;
    }
    bool read = q->type == &blob_read_request_type;
    if (all >= QUESTIONS_MAX || (read && (reads >= READS_MAX || of_member >= MEMBER_READS_MAX)))
        return refuse(q, ERR_BUSY, "enough is asked of this member already");
    return 0;
}

static int check_have(struct question *q)
{
    const struct blob_have_request *r = &q->request.have;
    struct daemon *d = q->blobs->daemon;
    if (r->digests_n > BLOB_HAVE_MAX)
        return refuse(q, ERR_TOOBIG, "too many blobs are asked for at once");
    for (size_t i = 0; i < r->digests_n; i++)
        if (!image_digest_valid(str_or_empty(r->digests[i])))
            return refuse(q, ERR_INVALID, "that is no digest");
    q->found.blobs = mem_alloc(r->digests_n, sizeof(*q->found.blobs));
    q->found.blobs_n = r->digests_n;
    for (size_t i = 0; i < r->digests_n; i++)
        q->found.blobs[i].want =
            blob_wants_asked(q->blobs->wants, r->digests[i], d->id, q->from, r->claims);
    return 0;
}

static int check_read(struct question *q)
{
    const struct blob_read_request *r = &q->request.read;
    if (!image_digest_valid(str_or_empty(r->digest)) || r->offset < 0 || r->len < 1 ||
        r->len > BLOB_PIECE_MAX)
        return refuse(q, ERR_INVALID, "that is no piece of a blob");
    return 0;
}

static int begin(struct question *q, const struct call *call)
{
    struct daemon *d = q->blobs->daemon;
    if (d->stopping)
        return refuse(q, ERR_UNAVAILABLE, "this member is stopping");
    if (is_witness(d, q->from))
        return refuse(q, ERR_DENIED, "images are not for witnesses");
    int rv = record_decode(q->type, call->body.data, call->body.len, false, &q->request, &q->err);
    if (rv == 0)
        rv = check_load(q);
    if (rv == 0 && q->type == &blob_have_request_type)
        rv = check_have(q);
    else if (rv == 0 && q->type == &blob_read_request_type)
        rv = check_read(q);
    return rv;
}

bool blobs_on_call(struct daemon *d, int64_t from, const struct call *call, blobs_reply_cb cb,
                   void *arg)
{
    static const struct {
        const char *verb;
        const struct record_type *type;
        job_work_cb work;
    } verbs[] = {
        {"blob.have", &blob_have_request_type, work_have},
        {"blob.read", &blob_read_request_type, work_read},
        {"image.name", &image_name_request_type, work_name},
    };
    size_t i = 0;
    while (i < ARRAY_SIZE(verbs) && !str_equal(call->verb, verbs[i].verb))
        i++;
    if (!d->blobs || i == ARRAY_SIZE(verbs))
        return false;
    struct question *q = mem_alloc(1, sizeof(*q));
    *q = (struct question){.from = from,
                           .cb = cb,
                           .arg = arg,
                           .blobs = d->blobs,
                           .runtime = d->runtime,
                           .type = verbs[i].type};
    if (begin(q, call) < 0) {
        answer(q);
        return true;
    }
    q->next = d->blobs->questions;
    d->blobs->questions = q;
    jobs_run(d->blob_jobs, verbs[i].work, on_done, q);
    return true;
}

/* --- beginning and end ------------------------------------------------------------------------ */

struct exchanges *blobs_exchanges(struct blobs *b)
{
    return b->exchanges;
}

struct blob_wants *blobs_wants(struct blobs *b)
{
    return b->wants;
}

int64_t blobs_self(struct blobs *b)
{
    return atomic_load(&b->self);
}

const struct runtime_peers *blobs_peers(struct blobs *b)
{
    return &b->peers;
}

void blobs_on_member(struct blobs *b)
{
    if (b)
        atomic_store(&b->self, b->daemon->id);
}

struct blobs *blobs_new(struct daemon *d)
{
    struct blobs *b = mem_alloc(1, sizeof(*b));
    b->daemon = d;
    b->exchanges = exchanges_new(d);
    b->wants = blob_wants_new();
    blobs_fill_peers(b, &b->peers);
    runtime_on_peers(d->runtime, &b->peers);
    return b;
}

void blobs_free(struct blobs *b)
{
    if (!b)
        return;
    check(!b->questions);
    exchanges_free(b->exchanges);
    blob_wants_free(b->wants);
    free(b);
}
