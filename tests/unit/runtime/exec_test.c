/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands in containers, and those who attach: with the real shim and OCI runtimes. Needs root and
 * busybox, else it skips.
 */
#include "tests/unit/runtime/container_fixture.h"

#include "runtime/attach.h"
#include "runtime/exec.h"

#include <poll.h>

/* One connection to a shim, and what came over it. */
struct talk {
    int fd;
    struct shim_frames frames;
    struct buf out;
    struct buf errors;
    uint64_t place;
    uint64_t taken;
    bool said_taken;
    unsigned skips;
    bool welcome;
    uint8_t flags;
    bool exited;
    int code;
    bool gone;
};

static void talk_release(struct talk *t)
{
    close(t->fd);
    buf_release(&t->out);
    buf_release(&t->errors);
}

static void on_output(struct talk *t, const struct shim_message *m)
{
    if (m->offset != t->place) {
        t->skips++;
        t->frames = (struct shim_frames){0};
    }
    t->place = m->offset + m->len;
    const unsigned char *data = m->data, *piece;
    size_t len = m->len, n;
    int stream;
    while ((stream = shim_frames_next(&t->frames, &data, &len, &piece, &n)) > 0)
        buf_append(stream == 1 ? &t->out : &t->errors, piece, n);
    assert_int_equal(stream, 0);
}

/* Take the next message, waiting at most @ms. */
static bool hear(struct talk *t, int ms)
{
    unsigned char packet[SHIM_MESSAGE_MAX + 1];
    struct shim_message m;
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (t->gone || poll(&p, 1, ms) <= 0)
        return false;
    int rv = attach_receive(t->fd, packet, &m);
    t->gone = rv < 0;
    if (rv <= 0)
        return false;
    if (m.kind == SHIM_WELCOME) {
        t->welcome = true;
        t->flags = m.flags;
        t->place = m.offset;
        t->taken = m.other;
    } else if (m.kind == SHIM_OUTPUT) {
        on_output(t, &m);
    } else if (m.kind == SHIM_TAKEN) {
        t->taken = m.offset;
        t->said_taken = true;
    } else if (m.kind == SHIM_EXITED) {
        t->exited = true;
        t->code = m.code;
    }
    return true;
}

static void say(struct talk *t, struct shim_message m)
{
    assert_int_equal(attach_send(t->fd, &m), 0);
}

/* All until the end. A shim that was told to end may be gone before what it said is read. */
static void hear_all(struct talk *t)
{
    while (!t->exited && hear(t, 10000))
        attach_send(t->fd, &(struct shim_message){.kind = SHIM_ACK, .offset = t->place});
    assert_true(t->exited);
    buf_append(&t->out, "", 0);
    buf_append(&t->errors, "", 0);
}

static void hear_text(struct talk *t, const char *want)
{
    for (;;) {
        buf_append(&t->out, "", 0);
        if (strstr(t->out.data, want))
            return;
        if (!hear(t, 5000))
            fail_msg("'%s' never came: %s", want, t->out.data);
    }
}

static const char *new_name(void)
{
    static char name[EXEC_NAME_LEN + 1];
    unsigned char bytes[EXEC_NAME_LEN / 2];
    random_bytes(bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), name);
    return name;
}

static struct talk start(const char *id, const struct exec_spec *spec)
{
    struct talk t = {0};
    const char *name = new_name();
    assert_ok(exec_start(rt, id, name, spec, &err));
    assert_ok(exec_attach(rt, id, name, 0, &t.fd, &err));
    return t;
}

static struct talk sh(const char *id, const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    return start(id, &(struct exec_spec){.argv = argv});
}

static void end(struct talk *t)
{
    say(t, (struct shim_message){.kind = SHIM_END});
    talk_release(t);
}

/* No folder of a command is left in container @id. */
static void wait_no_execs(const char *id)
{
    cleanup_free char *path = str_printf("%s/run/containers/%s/exec", root, id);
    for (int i = 0; i < 500; i++) {
        if (rmdir(path) == 0)
            return;
        pause_ms(10);
    }
    fail_msg("commands are left in %s", path);
}

