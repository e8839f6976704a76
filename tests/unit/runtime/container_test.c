/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers with the real shim and the real OCI runtimes: needs root and busybox, else it skips.
 */
#include "tests/unit/runtime/container_fixture.h"

#include "runtime/internal.h"

static void test_run_and_exit_code(void **unused)
{
    (void)unused;
    create("code", "echo out; echo err >&2; printf unfinished; exit 7", NULL);
    assert_int_equal(state_of("code").status, CONTAINER_CREATED);
    assert_ok(container_start(rt, "code", 1, &err));
    struct container_state state = wait_end("code");
    assert_int_equal(state.status, CONTAINER_EXITED);
    assert_int_equal(state.exit_code, 7);
    assert_int_equal(state.run, 1);
    assert_false(state.oom_killed);
    assert_true(state.started_ms > 0 && state.finished_ms >= state.started_ms);
    cleanup_free char *text = log_text("code");
    assert_non_null(strstr(text, "out\n"));
    assert_non_null(strstr(text, "err\n"));
    assert_non_null(strstr(text, "unfinished\n"));
    cleanup_free char *note = str_printf("%s/code", container_exits_dir(rt));
    assert_true(file_exists(note));
    assert_ok(container_remove(rt, "code", &err));
    assert_false(file_exists(note));
    assert_int_equal(container_state(rt, "code", &state, &err), ERR_NOTFOUND);
    assert_ok(container_remove(rt, "code", &err));
}

static void test_inside(void **unused)
{
    (void)unused;
    cleanup_free char *volume = NULL;
    assert_ok(volume_ensure(rt, "data", &volume, &err));
    struct container_mount mounts[] = {{.source = volume, .target = "/data", .read_only = false},
                                       {.source = volume, .target = "/frozen", .read_only = true}};
    const char *env[] = {"A=1", "PATH=/bin:/usr/bin", NULL};
    struct container_spec more = {.hostname = "box",
                                  .env = env,
                                  .mounts = mounts,
                                  .mounts_n = 2,
                                  .user = "web:1234",
                                  .working_dir = "/made/here",
                                  .resolv_conf = "nameserver 192.0.2.1\n"};
    create("inside",
           "id -u; id -g; pwd; hostname; echo A=$A HOME=$HOME; cat /etc/resolv.conf; ls -d /tmp/.;"
           "touch /frozen/x || echo frozen; cat /etc/hosts; unshare -U true || echo no userns;"
           "cat /proc/1/oom_score_adj; grep -c . /proc/mounts; mount -t tmpfs x /tmp || echo deny;"
           "echo said >/dev/stdout; grep CapEff /proc/self/status; ls /proc/self/fd | wc -l",
           &more);
    assert_ok(container_start(rt, "inside", 1, &err));
    assert_int_equal(wait_end("inside").exit_code, 0);
    cleanup_free char *text = log_text("inside");
    static const char *const wanted[] = {"1000\n1234\n/made/here\nbox\n",
                                         "A=1 HOME=/home/web\n",
                                         "nameserver 192.0.2.1\n",
                                         "frozen\n",
                                         "127.0.1.1\tbox\n",
                                         "no userns\n",
                                         "deny\n",
                                         "said\n",
                                         "CapEff:\t0000000000000000\n"};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        if (!strstr(text, wanted[i]))
            fail_msg("no '%s' in: %s", wanted[i], text);
    }
    assert_ok(container_remove(rt, "inside", &err));
    assert_ok(volume_remove(rt, "data", &err));
    assert_false(file_exists(volume));
}

