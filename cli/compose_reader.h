/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose_reader - what the files of the Compose reader share.
 *
 * A mapping of the file is read by a table of its valid keys: compose_section() calls the reading
 * function of each key that is there, in the file's order, and refuses the rest. Reading functions
 * report what is wrong and go on, so that one run shows all mistakes; nothing they fill is used
 * when an error was reported. What needs more than one key is settled afterwards.
 */
#ifndef WHERRY_CLI_COMPOSE_READER_H
#define WHERRY_CLI_COMPOSE_READER_H

#include "cli/compose.h"
#include "cli/yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

enum {
    COMPOSE_TEXT_MAX = 256 * 1024,     /* bytes of one text after variables */
    COMPOSE_TEXTS_MAX = 16 << 20,      /* bytes of all of them */
    COMPOSE_ENVIRONMENT_MAX = 4096,    /* variables of a service or an env file */
    COMPOSE_WORDS_MAX = 4096,          /* of a command */
    COMPOSE_PORTS_MAX = 1024,          /* of a service */
    COMPOSE_MOUNTS_MAX = 256,          /* of a service */
    COMPOSE_NETWORKS_MAX = 64,         /* of a service */
    COMPOSE_CONTENTS_MAX = 128,        /* configs, and secrets, of a service */
    COMPOSE_REPLICAS_MAX = 10000,      /* of a service */
    COMPOSE_PUBLISHED_MAX = 2 * 65536, /* protocols times ports */
};

/* --- variables (compose_variables.c) ------------------------------------------------------- */

/* Names to values; a NULL value is a variable that is taken away. */
struct compose_env {
    struct pair *pairs;
    size_t n;
    size_t room;
};

/* Where the variables of a text come from. */
struct compose_scope {
    const char *(*get)(void *data, const char *name);
    void (*on_unset)(void *data, const char *name); /* an empty text stands in for it */
    void *data;
};

/* Append @text with its variables replaced to @out: $NAME, ${NAME}, ${NAME:-word}, ${NAME-word},
 * ${NAME:?word}, ${NAME?word}, ${NAME:+word}, ${NAME+word}, words nested; "$$" is a dollar sign.
 * Past COMPOSE_TEXT_MAX bytes ERR_TOOBIG, on wrong syntax or a required variable ERR_INVALID. */
int compose_interpolate(const char *text, const struct compose_scope *scope, struct buf *out,
                        struct err *err);

/* Append NAME=VALUE; both are copied. */
void compose_env_add(struct compose_env *env, const char *name, const char *value);

/* The last value of @name, or NULL. */
const char *compose_env_get(const struct compose_env *env, const char *name);

/* Free what @env owns. */
void compose_env_release(struct compose_env *env);

/* Sort by name and keep the last of each; variables taken away stay, with NULL. */
void compose_env_settle(struct compose_env *env);

/* Add the lines of an env file to @env: NAME=VALUE, "export " before it, comments, '...' as it is,
 * "..." with \n \r \t \\ \" and over several lines, variables replaced but in '...' from @scope and
 * the lines before. NAME alone takes its value from @scope. On failure *@ret_line is the line. */
int compose_env_parse(const char *text, const struct compose_scope *scope, struct compose_env *env,
                      int *ret_line, struct err *err);

/* --- values (compose_values.c) ------------------------------------------------------------- */

/* "1m30s", "500ms", "1.5h" in milliseconds, at most 100 years; more than 0 is at least 1. */
bool compose_duration(const char *text, int64_t *ret_ms);

/* "64M", "1gb", "0.5g", "1024" in bytes, units of 1024. */
bool compose_size(const char *text, int64_t *ret_bytes);

/* "0.5" in thousandths; not more than three digits after the point. */
bool compose_milli(const char *text, int64_t *ret_milli);

/* A decimal number in @min..@max. */
bool compose_number(const char *text, int64_t min, int64_t max, int64_t *ret);

