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
#include <stdlib.h>
#include <string.h>

enum {
    DELETE_TIMEOUT_MS = 20000,
    OUTPUT_MAX = 4096,
    LOG_MAX = 65536,
};

static void add(char ***argv, size_t *n, const char *arg)
{
    *argv = mem_resize(*argv, *n + 2, sizeof(char *));
    (*argv)[(*n)++] = str_copy(arg);
    (*argv)[*n] = NULL;
}

static char **start_argv(const struct runtime *rt, const struct oci_runtime *oci, size_t *n,
                         const char *log)
{
    char **argv = NULL;
    cleanup_free char *root = str_printf("%s/oci", rt->run_dir);
    add(&argv, n, oci->path);
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

static char **run_argv(const struct runtime *rt, const struct oci_runtime *oci, const char *id,
                       const char *bundle)
{
    size_t n = 0;
    cleanup_free char *log = str_printf("%s/" SHIM_FILE_OCI_LOG, bundle);
    cleanup_free char *pid_file = str_printf("%s/" SHIM_FILE_PID, bundle);
    char **argv = start_argv(rt, oci, &n, log);
    add(&argv, &n, "run");
    add(&argv, &n, "--detach");
    add(&argv, &n, "--bundle");
    add(&argv, &n, bundle);
    add(&argv, &n, "--pid-file");
    add(&argv, &n, pid_file);
    add(&argv, &n, id);
    return argv;
}

static char **exec_argv(const struct runtime *rt, const struct oci_runtime *oci, const char *id,
                        const char *pid_file, const char *const *args)
{
    size_t n = 0;
    char **argv = start_argv(rt, oci, &n, NULL);
    add(&argv, &n, "exec");
    add(&argv, &n, "--pid-file");
    add(&argv, &n, pid_file);
    add(&argv, &n, id);
    for (; *args; args++)
        add(&argv, &n, *args);
    return argv;
}

/* crun and runc keep nothing of a dead container but a folder. */
static bool is_known(const struct oci_runtime *oci)
{
    return oci->version && (str_starts(oci->version, "crun ") || str_starts(oci->version, "runc "));
}

static void forget(const struct runtime *rt, const struct oci_runtime *oci, const char *id)
{
    cleanup_free char *state = str_printf("%s/oci/%s", rt->run_dir, id);
    if (!file_exists(state))
        return;
    if (oci->path && !is_known(oci)) {
        size_t n = 0;
        char **argv = start_argv(rt, oci, &n, NULL);
        add(&argv, &n, "delete");
        add(&argv, &n, "--force");
        add(&argv, &n, id);
        cleanup_buf struct buf out = BUF_INIT;
        int code;
        process_run((const char *const *)argv, oci->hide, DELETE_TIMEOUT_MS, OUTPUT_MAX, &out,
                    &code, NULL);
        image_strings_free(argv);
    }
    file_remove_tree(state, NULL);
}

const struct oci_ops oci_command_line = {
    .run_argv = run_argv, .exec_argv = exec_argv, .forget = forget};

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
