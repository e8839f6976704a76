/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read from and written to the kernel's files of a running container, on both versions of
 * control groups: folders with files as real kernels have them (5.10, 6.1, 6.18) stand for the
 * hierarchies.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/freeze.h"
#include "runtime/internal.h"
#include "runtime/processes.h"
#include "runtime/stats.h"
#include "runtime/update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GROUP "/wherry/container/t7"

static char root[64];
static struct runtime rt;
static struct err err;

static void add_mount(const char *name, const char *controllers, bool v2)
{
    rt.cgroup_mounts[rt.cgroup_mounts_n++] = (struct cgroup_mount){
        .path = str_printf("%s/%s", root, name), .controllers = str_copy(controllers), .v2 = v2};
}

static void put(const char *mount, const char *file, const char *text)
{
    cleanup_free char *dir = str_printf("%s/%s" GROUP, root, mount);
    cleanup_free char *path = str_printf("%s/%s", dir, file);
    assert_int_equal(file_mkdirs(dir, 0755, &err), 0);
    assert_int_equal(file_write_fast(path, text, strlen(text), 0644, &err), 0);
}

/* What was written last; a file is longer than that where it was longer before. */
static void assert_wrote(const char *mount, const char *file, const char *text)
{
    cleanup_free char *path = str_printf("%s/%s" GROUP "/%s", root, mount, file);
    cleanup_buf struct buf content = BUF_INIT;
    assert_int_equal(file_read(path, 4096, &content, &err), 0);
    if (strncmp(content.data, text, strlen(text)) != 0)
        fail_msg("%s: '%s', not '%s'", file, content.data, text);
}

static int begin(bool v2)
{
    memset(&rt, 0, sizeof(rt));
    str_fill(root, sizeof(root), "/tmp/wherry-live-XXXXXX");
    assert_non_null(mkdtemp(root));
    rt.cgroup_mode = v2 ? CGROUP_V2 : CGROUP_V1;
    if (v2) {
        add_mount("v2", ",cpuset,cpu,io,memory,pids,", true);
        return 0;
    }
    add_mount("memory", ",memory,", false);
    add_mount("cpu", ",cpu,", false);
    add_mount("cpuacct", ",cpuacct,", false);
    add_mount("pids", ",pids,", false);
    add_mount("blkio", ",blkio,", false);
    add_mount("freezer", ",freezer,", false);
    return 0;
}

static int begin_v1(void **state)
{
    (void)state;
    return begin(false);
}

static int begin_v2(void **state)
{
    (void)state;
    return begin(true);
}

static int end(void **state)
{
    (void)state;
    cgroup_release(&rt);
    return file_remove_tree(root, NULL);
}

/* --- stats ------------------------------------------------------------------------------------ */

