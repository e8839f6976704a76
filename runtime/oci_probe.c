/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"
#include "runtime/oci.h"
#include "runtime/process.h"
#include "runtime/shim/protocol.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_PREFIX "probe-"

enum {
    PROBE_TIMEOUT_MS = 20000,
    OUTPUT_MAX = 4096,
};

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

/* Nothing of the probe @name stays. Its bundle goes last: it is what the next start finds. */
static void clear(const struct runtime *rt, const char *name)
{
    cleanup_free char *bundle = str_printf("%s/%s", rt->run_dir, name);
    cleanup_free char *state = str_printf("%s/oci/%s", rt->run_dir, name);
    cleanup_free char *group = str_printf("%s/container/%s", rt->cgroup_parent, name);
    cgroup_clear(rt, group, 5000, NULL);
    file_remove_tree(state, NULL);
    file_remove_tree(bundle, NULL);
}

/* Have @oci run a container; true when that worked. What it said goes to @said. */
static bool try_run(const struct runtime *rt, const struct oci_runtime *oci, struct buf *said)
{
    cleanup_free char *name = str_printf(PROBE_PREFIX "%d-%s", (int)getpid(), oci->name);
    cleanup_free char *bundle = str_printf("%s/%s", rt->run_dir, name);
    cleanup_free char *rootfs = str_printf("%s/rootfs", bundle);
    cleanup_free char *config = str_printf("%s/config.json", bundle);
    cleanup_free char *group = str_printf("%s/container/%s", rt->cgroup_parent, name);
    cleanup_free char *root = str_printf("%s/oci", rt->run_dir);
    cleanup_buf struct buf json = BUF_INIT;
    probe_config(rt, name, &json);
    struct err err = {0};
    bool works = false;
    int code = -1;
    if (file_mkdirs(rootfs, 0755, &err) < 0 || cgroup_make(rt, group, &err) < 0 ||
        file_write_fast(config, json.data, json.len, 0600, &err) < 0)
        goto out;
    const char *argv[] = {oci->path, "--root", root, "run", "--bundle", bundle, name, NULL};
    if (process_run(argv, oci->hide, PROBE_TIMEOUT_MS, OUTPUT_MAX, said, &code, &err) == 0)
        works = code == 0;
out:
    if (err.code)
        buf_puts(said, err.msg);
    while (said->len > 0 && said->data[said->len - 1] == '\n')
        said->data[--said->len] = '\0';
    clear(rt, name);
    return works;
}

void oci_probe_sweep(const struct runtime *rt)
{
    DIR *dir = opendir(rt->run_dir);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        if (str_starts(e->d_name, PROBE_PREFIX))
            clear(rt, e->d_name);
    }
    closedir(dir);
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

/* The second hierarchy of hybrid cgroups, which crun does not want to see. */
static const char *second_hierarchy(const struct runtime *rt)
{
    for (size_t i = 0; rt->cgroup_mode == CGROUP_HYBRID && i < rt->cgroup_mounts_n; i++) {
        if (rt->cgroup_mounts[i].v2)
            return rt->cgroup_mounts[i].path;
    }
    return NULL;
}

int oci_probe(const struct runtime *rt, struct oci_runtime *oci)
{
    oci->path = find_program(oci->wanted);
    if (!oci->path) {
        oci->reason = str_copy("not installed");
        return ERR_NOTFOUND;
    }
    cleanup_buf struct buf said = BUF_INIT;
    bool works = try_run(rt, oci, &said);
    if (!works && second_hierarchy(rt)) {
        oci->hide = second_hierarchy(rt);
        buf_reset(&said);
        works = try_run(rt, oci, &said);
    }
    if (works) {
        oci->version = ask_version(oci->path);
        return 0;
    }
    oci->hide = NULL;
    oci->reason = str_copy(said.len ? said.data : "failed without a word");
    return ERR_UNAVAILABLE;
}
