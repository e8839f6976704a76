/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every option of a container, looked at from inside, with crun and with runc.
 */
#include "tests/unit/runtime/runtime_lab.h"

#include "runtime/internal.h"
#include "runtime/network.h"
#include "runtime/oci.h"
#include "runtime/volume.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const char *const runtimes[] = {"crun", "runc"};
static size_t runtime_now;

/* What stands in the output of a run of @script, and what (after a '!') does not. */
struct option_case {
    const char *name;
    struct container_spec spec;
    const char *script;
    const char *want[8];
};

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const struct container_tmpfs scratch[] = {{.target = "/scratch",
                                                  .size_bytes = 1 << 20,
                                                  .mode = 0750,
                                                  .options = LIST("uid=1000", "exec")}};
static const struct container_ulimit limits[] = {{"nofile", 100, 200}, {"core", 0, 0}};
static const struct container_ulimit endless[] = {{"fsize", -1, -1}};
static const struct container_device fuse[] = {{.source = "/dev/zero", .target = "/dev/nothing"}};
static const struct container_device only_read[] = {
    {.source = "/dev/full", .target = "/dev/brim", .access = "r"}};

static const struct option_case cases[] = {
    {"groups", {.user = "web", .group_add = LIST("media", "77")}, "id", {"44(media)", "77"}},
    {"names",
     {.hostname = "box", .domainname = "lab.test"},
     "hostname; cat /proc/sys/kernel/domainname",
     {"box\nlab.test\n"}},
    {"root",
     {.read_only = true},
     "touch /x || echo frozen; touch /dev/shm/x && echo shm",
     {"frozen\n", "shm\n"}},
    {"tmpfs",
     {.tmpfs = scratch, .tmpfs_n = 1},
     "grep ' /scratch ' /proc/mounts; stat -c %a:%u /scratch",
     {"size=1024k", "nosuid,nodev", "!noexec", "750:1000\n"}},
    {"shm", {.shm_bytes = 1 << 20}, "grep ' /dev/shm ' /proc/mounts", {"size=1024k"}},
    {"caps", {0}, "grep Cap /proc/self/status", {"CapEff:\t00000000a80425fb\n"}},
    {"cap-add",
     {.cap_add = LIST("net_admin", "CAP_SYS_TIME")},
     "grep Cap /proc/self/status",
     {"CapEff:\t00000000aa0435fb\n", "CapInh:\t0000000000000000\n"}},
    {"cap-drop",
     {.cap_drop = LIST("ALL"), .cap_add = LIST("CHOWN")},
     "grep Cap /proc/self/status",
     {"CapEff:\t0000000000000001\n", "CapBnd:\t0000000000000001\n"}},
    {"cap-all",
     {.cap_add = LIST("ALL"), .cap_drop = LIST("SYS_ADMIN")},
     "grep CapEff /proc/self/status",
     {"CapEff:\t000001fffedfffff\n"}},
    {"privileged",
     {.privileged = true},
     "grep -e CapEff -e Seccomp: /proc/self/status; ls /dev/loop0 /dev/kmsg; head -c0 /dev/loop0 "
     "&& echo read; mkdir -p /m && mount -t tmpfs x /m && echo mounted; grep ' /sys ' "
     "/proc/mounts; "
     "grep -c kcore /proc/mounts",
     {"CapEff:\t000001fffeffffff\n", "Seccomp:\t0\n", "/dev/loop0\n", "read\n", "mounted\n",
      "/sys sysfs rw", "\n0\n"}},
    {"device",
     {.devices = fuse, .devices_n = 1},
     "stat -c '%t:%T' /dev/nothing; head -c3 /dev/nothing | wc -c; ls /dev/loop0 || echo none",
     {"1:5\n3\n", "none\n"}},
    {"device-access",
     {.devices = only_read, .devices_n = 1, .cap_add = LIST("MKNOD")},
     "mknod /loop b 7 0; head -c1 /loop || echo refused",
     {"refused\n"}},
    {"device-rules",
     {.device_rules = LIST("b 7:* rm")},
     "mknod /loop b 7 0; head -c0 /loop && echo read; (echo >/loop) || echo unwritten",
     {"read\n", "unwritten\n"}},
    {"sysctls",
     {.sysctls = LIST("kernel.shmmax=1234567", "fs.mqueue.msg_max=20")},
     "cat /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max",
     {"1234567\n20\n"}},
    {"ulimits",
     {.ulimits = limits, .ulimits_n = 2},
     "ulimit -n; ulimit -Hn; ulimit -c",
     {"100\n200\n0\n"}},
    {"endless", {.ulimits = endless, .ulimits_n = 1}, "ulimit -Hf", {"unlimited\n"}},
    {"nofile", {0}, "ulimit -n", {"1024\n"}},
    {"pid-host", {.pid_host = true}, "ls -d /proc/$PPID; echo $$", {"!\n1\n", "/proc/"}},
    {"pid-own", {0}, "echo pid $$", {"pid 1\n"}},
    {"uts-host", {.uts_host = true}, "hostname", {"$HOSTNAME\n"}},
    {"new-privileges",
     {.no_new_privileges = true, .user = "web"},
     "grep NoNewPrivs /proc/self/status",
     {"NoNewPrivs:\t1\n"}},
    {"old-privileges",
     {.user = "web"},
     "grep NoNewPrivs /proc/self/status; stat -c %a:%u /bin/suid",
     {"NoNewPrivs:\t0\n4755:0\n"}},
    {"tty-less", {0}, "tty", {"not a tty"}},
    {"memory",
     {.memory_bytes = 64 << 20,
      .memswap_bytes = 96 << 20,
      .reserved_bytes = 32 << 20,
      .swappiness_set = 11},
     "cd /sys/fs/cgroup/memory; cat memory.limit_in_bytes memory.memsw.limit_in_bytes "
     "memory.soft_limit_in_bytes memory.swappiness",
     {"67108864\n100663296\n33554432\n10\n"}},
    {"swap-none",
     {.memory_bytes = 64 << 20},
     "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
     {"67108864\n"}},
    {"swap-endless",
     {.memory_bytes = 64 << 20, .memswap_bytes = -1},
     "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
     {"9223372036854771712\n"}},
    {"oom",
     {.memory_bytes = 64 << 20, .oom_kill_disable = true, .oom_score_adj = 500},
     "grep oom_kill_disable /sys/fs/cgroup/memory/memory.oom_control; cat /proc/1/oom_score_adj",
     {"oom_kill_disable 1\n500\n"}},
    {"cpu",
     {.cpu_milli = 250, .cpu_shares = 512, .cpuset = "1"},
     "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares; "
     "grep Cpus_allowed_list /proc/self/status",
     {"25000\n512\n", "Cpus_allowed_list:\t1\n"}},
    {"pids", {.pids_max = 7}, "cat /sys/fs/cgroup/pids/pids.max", {"7\n"}},
    {"labels", {.labels = LIST("a=b"), .annotations = LIST("org.test=1")}, "echo ran", {"ran\n"}},
    {"seccomp", {0}, "grep Seccomp: /proc/self/status", {"Seccomp:\t2\n"}},
    {"kept-back",
     {0},
     "exec 2>&1; unshare -U true || echo no; mount -t tmpfs x /tmp || echo no; hostname x || echo "
     "no; "
     "date -s 1 || echo no; swapoff /x || echo no",
     {"unshare(0x10000000): Operation not permitted\nno\n", "Operation not permitted\nno\n"}},
    {"with-admin",
     {.cap_add = LIST("SYS_ADMIN")},
     "unshare -n true && echo net; mount -t tmpfs x /tmp && echo mounted",
     {"net\nmounted\n"}},
    {"own-profile",
     {.seccomp = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\","
                 "\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}"},
     "exec 2>&1; mkdir /x; unshare -U true && echo allowed",
     {"No space left on device\n", "allowed\n"}},
    {"privileged-profile",
     {.privileged = true, .seccomp = "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}"},
     "grep Seccomp: /proc/self/status",
     {"Seccomp:\t2\n"}},
    {"unconfined",
     {.seccomp = "unconfined"},
     "grep Seccomp: /proc/self/status; unshare -U true && echo allowed",
     {"Seccomp:\t0\n", "allowed\n"}},
};

