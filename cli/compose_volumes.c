/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What one element of a service's list says. */
struct mount_entry {
    const struct yaml *at;
    char *type;
    char *source;
    char *target;
    bool read_only;
    char *propagation;
    bool create_source;
    bool no_copy;
    char *subpath;
    const struct yaml *bind, *volume, *tmpfs; /* what the long form says of a kind */
};

static void entry_release(struct mount_entry *e)
{
    free(e->type);
    free(e->source);
    free(e->target);
    free(e->propagation);
    free(e->subpath);
}

/* --- into the spec ------------------------------------------------------------------------- */

static bool add_mount(struct reader *r, struct compose_draft *draft, struct mount_entry *e,
                      enum mount_kind kind)
{
    struct spec *spec = &draft->service->spec;
    if (!e->target || e->target[0] != '/') {
        compose_error(r, e->at, "the place in the container, '%.100s', must be an absolute path",
                      str_or_empty(e->target));
        return false;
    }
    for (size_t len = strlen(e->target); len > 1 && e->target[len - 1] == '/'; len--)
        e->target[len - 1] = '\0';
    if (e->target[1] == '\0') {
        compose_error(r, e->at, "nothing can be mounted over a container's whole root, '/'");
        return false;
    }
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (strcmp(spec->mounts[i].target, e->target) == 0) {
            compose_error(r, e->at, "'%.100s' is mounted twice", e->target);
            return false;
        }
    if (spec->mounts_n == COMPOSE_MOUNTS_MAX) {
        compose_error(r, e->at, "more than %d mounts", COMPOSE_MOUNTS_MAX);
        return false;
    }
    spec->mounts = mem_resize(spec->mounts, spec->mounts_n + 1, sizeof(*spec->mounts));
    spec->mounts[spec->mounts_n++] = (struct mount_spec){
        .kind = kind,
        .source = e->source ? steal(&e->source) : str_copy(""),
        .target = steal(&e->target),
        .read_only = e->read_only,
        .propagation = steal(&e->propagation),
        .create_source = e->create_source,
        .no_copy = e->no_copy,
        .subpath = steal(&e->subpath),
    };
    return true;
}

static void add_volume(struct reader *r, struct compose_draft *draft, struct mount_entry *e)
{
    if (e->propagation) {
        compose_error(r, e->at, "propagation '%.64s' is for bind mounts", e->propagation);
        return;
    }
    cleanup_free char *name = str_copy(str_or_empty(e->source));
    if (add_mount(r, draft, e, MOUNT_VOLUME) && *name)
        compose_use(&r->volume_uses, draft, name, e->at);
}

static void add_bind(struct reader *r, struct compose_draft *draft, struct mount_entry *e)
{
    if (e->source && e->source[0] == '/')
        add_mount(r, draft, e, MOUNT_BIND);
    else if (e->source && *e->source)
        compose_error(r, e->at,
                      "'%.100s' is a path of this machine that the other members have not; put the "
                      "files into the image or a volume, or onto every node under an absolute path",
                      e->source);
    else
        compose_error(r, e->at, "a bind mount needs a source: with an absolute path");
}

/* --- short syntax: [SOURCE:]TARGET[:OPTIONS] ------------------------------------------------ */

/* Options are separated by commas. */
static bool take_options(struct reader *r, struct mount_entry *e, char *options)
{
    for (char *option = options; option;) {
        char *comma = strchr(option, ',');
        if (comma)
            *comma++ = '\0';
        if (strcmp(option, "ro") == 0) {
            e->read_only = true;
        } else if (option_ok(OPTION_PROPAGATION, option)) {
            free(e->propagation);
            e->propagation = str_copy(option);
        } else if (strcmp(option, "nocopy") == 0) {
            e->no_copy = true;
        } else if (strcmp(option, "rw") != 0) {
            compose_error(
                r, e->at,
                "mount option '%.64s' is not supported yet; ro, rw, nocopy and, of a bind "
                "mount, a propagation such as rslave are",
                option);
            return false;
        }
        option = comma;
    }
    return true;
}

static void read_short(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    struct mount_entry e = {.at = value};
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    char *target = strchr(text, ':');
    if (!target) {
        e.target = str_copy(text);
        if (text[0] == '/')
            add_volume(r, draft, &e);
        else
            compose_error(r, value, "'%.100s' names no place in the container; write NAME:/path",
                          text);
        entry_release(&e);
        return;
    }
    *target++ = '\0';
    char *options = strchr(target, ':');
    if (options)
        *options++ = '\0';
    e.source = str_copy(text);
    e.target = str_copy(target);
    if (take_options(r, &e, options)) {
        if (!*text)
            compose_error(r, value, "the part before ':' is empty");
        else if (strchr("./~", text[0]) || strchr(text, '/'))
            add_bind(r, draft, &e);
        else
            add_volume(r, draft, &e);
    }
    entry_release(&e);
}

