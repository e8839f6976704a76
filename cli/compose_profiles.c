/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles (Compose specification, "profiles"): a service that names some is there only when one of
 * them is active. What is not there is not read: its ports and volumes ask for nothing.
 */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    PROFILES_MAX = 64, /* of a service */
};

/* [a-zA-Z0-9][a-zA-Z0-9_.-]*, as the specification has it. */
static bool is_name(const char *text)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(text);
    return len > 0 && len <= 64 && !strchr("_.-", text[0]) && strspn(text, inner) == len;
}

/* True when @name is one of those, separated by commas, in @list, or that list has "*". */
static bool is_in(const char *list, const char *name)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        if ((len == 1 && *list == '*') || (strlen(name) == len && strncmp(list, name, len) == 0))
            return true;
        list += len + (list[len] == ',');
    }
    return false;
}

static bool is_active(struct reader *r, const char *name)
{
    const struct compose_options *options = r->options;
    struct compose_scope scope = compose_scope(r);
    if (options->profiles_n == 0) {
        const char *variable = scope.get(scope.data, "COMPOSE_PROFILES");
        return variable && is_in(variable, name);
    }
    for (size_t i = 0; i < options->profiles_n; i++)
        if (is_in(options->profiles[i], name))
            return true;
    return false;
}

bool compose_profile_is_active(struct reader *r, const struct yaml *service)
{
    const struct yaml *profiles = service->kind == YAML_MAP ? yaml_get(service, "profiles") : NULL;
    if (!profiles || profiles->kind == YAML_NULL)
        return true;
    size_t before = compose_enter(r, "profiles");
    bool active = false;
    if (!compose_is_list(r, profiles, "a list of profiles")) {
        active = true;
    } else if (profiles->n > PROFILES_MAX) {
        compose_error(r, profiles, "more than %d profiles", PROFILES_MAX);
    } else {
        active = profiles->n == 0;
        for (size_t i = 0; i < profiles->n; i++) {
            cleanup_free char *name = compose_text(r, profiles->items[i]);
            if (name && !is_name(name))
                compose_error(r, profiles->items[i],
                              "'%.64s' is no name of a profile: letters, digits, '_', '.', '-'",
                              name);
            active |= !name || !is_name(name) || is_active(r, name);
        }
    }
    compose_leave(r, before);
    return active;
}
