/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about the images of this member that are answered at once: list, inspect, tag, remove,
 * save. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/elsewhere.h"
#include "node/imagesave.h"
#include "node/job.h"
#include "runtime/image.h"

#include <stdlib.h>

enum {
    REMOVE_MS = 30000, /* content that goes with a name may be large */
};

/* A call on its way to a worker and back. */
struct image_work {
    struct api_call *call;
    struct runtime *runtime;
    char *image;
    char *name;
    struct image *images;
    size_t images_n;
    char **names;
    struct image_details details;
    struct err err;
};

static void run(struct api_call *c, void (*work)(void *arg), void (*done)(void *arg),
                const char *image, const char *name)
{
    struct image_work *w = mem_alloc(1, sizeof(*w));
    *w = (struct image_work){.call = c,
                             .runtime = c->daemon->runtime,
                             .image = str_copy(str_or_empty(image)),
                             .name = str_copy(str_or_empty(name))};
    jobs_run(c->daemon->jobs, work, done, w);
}

/* Answer with @record, or with the work's error, and free the work. */
static void finish(struct image_work *w, const void *record)
{
    if (w->err.code != 0)
        api_fail(w->call, &w->err);
    else
        api_reply(w->call, record);
    free(w->image);
    free(w->name);
    image_strings_free(w->names);
    image_list_free(w->images, w->images_n);
    image_details_release(&w->details);
    free(w);
}

static size_t count(char *const *strings)
{
    size_t n = 0;
    while (strings && strings[n])
        n++;
    return n;
}

/* --- list ------------------------------------------------------------------------------------- */

static void work_list(void *arg)
{
    struct image_work *w = arg;
    image_list(w->runtime, &w->images, &w->images_n, &w->err);
}

static void done_list(void *arg)
{
    struct image_work *w = arg;
    struct image_list_reply reply = {0};
    cleanup_free struct image_info *images = mem_alloc(w->images_n, sizeof(*images));
    reply.images = images;
    for (size_t i = 0; i < w->images_n; i++)
        reply.images[reply.images_n++] = (struct image_info){.name = w->images[i].name,
                                                             .digest = w->images[i].digest,
                                                             .size_bytes = w->images[i].size_bytes,
                                                             .created_ms = w->images[i].created_ms,
                                                             .used_ms = w->images[i].used_ms,
                                                             .containers = w->images[i].containers,
                                                             .kept = w->images[i].kept,
                                                             .damaged = w->images[i].damaged};
    finish(w, &reply);
}

void api_image_list(struct api_call *c, const void *request)
{
    const struct image_list_request *r = request;
    if (!call_elsewhere(c, r->node, r, 0))
        run(c, work_list, done_list, NULL, NULL);
}

/* --- inspect ---------------------------------------------------------------------------------- */

static void work_inspect(void *arg)
{
    struct image_work *w = arg;
    image_details(w->runtime, w->image, &w->details, &w->err);
}

/* What follows borrows from @d. */
static void fill_layers(const struct image_details *d, struct image_record *r)
{
    r->layers = mem_alloc(d->layers_n, sizeof(*r->layers));
    for (size_t i = 0; i < d->layers_n; i++) {
        const struct image_layer_info *l = &d->layers[i];
        r->layers[r->layers_n++] = (struct image_layer_record){.digest = l->digest,
                                                               .diff_id = l->diff_id,
                                                               .size_bytes = l->size_bytes,
                                                               .unpacked_bytes = l->unpacked_bytes,
                                                               .damaged = l->damaged};
        r->unpacked_bytes += l->unpacked_bytes;
    }
    r->history = mem_alloc(d->history_n, sizeof(*r->history));
    for (size_t i = 0; i < d->history_n; i++) {
        const struct image_history *h = &d->history[i];
        r->history[r->history_n++] = (struct image_history_record){.created = h->created,
                                                                   .created_by = h->created_by,
                                                                   .comment = h->comment,
                                                                   .layer = h->layer,
                                                                   .size_bytes = h->size_bytes};
    }
}

static void done_inspect(void *arg)
{
    struct image_work *w = arg;
    const struct image_details *d = &w->details;
    const struct image *i = &d->image;
    struct image_record r = {
        .names = d->names,
        .names_n = count(d->names),
        .digest = i->digest,
        .config_digest = d->config_digest,
        .os = d->os,
        .architecture = d->architecture,
        .variant = d->variant,
        .created = d->created,
        .author = d->author,
        .size_bytes = i->size_bytes,
        .pulled_ms = i->created_ms,
        .used_ms = i->used_ms,
        .containers = d->holders,
        .containers_n = count(d->holders),
        .kept = i->kept,
        .damaged = i->damaged,
        .entrypoint = i->entrypoint,
        .entrypoint_n = count(i->entrypoint),
        .cmd = i->cmd,
        .cmd_n = count(i->cmd),
        .env = i->env,
        .env_n = count(i->env),
        .user = i->user,
        .working_dir = i->working_dir,
        .stop_signal = i->stop_signal,
        .volumes = i->volumes,
        .volumes_n = count(i->volumes),
        .exposed = i->exposed,
        .exposed_n = count(i->exposed),
        .labels = d->labels,
        .labels_n = count(d->labels),
    };
    fill_layers(d, &r);
    cleanup_free void *layers = r.layers;
    cleanup_free void *history = r.history;
    finish(w, &r);
}

void api_image_inspect(struct api_call *c, const void *request)
{
    const struct image_request *r = request;
    if (!call_elsewhere(c, r->node, r, 0))
        run(c, work_inspect, done_inspect, r->name, NULL);
}

/* --- tag and remove --------------------------------------------------------------------------- */

static void done_names(void *arg)
{
    struct image_work *w = arg;
    struct image_names_reply reply = {.names = w->names, .names_n = count(w->names)};
    finish(w, &reply);
}

static void work_tag(void *arg)
{
    struct image_work *w = arg;
    char *name;
    if (image_tag(w->runtime, w->image, w->name, &name, &w->err) < 0)
        return;
    w->names = mem_alloc(2, sizeof(char *));
    w->names[0] = name;
}

void api_image_tag(struct api_call *c, const void *request)
{
    const struct image_tag_request *r = request;
    if (!call_elsewhere(c, r->node, r, 0))
        run(c, work_tag, done_names, r->image, r->name);
}

static void work_remove(void *arg)
{
    struct image_work *w = arg;
    image_remove(w->runtime, w->image, &w->names, &w->err);
}

void api_image_remove(struct api_call *c, const void *request)
{
    const struct image_request *r = request;
    if (!call_elsewhere(c, r->node, r, REMOVE_MS))
        run(c, work_remove, done_names, r->name, NULL);
}

/* --- save ------------------------------------------------------------------------------------- */

void api_image_save(struct api_call *c, const void *request)
{
    const struct image_save_request *r = request;
    if (!call_elsewhere(c, r->node, r, REMOVE_MS))
        image_save(c, r);
}