/* --- long syntax --------------------------------------------------------------------------- */

static void read_type(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const later[] = {"npipe", "cluster", "image"};
    char **type = &((struct mount_entry *)object)->type;
    compose_read_text(r, value, type);
    if (!*type || strcmp(*type, "volume") == 0 || strcmp(*type, "bind") == 0 ||
        strcmp(*type, "tmpfs") == 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        if (strcmp(*type, later[i]) == 0) {
            compose_error(r, value, "'%s' is not supported yet; volume, bind and tmpfs are",
                          later[i]);
            return;
        }
    compose_error(r, value, "'%.64s' must be volume, bind or tmpfs", *type);
}

static void read_source(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &((struct mount_entry *)object)->source);
}

static void read_target(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &((struct mount_entry *)object)->target);
}

static void read_read_only(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &((struct mount_entry *)object)->read_only);
}

static void read_nocopy(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &((struct mount_entry *)object)->no_copy);
}

/* A folder below the volume's own. */
static void read_subpath(struct reader *r, const struct yaml *value, void *object)
{
    char **subpath = &((struct mount_entry *)object)->subpath;
    compose_read_text(r, value, subpath);
    cleanup_free char *rooted = str_printf("/%s", str_or_empty(*subpath));
    if (*subpath && (!**subpath || !option_ok(OPTION_PATH, rooted)))
        compose_error(r, value, "'%.100s' must be a path inside the volume, without '..'",
                      *subpath);
}

static const struct compose_key volume_option_keys[] = {
    {"nocopy", KEY_READ, read_nocopy, NULL},
    {"subpath", KEY_READ, read_subpath, NULL},
    {"labels", KEY_LATER, NULL, NULL},
};

static void read_volume_options(struct reader *r, const struct yaml *value, void *object)
{
    ((struct mount_entry *)object)->volume = value;
    compose_section(r, value, volume_option_keys, ARRAY_SIZE(volume_option_keys), object);
}

static void read_propagation(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_form(r, value, OPTION_PROPAGATION, &((struct mount_entry *)object)->propagation);
}

static void read_create_source(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &((struct mount_entry *)object)->create_source);
}

static const struct compose_key bind_option_keys[] = {
    {"create_host_path", KEY_READ, read_create_source, NULL},
    {"propagation", KEY_READ, read_propagation, NULL},
    {"recursive", KEY_LATER, NULL, NULL},
    {"selinux", KEY_LATER, NULL, NULL},
};

static void read_bind_options(struct reader *r, const struct yaml *value, void *object)
{
    ((struct mount_entry *)object)->bind = value;
    compose_section(r, value, bind_option_keys, ARRAY_SIZE(bind_option_keys), object);
}

/* Read once the target is known. */
static void read_tmpfs_options(struct reader *r, const struct yaml *value, void *object)
{
    (void)r;
    ((struct mount_entry *)object)->tmpfs = value;
}

static const struct compose_key mount_keys[] = {
    {"type", KEY_READ, read_type, NULL},
    {"source", KEY_READ, read_source, NULL},
    {"target", KEY_READ, read_target, NULL},
    {"read_only", KEY_READ, read_read_only, NULL},
    {"volume", KEY_READ, read_volume_options, NULL},
    {"bind", KEY_READ, read_bind_options, NULL},
    {"consistency", KEY_NOTED, NULL, NULL},
    {"tmpfs", KEY_READ, read_tmpfs_options, NULL},
    {"image", KEY_LATER, NULL, NULL},
};

/* What is said of another kind of mount than this one would be dropped. */
static bool is_of_its_type(struct reader *r, const struct mount_entry *e)
{
    const struct {
        const char *type;
        const struct yaml *at;
    } said[] = {{"bind", e->bind}, {"volume", e->volume}, {"tmpfs", e->tmpfs}};
    for (size_t i = 0; i < ARRAY_SIZE(said); i++)
        if (said[i].at && !str_equal(e->type, said[i].type)) {
            compose_error(r, said[i].at, "%s: is not for a mount of type %.64s", said[i].type,
                          str_or_empty(e->type));
            return false;
        }
    return true;
}

