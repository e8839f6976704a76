/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking parts of an agent: each is a job that owns copies of what it needs. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/agent.h"
#include "node/container_of.h"
#include "node/contents.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/reconcile.h"
#include "runtime/image.h"
#include "runtime/inspect.h"
#include "runtime/memfile.h"
#include "runtime/network.h"
#include "runtime/update.h"
#include "runtime/volume.h"
#include "store/options.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct agent_job {
    struct agent *agent;
    struct runtime *runtime;
    char id[24];
    char *netns;
    bool shares; /* … which is another task's */
    char *run_dir;
    struct spec spec;
    char *hostname;
    char *address; /* in its first network, or NULL */
    char *node_address;
    char *image; /* the spec's, as this node has it */
    int64_t run;
    int64_t deadline_ms;
    unsigned limits;            /* to change, of enum container_update_field */
    struct content_files files; /* configs and secrets */
    size_t volumes_n;
    struct volume *volumes; /* of each mount what the state says; zeroed: nothing */
    atomic_bool cancelled;
    const atomic_bool *giving_up; /* the daemon's */
    struct err err;
    struct container_state state;
    void (*done)(struct agent_job *job);
};

static void free_job(struct agent_job *job)
{
    record_release(&spec_type, &job->spec);
    content_files_release(&job->files);
    for (size_t i = 0; job->volumes && i < job->volumes_n; i++)
        record_release(&volume_type, &job->volumes[i]);
    free(job->volumes);
    free(job->netns);
    free(job->run_dir);
    free(job->hostname);
    free(job->address);
    free(job->node_address);
    free(job->image);
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

static void read_volumes(struct agent_job *job, struct store *store)
{
    job->volumes_n = job->spec.mounts_n;
    job->volumes = mem_alloc(job->volumes_n, sizeof(*job->volumes));
    for (size_t i = 0; i < job->volumes_n; i++) {
        const struct mount_spec *m = &job->spec.mounts[i];
        if (m->kind != MOUNT_VOLUME || !*str_or_empty(m->source) ||
            store_find(store, TABLE_VOLUME, m->source, &job->volumes[i]) < 0)
            job->volumes[i] = (struct volume){0};
    }
}

static struct agent_job *new_job(struct agent *a, void (*done)(struct agent_job *), bool spec)
{
    check(!a->busy);
    struct agent_job *job = mem_alloc(1, sizeof(*job));
    job->agent = a;
    job->runtime = a->daemon->runtime;
    memcpy(job->id, a->id, sizeof(job->id));
    job->netns = str_copy(a->netns);
    job->shares = a->task.network_task != 0;
    job->run_dir = str_copy(a->daemon->run_dir);
    job->run = a->run;
    job->done = done;
    job->deadline_ms = a->deadline_ms;
    if (spec) {
        record_copy(&spec_type, &a->spec, &job->spec);
        job->hostname = container_hostname(&a->spec, &a->task);
        read_volumes(job, a->daemon->store);
        const struct agent *host = agent_host(a);
        const struct task *task = host ? &host->task : &a->task;
        if (task->addresses_n > 0)
            job->address = str_copy(task->addresses[0].address);
        char ip[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &a->daemon->ip, ip, sizeof(ip));
        job->node_address = str_copy(ip);
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

/* What the service is bound to is found by its digest, whatever name it has here: another image of
 * the same name is not it. */
static int find_image(struct agent_job *job)
{
    const char *ref = container_image(&job->spec);
    const char *refs[] = {ref, strstr(str_or_empty(job->spec.image_digest), "sha256:")};
    int rv = ERR_NOTFOUND;
    for (size_t i = 0; i < ARRAY_SIZE(refs) && refs[i] && rv == ERR_NOTFOUND; i++) {
        struct image image = {0};
        job->err = (struct err){0};
        rv = image_find(job->runtime, refs[i], &image, &job->err);
        if (rv == ERR_CORRUPT) {
            log_warn("image", "%s", job->err.msg);
            job->err = (struct err){0};
            rv = image_heal(job->runtime, refs[i], on_progress, job, &job->err);
        } else {
            image_release(&image);
        }
        if (rv == 0)
            job->image = str_copy(refs[i]);
    }
    return rv;
}

/* What was got by its digest has the service's own name here too: where the registry is gone,
 * others ask what it stood for. */
static void name_image(struct agent_job *job)
{
    struct err err;
    if (*str_or_empty(job->spec.image_digest) &&
        image_name_bound(job->runtime, job->spec.image_digest, str_or_empty(job->spec.image),
                         &err) < 0)
        log_info("image", "%.100s: %s", job->spec.image, err.msg);
}

static void work_fetch(void *arg)
{
    struct agent_job *job = arg;
    if (!on_progress(job, "")) {
        err_set(&job->err, ERR_CANCELED, "the image is not wanted any more");
        return;
    }
    int rv = find_image(job);
    if (rv != ERR_NOTFOUND)
        return;
    bool never = job->spec.pull_policy == PULL_NEVER;
    struct image_pull_options options = {
        .platform = job->spec.platform, .peers_only = never, .progress = on_progress, .arg = job};
    job->err = (struct err){0};
    if (image_pull_with(job->runtime, container_image(&job->spec), &options, &job->err) == 0)
        name_image(job);
    else if (never)
        err_wrap(&job->err, "pull_policy is never");
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

/* An anonymous volume belongs to its task: a folder of its container's own name. */
static char *volume_name(const struct agent_job *job, const struct mount_spec *mount, size_t i)
{
    if (*str_or_empty(mount->source))
        return str_copy(mount->source);
    return str_printf("%s-%zu", job->id, i);
}

/* The folder of a bind mount, made where there is nothing. */
static int make_source(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0)
        return 0;
    return file_mkdirs(path, 0755, err);
}

/* Its folder, with mounted there what its options say; or the part of it that is asked for. */
static int prepare_volume(struct agent_job *job, size_t i, const char *name, char **ret_path)
{
    const struct volume *v = &job->volumes[i];
    const char *type = pair_get(v->options, v->options_n, "type");
    const char *subpath = str_or_empty(job->spec.mounts[i].subpath);
    const struct volume_mount mount = {
        .type = type,
        .device = pair_get(v->options, v->options_n, "device"),
        .options = pair_get(v->options, v->options_n, "o"),
    };
    int rv = volume_ensure(job->runtime, name, ret_path, &job->err);
    if (rv == 0)
        rv = volume_limit(job->runtime, name, volume_size(v->options, v->options_n), &job->err);
    if (rv == 0 && *str_or_empty(type)) {
        rv = volume_mount(*ret_path, &mount, &job->err);
        if (rv < 0)
            rv = err_set(&job->err, ERR_UNAVAILABLE, "volume %.100s: %.150s", name, job->err.msg);
    }
    if (rv == 0 && *subpath) {
        cleanup_free char *whole = *ret_path;
        *ret_path = NULL;
        rv = volume_subpath(whole, subpath, ret_path, &job->err);
    }
    return rv;
}

/* Fill @paths, of each mount, with the folders of its volumes. */
static int prepare_mounts(struct agent_job *job, char **paths)
{
    int rv = 0;
    for (size_t i = 0; i < job->spec.mounts_n && rv == 0; i++) {
        const struct mount_spec *m = &job->spec.mounts[i];
        if (m->kind == MOUNT_VOLUME) {
            cleanup_free char *name = volume_name(job, m, i);
            rv = prepare_volume(job, i, name, &paths[i]);
        } else if (m->create_source) {
            rv = make_source(m->source, &job->err);
        }
    }
    return rv;
}

static int prepare_netns(struct agent_job *job)
{
    bool shared = *str_or_empty(job->spec.network_of);
    return job->spec.options.network_host || shared ? 0
                                                    : network_netns_create(job->netns, &job->err);
}

/* Configs and secrets, as files in memory. */
static int place_files(struct agent_job *job, bool *ret_changed)
{
    *ret_changed = false;
    struct memfile *files = mem_alloc(job->files.n, sizeof(*files));
    for (size_t i = 0; i < job->files.n; i++)
        files[i] = (struct memfile){.data = job->files.files[i].data.data,
                                    .len = job->files.files[i].data.len,
                                    .uid = job->files.files[i].uid,
                                    .gid = job->files.files[i].gid,
                                    .mode = job->files.files[i].mode};
    int rv = job->files.n == 0 ? 0
                               : memfiles_place(job->runtime, job->id, files, job->files.n,
                                                ret_changed, &job->err);
    free(files);
    return rv;
}

/* Where they are, NULL-terminated; free with free_paths(). */
static char **file_paths(struct agent_job *job)
{
    char **paths = mem_alloc(job->files.n + 1, sizeof(*paths));
    for (size_t i = 0; i < job->files.n; i++)
        paths[i] = memfile_path(job->runtime, job->id, i);
    return paths;
}

static void free_paths(char **paths)
{
    for (size_t i = 0; paths[i]; i++)
        free(paths[i]);
    free(paths);
}

static void create_container(struct agent_job *job, char *const *paths)
{
    struct container_plan plan;
    char **files = file_paths(job);
    container_plan_init(&plan, &(struct container_of){.spec = &job->spec,
                                                      .id = job->id,
                                                      .hostname = job->hostname,
                                                      .address = job->address,
                                                      .node_address = job->node_address,
                                                      .netns = job->netns,
                                                      .mount_sources = paths,
                                                      .file_sources = files});
    if (find_image(job) == 0)
        plan.spec.image = job->image;
    job->err = (struct err){0};
    if (container_create(job->runtime, &plan.spec, &job->err) == ERR_EXISTS)
        job->err = (struct err){0};
    container_plan_release(&plan);
    free_paths(files);
}

static void work_create(void *arg)
{
    struct agent_job *job = arg;
    size_t n = job->spec.mounts_n;
    char **paths = mem_alloc(n, sizeof(*paths));
    bool changed;
    if (prepare_netns(job) == 0 && prepare_mounts(job, paths) == 0 &&
        place_files(job, &changed) == 0)
        create_container(job, paths);
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
}

static void done_create(struct agent_job *job)
{
    agent_on_created(job->agent, &job->err);
}

/* The files were opened, or could not be: then it fails before it begins. */
static void work_failed(void *arg)
{
    (void)arg;
}

void agent_run_create(struct agent *a)
{
    struct agent_job *job = new_job(a, done_create, true);
    bool opened = contents_of(a->daemon, &a->spec, &job->files, &job->err) == 0;
    jobs_run(a->daemon->jobs, opened ? work_create : work_failed, on_done, job);
}

/* --- another content of its files ------------------------------------------------------------ */

static void work_files(void *arg)
{
    struct agent_job *job = arg;
    const char *signal = str_or_empty(job->spec.on_change);
    int number = *signal ? container_signal_number(signal) : 0;
    bool changed;
    if (place_files(job, &changed) == 0 && changed && number > 0)
        container_signal(job->runtime, job->id, number, &job->err);
}

static void done_files(struct agent_job *job)
{
    agent_on_filed(job->agent, &job->err);
}

void agent_run_files(struct agent *a)
{
    struct agent_job *job = new_job(a, done_files, true);
    bool opened = contents_of(a->daemon, &a->spec, &job->files, &job->err) == 0;
    jobs_run(a->daemon->jobs, opened ? work_files : work_failed, on_done, job);
}

/* --- start, look, stop, remove --------------------------------------------------------------- */

static void work_start(void *arg)
{
    struct agent_job *job = arg;
    size_t files = job->spec.configs_n + job->spec.secrets_n;
    size_t n = job->spec.mounts_n;
    char **paths = mem_alloc(n, sizeof(*paths)); /* what is mounted may have gone */
    int rv = prepare_mounts(job, paths);
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
    if (rv < 0)
        return;
    if (!memfiles_are_there(job->runtime, job->id, files)) {
        err_set(&job->err, ERR_NOTFOUND, "its configs and secrets have to be placed again");
        return;
    }
    if (container_set_deadline(job->runtime, job->id, job->deadline_ms, &job->err) < 0)
        return;
    container_start(job->runtime, job->id, job->run, &job->err);
}

static void done_start(struct agent_job *job)
{
    agent_on_started(job->agent, &job->err);
}

void agent_run_start(struct agent *a)
{
    run(a, work_start, done_start, true);
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

static void work_limits(void *arg)
{
    struct agent_job *job = arg;
    struct container_plan plan;
    container_plan_init(&plan, &(struct container_of){.spec = &job->spec, .id = job->id});
    const struct container_spec *spec = &plan.spec;
    const struct container_update update = {.set = CONTAINER_UPDATE_CPU | CONTAINER_UPDATE_MEMORY |
                                                   CONTAINER_UPDATE_PIDS,
                                            .cpu_milli = spec->cpu_milli,
                                            .memory_bytes = spec->memory_bytes,
                                            .pids_max = spec->pids_max,
                                            .reserved_bytes = spec->reserved_bytes};
    container_update(job->runtime, job->id, &update, &job->err);
    container_plan_release(&plan);
}

static void done_limits(struct agent_job *job)
{
    agent_on_limited(job->agent, &job->err);
}

void agent_run_limits(struct agent *a)
{
    struct agent_job *job = new_job(a, done_limits, true);
    job->limits = a->limits_due;
    jobs_run(a->daemon->jobs, work_limits, on_done, job);
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
        (!job->shares && network_netns_remove(job->netns, &job->err) < 0) ||
        memfiles_remove(job->runtime, job->id, &job->err) < 0)
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
