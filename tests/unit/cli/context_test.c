/* SPDX-License-Identifier: Apache-2.0 */
/* The file of contexts: written and read again, damaged, hostile, and of another owner. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "wherry1-c-00112233-44"
static const char good[] = "wherry contexts 1\n"
                           "current home\n"
                           "context home\n"
                           "cluster 00aa11bb\n"
                           "address 10.0.0.1:7401\n"
                           "address [fd00::2]:7401\n"
                           "token " TOKEN "\n"
                           "context work\n"
                           "cluster 22\n"
                           "address box.lan:7401\n"
                           "token " TOKEN "\n";

static char *home;

static int setup(void **state)
{
    (void)state;
    char template[] = "/var/tmp/wherry-test-XXXXXX";
    assert_non_null(mkdtemp(template));
    home = str_copy(template);
    setenv("XDG_CONFIG_HOME", home, 1);
    return 0;
}

static int teardown(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(file_remove_tree(home, &err), 0);
    free(home);
    return 0;
}

static int parse(const char *text, size_t len, struct err *err)
{
    struct contexts contexts;
    int rv = contexts_parse(text, len, &contexts, err);
    if (rv == 0)
        contexts_release(&contexts);
    return rv;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct contexts contexts;
    struct err err = {0};
    assert_int_equal(contexts_parse(good, strlen(good), &contexts, &err), 0);
    assert_int_equal(contexts.n, 2);
    assert_string_equal(contexts.current, "home");
    const struct context *c = contexts_find(&contexts, "home");
    assert_int_equal(c->addresses_n, 2);
    assert_string_equal(c->addresses[1], "[fd00::2]:7401");
    assert_string_equal(c->token, TOKEN);
    cleanup_buf struct buf out = BUF_INIT;
    contexts_format(&contexts, &out);
    assert_string_equal(out.data, good);
    assert_int_equal(contexts_remove(&contexts, "home", &err), 0);
    assert_null(contexts.current);
    assert_int_equal(contexts_remove(&contexts, "home", &err), ERR_NOTFOUND);
    assert_string_equal(contexts.items[0].name, "work");
    contexts_release(&contexts);
}

/* Whatever is cut off: never half of it, and a message says what. */
static void cut_at_any_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(good); len++) {
        struct err err = {0};
        int rv = parse(good, len, &err);
        /* Between two contexts, and after the first, it is a whole file again, but its current
         * context must be there. */
        bool whole = len == strlen("wherry contexts 1\n") ||
                     len == (size_t)(strstr(good, "context work") - good);
        if ((rv == 0) != whole)
            fail_msg("cut at %zu: %d %s", len, rv, err.msg);
        if (rv < 0) {
            assert_int_equal(rv, ERR_CORRUPT);
            assert_true(strlen(err.msg) > 0);
            assert_null(strstr(err.msg, "00112233"));
        }
    }
}

static void damage_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {"nonsense\n", ERR_CORRUPT, "does not begin"},
        {"wherry contexts 2\n", ERR_UNSUPPORTED, "newer"},
        {"wherry contexts 1\ncurrent x\n", ERR_CORRUPT, "'x' is not in it"},
        {"wherry contexts 1\ncluster 22\n", ERR_CORRUPT, "line 2"},
        {"wherry contexts 1\ncontext a\ncluster 22\ntoken t\n", ERR_CORRUPT, "no address"},
        {"wherry contexts 1\ncontext a\ncluster 22\naddress a\n", ERR_CORRUPT, "token is missing"},
        {"wherry contexts 1\ncontext a\naddress a\ntoken t\n", ERR_CORRUPT, "cluster is missing"},
        {"wherry contexts 1\ncontext a\ncluster XX\naddress a\ntoken t\n", ERR_CORRUPT, "cluster"},
        {"wherry contexts 1\ncontext a\ncluster 2\naddress a;rm\ntoken t\n", ERR_CORRUPT,
         "address"},
        {"wherry contexts 1\ncontext a\ncluster 2\naddress unix:///x\ntoken t\n", ERR_CORRUPT,
         "address"},
        {"wherry contexts 1\ncontext a\ncluster 2\naddress a\ntoken t\x1b[2J\n", ERR_CORRUPT,
         "token"},
        {"wherry contexts 1\ncontext a\ncluster 2\naddress a\ntoken t\ntoken t\n", ERR_CORRUPT,
         "line 6: it is there twice"},
        {"wherry contexts 1\ncontext local\ncluster 2\naddress a\ntoken t\n", ERR_CORRUPT,
         "no name"},
        {"wherry contexts 1\ncontext ../a\ncluster 2\naddress a\ntoken t\n", ERR_CORRUPT,
         "no name"},
        {"wherry contexts 1\ncontext a\ncluster 2\naddress a\ntoken t\npassword x\n", ERR_CORRUPT,
         "line 6: not known"},
        {"wherry contexts 1\ncontext a\ncluster 2\naddress a\ntoken t\ncontext a\ncluster 2\n"
         "address a\ntoken t\n",
         ERR_CORRUPT, "one name"},
        {"wherry contexts 1\ncontext\n", ERR_CORRUPT, "not KEY VALUE"},
        {"wherry contexts 1\ncontext \n", ERR_CORRUPT, "empty"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = {0};
        int rv = parse(cases[i].text, strlen(cases[i].text), &err);
        if (rv != cases[i].code || !strstr(err.msg, cases[i].says))
            fail_msg("case %zu: %d \"%s\", expected \"%s\"", i, rv, err.msg, cases[i].says);
    }
    struct err err;
    assert_int_equal(parse("wherry contexts 1\n\0x\n", 21, &err), ERR_CORRUPT);
}

