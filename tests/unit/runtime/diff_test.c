/* SPDX-License-Identifier: Apache-2.0 */
/* What a writable layer says of the layers below it. Whiteouts and trusted xattrs need root: else
 * it skips. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/diff.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static struct err err;

static char *at(const char *name)
{
    return str_printf("%s/%s", root, name);
}

static void folder(const char *name)
{
    cleanup_free char *path = at(name);
    assert_int_equal(file_mkdirs(path, 0755, &err), 0);
}

static void file(const char *name)
{
    cleanup_free char *path = at(name);
    assert_int_equal(file_write_fast(path, "x", 1, 0644, &err), 0);
}

static void whiteout(const char *name)
{
    cleanup_free char *path = at(name);
    assert_int_equal(mknod(path, S_IFCHR | 0600, 0), 0);
}

static void opaque(const char *name)
{
    cleanup_free char *path = at(name);
    assert_int_equal(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), 0);
}

static int begin(void **state)
{
    (void)state;
    str_fill(root, sizeof(root), "/var/tmp/wherry-diff-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    folder("low");
    folder("top");
    folder("upper");
    return 0;
}

static int end(void **state)
{
    (void)state;
    return file_remove_tree(root, NULL);
}

/* "A /a; C /b; " */
static void assert_changes(const char *wanted)
{
    cleanup_free char *low = at("low");
    cleanup_free char *top = at("top");
    cleanup_free char *upper = at("upper");
    const char *layers[] = {low, top, NULL};
    struct container_change *changes = NULL;
    size_t n = 0;
    bool cut;
    char text[1024] = "";
    assert_int_equal(diff_folders(upper, layers, &changes, &n, &cut, &err), 0);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%c %s; ", changes[i].kind, changes[i].path);
    }
    container_changes_free(changes, n);
    assert_string_equal(text, wanted);
    assert_false(cut);
}

static void test_added_changed_deleted(void **state)
{
    (void)state;
    folder("low/etc");
    file("low/etc/old");
    file("top/plain");
    folder("upper/etc");
    file("upper/etc/old");
    file("upper/etc/new");
    assert_changes("C /etc; A /etc/new; C /etc/old; ");
}

static void test_whiteouts_and_layers_that_hide(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    folder("low/a");
    file("low/a/x");
    file("low/b");
    file("low/c");
    folder("top/a");
    opaque("top/a");   /* hides a/x of low */
    whiteout("top/b"); /* deletes b of low */
    folder("upper/a");
    file("upper/a/x");   /* so it is a new one */
    file("upper/b");     /* and this too */
    whiteout("upper/c"); /* deletes c */
    assert_changes("C /a; A /a/x; A /b; D /c; ");
}

static void test_a_folder_made_anew(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    folder("low/a");
    file("low/a/kept");
    file("low/a/gone");
    folder("upper/a");
    opaque("upper/a");
    file("upper/a/kept");
    file("upper/a/new");
    assert_changes("C /a; D /a/gone; C /a/kept; A /a/new; ");
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    cleanup_free char *link = at("low/a");
    assert_int_equal(symlink("/etc", link), 0);
    folder("upper/a");
    file("upper/a/passwd");
    assert_changes("C /a; A /a/passwd; ");
}

/* In a process of its own, which may take so much more memory than it has. */
static bool fits(const char *upper, size_t bytes)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const char *layers[] = {NULL};
        struct container_change *changes = NULL;
        struct rlimit limit;
        size_t n = 0;
        bool cut = false;
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%ld", &pages) != 1)
            _exit(2);
        fclose(f);
        limit.rlim_cur = limit.rlim_max = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE) + bytes;
        setrlimit(RLIMIT_AS, &limit);
        int rv = diff_folders(upper, layers, &changes, &n, &cut, &err);
        _exit(rv == 0 && cut ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_a_folder_of_many_names_takes_little_memory(void **state)
{
    (void)state;
    enum {
        FILES = 100000,
        ROOM = 20 << 20
    };
#ifdef __SANITIZE_ADDRESS__
    skip(); /* shadows take terabytes */
#endif
    char many[] = "/dev/shm/wherry-diff-XXXXXX", name[256];
    if (!mkdtemp(many))
        skip();
    int fd = open(many, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    memset(name, 'x', sizeof(name));
    name[250] = '\0';
    close(openat(fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    for (int i = 0; i < FILES; i++) {
        char link[256];
        snprintf(link, sizeof(link), "%06d%.240s", i, name);
        assert_int_equal(linkat(fd, name, fd, link, 0), 0);
    }
    bool fine = fits(many, ROOM);
    close(fd);
    file_remove_tree(many, NULL);
    assert_true(fine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_added_changed_deleted, begin, end),
        cmocka_unit_test_setup_teardown(test_whiteouts_and_layers_that_hide, begin, end),
        cmocka_unit_test_setup_teardown(test_a_folder_made_anew, begin, end),
        cmocka_unit_test_setup_teardown(test_links_are_not_followed, begin, end),
        cmocka_unit_test(test_a_folder_of_many_names_takes_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
