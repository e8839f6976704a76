/* SPDX-License-Identifier: Apache-2.0 */
#include "node/imagesave.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "runtime/image.h"

#include <stdlib.h>
#include <string.h>

enum {
    SAVES_MAX = 16,
    NAMES_MAX = 256,
    PIECE_BYTES = 256 << 10,
    IDLE_MS = 5 * 60 * 1000,
    ID_BYTES = 8,
};

struct save {
    struct save *next;
    char id[2 * ID_BYTES + 1];
    struct image_archive *archive;
    bool busy; /* a job reads it */
    int64_t used_ms;
};

/* All of this process: one daemon a process. */
static struct save *saves;
static size_t saves_n;

/* One step of a save on a worker. */
struct save_work {
    struct save *save;
    struct api_call *call;
    struct runtime *runtime;
    char **names; /* to open it with */
    int64_t offset;
    unsigned char *data;
    size_t n;
    struct err err;
};

static struct save *find(const char *id)
{
    for (struct save *s = saves; s; s = s->next)
        if (strcmp(s->id, id) == 0)
            return s;
    return NULL;
}

static void work_close(void *arg)
{
    struct save *s = arg;
    image_archive_close(s->archive);
}

static void done_close(void *arg)
{
    free(arg);
}

/* Take @s off the list and close it on a worker. */
static void forget(struct daemon *d, struct save *s)
{
    for (struct save **link = &saves; *link; link = &(*link)->next)
        if (*link == s) {
            *link = s->next;
            break;
        }
    saves_n--;
    jobs_run(d->jobs, work_close, done_close, s);
}

static void forget_idle(struct daemon *d)
{
    struct save *next;
    for (struct save *s = saves; s; s = next) {
        next = s->next;
        if (!s->busy && clock_boot_ms() - s->used_ms > IDLE_MS)
            forget(d, s);
    }
}

static void work_read(void *arg)
{
    struct save_work *w = arg;
    int rv = 0;
    if (!w->save->archive)
        rv = image_archive_open(w->runtime, (const char *const *)w->names, &w->save->archive,
                                &w->err);
    if (rv == 0)
        image_archive_read(w->save->archive, w->offset, w->data, PIECE_BYTES, &w->n, &w->err);
}

static void done_read(void *arg)
{
    struct save_work *w = arg;
    struct save *s = w->save;
    struct daemon *d = w->call->daemon;
    s->busy = false;
    s->used_ms = clock_boot_ms();
    if (w->err.code != 0) {
        api_fail(w->call, &w->err);
        if (!d->stopping)
            forget(d, s);
    } else {
        struct image_save_reply reply = {
            .id = s->id, .size = image_archive_size(s->archive), .data = {w->data, w->n}};
        api_reply(w->call, &reply);
    }
    image_strings_free(w->names);
    free(w->data);
    free(w);
}

static void start_read(struct api_call *c, struct save *s, const struct image_save_request *r)
{
    struct save_work *w = mem_alloc(1, sizeof(*w));
    *w = (struct save_work){.save = s,
                            .call = c,
                            .runtime = c->daemon->runtime,
                            .offset = r->offset,
                            .data = mem_alloc(1, PIECE_BYTES),
                            .names = mem_alloc(r->names_n + 1, sizeof(char *))};
    for (size_t i = 0; i < r->names_n; i++)
        w->names[i] = str_copy(str_or_empty(r->names[i]));
    s->busy = true;
    jobs_run(c->daemon->jobs, work_read, done_read, w);
}

static void begin(struct api_call *c, const struct image_save_request *r)
{
    unsigned char raw[ID_BYTES];
    if (saves_n >= SAVES_MAX) {
        api_fail_with(c, ERR_BUSY, "%d archives are being saved already; try again", SAVES_MAX);
        return;
    }
    if (r->names_n == 0 || r->names_n > NAMES_MAX || r->offset != 0) {
        api_fail_with(c, ERR_INVALID, "between 1 and %d images go into an archive", NAMES_MAX);
        return;
    }
    struct save *s = mem_alloc(1, sizeof(*s));
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), s->id);
    s->next = saves;
    saves = s;
    saves_n++;
    start_read(c, s, r);
}

void image_save(struct api_call *c, const struct image_save_request *r)
{
    struct daemon *d = c->daemon;
    forget_idle(d);
    if (!*str_or_empty(r->id)) {
        begin(c, r);
        return;
    }
    struct save *s = find(r->id);
    if (!s && !r->done) {
        api_fail_with(c, ERR_NOTFOUND, "there is no archive %.40s (any more): save it anew", r->id);
        return;
    }
    if (s && s->busy) {
        api_fail_with(c, ERR_BUSY, "a piece of archive %.40s is being read", r->id);
        return;
    }
    if (!r->done) {
        start_read(c, s, r);
        return;
    }
    struct image_save_reply reply = {0};
    if (s)
        forget(d, s);
    api_reply(c, &reply);
}