static void box(const char *id)
{
    const char *env[] = {"A=1", "B=2", NULL};
    struct container_spec more = {.env = env, .working_dir = "/tmp"};
    create(id, "exec sleep 1000", &more);
    assert_ok(container_start(rt, id, 1, &err));
}

static void test_streams_and_code(void **unused)
{
    (void)unused;
    box("exec");
    struct talk t = sh("exec", "echo out; echo err >&2; pwd; echo $A; exit 42");
    hear_all(&t);
    assert_int_equal(t.code, 42);
    assert_string_equal(t.out.data, "out\n/tmp\n1\n");
    assert_string_equal(t.errors.data, "err\n");
    end(&t);
    wait_no_execs("exec");
    assert_ok(container_remove(rt, "exec", &err));
}

static void test_user_env_dir(void **unused)
{
    (void)unused;
    box("who");
    const char *argv[] = {"/bin/sh", "-c", "id -un; id -gn; pwd; echo $A $B $C $HOME", NULL};
    const char *env[] = {"B=3", "C=4", NULL};
    struct talk t = start(
        "who", &(struct exec_spec){.argv = argv, .env = env, .user = "web", .working_dir = "/etc"});
    hear_all(&t);
    assert_string_equal(t.out.data, "web\nweb\n/etc\n1 3 4 /home/web\n");
    end(&t);
    const struct exec_spec nobody = {.argv = argv, .user = "nobody-here"};
    assert_int_equal(exec_start(rt, "who", new_name(), &nobody, &err), ERR_NOTFOUND);
    const char *missing[] = {"/no/such", NULL};
    const struct exec_spec none = {.argv = missing};
    assert_int_equal(exec_start(rt, "who", new_name(), &none, &err), ERR_FAILED);
    assert_non_null(strstr(err.msg, "/no/such"));
    wait_no_execs("who");
    assert_ok(container_remove(rt, "who", &err));
}

/* It is confined as the container is: filter, capabilities, namespaces, groups. */
static void test_confined(void **unused)
{
    (void)unused;
    box("jail");
    struct talk t = sh("jail", "grep -E 'Seccomp:|CapBnd|CapEff|NoNewPrivs' /proc/1/status >/tmp/a;"
                               "grep -E 'Seccomp:|CapBnd|CapEff|NoNewPrivs' /proc/self/status "
                               ">/tmp/b; cmp /tmp/a /tmp/b && echo same; for n in mnt pid net ipc "
                               "uts; do [ $(readlink /proc/1/ns/$n) = $(readlink "
                               "/proc/self/ns/$n) ] || echo other $n; done; grep Seccomp: /tmp/b;"
                               "cmp /proc/1/cgroup /proc/self/cgroup && echo group; ulimit -n");
    hear_all(&t);
    /* runc 1.1.5 does not set the soft limit of an exec (its issue 4195). */
    bool crun = str_starts(runtime_oci_version(rt), "crun ");
    const char *want = "same\nSeccomp:\t2\ngroup\n1024\n";
    if (crun)
        assert_string_equal(t.out.data, want);
    else
        assert_memory_equal(t.out.data, want, strlen(want) - strlen("1024\n"));
    end(&t);
    const char *argv[] = {"/bin/sh", "-c", "grep CapEff /proc/self/status", NULL};
    t = start("jail", &(struct exec_spec){.argv = argv, .privileged = true});
    hear_all(&t);
    const char *caps = strchr(t.out.data, '\t');
    assert_non_null(caps);
    assert_true(strtoull(caps, NULL, 16) >> 21 & 1); /* SYS_ADMIN */
    end(&t);
    wait_no_execs("jail");
    assert_ok(container_remove(rt, "jail", &err));
}

