/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/mem.h"
#include "runtime/bundle_parts.h"
#include "runtime/capability.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/machine.h"
#include "runtime/rootfs.h"
#include "runtime/shim/protocol.h"
#include "runtime/ulimit.h"

#include <string.h>
#include <sys/resource.h>

enum {
    NOFILE_SOFT = 1024, /* select(2) goes no further; a program that can raises it itself */
    NOFILE_HARD = 524288,
    TTY_ROWS = 24, /* until somebody attaches */
    TTY_COLUMNS = 80,
};

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *const *strings(char *const *list)
{
    return (const char *const *)(uintptr_t)list;
}

/* Entrypoint, then command. An entrypoint of the spec's own leaves the image's cmd out. */
json_t *bundle_args(const struct bundle *b)
{
    const struct container_spec *spec = b->spec;
    json_t *args = json_array();
    bundle_append(args, spec->entrypoint ? spec->entrypoint : strings(b->image->entrypoint));
    if (spec->command)
        bundle_append(args, spec->command);
    else if (!spec->entrypoint)
        bundle_append(args, strings(b->image->cmd));
    if (spec->init && json_array_size(args) > 0) {
        json_array_insert_new(args, 0, json_string(SHIM_INIT_PATH));
        json_array_insert_new(args, 1, json_string(SHIM_MODE_INIT));
        json_array_insert_new(args, 2, json_string("--"));
    }
    return args;
}

/* Add "K=V", replacing an earlier K. */
static void set_env(json_t *env, const char *entry)
{
    size_t key = strcspn(entry, "=") + 1, i;
    json_t *old;
    json_array_foreach (env, i, old) {
        if (strncmp(json_string_value(old), entry, key) == 0) {
            json_array_set_new(env, i, json_string(entry));
            return;
        }
    }
    json_array_append_new(env, json_string(entry));
}

static json_t *env_json(const struct bundle *b)
{
    json_t *env = json_array();
    cleanup_free char *home = str_printf("HOME=%s", b->user->home);
    set_env(env, DEFAULT_PATH);
    set_env(env, home);
    if (b->spec->tty)
        set_env(env, "TERM=xterm");
    if (b->spec->hostname) {
        cleanup_free char *hostname = str_printf("HOSTNAME=%s", b->spec->hostname);
        set_env(env, hostname);
    }
    for (char *const *e = b->image->env; e && *e; e++) {
        if (strchr(*e, '='))
            set_env(env, *e);
    }
    for (const char *const *e = b->spec->env; e && *e; e++)
        set_env(env, *e);
    return env;
}

static json_t *user_json(const struct rootfs_user *user)
{
    json_t *groups = json_array();
    for (size_t i = 0; i < user->groups_n; i++)
        json_array_append_new(groups, json_integer(user->groups[i]));
    return json_pack("{s:I, s:I, s:o}", "uid", (json_int_t)user->uid, "gid", (json_int_t)user->gid,
                     "additionalGids", groups);
}

static json_t *capabilities_json(uint64_t set)
{
    json_t *caps = json_object();
    /* Like Docker none are inheritable or ambient: a plain user starts without any. */
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        json_t *names = json_array();
        for (int c = 0; c <= CAPABILITY_LAST; c++) {
            if (set & (UINT64_C(1) << c))
                json_array_append_new(names, json_string(capability_name(c)));
        }
        json_object_set_new(caps, sets[i], names);
    }
    return caps;
}

static json_t *limit_json(int64_t value)
{
    return json_integer(value < 0 ? BUNDLE_UNLIMITED : value);
}

static void add_limit(json_t *limits, const char *oci_name, int64_t soft, int64_t hard)
{
    json_array_append_new(limits, json_pack("{s:s, s:o, s:o}", "type", oci_name, "hard",
                                            limit_json(hard), "soft", limit_json(soft)));
}

static json_t *limits_json(const struct bundle *b)
{
    json_t *limits = json_array();
    bool nofile = false;
    for (size_t i = 0; i < b->spec->ulimits_n; i++) {
        const struct container_ulimit *u = &b->spec->ulimits[i];
        nofile |= strcmp(u->name, "nofile") == 0;
        add_limit(limits, ulimit_oci_name(u->name), u->soft, u->hard);
    }
    int64_t own = b->machine->hard[RLIMIT_NOFILE];
    int64_t hard = own >= 0 && own < NOFILE_HARD ? own : NOFILE_HARD;
    if (!nofile)
        add_limit(limits, "RLIMIT_NOFILE", hard < NOFILE_SOFT ? hard : NOFILE_SOFT, hard);
    return limits;
}

/* The daemon's own when nothing is said: it may not be lowered. */
static int oom_score(const struct bundle *b)
{
    if (b->spec->oom_score_adj != 0)
        return (int)b->spec->oom_score_adj;
    return b->machine->oom_score_adj > 0 ? b->machine->oom_score_adj : 0;
}

json_t *bundle_process(const struct bundle *b, json_t *args, uint64_t capabilities)
{
    const struct container_spec *spec = b->spec;
    json_t *process =
        json_pack("{s:b, s:o, s:o, s:o, s:s, s:o, s:b, s:i, s:o}", "terminal", spec->tty, "user",
                  user_json(b->user), "args", args, "env", env_json(b), "cwd",
                  bundle_working_dir(spec, b->image), "capabilities",
                  capabilities_json(capabilities), "noNewPrivileges", spec->no_new_privileges,
                  "oomScoreAdj", oom_score(b), "rlimits", limits_json(b));
    if (process && spec->tty)
        json_object_set_new(process, "consoleSize",
                            json_pack("{s:i, s:i}", "height", TTY_ROWS, "width", TTY_COLUMNS));
    if (process && spec->apparmor && b->machine->has_apparmor)
        json_object_set_new(process, "apparmorProfile", json_string(spec->apparmor));
    return process;
}