static void test_read_only_root(void **unused)
{
    (void)unused;
    cleanup_free char *volume = NULL;
    assert_ok(volume_ensure(rt, "rw", &volume, &err));
    struct container_mount mounts[] = {{.source = volume, .target = "/data", .read_only = false}};
    struct container_spec more = {
        .read_only = true, .working_dir = "/data/deep", .mounts = mounts, .mounts_n = 1};
    create("frozen", "pwd; touch /x 2>/dev/null || echo frozen; touch file && echo free", &more);
    assert_ok(container_start(rt, "frozen", 1, &err));
    assert_int_equal(wait_end("frozen").exit_code, 0);
    cleanup_free char *text = log_text("frozen");
    assert_non_null(strstr(text, "/data/deep\n"));
    assert_non_null(strstr(text, "frozen\nfree\n"));
    cleanup_free char *file = str_printf("%s/deep/file", volume);
    assert_true(file_exists(file));
    assert_ok(container_remove(rt, "frozen", &err));
    assert_ok(volume_remove(rt, "rw", &err));
}

static void test_stop_signal(void **unused)
{
    (void)unused;
    struct container_spec more = {.stop_signal = "SIGUSR1"};
    create("stop", "trap 'echo bye; exit 3' USR1; echo ready; while :; do sleep 0.05; done", &more);
    assert_ok(container_start(rt, "stop", 1, &err));
    wait_log("stop", "ready\n");
    assert_int_equal(container_start(rt, "stop", 2, &err), ERR_BUSY);
    assert_ok(container_signal(rt, "stop", 0, &err));
    struct container_state state = wait_end("stop");
    assert_int_equal(state.exit_code, 3);
    wait_log("stop", "bye\n");
    assert_int_equal(container_signal(rt, "stop", 0, &err), ERR_NOTFOUND);
    assert_ok(container_remove(rt, "stop", &err));
}

static void test_kill_and_second_run(void **unused)
{
    (void)unused;
    create("again", "cat /kept; echo $(cat /kept)x >/kept; echo up; sleep 1000", NULL);
    assert_ok(container_start(rt, "again", 1, &err));
    wait_log("again", "up\n");
    assert_ok(container_kill(rt, "again", &err));
    struct container_state state = state_of("again");
    assert_int_equal(state.status, CONTAINER_EXITED);
    assert_int_equal(state.exit_code, 137);
    assert_ok(container_kill(rt, "again", &err));
    assert_int_equal(container_start(rt, "again", 1, &err), ERR_INVALID);
    assert_ok(container_start(rt, "again", 2, &err));
    wait_log("again", "x\nup\n");
    assert_int_equal(state_of("again").run, 2);
    assert_ok(container_remove(rt, "again", &err));
}

/* What a daemon does before it is killed. It must not come back into cmocka's hands. */
_Noreturn static void short_lived_daemon(int fd)
{
    rt = open_runtime(NULL);
    struct container_state state = {0};
    if (container_start(rt, "stays", 1, &err) == 0 && container_start(rt, "ends", 1, &err) == 0 &&
        container_state(rt, "stays", &state, &err) == 0) {
        ssize_t n = write(fd, &state.pid, sizeof(state.pid));
        (void)n;
    }
    kill(getpid(), SIGKILL);
    _exit(1);
}

/* The daemon is killed right after it started two containers. */
static void test_adoption(void **unused)
{
    (void)unused;
    create("stays", "echo a; sleep 0.6; echo b; sleep 1000", NULL);
    create("ends", "echo c; sleep 0.3; echo d; exit 42", NULL);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    runtime_close(rt);
    pid_t child = fork();
    if (child == 0)
        short_lived_daemon(pipes[1]);
    close(pipes[1]);
    pid_t pid = 0;
    assert_int_equal(read(pipes[0], &pid, sizeof(pid)), sizeof(pid));
    waitpid(child, NULL, 0);
    close(pipes[0]);
    pause_ms(400);
    rt = open_runtime(NULL);
    struct container_state state = state_of("stays");
    assert_int_equal(state.status, CONTAINER_RUNNING);
    assert_int_equal(state.pid, pid);
    assert_true(alive(pid));
    state = wait_end("ends");
    assert_int_equal(state.status, CONTAINER_EXITED);
    assert_int_equal(state.exit_code, 42);
    cleanup_free char *text = log_text("ends");
    assert_string_equal(text, "c\nd\n");
    wait_log("stays", "a\nb\n");
    assert_ok(container_remove(rt, "stays", &err));
    assert_ok(container_remove(rt, "ends", &err));
    assert_false(alive(pid));
}

