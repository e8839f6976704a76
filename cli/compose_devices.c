/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of the node that a container may use. */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void device_release(struct device_spec *d)
{
    free(d->source);
    free(d->target);
    free(d->access);
}

/* Takes what @d owns. */
static void add_device(struct reader *r, const struct yaml *at, struct container_options *o,
                       struct device_spec *d)
{
    bool ok = true;
    if (!option_ok(OPTION_PATH, str_or_empty(d->source))) {
        const char *source = str_or_empty(d->source);
        bool cdi = strchr(source, '=') && source[0] != '/';
        compose_error(r, at,
                      cdi ? "'%.64s': CDI devices are not supported yet; name %s"
                          : "'%.64s' must be %s",
                      source, option_meant(OPTION_PATH));
        ok = false;
    }
    if (d->target && *d->target && !option_ok(OPTION_PATH, d->target)) {
        compose_error(r, at, "'%.64s' must be %s", d->target, option_meant(OPTION_PATH));
        ok = false;
    }
    if (!option_ok(OPTION_ACCESS, str_or_empty(d->access))) {
        compose_error(r, at, "'%.64s' must be %s", d->access, option_meant(OPTION_ACCESS));
        ok = false;
    }
    if (!ok || !compose_has_room(r, at, o->devices_n, OPTIONS_DEVICES_MAX)) {
        device_release(d);
        return;
    }
    o->devices = mem_resize(o->devices, o->devices_n + 1, sizeof(*o->devices));
    o->devices[o->devices_n++] = *d;
}

/* SOURCE[:TARGET][:ACCESS] */
static void read_short(struct reader *r, const struct yaml *value, struct container_options *o)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    struct device_spec d = {0};
    char *second = strchr(text, ':');
    if (second)
        *second++ = '\0';
    char *third = second ? strchr(second, ':') : NULL;
    if (third)
        *third++ = '\0';
    d.source = str_copy(text);
    if (second && !third && *second != '/')
        third = second, second = NULL;
    if (second)
        d.target = str_copy(second);
    if (third)
        d.access = str_copy(third);
    add_device(r, value, o, &d);
}

static void read_source(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &((struct device_spec *)object)->source);
}

static void read_target(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &((struct device_spec *)object)->target);
}

static void read_permissions(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_text(r, value, &((struct device_spec *)object)->access);
}

static const struct compose_key device_keys[] = {
    {"source", KEY_READ, read_source, NULL},
    {"target", KEY_READ, read_target, NULL},
    {"permissions", KEY_READ, read_permissions, NULL},
};

void compose_read_devices(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a list of devices"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        struct device_spec d = {0};
        if (value->items[i]->kind != YAML_MAP) {
            read_short(r, value->items[i], o);
            continue;
        }
        compose_section(r, value->items[i], device_keys, ARRAY_SIZE(device_keys), &d);
        add_device(r, value->items[i], o, &d);
    }
}

void compose_read_device_rules(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    compose_read_forms(r, value, false, OPTION_DEVICE_RULE, OPTIONS_DEVICES_MAX, &o->device_rules,
                       &o->device_rules_n);
}
