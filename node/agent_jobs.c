/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking parts of an agent: each is a job that owns copies of what it needs. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/agent.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/reconcile.h"
#include "runtime/image.h"
#include "runtime/network.h"
#include "runtime/volume.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct agent_job {
    struct agent *agent;
    struct runtime *runtime;
    char id[24];
    char *netns;
    char *run_dir;
    struct spec spec;
    char *hostname;
    char *hosts;
    int64_t run;
    atomic_bool cancelled;
    const atomic_bool *giving_up; /* the daemon's */
    struct err err;
    struct container_state state;
    void (*done)(struct agent_job *job);
};

static void free_job(struct agent_job *job)
{
    record_release(&spec_type, &job->spec);
    free(job->netns);
    free(job->run_dir);
    free(job->hostname);
    free(job->hosts);
    free(job);
}

static void on_done(void *arg)
{
    struct agent_job *job = arg;
    struct agent *a = job->agent;
    a->busy = false;
    a->fetching = NULL;
    if (!a->daemon->stopping)
        job->done(job);
    free_job(job);
    if (!a->daemon->stopping)
        agent_step(a);
}

static char *hosts_of(const struct agent *a, const char *hostname)
{
    struct buf out = BUF_INIT;
    buf_puts(&out, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if (a->task.addresses_n > 0)
        buf_printf(&out, "%s\t%s\n", a->task.addresses[0].address, hostname);
    return buf_take(&out);
}

static struct agent_job *new_job(struct agent *a, void (*done)(struct agent_job *), bool spec)
{
    check(!a->busy);
    struct agent_job *job = mem_alloc(1, sizeof(*job));
    job->agent = a;
    job->runtime = a->daemon->runtime;
    memcpy(job->id, a->id, sizeof(job->id));
    job->netns = str_copy(a->netns);
    job->run_dir = str_copy(a->daemon->run_dir);
    job->run = a->run;
    job->done = done;
    if (spec) {
        record_copy(&spec_type, &a->spec, &job->spec);
        job->hostname = *str_or_empty(a->spec.hostname)
                            ? str_copy(a->spec.hostname)
                            : str_printf("%s-%lld", a->task.service, (long long)a->task.slot);
        job->hosts = hosts_of(a, job->hostname);
    }
    a->busy = true;
    return job;
}

static void run(struct agent *a, void (*work)(void *), void (*done)(struct agent_job *), bool spec)
{
    jobs_run(a->daemon->jobs, work, on_done, new_job(a, done, spec));
}

/* --- fetch ----------------------------------------------------------------------------------- */

static bool on_progress(void *arg, const char *text)
{
    struct agent_job *job = arg;
    (void)text;
    return !atomic_load(&job->cancelled) && !atomic_load(job->giving_up);
}

static void work_fetch(void *arg)
{
    struct agent_job *job = arg;
    if (!on_progress(job, "")) {
        err_set(&job->err, ERR_CANCELED, "the image is not wanted any more");
        return;
    }
    struct image image = {0};
    int rv = image_find(job->runtime, str_or_empty(job->spec.image), &image, &job->err);
    image_release(&image);
    if (rv == ERR_NOTFOUND) {
        job->err = (struct err){0};
        image_pull(job->runtime, str_or_empty(job->spec.image), NULL, on_progress, job, &job->err);
    }
}

static void done_fetch(struct agent_job *job)
{
    agent_on_fetched(job->agent, &job->err);
}

void agent_run_fetch(struct agent *a)
{
    struct agent_job *job = new_job(a, done_fetch, true);
    job->giving_up = &a->daemon->giving_up;
    a->fetching = job;
    jobs_run(a->daemon->image_jobs, work_fetch, on_done, job);
}

void agent_cancel_fetch(struct agent *a)
{
    if (a->fetching)
        atomic_store(&a->fetching->cancelled, true);
}

/* --- create ---------------------------------------------------------------------------------- */

/* A NULL-terminated view of a list of strings; free the array only. */
static const char **strings_of(char *const *strings, size_t n)
{
    const char **view = mem_alloc(n + 1, sizeof(*view));
    for (size_t i = 0; i < n; i++)
        view[i] = strings[i];
    return view;
}

/* An anonymous volume belongs to its task: a folder of its container's own name. */
static char *volume_name(const struct agent_job *job, const struct mount_spec *mount, size_t i)
{
    if (*str_or_empty(mount->source))
        return str_copy(mount->source);
    return str_printf("%s-%zu", job->id, i);
}

static int prepare_mounts(struct agent_job *job, struct container_mount *mounts, char **paths)
{
    for (size_t i = 0; i < job->spec.mounts_n; i++) {
        const struct mount_spec *m = &job->spec.mounts[i];
        if (m->kind == MOUNT_VOLUME) {
            cleanup_free char *name = volume_name(job, m, i);
            if (volume_ensure(job->runtime, name, &paths[i], &job->err) < 0)
                return job->err.code;
        }
        mounts[i] = (struct container_mount){.source = paths[i] ? paths[i] : m->source,
                                             .target = m->target,
                                             .read_only = m->read_only};
    }
    return 0;
}

static int create_container(struct agent_job *job, const struct container_mount *mounts)
{
    const struct spec *s = &job->spec;
    const char **entrypoint = strings_of(s->entrypoint, s->entrypoint_n);
    const char **command = strings_of(s->command, s->command_n);
    const char **env = strings_of(s->environment, s->environment_n);
    struct container_spec spec = {
        .id = job->id,
        .image = s->image,
        .entrypoint = s->entrypoint_set ? entrypoint : NULL,
        .command = s->command_set ? command : NULL,
        .env = env,
        .hostname = job->hostname,
        .user = s->user && *s->user ? s->user : NULL,
        .working_dir = s->working_dir && *s->working_dir ? s->working_dir : NULL,
        .stop_signal = s->stop_signal && *s->stop_signal ? s->stop_signal : NULL,
        .mounts = mounts,
        .mounts_n = s->mounts_n,
        .netns = job->netns,
        .resolv_conf = "nameserver " NETWORK_GATEWAY "\noptions ndots:0\n",
        .hosts = job->hosts,
        .cpu_milli = s->limits.cpu_milli,
        .memory_bytes = s->limits.memory_bytes,
        .pids_max = s->limits.pids,
        .read_only = s->read_only,
    };
    int rv = container_create(job->runtime, &spec, &job->err);
    free(entrypoint);
    free(command);
    free(env);
    if (rv == ERR_EXISTS) {
        job->err = (struct err){0};
        return 0;
    }
    return rv;
}

static void work_create(void *arg)
{
    struct agent_job *job = arg;
    size_t n = job->spec.mounts_n;
    struct container_mount *mounts = mem_alloc(n, sizeof(*mounts));
    char **paths = mem_alloc(n, sizeof(*paths));
    if (network_netns_create(job->netns, &job->err) == 0 && prepare_mounts(job, mounts, paths) == 0)
        create_container(job, mounts);
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
    free(mounts);
}

static void done_create(struct agent_job *job)
{
    agent_on_created(job->agent, &job->err);
}

void agent_run_create(struct agent *a)
{
    run(a, work_create, done_create, true);
}

/* --- start, look, stop, remove --------------------------------------------------------------- */

static void work_start(void *arg)
{
    struct agent_job *job = arg;
    container_start(job->runtime, job->id, job->run, &job->err);
}

static void done_start(struct agent_job *job)
{
    agent_on_started(job->agent, &job->err);
}

void agent_run_start(struct agent *a)
{
    run(a, work_start, done_start, false);
}

static void work_look(void *arg)
{
    struct agent_job *job = arg;
    int rv = container_state(job->runtime, job->id, &job->state, &job->err);
    /* What a killed shim left behind must not run on unseen. */
    if (rv == 0 && job->state.status == CONTAINER_SHIM_LOST)
        container_kill(job->runtime, job->id, &job->err);
}

static void done_look(struct agent_job *job)
{
    agent_on_looked(job->agent, &job->err, &job->state);
}

void agent_run_look(struct agent *a)
{
    run(a, work_look, done_look, false);
}

static void work_signal(void *arg)
{
    struct agent_job *job = arg;
    container_signal(job->runtime, job->id, 0, &job->err);
}

static void done_signal(struct agent_job *job)
{
    agent_on_signalled(job->agent, &job->err);
}

void agent_run_signal(struct agent *a)
{
    run(a, work_signal, done_signal, false);
}

static void work_kill(void *arg)
{
    struct agent_job *job = arg;
    container_kill(job->runtime, job->id, &job->err);
}

static void done_kill(struct agent_job *job)
{
    agent_on_killed(job->agent, &job->err);
}

void agent_run_kill(struct agent *a)
{
    run(a, work_kill, done_kill, false);
}

static void work_remove(void *arg)
{
    struct agent_job *job = arg;
    if (container_remove(job->runtime, job->id, &job->err) < 0 ||
        network_netns_remove(job->netns, &job->err) < 0)
        return;
    for (size_t i = 0; i < job->spec.mounts_n; i++) {
        const struct mount_spec *m = &job->spec.mounts[i];
        if (m->kind != MOUNT_VOLUME || *str_or_empty(m->source))
            continue;
        cleanup_free char *name = volume_name(job, m, i);
        if (volume_remove(job->runtime, name, &job->err) < 0)
            return;
    }
}

static void done_remove(struct agent_job *job)
{
    agent_on_removed(job->agent, &job->err);
}

void agent_run_remove(struct agent *a)
{
    run(a, work_remove, done_remove, true);
}
