/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct spec *spec_of(void *object)
{
    return &((struct compose_draft *)object)->service->spec;
}

/* --- image --------------------------------------------------------------------------------- */

static void read_image(struct reader *r, const struct yaml *value, void *object)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-/:@";
    struct compose_draft *draft = object;
    draft->image = value;
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    size_t len = strlen(text);
    if (len == 0 || len > 512 || strspn(text, letters) != len || strchr("._-/:@", text[0]) ||
        strchr("._-/:@", text[len - 1])) {
        compose_error(r, value,
                      "'%.100s' is no image name; write one such as nginx:1.25 or "
                      "registry.example:5000/app@sha256:...",
                      text);
        return;
    }
    free(spec_of(draft)->image);
    spec_of(draft)->image = steal(&text);
}

/* --- command and entrypoint ---------------------------------------------------------------- */

static void warn_shell_words(struct reader *r, const struct yaml *value, char *const *words,
                             size_t n)
{
    static const char *const shell[] = {"&&", "||", "|", ";", ">", ">>", "<", "&", "2>&1"};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ARRAY_SIZE(shell); k++)
            if (strcmp(words[i], shell[k]) == 0) {
                compose_warn(r, value,
                             "no shell reads this, so '%s' is an argument of the program; if a "
                             "shell is meant, write [\"/bin/sh\", \"-c\", \"...\"]",
                             shell[k]);
                return;
            }
}

/* A list as it is, or text split as a shell does. False for nothing, which means "the image's". */
static bool read_words(struct reader *r, const struct yaml *value, char ***ret, size_t *ret_n)
{
    if (value->kind == YAML_NULL)
        return false;
    if (value->kind == YAML_SCALAR) {
        cleanup_free char *text = compose_text(r, value);
        struct err err;
        if (text && compose_split(text, ret, ret_n, &err) < 0)
            compose_error(r, value, "%s; a list [\"program\", \"argument\"] needs no quoting",
                          err.msg);
        warn_shell_words(r, value, *ret, *ret_n);
        return true;
    }
    if (!compose_is_list(r, value, "text or a list"))
        return true;
    if (value->n > COMPOSE_WORDS_MAX) {
        compose_error(r, value, "more than %d words", COMPOSE_WORDS_MAX);
        return true;
    }
    for (size_t i = 0; i < value->n; i++) {
        char *text = compose_text(r, value->items[i]);
        if (text)
            compose_strings_add(ret, ret_n, text);
    }
    return true;
}

static void read_command(struct reader *r, const struct yaml *value, void *object)
{
    struct spec *spec = spec_of(object);
    spec->command_set = read_words(r, value, &spec->command, &spec->command_n);
}

static void read_entrypoint(struct reader *r, const struct yaml *value, void *object)
{
    struct spec *spec = spec_of(object);
    spec->entrypoint_set = read_words(r, value, &spec->entrypoint, &spec->entrypoint_n);
}

/* --- plain texts --------------------------------------------------------------------------- */

static void read_user(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &spec_of(object)->user);
}

static void read_working_dir(struct reader *r, const struct yaml *value, void *object)
{
    char **dir = &spec_of(object)->working_dir;
    compose_read_text(r, value, dir);
    if (*dir && (*dir)[0] != '/')
        compose_error(r, value, "'%.100s' must be an absolute path", *dir);
}

static void read_hostname(struct reader *r, const struct yaml *value, void *object)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-";
    char **name = &spec_of(object)->hostname;
    compose_read_text(r, value, name);
    size_t len = strlen(str_or_empty(*name));
    if (*name && (len == 0 || len > 63 || strspn(*name, letters) != len || (*name)[0] == '-'))
        compose_error(r, value,
                      "'%.64s' is no host name; use letters, digits, '.' and '-', 63 at most",
                      *name);
}

static void read_stop_signal(struct reader *r, const struct yaml *value, void *object)
{
    char **name = &spec_of(object)->stop_signal;
    compose_read_text(r, value, name);
    if (!*name)
        return;
    int64_t number;
    if (compose_number(*name, 1, 64, &number))
        return;
    const char *rest = str_starts(*name, "SIG") ? *name + 3 : *name;
    size_t len = strlen(rest);
    if (len == 0 || len > 10 || strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-") != len ||
        !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", rest[0]))
        compose_error(r, value, "'%.64s' is no signal; write one such as SIGINT, QUIT or 3", *name);
}

static void read_stop_grace(struct reader *r, const struct yaml *value, void *object)
{
    if (compose_read_duration(r, value, &spec_of(object)->stop_grace_ms) &&
        spec_of(object)->stop_grace_ms == 0)
        spec_of(object)->stop_grace_ms = 1; /* 0 is "not given" in a spec */
}

static void read_read_only(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &spec_of(object)->read_only);
}