/* More than all buffers hold, both ways, while nobody reads for a while. */
static void test_much(void **unused)
{
    (void)unused;
    enum {
        MUCH = 3 << 20,
    };
    box("much");
    const char *argv[] = {"/bin/cat", NULL};
    struct talk t = start("much", &(struct exec_spec){.argv = argv, .stdin_open = true});
    cleanup_free unsigned char *data = mem_alloc(MUCH, 1);
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    assert_true(hear(&t, 5000) && t.welcome);
    assert_int_equal(t.flags, SHIM_HAS_INPUT);
    t.said_taken = true;
    while (t.taken < MUCH || t.out.len < MUCH) {
        if (t.said_taken && t.taken < MUCH) {
            /* Again what was said before, as after a lost answer: it is not taken twice. */
            size_t again = t.taken >= 100 ? 100 : 0, from = (size_t)t.taken - again;
            size_t n = MUCH - from < SHIM_DATA_MAX ? MUCH - from : SHIM_DATA_MAX;
            t.said_taken = false;
            say(&t, (struct shim_message){
                        .kind = SHIM_INPUT, .offset = from, .data = data + from, .len = n});
        }
        assert_true(hear(&t, 5000));
        say(&t, (struct shim_message){.kind = SHIM_ACK, .offset = t.place});
    }
    say(&t, (struct shim_message){.kind = SHIM_CLOSE_INPUT});
    hear_all(&t);
    assert_int_equal(t.code, 0);
    assert_int_equal(t.out.len, MUCH);
    assert_memory_equal(t.out.data, data, MUCH);
    assert_int_equal(t.skips, 0);
    end(&t);
    wait_no_execs("much");
    assert_ok(container_remove(rt, "much", &err));
}

/* The connection breaks in the middle: who comes back goes on at his byte. */
static void test_resume(void **unused)
{
    (void)unused;
    box("back");
    const char *argv[] = {"/bin/sh", "-c", "seq 1 200000; exit 3", NULL};
    cleanup_free char *name = str_copy(new_name());
    struct talk t = {0};
    assert_ok(exec_start(rt, "back", name, &(struct exec_spec){.argv = argv}, &err));
    int breaks = 0;
    while (!t.exited) {
        assert_ok(exec_attach(rt, "back", name, t.place, &t.fd, &err));
        uint64_t place = t.place;
        t.gone = false;
        for (int i = 0; i < 9 && !t.exited && hear(&t, 5000); i++) {
            assert_true(t.place >= place);
            if (i == 5) /* what comes after is asked for again */
                say(&t, (struct shim_message){.kind = SHIM_ACK, .offset = t.place});
        }
        assert_int_equal(t.skips, 0);
        if (!t.exited)
            close(t.fd);
        breaks++;
    }
    assert_true(breaks > 5);
    assert_int_equal(t.code, 3);
    cleanup_buf struct buf want = BUF_INIT;
    for (int i = 1; i <= 200000; i++)
        buf_printf(&want, "%d\n", i);
    assert_int_equal(t.out.len, want.len);
    assert_memory_equal(t.out.data, want.data, want.len);
    end(&t);
    wait_no_execs("back");
    assert_ok(container_remove(rt, "back", &err));
}

static void test_terminal(void **unused)
{
    (void)unused;
    box("tty");
    const char *argv[] = {"/bin/sh", "-c", "stty size; read x; echo got $x; stty size; echo $TERM",
                          NULL};
    struct talk t =
        start("tty", &(struct exec_spec){
                         .argv = argv, .tty = true, .stdin_open = true, .rows = 33, .columns = 99});
    hear_text(&t, "33 99\r\n");
    assert_int_equal(t.flags, SHIM_HAS_TTY | SHIM_HAS_INPUT);
    say(&t, (struct shim_message){.kind = SHIM_RESIZE, .rows = 44, .columns = 111});
    say(&t, (struct shim_message){
                .kind = SHIM_INPUT, .data = (const unsigned char *)"word\n", .len = 5});
    hear_all(&t);
    assert_non_null(strstr(t.out.data, "word\r\ngot word\r\n44 111\r\nxterm\r\n"));
    assert_int_equal(t.errors.len, 0);
    end(&t);
    wait_no_execs("tty");
    assert_ok(container_remove(rt, "tty", &err));
}