static void test_shim_killed(void **unused)
{
    (void)unused;
    create("lost", "sleep 1000 & sleep 1000", NULL);
    assert_ok(container_start(rt, "lost", 1, &err));
    pid_t pid = state_of("lost").pid, shim = shim_of(pid);
    assert_int_not_equal(shim, getpid());
    assert_int_equal(kill(shim, SIGKILL), 0);
    for (int i = 0; i < 100 && state_of("lost").status == CONTAINER_RUNNING; i++)
        pause_ms(10);
    assert_int_equal(state_of("lost").status, CONTAINER_SHIM_LOST);
    assert_int_equal(state_of("lost").run, 1);
    for (int i = 0; i < 100 && alive(pid); i++)
        pause_ms(10);
    assert_false(alive(pid));
    assert_ok(container_start(rt, "lost", 2, &err));
    assert_int_equal(state_of("lost").status, CONTAINER_RUNNING);
    assert_ok(container_remove(rt, "lost", &err));
}

/* Between the run file and the shim's lock a run starts; it is not lost. */
static void test_starting(void **unused)
{
    (void)unused;
    create("begins", "sleep 1000", NULL);
    assert_ok(container_start(rt, "begins", 1, &err));
    assert_ok(container_kill(rt, "begins", &err));
    int fd = container_begin_start(rt, "begins", &err);
    assert_true(fd >= 0);
    run_command("rm -f %s/run/containers/begins/exit", root);
    assert_int_equal(state_of("begins").status, CONTAINER_RUNNING);
    assert_int_equal(container_begin_start(rt, "begins", &err), ERR_BUSY);
    container_end_start(fd);
    assert_int_equal(state_of("begins").status, CONTAINER_SHIM_LOST);
    assert_ok(container_remove(rt, "begins", &err));
}

/* The machine was switched off under one, and after the end of another. */
static void test_reboot(void **unused)
{
    (void)unused;
    create("under", "sleep 1000", NULL);
    create("after", "exit 9", NULL);
    assert_ok(container_start(rt, "under", 3, &err));
    assert_ok(container_start(rt, "after", 4, &err));
    assert_int_equal(wait_end("after").exit_code, 9);
    assert_ok(container_kill(rt, "under", &err));
    pause_ms(100);
    runtime_close(rt);
    /* What a reboot leaves: no run folder, or that of another boot. */
    run_command("rm -rf %s/run/containers/after && rm %s/data/containers/under/exit "
                "%s/run/containers/under/exit && echo 3 other-boot >%s/run/containers/under/run",
                root, root, root, root);
    rt = open_runtime(NULL);
    struct container_state state = state_of("under");
    assert_int_equal(state.status, CONTAINER_SHIM_LOST);
    assert_int_equal(state.run, 3);
    state = state_of("after");
    assert_int_equal(state.status, CONTAINER_EXITED);
    assert_int_equal(state.run, 4);
    assert_int_equal(state.exit_code, 9);
    assert_ok(container_start(rt, "under", 4, &err));
    assert_int_equal(state_of("under").status, CONTAINER_RUNNING);
    assert_ok(container_remove(rt, "under", &err));
    assert_ok(container_remove(rt, "after", &err));
}

/* Somebody deleted the durable folder under a running container. */
static void test_lost_record(void **unused)
{
    (void)unused;
    create("ghost", "sleep 1000", NULL);
    assert_ok(container_start(rt, "ghost", 5, &err));
    pid_t pid = state_of("ghost").pid;
    run_command("rm -r %s/data/containers/ghost", root);
    create("ghost", "exit 2", NULL);
    assert_false(alive(pid));
    assert_int_equal(state_of("ghost").status, CONTAINER_CREATED);
    assert_ok(container_start(rt, "ghost", 1, &err));
    assert_int_equal(wait_end("ghost").exit_code, 2);
    assert_ok(container_remove(rt, "ghost", &err));
}

