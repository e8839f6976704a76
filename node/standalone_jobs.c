/* SPDX-License-Identifier: Apache-2.0 */
#include "node/standalone_jobs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/container_of.h"
#include "node/standalone.h"
#include "runtime/image.h"
#include "runtime/network.h"
#include "runtime/volume.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RECORD_MAX = 1 << 20,
};

/* clang-format off */
static const struct field standalone_record_fields[] = {
    FIELD_STRING(struct standalone_record, id),
    FIELD_ENUM(struct standalone_record, policy, standalone_policy_names),
    FIELD_INT(struct standalone_record, retries_max),
    FIELD_BOOL(struct standalone_record, wanted),
    FIELD_BOOL(struct standalone_record, auto_remove),
    FIELD_BOOL(struct standalone_record, held),
    FIELD_BOOL(struct standalone_record, network_host),
    FIELD_INT(struct standalone_record, stop_grace_ms),
    FIELD_STRINGS(struct standalone_record, volumes),
    FIELD_INT(struct standalone_record, created_ms),
};
/* clang-format on */
const struct record_type standalone_record_type =
    RECORD_TYPE("standalone_record", struct standalone_record, standalone_record_fields);

void standalone_job_free(struct standalone_job *job)
{
    record_release(&standalone_record_type, &job->record);
    record_release(&spec_type, &job->spec);
    free(job->data_dir);
    free(job->run_dir);
    free(job);
}

static char *record_path(const char *data_dir, const char *id)
{
    return str_printf("%s/standalone/%s", data_dir, id);
}

static char *netns_path(const struct standalone_job *job)
{
    return str_printf("%s/netns/%s", job->run_dir, job->record.id);
}

/* --- create ----------------------------------------------------------------------------------- */

