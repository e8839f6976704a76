/* SPDX-License-Identifier: Apache-2.0 */
/* The local socket and its client. */
#include "server_fixture.h"

#include "cluster/server_internal.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char *target(void)
{
    return str_printf("unix://%s", socket_path);
}

static struct client *open_client(void)
{
    struct err err;
    struct client *client;
    cleanup_free char *to = target();
    must(client_open(to, NULL, &client, &err));
    return client;
}

/* A bare connection to the socket. */
static int open_raw(void)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    str_fill(sa.sun_path, sizeof(sa.sun_path), socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static void round_trips(void **state)
{
    (void)state;
    struct client *client = open_client();
    check_echo(client, "echo", "hello");
    check_echo(client, "later", "hello again");
    assert_true(was_local);
    cleanup_free char *large = mem_alloc(1, 3000001);
    memset(large, 'x', 3000000);
    check_echo(client, "echo", large);
    client_close(client);
}

static void errors_come_back(void **state)
{
    (void)state;
    struct err err;
    struct client *client = open_client();
    assert_int_equal(call_code(client, "nonsense", 5000, &err), ERR_NOTFOUND);
    assert_string_equal(err.msg, "there is no verb 'nonsense'");
    assert_int_equal(call_code(client, "huge", 5000, &err), ERR_TOOBIG);
    assert_int_equal(call_code(client, "never", 100, &err), ERR_UNKNOWN);
    wait_for(&gone_n, 1);
    /* The same client goes on, with a new connection. */
    check_echo(client, "echo", "still here");
    client_close(client);
}

static void socket_is_for_the_group(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(lstat(socket_path, &st), 0);
    struct group *group = getgrnam("wherry");
    assert_int_equal(st.st_mode & 07777, group ? 0660 : 0600);
    if (group)
        assert_int_equal(st.st_gid, group->gr_gid);
}

/* The code that somebody else's call ends with, by a child that has become him: -1 when it was
 * served. */
static int code_as_stranger(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct err err = {0};
        struct client *client;
        cleanup_free char *to = target();
        bool other = setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0;
        int rv = other ? client_open(to, NULL, &client, &err) : ERR_INTERNAL;
        if (rv == 0)
            rv = call_code(client, "echo", 10000, &err);
        if (rv == ERR_DENIED && !strstr(err.msg, "root and the group"))
            rv = ERR_INTERNAL;
        _exit(rv == 0 ? 100 : -rv);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

/* The mode of the file alone is not trusted: the kernel says who calls. */
static void others_are_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(socket_path, 0666), 0);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(code_as_stranger(), ERR_DENIED);
    struct client *client = open_client();
    check_echo(client, "echo", "root");
    client_close(client);
    assert_int_equal(calls_n, 1);
}

