/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.*: what was in a volume of a machine at one moment. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/elsewhere.h"
#include "node/job.h"
#include "runtime/volume_snapshot.h"

#include <stdlib.h>
#include <time.h>

enum {
    ELSEWHERE_MS = 120000,
    NAME_BYTES = 32,
};

struct work {
    struct api_call *call;
    struct runtime *runtime;
    char *node, *volume, *name;
    bool running;
    struct snapshot_list_reply reply;
    struct err err;
    void (*run)(struct work *w);
};

static void on_work(void *arg)
{
    struct work *w = arg;
    w->run(w);
}

static void on_done(void *arg)
{
    struct work *w = arg;
    if (w->err.code != 0)
        api_fail(w->call, &w->err);
    else if (w->call->verb->reply == &empty_type)
        api_reply(w->call, &(struct empty){0});
    else
        api_reply(w->call, &w->reply);
    record_release(&snapshot_list_reply_type, &w->reply);
    free(w->node);
    free(w->volume);
    free(w->name);
    free(w);
}

static void begin(struct api_call *c, const struct snapshot_request *r, void (*run)(struct work *w))
{
    struct daemon *d = c->daemon;
    if (call_elsewhere(c, r->node, r, ELSEWHERE_MS))
        return;
    if (!d->runtime) {
        api_fail_with(c, ERR_UNSUPPORTED, "%s is a witness and has no volumes", d->name);
        return;
    }
    struct work *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    w->runtime = d->runtime;
    w->node = str_copy(d->name);
    w->volume = str_copy(str_or_empty(r->volume));
    w->name = str_copy(str_or_empty(r->name));
    w->running = r->running;
    w->run = run;
    jobs_run(d->jobs, on_work, on_done, w);
}

static void add(struct work *w, const char *volume, const char *name, int64_t created_ms,
                int64_t frozen_ms)
{
    struct snapshot_list_reply *reply = &w->reply;
    reply->snapshots =
        mem_resize(reply->snapshots, reply->snapshots_n + 1, sizeof(*reply->snapshots));
    reply->snapshots[reply->snapshots_n++] = (struct snapshot_info){.volume = str_copy(volume),
                                                                    .name = str_copy(name),
                                                                    .node = str_copy(w->node),
                                                                    .created_ms = created_ms,
                                                                    .frozen_ms = frozen_ms};
}

static void work_create(struct work *w)
{
    char now[NAME_BYTES];
    int64_t ms = clock_wall_ms(), frozen_ms;
    const time_t at = (time_t)(ms / 1000);
    struct tm utc;
    if (strftime(now, sizeof(now), "%Y%m%d-%H%M%S", gmtime_r(&at, &utc)) == 0)
        now[0] = '\0';
    const char *name = *w->name ? w->name : now;
    if (volume_snapshot_make(w->runtime, w->volume, name, w->running, &frozen_ms, &w->err) == 0)
        add(w, w->volume, name, ms, frozen_ms);
}

static void work_list(struct work *w)
{
    struct volume_snapshot *list;
    size_t n;
    if (volume_snapshots(w->runtime, *w->volume ? w->volume : NULL, &list, &n, &w->err) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        add(w, list[i].volume, list[i].name, list[i].created_ms, 0);
    volume_snapshots_free(list, n);
}

static void work_remove(struct work *w)
{
    volume_snapshot_remove(w->runtime, w->volume, w->name, &w->err);
}

static void work_restore(struct work *w)
{
    volume_snapshot_restore(w->runtime, w->volume, w->name, &w->err);
}

void api_snapshot_create(struct api_call *c, const void *request)
{
    const struct snapshot_request *r = request;
    if (api_volume_is_folder(c, r->volume))
        begin(c, r, work_create);
}

void api_snapshot_list(struct api_call *c, const void *request)
{
    begin(c, request, work_list);
}

void api_snapshot_remove(struct api_call *c, const void *request)
{
    begin(c, request, work_remove);
}

void api_snapshot_restore(struct api_call *c, const void *request)
{
    const struct snapshot_request *r = request;
    if (api_volume_is_folder(c, r->volume))
        begin(c, r, work_restore);
}
