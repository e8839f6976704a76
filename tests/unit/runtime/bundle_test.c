/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json from a spec and an image; users and folders looked up in a hostile root.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/bundle.h"
#include "runtime/capability.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/device.h"
#include "runtime/image.h"
#include "runtime/machine.h"
#include "runtime/rootfs.h"
#include "runtime/seccomp.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct err err;
static char *image_entrypoint[] = {"/entry", NULL};
static char *image_cmd[] = {"serve", "-x", NULL};
static char *image_env[] = {"PATH=/opt/bin", "LEVEL=low", "HOME=/opt", NULL};

/* A machine that has all there is, with the capabilities of most root users here: no
 * CAP_SYS_RESOURCE. */
static struct machine machine;

static void reset_machine(void)
{
    machine = (struct machine){.has_memory = true,
                               .has_swap = true,
                               .has_swappiness = true,
                               .has_oom_control = true,
                               .has_cpu = true,
                               .has_cpuset = true,
                               .has_pids = true,
                               .has_io = true,
                               .has_io_weight = true,
                               .has_devices = true,
                               .capabilities = ((UINT64_C(1) << 41) - 1) & ~(UINT64_C(1) << 24)};
    for (int i = 0; i < MACHINE_LIMITS; i++)
        machine.hard[i] = -1;
    machine.hard[RLIMIT_NOFILE] = 20000;
    CPU_SET(0, &machine.cpus);
    CPU_SET(1, &machine.cpus);
}

static struct device_set devices;

static json_t *config_of(const struct container_spec *spec)
{
    struct image image = {.name = "web:1",
                          .entrypoint = image_entrypoint,
                          .cmd = image_cmd,
                          .env = image_env,
                          .working_dir = "/srv"};
    struct rootfs_user user = {.uid = 33, .gid = 34, .groups = {35}, .groups_n = 1, .home = "/w"};
    json_t *seccomp = seccomp_json(seccomp_default(), capability_default(), 6 << 16 | 1);
    struct bundle bundle = {.spec = spec,
                            .image = &image,
                            .user = &user,
                            .machine = &machine,
                            .devices = &devices,
                            .seccomp = seccomp,
                            .rootfs = "/run/c/rootfs",
                            .etc_dir = "/data/c/etc",
                            .init = "/programs/wherry-shim",
                            .cgroup = "/wherry/container/c"};
    cleanup_buf struct buf text = BUF_INIT;
    err = (struct err){0};
    int rv = bundle_write(&bundle, &text, &err);
    json_decref(seccomp);
    if (rv < 0)
        return NULL;
    json_t *json = json_loadb(text.data, text.len, 0, NULL);
    assert_non_null(json);
    return json;
}

/* The value at "a.b.0.c" as compact JSON, "" when there is none. */
static char *at(json_t *json, const char *path)
{
    cleanup_free char *copy = str_copy(path);
    for (char *rest = copy, *key; json && (key = strsep(&rest, "."));)
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(key))
                                   : json_object_get(json, key);
    return json ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : str_copy("");
}

static void assert_at(json_t *json, const char *path, const char *want)
{
    cleanup_free char *got = at(json, path);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s instead of %s", path, got, want);
}

static void test_defaults(void **state)
{
    (void)state;
    struct container_spec spec = {.id = "c", .image = "web:1"};
    json_t *json = config_of(&spec);
    assert_at(json, "process.args", "[\"/entry\",\"serve\",\"-x\"]");
    assert_at(json, "process.env", "[\"PATH=/opt/bin\",\"HOME=/opt\",\"LEVEL=low\"]");
    assert_at(json, "process.cwd", "\"/srv\"");
    assert_at(json, "process.user", "{\"uid\":33,\"gid\":34,\"additionalGids\":[35]}");
    assert_at(json, "process.noNewPrivileges", "false");
    assert_at(json, "process.rlimits.0",
              "{\"type\":\"RLIMIT_NOFILE\",\"hard\":20000,\"soft\":1024}");
    assert_at(json, "root", "{\"path\":\"/run/c/rootfs\",\"readonly\":false}");
    assert_at(json, "linux.cgroupsPath", "\"/wherry/container/c\"");
    assert_at(json, "linux.resources.pids.limit", "4096");
    assert_at(json, "linux.resources.memory", "");
    assert_at(json, "linux.resources.devices", "[{\"allow\":false,\"access\":\"rwm\"}]");
    assert_at(json, "linux.seccomp.defaultAction", "\"SCMP_ACT_ERRNO\"");
    cleanup_free char *caps = at(json, "process.capabilities.bounding");
    json_t *list = json_object_get(
        json_object_get(json_object_get(json, "process"), "capabilities"), "bounding");
    assert_int_equal(json_array_size(list), 14);
    assert_null(strstr(caps, "SYS_ADMIN"));
    cleanup_free char *spaces = at(json, "linux.namespaces");
    assert_null(strstr(spaces, "network"));
    assert_null(strstr(spaces, "cgroup"));
    cleanup_free char *all = json_dumps(json, 0);
    static const char *const wanted[] = {"/proc/kcore",      "/proc/sysrq-trigger",
                                         "/etc/resolv.conf", "/data/c/etc/hosts",
                                         "keyctl",           "io_uring_setup"};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        assert_non_null(strstr(all, wanted[i]));
    json_decref(json);
}