static void second_daemon_is_refused(void **state)
{
    (void)state;
    struct err err;
    uv_loop_t loop;
    struct server *second = NULL;
    uv_loop_init(&loop);
    struct server_config config = {
        .loop = &loop, .socket_path = socket_path, .on_call = on_call, .on_gone = on_gone};
    assert_int_equal(server_start(&config, &second, &err), ERR_BUSY);
    assert_null(second);
    uv_run(&loop, UV_RUN_DEFAULT);
    struct client *client = open_client();
    check_echo(client, "echo", "the first lives");
    client_close(client);
    /* A path that does not fit, and one that is taken by a file. */
    char path[200];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    config.socket_path = path;
    assert_int_equal(server_start(&config, &second, &err), ERR_INVALID);
    cleanup_free char *file = str_printf("%s/file", dir);
    must(file_write(file, "x", 1, 0600, &err));
    config.socket_path = file;
    assert_int_equal(server_start(&config, &second, &err), ERR_EXISTS);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void stale_socket_is_replaced(void **state)
{
    (void)state;
    stop_server();
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    str_fill(sa.sun_path, sizeof(sa.sun_path), socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    close(fd);
    struct err err;
    struct client *client;
    cleanup_free char *to = target();
    assert_int_equal(client_open(to, NULL, &client, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "wherry node"));
    start_server();
    client = open_client();
    check_echo(client, "echo", "hello");
    client_close(client);
}

static void client_outlives_a_restart(void **state)
{
    (void)state;
    struct err err;
    struct client *client = open_client();
    check_echo(client, "echo", "before");
    stop_server();
    assert_int_equal(call_code(client, "echo", 1000, &err), ERR_UNAVAILABLE);
    start_server();
    check_echo(client, "echo", "after");
    client_close(client);
}

/* Read replies until the daemon hangs up; the code of the last one. */
static int last_code(int fd)
{
    struct err err;
    struct reply reply;
    cleanup_buf struct buf in = BUF_INIT;
    int code = 0;
    for (;;) {
        ssize_t n = recv(fd, buf_reserve(&in, 4096), 4096, 0);
        if (n <= 0)
            break;
        in.len += (size_t)n;
    }
    while (in.len >= WIRE_HEADER && in.len >= WIRE_HEADER + wire_frame_len(in.data)) {
        size_t len = wire_frame_len(in.data);
        must(record_decode(&reply_type, in.data + WIRE_HEADER, len, true, &reply, &err));
        code = reply_get_err(&reply, &err);
        record_release(&reply_type, &reply);
        buf_consume(&in, WIRE_HEADER + len);
    }
    assert_int_equal(in.len, 0);
    close(fd);
    return code;
}

static void garbage_is_answered(void **state)
{
    (void)state;
    int fd = open_raw();
    assert_int_equal(send(fd, "\xff\xff\xff\xff", 4, 0), 4);
    assert_int_equal(last_code(fd), ERR_TOOBIG);
    fd = open_raw();
    assert_int_equal(send(fd, "\5\0\0\0hello", 9, 0), 9);
    assert_int_equal(last_code(fd), ERR_CORRUPT);
    fd = open_raw();
    assert_int_equal(send(fd, "\0\0\0\0", 4, 0), 4);
    assert_int_equal(last_code(fd), ERR_CORRUPT);
    for (int i = 0; i < 50; i++) {
        unsigned char junk[100];
        FILE *f = fopen("/dev/urandom", "re");
        assert_int_equal(fread(junk, 1, sizeof(junk), f), sizeof(junk));
        fclose(f);
        junk[3] = 0;
        junk[2] = (unsigned char)(i & 3);
        fd = open_raw();
        send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
        close(fd);
    }
    struct client *client = open_client();
    check_echo(client, "echo", "alive");
    client_close(client);
    assert_int_equal(calls_n, 1);
}

static void version_is_checked(void **state)
{
    (void)state;
    struct call call = {.version = 99, .id = 5, .verb = str_copy("echo")};
    cleanup_buf struct buf frame = BUF_INIT;
    wire_put_frame(&call_type, &call, &frame);
    record_release(&call_type, &call);
    int fd = open_raw();
    assert_int_equal(send(fd, frame.data, frame.len, 0), frame.len);
    shutdown(fd, SHUT_WR);
    assert_int_equal(last_code(fd), ERR_UNSUPPORTED);
}

/* 40 calls in one write, one by one: more than may be under way at once. */
static void pipelined_calls(void **state)
{
    (void)state;
    struct err err;
    cleanup_buf struct buf out = BUF_INIT;
    for (int i = 0; i < 40; i++) {
        struct call call = {.version = WIRE_VERSION, .id = i, .verb = str_copy("later")};
        wire_put_frame(&call_type, &call, &out);
        record_release(&call_type, &call);
    }
    int fd = open_raw();
    assert_int_equal(send(fd, out.data, out.len, 0), out.len);
    cleanup_buf struct buf in = BUF_INIT;
    for (int got = 0; got < 40;) {
        ssize_t n = recv(fd, buf_reserve(&in, 4096), 4096, 0);
        assert_true(n > 0);
        in.len += (size_t)n;
        while (in.len >= WIRE_HEADER && in.len >= WIRE_HEADER + wire_frame_len(in.data)) {
            struct reply reply;
            size_t len = wire_frame_len(in.data);
            must(record_decode(&reply_type, in.data + WIRE_HEADER, len, true, &reply, &err));
            assert_int_equal(reply.id, got);
            record_release(&reply_type, &reply);
            buf_consume(&in, WIRE_HEADER + len);
            got++;
        }
    }
    close(fd);
}

static void many_connections(void **state)
{
    (void)state;
    int fds[3 * LOCAL_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = open_raw();
        /* Half of them stall in the middle of a header. */
        if (i % 2)
            assert_int_equal(send(fds[i], "\1\0", 2, MSG_NOSIGNAL), 2);
    }
    struct client *client = open_client();
    check_echo(client, "echo", "there is room");
    /* Pushed out while it asked nothing, it connects again. */
    for (int i = 0; i < 2 * LOCAL_MAX; i++)
        close(open_raw());
    /* A newer one is served after all of these were: nobody is pushed out any more. */
    struct client *newer = open_client();
    check_echo(newer, "echo", "served");
    client_close(newer);
    check_echo(client, "echo", "still");
    client_close(client);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

static void all_waiting_is_busy(void **state)
{
    (void)state;
    struct err err;
    cleanup_buf struct buf out = BUF_INIT;
    struct call call = {.version = WIRE_VERSION, .verb = str_copy("never")};
    wire_put_frame(&call_type, &call, &out);
    record_release(&call_type, &call);
    int fds[LOCAL_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = open_raw();
        assert_int_equal(send(fds[i], out.data, out.len, 0), out.len);
    }
    wait_for(&calls_n, LOCAL_MAX);
    struct client *client = open_client();
    assert_int_equal(call_code(client, "echo", 2000, &err), ERR_BUSY);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    wait_for(&gone_n, LOCAL_MAX);
    check_echo(client, "echo", "room again");
    client_close(client);
}

static void bad_targets(void **state)
{
    (void)state;
    struct err err;
    struct client *client = NULL;
    assert_int_equal(client_open("unix:///nowhere/wherry.sock", NULL, &client, &err),
                     ERR_UNAVAILABLE);
    assert_int_equal(client_open("10.0.0.1:7401", NULL, &client, &err), ERR_INVALID);
    assert_int_equal(client_open("10.0.0.1:7401", "wherry1-x", &client, &err), ERR_INVALID);
    assert_null(client);
}

#define LOCAL(f) cmocka_unit_test_setup_teardown(f, setup_local, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        LOCAL(round_trips),
        LOCAL(errors_come_back),
        LOCAL(socket_is_for_the_group),
        LOCAL(others_are_refused),
        LOCAL(second_daemon_is_refused),
        LOCAL(stale_socket_is_replaced),
        LOCAL(client_outlives_a_restart),
        LOCAL(garbage_is_answered),
        LOCAL(version_is_checked),
        LOCAL(pipelined_calls),
        LOCAL(many_connections),
        LOCAL(all_waiting_is_busy),
        cmocka_unit_test(bad_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
