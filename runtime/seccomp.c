/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp.h"

#include "base/cleanup.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* The words for this machine's architecture that profiles use, Go's. */
#if defined(__x86_64__)
static const char own_arch[] = "amd64";
#elif defined(__aarch64__)
static const char own_arch[] = "arm64";
#elif defined(__riscv)
static const char own_arch[] = "riscv64";
#else
static const char own_arch[] = "";
#endif

unsigned seccomp_kernel(void)
{
    struct utsname name;
    unsigned first = 0, second = 0;
    if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &first, &second) != 2)
        return 0;
    return first << 16 | (second & 0xffff);
}

static bool is_listed(const char *const *list, const char *word)
{
    for (; *list; list++) {
        if (strcmp(*list, word) == 0)
            return true;
    }
    return false;
}

bool seccomp_rule_holds(const struct seccomp_rule *r, uint64_t capabilities, unsigned kernel)
{
    return (capabilities & r->include_caps) == r->include_caps &&
           !(capabilities & r->exclude_caps) && kernel >= r->include_kernel &&
           (!r->exclude_kernel || kernel < r->exclude_kernel) &&
           (!r->arches || is_listed(r->arches, own_arch)) &&
           !(r->not_arches && is_listed(r->not_arches, own_arch));
}

static json_t *strings_json(const char *const *list)
{
    json_t *array = json_array();
    for (; *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

static json_t *args_json(const struct seccomp_rule *r)
{
    json_t *args = json_array();
    for (size_t i = 0; i < r->args_n; i++) {
        const struct seccomp_arg *a = &r->args[i];
        json_array_append_new(args, json_pack("{s:i, s:I, s:I, s:s}", "index", (int)a->index,
                                              "value", (json_int_t)a->value, "valueTwo",
                                              (json_int_t)a->value_two, "op", a->op));
    }
    return args;
}

static json_t *rule_json(const struct seccomp_rule *r)
{
    json_t *rule = json_pack("{s:o, s:s}", "names", strings_json(r->names), "action", r->action);
    if (r->errnum >= 0 && strcmp(r->action, "SCMP_ACT_ERRNO") == 0)
        json_object_set_new(rule, "errnoRet", json_integer(r->errnum));
    if (r->args_n > 0)
        json_object_set_new(rule, "args", args_json(r));
    return rule;
}

json_t *seccomp_json(const struct seccomp_profile *p, uint64_t capabilities, unsigned kernel)
{
    json_t *calls = json_array();
    for (size_t i = 0; i < p->rules_n; i++) {
        if (seccomp_rule_holds(&p->rules[i], capabilities, kernel))
            json_array_append_new(calls, rule_json(&p->rules[i]));
    }
    json_t *json = json_pack("{s:s, s:o, s:o}", "defaultAction", p->default_action, "architectures",
                             strings_json(p->architectures), "syscalls", calls);
    if (p->default_errnum >= 0)
        json_object_set_new(json, "defaultErrnoRet", json_integer(p->default_errnum));
    if (p->flags)
        json_object_set_new(json, "flags", strings_json(p->flags));
    return json;
}
