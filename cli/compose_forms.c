/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct container_options *compose_options_of(void *object)
{
    return &((struct compose_draft *)object)->service->spec.options;
}

char *compose_form_text(struct reader *r, const struct yaml *node, enum option_form form)
{
    char *text = compose_text(r, node);
    if (!text || option_ok(form, text))
        return text;
    compose_error(r, node, "'%.64s' must be %s", text, option_meant(form));
    free(text);
    return NULL;
}

void compose_read_form(struct reader *r, const struct yaml *node, enum option_form form, char **ret)
{
    if (node->kind == YAML_NULL)
        return;
    char *text = compose_form_text(r, node, form);
    if (!text)
        return;
    free(*ret);
    *ret = text;
}

bool compose_has_room(struct reader *r, const struct yaml *at, size_t n, size_t max)
{
    if (n < max)
        return true;
    compose_error(r, at, "more than %zu", max);
    return false;
}

static void read_one(struct reader *r, const struct yaml *node, enum option_form form, char ***list,
                     size_t *n)
{
    cleanup_free char *text = compose_form_text(r, node, form);
    if (!text)
        return;
    for (size_t i = 0; i < *n; i++)
        if (strcmp((*list)[i], text) == 0) {
            compose_error(r, node, "'%.64s' is there twice", text);
            return;
        }
    compose_strings_add(list, n, steal(&text));
}

void compose_read_forms(struct reader *r, const struct yaml *node, bool single,
                        enum option_form form, size_t max, char ***list, size_t *n)
{
    if (node->kind == YAML_NULL)
        return;
    if (single && node->kind == YAML_SCALAR) {
        read_one(r, node, form, list, n);
        return;
    }
    if (!compose_is_list(r, node, single ? "text or a list" : "a list"))
        return;
    for (size_t i = 0; i < node->n && compose_has_room(r, node->items[i], *n, max); i++)
        read_one(r, node->items[i], form, list, n);
}