static void test_stats_of_version_1(void **state)
{
    struct container_stats s = {0};
    (void)state;
    put("cpuacct", "cpuacct.usage", "5123456789\n");
    put("cpuacct", "cpuacct.stat", "user 300\nsystem 200\n");
    put("cpu", "cpu.stat", "nr_periods 40\nnr_throttled 4\nthrottled_time 250000000\n");
    put("cpu", "cpu.cfs_quota_us", "50000\n");
    put("cpu", "cpu.cfs_period_us", "100000\n");
    put("memory", "memory.usage_in_bytes", "10485760\n");
    put("memory", "memory.max_usage_in_bytes", "20971520\n");
    put("memory", "memory.limit_in_bytes", "67108864\n");
    put("memory", "memory.stat",
        "cache 1\ninactive_file 5\ntotal_cache 4194304\ntotal_swap 8192\n"
        "total_inactive_file 2097152\ntotal_active_file 1048576\n");
    put("memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    put("blkio", "blkio.throttle.io_service_bytes_recursive",
        "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 8192\n254:0 Async 4096\n254:0 Discard 0\n"
        "254:0 Total 12288\n254:16 Read 1\n254:16 Write 2\nTotal 12291\n");
    put("blkio", "blkio.throttle.io_serviced_recursive", "254:0 Read 3\n254:0 Write 5\nTotal 8\n");
    put("pids", "pids.current", "6\n");
    put("pids", "pids.max", "100\n");
    stats_read_group(&rt, GROUP, &s);
    assert_int_equal(s.cpu_ns, 5123456789);
    assert_int_equal(s.cpu_user_ns, 300 * (1000000000LL / sysconf(_SC_CLK_TCK)));
    assert_int_equal(s.cpu_limit_milli, 500);
    assert_int_equal(s.periods, 40);
    assert_int_equal(s.throttled_periods, 4);
    assert_int_equal(s.throttled_ns, 250000000);
    assert_int_equal(s.memory_bytes, 10485760);
    assert_int_equal(s.memory_working_bytes, 10485760 - 2097152);
    assert_int_equal(s.memory_file_bytes, 2097152 + 1048576);
    assert_int_equal(s.memory_peak_bytes, 20971520);
    assert_int_equal(s.memory_limit_bytes, 67108864);
    assert_int_equal(s.swap_bytes, 8192);
    assert_int_equal(s.oom_kills, 3);
    assert_int_equal(s.read_bytes, 4097);
    assert_int_equal(s.write_bytes, 8194);
    assert_int_equal(s.reads, 3);
    assert_int_equal(s.writes, 5);
    assert_int_equal(s.pids, 6);
    assert_int_equal(s.pids_limit, 100);
    assert_false(s.cpu_pressure.known);
}

static void test_no_limits_of_version_1(void **state)
{
    struct container_stats s = {0};
    (void)state;
    put("cpu", "cpu.cfs_quota_us", "-1\n");
    put("cpu", "cpu.cfs_period_us", "100000\n");
    put("memory", "memory.limit_in_bytes", "9223372036854771712\n");
    put("pids", "pids.max", "max\n");
    stats_read_group(&rt, GROUP, &s);
    assert_int_equal(s.cpu_limit_milli, 0);
    assert_int_equal(s.memory_limit_bytes, 0);
    assert_int_equal(s.pids_limit, 0);
}