static void sizes_are_capped(void **state)
{
    (void)state;
    struct err err;
    cleanup_buf struct buf text = BUF_INIT;
    buf_puts(&text, "wherry contexts 1\n");
    for (int i = 0; i <= CONTEXTS_MAX; i++)
        buf_printf(&text, "context c%d\ncluster 2\naddress a\ntoken t\n", i);
    assert_int_equal(parse(text.data, text.len, &err), ERR_TOOBIG);
    buf_reset(&text);
    buf_puts(&text, "wherry contexts 1\ncontext a\ncluster 2\ntoken t\n");
    for (int i = 0; i <= CONTEXT_ADDRESSES_MAX; i++)
        buf_printf(&text, "address a%d\n", i);
    assert_int_equal(parse(text.data, text.len, &err), ERR_CORRUPT);
    cleanup_free char *large = mem_alloc(1, CONTEXTS_BYTES_MAX + 1);
    assert_int_equal(parse(large, CONTEXTS_BYTES_MAX + 1, &err), ERR_TOOBIG);
}

static int put_home(struct contexts *contexts, void *arg, struct err *err)
{
    char *addresses[] = {"10.0.0.1:7401"};
    struct context c = {
        .name = "home", .cluster = "2a", .addresses = addresses, .addresses_n = 1, .token = TOKEN};
    (void)arg;
    return contexts_put(contexts, &c, err);
}

static void mode_is(const char *path, mode_t mode)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, mode);
}

static void the_file_is_for_its_owner(void **state)
{
    (void)state;
    struct contexts contexts;
    struct err err = {0};
    cleanup_free char *path = NULL;
    cleanup_free char *folder = str_printf("%s/wherry", home);
    assert_int_equal(contexts_load(&contexts, &err), 0);
    assert_int_equal(contexts.n, 0);
    umask(0);
    assert_int_equal(contexts_change(put_home, NULL, &err), 0);
    assert_int_equal(contexts_path(&path, &err), 0);
    mode_is(path, 0600);
    mode_is(folder, 0700);
    assert_int_equal(contexts_load(&contexts, &err), 0);
    assert_int_equal(contexts.n, 1);
    contexts_release(&contexts);
    chmod(path, 0640);
    assert_int_equal(contexts_load(&contexts, &err), ERR_DENIED);
    assert_non_null(strstr(err.msg, "chmod 600"));
    assert_int_equal(contexts_change(put_home, NULL, &err), ERR_DENIED);
    chmod(path, 0600);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        assert_int_equal(contexts_load(&contexts, &err), ERR_DENIED);
        assert_non_null(strstr(err.msg, "not your own"));
    }
}

static int refuse(struct contexts *contexts, void *arg, struct err *err)
{
    (void)contexts, (void)arg;
    return err_set(err, ERR_CONFLICT, "no");
}

static void a_damaged_file_stays(void **state)
{
    (void)state;
    struct err err = {0};
    cleanup_free char *path = NULL;
    cleanup_buf struct buf after = BUF_INIT;
    assert_int_equal(contexts_change(put_home, NULL, &err), 0);
    assert_int_equal(contexts_change(refuse, NULL, &err), ERR_CONFLICT);
    assert_int_equal(contexts_path(&path, &err), 0);
    assert_int_equal(file_write(path, "wherry contexts 1\nwhat\n", 23, 0600, &err), 0);
    assert_int_equal(contexts_change(put_home, NULL, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "log in again"));
    assert_int_equal(file_read(path, 1000, &after, &err), 0);
    assert_string_equal(after.data, "wherry contexts 1\nwhat\n");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    struct contexts contexts;
    assert_int_equal(contexts_load(&contexts, &err), ERR_INVALID);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read), TEST(cut_at_any_byte),           TEST(damage_is_named),
        TEST(sizes_are_capped),        TEST(the_file_is_for_its_owner), TEST(a_damaged_file_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
