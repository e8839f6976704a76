/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups of version 2, on a tree of plain files: what is delegated, and how controllers are
 * passed on below it.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/cgroup.h"
#include "runtime/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

static void test_delegated(void **unused)
{
    (void)unused;
    static const struct {
        const char *own;
        const char *parent;
        size_t want;
    } cases[] = {
        {"/", "/wherry", 0},
        {"/user.slice/session", "/wherry", 0},
        {"/system.slice/w.service", "/system.slice/w.service", 23},
        {"/system.slice/w.service", "/system.slice/w.service/groups", 23},
        {"/system.slice/w.service/daemon", "/system.slice/w.service/groups", 23},
        {"/system.slice/w.service", "/system.slice/w.service2", 0},
        {"/daemon", "/wherry", 0},
        {"/a/b", "/a", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (cgroup_delegated(cases[i].own, cases[i].parent) != cases[i].want)
            fail_msg("%s, %s: %zu", cases[i].own, cases[i].parent,
                     cgroup_delegated(cases[i].own, cases[i].parent));
    }
}

static char *content(const char *dir, const char *name)
{
    cleanup_free char *path = str_printf("%s%s", dir, name);
    struct buf text = BUF_INIT;
    if (file_read(path, 4096, &text, &err) < 0)
        fail_msg("%s", err.msg);
    return buf_take(&text);
}

static void put(const char *dir, const char *name)
{
    cleanup_free char *path = str_printf("%s%s", dir, name);
    assert_int_equal(file_write_fast(path, "", 0, 0644, &err), 0);
}

/* Controllers are passed on from the delegated group down, and nothing above it is touched. */
static void test_passed_on(void **unused)
{
    (void)unused;
    char dir[] = "/tmp/wherry-cgroup-XXXXXX";
    assert_non_null(mkdtemp(dir));
    cleanup_free char *unit = str_printf("%s/slice/unit/groups", dir);
    assert_int_equal(file_mkdirs(unit, 0755, &err), 0);
    static const char *const files[] = {"/cgroup.subtree_control", "/slice/cgroup.subtree_control",
                                        "/slice/unit/cgroup.subtree_control",
                                        "/slice/unit/groups/cgroup.subtree_control"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        put(dir, files[i]);
    char controllers[] = ",cpu,memory,pids,";
    struct runtime rt = {.cgroup_mode = CGROUP_V2,
                         .cgroup_mounts = {{.path = dir,
                                            .controllers = controllers,
                                            .v2 = true,
                                            .delegated = strlen("/slice/unit")}},
                         .cgroup_mounts_n = 1};
    assert_int_equal(cgroup_make(&rt, "/slice/unit/groups/container", &err), 0);
    static const bool touched[] = {false, false, true, true};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *text = content(dir, files[i]);
        if ((strchr(text, '+') != NULL) != touched[i])
            fail_msg("%s: '%s'", files[i], text);
    }
    cleanup_free char *made = str_printf("%s/slice/unit/groups/container", dir);
    assert_true(file_exists(made));
    assert_true(cgroup_has(&rt, "memory"));
    assert_false(cgroup_has(&rt, "io"));
    file_remove_tree(dir, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delegated),
        cmocka_unit_test(test_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