static void test_stats_of_version_2(void **state)
{
    struct container_stats s = {0};
    (void)state;
    put("v2", "cpu.stat",
        "usage_usec 2500000\nuser_usec 1500000\nsystem_usec 1000000\ncore_sched.force_idle_usec 0\n"
        "nr_periods 10\nnr_throttled 2\nthrottled_usec 70000\nnr_bursts 0\nburst_usec 0\n");
    put("v2", "cpu.max", "150000 100000\n");
    put("v2", "cpu.pressure",
        "some avg10=12.34 avg60=3.00 avg300=0.50 total=987654\n"
        "full avg10=0.07 avg60=0.00 avg300=0.00 total=1234\n");
    put("v2", "memory.current", "8388608\n");
    put("v2", "memory.peak", "9000000\n");
    put("v2", "memory.max", "max\n");
    put("v2", "memory.swap.current", "4096\n");
    put("v2", "memory.stat",
        "anon 4194304\nfile 3000000\ninactive_file 1000000\n"
        "active_file 2000000\n");
    put("v2", "memory.events", "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n");
    put("v2", "memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\n");
    put("v2", "io.stat",
        "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"
        "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:0 \n");
    put("v2", "io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    put("v2", "pids.current", "3\n");
    put("v2", "pids.max", "4096\n");
    stats_read_group(&rt, GROUP, &s);
    assert_int_equal(s.cpu_ns, 2500000000);
    assert_int_equal(s.cpu_user_ns, 1500000000);
    assert_int_equal(s.cpu_system_ns, 1000000000);
    assert_int_equal(s.cpu_limit_milli, 1500);
    assert_int_equal(s.throttled_ns, 70000000);
    assert_true(s.cpu_pressure.known);
    assert_int_equal(s.cpu_pressure.some_centi, 1234);
    assert_int_equal(s.cpu_pressure.full_centi, 7);
    assert_int_equal(s.cpu_pressure.some_us, 987654);
    assert_int_equal(s.memory_bytes, 8388608);
    assert_int_equal(s.memory_working_bytes, 7388608);
    assert_int_equal(s.memory_file_bytes, 3000000);
    assert_int_equal(s.memory_limit_bytes, 0);
    assert_int_equal(s.memory_peak_bytes, 9000000);
    assert_int_equal(s.swap_bytes, 4096);
    assert_int_equal(s.oom_kills, 1);
    assert_int_equal(s.memory_pressure.some_centi, 100);
    assert_true(s.io_pressure.known);
    assert_int_equal(s.read_bytes, 4097);
    assert_int_equal(s.write_bytes, 8194);
    assert_int_equal(s.reads, 4);
    assert_int_equal(s.writes, 6);
    assert_int_equal(s.pids, 3);
    assert_int_equal(s.pids_limit, 4096);
}

static void test_what_is_missing_or_garbage_is_nothing(void **state)
{
    struct container_stats s = {0};
    struct container_pressure p = {0};
    (void)state;
    stats_read_group(&rt, GROUP, &s);
    assert_int_equal(s.cpu_ns, 0);
    put("v2", "cpu.stat", "usage_usec");
    put("v2", "cpu.max", "");
    put("v2", "io.stat", "rbytes= wbytes=\n\n\n8:0 rbytes=");
    put("v2", "memory.current", "-5\n");
    put("v2", "cpu.pressure", "some avg10=x\nfull\n");
    stats_read_group(&rt, GROUP, &s);
    assert_int_equal(s.cpu_ns, 0);
    assert_int_equal(s.memory_bytes, 0);
    assert_false(s.cpu_pressure.known);
    stats_parse_pressure("", &p);
    assert_false(p.known);
}

static void test_network_without_lo(void **state)
{
    struct container_stats s = {0};
    (void)state;
    stats_parse_network(
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
        "drop fifo colls carrier compressed\n"
        "    lo:    1000      10    0    0    0     0          0         0     1000      10    0   "
        " "
        "0    0     0       0          0\n"
        "  eth0: 5000 50 1 2 0 0 0 0 7000 70 0 3 0 0 0 0\n"
        "eth1:1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n",
        &s);
    assert_true(s.network_known);
    assert_int_equal(s.rx_bytes, 5001);
    assert_int_equal(s.rx_packets, 51);
    assert_int_equal(s.rx_dropped, 2);
    assert_int_equal(s.tx_bytes, 7002);
    assert_int_equal(s.tx_packets, 72);
    assert_int_equal(s.tx_dropped, 3);
}

/* --- update ----------------------------------------------------------------------------------- */

enum {
    ALL = CONTAINER_UPDATE_CPU | CONTAINER_UPDATE_CPU_SHARES | CONTAINER_UPDATE_MEMORY |
          CONTAINER_UPDATE_MEMSWAP | CONTAINER_UPDATE_RESERVED | CONTAINER_UPDATE_PIDS |
          CONTAINER_UPDATE_IO_WEIGHT,
};

static const struct container_spec limits = {.cpu_milli = 1500,
                                             .cpu_shares = 512,
                                             .memory_bytes = 128 << 20,
                                             .memswap_bytes = 192 << 20,
                                             .reserved_bytes = 64 << 20,
                                             .pids_max = 99,
                                             .io_weight = 300};

static void fill_v1(const char *memsw)
{
    put("cpu", "cpu.cfs_quota_us", "");
    put("cpu", "cpu.shares", "");
    put("memory", "memory.limit_in_bytes", "");
    put("memory", "memory.memsw.limit_in_bytes", memsw);
    put("memory", "memory.soft_limit_in_bytes", "");
    put("pids", "pids.max", "");
    put("blkio", "blkio.weight", "");
}

static void test_update_on_version_1(void **state)
{
    (void)state;
    fill_v1("");
    assert_int_equal(update_group(&rt, GROUP, &limits, &limits, ALL, &err), 0);
    assert_wrote("cpu", "cpu.cfs_quota_us", "150000");
    assert_wrote("cpu", "cpu.shares", "512");
    assert_wrote("memory", "memory.limit_in_bytes", "134217728");
    assert_wrote("memory", "memory.memsw.limit_in_bytes", "201326592");
    assert_wrote("memory", "memory.soft_limit_in_bytes", "67108864");
    assert_wrote("pids", "pids.max", "99");
    assert_wrote("blkio", "blkio.weight", "300");
}

static void test_no_limits_on_version_1(void **state)
{
    struct container_spec none = {0};
    (void)state;
    fill_v1("");
    assert_int_equal(update_group(&rt, GROUP, &limits, &none, ALL, &err), 0);
    assert_wrote("cpu", "cpu.cfs_quota_us", "-1");
    assert_wrote("cpu", "cpu.shares", "1024");
    assert_wrote("memory", "memory.limit_in_bytes", "-1");
    assert_wrote("memory", "memory.memsw.limit_in_bytes", "-1");
    assert_wrote("memory", "memory.soft_limit_in_bytes", "-1");
    assert_wrote("pids", "pids.max", "4096");
}

static void fill_v2(void)
{
    put("v2", "cpu.max", "");
    put("v2", "cpu.weight", "");
    put("v2", "memory.max", "");
    put("v2", "memory.swap.max", "");
    put("v2", "memory.low", "");
    put("v2", "pids.max", "");
    put("v2", "io.weight", "");
    put("v2", "cpuset.cpus", "");
}

static void test_update_on_version_2(void **state)
{
    struct container_spec to = limits;
    (void)state;
    to.cpuset = "0-1";
    fill_v2();
    assert_int_equal(update_group(&rt, GROUP, &limits, &to, ALL | CONTAINER_UPDATE_CPUSET, &err),
                     0);
    assert_wrote("v2", "cpu.max", "150000 100000");
    assert_wrote("v2", "cpu.weight", "20"); /* as runc turns 512 shares */
    assert_wrote("v2", "memory.max", "134217728");
    assert_wrote("v2", "memory.swap.max", "67108864"); /* swap alone */
    assert_wrote("v2", "memory.low", "67108864");
    assert_wrote("v2", "pids.max", "99");
    assert_wrote("v2", "io.weight", "default 2930");
    assert_wrote("v2", "cpuset.cpus", "0-1");
}

static void test_no_limits_on_version_2(void **state)
{
    struct container_spec none = {0}, swap = {.memory_bytes = 64 << 20, .memswap_bytes = -1};
    (void)state;
    fill_v2();
    assert_int_equal(update_group(&rt, GROUP, &limits, &none, ALL, &err), 0);
    assert_wrote("v2", "cpu.max", "max 100000");
    assert_wrote("v2", "cpu.weight", "39"); /* 1024 shares */
    assert_wrote("v2", "memory.max", "max");
    assert_wrote("v2", "memory.swap.max", "max");
    fill_v2();
    assert_int_equal(update_group(&rt, GROUP, &none, &swap, CONTAINER_UPDATE_MEMORY, &err), 0);
    assert_wrote("v2", "memory.max", "67108864");
    assert_wrote("v2", "memory.swap.max", "max");
}

static void test_less_memory_than_is_used_is_refused(void **state)
{
    struct container_spec to = {.memory_bytes = 16 << 20};
    (void)state;
    fill_v2();
    put("v2", "memory.max", "before");
    put("v2", "memory.current", "33554432\n");
    put("v2", "memory.stat", "inactive_file 4194304\nactive_file 4194304\n");
    assert_int_equal(update_group(&rt, GROUP, &limits, &to, CONTAINER_UPDATE_MEMORY, &err),
                     ERR_CONFLICT);
    assert_non_null(strstr(err.msg, "uses 25165824 bytes"));
    assert_wrote("v2", "memory.max", "before");
    /* Cached files can be given back. */
    to.memory_bytes = 25 << 20;
    assert_int_equal(update_group(&rt, GROUP, &limits, &to, CONTAINER_UPDATE_MEMORY, &err), 0);
}

static void test_a_missing_file_is_said(void **state)
{
    (void)state;
    put("v2", "pids.max", "");
    assert_int_equal(update_group(&rt, GROUP, &limits, &limits, CONTAINER_UPDATE_IO_WEIGHT, &err),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "io.weight"));
}