static void test_spec_wins(void **state)
{
    (void)state;
    const char *command[] = {"other", NULL};
    const char *env[] = {"LEVEL=high", "PATHX=1", NULL};
    struct container_mount mounts[] = {{.source = "/vol", .target = "/data", .read_only = true},
                                       {.source = "/h", .target = "/etc/hosts"}};
    struct container_spec spec = {.id = "c",
                                  .image = "web:1",
                                  .command = command,
                                  .env = env,
                                  .hostname = "box",
                                  .working_dir = "/w",
                                  .netns = "/run/netns/c",
                                  .mounts = mounts,
                                  .mounts_n = 2,
                                  .cpu_milli = 1500,
                                  .memory_bytes = 64 << 20,
                                  .pids_max = 7,
                                  .read_only = true};
    json_t *json = config_of(&spec);
    assert_at(json, "process.args", "[\"/entry\",\"other\"]");
    assert_at(json, "process.env",
              "[\"PATH=/opt/bin\",\"HOME=/opt\",\"HOSTNAME=box\",\"LEVEL=high\",\"PATHX=1\"]");
    assert_at(json, "hostname", "\"box\"");
    assert_at(json, "root.readonly", "true");
    assert_at(json, "linux.resources.cpu", "{\"quota\":150000,\"period\":100000}");
    assert_at(json, "linux.resources.memory", "{\"limit\":67108864,\"swap\":67108864}");
    assert_at(json, "linux.resources.pids.limit", "7");
    assert_at(json, "linux.namespaces.4", "{\"type\":\"network\",\"path\":\"/run/netns/c\"}");
    cleanup_free char *all = at(json, "mounts");
    assert_null(strstr(all, "/data/c/etc/hosts"));
    assert_non_null(strstr(all, "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/vol\","
                                "\"options\":[\"rbind\",\"rprivate\",\"ro\"]}"));
    json_decref(json);
}

static void test_entrypoint_clears_cmd(void **state)
{
    (void)state;
    const char *entrypoint[] = {"/mine", NULL}, *none[] = {NULL}, *command[] = {"run", NULL};
    struct container_spec spec = {.id = "c", .image = "web:1", .entrypoint = entrypoint};
    json_t *json = config_of(&spec);
    assert_at(json, "process.args", "[\"/mine\"]");
    json_decref(json);
    spec.entrypoint = none;
    spec.command = command;
    json = config_of(&spec);
    assert_at(json, "process.args", "[\"run\"]");
    json_decref(json);
    spec.command = NULL;
    assert_null(config_of(&spec));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.msg, "web:1"));
}

