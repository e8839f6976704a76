/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inspect.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/processes.h"
#include "runtime/shim/protocol.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOUNTINFO_MAX = 1 << 20,
    MOUNTS_MAX = 1024,
};

const char *container_state_name(const struct container_state *state)
{
    switch (state->status) {
    case CONTAINER_CREATED:
        return "created";
    case CONTAINER_RUNNING:
        return state->paused ? "paused" : "running";
    case CONTAINER_EXITED:
        return "exited";
    case CONTAINER_SHIM_LOST:
        return "lost";
    }
    return "lost";
}

char *container_image_name(struct runtime *rt, const char *id)
{
    cleanup_record struct container_record record = {0};
    if (container_record_load(rt, id, &record, NULL) < 0)
        return NULL;
    return str_copy(record.spec.image);
}

int container_signal_number(const char *name)
{
    return container_record_signal(name);
}

static json_t *state_json(const struct container_state *state)
{
    return json_pack("{s:s, s:I, s:I, s:i, s:b, s:I, s:I}", "status", container_state_name(state),
                     "run", (json_int_t)state->run, "pid", (json_int_t)state->pid, "exit_code",
                     state->exit_code, "oom_killed", state->oom_killed, "started_ms",
                     (json_int_t)state->started_ms, "finished_ms", (json_int_t)state->finished_ms);
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 - ext3 /dev/root rw" (proc(5)). What is no UTF-8 is
 * left out. */
static json_t *mount_json(char *line)
{
    char *save, *fields[6] = {0};
    char *tail = strstr(line, " - ");
    if (!tail)
        return NULL;
    *tail = '\0';
    size_t n = 0;
    for (char *f = strtok_r(line, " ", &save); f && n < 6; f = strtok_r(NULL, " ", &save))
        fields[n++] = f;
    char *type = strtok_r(tail + 3, " ", &save);
    char *source = strtok_r(NULL, " ", &save);
    if (n < 6 || !type || !source)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "target", fields[4], "type", type, "source",
                     source, "root", fields[3], "options", fields[5]);
}

static json_t *mounts_json(pid_t pid)
{
    json_t *mounts = json_array();
    cleanup_free char *path = str_printf("/proc/%d/mountinfo", (int)pid);
    cleanup_buf struct buf text = BUF_INIT;
    if (pid <= 0 || file_read(path, MOUNTINFO_MAX, &text, NULL) < 0)
        return mounts;
    char *rest = text.data;
    for (char *line; (line = strsep(&rest, "\n")) && json_array_size(mounts) < MOUNTS_MAX;) {
        json_t *mount = mount_json(line);
        if (mount)
            json_array_append_new(mounts, mount);
    }
    return mounts;
}

static json_t *pids_json(struct runtime *rt, const char *id)
{
    json_t *pids = json_array();
    struct container_process *processes;
    size_t n;
    if (container_processes(rt, id, &processes, &n, NULL) < 0)
        return pids;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(pids, json_integer(processes[i].pid));
    container_processes_free(processes, n);
    return pids;
}

static json_t *layers_json(struct runtime *rt, const char *digest)
{
    json_t *layers = json_array();
    struct image image = {0};
    if (image_find(rt, digest, &image, NULL) < 0)
        return layers;
    for (char **l = image.layer_dirs; l && *l; l++)
        json_array_append_new(layers, json_string(*l));
    image_release(&image);
    return layers;
}

int container_inspect(struct runtime *rt, const char *id, const char *name, struct buf *out,
                      struct err *err)
{
    cleanup_record struct container_record record = {0};
    struct container_state state;
    int rv = container_record_load(rt, id, &record, err);
    if (rv < 0 || (rv = container_state(rt, id, &state, err)) < 0)
        return rv;
    cleanup_free char *group = container_group(rt, id);
    cleanup_free char *data = container_data_dir(rt, id);
    cleanup_free char *run_dir = container_state_dir(rt, id);
    cleanup_free char *log = str_printf("%s/" SHIM_DIR_LOG "/%lld.log", data, (long long)state.run);
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:o, s:O, s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:s}", "id", id,
                  "name", str_or_empty(name), "image_digest", record.image_digest, "state",
                  state_json(&state), "spec", (json_t *)record.json, "cgroup", group, "pids",
                  pids_json(rt, id), "mounts", mounts_json(state.pid), "log_path",
                  state.run > 0 ? log : "", "data_dir", data, "state_dir", run_dir, "layers",
                  layers_json(rt, record.image_digest), "oci_runtime", runtime_oci_version(rt));
    cleanup_free char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    if (!text)
        return err_set(err, ERR_INTERNAL, "container %s cannot be described", id);
    buf_puts(out, text);
    return 0;
}
