/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/container_options.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/compose_container.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ENV_FILE_MAX = 1 << 20,
    STOP_MAX_S = 24 * 3600,
};

/* --- options as values of a Compose file ------------------------------------------------------ */

static struct yaml *scalar(const char *text)
{
    struct yaml *node = mem_alloc(1, sizeof(*node));
    struct buf escaped = BUF_INIT;
    for (; *text; text++) { /* here no variables are replaced: the shell did that */
        if (*text == '$')
            buf_putc(&escaped, '$');
        buf_putc(&escaped, *text);
    }
    node->kind = YAML_SCALAR;
    node->text = buf_take(&escaped);
    if (!node->text)
        node->text = str_copy("");
    return node;
}

static void add_item(struct yaml *list, struct yaml *item)
{
    list->kind = YAML_LIST;
    list->items = mem_resize(list->items, list->n + 1, sizeof(*list->items));
    list->items[list->n++] = item;
}

static void add_pair(struct yaml *map, const char *key, struct yaml *value)
{
    map->kind = YAML_MAP;
    map->pairs = mem_resize(map->pairs, map->n + 1, sizeof(*map->pairs));
    map->pairs[map->n++] = (struct yaml_pair){.key = scalar(key), .value = value};
}

static void free_node(struct yaml *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == YAML_LIST)
            free_node(node->items[i]);
        if (node->kind == YAML_MAP) {
            free_node(node->pairs[i].key);
            free_node(node->pairs[i].value);
        }
    }
    free(node->items);
    free(node->pairs);
    free(node->text);
    free(node);
}

/* Have @read take @node, which is freed; what is wrong is said of @option. */
static void take(struct reader *r, const char *option, struct yaml *node, compose_read_cb read)
{
    r->file = option;
    read(r, node, &r->drafts[0]);
    free_node(node);
}

static void take_text(struct reader *r, const char *option, const char *text, compose_read_cb read)
{
    if (text)
        take(r, option, scalar(text), read);
}

static void take_list(struct reader *r, const char *option, const struct arg_texts *texts,
                      compose_read_cb read)
{
    struct yaml *list = texts->n ? mem_alloc(1, sizeof(*list)) : NULL;
    for (size_t i = 0; i < texts->n; i++)
        add_item(list, scalar(texts->items[i]));
    if (list)
        take(r, option, list, read);
}

/* "nofile=1024:4096": a mapping of names to soft and hard. */
static void take_ulimits(struct reader *r, const struct arg_texts *texts)
{
    struct yaml *map = texts->n ? mem_alloc(1, sizeof(*map)) : NULL;
    for (size_t i = 0; i < texts->n; i++) {
        cleanup_free char *name = str_copy(texts->items[i]);
        char *soft = strchr(name, '=');
        if (soft)
            *soft++ = '\0';
        char *hard = soft ? strchr(soft, ':') : NULL;
        if (hard)
            *hard++ = '\0';
        struct yaml *limits = mem_alloc(1, sizeof(*limits));
        add_pair(limits, "soft", scalar(str_or_empty(soft)));
        add_pair(limits, "hard", scalar(hard ? hard : str_or_empty(soft)));
        add_pair(map, name, limits);
    }
    if (map)
        take(r, "--ulimit", map, compose_read_ulimits);
}

static void take_logging(struct reader *r, const struct run_options *o)
{
    if (o->log_opts.n == 0 && !o->log_driver)
        return;
    struct yaml *map = mem_alloc(1, sizeof(*map));
    if (o->log_driver)
        add_pair(map, "driver", scalar(o->log_driver));
    struct yaml *options = o->log_opts.n ? mem_alloc(1, sizeof(*options)) : NULL;
    for (size_t i = 0; i < o->log_opts.n; i++) {
        cleanup_free char *name = str_copy(o->log_opts.items[i]);
        char *value = strchr(name, '=');
        if (value)
            *value++ = '\0';
        add_pair(options, name, scalar(str_or_empty(value)));
    }
    if (options)
        add_pair(map, "options", options);
    take(r, "--log-opt", map, compose_read_logging);
}

/* A path that begins with a dot is one of this machine, which the container's may not be. */
static void take_volumes(struct reader *r, const struct run_options *o)
{
    for (size_t i = 0; i < o->volumes.n; i++) {
        const char *text = o->volumes.items[i];
        r->file = "--volume";
        if (text[0] == '.' || text[0] == '~') {
            compose_error(
                r, NULL,
                "'%.100s': a path on the machine is absolute: \"$PWD/...\"; a volume is a "
                "name",
                text);
            return;
        }
    }
    take_list(r, "--volume", &o->volumes, compose_read_mounts);
}

