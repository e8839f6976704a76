/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/process.h"
#include "runtime/shim/protocol.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PROBE_TIMEOUT_MS = 20000,
    OUTPUT_MAX = 4096,
    LOG_MAX = 65536,
};

static const char *const candidates[] = {"crun", "runc"};

static void add(char ***argv, size_t *n, const char *arg)
{
    *argv = mem_resize(*argv, *n + 2, sizeof(char *));
    (*argv)[(*n)++] = str_copy(arg);
    (*argv)[*n] = NULL;
}

static char **start_argv(const struct runtime *rt, size_t *n, const char *log)
{
    char **argv = NULL;
    cleanup_free char *root = str_printf("%s/oci", rt->run_dir);
    add(&argv, n, rt->oci_path);
    add(&argv, n, "--root");
    add(&argv, n, root);
    if (log) {
        add(&argv, n, "--log");
        add(&argv, n, log);
        add(&argv, n, "--log-format");
        add(&argv, n, "json");
    }
    return argv;
}

char **oci_run_argv(const struct runtime *rt, const char *id, const char *bundle)
{
    size_t n = 0;
    cleanup_free char *log = str_printf("%s/" SHIM_FILE_OCI_LOG, bundle);
    cleanup_free char *pid_file = str_printf("%s/" SHIM_FILE_PID, bundle);
    char **argv = start_argv(rt, &n, log);
    add(&argv, &n, "run");
    add(&argv, &n, "--detach");
    add(&argv, &n, "--bundle");
    add(&argv, &n, bundle);
    add(&argv, &n, "--pid-file");
    add(&argv, &n, pid_file);
    add(&argv, &n, id);
    return argv;
}

char **oci_exec_argv(const struct runtime *rt, const char *id, const char *pid_file,
                     const char *const *args)
{
    size_t n = 0;
    char **argv = start_argv(rt, &n, NULL);
    add(&argv, &n, "exec");
    add(&argv, &n, "--pid-file");
    add(&argv, &n, pid_file);
    add(&argv, &n, id);
    for (; *args; args++)
        add(&argv, &n, *args);
    return argv;
}

/* crun and runc keep nothing of a dead container but a folder. */
static bool is_known(const struct runtime *rt)
{
    return str_starts(rt->oci_version, "crun ") || str_starts(rt->oci_version, "runc ");
}

void oci_forget(const struct runtime *rt, const char *id)
{
    cleanup_free char *state = str_printf("%s/oci/%s", rt->run_dir, id);
    if (!file_exists(state))
        return;
    if (!is_known(rt)) {
        size_t n = 0;
        char **argv = start_argv(rt, &n, NULL);
        add(&argv, &n, "delete");
        add(&argv, &n, "--force");
        add(&argv, &n, id);
        cleanup_buf struct buf out = BUF_INIT;
        int code;
        process_run((const char *const *)argv, rt->oci_hide, PROBE_TIMEOUT_MS, OUTPUT_MAX, &out,
                    &code, NULL);
        image_strings_free(argv);
    }
    file_remove_tree(state, NULL);
}

/* The message of the last error in a log of JSON lines. */
static char *last_error(char *text)
{
    char *found = NULL, *save;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *entry = json_loads(line, 0, NULL);
        const char *level = json_string_value(json_object_get(entry, "level"));
        const char *msg = json_string_value(json_object_get(entry, "msg"));
        if (msg && level && (strcmp(level, "error") == 0 || strcmp(level, "fatal") == 0)) {
            free(found);
            found = str_copy(msg);
        }
        json_decref(entry);
    }
    return found;
}

int oci_log_error(const char *path, const char *fallback, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_free char *msg = NULL;
    if (file_read(path, LOG_MAX, &text, NULL) == 0)
        msg = last_error(text.data);
    return err_set(err, ERR_FAILED, "%s", msg ? msg : fallback);
}

static void probe_config(const struct runtime *rt, const char *name, struct buf *out)
{
    cleanup_free char *shim = str_printf("%s/wherry-shim", rt->program_dir);
    cleanup_free char *group = str_printf("%s/container/%s", rt->cgroup_parent, name);
    buf_puts(out, "{\"ociVersion\":\"1.0.0\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
                  "\"args\":[\"/shim\",\"" SHIM_PROBE "\"],\"env\":[],\"cwd\":\"/\"},"
                  "\"root\":{\"path\":\"rootfs\"},"
                  "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
                  "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
                  "{\"destination\":\"/shim\",\"type\":\"bind\",\"source\":");
    buf_put_json(out, shim);
    buf_puts(out, ",\"options\":[\"bind\",\"ro\"]}],\"linux\":{\"cgroupsPath\":");
    buf_put_json(out, group);
    buf_puts(out, ",\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]");
    if (cgroup_has(rt, "pids"))
        buf_puts(out, ",\"pids\":{\"limit\":64}");
    buf_puts(out, "},\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},"
                  "{\"type\":\"uts\"},{\"type\":\"network\"}]}}");
}

