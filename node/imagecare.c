/* SPDX-License-Identifier: Apache-2.0 */
#include "node/imagecare.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/job.h"
#include "runtime/image.h"
#include "runtime/image_name.h"

#include <stdlib.h>
#include <string.h>

enum {
    SOON_MS = 1000,      /* after a change: more may follow it */
    LOOK_MS = 60 * 1000, /* between two looks at the disk */
    TELL_MS = 3600 * 1000,
    MIN_AGE_MS = 60 * 1000, /* who loads an image wants to use it soon */
};

struct imagecare {
    struct daemon *daemon;
    uv_timer_t soon;
    uv_timer_t look;
    bool keeping;  /* a job tells the runtime what to keep */
    bool again;    /* and it changed meanwhile */
    bool clearing; /* a job makes room */
    bool stopping;
    int64_t told_ms; /* boot time when the log had it that the disk stays short */
    int handles;
};

/* --- what is kept ----------------------------------------------------------------------------- */

struct keep_job {
    struct imagecare *care;
    char **refs; /* NULL-terminated */
    size_t n;
    size_t cap;
    struct err err;
};

static void add_ref(struct keep_job *job, char *ref)
{
    if (job->n + 1 >= job->cap) {
        job->cap = job->cap ? 2 * job->cap : 64;
        job->refs = mem_resize(job->refs, job->cap, sizeof(char *));
    }
    job->refs[job->n++] = ref;
    job->refs[job->n] = NULL;
}

/* All that the image of @spec may be called here. */
static void add_spec(struct keep_job *job, const struct spec *spec)
{
    struct image_ref ref;
    if (image_ref_parse(str_or_empty(spec->image), &ref, NULL) < 0)
        return;
    add_ref(job, image_ref_format(&ref));
    const char *digest = strstr(str_or_empty(spec->image_digest), "sha256:");
    if (digest && image_digest_valid(digest))
        str_fill(ref.digest, sizeof(ref.digest), digest);
    if (!ref.digest[0])
        return;
    add_ref(job, str_copy(ref.digest));
    add_ref(job, image_ref_format(&ref));
    ref.tag[0] = '\0';
    add_ref(job, image_ref_format(&ref));
}

static void work_keep(void *arg)
{
    struct keep_job *job = arg;
    image_keep(job->care->daemon->runtime, (const char *const *)job->refs, &job->err);
}

static void keep(struct imagecare *care);

static void done_keep(void *arg)
{
    struct keep_job *job = arg;
    struct imagecare *care = job->care;
    if (job->err.code != 0)
        log_warn("image", "which images services need was not noted: %s", job->err.msg);
    care->keeping = false;
    image_strings_free(job->refs);
    free(job);
    if (care->again && !care->stopping)
        keep(care);
}

static void keep(struct imagecare *care)
{
    struct daemon *d = care->daemon;
    struct keep_job *job = mem_alloc(1, sizeof(*job));
    struct service *services;
    struct revision *revisions;
    size_t n;
    job->care = care;
    store_list(d->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n; i++)
        add_spec(job, &services[i].spec);
    record_free_list(&service_type, services, n);
    store_list(d->store, TABLE_REVISION, BY_NONE, 0, &revisions, &n);
    for (size_t i = 0; i < n; i++)
        add_spec(job, &revisions[i].spec);
    record_free_list(&revision_type, revisions, n);
    care->keeping = true;
    care->again = false;
    jobs_run(d->jobs, work_keep, done_keep, job);
}

static void on_soon(uv_timer_t *timer)
{
    struct imagecare *care = timer->data;
    if (care->stopping)
        return;
    if (care->keeping)
        care->again = true;
    else
        keep(care);
}

void imagecare_on_change(struct imagecare *care, unsigned tables)
{
    if (care && !care->stopping && tables & (1U << TABLE_SERVICE | 1U << TABLE_REVISION) &&
        !uv_is_active((uv_handle_t *)&care->soon))
        uv_timer_start(&care->soon, on_soon, SOON_MS, 0);
}

/* --- the disk --------------------------------------------------------------------------------- */

struct room_job {
    struct imagecare *care;
    struct image_pruned pruned;
    bool still_short;
    struct err err;
};

static void work_room(void *arg)
{
    struct room_job *job = arg;
    struct runtime *rt = job->care->daemon->runtime;
    if (image_disk_is_short(rt) &&
        image_make_room(rt, MIN_AGE_MS, false, &job->pruned, &job->err) == 0)
        job->still_short = image_disk_is_short(rt);
}

static void done_room(void *arg)
{
    struct room_job *job = arg;
    struct imagecare *care = job->care;
    int64_t now = clock_boot_ms();
    care->clearing = false;
    if (job->pruned.n > 0)
        log_info("image", "the disk was short: %zu unused images gave %lld MB", job->pruned.n,
                 (long long)(job->pruned.bytes / 1000000));
    if (job->err.code != 0)
        log_warn("image", "cannot make room on a short disk: %s", job->err.msg);
    if (job->still_short && (!care->told_ms || now - care->told_ms > TELL_MS)) {
        log_warn("image", "the disk of %s is short, and no unused image is left to delete",
                 care->daemon->data_dir);
        care->told_ms = now;
    }
    image_pruned_release(&job->pruned);
    free(job);
}

static void on_look(uv_timer_t *timer)
{
    struct imagecare *care = timer->data;
    if (care->stopping || care->clearing)
        return;
    struct room_job *job = mem_alloc(1, sizeof(*job));
    job->care = care;
    care->clearing = true;
    jobs_run(care->daemon->image_jobs, work_room, done_room, job);
}

/* --- begin and end ---------------------------------------------------------------------------- */

struct imagecare *imagecare_new(struct daemon *d)
{
    struct imagecare *care = mem_alloc(1, sizeof(*care));
    care->daemon = d;
    care->handles = 2;
    uv_timer_init(&d->loop, &care->soon);
    uv_timer_init(&d->loop, &care->look);
    care->soon.data = care->look.data = care;
    uv_timer_start(&care->soon, on_soon, SOON_MS, 0);
    uv_timer_start(&care->look, on_look, SOON_MS, LOOK_MS);
    return care;
}

void imagecare_stop(struct imagecare *care)
{
    if (!care)
        return;
    care->stopping = true;
    uv_timer_stop(&care->soon);
    uv_timer_stop(&care->look);
}

static void on_closed(uv_handle_t *handle)
{
    struct imagecare *care = handle->data;
    if (--care->handles == 0)
        free(care);
}

void imagecare_free(struct imagecare *care)
{
    if (!care)
        return;
    uv_close((uv_handle_t *)&care->soon, on_closed);
    uv_close((uv_handle_t *)&care->look, on_closed);
}