static void take_all(struct reader *r, const struct run_options *o)
{
    take_volumes(r, o);
    take_list(r, "--tmpfs", &o->tmpfs, compose_read_tmpfs);
    take_list(r, "--group-add", &o->groups, compose_read_group_add);
    take_list(r, "--add-host", &o->hosts, compose_read_extra_hosts);
    take_list(r, "--cap-add", &o->cap_add, compose_read_cap_add);
    take_list(r, "--cap-drop", &o->cap_drop, compose_read_cap_drop);
    take_list(r, "--device", &o->devices, compose_read_devices);
    take_list(r, "--sysctl", &o->sysctls, compose_read_sysctls);
    take_list(r, "--security-opt", &o->security, compose_read_security_opt);
    take_list(r, "--label", &o->labels, compose_read_labels);
    take_ulimits(r, &o->ulimits);
    take_logging(r, o);
    take_text(r, "--memory", o->memory, compose_read_mem_limit);
    take_text(r, "--memory-swap", o->memory_swap, compose_read_memswap_limit);
    take_text(r, "--cpus", o->cpus, compose_read_cpus);
    take_text(r, "--cpuset-cpus", o->cpuset, compose_read_cpuset);
    take_text(r, "--cpu-shares", o->cpu_shares, compose_read_cpu_shares);
    take_text(r, "--pids-limit", o->pids, compose_read_pids_limit);
    take_text(r, "--shm-size", o->shm, compose_read_shm_size);
    take_text(r, "--oom-score-adj", o->oom_score, compose_read_oom_score_adj);
    take_text(r, "--pid", o->pid, compose_read_pid);
    take_text(r, "--ipc", o->ipc, compose_read_ipc);
    take_text(r, "--uts", o->uts, compose_read_uts);
    take_text(r, "--userns", o->userns, compose_read_userns_mode);
    take_text(r, "--cgroupns", o->cgroupns, compose_read_cgroup);
    take_text(r, "--pull", o->pull, compose_read_pull_policy);
    take_text(r, "--platform", o->platform, compose_read_platform);
    take_text(r, "--runtime", o->runtime, compose_read_runtime);
}

static void release_reader(struct reader *r)
{
    struct compose_draft *draft = &r->drafts[0];
    for (size_t i = 0; i < r->volume_uses.n; i++)
        free(r->volume_uses.items[i].name);
    free(r->volume_uses.items);
    compose_env_release(&draft->labels);
    compose_env_release(&draft->label_files);
    compose_env_release(&draft->environment);
    compose_env_release(&draft->env_files);
    free(r->directory);
    free(r->path);
}

/* What the Compose keys know too. */
static int read_keys(const struct run_options *o, struct spec *spec, struct err *err)
{
    struct compose_options options = {.file = ""};
    struct compose_errors errs = {0};
    struct compose_service service = {.spec = *spec};
    struct compose_draft draft = {.service = &service};
    struct reader r = {.options = &options,
                       .file = "",
                       .errs = &errs,
                       .drafts = &draft,
                       .drafts_n = 1,
                       .directory = getcwd(NULL, 0),
                       .text_left = COMPOSE_TEXTS_MAX};
    take_all(&r, o);
    compose_settle_environment(&r, &draft); /* the labels */
    *spec = service.spec;
    spec->limits = draft.plain_limits;
    int rv = 0;
    if (errs.n > 0)
        rv = err_set(err, ERR_INVALID, "%.230s", errs.items[0].text);
    compose_errors_release(&errs);
    release_reader(&r);
    return rv;
}

/* --- environment ------------------------------------------------------------------------------ */

static void add_variable(struct compose_env *env, const char *text)
{
    const char *equals = strchr(text, '=');
    cleanup_free char *name = str_printf("%.*s", (int)strcspn(text, "="), text);
    const char *value = equals ? equals + 1 : getenv(name);
    if (value)
        compose_env_add(env, name, value);
}

/* Lines KEY=VALUE as they are; KEY alone is this program's; "#" begins a comment. */
static int add_file(struct compose_env *env, const char *path, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read(path, ENV_FILE_MAX, &text, err);
    if (rv < 0)
        return err_wrap(err, "--env-file");
    char *rest = text.data;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = '\0';
        if (*line && *line != '#')
            add_variable(env, line);
    }
    return 0;
}

