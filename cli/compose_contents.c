/* SPDX-License-Identifier: Apache-2.0 */
/* configs: and secrets:, of the top level and of services. */
#include "cli/compose_container.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *word_of(enum content_kind kind)
{
    return kind == CONTENT_CONFIG ? "config" : "secret";
}

/* --- of a service -------------------------------------------------------------------------- */

/* While the file is read a reference's source is the key under configs: or secrets:. */
struct reference {
    struct content_ref ref;
    const struct yaml *at;
};

static void add_reference(struct reader *r, struct compose_draft *draft, enum content_kind kind,
                          struct reference *reference)
{
    struct spec *spec = &draft->service->spec;
    struct content_ref **list = kind == CONTENT_CONFIG ? &spec->configs : &spec->secrets;
    size_t *n = kind == CONTENT_CONFIG ? &spec->configs_n : &spec->secrets_n;
    struct content_ref *ref = &reference->ref;
    const char *folder = kind == CONTENT_CONFIG ? "/" : "/run/secrets/";
    if (!*str_or_empty(ref->target)) {
        free(ref->target);
        ref->target = str_printf("%s%s", folder, ref->source);
    } else if (ref->target[0] != '/') {
        char *full = str_printf("%s%s", folder, ref->target);
        free(ref->target);
        ref->target = full;
    }
    if (!option_ok(OPTION_PATH, ref->target) || ref->target[1] == '\0')
        compose_error(r, reference->at, "the place in the container, '%.100s', must be %s",
                      ref->target, option_meant(OPTION_PATH));
    if (!compose_has_room(r, reference->at, *n, COMPOSE_CONTENTS_MAX)) {
        record_release(&content_ref_type, ref);
        return;
    }
    *list = mem_resize(*list, *n + 1, sizeof(**list));
    (*list)[(*n)++] = *ref;
    *ref = (struct content_ref){0};
    compose_use(kind == CONTENT_CONFIG ? &r->config_uses : &r->secret_uses, draft,
                (*list)[*n - 1].source, reference->at);
}

static void read_source(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &((struct reference *)object)->ref.source);
}

static void read_target(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &((struct reference *)object)->ref.target);
}

static void read_id(struct reader *r, const struct yaml *value, char **ret)
{
    int64_t number;
    if (!compose_read_number(r, value, 0, 65535999, &number))
        return;
    free(*ret);
    *ret = str_printf("%lld", (long long)number);
}

static void read_uid(struct reader *r, const struct yaml *value, void *object)
{
    read_id(r, value, &((struct reference *)object)->ref.uid);
}

static void read_gid(struct reader *r, const struct yaml *value, void *object)
{
    read_id(r, value, &((struct reference *)object)->ref.gid);
}

static void read_mode(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_mode(r, value, &((struct reference *)object)->ref.mode);
}

static const struct compose_key reference_keys[] = {
    {"source", KEY_READ, read_source, NULL}, {"target", KEY_READ, read_target, NULL},
    {"uid", KEY_READ, read_uid, NULL},       {"gid", KEY_READ, read_gid, NULL},
    {"mode", KEY_READ, read_mode, NULL},
};

static void read_references(struct reader *r, const struct yaml *value, struct compose_draft *draft,
                            enum content_kind kind)
{
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a list"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        struct reference reference = {.at = value->items[i]};
        if (value->items[i]->kind == YAML_MAP)
            compose_section(r, value->items[i], reference_keys, ARRAY_SIZE(reference_keys),
                            &reference);
        else
            reference.ref.source = compose_text(r, value->items[i]);
        if (*str_or_empty(reference.ref.source))
            add_reference(r, draft, kind, &reference);
        else if (value->items[i]->kind == YAML_MAP)
            compose_error(r, value->items[i], "a %s needs a source:", word_of(kind));
        record_release(&content_ref_type, &reference.ref);
    }
}

void compose_read_configs(struct reader *r, const struct yaml *value, void *object)
{
    read_references(r, value, object, CONTENT_CONFIG);
}

void compose_read_secrets(struct reader *r, const struct yaml *value, void *object)
{
    read_references(r, value, object, CONTENT_SECRET);
}

/* --- the top level ------------------------------------------------------------------------- */

static void read_file(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_content *def = object;
    def->source_at = value;
    compose_read_text(r, value, &def->file);
}

static void read_variable(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_content *def = object;
    def->source_at = value;
    compose_read_text(r, value, &def->variable);
}

static void read_content(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_content *def = object;
    def->source_at = value;
    compose_read_text(r, value, &def->text);
    if (def->content.kind == CONTENT_SECRET)
        compose_error(r, value,
                      "a secret does not stand in a file that is shared; use file: or "
                      "environment:");
}

static void read_name(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_content *def = object;
    compose_read_text(r, value, &def->base);
    if (def->base && !content_name_is_valid(def->base))
        compose_error(r, value, "'%.100s' is no name; use letters, digits, '.', '_' and '-'",
                      def->base);
}

static const struct compose_key external_keys[] = {
    {"name", KEY_READ, read_name, NULL},
};

static void read_external(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_content *def = object;
    def->external = true;
    if (value->kind == YAML_MAP)
        compose_section(r, value, external_keys, ARRAY_SIZE(external_keys), object);
    else
        compose_read_bool(r, value, &def->external);
}

