/* SPDX-License-Identifier: Apache-2.0 */
/* The file that says which log a member has, and the folders of damaged ones. */
#include "node/log_state.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define UUID "0123456789abcdef0123456789abcdef"

struct machine {
    char dir[64];
    struct identity *identity;
};

static int set_up(void **state)
{
    struct machine *m = mem_alloc(1, sizeof(*m));
    struct err err;
    snprintf(m->dir, sizeof(m->dir), "/tmp/wherry-logstate-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    char *identity = str_printf("%s/identity", m->dir);
    assert_int_equal(identity_open(identity, &m->identity, &err), 0);
    assert_int_equal(identity_make_ca(m->identity, &err), 0);
    assert_int_equal(identity_set_member(m->identity, UUID, 4, &err), 0);
    free(identity);
    *state = m;
    return 0;
}

static int tear_down(void **state)
{
    struct machine *m = *state;
    struct err err;
    identity_free(m->identity);
    assert_int_equal(file_remove_tree(m->dir, &err), 0);
    free(m);
    return 0;
}

static void test_without_a_file_it_is_the_nodes_own(void **state)
{
    struct machine *m = *state;
    struct log_state s;
    struct err err;
    assert_int_equal(log_state_load(m->dir, m->identity, &s, &err), 0);
    assert_int_equal(s.raft_id, 4);
    assert_int_equal(s.kind, LOG_NEW);
    assert_false(s.written);
}

static void test_it_is_read_as_written(void **state)
{
    struct machine *m = *state;
    struct log_state s;
    struct err err;
    for (int kind = LOG_NEW; kind <= LOG_REPAIR; kind++) {
        assert_int_equal(log_state_save(m->dir, m->identity, 11, (enum log_state_kind)kind, &err),
                         0);
        assert_int_equal(log_state_load(m->dir, m->identity, &s, &err), 0);
        assert_int_equal(s.raft_id, 11);
        assert_int_equal((int)s.kind, kind);
        assert_true(s.written);
    }
}

static void write_text(const struct machine *m, const char *text)
{
    struct err err;
    char *path = str_printf("%s/identity/raft", m->dir);
    assert_int_equal(file_write(path, text, strlen(text), 0600, &err), 0);
    free(path);
}

static void test_one_of_another_membership_does_not_count(void **state)
{
    struct machine *m = *state;
    struct log_state s;
    struct err err;
    write_text(m, "wherry-raft 1 " UUID " 5 9 kept\n");
    assert_int_equal(log_state_load(m->dir, m->identity, &s, &err), 0);
    assert_int_equal(s.raft_id, 4);
    write_text(m, "wherry-raft 1 ffffffffffffffffffffffffffffffff 4 9 kept\n");
    assert_int_equal(log_state_load(m->dir, m->identity, &s, &err), 0);
    assert_int_equal(s.raft_id, 4);
    assert_false(s.written);
}

static void test_damage_and_later_versions_are_refused(void **state)
{
    struct machine *m = *state;
    struct log_state s;
    struct err err;
    static const char *const bad[] = {
        "",
        "wherry-raft 1",
        "wherry-raft 1 " UUID " 4 9 kept",
        "wherry-raft 1 " UUID " 4 9 kept\nmore",
        "wherry-raft 1 " UUID " 4 9 lost\n",
        "wherry-raft 1 " UUID " 4 0 kept\n",
        "wherry-raft 1 " UUID " 4 -9 kept\n",
        "hello",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        write_text(m, bad[i]);
        assert_int_equal(log_state_load(m->dir, m->identity, &s, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "identity/raft"));
    }
    write_text(m, "wherry-raft 2 " UUID " 4 9 kept\n");
    assert_int_equal(log_state_load(m->dir, m->identity, &s, &err), ERR_UNSUPPORTED);
}

static bool has(const struct machine *m, const char *name)
{
    char *path = str_printf("%s/%s", m->dir, name);
    bool there = file_exists(path);
    free(path);
    return there;
}

static void test_the_two_newest_damaged_logs_are_kept(void **state)
{
    struct machine *m = *state;
    struct err err;
    char *aside;
    assert_int_equal(log_state_set_aside(m->dir, &aside, &err), 0);
    assert_null(aside); /* there is none */
    for (int i = 1; i <= 4; i++) {
        char *raft = str_printf("%s/raft", m->dir);
        assert_int_equal(mkdir(raft, 0700), 0);
        assert_int_equal(log_state_set_aside(m->dir, &aside, &err), 0);
        assert_non_null(strstr(aside, "/raft.damaged-"));
        free(aside);
        free(raft);
    }
    assert_false(has(m, "raft"));
    assert_false(has(m, "raft.damaged-2"));
    assert_true(has(m, "raft.damaged-3") && has(m, "raft.damaged-4"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_file_it_is_the_nodes_own),
        TEST(test_it_is_read_as_written),
        TEST(test_one_of_another_membership_does_not_count),
        TEST(test_damage_and_later_versions_are_refused),
        TEST(test_the_two_newest_damaged_logs_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
