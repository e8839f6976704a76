/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_container.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- mappings and lists of NAME=VALUE ------------------------------------------------------- */

/* Add one; @value NULL: take it from the environment, and away when it is not there either. */
static void add_variable(struct reader *r, const struct yaml *at, struct compose_env *env,
                         const char *name, const char *value)
{
    if (!*name || strchr(name, '=')) {
        compose_error(r, at, "'%.64s' is no name of a variable", name);
        return;
    }
    if (env->n == COMPOSE_ENVIRONMENT_MAX) {
        compose_error(r, at, "more than %d variables", COMPOSE_ENVIRONMENT_MAX);
        return;
    }
    struct compose_scope scope = compose_scope(r);
    compose_env_add(env, name, value ? value : scope.get(scope.data, name));
}

static void add_label(struct reader *r, const struct yaml *at, struct compose_env *env,
                      const char *name, const char *value)
{
    value = str_or_empty(value);
    if (!*name) {
        compose_error(r, at, "a label needs a name");
        return;
    }
    if (env->n == COMPOSE_ENVIRONMENT_MAX) {
        compose_error(r, at, "more than %d labels", COMPOSE_ENVIRONMENT_MAX);
        return;
    }
    const char *other = compose_env_get(env, name);
    if (other && strcmp(other, value) != 0)
        compose_error(r, at,
                      "label '%.64s' is given twice with different values; labels and "
                      "deploy.labels are one set here",
                      name);
    compose_env_add(env, name, value);
}

typedef void (*add_cb)(struct reader *r, const struct yaml *at, struct compose_env *env,
                       const char *name, const char *value);

static void read_pairs(struct reader *r, const struct yaml *value, struct compose_env *env,
                       add_cb add)
{
    if (value->kind == YAML_NULL)
        return;
    if (value->kind == YAML_MAP) {
        for (size_t i = 0; i < value->n; i++) {
            const struct yaml_pair *pair = &value->pairs[i];
            size_t before = compose_enter(r, pair->key->text);
            cleanup_free char *text = NULL;
            bool null = pair->value->kind == YAML_NULL;
            if (!null)
                text = compose_text(r, pair->value);
            compose_leave(r, before);
            if (null || text)
                add(r, pair->key, env, pair->key->text, text);
        }
        return;
    }
    if (!compose_is_list(r, value, "a mapping or a list of NAME=VALUE"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        cleanup_free char *text = compose_text(r, value->items[i]);
        if (!text)
            continue;
        char *equals = strchr(text, '=');
        if (equals)
            *equals = '\0';
        add(r, value->items[i], env, text, equals ? equals + 1 : NULL);
    }
}

static void add_pair(struct reader *r, const struct yaml *at, struct compose_env *env,
                     const char *name, const char *value)
{
    if (!*name)
        compose_error(r, at, "a name is empty");
    else if (env->n == COMPOSE_ENVIRONMENT_MAX)
        compose_error(r, at, "more than %d", COMPOSE_ENVIRONMENT_MAX);
    else
        compose_env_add(env, name, str_or_empty(value));
}

void compose_read_pairs(struct reader *r, const struct yaml *value, struct compose_env *ret)
{
    read_pairs(r, value, ret, add_pair);
}

void compose_read_environment(struct reader *r, const struct yaml *value, void *object)
{
    read_pairs(r, value, &((struct compose_draft *)object)->environment, add_variable);
}

void compose_read_labels(struct reader *r, const struct yaml *value, void *object)
{
    read_pairs(r, value, &((struct compose_draft *)object)->labels, add_label);
}

void compose_read_label_pairs(struct reader *r, const struct yaml *value, struct pair **list,
                              size_t *n)
{
    struct compose_env labels = {0};
    read_pairs(r, value, &labels, add_label);
    compose_env_settle(&labels);
    *list = labels.pairs;
    *n = labels.n;
}

/* --- env_file ------------------------------------------------------------------------------ */

struct env_entry {
    char *path;
    const struct yaml *at;
    bool required;
};

static void read_path(struct reader *r, const struct yaml *value, void *object)
{
    struct env_entry *entry = object;
    entry->at = value;
    compose_read_text(r, value, &entry->path);
}

static void read_required(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &((struct env_entry *)object)->required);
}

static const struct compose_key entry_keys[] = {
    {"path", KEY_READ, read_path, NULL},
    {"required", KEY_READ, read_required, NULL},
    {"format", KEY_LATER, NULL, NULL},
};

