/* SPDX-License-Identifier: Apache-2.0 */
/* What program is process 1 of a container, where its bits come from, what runs it. */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct spec *spec_of(void *object)
{
    return &((struct compose_draft *)object)->service->spec;
}

void compose_read_init(struct reader *r, const struct yaml *value, void *object)
{
    bool yes;
    if (compose_read_bool(r, value, &yes))
        compose_options_of(object)->init = yes ? INIT_YES : INIT_NO;
}

void compose_read_stdin_open(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &compose_options_of(object)->stdin_open);
}

void compose_read_tty(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &compose_options_of(object)->tty);
}

void compose_read_group_add(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    compose_read_forms(r, value, false, OPTION_GROUP, OPTIONS_GROUPS_MAX, &o->group_add,
                       &o->group_add_n);
}

void compose_read_runtime(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_form(r, value, OPTION_RUNTIME, &compose_options_of(object)->runtime);
}

/* --- the image ----------------------------------------------------------------------------- */

/* The names by which the kernel calls some architectures, as containerd reads them too. */
static const char *const architectures[][2] = {
    {"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"},
    {"armhf", "arm"},    {"i386", "386"},     {"i686", "386"},
};

void compose_read_platform(struct reader *r, const struct yaml *value, void *object)
{
    char **platform = &spec_of(object)->platform;
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    char *slash = strchr(text, '/');
    if (slash && strncmp(text, "linux/", strlen("linux/")) != 0) {
        compose_error(r, value, "'%.64s': the nodes run Linux: linux/ARCHITECTURE", text);
        return;
    }
    for (size_t i = 0; slash && i < ARRAY_SIZE(architectures); i++)
        if (strcmp(slash + 1, architectures[i][0]) == 0) {
            char *known = str_printf("linux/%s", architectures[i][1]);
            free(text);
            text = known;
            break;
        }
    if (!option_ok(OPTION_PLATFORM, text)) {
        compose_error(r, value, "'%.64s' must be %s", text, option_meant(OPTION_PLATFORM));
        return;
    }
    free(*platform);
    *platform = steal(&text);
}

void compose_read_pull_policy(struct reader *r, const struct yaml *value, void *object)
{
    enum pull_policy *policy = &spec_of(object)->pull_policy;
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    if (strcmp(text, "missing") == 0 || strcmp(text, "if_not_present") == 0)
        *policy = PULL_MISSING;
    else if (strcmp(text, "always") == 0)
        *policy = PULL_ALWAYS;
    else if (strcmp(text, "never") == 0)
        *policy = PULL_NEVER;
    else if (strcmp(text, "build") == 0)
        compose_error(r, value, "images are not built here; missing, always and never are known");
    else if (strcmp(text, "daily") == 0 || strcmp(text, "weekly") == 0 ||
             strcmp(text, "refresh") == 0 || str_starts(text, "every_"))
        compose_error(r, value,
                      "'%.64s': a task runs what its image was when the service was deployed; use "
                      "always, and deploy when you want a newer one",
                      text);
    else
        compose_error(r, value, "'%.64s' must be missing (or if_not_present), always or never",
                      text);
}

/* --- annotations, storage ------------------------------------------------------------------ */

void compose_read_annotations(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    struct compose_env pairs = {0};
    compose_read_pairs(r, value, &pairs);
    compose_env_settle(&pairs);
    for (size_t i = 0; i < pairs.n; i++)
        if (!option_ok(OPTION_ANNOTATION, pairs.pairs[i].key))
            compose_error(r, value, "'%.64s' must be %s", pairs.pairs[i].key,
                          option_meant(OPTION_ANNOTATION));
    if (pairs.n > OPTIONS_ANNOTATIONS_MAX)
        compose_error(r, value, "more than %d", OPTIONS_ANNOTATIONS_MAX);
    o->annotations = pairs.pairs;
    o->annotations_n = pairs.n;
}

static void read_storage_size(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_size(r, value, &compose_options_of(object)->storage_bytes);
}

static const struct compose_key storage_keys[] = {
    {"size", KEY_READ, read_storage_size, NULL},
};

void compose_read_storage_opt(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, storage_keys, ARRAY_SIZE(storage_keys), object);
}