/* --- freeze ----------------------------------------------------------------------------------- */

static void test_freezer_of_version_1(void **state)
{
    (void)state;
    assert_false(freeze_is_on(&rt, GROUP));
    put("freezer", "freezer.state", "THAWED\n");
    assert_false(freeze_is_on(&rt, GROUP));
    /* The file keeps what is written: frozen at once. */
    assert_int_equal(freeze_group(&rt, GROUP, &err), 0);
    assert_true(freeze_is_on(&rt, GROUP));
    put("freezer", "freezer.state", "FREEZING\n");
    assert_true(freeze_is_on(&rt, GROUP));
    freeze_thaw(&rt, GROUP);
    assert_wrote("freezer", "freezer.state", "THAWED");
}

static void test_freezer_of_version_2(void **state)
{
    (void)state;
    put("v2", "cgroup.freeze", "0\n");
    put("v2", "cgroup.events", "populated 1\nfrozen 1\n");
    assert_false(freeze_is_on(&rt, GROUP));
    assert_int_equal(freeze_group(&rt, GROUP, &err), 0);
    assert_true(freeze_is_on(&rt, GROUP));
    freeze_thaw(&rt, GROUP);
    assert_false(freeze_is_on(&rt, GROUP));
}

/* --- processes -------------------------------------------------------------------------------- */

