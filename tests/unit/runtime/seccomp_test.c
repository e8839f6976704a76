/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of system calls: the default, and those that are read.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/capability.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_bpf.h"

#include <jansson.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

#define KERNEL(major, minor) ((major) << 16 | (minor))
#define CAP(name)            (UINT64_C(1) << CAP_##name)

/* What all rules about @name say, "ALLOW" or "ERRNO 1", with an "if" where it has arguments; ""
 * when there is none. */
static char *answer(const struct seccomp_profile *profile, uint64_t caps, unsigned kernel,
                    const char *name)
{
    json_t *json = seccomp_json(profile, caps, kernel), *rule, *one;
    char *text = str_copy("");
    size_t i, n;
    json_array_foreach (json_object_get(json, "syscalls"), i, rule) {
        json_array_foreach (json_object_get(rule, "names"), n, one) {
            if (strcmp(json_string_value(one), name) != 0)
                continue;
            const char *action = json_string_value(json_object_get(rule, "action"));
            json_t *errnum = json_object_get(rule, "errnoRet");
            cleanup_free char *number =
                errnum ? str_printf(" %lld", (long long)json_integer_value(errnum)) : str_copy("");
            char *more =
                str_printf("%s%s%s%s%s", text, *text ? ", " : "", action + strlen("SCMP_ACT_"),
                           number, json_object_get(rule, "args") ? " if" : "");
            free(text);
            text = more;
        }
    }
    json_decref(json);
    return text;
}

static void assert_answer(const struct seccomp_profile *profile, uint64_t caps, unsigned kernel,
                          const char *name, const char *want)
{
    cleanup_free char *got = answer(profile, caps, kernel, name);
    if (strcmp(got, want) != 0)
        fail_msg("%s: '%s' instead of '%s'", name, got, want);
}

static void test_default(void **unused)
{
    (void)unused;
    const struct seccomp_profile *p = seccomp_default();
    const struct {
        const char *name;
        uint64_t more;
        const char *want;
    } cases[] = {{"read", 0, "ALLOW"},
                 {"futex_time64", 0, "ALLOW"},
                 {"ptrace", 0, "ALLOW"},
                 {"mount", 0, "ERRNO 1"},
                 {"mount", CAP(SYS_ADMIN), "ALLOW"},
                 {"keyctl", CAP(SYS_ADMIN), "ERRNO 1"},
                 {"io_uring_setup", CAP(SYS_ADMIN), "ERRNO 1"},
                 {"bpf", 0, "ERRNO 1"},
                 {"bpf", CAP(BPF), "ALLOW"},
                 {"bpf", CAP(SYS_ADMIN), "ALLOW"},
                 {"bpf", CAP(SYS_ADMIN) | CAP(BPF), "ALLOW"},
                 {"clone3", 0, "ERRNO 38"},
                 {"clone", CAP(SYS_ADMIN), "ALLOW"},
                 {"reboot", CAP(SYS_ADMIN), "ERRNO 1"},
                 {"reboot", CAP(SYS_BOOT), "ALLOW"},
                 {"chroot", 0, "ALLOW"},
                 {"settimeofday", CAP(SYS_TIME), "ALLOW"},
                 {"a_call_of_the_future", 0, ""}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_answer(p, capability_default() | cases[i].more, KERNEL(6, 1), cases[i].name,
                      cases[i].want);
    assert_answer(p, 0, KERNEL(6, 1), "chroot", "ERRNO 1");
    cleanup_free char *clone = answer(p, 0, KERNEL(6, 1), "clone");
    assert_true(str_starts(clone, "ALLOW if, ERRNO 1 if, "));
}

/* Two rules that hold at once and say different things would be the OCI runtime's luck. */
static void test_default_is_unambiguous(void **unused)
{
    (void)unused;
    const struct seccomp_profile *p = seccomp_default();
    const uint64_t sets[] = {0, capability_default(), CAP(SYS_ADMIN), CAP(SYSLOG) | CAP(BPF),
                             UINT64_MAX};
    for (size_t set = 0; set < ARRAY_SIZE(sets); set++) {
        for (size_t r = 0; r < p->rules_n; r++) {
            for (const char *const *name = p->rules[r].names; *name; name++) {
                cleanup_free char *all = answer(p, sets[set], KERNEL(6, 1), *name);
                if (!strstr(all, " if") && strchr(all, ','))
                    fail_msg("%s: %s", *name, all);
                if (set == 1 && r > 1 && strlen(all) == 0)
                    fail_msg("%s: nothing", *name);
            }
        }
    }
}

static struct seccomp_profile *parse(const char *text)
{
    struct seccomp_profile *profile = NULL;
    if (seccomp_profile_parse(text, strlen(text), &profile, &err) < 0)
        fail_msg("%s", err.msg);
    return profile;
}

static void test_conditions(void **unused)
{
    (void)unused;
    struct seccomp_profile *p = parse(
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"comment\":1,"
        "\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":"
        "[\"SCMP_ARCH_X86\"]},{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":null}],"
        "\"syscalls\":["
        "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"4.8\"}},"
        "{\"names\":[\"b\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"caps\":[\"CAP_SYSLOG\"]}}"
        ","
        "{\"names\":[\"c\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_SYSLOG\","
        "\"CAP_BPF\"]}},"
        "{\"names\":[\"d\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"s390\"]}},"
        "{\"names\":[\"e\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"arches\":[\"amd64\","
        "\"arm64\",\"riscv64\"]}},"
        "{\"name\":\"f\",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":22,\"args\":[{\"index\":2,"
        "\"value\":9,\"op\":\"SCMP_CMP_EQ\"}]},"
        "{\"names\":[\"g\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"minKernel\":\"5.0\"},"
        "\"args\":null,\"includes\":null}]}");
    assert_answer(p, 0, KERNEL(4, 9), "a", "ALLOW");
    assert_answer(p, 0, KERNEL(4, 7), "a", "");
    assert_answer(p, 0, KERNEL(6, 1), "b", "ALLOW");
    assert_answer(p, CAP(SYSLOG), KERNEL(6, 1), "b", "");
    assert_answer(p, CAP(SYSLOG), KERNEL(6, 1), "c", "");
    assert_answer(p, CAP(SYSLOG) | CAP(BPF), KERNEL(6, 1), "c", "ALLOW");
    assert_answer(p, 0, KERNEL(6, 1), "d", "");
    assert_answer(p, 0, KERNEL(6, 1), "e", "");
    assert_answer(p, 0, KERNEL(6, 1), "f", "ERRNO 22 if");
    assert_answer(p, 0, KERNEL(6, 1), "g", "");
    assert_answer(p, 0, KERNEL(4, 20), "g", "ALLOW");
    assert_int_equal(p->default_errnum, 38);