static void test_exec(void **unused)
{
    (void)unused;
    create("exec", "exec sleep 1000", NULL);
    const char *ok[] = {"/bin/sh", "-c", "echo hello; exit 5", NULL};
    const char *slow[] = {"/bin/sh", "-c", "echo begun; sleep 777", NULL};
    const char *loud[] = {"/bin/sh", "-c", "yes | head -c 100000", NULL};
    cleanup_buf struct buf output = BUF_INIT;
    int code = -1;
    assert_int_equal(container_exec(rt, "exec", ok, 5000, &output, &code, &err), ERR_NOTFOUND);
    assert_ok(container_start(rt, "exec", 1, &err));
    cleanup_free char *path = str_printf("/proc/%d/status", (int)state_of("exec").pid);
    cleanup_buf struct buf status = BUF_INIT;
    /* The OCI runtime may answer a moment before its child has become the program. */
    for (int i = 0; i < 200 && (!status.data || !strstr(status.data, "Name:\tsleep\n")); i++) {
        usleep(10000);
        buf_reset(&status);
        assert_ok(file_read(path, 16384, &status, &err));
    }
    assert_non_null(strstr(status.data, "SigIgn:\t0000000000000000\n"));
    assert_non_null(strstr(status.data, "SigBlk:\t0000000000000000\n"));
    assert_ok(container_exec(rt, "exec", ok, 5000, &output, &code, &err));
    assert_int_equal(code, 5);
    assert_string_equal(output.data, "hello\n");
    buf_reset(&output);
    assert_int_equal(container_exec(rt, "exec", slow, 500, &output, &code, &err), ERR_TIMEOUT);
    const char *ps[] = {"/bin/sh", "-c", "ps | grep -c '[7]77'", NULL};
    buf_reset(&output);
    assert_ok(container_exec(rt, "exec", ps, 5000, &output, &code, &err));
    assert_string_equal(output.data, "0\n");
    buf_reset(&output);
    assert_ok(container_exec(rt, "exec", loud, 5000, &output, &code, &err));
    assert_int_equal(output.len, 4096);
    assert_ok(container_remove(rt, "exec", &err));
}

static void test_missing_program(void **unused)
{
    (void)unused;
    const char *argv[] = {"/no/such/program", NULL};
    struct container_spec spec = {.id = "nope", .image = "busybox", .command = argv};
    assert_ok(container_create(rt, &spec, &err));
    assert_int_equal(container_start(rt, "nope", 1, &err), ERR_FAILED);
    if (!strstr(err.msg, "/no/such/program"))
        fail_msg("no reason in '%s'", err.msg);
    struct container_state state = state_of("nope");
    assert_int_equal(state.status, CONTAINER_EXITED);
    assert_int_equal(state.exit_code, 127);
    assert_ok(container_remove(rt, "nope", &err));
}

