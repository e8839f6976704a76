/* SPDX-License-Identifier: Apache-2.0 */
/* Generic resources that a service reserves: deploy.resources.reservations.generic_resources. */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void read_kind(struct reader *r, const struct yaml *value, void *object)
{
    struct resource *resource = object;
    free(resource->name);
    resource->name = compose_text(r, value);
    if (resource->name && !node_name_is_valid(resource->name))
        compose_error(r, value, "'%.64s' is no name of a resource", resource->name);
}

static void read_value(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 1, RESOURCE_COUNT_MAX, &((struct resource *)object)->count);
}

static const struct compose_key discrete_keys[] = {
    {"kind", KEY_READ, read_kind, NULL},
    {"value", KEY_READ, read_value, NULL},
};

static void read_discrete(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, discrete_keys, ARRAY_SIZE(discrete_keys), object);
}

static const struct compose_key generic_keys[] = {
    {"discrete_resource_spec", KEY_READ, read_discrete, NULL},
};

/* Kept in the order of their names. */
static void add_resource(struct reader *r, const struct yaml *at, struct spec *spec,
                         struct resource *resource)
{
    size_t place = 0;
    if (!resource->name || resource->count == 0) {
        compose_error(r, at, "needs a discrete_resource_spec with kind and value");
        free(resource->name);
        return;
    }
    while (place < spec->resources_n && strcmp(spec->resources[place].name, resource->name) < 0)
        place++;
    if (place < spec->resources_n && strcmp(spec->resources[place].name, resource->name) == 0) {
        compose_error(r, at, "'%.64s' is reserved twice", resource->name);
        free(resource->name);
        return;
    }
    spec->resources = mem_resize(spec->resources, spec->resources_n + 1, sizeof(*spec->resources));
    memmove(&spec->resources[place + 1], &spec->resources[place],
            (spec->resources_n - place) * sizeof(*spec->resources));
    spec->resources[place] = *resource;
    spec->resources_n++;
}

void compose_read_generic(struct reader *r, const struct yaml *value, struct spec *spec)
{
    if (!compose_is_list(r, value, "a list of resources"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        struct resource resource = {0};
        compose_section(r, value->items[i], generic_keys, ARRAY_SIZE(generic_keys), &resource);
        if (spec->resources_n < RESOURCES_MAX) {
            add_resource(r, value->items[i], spec, &resource);
            continue;
        }
        compose_error(r, value->items[i], "more than %d kinds of resources", RESOURCES_MAX);
        free(resource.name);
        return;
    }
}