#if defined(__x86_64__)
    assert_string_equal(p->architectures[1], "SCMP_ARCH_X86");
    assert_null(p->architectures[2]);
#endif
    seccomp_profile_free(p);
}

static void test_refused(void **unused)
{
    (void)unused;
#define ALLOW                                                                                      \
    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],"                      \
    "\"action\":\"SCMP_ACT_ALLOW\""
    static const struct {
        const char *text;
        const char *place;
    } wrong[] = {
        {"", "line 1"},
        {"[]", "profile"},
        {"{}", "defaultAction"},
        {"{\"defaultAction\":1}", "defaultAction"},
        {"{\"defaultAction\":\"SCMP_ACT_NOPE\"}", "defaultAction: is no action"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", "syscalls"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[1]}", "syscalls[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{}]}", "syscalls[0].names"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}", "flags"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"X\"]}", "architectures"},
        {ALLOW ",\"name\":\"b\"}]}", "syscalls[0].name:"},
        {ALLOW "},{\"names\":[\"a b\"],\"action\":\"SCMP_ACT_LOG\"}]}", "syscalls[1].names"},
        {ALLOW ",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}]}", "syscalls[0].args[0].index"},
        {ALLOW ",\"args\":[{\"index\":1,\"op\":\"EQ\"}]}]}", "syscalls[0].args[0].op"},
        {ALLOW ",\"args\":[{\"op\":\"SCMP_CMP_EQ\"}]}]}", "args[0].index"},
        {ALLOW ",\"args\":[1,2,3,4,5,6,7]}]}", "syscalls[0].args"},
        {ALLOW ",\"errnoRet\":5000}]}", "errnoRet"},
        {ALLOW ",\"includes\":{\"caps\":[\"CAP_X\"]}}]}", "syscalls[0].includes.caps"},
        {ALLOW ",\"excludes\":{\"minKernel\":\"new\"}}]}", "syscalls[0].excludes.minKernel"},
        {ALLOW ",\"action\":\"SCMP_ACT_LOG\"}]}", "line"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct seccomp_profile *profile = NULL;
        int rv = seccomp_profile_parse(wrong[i].text, strlen(wrong[i].text), &profile, &err);
        if (rv != ERR_INVALID || !strstr(err.msg, wrong[i].place))
            fail_msg("%s: %s: %s", wrong[i].text, err_name(rv), err.msg);
    }
}

/* The compiled default is there, and made once for one set of capabilities. */
static void test_program(void **unused)
{
    (void)unused;
    struct seccomp_cache *cache = seccomp_cache_new();
    const char *first =
        seccomp_program(cache, seccomp_default(), capability_default(), KERNEL(6, 1));
    const char *admin = seccomp_program(cache, seccomp_default(),
                                        capability_default() | CAP(SYS_ADMIN), KERNEL(6, 1));
    assert_non_null(first);
    assert_non_null(admin);
    assert_string_not_equal(first, admin);
    assert_true(strlen(first) > 1000 && strlen(first) < 40000);
    assert_ptr_equal(first,
                     seccomp_program(cache, seccomp_default(), capability_default(), KERNEL(6, 1)));
    seccomp_cache_free(cache);
    struct seccomp_profile *traced = parse("{\"defaultAction\":\"SCMP_ACT_TRACE\"}");
    cache = seccomp_cache_new();
    assert_null(seccomp_program(cache, traced, 0, KERNEL(6, 1)));
    seccomp_cache_free(cache);
    seccomp_profile_free(traced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),    cmocka_unit_test(test_default_is_unambiguous),
        cmocka_unit_test(test_conditions), cmocka_unit_test(test_program),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