static void test_signals(void **state)
{
    (void)state;
    assert_int_equal(container_record_signal("SIGQUIT"), SIGQUIT);
    assert_int_equal(container_record_signal("QUIT"), SIGQUIT);
    assert_int_equal(container_record_signal("3"), SIGQUIT);
    assert_int_equal(container_record_signal("SIGRTMIN+3"), SIGRTMIN + 3);
    static const char *const wrong[] = {"", "SIG", "NOPE", "-1", "65", "999", "3x", "SIGRTMIN-1"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(container_record_signal(wrong[i]), 0);
}

static char *make_root(const char *passwd, const char *group, int *ret_fd)
{
    char dir[] = "/tmp/wherry-bundle-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    cleanup_free char *etc = str_printf("%s/root/etc", dir);
    cleanup_free char *passwd_path = str_printf("%s/passwd", etc);
    cleanup_free char *group_path = str_printf("%s/group", etc);
    cleanup_free char *root = str_printf("%s/root", dir);
    assert_int_equal(file_mkdirs(etc, 0755, &err), 0);
    if (passwd)
        file_write_fast(passwd_path, passwd, strlen(passwd), 0644, &err);
    if (group)
        file_write_fast(group_path, group, strlen(group), 0644, &err);
    *ret_fd = open(root, O_PATH | O_DIRECTORY);
    return str_copy(dir);
}

static void test_users(void **state)
{
    (void)state;
    int fd;
    cleanup_free char *dir =
        make_root("broken\nroot:x:0:0::/root:/bin/sh\n"
                  "web:x:33:34:Web:/srv:/bin/sh\nneg:x:-5:1::/:\n",
                  "root:x:0:\nweb:x:34:\nlogs:x:40:a,web\nfew:x:41:webx\n", &fd);
    struct rootfs_user user;
    assert_int_equal(rootfs_user(fd, "web", &user, &err), 0);
    assert_true(user.uid == 33 && user.gid == 34 && user.groups_n == 1 && user.groups[0] == 40);
    assert_string_equal(user.home, "/srv");
    assert_int_equal(rootfs_user(fd, "33", &user, &err), 0);
    assert_true(user.gid == 34 && user.groups_n == 1);
    assert_int_equal(rootfs_user(fd, "web:logs", &user, &err), 0);
    assert_true(user.gid == 40 && user.groups_n == 0);
    assert_int_equal(rootfs_user(fd, "7:8", &user, &err), 0);
    assert_true(user.uid == 7 && user.gid == 8);
    assert_int_equal(rootfs_user(fd, "", &user, &err), 0);
    assert_true(user.uid == 0 && user.gid == 0);
    assert_string_equal(user.home, "/root");
    static const char *const wrong[] = {"nobody", "web:none",   "neg",
                                        "-1",     "4294967295", "99999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(rootfs_user(fd, wrong[i], &user, &err), ERR_NOTFOUND);
    close(fd);
    file_remove_tree(dir, &err);
}

static void test_hostile_root(void **state)
{
    (void)state;
    int fd;
    cleanup_free char *dir = make_root(NULL, NULL, &fd);
    cleanup_free char *passwd = str_printf("%s/root/etc/passwd", dir);
    cleanup_free char *secret = str_printf("%s/secret", dir);
    cleanup_free char *out = str_printf("%s/root/out", dir);
    cleanup_free char *made = str_printf("%s/made", dir);
    cleanup_free char *inside = str_printf("%s/root%s/made", dir, dir);
    struct rootfs_user user;
    file_write_fast(secret, "evil:x:0:0::/:\n", 15, 0644, &err);
    /* A link out of the root leads nowhere. */
    assert_int_equal(symlink("../../../../../../../../etc/passwd", passwd), 0);
    assert_int_equal(rootfs_user(fd, "root", &user, &err), ERR_IO);
    unlink(passwd);
    assert_int_equal(symlink(secret, passwd), 0);
    assert_int_equal(rootfs_user(fd, "evil", &user, &err), ERR_NOTFOUND);
    unlink(passwd);
    /* A fifo does not block, a huge file is not read. */
    assert_int_equal(mkfifo(passwd, 0600), 0);
    assert_int_equal(rootfs_user(fd, "root", &user, &err), ERR_CORRUPT);
    unlink(passwd);
    close(open(passwd, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(truncate(passwd, 1L << 40), 0);
    assert_int_equal(rootfs_user(fd, "root", &user, &err), ERR_TOOBIG);
    unlink(passwd);
    /* Folders are made inside, whatever a link says. */
    assert_int_equal(symlink(dir, out), 0);
    assert_true(rootfs_mkdirs(fd, "/out/made", 0, 0, 0, &err) < 0);
    assert_false(file_exists(made));
    assert_int_equal(rootfs_mkdirs(fd, dir, getuid(), getgid(), 0, &err), 0);
    assert_int_equal(rootfs_mkdirs(fd, "/out/made", getuid(), getgid(), 0, &err), 0);
    assert_false(file_exists(made));
    assert_true(file_exists(inside));
    assert_int_equal(rootfs_mkdirs(fd, "/a//b/c/", getuid(), getgid(), 0, &err), 0);
    assert_int_equal(rootfs_mkdirs(fd, "/", getuid(), getgid(), 0, &err), 0);
    close(fd);
    file_remove_tree(dir, &err);
}

int main(void)
{
    reset_machine();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_spec_wins),
        cmocka_unit_test(test_entrypoint_clears_cmd),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_hostile_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
