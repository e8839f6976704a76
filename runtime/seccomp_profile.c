/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/capability.h"
#include "runtime/fields.h"
#include "runtime/seccomp.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORDS_MAX = 64, /* of a list of architectures, capabilities, flags */
    NAME_MAX_BYTES = 64,
    ERRNO_MAX = 4095,
};

static const char *const actions[] = {
    "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE",        "SCMP_ACT_ALLOW",       "SCMP_ACT_LOG"};
static const char *const ops[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",       "SCMP_CMP_EQ",
                                  "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};
static const char *const known_flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                          "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};

/* A profile being read. */
struct reader {
    struct seccomp_profile *profile;
    struct owned owned;
    size_t names_n;
    char place[96]; /* what is read now, for errors */
    struct err *err;
};

static void *own(struct reader *r, void *part)
{
    r->owned.parts = mem_resize(r->owned.parts, r->owned.n + 1, sizeof(void *));
    r->owned.parts[r->owned.n++] = part;
    return part;
}

static int refuse(struct reader *r, const char *key, const char *why)
{
    return err_set(r->err, ERR_INVALID, "seccomp: %s%s%s: %s", r->place, *r->place ? "." : "", key,
                   why);
}

/* @word's twin in @known, NULL when it is not there. */
static const char *find_word(const char *const *known, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(known[i], word) == 0)
            return known[i];
    }
    return NULL;
}

/* A missing or null key is *@ret_text NULL. */
static int get_text(struct reader *r, json_t *json, const char *key, const char **ret_text)
{
    json_t *value = json_object_get(json, key);
    *ret_text = NULL;
    if (value && !json_is_null(value) && !json_is_string(value))
        return refuse(r, key, "is no text");
    *ret_text = json_string_value(value);
    return 0;
}

/* A missing or null key leaves *@ret alone. */
static int get_number(struct reader *r, json_t *json, const char *key, json_int_t most,
                      json_int_t *ret)
{
    json_t *value = json_object_get(json, key);
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most)
        return refuse(r, key, "is no number, or out of range");
    *ret = json_integer_value(value);
    return 0;
}

/* A list of texts, NULL when it is missing, null or empty. */
static int get_list(struct reader *r, json_t *json, const char *key, size_t most,
                    const char *const **ret_list)
{
    json_t *value = json_object_get(json, key);
    *ret_list = NULL;
    if (!value || json_is_null(value))
        return 0;
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > most)
        return refuse(r, key, "is no list, or too long");
    if (n == 0)
        return 0;
    const char **list = own(r, mem_alloc(n + 1, sizeof(*list)));
    for (size_t i = 0; i < n; i++) {
        list[i] = json_string_value(json_array_get(value, i));
        if (!list[i] || !*list[i] || strlen(list[i]) > NAME_MAX_BYTES)
            return refuse(r, key, "has an entry that is no name");
    }
    *ret_list = list;
    return 0;
}

static int get_capabilities(struct reader *r, json_t *json, uint64_t *ret_set)
{
    const char *const *list;
    int rv = get_list(r, json, "caps", WORDS_MAX, &list);
    for (; rv == 0 && list && *list; list++) {
        int number = capability_number(*list);
        if (number < 0)
            return refuse(r, "caps", "names a capability that there is not");
        *ret_set |= UINT64_C(1) << number;
    }
    return rv;
}

/* "4.8" */
static int get_kernel(struct reader *r, json_t *json, unsigned *ret_kernel)
{
    const char *text;
    unsigned first, second;
    char rest;
    int rv = get_text(r, json, "minKernel", &text);
    if (rv < 0 || !text || !*text)
        return rv;
    if (strspn(text, "0123456789.") != strlen(text) || strlen(text) > 9 ||
        sscanf(text, "%u.%u%c", &first, &second, &rest) != 2 || first > 0x7fff || second > 0xffff)
        return refuse(r, "minKernel", "is not like \"4.8\"");
    *ret_kernel = first << 16 | second;
    return 0;
}

/* "includes" or "excludes". */
static int get_filter(struct reader *r, json_t *call, const char *key, uint64_t *ret_caps,
                      unsigned *ret_kernel, const char *const **ret_arches)
{
    json_t *filter = json_object_get(call, key);
    if (!filter || json_is_null(filter))
        return 0;
    if (!json_is_object(filter))
        return refuse(r, key, "is no object");
    size_t len = strlen(r->place);
    snprintf(r->place + len, sizeof(r->place) - len, ".%s", key);
    int rv;
    if ((rv = get_capabilities(r, filter, ret_caps)) < 0 ||
        (rv = get_kernel(r, filter, ret_kernel)) < 0 ||
        (rv = get_list(r, filter, "arches", WORDS_MAX, ret_arches)) < 0)
        return rv;
    r->place[len] = '\0';
    return 0;
}

