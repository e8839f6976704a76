/* SPDX-License-Identifier: Apache-2.0 */
/* File systems in memory: tmpfs:, and mounts of type tmpfs. */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Permission bits as chmod(1) takes them: "1777", "0700", "0o700". */
static bool octal(const char *text, int64_t *ret)
{
    int64_t mode = 0;
    text += str_starts(text, "0o") ? 2 : 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "01234567") != len)
        return false;
    for (; *text; text++)
        mode = mode * 8 + (*text - '0');
    if (mode > 07777)
        return false;
    *ret = mode;
    return true;
}

static bool take_size(struct reader *r, const struct yaml *at, const char *text, int64_t *ret)
{
    if (strchr(text, '%'))
        compose_error(r, at,
                      "a share of the memory, '%.64s', is another size on each node; give "
                      "one such as 64m",
                      text);
    else if (!compose_size(text, ret))
        compose_error(r, at, "'%.64s' must be a size such as 64m", text);
    else
        return true;
    return false;
}

static bool take_mode(struct reader *r, const struct yaml *at, const char *text, int64_t *ret)
{
    if (octal(text, ret) && *ret != 0)
        return true;
    compose_error(r, at, "'%.64s' must be permission bits in octal, such as 1777 or 0700", text);
    return false;
}

void compose_read_mode(struct reader *r, const struct yaml *value, int64_t *ret)
{
    cleanup_free char *text = compose_text(r, value);
    if (text)
        take_mode(r, value, text, ret);
}

/* Takes what @t owns. */
static void add(struct reader *r, struct compose_draft *draft, const struct yaml *at,
                struct tmpfs_spec *t)
{
    struct container_options *o = &draft->service->spec.options;
    for (size_t len = strlen(t->target); len > 1 && t->target[len - 1] == '/'; len--)
        t->target[len - 1] = '\0';
    if (!option_ok(OPTION_PATH, t->target) || t->target[1] == '\0')
        compose_error(r, at, "the place in the container, '%.100s', must be %s, below /", t->target,
                      option_meant(OPTION_PATH));
    for (size_t i = 0; i < o->tmpfs_n; i++)
        if (strcmp(o->tmpfs[i].target, t->target) == 0)
            compose_error(r, at, "'%.100s' is mounted twice", t->target);
    if (!compose_has_room(r, at, o->tmpfs_n, OPTIONS_TMPFS_MAX)) {
        free(t->target);
        for (size_t i = 0; i < t->options_n; i++)
            free(t->options[i]);
        free(t->options);
        return;
    }
    o->tmpfs = mem_resize(o->tmpfs, o->tmpfs_n + 1, sizeof(*o->tmpfs));
    o->tmpfs[o->tmpfs_n++] = *t;
}

/* --- short: TARGET[:OPTION,…] -------------------------------------------------------------- */

static void take_option(struct reader *r, const struct yaml *at, const char *option,
                        struct tmpfs_spec *t)
{
    if (str_starts(option, "size="))
        take_size(r, at, option + strlen("size="), &t->size_bytes);
    else if (str_starts(option, "mode="))
        take_mode(r, at, option + strlen("mode="), &t->mode);
    else if (!option_ok(OPTION_TMPFS, option))
        compose_error(r, at, "'%.64s' must be %s", option, option_meant(OPTION_TMPFS));
    else if (compose_has_room(r, at, t->options_n, OPTIONS_TMPFS_OPTIONS_MAX))
        compose_strings_add(&t->options, &t->options_n, str_copy(option));
}

static void read_short(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    struct tmpfs_spec t = {0};
    char *options = strchr(text, ':');
    if (options)
        *options++ = '\0';
    for (char *rest = options, *one; rest && (one = strsep(&rest, ","));)
        take_option(r, value, one, &t);
    t.target = str_copy(text);
    add(r, draft, value, &t);
}

void compose_read_tmpfs(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_SCALAR) {
        read_short(r, value, object);
        return;
    }
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a path or a list of paths"))
        return;
    for (size_t i = 0; i < value->n; i++)
        read_short(r, value->items[i], object);
}

/* --- long ---------------------------------------------------------------------------------- */

static void read_size(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (text)
        take_size(r, value, text, &((struct tmpfs_spec *)object)->size_bytes);
}

static void read_mode(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (text)
        take_mode(r, value, text, &((struct tmpfs_spec *)object)->mode);
}

static const struct compose_key details_keys[] = {
    {"size", KEY_READ, read_size, NULL},
    {"mode", KEY_READ, read_mode, NULL},
};

void compose_add_tmpfs(struct reader *r, struct compose_draft *draft, const struct yaml *at,
                       const char *target, bool read_only, const struct yaml *details)
{
    struct tmpfs_spec t = {.target = str_copy(target)};
    if (details) {
        size_t before = compose_enter(r, "tmpfs");
        compose_section(r, details, details_keys, ARRAY_SIZE(details_keys), &t);
        compose_leave(r, before);
    }
    if (read_only)
        compose_strings_add(&t.options, &t.options_n, str_copy("ro"));
    add(r, draft, at, &t);
}