static void read_container_name(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    draft->container_name = value;
    compose_read_text(r, value, &draft->container_alias);
    if (draft->container_alias)
        compose_check_name(r, value, draft->container_alias);
}

/* expose: says which ports the image listens on. All are open inside a network anyway. */
static void read_expose(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    if (!compose_is_list(r, value, "a list of ports"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        cleanup_free char *text = compose_text(r, value->items[i]);
        if (text && (!*text || strspn(text, "0123456789-/tcpud") != strlen(text)))
            compose_error(r, value->items[i], "'%.64s' must be a port such as 80 or 53/udp", text);
    }
}

/* --- the table ----------------------------------------------------------------------------- */

static const char by_name[] = "services of a network reach each other by name without it";
static const char windows[] = "is for Windows containers; use cpus: or deploy.resources";
static const char realtime[] = "takes a kernel that shares out real time between groups, which "
                               "those with cgroups of version 2 do not; ulimits: {rtprio: N} and "
                               "cap_add: [SYS_NICE] let a program ask for it itself";

static const struct compose_key service_keys[] = {
    {"x-wherry", KEY_READ, compose_read_wherry, NULL},
    {"image", KEY_READ, read_image, NULL},
    {"command", KEY_READ, read_command, NULL},
    {"entrypoint", KEY_READ, read_entrypoint, NULL},
    {"environment", KEY_READ, compose_read_environment, NULL},
    {"env_file", KEY_READ, compose_read_env_file, NULL},
    {"labels", KEY_READ, compose_read_labels, NULL},
    {"label_file", KEY_READ, compose_read_label_file, NULL},
    {"annotations", KEY_READ, compose_read_annotations, NULL},
    {"user", KEY_READ, read_user, NULL},
    {"group_add", KEY_READ, compose_read_group_add, NULL},
    {"working_dir", KEY_READ, read_working_dir, NULL},
    {"hostname", KEY_READ, read_hostname, NULL},
    {"domainname", KEY_READ, compose_read_domainname, NULL},
    {"init", KEY_READ, compose_read_init, NULL},
    {"stdin_open", KEY_READ, compose_read_stdin_open, NULL},
    {"tty", KEY_READ, compose_read_tty, NULL},
    {"stop_signal", KEY_READ, read_stop_signal, NULL},
    {"stop_grace_period", KEY_READ, read_stop_grace, NULL},
    {"read_only", KEY_READ, read_read_only, NULL},
    {"ports", KEY_READ, compose_read_ports, NULL},
    {"expose", KEY_READ, read_expose, NULL},
    {"networks", KEY_READ, compose_read_attachments, NULL},
    {"network_mode", KEY_READ, compose_read_network_mode, NULL},
    {"container_name", KEY_READ, read_container_name, NULL},
    {"dns", KEY_READ, compose_read_dns, NULL},
    {"dns_search", KEY_READ, compose_read_dns_search, NULL},
    {"dns_opt", KEY_READ, compose_read_dns_opt, NULL},
    {"extra_hosts", KEY_READ, compose_read_extra_hosts, NULL},
    {"volumes", KEY_READ, compose_read_mounts, NULL},
    {"tmpfs", KEY_READ, compose_read_tmpfs, NULL},
    {"shm_size", KEY_READ, compose_read_shm_size, NULL},
    {"storage_opt", KEY_READ, compose_read_storage_opt, NULL},
    {"devices", KEY_READ, compose_read_devices, NULL},
    {"device_cgroup_rules", KEY_READ, compose_read_device_rules, NULL},
    {"restart", KEY_READ, compose_read_restart, NULL},
    {"depends_on", KEY_READ, compose_read_depends, NULL},
    {"healthcheck", KEY_READ, compose_read_health, NULL},
    {"logging", KEY_READ, compose_read_logging, NULL},
    {"deploy", KEY_READ, compose_read_deploy, NULL},
    {"scale", KEY_READ, compose_read_scale, NULL},
    {"platform", KEY_READ, compose_read_platform, NULL},
    {"pull_policy", KEY_READ, compose_read_pull_policy, NULL},
    {"runtime", KEY_READ, compose_read_runtime, NULL},
    {"mem_limit", KEY_READ, compose_read_mem_limit, NULL},
    {"mem_reservation", KEY_READ, compose_read_mem_reservation, NULL},
    {"memswap_limit", KEY_READ, compose_read_memswap_limit, NULL},
    {"mem_swappiness", KEY_READ, compose_read_mem_swappiness, NULL},
    {"oom_kill_disable", KEY_READ, compose_read_oom_kill_disable, NULL},
    {"oom_score_adj", KEY_READ, compose_read_oom_score_adj, NULL},
    {"cpus", KEY_READ, compose_read_cpus, NULL},
    {"cpu_period", KEY_READ, compose_read_cpu_period, NULL},
    {"cpu_quota", KEY_READ, compose_read_cpu_quota, NULL},
    {"cpu_shares", KEY_READ, compose_read_cpu_shares, NULL},
    {"cpuset", KEY_READ, compose_read_cpuset, NULL},
    {"pids_limit", KEY_READ, compose_read_pids_limit, NULL},
    {"ulimits", KEY_READ, compose_read_ulimits, NULL},
    {"blkio_config", KEY_READ, compose_read_blkio_config, NULL},
    {"cap_add", KEY_READ, compose_read_cap_add, NULL},
    {"cap_drop", KEY_READ, compose_read_cap_drop, NULL},
    {"privileged", KEY_READ, compose_read_privileged, NULL},
    {"security_opt", KEY_READ, compose_read_security_opt, NULL},
    {"sysctls", KEY_READ, compose_read_sysctls, NULL},
    {"pid", KEY_READ, compose_read_pid, NULL},
    {"ipc", KEY_READ, compose_read_ipc, NULL},
    {"uts", KEY_READ, compose_read_uts, NULL},
    {"userns_mode", KEY_READ, compose_read_userns_mode, NULL},
    {"cgroup", KEY_READ, compose_read_cgroup, NULL},
    {"isolation", KEY_READ, compose_read_isolation, NULL},
    {"build", KEY_REFUSED, NULL,
     "images are not built here; build it elsewhere, push it or `wherry image load` it, name it "
     "with image: and leave build: out"},
    {"cgroup_parent", KEY_REFUSED, NULL,
     "each task has a group of its own below the daemon's, by which it is limited, counted and "
     "ended; limit it with deploy.resources"},
    {"cpu_count", KEY_REFUSED, NULL, windows},
    {"cpu_percent", KEY_REFUSED, NULL, windows},
    {"cpu_rt_period", KEY_REFUSED, NULL, realtime},
    {"cpu_rt_runtime", KEY_REFUSED, NULL, realtime},
    {"credential_spec", KEY_REFUSED, NULL, "is for Windows containers"},
    {"gpus", KEY_REFUSED, NULL,
     "drivers of GPUs are not set up in containers yet; name the device files of the nodes under "
     "devices:, and bind-mount the driver's libraries"},
    {"attach", KEY_LATER_IF_SET, NULL, "a deploy attaches to nothing; see `wherry logs`"},
    {"configs", KEY_READ, compose_read_configs, NULL},
    {"develop", KEY_LATER, NULL, "leave it to the file you develop with"},
    {"extends", KEY_LATER, NULL, "use an anchor and a merge key (<<: *name)"},
    {"external_links", KEY_LATER, NULL, NULL},
    {"links", KEY_LATER, NULL, by_name},
    {"mac_address", KEY_LATER, NULL, NULL},
    {"models", KEY_LATER, NULL, NULL},
    {"post_start", KEY_LATER, NULL, NULL},
    {"pre_stop", KEY_LATER, NULL, NULL},
    {"profiles", KEY_NOTED, NULL, NULL}, /* see compose_profiles.c */
    {"provider", KEY_LATER, NULL, NULL},
    {"pull_refresh_after", KEY_LATER, NULL, NULL},
    {"secrets", KEY_READ, compose_read_secrets, NULL},
    {"use_api_socket", KEY_LATER_IF_SET, NULL, NULL},
    {"volumes_from", KEY_LATER, NULL, "name the volume in both services"},
};

/* What takes more than one key, unless a mistake was found already. */
static void check_together(struct reader *r, const struct compose_draft *draft, size_t errors)
{
    struct err err;
    if (r->errs->n == errors && options_validate(&draft->service->spec, &err) < 0)
        compose_error(r, draft->key, "%s", err.msg);
}

void compose_read_service(struct reader *r, const struct yaml *node, struct compose_draft *draft)
{
    struct spec *spec = &draft->service->spec;
    size_t errors = r->errs->n;
    if (!compose_is_map(r, node, "a mapping"))
        return;
    compose_section(r, node, service_keys, ARRAY_SIZE(service_keys), draft);
    if (!draft->image && !yaml_get(node, "build"))
        compose_error(r, draft->key, "has no image; name one with image:");
    if (spec->entrypoint_set && !spec->command_set)
        spec->command_set = true; /* the image's command is for the image's entrypoint */
    compose_settle_environment(r, draft);
    compose_settle_networks(r, draft);
    compose_settle_limits(r, draft);
    compose_settle_deploy(r, draft);
    check_together(r, draft, errors);
}
