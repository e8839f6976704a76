/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about single containers that look at them or change how they run (cluster/api_container.h).
 * Files, images and checkpoints of containers: api_container_files.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/container_work.h"
#include "node/daemon.h"
#include "node/job.h"
#include "runtime/container.h"
#include "runtime/freeze.h"
#include "runtime/image.h"
#include "runtime/inspect.h"
#include "runtime/log.h"
#include "runtime/processes.h"
#include "runtime/stats.h"
#include "runtime/update.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

enum {
    FORWARD_MS = 30000,
    LOG_CHUNK_MAX = 256 << 10,
    EXIT_LOST = 137, /* its shim was killed, and with it what it ran */
    IO_LIMITS_MAX = 256,
};

/* --- several containers of this machine ------------------------------------------------------- */

/* What a list is made of: which there are and who sees them is found out on the loop. */
struct list_work {
    struct api_call *call;
    struct runtime *runtime;
    char *node;
    struct container_target *targets;
    size_t n;
    bool one; /* named: that it does not run is an error */
    void *reply;
    struct err err;
};

/* The containers that @request asks for, if they are here. */
static struct list_work *new_list(struct api_call *c, const struct container_request *r)
{
    struct container_target one;
    bool named = *str_or_empty(r->container);
    if (named ? !container_route(c, r, FORWARD_MS, &one) : !container_route_node(c, r, FORWARD_MS))
        return NULL;
    struct list_work *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    w->runtime = c->daemon->runtime;
    w->node = str_copy(c->daemon->name);
    w->one = named;
    w->reply = mem_alloc(1, c->verb->reply->size);
    if (named) {
        w->targets = mem_copy(&one, sizeof(one));
        w->n = 1;
        return w;
    }
    char **ids = NULL;
    struct err err;
    if (container_list(w->runtime, &ids, &err) < 0) {
        w->err = err;
        return w;
    }
    size_t n = 0;
    while (ids[n])
        n++;
    w->targets = mem_alloc(n, sizeof(*w->targets));
    for (size_t i = 0; i < n; i++)
        w->n += container_target_of(c, ids[i], &w->targets[w->n]);
    image_strings_free(ids);
    return w;
}

static void done_list(void *arg)
{
    struct list_work *w = arg;
    const struct record_type *type = w->call->verb->reply;
    if (w->err.code != 0)
        api_fail(w->call, &w->err);
    else
        api_reply(w->call, w->reply);
    record_release(type, w->reply);
    free(w->reply);
    free(w->targets);
    free(w->node);
    free(w);
}

static void describe(struct list_work *w, const struct container_target *target,
                     struct container_list_reply *reply)
{
    struct container_state state;
    if (container_state(w->runtime, target->id, &state, NULL) < 0)
        return; /* removed meanwhile */
    reply->containers[reply->containers_n++] = (struct container_info){
        .id = str_copy(target->id),
        .name = str_copy(target->name),
        .node = str_copy(w->node),
        .image = container_image_name(w->runtime, target->id),
        .state = str_copy(container_state_name(&state)),
        .run = state.run,
        .restarts = state.run > 1 ? state.run - 1 : 0,
        .pid = state.pid,
        .exit_code = state.status == CONTAINER_EXITED ? state.exit_code : 0,
        .oom_killed = state.oom_killed,
        .started_ms = state.started_ms,
        .finished_ms = state.finished_ms,
    };
}

static void work_list(void *arg)
{
    struct list_work *w = arg;
    struct container_list_reply *reply = w->reply;
    reply->containers = mem_alloc(w->n, sizeof(*reply->containers));
    for (size_t i = 0; i < w->n && w->err.code == 0; i++)
        describe(w, &w->targets[i], reply);
}

void api_container_list(struct api_call *c, const void *request)
{
    struct list_work *w = new_list(c, request);
    if (w)
        jobs_run(c->daemon->call_jobs, work_list, done_list, w);
}

/* --- stats ------------------------------------------------------------------------------------ */

