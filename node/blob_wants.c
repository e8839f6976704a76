/* SPDX-License-Identifier: Apache-2.0 */
#include "node/blob_wants.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct want {
    struct want *next;
    char *digest;
    int pulls;    /* that want it */
    int fetchers; /* of these, that won */
    bool claims;
};

struct blob_wants {
    pthread_mutex_t lock;
    struct want *first;
};

struct blob_wants *blob_wants_new(void)
{
    struct blob_wants *w = mem_alloc(1, sizeof(*w));
    check(pthread_mutex_init(&w->lock, NULL) == 0);
    return w;
}

void blob_wants_free(struct blob_wants *w)
{
    if (!w)
        return;
    check(!w->first);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* The link to the want of @digest, or the one a new want goes to. */
static struct want **find(struct blob_wants *w, const char *digest)
{
    struct want **link = &w->first;
    while (*link && strcmp((*link)->digest, digest) != 0)
        link = &(*link)->next;
    return link;
}

static enum blob_want state_of(const struct want *want)
{
    if (!want)
        return BLOB_NOT_WANTED;
    if (want->fetchers > 0)
        return BLOB_FETCHING;
    return want->claims ? BLOB_CLAIMING : BLOB_WAITING;
}

void blob_wants_begin(struct blob_wants *w, const char *digest)
{
    pthread_mutex_lock(&w->lock);
    struct want **link = find(w, digest);
    if (!*link) {
        *link = mem_alloc(1, sizeof(**link));
        (*link)->digest = str_copy(digest);
    }
    (*link)->pulls++;
    pthread_mutex_unlock(&w->lock);
}

enum blob_want blob_wants_claim(struct blob_wants *w, const char *digest)
{
    pthread_mutex_lock(&w->lock);
    struct want *want = *find(w, digest);
    check(want);
    want->claims = true;
    enum blob_want state = state_of(want);
    pthread_mutex_unlock(&w->lock);
    return state;
}

bool blob_wants_win(struct blob_wants *w, const char *digest)
{
    pthread_mutex_lock(&w->lock);
    struct want *want = *find(w, digest);
    check(want);
    bool won = want->claims || want->fetchers > 0;
    want->claims = false;
    want->fetchers += won;
    pthread_mutex_unlock(&w->lock);
    return won;
}

void blob_wants_fetch(struct blob_wants *w, const char *digest)
{
    pthread_mutex_lock(&w->lock);
    struct want *want = *find(w, digest);
    check(want);
    want->fetchers++;
    pthread_mutex_unlock(&w->lock);
}

void blob_wants_yield(struct blob_wants *w, const char *digest)
{
    pthread_mutex_lock(&w->lock);
    struct want *want = *find(w, digest);
    check(want);
    want->claims = false;
    pthread_mutex_unlock(&w->lock);
}

void blob_wants_end(struct blob_wants *w, const char *digest, bool fetching)
{
    pthread_mutex_lock(&w->lock);
    struct want **link = find(w, digest);
    struct want *want = *link;
    check(want && want->pulls > 0 && (!fetching || want->fetchers > 0));
    want->fetchers -= fetching;
    if (--want->pulls == 0) {
        *link = want->next;
        free(want->digest);
        free(want);
    }
    pthread_mutex_unlock(&w->lock);
}

enum blob_want blob_wants_asked(struct blob_wants *w, const char *digest, int64_t self,
                                int64_t from, bool claims)
{
    pthread_mutex_lock(&w->lock);
    struct want *want = *find(w, digest);
    if (want && claims && blob_ranks_before(digest, from, self))
        want->claims = false;
    enum blob_want state = state_of(want);
    pthread_mutex_unlock(&w->lock);
    return state;
}

static void rank(const char *digest, int64_t id, unsigned char out[DIGEST_BYTES])
{
    struct digest *hash = digest_new();
    unsigned char bytes[sizeof(id)];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)((uint64_t)id >> (8 * i));
    digest_update(hash, digest, strlen(digest));
    digest_update(hash, bytes, sizeof(bytes));
    digest_final(hash, out);
}

bool blob_ranks_before(const char *digest, int64_t a, int64_t b)
{
    unsigned char rank_a[DIGEST_BYTES];
    unsigned char rank_b[DIGEST_BYTES];
    rank(digest, a, rank_a);
    rank(digest, b, rank_b);
    int order = memcmp(rank_a, rank_b, DIGEST_BYTES);
    return order > 0 || (order == 0 && a < b);
}