/* Have the candidate in rt->oci_path run a container; true when that worked. What it said goes to
 * @said. */
static bool try_run(const struct runtime *rt, struct buf *said)
{
    cleanup_free char *name = str_printf("probe-%d", (int)getpid());
    cleanup_free char *bundle = str_printf("%s/%s", rt->run_dir, name);
    cleanup_free char *rootfs = str_printf("%s/rootfs", bundle);
    cleanup_free char *config = str_printf("%s/config.json", bundle);
    cleanup_free char *group = str_printf("%s/container/%s", rt->cgroup_parent, name);
    cleanup_buf struct buf json = BUF_INIT;
    probe_config(rt, name, &json);
    struct err err = {0};
    bool works = false;
    int code = -1;
    if (file_mkdirs(rootfs, 0755, &err) < 0 || cgroup_make(rt, group, &err) < 0 ||
        file_write_fast(config, json.data, json.len, 0600, &err) < 0)
        goto out;
    size_t n = 0;
    char **argv = start_argv(rt, &n, NULL);
    add(&argv, &n, "run");
    add(&argv, &n, "--bundle");
    add(&argv, &n, bundle);
    add(&argv, &n, name);
    if (process_run((const char *const *)argv, rt->oci_hide, PROBE_TIMEOUT_MS, OUTPUT_MAX, said,
                    &code, &err) == 0)
        works = code == 0;
    image_strings_free(argv);
out:
    if (err.code)
        buf_puts(said, err.msg);
    while (said->len > 0 && said->data[said->len - 1] == '\n')
        said->data[--said->len] = '\0';
    cgroup_clear(rt, group, 5000, NULL);
    cleanup_free char *state = str_printf("%s/oci/%s", rt->run_dir, name);
    file_remove_tree(state, NULL);
    file_remove_tree(bundle, NULL);
    return works;
}

static char *find_program(const char *name)
{
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? str_copy(name) : NULL;
    static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                       "/usr/bin",        "/sbin",          "/bin"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        char *path = str_printf("%s/%s", dirs[i], name);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

/* "crun version 1.8.1\n…" → "crun 1.8.1" */
static char *ask_version(const char *path)
{
    const char *argv[] = {path, "--version", NULL};
    const char *slash = strrchr(path, '/');
    cleanup_buf struct buf out = BUF_INIT;
    int code;
    buf_append(&out, "", 0);
    process_run(argv, NULL, PROBE_TIMEOUT_MS, OUTPUT_MAX, &out, &code, NULL);
    out.data[strcspn(out.data, "\n")] = '\0';
    char name[32], version[64];
    if (sscanf(out.data, "%31s version %63s", name, version) == 2)
        return str_printf("%s %s", name, version);
    return str_printf("%s", slash ? slash + 1 : path);
}

/* Try @name as it is and, on hybrid cgroups, where it cannot see the second hierarchy. */
static bool try_candidate(struct runtime *rt, const char *name, struct buf *answers)
{
    cleanup_free char *path = find_program(name);
    if (!path) {
        buf_printf(answers, "%s%s: not installed", answers->len ? "; " : "", name);
        return false;
    }
    const char *hide = NULL;
    for (size_t i = 0; rt->cgroup_mode == CGROUP_HYBRID && i < rt->cgroup_mounts_n; i++) {
        if (rt->cgroup_mounts[i].v2)
            hide = rt->cgroup_mounts[i].path;
    }
    rt->oci_path = path;
    cleanup_buf struct buf said = BUF_INIT;
    bool works = try_run(rt, &said);
    if (!works && hide) {
        rt->oci_hide = hide;
        buf_reset(&said);
        works = try_run(rt, &said);
    }
    if (works) {
        rt->oci_version = ask_version(path);
        steal(&path);
        return true;
    }
    rt->oci_path = NULL;
    rt->oci_hide = NULL;
    buf_printf(answers, "%s%s: %s", answers->len ? "; " : "", name,
               said.len ? said.data : "failed without a word");
    return false;
}

int oci_probe(struct runtime *rt, const char *wanted, struct err *err)
{
    cleanup_buf struct buf answers = BUF_INIT;
    if (wanted) {
        if (try_candidate(rt, wanted, &answers))
            return 0;
        return err_set(err, ERR_UNAVAILABLE, "OCI runtime %s", answers.data);
    }
    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
        if (try_candidate(rt, candidates[i], &answers))
            return 0;
    }
    return err_set(err, ERR_UNAVAILABLE, "no OCI runtime works here; install crun or runc (%s)",
                   answers.data);
}