static void fill_usage(const struct container_stats *s, struct container_usage *u)
{
    u->time_ns = s->time_ns;
    u->run = s->run;
    u->cpu_ns = s->cpu_ns;
    u->cpu_user_ns = s->cpu_user_ns;
    u->cpu_system_ns = s->cpu_system_ns;
    u->cpu_limit_milli = s->cpu_limit_milli;
    u->periods = s->periods;
    u->throttled_periods = s->throttled_periods;
    u->throttled_ns = s->throttled_ns;
    u->memory_bytes = s->memory_bytes;
    u->memory_working_bytes = s->memory_working_bytes;
    u->memory_file_bytes = s->memory_file_bytes;
    u->memory_peak_bytes = s->memory_peak_bytes;
    u->memory_limit_bytes = s->memory_limit_bytes;
    u->swap_bytes = s->swap_bytes;
    u->oom_kills = s->oom_kills;
    u->read_bytes = s->read_bytes;
    u->write_bytes = s->write_bytes;
    u->reads = s->reads;
    u->writes = s->writes;
    u->pids = s->pids;
    u->pids_limit = s->pids_limit;
    u->pressure_known = s->cpu_pressure.known || s->memory_pressure.known || s->io_pressure.known;
    u->cpu_some_centi = s->cpu_pressure.some_centi;
    u->cpu_full_centi = s->cpu_pressure.full_centi;
    u->memory_some_centi = s->memory_pressure.some_centi;
    u->memory_full_centi = s->memory_pressure.full_centi;
    u->io_some_centi = s->io_pressure.some_centi;
    u->io_full_centi = s->io_pressure.full_centi;
    u->network_known = s->network_known;
    u->rx_bytes = s->rx_bytes;
    u->rx_packets = s->rx_packets;
    u->rx_dropped = s->rx_dropped;
    u->tx_bytes = s->tx_bytes;
    u->tx_packets = s->tx_packets;
    u->tx_dropped = s->tx_dropped;
}

static void work_stats(void *arg)
{
    struct list_work *w = arg;
    struct container_stats_reply *reply = w->reply;
    struct sysinfo machine;
    sysinfo(&machine);
    reply->containers = mem_alloc(w->n, sizeof(*reply->containers));
    for (size_t i = 0; i < w->n && w->err.code == 0; i++) {
        struct container_stats stats;
        if (container_stats(w->runtime, w->targets[i].id, &stats, w->one ? &w->err : NULL) < 0)
            continue;
        struct container_usage *u = &reply->containers[reply->containers_n++];
        fill_usage(&stats, u);
        u->id = str_copy(w->targets[i].id);
        u->name = str_copy(w->targets[i].name);
        u->node = str_copy(w->node);
        u->machine_memory_bytes = (int64_t)machine.totalram * machine.mem_unit;
    }
}

void api_container_stats(struct api_call *c, const void *request)
{
    struct list_work *w = new_list(c, request);
    if (w)
        jobs_run(c->daemon->call_jobs, work_stats, done_list, w);
}

/* --- one container ---------------------------------------------------------------------------- */

static void work_inspect(struct container_work *w)
{
    struct container_text_reply *reply = w->reply;
    struct buf json = BUF_INIT;
    container_inspect(w->runtime, w->target.id, w->target.name, &json, &w->err);
    reply->json = buf_take(&json);
}

void api_container_inspect(struct api_call *c, const void *request)
{
    container_work_begin(c, request, work_inspect);
}

static void work_top(struct container_work *w)
{
    struct container_top_reply *reply = w->reply;
    struct container_process *processes;
    size_t n;
    if (container_processes(w->runtime, w->target.id, &processes, &n, &w->err) < 0)
        return;
    reply->processes = mem_alloc(n, sizeof(*reply->processes));
    for (size_t i = 0; i < n; i++) {
        const struct container_process *p = &processes[i];
        reply->processes[reply->processes_n++] = (struct container_process_info){
            .pid = p->pid,
            .inside_pid = p->inside_pid,
            .parent_pid = p->parent_pid,
            .uid = p->uid,
            .user = str_copy(p->user),
            .state = str_printf("%c", p->state),
            .threads = p->threads,
            .cpu_ms = p->cpu_ms,
            .rss_bytes = p->rss_bytes,
            .started_ms = p->started_ms,
            .command = str_copy(p->command),
        };
    }
    container_processes_free(processes, n);
}

void api_container_top(struct api_call *c, const void *request)
{
    container_work_begin(c, request, work_top);
}

static void work_pause(struct container_work *w)
{
    container_pause(w->runtime, w->target.id, &w->err);
}

void api_container_pause(struct api_call *c, const void *request)
{
    container_work_begin(c, request, work_pause);
}

static void work_resume(struct container_work *w)
{
    container_resume(w->runtime, w->target.id, &w->err);
}

void api_container_resume(struct api_call *c, const void *request)
{
    container_work_begin(c, request, work_resume);
}

static void work_signal(struct container_work *w)
{
    const struct container_signal_request *r = w->request;
    const char *name = str_or_empty(r->signal);
    int number = *name ? container_signal_number(name) : SIGKILL;
    if (number == 0)
        err_set(&w->err, ERR_INVALID, "there is no signal '%.40s'", name);
    else
        container_signal(w->runtime, w->target.id, number, &w->err);
}

