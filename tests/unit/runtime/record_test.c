/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's record: every field goes to disk and back; one that 0.2.0 wrote is read.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/capability.h"
#include "runtime/container_record.h"
#include "runtime/cpuset.h"
#include "runtime/device.h"
#include "runtime/internal.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err err;
static char dir[] = "/tmp/wherry-record-XXXXXX";
static struct runtime rt = {.data_dir = dir};

static void write_record(const char *id, const char *text)
{
    cleanup_free char *folder = str_printf("%s/containers/%s", dir, id);
    cleanup_free char *path = str_printf("%s/spec.json", folder);
    assert_int_equal(file_mkdirs(folder, 0700, &err), 0);
    assert_int_equal(file_write_fast(path, text, strlen(text), 0600, &err), 0);
}

/* As 0.2.0 wrote it. */
static void test_old_record(void **unused)
{
    (void)unused;
    write_record("old",
                 "{\n \"version\": 1,\n \"image_digest\": \"sha256:00\",\n \"id\": \"old\",\n"
                 " \"image\": \"web:1\",\n \"hostname\": \"web\",\n \"user\": \"33:33\",\n"
                 " \"entrypoint\": [],\n \"command\": [\"serve\", \"-v\"],\n \"env\": [\"A=1\"],\n"
                 " \"cpu_milli\": 500,\n \"memory_bytes\": 67108864,\n \"pids_max\": 0,\n"
                 " \"log_max_bytes\": 0,\n \"read_only\": true,\n \"mounts\": [{\"source\": \"/v\","
                 " \"target\": \"/data\", \"read_only\": false}]\n}");
    struct container_record record;
    int rv = container_record_load(&rt, "old", &record, &err);
    if (rv < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(record.image_digest, "sha256:00");
    assert_string_equal(record.spec.user, "33:33");
    assert_non_null(record.spec.entrypoint);
    assert_null(record.spec.entrypoint[0]);
    assert_string_equal(record.spec.command[1], "-v");
    assert_null(record.spec.command[2]);
    assert_int_equal(record.spec.cpu_milli, 500);
    assert_true(record.spec.read_only);
    assert_int_equal(record.spec.mounts_n, 1);
    assert_string_equal(record.spec.mounts[0].target, "/data");
    assert_null(record.spec.mounts[0].propagation);
    assert_null(record.spec.cap_add);
    assert_false(record.spec.privileged);
    container_record_release(&record);
}

static const char *const pair[] = {"A=1", "B=2", NULL};
static const char *const caps[] = {"NET_ADMIN", NULL};
static const char *const rules[] = {"c 1:3 rwm", NULL};
static const char *const words[] = {"one", NULL};
static const char *const size_option[] = {"size=1m", NULL};
static const struct container_mount mounts[] = {{"/s", "/t", true, "rslave", true},
                                                {"/s2", "/t2", 0, 0, 0}};
static const struct container_tmpfs tmpfs[] = {{"/tmp", 1 << 20, 0700, size_option}};
static const struct container_device devices[] = {{"/dev/a", "/dev/b", "rw"}};
static const struct container_ulimit ulimits[] = {{"nofile", 10, 20}, {"core", -1, -1}};
static const struct container_io io[] = {{CONTAINER_IO_WRITE_IOPS, "/dev/sda", 7}};

/* No field is its default: what the table forgets is found. */
static const struct container_spec full = {.id = "full",
                                           .image = "i",
                                           .entrypoint = words,
                                           .command = words,
                                           .env = pair,
                                           .hostname = "h",
                                           .user = "u",
                                           .working_dir = "/w",
                                           .stop_signal = "QUIT",
                                           .mounts = mounts,
                                           .mounts_n = 2,
                                           .netns = "/n",
                                           .resolv_conf = "r",
                                           .hosts = "hosts",
                                           .cpu_milli = 100,
                                           .memory_bytes = 64 << 20,
                                           .pids_max = 3,
                                           .read_only = true,
                                           .log_max_bytes = 5,
                                           .log_files = 6,
                                           .log_none = true,
                                           .domainname = "d",
                                           .group_add = words,
                                           .tmpfs = tmpfs,
                                           .tmpfs_n = 1,
                                           .shm_bytes = 4096,
                                           .cap_add = caps,
                                           .cap_drop = caps,
                                           .privileged = true,
                                           .devices = devices,
                                           .devices_n = 1,
                                           .device_rules = rules,
                                           .no_new_privileges = true,
                                           .seccomp = "unconfined",
                                           .apparmor = "a",
                                           .sysctls = pair,
                                           .ulimits = ulimits,
                                           .ulimits_n = 2,
                                           .init = true,
                                           .stdin_open = true,
                                           .tty = true,
                                           .pid_host = true,
                                           .ipc_host = true,
                                           .uts_host = true,
                                           .cgroupns_host = true,
                                           .userns = true,
                                           .memswap_bytes = -1,
                                           .swappiness_set = 8,
                                           .reserved_bytes = 9,
                                           .cpuset = "0",
                                           .cpu_shares = 10,
                                           .io_weight = 11,
                                           .io = io,
                                           .io_n = 1,
                                           .oom_score_adj = -12,
                                           .oom_kill_disable = true,
                                           .oci_runtime = "crun",
                                           .storage_bytes = 13,
                                           .labels = pair,
                                           .annotations = pair};

static void test_every_field(void **unused)
{
    (void)unused;
    /* Whoever adds a field to the spec adds it to the table and to this test. */
    const char *bytes = (const char *)&full;
    for (size_t at = 0; at < sizeof(full); at += 8) {
        bool empty = true;
        for (size_t i = at; i < at + 8; i++)
            empty &= bytes[i] == 0;
        if (empty)
            fail_msg("the field at byte %zu is its default", at);
    }
    cleanup_free char *path = str_printf("%s/full.json", dir);
    cleanup_free char *again = str_printf("%s/again.json", dir);
    assert_int_equal(container_record_save(path, &full, "sha256:11", &err), 0);
    cleanup_buf struct buf text = BUF_INIT, second = BUF_INIT;
    assert_int_equal(file_read(path, 1 << 20, &text, &err), 0);
    json_t *json = json_loadb(text.data, text.len, 0, NULL);
    struct container_spec spec = {0};
    struct owned owned = {0};
    assert_int_equal(container_record_fields(json, &spec, &owned, &err), 0);
    assert_int_equal(container_record_save(again, &spec, "sha256:11", &err), 0);
    assert_int_equal(file_read(again, 1 << 20, &second, &err), 0);
    assert_string_equal(text.data, second.data);
    /* Each byte that is no pointer came back, each pointer points somewhere. */
    const char *got = (const char *)&spec;
    for (size_t at = 0; at < sizeof(spec); at += 8) {
        bool empty = true;
        for (size_t i = at; i < at + 8; i++)
            empty &= got[i] == 0;
        if (empty)
            fail_msg("the field at byte %zu did not come back", at);
    }
    assert_int_equal(spec.memswap_bytes, -1);
    assert_int_equal(spec.oom_score_adj, -12);
    assert_int_equal(spec.io[0].kind, CONTAINER_IO_WRITE_IOPS);
    assert_int_equal(spec.ulimits[1].hard, -1);
    assert_string_equal(spec.tmpfs[0].options[0], "size=1m");
    assert_true(spec.stdin_open && spec.tty && spec.init && spec.userns && spec.uts_host);
    owned_release(&owned);
    json_decref(json);
}

static void test_damaged(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "{\"version\": 2, \"image_digest\": \"d\", \"id\": \"bad\", \"image\": \"i\"}",
        "{\"version\": 1, \"image_digest\": \"d\", \"id\": \"other\", \"image\": \"i\"}",
        "{\"version\": 1, \"id\": \"bad\", \"image\": \"i\"}",
        "{\"version\": 1, \"image_digest\": \"d\", \"id\": \"bad\", \"image\": 7}",
        "{\"version\": 1, \"image_digest\": \"d\", \"id\": \"bad\", \"image\": \"i\", \"env\": "
        "[1]}",
        "{\"version\": 1, \"image_digest\": \"d\", \"id\": \"bad\", \"image\": \"i\", \"tty\": 1}",
        "{\"version\": 1, \"image_digest\": \"d\", \"id\": \"bad\", \"image\": \"i\", "
        "\"mounts\": [\"x\"]}",
        "{\"version\": 1, \"image_digest\": \"d\", \"id\": \"bad\", \"image\": \"i\", "
        "\"io\": [{\"kind\": \"odd\", \"path\": \"/x\"}]}"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct container_record record;
        write_record("bad", texts[i]);
        if (container_record_load(&rt, "bad", &record, &err) != ERR_CORRUPT)
            fail_msg("text %zu is not refused", i);
        assert_non_null(strstr(err.msg, "bad/spec.json is damaged"));
    }
}