static void load_env_file(struct reader *r, const struct env_entry *entry, struct compose_env *env)
{
    cleanup_free char *path = entry->path[0] == '/'
                                  ? str_copy(entry->path)
                                  : str_printf("%s/%s", r->directory, entry->path);
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    struct stat st;
    if (r->text_left == 0)
        return;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        compose_error(r, entry->at, "'%.100s' is no regular file", entry->path);
        return;
    }
    int rc = file_read(path, COMPOSE_FILE_MAX, &text, &err);
    if (rc == ERR_NOTFOUND && !entry->required)
        return;
    if (rc < 0) {
        compose_error(r, entry->at, "%s%s", err.msg,
                      rc == ERR_NOTFOUND ? "; make it, or set required: false" : "");
        return;
    }
    int line = 0;
    struct compose_scope scope = compose_scope(r);
    if (text.len >= r->text_left) {
        r->text_left = 0;
        compose_error(r, entry->at, "all env files together are longer than %d MiB",
                      COMPOSE_TEXTS_MAX >> 20);
    } else if (memchr(str_or_empty(text.data), 0, text.len)) {
        compose_error(r, entry->at, "'%.100s' holds a 0 byte; is it a text file?", entry->path);
    } else if (compose_env_parse(str_or_empty(text.data), &scope, env, &line, &err) < 0) {
        compose_error(r, entry->at, "'%.100s' line %d: %s", entry->path, line, err.msg);
    } else {
        r->text_left -= text.len;
        if (env->n > 4 * COMPOSE_ENVIRONMENT_MAX)
            compose_error(r, entry->at, "more than %d variables", 4 * COMPOSE_ENVIRONMENT_MAX);
    }
}

static void read_entry(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    struct env_entry entry = {.required = true, .at = value};
    if (value->kind == YAML_MAP) {
        compose_section(r, value, entry_keys, ARRAY_SIZE(entry_keys), &entry);
        if (!yaml_get(value, "path"))
            compose_error(r, value, "an entry needs a path:");
    } else {
        compose_read_text(r, value, &entry.path);
    }
    if (entry.path && !*entry.path)
        compose_error(r, value, "a path is empty");
    else if (entry.path && draft->env_files.n <= 4 * COMPOSE_ENVIRONMENT_MAX)
        load_env_file(r, &entry, &draft->env_files);
    free(entry.path);
}

void compose_read_env_file(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_SCALAR) {
        read_entry(r, value, object);
        return;
    }
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a path or a list of paths"))
        return;
    for (size_t i = 0; i < value->n; i++)
        read_entry(r, value->items[i], object);
}

/* --- label_file ---------------------------------------------------------------------------- */

static void read_label_file(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    struct env_entry entry = {.required = true, .at = value};
    compose_read_text(r, value, &entry.path);
    if (entry.path && !*entry.path)
        compose_error(r, value, "a path is empty");
    else if (entry.path)
        load_env_file(r, &entry, &draft->label_files);
    free(entry.path);
}

void compose_read_label_file(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_SCALAR) {
        read_label_file(r, value, object);
        return;
    }
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a path or a list of paths"))
        return;
    for (size_t i = 0; i < value->n; i++)
        read_label_file(r, value->items[i], object);
}

/* --- into the spec ------------------------------------------------------------------------- */

void compose_settle_environment(struct reader *r, struct compose_draft *draft)
{
    struct spec *spec = &draft->service->spec;
    struct compose_env *all = &draft->env_files;
    for (size_t i = 0; i < draft->environment.n; i++)
        compose_env_add(all, draft->environment.pairs[i].key, draft->environment.pairs[i].value);
    compose_env_settle(all);
    for (size_t i = 0; i < all->n; i++)
        if (all->pairs[i].value)
            compose_strings_add(&spec->environment, &spec->environment_n,
                                str_printf("%s=%s", all->pairs[i].key, all->pairs[i].value));
    /* Labels of the file itself have precedence. */
    struct compose_env *labels = &draft->label_files;
    for (size_t i = 0; i < draft->labels.n; i++)
        compose_env_add(labels, draft->labels.pairs[i].key, draft->labels.pairs[i].value);
    compose_env_settle(labels);
    if (labels->n > COMPOSE_ENVIRONMENT_MAX)
        compose_error(r, draft->key, "more than %d labels", COMPOSE_ENVIRONMENT_MAX);
    spec->labels = labels->pairs;
    spec->labels_n = labels->n;
    *labels = (struct compose_env){0};
}
