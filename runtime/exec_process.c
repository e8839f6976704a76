/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/exec_process.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/capability.h"
#include "runtime/exec.h"
#include "runtime/rootfs.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONFIG_MAX = 4 << 20,
};

static void set_all_capabilities(json_t *process)
{
    uint64_t own = capability_own();
    json_t *caps = json_object();
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        json_t *list = json_array();
        for (int c = 0; c <= CAPABILITY_LAST; c++)
            if (own >> c & 1)
                json_array_append_new(list, json_string(capability_name(c)));
        json_object_set_new(caps, sets[i], list);
    }
    json_object_set_new(process, "capabilities", caps);
    json_object_set_new(process, "noNewPrivileges", json_false());
}

/* Add "K=V", in the place of an earlier K. */
static void set_env(json_t *env, const char *entry)
{
    size_t key = strcspn(entry, "=") + 1, i;
    json_t *old;
    json_array_foreach (env, i, old) {
        if (strncmp(str_or_empty(json_string_value(old)), entry, key) == 0) {
            json_array_set_new(env, i, json_string(entry));
            return;
        }
    }
    json_array_append_new(env, json_string(entry));
}

static bool has_env(const json_t *env, const char *key)
{
    size_t i, len = strlen(key);
    json_t *e;
    json_array_foreach (env, i, e) {
        const char *text = str_or_empty(json_string_value(e));
        if (strncmp(text, key, len) == 0 && text[len] == '=')
            return true;
    }
    return false;
}

/* Look @who up in the container's own files, as its first process sees them. */
static int set_user(json_t *process, json_t *env, pid_t pid, const char *who, struct err *err)
{
    char path[40];
    struct rootfs_user user;
    snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
    cleanup_close int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(err, ERR_NOTFOUND, "the container does not run any more");
    int rv = rootfs_user(root, who, &user, err);
    if (rv < 0)
        return rv;
    json_t *groups = json_array();
    for (size_t i = 0; i < user.groups_n; i++)
        json_array_append_new(groups, json_integer(user.groups[i]));
    json_object_set_new(process, "user",
                        json_pack("{s:I, s:I, s:o}", "uid", (json_int_t)user.uid, "gid",
                                  (json_int_t)user.gid, "additionalGids", groups));
    cleanup_free char *home = str_printf("HOME=%s", user.home);
    set_env(env, home);
    return 0;
}

static int fill(json_t *process, const struct exec_spec *spec, pid_t pid, struct err *err)
{
    json_t *args = json_array();
    for (const char *const *a = spec->argv; *a; a++)
        if (json_array_append_new(args, json_string(*a)) < 0) {
            json_decref(args);
            return err_set(err, ERR_INVALID, "the command is not valid UTF-8");
        }
    json_object_set_new(process, "args", args);
    json_t *env = json_object_get(process, "env");
    if (!json_is_array(env)) {
        env = json_array();
        json_object_set_new(process, "env", env);
    }
    if (spec->tty && !has_env(env, "TERM"))
        set_env(env, "TERM=xterm");
    int rv = spec->user ? set_user(process, env, pid, spec->user, err) : 0;
    for (const char *const *e = spec->env; e && *e && rv == 0; e++) {
        if (!strchr(*e, '=') || **e == '=')
            rv = err_set(err, ERR_INVALID, "'%.80s' is no KEY=VALUE", *e);
        else
            set_env(env, *e);
    }
    if (rv < 0)
        return rv;
    if (spec->working_dir) {
        if (spec->working_dir[0] != '/')
            return err_set(err, ERR_INVALID, "working folder '%.80s' is no absolute path",
                           spec->working_dir);
        json_object_set_new(process, "cwd", json_string(spec->working_dir));
    }
    json_object_set_new(process, "terminal", json_boolean(spec->tty));
    json_object_del(process, "consoleSize");
    if (spec->tty && spec->rows && spec->columns)
        json_object_set_new(
            process, "consoleSize",
            json_pack("{s:i, s:i}", "height", (int)spec->rows, "width", (int)spec->columns));
    if (spec->privileged)
        set_all_capabilities(process);
    return 0;
}

int exec_process_json(const char *config_path, const struct exec_spec *spec, pid_t pid,
                      struct buf *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read(config_path, CONFIG_MAX, &text, err);
    if (rv < 0)
        return rv;
    json_t *config = json_loads(text.data, 0, NULL);
    json_t *process = json_object_get(config, "process");
    if (!json_is_object(process))
        rv = err_set(err, ERR_CORRUPT, "%s is no OCI bundle's", config_path);
    else
        rv = fill(process, spec, pid, err);
    cleanup_free char *json = rv == 0 ? json_dumps(process, JSON_COMPACT) : NULL;
    if (rv == 0 && !json)
        rv = err_set(err, ERR_INVALID, "the command is not valid UTF-8");
    json_decref(config);
    if (rv == 0)
        buf_puts(out, json);
    return rv;
}
