/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

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

static const char by_mount[] = "put it into the image, or mount it from a volume or an absolute "
                               "path of the nodes";
static const char by_name[] = "services of a network reach each other by name without it";

static const struct compose_key service_keys[] = {
    {"image", KEY_READ, read_image, NULL},
    {"command", KEY_READ, read_command, NULL},
    {"entrypoint", KEY_READ, read_entrypoint, NULL},
    {"environment", KEY_READ, compose_read_environment, NULL},
    {"env_file", KEY_READ, compose_read_env_file, NULL},
    {"labels", KEY_READ, compose_read_labels, NULL},
    {"user", KEY_READ, read_user, NULL},
    {"working_dir", KEY_READ, read_working_dir, NULL},
    {"hostname", KEY_READ, read_hostname, NULL},
    {"stop_signal", KEY_READ, read_stop_signal, NULL},
    {"stop_grace_period", KEY_READ, read_stop_grace, NULL},
    {"read_only", KEY_READ, read_read_only, NULL},
    {"ports", KEY_READ, compose_read_ports, NULL},
    {"expose", KEY_READ, read_expose, NULL},
    {"networks", KEY_READ, compose_read_attachments, NULL},
    {"network_mode", KEY_READ, compose_read_network_mode, NULL},
    {"container_name", KEY_READ, read_container_name, NULL},
    {"volumes", KEY_READ, compose_read_mounts, NULL},
    {"restart", KEY_READ, compose_read_restart, NULL},
    {"depends_on", KEY_READ, compose_read_depends, NULL},
    {"healthcheck", KEY_READ, compose_read_health, NULL},
    {"deploy", KEY_READ, compose_read_deploy, NULL},
    {"scale", KEY_READ, compose_read_scale, NULL},
    {"mem_limit", KEY_READ, compose_read_mem_limit, NULL},
    {"mem_reservation", KEY_READ, compose_read_mem_reservation, NULL},
    {"cpus", KEY_READ, compose_read_cpus, NULL},
    {"pids_limit", KEY_READ, compose_read_pids_limit, NULL},
    {"build", KEY_REFUSED, NULL,
     "images are not built here; build it elsewhere, push it or `wherry image load` it, name it "
     "with image: and leave build: out"},
    {"annotations", KEY_LATER, NULL, NULL},
    {"attach", KEY_LATER, NULL, NULL},
    {"blkio_config", KEY_LATER, NULL, NULL},
    {"cap_add", KEY_LATER, NULL, NULL},
    {"cap_drop", KEY_LATER, NULL, NULL},
    {"cgroup", KEY_LATER, NULL, NULL},
    {"cgroup_parent", KEY_LATER, NULL, NULL},
    {"configs", KEY_LATER, NULL, by_mount},
    {"cpu_count", KEY_LATER, NULL, "use cpus: or deploy.resources"},
    {"cpu_percent", KEY_LATER, NULL, "use cpus: or deploy.resources"},
    {"cpu_period", KEY_LATER, NULL, "use cpus: or deploy.resources"},
    {"cpu_quota", KEY_LATER, NULL, "use cpus: or deploy.resources"},
    {"cpu_rt_period", KEY_LATER, NULL, NULL},
    {"cpu_rt_runtime", KEY_LATER, NULL, NULL},
    {"cpu_shares", KEY_LATER, NULL, "use cpus: or deploy.resources"},
    {"cpuset", KEY_LATER, NULL, NULL},
    {"credential_spec", KEY_LATER, NULL, NULL},
    {"develop", KEY_LATER, NULL, "leave it to the file you develop with"},
    {"device_cgroup_rules", KEY_LATER, NULL, NULL},
    {"devices", KEY_LATER, NULL, NULL},
    {"dns", KEY_LATER, NULL, NULL},
    {"dns_opt", KEY_LATER, NULL, NULL},
    {"dns_search", KEY_LATER, NULL, NULL},
    {"domainname", KEY_LATER, NULL, NULL},
    {"extends", KEY_LATER, NULL, "use an anchor and a merge key (<<: *name)"},
    {"external_links", KEY_LATER, NULL, NULL},
    {"extra_hosts", KEY_LATER, NULL, NULL},
    {"gpus", KEY_LATER, NULL, NULL},
    {"group_add", KEY_LATER, NULL, NULL},
    {"init", KEY_LATER_IF_SET, NULL, NULL},
    {"ipc", KEY_LATER, NULL, NULL},
    {"isolation", KEY_LATER, NULL, NULL},
    {"label_file", KEY_LATER, NULL, "write them under labels:"},
    {"links", KEY_LATER, NULL, by_name},
    {"logging", KEY_LATER, NULL, "logs are kept by the nodes; see `wherry logs`"},
    {"mac_address", KEY_LATER, NULL, NULL},
    {"mem_swappiness", KEY_LATER, NULL, NULL},
    {"memswap_limit", KEY_LATER, NULL, NULL},
    {"models", KEY_LATER, NULL, NULL},
    {"oom_kill_disable", KEY_LATER_IF_SET, NULL, NULL},
    {"oom_score_adj", KEY_LATER, NULL, NULL},
    {"pid", KEY_LATER, NULL, NULL},
    {"platform", KEY_LATER, NULL, NULL},
    {"post_start", KEY_LATER, NULL, NULL},
    {"pre_stop", KEY_LATER, NULL, NULL},
    {"privileged", KEY_LATER_IF_SET, NULL, NULL},
    {"profiles", KEY_LATER, NULL, "put such services into a file of their own"},
    {"provider", KEY_LATER, NULL, NULL},
    {"pull_policy", KEY_LATER, NULL, NULL},
    {"pull_refresh_after", KEY_LATER, NULL, NULL},
    {"runtime", KEY_LATER, NULL, NULL},
    {"secrets", KEY_LATER, NULL, by_mount},
    {"security_opt", KEY_LATER, NULL, NULL},
    {"shm_size", KEY_LATER, NULL, NULL},
    {"stdin_open", KEY_LATER_IF_SET, NULL, NULL},
    {"storage_opt", KEY_LATER, NULL, NULL},
    {"sysctls", KEY_LATER, NULL, NULL},
    {"tmpfs", KEY_LATER, NULL, NULL},
    {"tty", KEY_LATER_IF_SET, NULL, NULL},
    {"ulimits", KEY_LATER, NULL, NULL},
    {"use_api_socket", KEY_LATER_IF_SET, NULL, NULL},
    {"userns_mode", KEY_LATER, NULL, NULL},
    {"uts", KEY_LATER, NULL, NULL},
    {"volumes_from", KEY_LATER, NULL, "name the volume in both services"},
};

void compose_read_service(struct reader *r, const struct yaml *node, struct compose_draft *draft)
{
    struct spec *spec = &draft->service->spec;
    if (!compose_is_map(r, node, "a mapping"))
        return;
    compose_section(r, node, service_keys, ARRAY_SIZE(service_keys), draft);
    if (!draft->image && !yaml_get(node, "build"))
        compose_error(r, draft->key, "has no image; name one with image:");
    if (spec->entrypoint_set && !spec->command_set)
        spec->command_set = true; /* the image's command is for the image's entrypoint */
    compose_settle_environment(r, draft);
    compose_settle_networks(r, draft);
    compose_settle_deploy(r, draft);
}