static void test_a_process(void **state)
{
    struct container_process p = {0};
    long tick = sysconf(_SC_CLK_TCK);
    (void)state;
    assert_int_equal(
        processes_parse(
            "4242 (odd) name (x) S 17 4242 4242 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 700 "
            "4096000 512 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
            "Name:\todd) name (x\nUmask:\t0022\nPid:\t4242\nUid:\t1000\t1001\t1002\t1003\n"
            "NStgid:\t4242\t9\t1\nNSpid:\t4242\t9\t1\nThreads:\t3\n",
            1000000, &p),
        0);
    assert_int_equal(p.pid, 4242);
    assert_int_equal(p.inside_pid, 1);
    assert_int_equal(p.parent_pid, 17);
    assert_int_equal(p.state, 'S');
    assert_int_equal(p.threads, 3);
    assert_int_equal(p.cpu_ms, 300 * 1000 / tick);
    assert_int_equal(p.started_ms, 1000000 + 700 * 1000 / tick);
    assert_int_equal(p.rss_bytes, 512 * sysconf(_SC_PAGESIZE));
    assert_int_equal(p.uid, 1000);
}

static void test_nonsense_is_no_process(void **state)
{
    struct container_process p = {0};
    (void)state;
    assert_true(processes_parse("", "", 0, &p) < 0);
    assert_true(processes_parse("1 (x) S 1", "Uid:\t0\n", 0, &p) < 0);
    assert_true(processes_parse("1 (x", "", 0, &p) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stats_of_version_1, begin_v1, end),
        cmocka_unit_test_setup_teardown(test_no_limits_of_version_1, begin_v1, end),
        cmocka_unit_test_setup_teardown(test_stats_of_version_2, begin_v2, end),
        cmocka_unit_test_setup_teardown(test_what_is_missing_or_garbage_is_nothing, begin_v2, end),
        cmocka_unit_test(test_network_without_lo),
        cmocka_unit_test_setup_teardown(test_update_on_version_1, begin_v1, end),
        cmocka_unit_test_setup_teardown(test_no_limits_on_version_1, begin_v1, end),
        cmocka_unit_test_setup_teardown(test_update_on_version_2, begin_v2, end),
        cmocka_unit_test_setup_teardown(test_no_limits_on_version_2, begin_v2, end),
        cmocka_unit_test_setup_teardown(test_less_memory_than_is_used_is_refused, begin_v2, end),
        cmocka_unit_test_setup_teardown(test_a_missing_file_is_said, begin_v2, end),
        cmocka_unit_test_setup_teardown(test_freezer_of_version_1, begin_v1, end),
        cmocka_unit_test_setup_teardown(test_freezer_of_version_2, begin_v2, end),
        cmocka_unit_test(test_a_process),
        cmocka_unit_test(test_nonsense_is_no_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