void api_container_signal(struct api_call *c, const void *request)
{
    container_work_begin(c, request, work_signal);
}

static void work_update(struct container_work *w)
{
    const struct container_update_request *r = w->request;
    if (r->io_n > IO_LIMITS_MAX || r->set <= 0 || r->set >= 2 * CONTAINER_UPDATE_IO) {
        err_set(&w->err, ERR_INVALID, "no limits that this member knows");
        return;
    }
    struct container_io io[IO_LIMITS_MAX];
    for (size_t i = 0; i < r->io_n; i++) {
        if (r->io[i].kind < CONTAINER_IO_WEIGHT || r->io[i].kind > CONTAINER_IO_WRITE_IOPS ||
            r->io[i].value <= 0) {
            err_set(&w->err, ERR_INVALID, "io: no kind of limit that this member knows");
            return;
        }
        io[i] = (struct container_io){.kind = (enum container_io_kind)r->io[i].kind,
                                      .path = r->io[i].path,
                                      .value = r->io[i].value};
    }
    struct container_update update = {.set = (unsigned)r->set,
                                      .cpu_milli = r->cpu_milli,
                                      .cpu_shares = r->cpu_shares,
                                      .cpuset = r->cpuset,
                                      .memory_bytes = r->memory_bytes,
                                      .memswap_bytes = r->memswap_bytes,
                                      .reserved_bytes = r->reserved_bytes,
                                      .pids_max = r->pids_max,
                                      .io_weight = r->io_weight,
                                      .io = io,
                                      .io_n = r->io_n};
    container_update(w->runtime, w->target.id, &update, &w->err);
}

void api_container_update(struct api_call *c, const void *request)
{
    container_work_begin(c, request, work_update);
}

/* --- waits ------------------------------------------------------------------------------------ */

static void look_wait(struct container_work *w)
{
    const struct container_wait_request *r = w->request;
    struct container_wait_reply *reply = w->reply;
    struct container_state state;
    if (container_state(w->runtime, w->target.id, &state, &w->err) < 0)
        return;
    int64_t run = r->run > 0 ? r->run : reply->run;
    reply->run = run > 0 ? run : state.run;
    if (run > 0 && state.run > run) {
        reply->exit_unknown = true;
    } else if (state.status == CONTAINER_EXITED) {
        reply->exit_code = state.exit_code;
        reply->oom_killed = state.oom_killed;
    } else if (state.status == CONTAINER_SHIM_LOST) {
        reply->exit_code = EXIT_LOST;
    } else {
        return;
    }
    reply->ended = w->ready = true;
}

void api_container_wait(struct api_call *c, const void *request)
{
    const struct container_wait_request *r = request;
    container_work_wait(c, request, r->wait_ms, look_wait);
}

static void look_logs(struct container_work *w)
{
    struct container_logs_request *r = w->request;
    struct logs_reply *reply = w->reply;
    struct log_cursor cursor = {
        .run = r->run > 0 ? r->run : 0, .file = r->file, .offset = r->offset > 0 ? r->offset : 0};
    struct buf lines = BUF_INIT;
    struct container_state state;
    /* Before the reading: what it wrote until then is read. */
    if (container_state(w->runtime, w->target.id, &state, &w->err) < 0)
        return;
    if (r->has_tail && r->run <= 0) {
        if (log_seek_tail(w->runtime, w->target.id, r->tail > 0 ? r->tail : 0, &cursor, &w->err) <
            0)
            return;
        r->has_tail = false;
    }
    int rv = log_read_cri(w->runtime, w->target.id, &cursor, LOG_CHUNK_MAX, &lines, &reply->more,
                          &w->err);
    if (rv == ERR_NOTFOUND)
        w->err = (struct err){0};
    reply->ended = !reply->more && state.status != CONTAINER_RUNNING;
    w->ready = lines.len > 0 || reply->more || reply->ended;
    reply->run = r->run = cursor.run;
    reply->file = r->file = cursor.file;
    reply->offset = r->offset = cursor.offset;
    reply->lines.len = lines.len;
    reply->lines.data = (unsigned char *)buf_take(&lines);
    if (!w->ready)
        record_release(&logs_reply_type, reply); /* the next look fills it anew */
    if (!w->ready) {
        reply->run = cursor.run;
        reply->file = cursor.file;
        reply->offset = cursor.offset;
    }
}

void api_container_logs(struct api_call *c, const void *request)
{
    const struct container_logs_request *r = request;
    container_work_wait(c, request, r->wait_ms, look_logs);
}