/* END ends what runs; the container's end ends all; a killed shim leaves nothing. */
static void test_ends(void **unused)
{
    (void)unused;
    box("ends");
    struct talk t = sh("ends", "echo $$; sleep 900; echo no");
    hear_text(&t, "\n");
    say(&t, (struct shim_message){.kind = SHIM_END});
    hear_all(&t);
    assert_int_equal(t.code, 129); /* SIGHUP */
    talk_release(&t);
    wait_no_execs("ends");
    struct talk stubborn = sh("ends", "trap '' HUP; echo $$; while :; do sleep 1; done");
    hear_text(&stubborn, "\n");
    say(&stubborn, (struct shim_message){.kind = SHIM_END});
    hear_all(&stubborn);
    assert_int_equal(stubborn.code, 137);
    talk_release(&stubborn);
    wait_no_execs("ends");
    struct talk ps = sh("ends", "ps | grep -c '[9]00'");
    hear_all(&ps);
    assert_string_equal(ps.out.data, "0\n");
    end(&ps);
    /* Its shim is killed. */
    cleanup_free char *name = str_copy(new_name());
    const char *argv[] = {"/bin/sleep", "901", NULL};
    assert_ok(exec_start(rt, "ends", name, &(struct exec_spec){.argv = argv}, &err));
    cleanup_free char *dir = exec_dir(rt, "ends", name);
    cleanup_free char *pid_file = str_printf("%s/pid", dir);
    cleanup_buf struct buf text = BUF_INIT;
    assert_ok(file_read(pid_file, 64, &text, &err));
    pid_t pid = (pid_t)atoi(text.data);
    assert_true(alive(pid));
    assert_int_equal(kill(shim_of(pid), SIGKILL), 0);
    for (int i = 0; i < 500 && alive(pid); i++) {
        pause_ms(10);
        exec_sweep(rt, "ends");
    }
    assert_false(alive(pid));
    wait_no_execs("ends");
    struct talk last = sh("ends", "echo here; exec sleep 902");
    hear_text(&last, "here\n");
    assert_ok(container_kill(rt, "ends", &err));
    hear_all(&last);
    assert_int_equal(last.code, 137);
    end(&last);
    wait_no_execs("ends");
    assert_ok(container_remove(rt, "ends", &err));
}

/* --- those who attach --------------------------------------------------------------------------
 */

static void test_attach(void **unused)
{
    (void)unused;
    struct talk a = {0}, b = {0}, late = {0};
    create("att", "echo one; while [ ! -e /go ]; do sleep 0.05; done; echo two; exit 5", NULL);
    assert_int_equal(container_attach(rt, "att", SHIM_FROM_NOW, &a.fd, &err), ERR_NOTFOUND);
    assert_ok(container_start(rt, "att", 1, &err));
    wait_log("att", "one\n");
    assert_ok(container_attach(rt, "att", SHIM_FROM_KEPT, &a.fd, &err));
    assert_ok(container_attach(rt, "att", SHIM_FROM_NOW, &b.fd, &err));
    assert_true(hear(&b, 5000) && b.welcome);
    assert_int_equal(b.flags, 0);
    struct talk go = sh("att", "touch /go");
    hear_all(&go);
    end(&go);
    hear_all(&a);
    hear_all(&b);
    assert_string_equal(a.out.data, "one\ntwo\n");
    assert_string_equal(b.out.data, "two\n");
    assert_int_equal(a.code, 5);
    assert_int_equal(wait_end("att").exit_code, 5);
    assert_int_equal(container_attach(rt, "att", SHIM_FROM_NOW, &late.fd, &err), ERR_NOTFOUND);
    talk_release(&a);
    talk_release(&b);
    assert_ok(container_remove(rt, "att", &err));
}