static void read_labels(struct reader *r, const struct yaml *value, void *object)
{
    struct content *content = &((struct compose_content *)object)->content;
    compose_read_label_pairs(r, value, &content->labels, &content->labels_n);
}

static const struct compose_key content_keys[] = {
    {"file", KEY_READ, read_file, NULL},
    {"environment", KEY_READ, read_variable, NULL},
    {"content", KEY_READ, read_content, NULL},
    {"external", KEY_READ, read_external, NULL},
    {"name", KEY_READ, read_name, NULL},
    {"labels", KEY_READ, read_labels, NULL},
    {"driver", KEY_LATER, NULL, NULL},
    {"driver_opts", KEY_LATER, NULL, NULL},
    {"template_driver", KEY_LATER, NULL, "variables of the Compose file work in content:"},
};

static void read_definition(struct reader *r, const struct yaml_pair *pair, enum content_kind kind)
{
    r->content_defs = mem_resize(r->content_defs, r->content_defs_n + 1, sizeof(*r->content_defs));
    struct compose_content *def = &r->content_defs[r->content_defs_n++];
    *def = (struct compose_content){
        .key = str_copy(pair->key->text), .at = pair->key, .content = {.kind = kind}};
    compose_section(r, pair->value, content_keys, ARRAY_SIZE(content_keys), def);
    int sources = (def->file != NULL) + (def->variable != NULL) + (def->text != NULL);
    if (def->external && sources > 0)
        compose_error(r, pair->key, "is external: its content does not come from here");
    else if (!def->external && sources != 1)
        compose_error(r, pair->key, "needs one of file:, environment:%s and external: true",
                      kind == CONTENT_CONFIG ? ", content:" : "");
    if (!*str_or_empty(def->base) && def->external)
        def->base = str_copy(def->key);
}

void compose_read_contents(struct reader *r, const struct yaml *value, enum content_kind kind)
{
    if (value->kind == YAML_NULL || !compose_is_map(r, value, "a mapping"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct yaml_pair *pair = &value->pairs[i];
        size_t before = compose_enter(r, pair->key->text);
        if (!content_name_is_valid(pair->key->text))
            compose_error(r, pair->key, "is no name; use letters, digits, '.', '_' and '-'");
        read_definition(r, pair, kind);
        compose_leave(r, before);
    }
}

/* --- settled ------------------------------------------------------------------------------- */

static struct compose_content *find(struct reader *r, enum content_kind kind, const char *key)
{
    for (size_t i = 0; i < r->content_defs_n; i++)
        if (r->content_defs[i].content.kind == kind && strcmp(r->content_defs[i].key, key) == 0)
            return &r->content_defs[i];
    return NULL;
}

static int read_source_file(struct reader *r, const struct compose_content *def, struct buf *out)
{
    cleanup_free char *path =
        def->file[0] == '/' ? str_copy(def->file) : str_printf("%s/%s", r->directory, def->file);
    struct err err;
    int rv = file_read(path, CONTENT_BYTES_MAX, out, &err);
    if (rv == ERR_NOTFOUND)
        compose_error(r, def->source_at, "there is no file '%.200s'", def->file);
    else if (rv < 0)
        compose_error(r, def->source_at, "%.200s", err.msg);
    return rv;
}

/* Its content, for the deploy to carry. */
static void take_content(struct reader *r, struct compose_content *def)
{
    struct compose_project *p = &r->project;
    struct compose_scope scope = compose_scope(r);
    cleanup_buf struct buf read = BUF_INIT;
    const char *value = def->text;
    if (def->variable) {
        value = scope.get(scope.data, def->variable);
        if (!value) {
            compose_error(r, def->source_at, "the environment has no variable '%.100s'",
                          def->variable);
            return;
        }
    }
    if (!value && !def->file)
        return; /* it has no source, which was told */
    if (value)
        buf_puts(&read, value);
    else if (read_source_file(r, def, &read) < 0)
        return;
    if (read.len > CONTENT_BYTES_MAX) {
        compose_error(r, def->source_at, "is larger than %d bytes", CONTENT_BYTES_MAX);
        return;
    }
    p->contents = mem_resize(p->contents, p->contents_n + 1, sizeof(*p->contents));
    struct content *content = &p->contents[p->contents_n++];
    record_copy(&content_type, &def->content, content);
    content->base = str_copy(def->base);
    bytes_set(&content->data, read.data, read.len);
}

static void settle(struct reader *r, enum content_kind kind, struct content_ref *refs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct compose_content *def = find(r, kind, refs[i].source);
        if (!def)
            continue; /* reported */
        if (!*str_or_empty(def->base)) {
            free(def->base);
            def->base = str_printf("%s_%s", r->project.name, def->key);
        }
        if (!def->used && !def->external) {
            size_t section = compose_enter(r, kind == CONTENT_CONFIG ? "configs" : "secrets");
            size_t key = compose_enter(r, def->key);
            take_content(r, def);
            compose_leave(r, key);
            compose_leave(r, section);
        }
        def->used = true;
        free(refs[i].source);
        refs[i].source = str_copy(def->base);
    }
}

void compose_settle_contents(struct reader *r)
{
    for (size_t i = 0; i < r->project.services_n; i++) {
        struct spec *spec = &r->project.services[i].spec;
        settle(r, CONTENT_CONFIG, spec->configs, spec->configs_n);
        settle(r, CONTENT_SECRET, spec->secrets, spec->secrets_n);
    }
}