static int get_arg(struct reader *r, json_t *json, struct seccomp_arg *arg)
{
    const char *op = NULL;
    json_int_t index = -1, value = 0, value_two = 0;
    int rv;
    if ((rv = get_number(r, json, "index", SECCOMP_ARGS_MAX - 1, &index)) < 0 ||
        (rv = get_number(r, json, "value", INT64_MAX, &value)) < 0 ||
        (rv = get_number(r, json, "valueTwo", INT64_MAX, &value_two)) < 0 ||
        (rv = get_text(r, json, "op", &op)) < 0)
        return rv;
    arg->op = op ? find_word(ops, ARRAY_SIZE(ops), op) : NULL;
    if (!arg->op)
        return refuse(r, "op", "is no comparison");
    if (index < 0)
        return refuse(r, "index", "is missing");
    arg->index = (unsigned)index;
    arg->value = (uint64_t)value;
    arg->value_two = (uint64_t)value_two;
    return 0;
}

static int get_args(struct reader *r, json_t *call, struct seccomp_rule *rule)
{
    json_t *args = json_object_get(call, "args");
    if (!args || json_is_null(args))
        return 0;
    if (!json_is_array(args) || json_array_size(args) > SECCOMP_ARGS_MAX)
        return refuse(r, "args", "is no list, or longer than 6");
    size_t len = strlen(r->place);
    for (size_t i = 0; i < json_array_size(args); i++) {
        snprintf(r->place + len, sizeof(r->place) - len, ".args[%zu]", i);
        int rv = get_arg(r, json_array_get(args, i), &rule->args[i]);
        if (rv < 0)
            return rv;
    }
    r->place[len] = '\0';
    rule->args_n = json_array_size(args);
    return 0;
}

static int get_action(struct reader *r, json_t *json, const char *key, const char **ret_action)
{
    const char *action;
    int rv = get_text(r, json, key, &action);
    if (rv < 0)
        return rv;
    if (!action)
        return refuse(r, key, "is missing");
    if (strcmp(action, "SCMP_ACT_NOTIFY") == 0)
        return err_set(r->err, ERR_UNSUPPORTED,
                       "seccomp: %s%s%s: SCMP_ACT_NOTIFY: there is nobody to be told", r->place,
                       *r->place ? "." : "", key);
    *ret_action = find_word(actions, ARRAY_SIZE(actions), action);
    return *ret_action ? 0 : refuse(r, key, "is no action");
}