/* A client that does not read holds nobody up, and finds out what it missed. */
static void test_slow_client(void **unused)
{
    (void)unused;
    struct talk t = {0};
    create("slow", "while [ ! -e /go ]; do sleep 0.05; done; seq 1 300000; echo done; sleep 1000",
           NULL);
    assert_ok(container_start(rt, "slow", 1, &err));
    assert_ok(container_attach(rt, "slow", SHIM_FROM_NOW, &t.fd, &err));
    struct talk go = sh("slow", "touch /go");
    hear_all(&go);
    end(&go);
    wait_log("slow", "done\n");
    hear_text(&t, "300000\ndone\n");
    assert_true(t.skips > 0);
    assert_true(t.out.len < 1 << 20);
    talk_release(&t);
    assert_ok(container_remove(rt, "slow", &err));
}

/* What is no message ends the connection, and nothing else. */
static void test_hostile_client(void **unused)
{
    (void)unused;
    box("wild");
    static const unsigned char *bytes = (const unsigned char *)"xxxx";
    const struct shim_message wild[] = {
        {.kind = SHIM_HELLO},
        {.kind = SHIM_OUTPUT, .data = bytes, .len = 4},
        {.kind = SHIM_INPUT, .offset = 77, .data = bytes, .len = 4},
        {.kind = (enum shim_kind)200},
        {.kind = SHIM_END},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
        struct talk t = {0};
        assert_ok(container_attach(rt, "wild", SHIM_FROM_NOW, &t.fd, &err));
        assert_true(hear(&t, 5000));
        say(&t, wild[i]);
        while (hear(&t, 5000))
            ;
        assert_true(t.gone);
        talk_release(&t);
    }
    /* More than it serves. */
    int fds[40];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        if (container_attach(rt, "wild", SHIM_FROM_NOW, &fds[i], &err) < 0)
            fds[i] = -1;
        pause_ms(1);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    pause_ms(50);
    struct talk t = {0};
    assert_ok(container_attach(rt, "wild", SHIM_FROM_NOW, &t.fd, &err));
    assert_true(hear(&t, 5000) && t.welcome);
    talk_release(&t);
    cleanup_free char *path = str_printf("%s/run/containers/wild/attach", root);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_ok(container_remove(rt, "wild", &err));
}

/* A container that a shim of 0.2.0 runs: there is no socket; and what one wrote at the end. */
static void test_shim_of_before(void **unused)
{
    (void)unused;
    int fd = -1;
    box("old");
    cleanup_free char *socket_path = str_printf("%s/run/containers/old/attach", root);
    assert_int_equal(unlink(socket_path), 0);
    assert_int_equal(container_attach(rt, "old", SHIM_FROM_NOW, &fd, &err), ERR_UNSUPPORTED);
    struct talk t = sh("old", "echo in");
    hear_all(&t);
    assert_string_equal(t.out.data, "in\n");
    end(&t);
    assert_ok(container_kill(rt, "old", &err));
    cleanup_free char *exit_path = str_printf("%s/run/containers/old/exit", root);
    assert_ok(file_write_fast(exit_path, "1 9 1 1234\n", 11, 0600, &err));
    struct container_state state = state_of("old");
    assert_int_equal(state.exit_code, 9);
    assert_int_equal(state.oom_kills, 1);
    assert_int_equal(state.finished_ms, 1234);
    assert_ok(container_remove(rt, "old", &err));
}

static void test_container_with_terminal(void **unused)
{
    (void)unused;
    struct container_spec more = {.tty = true, .stdin_open = true};
    create("term", "tty; while read l; do echo got $l; done", &more);
    assert_ok(container_start(rt, "term", 1, &err));
    struct talk t = {0};
    assert_ok(container_attach(rt, "term", SHIM_FROM_KEPT, &t.fd, &err));
    hear_text(&t, "/dev/pts/0\r\n");
    assert_int_equal(t.flags, SHIM_HAS_TTY | SHIM_HAS_INPUT);
    say(&t, (struct shim_message){
                .kind = SHIM_INPUT, .data = (const unsigned char *)"word\n\004", .len = 6});
    hear_all(&t);
    assert_non_null(strstr(t.out.data, "got word\r\n"));
    talk_release(&t);
    assert_int_equal(wait_end("term").exit_code, 0);
    cleanup_free char *text = log_text("term");
    assert_non_null(strstr(text, "got word\r\n"));
    assert_ok(container_remove(rt, "term", &err));
}

