/* SPDX-License-Identifier: Apache-2.0 */
#include "node/container_job.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/waiters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    KEPT = 32,
    RUNNING_MAX = 32,
    FORWARD_MS = 30000,
    FORWARD_EXTRA_MS = 10000,
    ID_BYTES = 8,
};

#define LEAVES_FREE (256LL << 20) /* of the disk, by what a job writes */

struct entry {
    struct container_job job; /* first: the workers' view */
    struct entry *next;
    char id[2 * ID_BYTES + 1];
    const struct record_type *type; /* of the request */
    const atomic_bool *giving_up;   /* the daemon's */
    bool deletes;                   /* the upload is not needed afterwards */
    pthread_mutex_t lock;
    char text[160]; /* under the lock */
    bool done;      /* loop only */
};

/* All of this process: one daemon a process. */
static struct entry *entries;

bool container_job_progress(void *arg, const char *text)
{
    struct entry *e = arg;
    pthread_mutex_lock(&e->lock);
    str_fill(e->text, sizeof(e->text), text);
    pthread_mutex_unlock(&e->lock);
    return !atomic_load(e->giving_up);
}

static void free_entry(struct entry *e)
{
    record_release(e->type, e->job.request);
    free(e->job.request);
    free(e->job.upload_path);
    free(e->job.name);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static void work(void *arg)
{
    struct entry *e = arg;
    if (atomic_load(e->giving_up))
        err_set(&e->job.err, ERR_CANCELED, "this member is stopping");
    else
        e->job.run(&e->job);
    if (e->job.upload_path && (e->deletes || e->job.err.code != 0))
        unlink(e->job.upload_path);
}

static void done(void *arg)
{
    struct entry *e = arg;
    size_t n = 0;
    e->done = true;
    for (struct entry **link = &entries; *link;) {
        struct entry *old = *link;
        if (old->done && ++n > KEPT) {
            *link = old->next;
            free_entry(old);
        } else {
            link = &old->next;
        }
    }
}

int64_t container_job_room(const struct container_job *job)
{
    const char *path = job->upload_path;
    cleanup_free char *dir = str_printf("%.*s", (int)(strrchr(path, '/') - path), path);
    struct statvfs fs;
    if (statvfs(dir, &fs) < 0)
        return 0;
    int64_t room = (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize) - LEAVES_FREE;
    return room > 0 ? room : 0;
}

static int check_room(struct err *err)
{
    size_t n = 0;
    for (const struct entry *e = entries; e; e = e->next)
        n += !e->done;
    if (n < RUNNING_MAX)
        return 0;
    return err_set(err, ERR_BUSY, "%zu copies and commits are under way already: try again", n);
}

void container_job_begin(struct api_call *c, const void *request, const char *upload, bool writes,
                         void (*run)(struct container_job *job))
{
    struct container_target target;
    if (container_route(c, request, FORWARD_MS, &target))
        container_job_start(c, request, &target, upload, writes, run);
}

void container_job_start(struct api_call *c, const void *request,
                         const struct container_target *target, const char *upload, bool writes,
                         void (*run)(struct container_job *job))
{
    struct daemon *d = c->daemon;
    unsigned char raw[ID_BYTES];
    struct err err;
    cleanup_free char *dir = str_printf("%s/upload", d->data_dir);
    if (upload && !hex_decode(upload, raw, sizeof(raw))) {
        api_fail_with(c, ERR_INVALID, "not an upload");
        return;
    }
    if (check_room(&err) < 0 || (writes && file_mkdirs(dir, 0700, &err) < 0)) {
        api_fail(c, &err);
        return;
    }
    struct entry *e = mem_alloc(1, sizeof(*e));
    e->job.runtime = d->runtime;
    if (target)
        e->job.target = *target;
    e->type = c->verb->request;
    e->job.request = mem_alloc(1, e->type->size);
    record_copy(e->type, request, e->job.request);
    e->job.run = run;
    e->deletes = upload;
    if (writes) {
        random_bytes(raw, sizeof(raw));
        hex_encode(raw, sizeof(raw), e->job.upload);
    } else if (upload) {
        str_fill(e->job.upload, sizeof(e->job.upload), upload);
    }
    if (*e->job.upload)
        e->job.upload_path = str_printf("%s/%s", dir, e->job.upload);
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), e->id);
    e->giving_up = &d->giving_up;
    check(pthread_mutex_init(&e->lock, NULL) == 0);
    e->next = entries;
    entries = e;
    jobs_run(d->copy_jobs, work, done, e);
    struct job_reply reply = {.job = e->id};
    api_reply(c, &reply);
}

/* --- how far it is ---------------------------------------------------------------------------- */

struct look {
    struct api_call *call;
    char id[2 * ID_BYTES + 1];
};

static struct entry *find(const char *id)
{
    for (struct entry *e = entries; e; e = e->next)
        if (strcmp(e->id, id) == 0)
            return e;
    return NULL;
}

static bool poll_job(void *arg, bool last)
{
    struct look *l = arg;
    struct entry *e = find(l->id);
    struct container_job_reply reply = {0};
    char text[160];
    if (e && !e->done && !last)
        return false;
    if (!e) {
        api_fail_with(l->call, ERR_NOTFOUND, "there is no such job (any more)");
        free(l);
        return true;
    }
    pthread_mutex_lock(&e->lock);
    memcpy(text, e->text, sizeof(text));
    pthread_mutex_unlock(&e->lock);
    reply.text = text;
    reply.done = e->done;
    if (e->done) {
        reply.code = -e->job.err.code;
        reply.message = reply.code ? e->job.err.msg : NULL;
        reply.upload = e->job.upload;
        reply.size = e->job.size;
        reply.digest = e->job.digest;
        reply.name = e->job.name;
    }
    api_reply(l->call, &reply);
    free(l);
    return true;
}

void container_job_look(struct api_call *c, const void *request)
{
    const struct container_job_request *r = request;
    int64_t wait = r->wait_ms < WAIT_MAX_MS ? r->wait_ms : WAIT_MAX_MS;
    /* The container may be gone by now; the job's id is what counts. */
    if (!container_route_node(c, request, (wait > 0 ? wait : 0) + FORWARD_EXTRA_MS))
        return;
    struct look *l = mem_alloc(1, sizeof(*l));
    l->call = c;
    str_fill(l->id, sizeof(l->id), str_or_empty(r->job));
    waiters_add(c->daemon->asking, wait, poll_job, l);
}
