/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/compose_reader.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct field compose_service_fields[] = {
    FIELD_STRING(struct compose_service, name),
    FIELD_RECORD(struct compose_service, spec, spec_type),
};
const struct record_type compose_service_type =
    RECORD_TYPE("service", struct compose_service, compose_service_fields);

static const struct field compose_project_fields[] = {
    FIELD_STRING(struct compose_project, name),
    FIELD_STRING(struct compose_project, file),
    FIELD_LIST(struct compose_project, services, compose_service_type),
    FIELD_STRINGS(struct compose_project, networks),
    FIELD_STRINGS(struct compose_project, volumes),
    FIELD_LIST(struct compose_project, own_networks, deploy_network_type),
    FIELD_LIST(struct compose_project, own_volumes, deploy_volume_type),
    FIELD_LIST(struct compose_project, contents, content_type),
};
const struct record_type compose_project_type =
    RECORD_TYPE("project", struct compose_project, compose_project_fields);
/* clang-format on */

void compose_project_release(struct compose_project *project)
{
    record_release(&compose_project_type, project);
}

/* --- the reader's life --------------------------------------------------------------------- */

static void uses_release(struct compose_uses *uses)
{
    for (size_t i = 0; i < uses->n; i++)
        free(uses->items[i].name);
    free(uses->items);
}

static void reader_release(struct reader *r)
{
    for (size_t i = 0; i < r->drafts_n; i++) {
        struct compose_draft *d = &r->drafts[i];
        compose_env_release(&d->env_files);
        compose_env_release(&d->environment);
        compose_env_release(&d->label_files);
        compose_env_release(&d->labels);
        free(d->depends_at);
        free(d->container_alias);
        free(d->network_container);
    }
    free(r->drafts);
    compose_project_release(&r->project);
    compose_env_release(&r->dotenv);
    uses_release(&r->network_uses);
    uses_release(&r->volume_uses);
    uses_release(&r->config_uses);
    uses_release(&r->secret_uses);
    compose_resources_release(r);
    for (size_t i = 0; i < r->unset_n; i++)
        free(r->unset[i]);
    free(r->unset);
    free(r->published);
    free(r->directory);
    free(r->path);
}

/* --- its surroundings ------------------------------------------------------------------------- */

/* Where the file is; relative paths in it start there. */
static int find_directory(struct reader *r)
{
    r->project.file = realpath(r->file, NULL);
    if (!r->project.file) {
        cleanup_free char *here = realpath(".", NULL);
        if (!here) {
            compose_error_at(r->errs, r->file, 0, 0, "the working directory is gone");
            return ERR_IO;
        }
        const char *name = strrchr(r->file, '/');
        r->project.file = str_printf("%s/%s", here, name ? name + 1 : r->file);
    }
    r->directory = str_copy(r->project.file);
    char *slash = strrchr(r->directory, '/');
    slash[slash == r->directory] = '\0';
    return 0;
}

static int read_dotenv(struct reader *r)
{
    if (r->options->lookup)
        return 0;
    cleanup_free char *path = str_printf("%s/.env", r->directory);
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    int line = 0;
    int rc = file_read(path, COMPOSE_FILE_MAX, &text, &err);
    if (rc == ERR_NOTFOUND)
        return 0;
    struct compose_scope scope = compose_scope(r);
    if (rc == 0 && memchr(str_or_empty(text.data), 0, text.len))
        rc = err_set(&err, ERR_INVALID, "a 0 byte; is it a text file?");
    if (rc == 0)
        rc = compose_env_parse(str_or_empty(text.data), &scope, &r->dotenv, &line, &err);
    if (rc < 0)
        compose_error_at(r->errs, path, line, 1, "%s", err.msg);
    return rc;
}

/* --- the stack's name ---------------------------------------------------------------------- */

/* The folder's name as a name of ours: lower case, other bytes left out. */
static char *folder_name(const char *directory)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    struct buf b = BUF_INIT;
    for (const char *s = strrchr(directory, '/') + 1; *s; s++) {
        char c = *s >= 'A' && *s <= 'Z' ? (char)(*s | 0x20) : *s;
        if (strchr(inner, c) && b.len < 63 && !(b.len == 0 && (c == '_' || c == '-')))
            buf_putc(&b, c);
    }
    return buf_take(&b);
}

static void read_stack_name(struct reader *r, const struct yaml *root)
{
    struct compose_scope scope = compose_scope(r);
    const struct yaml *at = NULL, *given = yaml_get(root, "name");
    const char *variable = scope.get(scope.data, "COMPOSE_PROJECT_NAME");
    char *name;
    if (r->options->stack) {
        name = str_copy(r->options->stack);
    } else if (variable && *variable) {
        name = str_copy(variable);
    } else if (given && given->kind != YAML_NULL) {
        at = given;
        size_t before = compose_enter(r, "name");
        name = compose_text(r, given);
        compose_leave(r, before);
        if (!name)
            return;
    } else {
        name = folder_name(r->directory);
    }
    r->project.name = name;
    if (!name_is_valid(name))
        compose_error(r, at,
                      "'%.64s' is no valid name for a stack; use a-z, 0-9, '_' and '-', 63 at "
                      "most, and give it with name: or on the command line",
                      name);
}