/* Split as a shell does: blanks, '...', "...", backslash. Appends to @words. */
int compose_split(const char *text, char ***words, size_t *n, struct err *err);

/* Append @owned to a list of strings. */
void compose_strings_add(char ***list, size_t *n, char *owned);

/* --- the reader ---------------------------------------------------------------------------- */

/* A name that must be declared at the top level, and where it was used. */
struct compose_use {
    size_t service;
    char *name;
    const struct yaml *at;
};

struct compose_uses {
    struct compose_use *items;
    size_t n;
};

/* What is known of a service while the file is read. The nodes are NULL when the key is absent. */
struct compose_draft {
    struct compose_service *service;
    size_t index;
    const struct yaml *key; /* its name */
    const struct yaml *image, *restart, *restart_policy, *scale, *replicas, *max_per_node;
    const struct yaml *networks, *network_mode, *container_name, *parallelism;
    const struct yaml *probe;
    const struct yaml *job; /* the first key that only jobs have */
    const struct yaml *cpu_period, *cpu_quota;
    int64_t cpu_period_us, cpu_quota_us;
    const struct yaml **depends_at; /* of each spec.depends_on */
    int64_t scale_n;
    int64_t replicas_n;
    struct restart_policy policy;                      /* of deploy.restart_policy */
    struct resources plain_limits, plain_reservations; /* mem_limit, cpus and their like */
    const struct yaml *plain_at;
    struct compose_env env_files; /* of env_file */
    struct compose_env environment;
    struct compose_env label_files; /* of label_file */
    struct compose_env labels;
    bool health_disabled;
    char *container_alias;
    char *network_container; /* of network_mode: container:NAME */
    bool network_bridge;     /* network_mode: bridge */
};

/* What the top level says of a network, by the name that the file's services have for it. */
struct compose_network {
    char *key;
    bool external;
    const struct yaml *gateway_at, *options_at;
    struct deploy_network network;
};

struct compose_volume {
    char *key;
    bool external;
    struct deploy_volume volume; /* its name is that of the row */
};

/* … of a config or secret. */
struct compose_content {
    char *key;
    const struct yaml *at;
    bool external;
    char *base; /* what it is called in the cluster */
    char *file; /* one of these three */
    char *variable;
    char *text;
    const struct yaml *source_at;
    struct content content; /* kind and labels */
    bool used;
};

struct reader {
    const struct compose_options *options;
    const char *file; /* as the user named it */
    char *directory;
    struct compose_errors *errs;
    struct compose_project project;
    struct compose_draft *drafts; /* of each service */
    size_t drafts_n;
    struct compose_env dotenv;
    char *path; /* "services.web.ports", for messages */
    size_t path_len;
    size_t text_left; /* of COMPOSE_TEXTS_MAX */
    char **unset;     /* variables already warned of */
    size_t unset_n;
    int *published; /* COMPOSE_PUBLISHED_MAX of them, by protocol and port: 1 + index of the service
                     */
    /* Of the top level. */
    const struct yaml *services, *networks, *volumes, *configs, *secrets;
    struct compose_uses network_uses, volume_uses, config_uses, secret_uses;
    struct compose_network *network_defs;
    size_t network_defs_n;
    struct compose_volume *volume_defs;
    size_t volume_defs_n;
    struct compose_content *content_defs;
    size_t content_defs_n;
};

