/* SPDX-License-Identifier: Apache-2.0 */
/* Links of an image that lead what is mounted to /proc, /sys or /dev. */
#include "runtime/mount_target.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static int root_fd;

static int begin(void **state)
{
    (void)state;
    str_fill(root, sizeof(root), "/var/tmp/wherry-target-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root_fd < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    close(root_fd);
    return file_remove_tree(root, NULL);
}

static void folder(const char *name)
{
    struct err err;
    cleanup_free char *path = str_printf("%s/%s", root, name);
    assert_int_equal(file_mkdirs(path, 0755, &err), 0);
}

static void file(const char *name)
{
    struct err err;
    cleanup_free char *path = str_printf("%s/%s", root, name);
    assert_int_equal(file_write_fast(path, "x", 1, 0644, &err), 0);
}

static void link_to(const char *text, const char *name)
{
    assert_int_equal(symlinkat(text, root_fd, name), 0);
}

static int check_volume(const char *target)
{
    struct err err = {0};
    struct container_mount mount = {.source = "/srv", .target = target};
    struct container_tmpfs tmpfs = {.target = target};
    struct container_spec volume = {.mounts = &mount, .mounts_n = 1};
    struct container_spec memory = {.tmpfs = &tmpfs, .tmpfs_n = 1};
    int rv = mount_target_check(&volume, root_fd, &err);
    assert_int_equal(mount_target_check(&memory, root_fd, &err), rv);
    return rv;
}

static void links_into_the_system_are_refused(void **state)
{
    (void)state;
    folder("dev/sub");
    folder("srv/deep");
    file("dev/null");
    link_to("/dev", "a");
    link_to("dev/sub", "b");
    link_to("../../../../dev", "srv/c");
    link_to("/proc", "to-be-made");         /* there is none yet */
    link_to("/a/../proc/x", "twice");       /* likewise, through another link */
    link_to("/dev/null", "to-file");        /* a file */
    link_to("round", "round");              /* without an end */
    link_to("/sys/./kernel", "srv/deep/s"); /* made below what is to be made */
    link_to("/none/../proc", "guess");      /* what is not there has no ".." yet */
    static const char *const bad[] = {"/a",          "/a/x/y",          "/b",       "/srv/c/null",
                                      "/to-be-made", "/twice",          "/to-file", "/round",
                                      "/srv/deep/s", "/to-be-made/sys", "/guess",   "/srv/c"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (check_volume(bad[i]) != ERR_DENIED)
            fail_msg("%s is taken", bad[i]);
}

static void others_are_not(void **state)
{
    (void)state;
    folder("run");
    folder("usr/share");
    folder("etc");
    folder("var");
    link_to("/run", "var/run");
    link_to("../usr/share/zone", "etc/localtime"); /* of a package that is not installed */
    link_to("/usr/share/development", "devel");
    static const char *const good[] = {"/var/run/x",     "/etc/localtime", "/data",
                                       "/data/proc/sys", "/devel/dev",     "/usr/share",
                                       "/dev/shm",       "/proc/sys",      "/..data/x"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (check_volume(good[i]) != 0)
            fail_msg("%s is refused", good[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(links_into_the_system_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(others_are_not, begin, end),
    };
    return cmocka_run_group_tests_name("mount_target", tests, NULL, NULL);
}