/* Fill @paths with the folders of volumes; anonymous ones are noted in the record. */
static int make_volumes(struct standalone_job *job, char **paths)
{
    struct standalone_record *r = &job->record;
    r->volumes = mem_alloc(job->spec.mounts_n, sizeof(*r->volumes));
    for (size_t i = 0; i < job->spec.mounts_n; i++) {
        const struct mount_spec *m = &job->spec.mounts[i];
        struct stat st;
        int rv = 0;
        if (m->kind == MOUNT_BIND) {
            /* As docker's -v: a folder is made where nothing is. */
            if (stat(m->source, &st) < 0)
                rv = file_mkdirs(m->source, 0755, &job->err);
        } else if (*str_or_empty(m->source)) {
            rv = volume_ensure(job->runtime, m->source, &paths[i], &job->err);
        } else {
            cleanup_free char *name = str_printf("%s-%zu", r->id, i);
            rv = volume_ensure(job->runtime, name, &paths[i], &job->err);
            if (rv == 0)
                r->volumes[r->volumes_n++] = steal(&name);
        }
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int remove_volumes(struct standalone_job *job)
{
    for (size_t i = 0; i < job->record.volumes_n; i++) {
        int rv = volume_remove(job->runtime, job->record.volumes[i], &job->err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int create_container(struct standalone_job *job, char *const *paths)
{
    cleanup_free char *netns = netns_path(job);
    struct container_plan plan;
    const char *hostname = *str_or_empty(job->spec.hostname)
                               ? job->spec.hostname
                               : job->record.id + strlen("c-"); /* its name */
    container_plan_init(&plan, &(struct container_of){.spec = &job->spec,
                                                      .id = job->record.id,
                                                      .hostname = hostname,
                                                      .netns = netns,
                                                      .mount_sources = paths});
    if (!job->record.network_host)
        plan.spec.resolv_conf = "# no network\n"; /* nobody could be asked */
    int rv = container_create(job->runtime, &plan.spec, &job->err);
    container_plan_release(&plan);
    return rv;
}

void standalone_work_create(struct standalone_job *job)
{
    size_t n = job->spec.mounts_n;
    char **paths = mem_alloc(n, sizeof(*paths));
    struct image image = {0};
    bool made = false;
    int rv = image_find(job->runtime, str_or_empty(job->spec.image), &image, &job->err);
    image_release(&image);
    if (rv == 0 && (rv = make_volumes(job, paths)) == 0)
        rv = create_container(job, paths);
    made = rv == 0;
    if (made)
        standalone_work_save(job);
    if (job->err.code != 0) {
        struct err why = job->err;
        if (made)
            container_remove(job->runtime, job->record.id, &job->err);
        if (rv != ERR_EXISTS)
            remove_volumes(job);
        job->err = why;
    }
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
    free(paths);
}

void standalone_work_save(struct standalone_job *job)
{
    cleanup_free char *dir = str_printf("%s/standalone", job->data_dir);
    cleanup_free char *path = record_path(job->data_dir, job->record.id);
    cleanup_buf struct buf data = BUF_INIT;
    bool missing = !file_exists(dir);
    if (file_mkdirs(dir, 0700, &job->err) < 0 || (missing && file_sync_parent(dir, &job->err) < 0))
        return;
    record_encode(&standalone_record_type, &job->record, &data);
    file_write(path, data.data, data.len, 0600, &job->err);
}

/* --- runs ------------------------------------------------------------------------------------- */

void standalone_work_start(struct standalone_job *job)
{
    cleanup_free char *netns = netns_path(job);
    const char *id = job->record.id;
    if (container_state(job->runtime, id, &job->state, &job->err) < 0)
        return;
    if (job->state.status == CONTAINER_RUNNING)
        return;
    if (!job->record.network_host && network_netns_create(netns, &job->err) < 0)
        return; /* it is gone after a reboot */
    if (container_start(job->runtime, id, job->state.run + 1, &job->err) == 0)
        container_state(job->runtime, id, &job->state, &job->err);
}

void standalone_work_look(struct standalone_job *job)
{
    const char *id = job->record.id;
    if (container_state(job->runtime, id, &job->state, &job->err) == 0 &&
        job->state.status == CONTAINER_SHIM_LOST)
        container_kill(job->runtime, id, &job->err);
}

void standalone_work_signal(struct standalone_job *job)
{
    if (container_signal(job->runtime, job->record.id, 0, &job->err) == ERR_NOTFOUND)
        job->err = (struct err){0};
}

void standalone_work_kill(struct standalone_job *job)
{
    container_kill(job->runtime, job->record.id, &job->err);
}

void standalone_work_remove(struct standalone_job *job)
{
    cleanup_free char *netns = netns_path(job);
    cleanup_free char *path = record_path(job->data_dir, job->record.id);
    if (container_remove(job->runtime, job->record.id, &job->err) < 0 ||
        network_netns_remove(netns, &job->err) < 0 || remove_volumes(job) < 0)
        return;
    if (unlink(path) < 0 && errno != ENOENT)
        err_errno(&job->err, errno, "delete %s", path);
    else
        file_sync_parent(path, &job->err);
}

/* --- what there is ---------------------------------------------------------------------------- */

/* 0: *@ret is the record of @id; ERR_NOTFOUND; or it is damaged. */
static int load_record(const char *data_dir, const char *id, struct standalone_record *ret,
                       struct err *err)
{
    cleanup_free char *path = record_path(data_dir, id);
    cleanup_buf struct buf data = BUF_INIT;
    struct standalone_record record;
    if (!file_exists(path))
        return err_set(err, ERR_NOTFOUND, "there is no %s", path);
    int rv = file_read(path, RECORD_MAX, &data, err);
    if (rv == 0)
        rv = record_decode(&standalone_record_type, data.data, data.len, false, &record, err);
    if (rv < 0)
        return err_wrap(err, "%s", path);
    if (!str_equal(record.id, id) || record.stop_grace_ms < 0 || record.retries_max < 0) {
        record_release(&standalone_record_type, &record);
        return err_set(err, ERR_CORRUPT, "%s is not the record of %s", path, id);
    }
    *ret = record;
    return 0;
}

/* Records whose container is gone: its removal had come so far. */
static void clean_records(struct runtime *rt, const char *data_dir, const char *run_dir,
                          char *const *ids)
{
    cleanup_free char *dir = str_printf("%s/standalone", data_dir);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        bool here = !standalone_is_id(e->d_name);
        struct standalone_record record;
        for (char *const *id = ids; *id && !here; id++)
            here = strcmp(*id, e->d_name) == 0;
        if (here || load_record(data_dir, e->d_name, &record, NULL) < 0)
            continue;
        struct standalone_job *job = mem_alloc(1, sizeof(*job));
        job->runtime = rt;
        job->data_dir = str_copy(data_dir);
        job->run_dir = str_copy(run_dir);
        job->record = record;
        standalone_work_remove(job);
        standalone_job_free(job);
    }
    if (d)
        closedir(d);
}

int standalone_load(struct runtime *rt, const char *data_dir, const char *run_dir,
                    struct standalone_found **ret, size_t *ret_n, struct err *err)
{
    char **ids = NULL;
    struct standalone_found *found = NULL;
    size_t n = 0;
    int rv = container_list(rt, &ids, err);
    if (rv < 0)
        return rv;
    clean_records(rt, data_dir, run_dir, ids);
    for (char **id = ids; *id; id++) {
        struct standalone_found f = {0};
        struct err why = {0};
        if (!standalone_is_id(*id))
            continue;
        rv = load_record(data_dir, *id, &f.record, &why);
        if (rv == ERR_NOTFOUND) {
            log_info("node", "container %s was being made: removed", *id);
            rv = container_remove(rt, *id, &why);
            if (rv == 0)
                continue;
        }
        if (rv < 0 || container_state(rt, *id, &f.state, &why) < 0) {
            log_warn("node", "container %s is left as it is: %s", *id, why.msg);
            record_release(&standalone_record_type, &f.record);
            continue;
        }
        found = mem_resize(found, n + 1, sizeof(*found));
        found[n++] = f;
    }
    image_strings_free(ids);
    *ret = found;
    *ret_n = n;
    return 0;
}