/* The calls of a rule: "names", or in old profiles "name". */
static int get_names(struct reader *r, json_t *call, struct seccomp_rule *rule)
{
    const char *name;
    const char *const *names;
    int rv = get_text(r, call, "name", &name);
    if (rv == 0)
        rv = get_list(r, call, "names", SECCOMP_NAMES_MAX, &names);
    if (rv < 0)
        return rv;
    if (name && *name && names)
        return refuse(r, "name", "stands beside names");
    if (name && *name) {
        const char **list = own(r, mem_alloc(2, sizeof(*list)));
        list[0] = name;
        names = list;
    }
    if (!names)
        return refuse(r, "names", "is missing or empty");
    rule->names = names;
    for (; *names; names++) {
        size_t len = strlen(*names);
        if (len > NAME_MAX_BYTES ||
            strspn(*names, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
                len)
            return refuse(r, "names", "has an entry that is no system call");
        if (++r->names_n > SECCOMP_NAMES_MAX)
            return refuse(r, "names", "names too many calls in all");
    }
    return 0;
}

static int get_rule(struct reader *r, json_t *call, struct seccomp_rule *rule)
{
    json_int_t errnum = -1;
    int rv;
    if (!json_is_object(call))
        return refuse(r, "", "is no object");
    if ((rv = get_names(r, call, rule)) < 0 ||
        (rv = get_action(r, call, "action", &rule->action)) < 0 ||
        (rv = get_number(r, call, "errnoRet", ERRNO_MAX, &errnum)) < 0 ||
        (rv = get_args(r, call, rule)) < 0 ||
        (rv = get_filter(r, call, "includes", &rule->include_caps, &rule->include_kernel,
                         &rule->arches)) < 0 ||
        (rv = get_filter(r, call, "excludes", &rule->exclude_caps, &rule->exclude_kernel,
                         &rule->not_arches)) < 0)
        return rv;
    rule->errnum = (int)errnum;
    return 0;
}

static int get_rules(struct reader *r, json_t *json)
{
    json_t *calls = json_object_get(json, "syscalls");
    if (!calls || json_is_null(calls))
        return 0;
    size_t n = json_array_size(calls);
    if (!json_is_array(calls) || n > SECCOMP_RULES_MAX)
        return refuse(r, "syscalls", "is no list, or longer than 1024");
    struct seccomp_rule *rules = own(r, mem_alloc(n + 1, sizeof(*rules)));
    for (size_t i = 0; i < n; i++) {
        snprintf(r->place, sizeof(r->place), "syscalls[%zu]", i);
        int rv = get_rule(r, json_array_get(calls, i), &rules[i]);
        if (rv < 0)
            return rv;
    }
    r->place[0] = '\0';
    r->profile->rules = rules;
    r->profile->rules_n = n;
    return 0;
}

static int check_architectures(struct reader *r, const char *key, const char *const *list)
{
    for (; list && *list; list++) {
        if (!str_starts(*list, "SCMP_ARCH_"))
            return refuse(r, key, "has an entry that is no architecture");
    }
    return 0;
}

/* Of "archMap" the entry of this machine, with its others. */
static int get_arch_map(struct reader *r, json_t *json)
{
    const char *own_arch = seccomp_default()->architectures[0];
    json_t *map = json_object_get(json, "archMap"), *entry;
    size_t i;
    if (!map || json_is_null(map))
        return 0;
    if (!json_is_array(map) || json_array_size(map) > WORDS_MAX)
        return refuse(r, "archMap", "is no list, or too long");
    json_array_foreach (map, i, entry) {
        const char *name;
        const char *const *others;
        snprintf(r->place, sizeof(r->place), "archMap[%zu]", i);
        int rv = get_text(r, entry, "architecture", &name);
        if (rv == 0)
            rv = get_list(r, entry, "subArchitectures", WORDS_MAX, &others);
        if (rv == 0)
            rv = check_architectures(r, "subArchitectures", others);
        if (rv < 0)
            return rv;
        if (!name || strcmp(name, own_arch) != 0 || r->profile->architectures)
            continue;
        const char **list = own(r, mem_alloc(WORDS_MAX + 2, sizeof(*list)));
        list[0] = own_arch;
        for (size_t n = 0; others && others[n]; n++)
            list[n + 1] = others[n];
        r->profile->architectures = list;
    }
    r->place[0] = '\0';
    return 0;
}

static int get_architectures(struct reader *r, json_t *json)
{
    const char *const *plain;
    int rv = get_list(r, json, "architectures", WORDS_MAX, &plain);
    if (rv == 0)
        rv = check_architectures(r, "architectures", plain);
    if (rv == 0)
        rv = get_arch_map(r, json);
    if (rv < 0)
        return rv;
    if (plain && json_array_size(json_object_get(json, "archMap")) > 0)
        return refuse(r, "architectures", "stands beside archMap");
    if (plain)
        r->profile->architectures = plain;
    /* Without one the filter is for the machine's own calls. */
    if (!r->profile->architectures) {
        const char **list = own(r, mem_alloc(2, sizeof(*list)));
        list[0] = seccomp_default()->architectures[0];
        r->profile->architectures = list;
    }
    return 0;
}

static int get_profile(struct reader *r, json_t *json)
{
    json_int_t errnum = -1;
    int rv;
    if ((rv = get_action(r, json, "defaultAction", &r->profile->default_action)) < 0 ||
        (rv = get_number(r, json, "defaultErrnoRet", ERRNO_MAX, &errnum)) < 0 ||
        (rv = get_list(r, json, "flags", WORDS_MAX, &r->profile->flags)) < 0 ||
        (rv = get_architectures(r, json)) < 0 || (rv = get_rules(r, json)) < 0)
        return rv;
    for (const char *const *f = r->profile->flags; f && *f; f++) {
        if (!find_word(known_flags, ARRAY_SIZE(known_flags), *f))
            return refuse(r, "flags", "has an entry that is not known here");
    }
    if (strcmp(r->profile->default_action, "SCMP_ACT_ERRNO") == 0)
        r->profile->default_errnum = (int)errnum;
    return 0;
}

int seccomp_profile_parse(const char *text, size_t len, struct seccomp_profile **ret_profile,
                          struct err *err)
{
    if (len > SECCOMP_TEXT_MAX)
        return err_set(err, ERR_TOOBIG, "seccomp: a profile above 1 MiB");
    json_error_t where;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(err, ERR_INVALID,
                       "seccomp: neither \"unconfined\" nor a profile in JSON (line %d, column %d)",
                       json ? 1 : where.line, json ? 1 : where.column);
    }
    struct seccomp_profile *profile = mem_alloc(1, sizeof(*profile));
    profile->default_errnum = -1;
    profile->json = json;
    struct reader reader = {.profile = profile, .err = err};
    int rv = get_profile(&reader, json);
    profile->owned = mem_copy(&reader.owned, sizeof(reader.owned));
    if (rv < 0) {
        seccomp_profile_free(profile);
        return rv;
    }
    *ret_profile = profile;
    return 0;
}

void seccomp_profile_free(struct seccomp_profile *profile)
{
    if (!profile)
        return;
    owned_release(profile->owned);
    free(profile->owned);
    json_decref(profile->json);
    free(profile);
}