static void test_bad_specs(void **unused)
{
    (void)unused;
    struct container_mount gone = {.source = "/no/such/source", .target = "/x", .read_only = false};
    struct container_mount climbing = {
        .source = "/tmp", .target = "/x/../../etc", .read_only = false};
    const struct {
        struct container_spec spec;
        int code;
        const char *word;
    } cases[] = {
        {{.id = "UPPER", .image = "busybox"}, ERR_INVALID, "id"},
        {{.id = "../x", .image = "busybox"}, ERR_INVALID, "id"},
        {{.id = "x", .image = "missing:1"}, ERR_NOTFOUND, "missing"},
        {{.id = "x", .image = "busybox", .stop_signal = "SIGNOPE"}, ERR_INVALID, "stop_signal"},
        {{.id = "x", .image = "busybox", .memory_bytes = 4096}, ERR_INVALID, "memory"},
        {{.id = "x", .image = "busybox", .mounts = &climbing, .mounts_n = 1}, ERR_INVALID, "/x/.."},
        {{.id = "x", .image = "busybox", .working_dir = "rel"}, ERR_INVALID, "working_dir"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        err.msg[0] = '\0';
        assert_int_equal(container_create(rt, &cases[i].spec, &err), cases[i].code);
        if (!strstr(err.msg, cases[i].word))
            fail_msg("no '%s' in '%s'", cases[i].word, err.msg);
    }
    struct container_spec spec = {.mounts = &gone, .mounts_n = 1};
    create("gone", "true", &spec);
    assert_int_equal(container_start(rt, "gone", 1, &err), ERR_NOTFOUND);
    assert_int_equal(state_of("gone").status, CONTAINER_CREATED);
    assert_int_equal(
        container_create(rt, &(struct container_spec){.id = "gone", .image = "busybox"}, &err),
        ERR_EXISTS);
    assert_ok(container_remove(rt, "gone", &err));
    struct container_spec nobody = {.user = "nobody-there"};
    create("user", "true", &nobody);
    assert_int_equal(container_start(rt, "user", 1, &err), ERR_NOTFOUND);
    assert_ok(container_remove(rt, "user", &err));
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    struct container_spec more = {.memory_bytes = 16 << 20, .cpu_milli = 500};
    create("oom", "exec tail /dev/zero", &more);
    assert_ok(container_start(rt, "oom", 1, &err));
    struct container_state state = wait_end("oom");
    assert_int_equal(state.exit_code, 137);
    assert_true(state.oom_killed);
    assert_ok(container_remove(rt, "oom", &err));
}

static void test_log_rotation(void **unused)
{
    (void)unused;
    struct container_spec more = {.log_max_bytes = 20000};
    create("much", "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done", &more);
    assert_ok(container_start(rt, "much", 1, &err));
    assert_int_equal(wait_end("much").exit_code, 0);
    cleanup_free char *text = log_text("much");
    assert_non_null(strstr(text, "line 1998\nline 1999\n"));
    assert_null(strstr(text, "line 0\n"));
    for (int age = 0; age < 4; age++) {
        cleanup_free char *name =
            age ? str_printf("%s/data/containers/much/log/1.log.%d", root, age)
                : str_printf("%s/data/containers/much/log/1.log", root);
        struct stat st;
        assert_int_equal(stat(name, &st), age < 3 ? 0 : -1);
        assert_true(age == 3 || st.st_size <= 20000);
    }
    assert_ok(container_remove(rt, "much", &err));
}

/* A full disk under the log: the container goes on, the gap is told. */
static void test_log_on_full_disk(void **unused)
{
    (void)unused;
    create("full",
           "i=0; while [ $i -lt 3000 ]; do echo early $i; i=$((i+1)); done; echo done >/f;"
           "while [ ! -e /go ]; do sleep 0.05; done; echo late",
           NULL);
    cleanup_free char *log = str_printf("%s/data/containers/full/log", root);
    assert_int_equal(mount("tmpfs", log, "tmpfs", 0, "size=32k"), 0);
    assert_ok(container_start(rt, "full", 1, &err));
    cleanup_free char *upper = str_printf("%s/data/containers/full/upper", root);
    cleanup_free char *done = str_printf("%s/f", upper);
    for (int i = 0; i < 1000 && !file_exists(done); i++)
        pause_ms(10);
    assert_true(file_exists(done));
    assert_int_equal(mount(NULL, log, NULL, MS_REMOUNT, "size=1m"), 0);
    const char *touch[] = {"/bin/touch", "/go", NULL};
    cleanup_buf struct buf output = BUF_INIT;
    int code;
    assert_ok(container_exec(rt, "full", touch, 5000, &output, &code, &err));
    assert_int_equal(wait_end("full").exit_code, 0);
    cleanup_free char *text = log_text("full");
    unsigned long lost = 0, kept = 0;
    assert_non_null(strstr(text, "[wherry: "));
    for (char *p = text; (p = strstr(p, "[wherry: ")); p++)
        lost += strtoul(p + 9, NULL, 10);
    for (char *p = text; (p = strstr(p, "early ")); p++)
        kept++;
    assert_int_equal(lost + kept, 3000);
    assert_non_null(strstr(text, "late\n"));
    assert_int_equal(umount2(log, MNT_DETACH), 0);
    assert_ok(container_remove(rt, "full", &err));
}

static char *count_leftovers(void)
{
    cleanup_buf struct buf mounts = BUF_INIT;
    assert_ok(file_read("/proc/self/mountinfo", 1 << 20, &mounts, &err));
    unsigned lines = 0;
    for (char *p = mounts.data; (p = strstr(p, root)); p++)
        lines++;
    cleanup_free char *command =
        str_printf("find /sys/fs/cgroup -path '*%s/*' -type d 2>/dev/null | sort", cgroup_parent);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    struct buf text = BUF_INIT;
    buf_printf(&text, "%u mounts\n", lines);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), pipe)) > 0)
        buf_append(&text, piece, n);
    pclose(pipe);
    return buf_take(&text);
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_cycles_leave_nothing(void **unused)
{
    (void)unused;
    cleanup_free char *before = NULL;
    int64_t took[21];
    for (int i = 0; i <= 20; i++) {
        create("cycle", "sleep 1000", NULL);
        int64_t start = clock_mono_ns();
        assert_ok(container_start(rt, "cycle", 1, &err));
        took[i] = clock_mono_ns() - start;
        assert_ok(container_remove(rt, "cycle", &err));
        if (i == 0)
            before = count_leftovers();
    }
    cleanup_free char *after = count_leftovers();
    assert_string_equal(before, after);
    qsort(took, 21, sizeof(took[0]), compare_ns);
    print_message("container_start with %s: p50 %.1f ms\n", runtime_oci_version(rt),
                  (double)took[10] / 1e6);
    char **ids;
    assert_ok(container_list(rt, &ids, &err));
    assert_null(ids[0]);
    image_strings_free(ids);
}

