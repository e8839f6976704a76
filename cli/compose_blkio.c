/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and weights of a container's block devices, which are its node's. */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>

static void read_weight(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, OPTIONS_IO_WEIGHT_MIN, OPTIONS_IO_WEIGHT_MAX,
                        &compose_options_of(object)->blkio.weight);
}

/* --- lists --------------------------------------------------------------------------------- */

static void read_path(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_form(r, value, OPTION_PATH, &((struct io_spec *)object)->path);
}

static void read_bytes(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_size(r, value, &((struct io_spec *)object)->value);
}

static void read_operations(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 1, INT32_MAX, &((struct io_spec *)object)->value);
}

static void read_device_weight(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, OPTIONS_IO_WEIGHT_MIN, OPTIONS_IO_WEIGHT_MAX,
                        &((struct io_spec *)object)->value);
}

static const struct compose_key bytes_keys[] = {
    {"path", KEY_READ, read_path, NULL},
    {"rate", KEY_READ, read_bytes, NULL},
};

static const struct compose_key operations_keys[] = {
    {"path", KEY_READ, read_path, NULL},
    {"rate", KEY_READ, read_operations, NULL},
};

static const struct compose_key weight_keys[] = {
    {"path", KEY_READ, read_path, NULL},
    {"weight", KEY_READ, read_device_weight, NULL},
};

/* @keys are two: the path, and what it has. */
static void read_list(struct reader *r, const struct yaml *value, const struct compose_key keys[2],
                      struct io_spec **list, size_t *n)
{
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a list of devices"))
        return;
    for (size_t i = 0; i < value->n && compose_has_room(r, value, *n, OPTIONS_IO_MAX); i++) {
        struct io_spec io = {0};
        size_t errors = r->errs->n;
        if (!compose_is_map(r, value->items[i], "a mapping"))
            continue;
        compose_section(r, value->items[i], keys, 2, &io);
        if (r->errs->n == errors && (!io.path || io.value <= 0))
            compose_error(r, value->items[i], "a device needs path: and %s: (more than 0)",
                          keys[1].name);
        *list = mem_resize(*list, *n + 1, sizeof(**list));
        (*list)[(*n)++] = io;
    }
}

static void read_weights(struct reader *r, const struct yaml *value, void *object)
{
    struct blkio_spec *b = &compose_options_of(object)->blkio;
    read_list(r, value, weight_keys, &b->weights, &b->weights_n);
}

static void read_read_bps(struct reader *r, const struct yaml *value, void *object)
{
    struct blkio_spec *b = &compose_options_of(object)->blkio;
    read_list(r, value, bytes_keys, &b->read_bps, &b->read_bps_n);
}

static void read_write_bps(struct reader *r, const struct yaml *value, void *object)
{
    struct blkio_spec *b = &compose_options_of(object)->blkio;
    read_list(r, value, bytes_keys, &b->write_bps, &b->write_bps_n);
}

static void read_read_iops(struct reader *r, const struct yaml *value, void *object)
{
    struct blkio_spec *b = &compose_options_of(object)->blkio;
    read_list(r, value, operations_keys, &b->read_iops, &b->read_iops_n);
}

static void read_write_iops(struct reader *r, const struct yaml *value, void *object)
{
    struct blkio_spec *b = &compose_options_of(object)->blkio;
    read_list(r, value, operations_keys, &b->write_iops, &b->write_iops_n);
}

static const struct compose_key blkio_keys[] = {
    {"weight", KEY_READ, read_weight, NULL},
    {"weight_device", KEY_READ, read_weights, NULL},
    {"device_read_bps", KEY_READ, read_read_bps, NULL},
    {"device_write_bps", KEY_READ, read_write_bps, NULL},
    {"device_read_iops", KEY_READ, read_read_iops, NULL},
    {"device_write_iops", KEY_READ, read_write_iops, NULL},
};

void compose_read_blkio_config(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, blkio_keys, ARRAY_SIZE(blkio_keys), object);
}