static char *expand(const char *want)
{
    char name[65] = "";
    gethostname(name, sizeof(name) - 1);
    return str_starts(want, "$HOSTNAME") ? str_printf("%s%s", name, want + 9) : str_copy(want);
}

static unsigned run_case(const struct option_case *c)
{
    cleanup_free char *output = lab_run(c->name, c->spec, c->script);
    unsigned failed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(c->want) && c->want[i]; i++) {
        bool wanted = c->want[i][0] != '!';
        cleanup_free char *text = expand(c->want[i] + !wanted);
        if ((strstr(output, text) != NULL) == wanted)
            continue;
        print_error("%s: %s'%s' in: %s\n", c->name, wanted ? "no " : "", text, output);
        failed++;
    }
    assert_ok(container_remove(lab_rt, c->name, &err));
    return failed;
}

static void test_options(void **unused)
{
    (void)unused;
    print_message("with %s\n", runtime_oci_version(lab_rt));
    unsigned failed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        failed += run_case(&cases[i]);
    assert_int_equal(failed, 0);
}

static void test_mounts(void **unused)
{
    (void)unused;
    cleanup_free char *volume = NULL;
    assert_ok(volume_ensure(lab_rt, "v", &volume, &err));
    /* Deeper ones come last, whatever the order they are given in. */
    struct container_mount mounts[] = {
        {.source = volume, .target = "/a/b", .propagation = "rslave"},
        {.source = volume, .target = "/a", .read_only = true}};
    struct container_spec spec = {.mounts = mounts, .mounts_n = 2};
    lab_command("mkdir -p %s/b && echo file >%s/f", volume, volume);
    cleanup_free char *output = lab_run("mounts", spec,
                                        "touch /a/x || echo frozen; touch /a/b/y && ls /a/b; "
                                        "grep -c ' /a/b .*master:' /proc/self/mountinfo");
    if (!strstr(output, "frozen\n") || !strstr(output, "f\ny\n"))
        fail_msg("%s", output);
    assert_ok(container_remove(lab_rt, "mounts", &err));
    assert_ok(volume_remove(lab_rt, "v", &err));
}