static void test_with_runc(void **unused)
{
    (void)unused;
    if (access("/usr/sbin/runc", X_OK) < 0)
        skip();
    runtime_close(rt);
    rt = open_runtime("runc");
    assert_true(str_starts(runtime_oci_version(rt), "runc "));
    test_run_and_exit_code(NULL);
    test_inside(NULL);
    test_read_only_root(NULL);
    test_exec(NULL);
    test_missing_program(NULL);
    test_out_of_memory(NULL);
    test_cycles_leave_nothing(NULL);
    runtime_close(rt);
    rt = open_runtime(NULL);
}

/* Where only the cgroup2 hierarchy can be seen, whatever controllers it has: this program again. */
static void test_cgroup2_only(void **unused)
{
    (void)unused;
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            umount2("/sys/fs/cgroup", MNT_DETACH) == 0 &&
            mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0)
            execl("/proc/self/exe", "container_test", "cgroup2", NULL);
        _exit(99);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_mode_is_v2(void **unused)
{
    (void)unused;
    assert_string_equal(runtime_cgroup_mode(rt), "v2");
}

int main(int argc, char **argv)
{
    find_programs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_and_exit_code),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_read_only_root),
        cmocka_unit_test(test_stop_signal),
        cmocka_unit_test(test_kill_and_second_run),
        cmocka_unit_test(test_adoption),
        cmocka_unit_test(test_shim_killed),
        cmocka_unit_test(test_starting),
        cmocka_unit_test(test_reboot),
        cmocka_unit_test(test_lost_record),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_missing_program),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_log_rotation),
        cmocka_unit_test(test_log_on_full_disk),
        cmocka_unit_test(test_cycles_leave_nothing),
        cmocka_unit_test(test_with_runc),
        cmocka_unit_test(test_cgroup2_only),
    };
    const struct CMUnitTest cgroup2_tests[] = {
        cmocka_unit_test(test_mode_is_v2),          cmocka_unit_test(test_run_and_exit_code),
        cmocka_unit_test(test_read_only_root),      cmocka_unit_test(test_stop_signal),
        cmocka_unit_test(test_kill_and_second_run), cmocka_unit_test(test_shim_killed),
    };
    if (argc == 3) /* container_test only PATTERN */
        cmocka_set_test_filter(argv[2]);
    if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0) {
        print_message("skipped: needs root and busybox\n");
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "cgroup2") == 0)
        return cmocka_run_group_tests(cgroup2_tests, set_up, tear_down);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