static void test_init(void **unused)
{
    (void)unused;
    struct container_spec more = {.init = true};
    create("init",
           "trap 'echo bye; exit 6' TERM; (sleep 0.05 &); echo ready; "
           "sleep 1000 & wait",
           &more);
    assert_ok(container_start(rt, "init", 1, &err));
    wait_log("init", "ready\n");
    pause_ms(300);
    struct talk t = sh("init", "cat /proc/1/comm; grep -l 'State:.Z' /proc/[0-9]*/status | wc -l");
    hear_all(&t);
    assert_string_equal(t.out.data, "wherry-init\n0\n");
    end(&t);
    assert_ok(container_signal(rt, "init", SIGTERM, &err));
    assert_int_equal(wait_end("init").exit_code, 6);
    cleanup_free char *text = log_text("init");
    assert_non_null(strstr(text, "bye\n"));
    assert_ok(container_remove(rt, "init", &err));
    const char *missing[] = {"/no/such", NULL};
    struct container_spec none = {
        .id = "init", .image = "busybox", .command = missing, .init = true};
    assert_ok(container_create(rt, &none, &err));
    assert_ok(container_start(rt, "init", 1, &err));
    assert_int_equal(wait_end("init").exit_code, 127);
    assert_ok(container_remove(rt, "init", &err));
}

static void test_with_runc(void **unused)
{
    (void)unused;
    if (access("/usr/sbin/runc", X_OK) < 0)
        skip();
    runtime_close(rt);
    rt = open_runtime("runc");
    test_streams_and_code(NULL);
    test_user_env_dir(NULL);
    test_confined(NULL);
    test_terminal(NULL);
    test_container_with_terminal(NULL);
    test_attach(NULL);
    test_ends(NULL);
    runtime_close(rt);
    rt = open_runtime(NULL);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* What a shim costs; said, not judged but for a bound that only a mistake passes. */
static void test_cost(void **unused)
{
    (void)unused;
    box("cost");
    const char *ok[] = {"/bin/true", NULL};
    int64_t check_us = now_us(), exec_us;
    int code;
    cleanup_buf struct buf output = BUF_INIT;
    for (int i = 0; i < 10; i++)
        assert_ok(container_exec(rt, "cost", ok, 5000, &output, &code, &err));
    check_us = (now_us() - check_us) / 10;
    exec_us = now_us();
    for (int i = 0; i < 10; i++) {
        struct talk t = start("cost", &(struct exec_spec){.argv = ok});
        hear_all(&t);
        end(&t);
    }
    exec_us = (now_us() - exec_us) / 10;
    cleanup_free char *path =
        str_printf("/proc/%d/smaps_rollup", (int)shim_of(state_of("cost").pid));
    cleanup_buf struct buf text = BUF_INIT;
    assert_ok(file_read(path, 65536, &text, &err));
    const char *pss = strstr(text.data, "\nPss:");
    assert_non_null(pss);
    long kib = strtol(pss + 5, NULL, 10);
    print_message("check %.1f ms, exec %.1f ms; a shim's PSS %ld KiB\n", (double)check_us / 1000,
                  (double)exec_us / 1000, kib);
    assert_in_range(kib, 1, 500);
    wait_no_execs("cost");
    assert_ok(container_remove(rt, "cost", &err));
}

int main(int argc, char **argv)
{
    find_programs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_and_code),
        cmocka_unit_test(test_user_env_dir),
        cmocka_unit_test(test_confined),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_attach),
        cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_hostile_client),
        cmocka_unit_test(test_shim_of_before),
        cmocka_unit_test(test_container_with_terminal),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_with_runc),
    };
    if (argc == 3) /* exec_test only PATTERN */
        cmocka_set_test_filter(argv[2]);
    if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0) {
        print_message("skipped: needs root and busybox\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