static uint64_t set_of(const char *const *add, const char *const *drop, bool privileged)
{
    struct container_spec spec = {.cap_add = add, .cap_drop = drop, .privileged = privileged};
    uint64_t set = 0, own = ((UINT64_C(1) << 41) - 1) & ~(UINT64_C(1) << 24);
    if (capability_set(&spec, own, &set, &err) < 0)
        return UINT64_MAX;
    return set;
}

static void test_capabilities(void **unused)
{
    (void)unused;
    const char *none[] = {NULL}, *all[] = {"all", NULL}, *admin[] = {"cap_sys_admin", NULL},
               *chown[] = {"CHOWN", NULL}, *odd[] = {"CAP_ODD", NULL},
               *resource[] = {"SYS_RESOURCE", NULL}, *all_and[] = {"ALL", "CHOWN", NULL};
    uint64_t own = ((UINT64_C(1) << 41) - 1) & ~(UINT64_C(1) << 24);
    assert_int_equal(set_of(NULL, NULL, false), 0xa80425fb);
    assert_int_equal(set_of(none, none, false), 0xa80425fb);
    assert_int_equal(set_of(admin, NULL, false), 0xa82425fb);
    assert_int_equal(set_of(NULL, chown, false), 0xa80425fa);
    assert_int_equal(set_of(chown, chown, false), 0xa80425fb);
    assert_int_equal(set_of(chown, all, false), 1);
    assert_int_equal(set_of(chown, all_and, false), 1);
    assert_int_equal(set_of(all, NULL, false), own);
    assert_int_equal(set_of(all, chown, false), own & ~UINT64_C(1));
    assert_int_equal(set_of(NULL, all, true), own);
    assert_int_equal(set_of(odd, NULL, false), UINT64_MAX);
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(set_of(NULL, odd, false), UINT64_MAX);
    assert_int_equal(set_of(resource, NULL, false), UINT64_MAX);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    for (int i = 0; i <= CAPABILITY_LAST; i++)
        assert_int_equal(capability_number(capability_name(i)), i);
    assert_null(capability_name(41));
    assert_int_equal(capability_number(""), -1);
    assert_int_equal(capability_number("CAP_"), -1);
}

