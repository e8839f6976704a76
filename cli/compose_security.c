/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's processes may do. */
#include "cli/compose_container.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- capabilities -------------------------------------------------------------------------- */

/* "cap_net_admin", "CAP_NET_ADMIN" and "net_admin" are all kept as "NET_ADMIN". */
static void read_capabilities(struct reader *r, const struct yaml *value, char ***list, size_t *n)
{
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a list of capabilities"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct yaml *node = value->items[i];
        cleanup_free char *text = compose_text(r, node);
        if (!text || !compose_has_room(r, node, *n, OPTIONS_CAPABILITIES_MAX))
            return;
        for (char *c = text; *c; c++)
            if (*c >= 'a' && *c <= 'z')
                *c = (char)(*c - 'a' + 'A');
        const char *name = str_starts(text, "CAP_") ? text + strlen("CAP_") : text;
        if (!option_ok(OPTION_CAPABILITY, name))
            compose_error(r, node, "'%.64s' must be %s", text, option_meant(OPTION_CAPABILITY));
        else
            compose_strings_add(list, n, str_copy(name));
    }
}

void compose_read_cap_add(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    read_capabilities(r, value, &o->cap_add, &o->cap_add_n);
}

void compose_read_cap_drop(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    read_capabilities(r, value, &o->cap_drop, &o->cap_drop_n);
}

void compose_read_privileged(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &compose_options_of(object)->privileged);
}

/* --- security_opt -------------------------------------------------------------------------- */

/* A profile in Docker's format, made compact: the nodes have no file of this machine. */
static char *profile_of(struct reader *r, const struct yaml *at, const char *text, size_t len)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        compose_error(r, at, "the seccomp profile is no JSON: line %d: %s", error.line, error.text);
        return NULL;
    }
    char *compact = NULL;
    if (!json_is_object(root) || !json_is_string(json_object_get(root, "defaultAction")))
        compose_error(r, at, "a seccomp profile is a JSON object with a defaultAction");
    else
        compact = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return compact;
}

static void read_profile(struct reader *r, const struct yaml *at, const char *name, char **ret)
{
    cleanup_free char *path =
        name[0] == '/' ? str_copy(name) : str_printf("%s/%s", r->directory, name);
    cleanup_buf struct buf text = BUF_INIT;
    struct stat st;
    struct err err;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        compose_error(r, at, "'%.100s' is no regular file", name);
        return;
    }
    if (file_read(path, OPTIONS_SECCOMP_BYTES_MAX, &text, &err) < 0) {
        compose_error(r, at, "the seccomp profile: %s", err.msg);
        return;
    }
    if (text.len >= r->text_left) {
        r->text_left = 0;
        compose_error(r, at, "all texts together are longer than %d MiB", COMPOSE_TEXTS_MAX >> 20);
        return;
    }
    r->text_left -= text.len;
    char *profile = profile_of(r, at, str_or_empty(text.data), text.len);
    if (!profile)
        return;
    free(*ret);
    *ret = profile;
}

static void read_seccomp(struct reader *r, const struct yaml *at, const char *value,
                         struct container_options *o)
{
    if (strcmp(value, "unconfined") == 0 || strcmp(value, "builtin") == 0) {
        free(o->seccomp);
        o->seccomp = str_copy(*value == 'u' ? "unconfined" : "");
    } else if (*value) {
        read_profile(r, at, value, &o->seccomp);
    } else {
        compose_error(r, at, "seccomp takes a profile's file, unconfined or builtin");
    }
}

static void read_apparmor(struct reader *r, const struct yaml *at, const char *value,
                          struct container_options *o)
{
    if (!option_ok(OPTION_PROFILE, value)) {
        compose_error(r, at, "apparmor takes %s", option_meant(OPTION_PROFILE));
        return;
    }
    free(o->apparmor);
    o->apparmor = str_copy(strcmp(value, "unconfined") == 0 ? "" : value);
}

static void read_no_new_privileges(struct reader *r, const struct yaml *at, const char *value,
                                   struct container_options *o)
{
    if (!value || strcmp(value, "true") == 0)
        o->no_new_privileges = true;
    else if (strcmp(value, "false") == 0)
        o->no_new_privileges = false;
    else
        compose_error(r, at, "no-new-privileges is true or false");
}

/* NAME, NAME=VALUE or NAME:VALUE. */
static void read_security(struct reader *r, const struct yaml *at, struct container_options *o)
{
    cleanup_free char *text = compose_text(r, at);
    if (!text)
        return;
    char *value = strpbrk(text, "=:");
    if (value)
        *value++ = '\0';
    if (strcmp(text, "no-new-privileges") == 0)
        read_no_new_privileges(r, at, value, o);
    else if (strcmp(text, "seccomp") == 0)
        read_seccomp(r, at, str_or_empty(value), o);
    else if (strcmp(text, "apparmor") == 0)
        read_apparmor(r, at, str_or_empty(value), o);
    else if (strcmp(text, "label") == 0 && !str_equal(value, "disable"))
        compose_error(r, at, "label: the nodes use no SELinux labels; label=disable is accepted");
    else if (strcmp(text, "label") != 0)
        compose_error(r, at,
                      "'%.64s' is not supported yet; no-new-privileges, seccomp and apparmor are",
                      text);
}

void compose_read_security_opt(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a list"))
        return;
    for (size_t i = 0; i < value->n; i++)
        read_security(r, value->items[i], compose_options_of(object));
}

/* --- sysctls ------------------------------------------------------------------------------- */

void compose_read_sysctls(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    struct compose_env pairs = {0};
    compose_read_pairs(r, value, &pairs);
    compose_env_settle(&pairs);
    for (size_t i = 0; i < pairs.n; i++) {
        const char *key = pairs.pairs[i].key, *text = str_or_empty(pairs.pairs[i].value);
        if (!option_ok(OPTION_SYSCTL, key))
            compose_error(r, value, "'%.64s' must be %s", key, option_meant(OPTION_SYSCTL));
        else if (!option_ok(OPTION_SYSCTL_VALUE, text))
            compose_error(r, value, "'%.64s' takes %s", key, option_meant(OPTION_SYSCTL_VALUE));
    }
    if (pairs.n > OPTIONS_SYSCTLS_MAX)
        compose_error(r, value, "more than %d", OPTIONS_SYSCTLS_MAX);
    o->sysctls = pairs.pairs;
    o->sysctls_n = pairs.n;
}
