/* SPDX-License-Identifier: Apache-2.0 */
/* Which of its node's namespaces a container shares, and its name in its own. */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What a key may say, and why not what it may not. */
struct mode {
    const char *text;
    const char *meant; /* kept in the spec; NULL: refused because of @why */
    const char *why;
};

/* @modes ends with one whose text is NULL: its why is for all other texts. */
static void read_mode(struct reader *r, const struct yaml *value, const struct mode *modes,
                      char **ret)
{
    if (value->kind == YAML_NULL)
        return;
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    const struct mode *mode = modes;
    while (mode->text && strcmp(mode->text, text) != 0)
        mode++;
    if (mode->meant) {
        free(*ret);
        *ret = str_copy(mode->meant);
    } else if (str_starts(text, "service:") || str_starts(text, "container:")) {
        compose_error(r, value,
                      "'%.64s': tasks do not share a namespace with others, which may be on "
                      "another node",
                      text);
    } else {
        compose_error(r, value, "'%.64s' %s", text, mode->why);
    }
}

void compose_read_pid(struct reader *r, const struct yaml *value, void *object)
{
    static const struct mode modes[] = {{"host", "host", NULL}, {NULL, NULL, "must be host"}};
    read_mode(r, value, modes, &compose_options_of(object)->pid);
}

void compose_read_ipc(struct reader *r, const struct yaml *value, void *object)
{
    static const struct mode modes[] = {
        {"host", "host", NULL},
        {"private", "private", NULL},
        {"shareable", "private", NULL}, /* nobody can ask to share it */
        {"none", NULL, "is not supported yet; private and host are"},
        {NULL, NULL, "must be private, shareable or host"},
    };
    read_mode(r, value, modes, &compose_options_of(object)->ipc);
}

void compose_read_uts(struct reader *r, const struct yaml *value, void *object)
{
    static const struct mode modes[] = {{"host", "host", NULL}, {NULL, NULL, "must be host"}};
    read_mode(r, value, modes, &compose_options_of(object)->uts);
}

void compose_read_userns_mode(struct reader *r, const struct yaml *value, void *object)
{
    static const struct mode modes[] = {
        {"host", "host", NULL},
        {"auto", "auto", NULL},
        {NULL, NULL, "must be host, or auto for a range of ids of the container's own"},
    };
    read_mode(r, value, modes, &compose_options_of(object)->userns);
}

void compose_read_cgroup(struct reader *r, const struct yaml *value, void *object)
{
    static const struct mode modes[] = {
        {"host", "host", NULL},
        {"private", "private", NULL},
        {NULL, NULL, "must be host or private"},
    };
    read_mode(r, value, modes, &compose_options_of(object)->cgroup);
}

void compose_read_domainname(struct reader *r, const struct yaml *value, void *object)
{
    char **name = &compose_options_of(object)->domainname;
    compose_read_form(r, value, OPTION_DOMAIN, name);
    if (*name && strlen(*name) > 63)
        compose_error(r, value, "'%.64s' is longer than 63 bytes, which is all Linux keeps", *name);
}

void compose_read_isolation(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "default") != 0)
        compose_error(r, value, "'%.64s' is for Windows; Linux has default", text);
}