/* Report an error or a warning at @at, after the path of what is being read. @at NULL: the file. */
void compose_error(struct reader *r, const struct yaml *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void compose_warn(struct reader *r, const struct yaml *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As compose_error for a place in another file, without the path. */
void compose_error_at(struct compose_errors *errs, const char *file, int line, int column,
                      const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Go down into @name, or (compose_leave) back to what compose_enter returned. */
size_t compose_enter(struct reader *r, const char *name);
void compose_leave(struct reader *r, size_t before);

/* Variables as this project sees them. */
struct compose_scope compose_scope(struct reader *r);

/* What @node is, for messages: "a list", "a mapping", "text", "nothing". */
const char *compose_kind(const struct yaml *node);

/* The text of a scalar with variables replaced, or NULL after reporting. The caller frees. */
char *compose_text(struct reader *r, const struct yaml *node);

/* Read a scalar of that form into *@ret; false after reporting, *@ret untouched. */
bool compose_read_bool(struct reader *r, const struct yaml *node, bool *ret);
bool compose_read_number(struct reader *r, const struct yaml *node, int64_t min, int64_t max,
                         int64_t *ret);
bool compose_read_duration(struct reader *r, const struct yaml *node, int64_t *ret_ms);
bool compose_read_size(struct reader *r, const struct yaml *node, int64_t *ret_bytes);
bool compose_read_milli(struct reader *r, const struct yaml *node, int64_t *ret_milli);

/* Replace *@ret by the text of @node. */
void compose_read_text(struct reader *r, const struct yaml *node, char **ret);

/* The index of @node's text among @names (NULL-terminated), or -1 after reporting. */
int compose_read_choice(struct reader *r, const struct yaml *node, const char *const *names);

/* True when @node is a list, or a mapping; else reports what is meant and returns false. */
bool compose_is_list(struct reader *r, const struct yaml *node, const char *meant);
bool compose_is_map(struct reader *r, const struct yaml *node, const char *meant);

/* Report @name when it is not one of ours (name_is_valid). */
void compose_check_name(struct reader *r, const struct yaml *at, const char *name);

typedef void (*compose_read_cb)(struct reader *r, const struct yaml *value, void *object);

enum compose_key_state {
    KEY_READ,         /* honoured */
    KEY_NOTED,        /* asks for nothing that differs: accepted */
    KEY_LATER,        /* valid, but not honoured now */
    KEY_LATER_IF_SET, /* the same, but false asks for nothing */
    KEY_REFUSED,      /* valid, but not for us: advice says why and what to do */
};

struct compose_key {
    const char *name;
    enum compose_key_state state;
    compose_read_cb read; /* KEY_READ */
    const char *advice;   /* KEY_LATER: what to do instead, or NULL; KEY_REFUSED: all of it */
};

/* Read mapping @node by @keys (@n of them) into @object. Nothing (null) is an empty mapping.
 * Keys that start with "x-" and are not in @keys are accepted; below x-wherry nothing is known
 * then. */
void compose_section(struct reader *r, const struct yaml *node, const struct compose_key *keys,
                     size_t n, void *object);

/* Report that @name, written at @at, is none of the @n keys. */
void compose_unknown(struct reader *r, const struct yaml *at, const char *name,
                     const struct compose_key *keys, size_t n);

/* Note that the service of @draft uses @name. */
void compose_use(struct compose_uses *uses, const struct compose_draft *draft, const char *name,
                 const struct yaml *at);

/* --- the parts of a file; @object of a reading function is the struct compose_draft -------- */

/* compose_service.c: the service of @draft from its mapping. */
void compose_read_service(struct reader *r, const struct yaml *node, struct compose_draft *draft);

/* compose_environment.c */
void compose_read_environment(struct reader *r, const struct yaml *value, void *object);
void compose_read_env_file(struct reader *r, const struct yaml *value, void *object);
void compose_read_labels(struct reader *r, const struct yaml *value, void *object);
void compose_read_label_file(struct reader *r, const struct yaml *value, void *object);
/* Put environment and labels into the spec. */
void compose_settle_environment(struct reader *r, struct compose_draft *draft);

/* compose_ports.c */
void compose_read_ports(struct reader *r, const struct yaml *value, void *object);

/* compose_volumes.c */
void compose_read_mounts(struct reader *r, const struct yaml *value, void *object);
void compose_read_volumes(struct reader *r, const struct yaml *value); /* of the top level */

/* compose_networks.c */
void compose_read_attachments(struct reader *r, const struct yaml *value, void *object);
/* "none", "host", "bridge", "service:NAME" or "container:NAME" (Compose, services, network_mode);
 * whose network it is, is looked up when all services are read (compose_check.c). */
void compose_read_network_mode(struct reader *r, const struct yaml *value, void *object);
/* Services that are on the machines' own link alone are in the default network, too. */
void compose_settle_lans(struct reader *r);
void compose_read_networks(struct reader *r, const struct yaml *value); /* of the top level */
/* Attach to "default" what names no network, and add the container's name as an alias. */
void compose_settle_networks(struct reader *r, struct compose_draft *draft);

/* compose_resources.c: what services use gets the names it has in the cluster, and the project the
 * list of it; contents are read. */
void compose_settle_resources(struct reader *r);
void compose_resources_release(struct reader *r);

/* compose_contents.c */
void compose_read_configs(struct reader *r, const struct yaml *value, void *object);
void compose_read_secrets(struct reader *r, const struct yaml *value, void *object);
void compose_read_contents(struct reader *r, const struct yaml *value,
                           enum content_kind kind); /* of the top level */
/* Give the configs and secrets of all services the names they have in the cluster, and read those
 * that come with the file. */
void compose_settle_contents(struct reader *r);

/* Add labels of the top level, sorted, to a list. */
void compose_read_label_pairs(struct reader *r, const struct yaml *value, struct pair **list,
                              size_t *n);

/* compose_deploy.c */
void compose_read_deploy(struct reader *r, const struct yaml *value, void *object);
void compose_read_restart(struct reader *r, const struct yaml *value, void *object);
void compose_read_scale(struct reader *r, const struct yaml *value, void *object);
void compose_read_mem_limit(struct reader *r, const struct yaml *value, void *object);
void compose_read_mem_reservation(struct reader *r, const struct yaml *value, void *object);
void compose_read_cpus(struct reader *r, const struct yaml *value, void *object);
void compose_read_pids_limit(struct reader *r, const struct yaml *value, void *object);
/* Settle replicas, resources and the restart policy. */
void compose_settle_deploy(struct reader *r, struct compose_draft *draft);

/* compose_profiles.c: true when the service of @service is in an active profile or in none */
bool compose_profile_is_active(struct reader *r, const struct yaml *service);

/* compose_rollout.c: deploy.update_config and deploy.rollback_config */
void compose_read_update(struct reader *r, const struct yaml *value, void *object);
void compose_read_rollback(struct reader *r, const struct yaml *value, void *object);

/* compose_job.c: keys of jobs under x-wherry. */
void compose_read_schedule(struct reader *r, const struct yaml *value, void *object);
void compose_read_time_zone(struct reader *r, const struct yaml *value, void *object);
void compose_read_concurrency(struct reader *r, const struct yaml *value, void *object);
void compose_read_catch_up(struct reader *r, const struct yaml *value, void *object);
void compose_read_history(struct reader *r, const struct yaml *value, void *object);
void compose_read_job_deadline(struct reader *r, const struct yaml *value, void *object);
void compose_read_job_parallelism(struct reader *r, const struct yaml *value, void *object);

/* Refuse keys of jobs where there is none. */
void compose_settle_job(struct reader *r, struct compose_draft *draft);

/* compose_generic.c: a list of generic resources, into @spec */
void compose_read_generic(struct reader *r, const struct yaml *value, struct spec *spec);

/* compose_health.c: under x-wherry */
void compose_read_probe(struct reader *r, const struct yaml *value, void *object);
void compose_read_unhealthy(struct reader *r, const struct yaml *value, void *object);

/* Refuse a probe beside a healthcheck. */
void compose_settle_health(struct reader *r, struct compose_draft *draft);

/* compose_wherry.c: x-wherry of a service */
void compose_read_wherry(struct reader *r, const struct yaml *value, void *object);

/* compose_health.c */
void compose_read_health(struct reader *r, const struct yaml *value, void *object);
void compose_read_depends(struct reader *r, const struct yaml *value, void *object);

/* compose_check.c: what holds between services: references, cycles, full names. */
void compose_check(struct reader *r);

#endif