static void add_long(struct reader *r, struct compose_draft *draft, struct mount_entry *e)
{
    if (str_equal(e->type, "bind"))
        add_bind(r, draft, e);
    else if (str_equal(e->type, "volume"))
        add_volume(r, draft, e);
    else if (str_equal(e->type, "tmpfs") && e->source && *e->source)
        compose_error(r, e->at, "a tmpfs has no source");
    else if (str_equal(e->type, "tmpfs"))
        compose_add_tmpfs(r, draft, e->at, e->target, e->read_only, e->tmpfs);
}

static void read_long(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    struct mount_entry e = {.at = value};
    compose_section(r, value, mount_keys, ARRAY_SIZE(mount_keys), &e);
    if (!yaml_get(value, "type"))
        compose_error(r, value, "a mount needs a type: volume, bind or tmpfs");
    else if (!yaml_get(value, "target"))
        compose_error(r, value, "a mount needs a target:");
    else if (e.target && is_of_its_type(r, &e))
        add_long(r, draft, &e);
    entry_release(&e);
}

void compose_read_mounts(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a list of mounts"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        if (value->items[i]->kind == YAML_MAP)
            read_long(r, value->items[i], object);
        else
            read_short(r, value->items[i], object);
    }
}

/* --- the top level ------------------------------------------------------------------------- */

static void read_driver(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "local") != 0)
        compose_error(r, value, "driver '%.64s' is not supported yet; local is", text);
}

static struct deploy_volume *volume_of(void *object)
{
    return &((struct compose_volume *)object)->volume;
}

static void read_name(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &volume_of(object)->name);
}

static const struct compose_key external_keys[] = {
    {"name", KEY_READ, read_name, NULL},
};

static void read_external(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_volume *def = object;
    def->external = true;
    if (value->kind == YAML_MAP)
        compose_section(r, value, external_keys, ARRAY_SIZE(external_keys), object);
    else
        compose_read_bool(r, value, &def->external);
}

static void read_volume_labels(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_label_pairs(r, value, &volume_of(object)->labels, &volume_of(object)->labels_n);
}

/* Those of Docker's driver "local". */
static void read_driver_opts(struct reader *r, const struct yaml *value, void *object)
{
    struct deploy_volume *volume = volume_of(object);
    struct err err;
    if (!compose_is_map(r, value, "a mapping of options"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const char *key = value->pairs[i].key->text;
        int64_t bytes;
        char *text = str_equal(key, "size") ? NULL : compose_text(r, value->pairs[i].value);
        if (str_equal(key, "size") && compose_read_size(r, value->pairs[i].value, &bytes))
            text = str_printf("%" PRId64, bytes);
        if (!text)
            continue;
        volume->options = mem_resize(volume->options, volume->options_n + 1, sizeof(struct pair));
        volume->options[volume->options_n++] = (struct pair){.key = str_copy(key), .value = text};
    }
    if (volume_options_check(volume->options, volume->options_n, OPTIONS_OF_ANY_LEVEL, &err) < 0)
        compose_error(r, value, "%s", err.msg);
}

static const struct compose_key volume_keys[] = {
    {"driver", KEY_READ, read_driver, NULL},     {"driver_opts", KEY_READ, read_driver_opts, NULL},
    {"external", KEY_READ, read_external, NULL}, {"labels", KEY_READ, read_volume_labels, NULL},
    {"name", KEY_READ, read_name, NULL},
};

static void read_volume(struct reader *r, const struct yaml_pair *pair)
{
    r->volume_defs = mem_resize(r->volume_defs, r->volume_defs_n + 1, sizeof(*r->volume_defs));
    struct compose_volume *def = &r->volume_defs[r->volume_defs_n++];
    *def = (struct compose_volume){.key = str_copy(pair->key->text)};
    compose_section(r, pair->value, volume_keys, ARRAY_SIZE(volume_keys), def);
    if (def->external && !*str_or_empty(def->volume.name)) {
        free(def->volume.name);
        def->volume.name = str_copy(def->key);
    }
}

void compose_read_volumes(struct reader *r, const struct yaml *value)
{
    if (value->kind == YAML_NULL || !compose_is_map(r, value, "a mapping of volumes"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct yaml_pair *pair = &value->pairs[i];
        compose_check_name(r, pair->key, pair->key->text);
        size_t before = compose_enter(r, pair->key->text);
        read_volume(r, pair);
        compose_leave(r, before);
    }
}