static void test_cpusets(void **unused)
{
    (void)unused;
    cpu_set_t set;
    assert_true(cpuset_parse("0-2,7", &set));
    assert_int_equal(CPU_COUNT(&set), 4);
    assert_true(CPU_ISSET(2, &set) && CPU_ISSET(7, &set) && !CPU_ISSET(3, &set));
    static const char *const wrong[] = {
        "", "-", "1-", "2-1", "1,", ",1", "a", "1 ", "1024", "-1", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(cpuset_parse(wrong[i], &set));
}

static void test_device_rules(void **unused)
{
    (void)unused;
    struct device_rule rule;
    assert_true(device_rule_parse("c 1:3 rwm", &rule));
    assert_true(rule.type == 'c' && rule.major == 1 && rule.minor == 3);
    assert_string_equal(rule.access, "rwm");
    assert_true(device_rule_parse("a *:* m", &rule));
    assert_true(rule.type == 'a' && rule.major == -1 && rule.minor == -1);
    static const char *const wrong[] = {
        "",         "c",         "c 1:3",    "c 1:3 x",  "d 1:3 r",          "c 1 r",     "c 1: r",
        "c 1:3 rr", "c 1:3 r w", "cc 1:3 r", "c -1:3 r", "c 1:9999999999 r", "c 1:3 rwmr"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        if (device_rule_parse(wrong[i], &rule))
            fail_msg("'%s' is taken", wrong[i]);
    }
}

int main(void)
{
    check(mkdtemp(dir));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_record), cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_damaged),    cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_cpusets),    cmocka_unit_test(test_device_rules),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    file_remove_tree(dir, &err);
    return failed;
}