/* --- the top level ------------------------------------------------------------------------- */

static void read_version(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    compose_warn(r, value, "is obsolete and means nothing; leave it out");
}

static void read_services(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    if (!compose_is_map(r, value, "a mapping of services"))
        return;
    if (value->n == 0 || value->n > COMPOSE_SERVICES_MAX) {
        compose_error(r, value, "must name 1 to %d services", COMPOSE_SERVICES_MAX);
        return;
    }
    struct compose_project *p = &r->project;
    r->services = value;
    p->services = mem_alloc(value->n, sizeof(*p->services));
    r->drafts = mem_alloc(value->n, sizeof(*r->drafts));
    for (size_t i = 0; i < value->n; i++) {
        const struct yaml_pair *pair = &value->pairs[i];
        size_t at = p->services_n;
        compose_check_name(r, pair->key, pair->key->text);
        size_t before = compose_enter(r, pair->key->text);
        if (compose_profile_is_active(r, pair->value)) {
            p->services[at].name = str_copy(pair->key->text);
            r->drafts[at] = (struct compose_draft){&p->services[at], .index = at, .key = pair->key};
            p->services_n++;
            r->drafts_n++;
            compose_read_service(r, pair->value, &r->drafts[at]);
        }
        compose_leave(r, before);
    }
    if (p->services_n == 0)
        compose_error(r, value, "no service is in an active profile; name one with --profile");
}

static void read_networks(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    r->networks = value;
    compose_read_networks(r, value);
}

static void read_volumes(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    r->volumes = value;
    compose_read_volumes(r, value);
}

static void read_configs(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    r->configs = value;
    compose_read_contents(r, value, CONTENT_CONFIG);
}

static void read_secrets(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    r->secrets = value;
    compose_read_contents(r, value, CONTENT_SECRET);
}

static const struct compose_key root_keys[] = {
    {"version", KEY_READ, read_version, NULL},
    {"name", KEY_NOTED, NULL, NULL}, /* read_stack_name */
    {"services", KEY_READ, read_services, NULL},
    {"networks", KEY_READ, read_networks, NULL},
    {"volumes", KEY_READ, read_volumes, NULL},
    {"configs", KEY_READ, read_configs, NULL},
    {"include", KEY_LATER, NULL, "put the services into this file"},
    {"models", KEY_LATER, NULL, NULL},
    {"secrets", KEY_READ, read_secrets, NULL},
};

static void read_root(struct reader *r, const struct yaml *root)
{
    if (!root || root->kind == YAML_NULL) {
        compose_error(r, root, "the file is empty; it needs services:");
        return;
    }
    if (!compose_is_map(r, root, "a mapping"))
        return;
    read_stack_name(r, root);
    compose_section(r, root, root_keys, ARRAY_SIZE(root_keys), NULL);
    if (!yaml_get(root, "services"))
        compose_error(r, root, "no services: in this file");
    compose_check(r);
}

static int read_document(struct reader *r, const char *text, size_t len)
{
    struct yaml_document document;
    struct yaml_error error;
    if (yaml_parse(text, len, &document, &error) < 0) {
        compose_error_at(r->errs, r->file, error.line, error.column, "%s", error.msg);
        return ERR_INVALID;
    }
    r->published = mem_alloc(COMPOSE_PUBLISHED_MAX, sizeof(*r->published));
    read_root(r, document.root);
    yaml_release(&document);
    return r->errs->n > 0 ? ERR_INVALID : 0;
}

int compose_parse(const struct compose_options *options, const char *text, size_t len,
                  struct compose_project *ret, struct compose_errors *errs)
{
    check(options->file && errs->n == 0 && errs->warnings_n == 0);
    struct reader r = {.options = options, .file = options->file, .errs = errs};
    r.text_left = COMPOSE_TEXTS_MAX;
    int rc = find_directory(&r);
    if (rc == 0)
        rc = read_dotenv(&r);
    if (rc == 0)
        rc = read_document(&r, text, len);
    if (rc == 0) {
        *ret = r.project;
        r.project = (struct compose_project){0};
    }
    check(rc == 0 || errs->n > 0);
    reader_release(&r);
    return rc;
}

/* The first of the usual names that is there, or NULL. */
static const char *usual_file(void)
{
    static const char *const names[] = {"compose.yaml", "compose.yml", "docker-compose.yaml",
                                        "docker-compose.yml"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (file_exists(names[i]))
            return names[i];
    return NULL;
}

int compose_load(const struct compose_options *options, struct compose_project *ret,
                 struct compose_errors *errs)
{
    struct compose_options found = *options;
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    if (!found.file)
        found.file = usual_file();
    if (!found.file) {
        compose_error_at(errs, "compose.yaml", 0, 0,
                         "there is none here, nor a compose.yml, docker-compose.yaml or "
                         "docker-compose.yml; name the file with -f");
        return ERR_NOTFOUND;
    }
    int rc = file_read(found.file, COMPOSE_FILE_MAX, &text, &err);
    if (rc < 0) {
        compose_error_at(errs, found.file, 0, 0, "%s",
                         rc == ERR_NOTFOUND ? "no such file" : err.msg);
        return rc;
    }
    return compose_parse(&found, str_or_empty(text.data), text.len, ret, errs);
}