/* What cannot be honoured is refused, with the field's name. */
static void test_refused(void **unused)
{
    (void)unused;
    static const struct container_ulimit high[] = {{"nofile", 1, 1 << 30}}, odd[] = {{"x", 1, 1}};
    static const struct container_device gone[] = {{.source = "/dev/no-such"}},
                                         file[] = {{.source = "/etc/passwd"}};
    static const struct container_io no_disk[] = {
        {.kind = CONTAINER_IO_READ_BPS, .path = "/dev/null", .value = 1}};
    const struct container_tmpfs comma[] = {{.target = "/t", .options = LIST("uid=1,suid")}};
    const struct {
        struct container_spec spec;
        int code;
        const char *word;
    } refused[] = {
        {{.cap_add = LIST("NOPE")}, ERR_INVALID, "cap_add"},
        {{.cap_drop = LIST("CAP_NOPE")}, ERR_INVALID, "cap_drop"},
        {{.ulimits = high, .ulimits_n = 1}, ERR_UNSUPPORTED, "ulimits: nofile"},
        {{.ulimits = odd, .ulimits_n = 1}, ERR_INVALID, "ulimits"},
        {{.devices = gone, .devices_n = 1}, ERR_NOTFOUND, "/dev/no-such"},
        {{.devices = file, .devices_n = 1}, ERR_INVALID, "no device"},
        {{.device_rules = LIST("c 1:3")}, ERR_INVALID, "device_rules"},
        {{.sysctls = LIST("kernel.panic=1")}, ERR_INVALID, "kernel.panic"},
        {{.sysctls = LIST("net.core.somaxconn=1")}, ERR_INVALID, "net.core"},
        {{.sysctls = LIST("kernel.sem=1"), .ipc_host = true}, ERR_INVALID, "kernel.sem"},
        {{.cpuset = "9"}, ERR_UNSUPPORTED, "cpuset"},
        {{.cpuset = "1-"}, ERR_INVALID, "cpuset"},
        {{.io = no_disk, .io_n = 1}, ERR_INVALID, "io: /dev/null"},
        {{.tmpfs = comma, .tmpfs_n = 1}, ERR_INVALID, "tmpfs"},
        {{.apparmor = "docker-default"}, ERR_UNSUPPORTED, "apparmor"},
        {{.oom_score_adj = -10}, ERR_UNSUPPORTED, "oom_score_adj"},
        {{.oom_score_adj = 1001}, ERR_INVALID, "oom_score_adj"},
        {{.memswap_bytes = 1 << 30}, ERR_INVALID, "memswap_bytes"},
        {{.uts_host = true, .hostname = "x"}, ERR_INVALID, "hostname"},
        {{.seccomp = "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}"}, ERR_UNSUPPORTED, "NOTIFY"},
        {{.seccomp = "docker/default"}, ERR_INVALID, "seccomp"},
        {{.userns = true, .privileged = true}, ERR_INVALID, "userns"},
        {{.userns = true, .pid_host = true}, ERR_INVALID, "userns"},
        {{.storage_bytes = 1 << 30}, ERR_UNSUPPORTED, "storage_bytes"},
        {{.shm_bytes = 1}, ERR_INVALID, "shm_bytes"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct container_spec spec = refused[i].spec;
        spec.id = "refused";
        spec.image = "busybox";
        err = (struct err){0};
        int rv = container_create(lab_rt, &spec, &err);
        if (rv != refused[i].code || !strstr(err.msg, refused[i].word))
            fail_msg("case %zu (%s): %s: %s", i, refused[i].word, err_name(rv), err.msg);
    }
}

/* A limit of a real disk, if there is one here. */
static void test_io(void **unused)
{
    (void)unused;
    struct stat st;
    if (stat("/dev/loop0", &st) < 0 || !S_ISBLK(st.st_mode))
        skip();
    struct container_io io[] = {
        {.kind = CONTAINER_IO_READ_BPS, .path = "/dev/loop0", .value = 1000000},
        {.kind = CONTAINER_IO_WRITE_IOPS, .path = "/dev/loop0", .value = 50}};
    struct container_spec spec = {.io = io, .io_n = 2};
    cleanup_free char *output =
        lab_run("io", spec,
                "cd /sys/fs/cgroup/blkio; cat blkio.throttle.read_bps_device "
                "blkio.throttle.write_iops_device");
    assert_string_equal(output, "7:0 1000000\n7:0 50\n");
    assert_ok(container_remove(lab_rt, "io", &err));
}

static void test_net_sysctl(void **unused)
{
    (void)unused;
    cleanup_free char *netns = str_printf("%s/run/netns/sysctl", lab_root);
    assert_ok(network_netns_create(netns, &err));
    struct container_spec spec = {.netns = netns,
                                  .sysctls = LIST("net.ipv4.ip_unprivileged_port_start=81")};
    cleanup_free char *output =
        lab_run("sysctl", spec, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
    assert_string_equal(output, "81\n");
    assert_ok(container_remove(lab_rt, "sysctl", &err));
    assert_ok(network_netns_remove(netns, &err));
}

static const char *number_in(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? at + strlen(key) : "";
}

/* Root inside is nobody outside; owners of the image, the writable layer and volumes stay. */
static void test_userns(void **unused)
{
    (void)unused;
    cleanup_free char *volume = NULL;
    cleanup_free char *netns = str_printf("%s/run/netns/inside", lab_root);
    assert_ok(volume_ensure(lab_rt, "owned", &volume, &err));
    lab_command("echo mine >%s/web && chown 1000:1000 %s/web", volume, volume);
    assert_ok(network_netns_create(netns, &err));
    struct container_mount mounts[] = {{.source = volume, .target = "/data"}};
    const char *argv[] = {
        "/bin/sh", "-c",
        "cat /proc/self/uid_map; id -u; stat -c '%n %u:%g %a' /bin/suid /home/web /data/web "
        "/etc/hosts /deep/down; echo new:x:50: >>/etc/group && echo grown; touch /data/new /made; "
        "chown 33:33 /data/new /made && echo given; cat /etc/hosts | head -1; "
        "cat /proc/sys/net/core/somaxconn; mount -t tmpfs x /tmp || echo kept; "
        "mknod /null c 1 3 || echo none; "
        "(nc -l -p 80 & sleep 0.2; kill $! && echo port); ls /sys/class/net | wc -l; sleep 1000",
        NULL};
    struct container_spec spec = {.id = "inside",
                                  .image = "busybox",
                                  .command = argv,
                                  .userns = true,
                                  .init = true,
                                  .netns = netns,
                                  .sysctls = LIST("net.core.somaxconn=77"),
                                  .hostname = "box",
                                  .working_dir = "/deep/down",
                                  .mounts = mounts,
                                  .mounts_n = 1};
    if (runtime_now == 1) {
        assert_int_equal(container_create(lab_rt, &spec, &err), ERR_UNSUPPORTED);
        assert_ok(network_netns_remove(netns, &err));
        assert_ok(volume_remove(lab_rt, "owned", &err));
        return;
    }
    assert_ok(container_create(lab_rt, &spec, &err));
    struct container_spec other = {.id = "other", .image = "busybox", .userns = true};
    assert_ok(container_create(lab_rt, &other, &err));
    assert_ok(container_start(lab_rt, "inside", 1, &err));
    char *output = NULL;
    for (int i = 0; i < 500 && !(output && strstr(output, "port\n")); i++) {
        struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
        free(output);
        output = lab_output("inside", 1);
    }
    static const char *const wanted[] = {
        "1000000      65536\n0\n/bin/suid 0:0 4755\n/home/web 1000:1000 755\n/data/web 1000:1000 "
        "644\n"
        "/etc/hosts 0:0 644\n/deep/down 0:0 755\ngrown\ngiven\n127.0.0.1\tlocalhost\n77\n",
        "kept\n", "none\n", "port\n"};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        if (!strstr(output, wanted[i]))
            fail_msg("no '%s' in: %s", wanted[i], output);
    }
    free(output);
    struct container_state state;
    assert_ok(container_state(lab_rt, "inside", &state, &err));
    cleanup_free char *path = str_printf("/proc/%d/status", (int)state.pid);
    cleanup_buf struct buf status = BUF_INIT;
    assert_ok(file_read(path, 65536, &status, &err));
    assert_true(str_starts(number_in(status.data, "\nUid:\t"), "1000000\t"));
    /* On disk they are the container's. */
    lab_command("test $(stat -c %%u:%%g %s/new) = 33:33 && "
                "test $(stat -c %%u:%%g %s/data/containers/inside/upper/made) = 33:33 && "
                "test $(stat -c %%u %s/data/containers/inside/upper/etc/group) = 0 && "
                "test $(stat -c %%u %s/data/containers/inside/upper/deep/down) = 0",
                volume, lab_root, lab_root, lab_root);
    /* No two have the same range, and one that is gone is free again. */
    lab_command("test $(cat %s/data/containers/other/userns) = 1065536", lab_root);
    const char *who[] = {"/bin/id", "-u", NULL};
    cleanup_buf struct buf said = BUF_INIT;
    int code = -1;
    assert_ok(container_exec(lab_rt, "inside", who, 20000, &said, &code, &err));
    assert_string_equal(said.data, "0\n");
    assert_ok(container_remove(lab_rt, "inside", &err));
    assert_ok(container_create(lab_rt, &spec, &err));
    lab_command("test $(cat %s/data/containers/inside/userns) = 1000000", lab_root);
    assert_ok(container_remove(lab_rt, "inside", &err));
    assert_ok(container_remove(lab_rt, "other", &err));
    assert_ok(network_netns_remove(netns, &err));
    assert_ok(volume_remove(lab_rt, "owned", &err));
    lab_command("! grep -q %s /proc/self/mountinfo", lab_root);
}

/* Runtimes by name: a copy of one that works, a script that does not, one that is not there. */
static void test_by_name(void **unused)
{
    (void)unused;
    runtime_close(lab_rt);
    lab_command(
        "cp $(command -v crun) %s/crun-copy && "
        "printf '#!/bin/sh\\necho no luck >&2; exit 3\\n' >%s/broken && chmod 755 %s/broken",
        lab_root, lab_root, lab_root);
    cleanup_free char *copy = str_printf("mine=%s/crun-copy", lab_root);
    cleanup_free char *broken = str_printf("broken=%s/broken", lab_root);
    const char *more[] = {copy, broken, "gone=/no/such/runtime", NULL};
    struct runtime_config config = lab_config();
    config.oci_runtime = runtimes[runtime_now];
    config.oci_runtimes = more;
    assert_ok(runtime_open(&config, &lab_rt, &err));
    const struct {
        const char *name;
        int code;
        const char *word;
    } refused[] = {{"broken", ERR_UNAVAILABLE, "no luck"},
                   {"gone", ERR_UNAVAILABLE, "not installed"},
                   {"unknown", ERR_NOTFOUND, "crun, runc, mine, broken, gone"}};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct container_spec spec = {
            .id = "named", .image = "busybox", .oci_runtime = refused[i].name};
        int rv = container_create(lab_rt, &spec, &err);
        if (rv != refused[i].code || !strstr(err.msg, refused[i].word))
            fail_msg("%s: %s: %s", refused[i].name, err_name(rv), err.msg);
    }
    /* Whichever is the default when the daemon comes back, this one's commands go to its own. */
    const char *sleep_forever[] = {"/bin/sleep", "1000", NULL};
    struct container_spec spec = {
        .id = "named", .image = "busybox", .command = sleep_forever, .oci_runtime = "mine"};
    assert_ok(container_create(lab_rt, &spec, &err));
    assert_ok(container_start(lab_rt, "named", 1, &err));
    runtime_close(lab_rt);
    config.oci_runtime = runtimes[!runtime_now];
    assert_ok(runtime_open(&config, &lab_rt, &err));
    assert_string_equal(oci_of(lab_rt, "named")->name, "mine");
    const char *echo[] = {"/bin/echo", "hello", NULL};
    cleanup_buf struct buf output = BUF_INIT;
    int code = -1;
    assert_ok(container_exec(lab_rt, "named", echo, 20000, &output, &code, &err));
    assert_string_equal(output.data, "hello\n");
    struct runtime_oci *list;
    size_t n;
    runtime_oci_list(lab_rt, &list, &n);
    assert_int_equal(n, 5);
    assert_string_equal(list[2].name, "mine");
    assert_true(list[2].works && str_starts(list[2].version, "crun "));
    assert_true(list[!runtime_now].is_default);
    runtime_oci_list_free(list, n);
    assert_ok(container_remove(lab_rt, "named", &err));
    runtime_close(lab_rt);
    config.oci_runtimes = NULL;
    config.oci_runtime = runtimes[runtime_now];
    assert_ok(runtime_open(&config, &lab_rt, &err));
}

static int set_up(void **unused)
{
    (void)unused;
    struct runtime_config config = lab_config();
    config.oci_runtime = runtimes[runtime_now];
    assert_ok(runtime_open(&config, &lab_rt, &err));
    lab_load_image();
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    lab_release();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options), cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_io),      cmocka_unit_test(test_net_sysctl),
        cmocka_unit_test(test_by_name), cmocka_unit_test(test_userns),
        cmocka_unit_test(test_refused),
    };
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    if (!lab_can_run())
        return 0;
    int failed = 0;
    for (runtime_now = 0; runtime_now < ARRAY_SIZE(runtimes); runtime_now++)
        failed += cmocka_run_group_tests_name(runtimes[runtime_now], tests, set_up, tear_down);
    return failed;
}