static int read_environment(const struct run_options *o, struct spec *spec, struct err *err)
{
    struct compose_env env = {0};
    int rv = 0;
    for (size_t i = 0; i < o->env_files.n && rv == 0; i++)
        rv = add_file(&env, o->env_files.items[i], err);
    for (size_t i = 0; i < o->env.n; i++)
        add_variable(&env, o->env.items[i]);
    compose_env_settle(&env);
    if (rv == 0 && env.n > COMPOSE_ENVIRONMENT_MAX)
        rv = err_set(err, ERR_INVALID, "--env: more than %d variables", COMPOSE_ENVIRONMENT_MAX);
    for (size_t i = 0; i < env.n && rv == 0; i++) {
        if (!*env.pairs[i].key)
            rv = err_set(err, ERR_INVALID, "--env: '=%.60s' has no name", env.pairs[i].value);
        else
            compose_strings_add(&spec->environment, &spec->environment_n,
                                str_printf("%s=%s", env.pairs[i].key, env.pairs[i].value));
    }
    compose_env_release(&env);
    return rv;
}

/* --- the rest --------------------------------------------------------------------------------- */

/* "on-failure:5" */
static int read_restart(const char *text, struct container_create_request *ret, struct err *err)
{
    ret->restart = str_copy(text ? text : "no");
    char *count = strchr(ret->restart, ':');
    if (!count)
        return 0;
    *count++ = '\0';
    if (strcmp(ret->restart, "on-failure") == 0 &&
        compose_number(count, 0, INT32_MAX, &ret->retries_max))
        return 0;
    return err_set(err, ERR_INVALID, "--restart: '%.60s' is not like on-failure:5", text);
}

static int read_network(const struct run_options *o, struct spec *spec, struct err *err)
{
    const char *network = o->network ? o->network : "none";
    spec->options.network_host = strcmp(network, "host") == 0;
    if (o->publish.n > 0)
        return err_set(err, ERR_INVALID,
                       "--publish: a container of no stack has no ports to publish: take "
                       "--network host, where it listens on the machine itself, or deploy a "
                       "Compose file with ports:");
    if (spec->options.network_host || strcmp(network, "none") == 0)
        return 0;
    if (!content_name_is_valid(network))
        return err_set(err, ERR_INVALID, "--network: '%.60s' is no name of a network", network);
    spec->networks = mem_alloc(1, sizeof(*spec->networks));
    spec->networks[0] = (struct attachment){.network = str_copy(network), .full = true};
    spec->networks_n = 1;
    return 0;
}

int run_options_check_alone(const struct spec *spec, struct err *err)
{
    if (spec->networks_n == 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "--network: a container of no stack has none, or with host the machine's; "
                   "'wherry run --network %.100s' runs one in it",
                   spec->networks[0].network);
}

static int read_process(const struct run_options *o, int words_n, char **words, struct spec *spec,
                        struct err *err)
{
    spec->image = str_copy(words[0]);
    spec->command_set = words_n > 1;
    for (int i = 1; i < words_n; i++)
        compose_strings_add(&spec->command, &spec->command_n, str_copy(words[i]));
    spec->entrypoint_set = o->entrypoint;
    if (o->entrypoint && *o->entrypoint)
        compose_strings_add(&spec->entrypoint, &spec->entrypoint_n, str_copy(o->entrypoint));
    if (o->entrypoint && *o->entrypoint)
        spec->command_set = true; /* as docker: the image's is not its */
    spec->user = str_copy(o->user);
    spec->working_dir = str_copy(o->dir);
    spec->hostname = str_copy(o->hostname);
    spec->stop_signal = str_copy(o->stop_signal);
    if (o->stop_s.given && (o->stop_s.value > STOP_MAX_S))
        return err_set(err, ERR_INVALID, "--stop-timeout: more than a day");
    /* 0 is "not given" in a spec. */
    if (o->stop_s.given)
        spec->stop_grace_ms = o->stop_s.value ? o->stop_s.value * 1000 : 1;
    return 0;
}

int run_options_read(const struct run_options *o, int words_n, char **words,
                     struct container_create_request *ret, struct err *err)
{
    struct container_create_request r = {.node = str_copy(o->node),
                                         .container = str_copy(o->name),
                                         .auto_remove = o->remove,
                                         .held = o->remove && !o->detach};
    struct spec *spec = &r.spec;
    int rv = read_keys(o, spec, err);
    spec->options.privileged = o->privileged;
    spec->options.oom_kill_disable = o->oom_kill_disable;
    spec->options.init = o->init ? INIT_YES : INIT_DEFAULT;
    spec->options.tty = o->tty;
    spec->options.stdin_open = o->interactive;
    spec->read_only = o->read_only;
    if (rv == 0 && (rv = read_environment(o, spec, err)) == 0 &&
        (rv = read_network(o, spec, err)) == 0 && (rv = read_restart(o->restart, &r, err)) == 0)
        rv = read_process(o, words_n, words, spec, err);
    if (rv < 0)
        record_release(&container_create_request_type, &r);
    else
        *ret = r;
    return rv;
}
