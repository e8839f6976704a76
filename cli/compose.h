/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose - turn a Compose file (Compose specification) into what a deploy asks for.
 *
 *     struct compose_project project;
 *     struct compose_errors errors = {0};
 *     if (compose_load(&(struct compose_options){.file = path}, &project, &errors) < 0)
 *         ... print errors.items[i].text, one a line; errors.more were left out ...
 *     ... print errors.warnings, deploy project, then release both ...
 *
 * What is honoured, in the words of the specification: name, services, networks (own ones, of
 * driver bridge or overlay, which here are the same), volumes (own ones, of driver local); of a
 * service those keys that the table in compose_service.c reads. Other valid keys are refused as
 * "not supported yet", all others as unknown: nothing is ignored silently. Where a cluster differs
 * from one machine:
 *
 * - without restart: and deploy.restart_policy a service is restarted whatever its exit status,
 *   except that one which another service waits for with service_completed_successfully is
 *   restarted on failure only;
 * - labels and deploy.labels are one set;
 * - container_name is one more name of the service in its networks' DNS;
 * - only networks and volumes that a service uses are part of the project;
 * - a service that gives an entrypoint and no command has an empty command, not the image's.
 *
 * The file is hostile until read: its size, its number of values (aliases expanded), its depth and
 * the text that variables add are capped. Not thread-safe as getenv(3) is not, unless a lookup is
 * given.
 */
#ifndef WHERRY_CLI_COMPOSE_H
#define WHERRY_CLI_COMPOSE_H

#include "store/model.h"

enum {
    COMPOSE_FILE_MAX = 1 << 20,  /* bytes of a Compose file or an env file */
    COMPOSE_ERRORS_MAX = 20,     /* kept; more are counted */
    COMPOSE_SERVICES_MAX = 1000, /* in one file */
};

struct compose_service {
    char *name;
    struct spec spec;
};

struct compose_project {
    char *name;                       /* of the stack */
    char *file;                       /* that was read, as an absolute path */
    struct compose_service *services; /* in the file's order */
    size_t services_n;
    char **networks; /* short names, sorted: "default" */
    size_t networks_n;
    char **volumes; /* full names, sorted: "stack_data" */
    size_t volumes_n;
    struct deploy_network *own_networks; /* those that say more than their name */
    size_t own_networks_n;
    struct deploy_volume *own_volumes; /* likewise */
    size_t own_volumes_n;
    /* Configs and secrets that the services have and that are not external: kind, base, data and
     * labels. In specs they go by "base". */
    struct content *contents;
    size_t contents_n;
};

extern const struct record_type compose_service_type, compose_project_type;

/* The value of environment variable @name, or NULL. Borrowed until the next call. */
typedef const char *(*compose_lookup_cb)(void *data, const char *name);

struct compose_options {
    const char *file;  /* NULL: compose.yaml, compose.yml, docker-compose.yaml or
                          docker-compose.yml of the working directory, the first there is */
    const char *stack; /* the stack's name; NULL: $COMPOSE_PROJECT_NAME, name:, or the folder's */
    const char *const *profiles; /* that are active, each perhaps several, with commas */
    size_t profiles_n;           /* 0: those of $COMPOSE_PROFILES */
    compose_lookup_cb lookup;    /* NULL: getenv(3), then the file .env beside the Compose file */
    void *lookup_data;
};

/* One thing said about the file. */
struct compose_note {
    int line; /* one-based, 0: the file as a whole */
    int column;
    char *text; /* "compose.yaml:3:5: services.web: unknown key 'imge' (did you mean 'image'?)" */
};

struct compose_errors {
    struct compose_note items[COMPOSE_ERRORS_MAX]; /* by position */
    size_t n;
    size_t more; /* errors that were not kept */
    struct compose_note warnings[COMPOSE_ERRORS_MAX];
    size_t warnings_n;
    size_t warnings_more;
};

/* Read a Compose file into *@ret; end it with compose_project_release. On failure *@ret is
 * untouched and @errs, empty at the call, holds at least one error; warnings come in both cases.
 * Returns 0, ERR_NOTFOUND (no such file), another file error, or ERR_INVALID. */
int compose_load(const struct compose_options *options, struct compose_project *ret,
                 struct compose_errors *errs);

/* The same for @len bytes that are there already; options->file, not NULL, is what they are called
 * and where relative paths start. */
int compose_parse(const struct compose_options *options, const char *text, size_t len,
                  struct compose_project *ret, struct compose_errors *errs);

/* Free what @project owns. */
void compose_project_release(struct compose_project *project);

/* Free what @errs owns and empty it. */
void compose_errors_release(struct compose_errors *errs);

#endif
