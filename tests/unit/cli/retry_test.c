/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lost answers: what is asked again, with what, and what is said in the end. The member is a thread
 * that takes calls on a socket and hangs up on as many as it is told to.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/retry.h"
#include "cluster/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    CALLS_MAX = 16,
    INDEX = 4711,
};

struct member {
    char dir[64];
    char path[96];
    int listener;
    pthread_t thread;
    const char *lose; /* the verb whose answers are lost */
    int losses;       /* so many of them */
    int refuse_with;  /* then this code, 0: done */
    struct call calls[CALLS_MAX];
    int calls_n;
};

static bool read_all(int fd, void *to, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, (char *)to + at, len - at);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static void send_reply(int fd, struct reply *reply)
{
    cleanup_buf struct buf frame = BUF_INIT;
    wire_put_frame(&reply_type, reply, &frame);
    ssize_t n = write(fd, frame.data, frame.len);
    (void)n;
}

/* False: hang up. */
static bool answer(struct member *m, int fd, const struct call *call)
{
    struct reply reply = {.id = call->id, .index = INDEX};
    struct err err;
    if (str_equal(call->verb, m->lose) && m->losses > 0) {
        m->losses--;
        return false;
    }
    if (str_equal(call->verb, m->lose) && m->refuse_with) {
        err_set(&err, m->refuse_with, "refused");
        reply_set_err(&reply, &err);
    }
    send_reply(fd, &reply);
    record_release(&reply_type, &reply);
    return true;
}

static void serve(struct member *m, int fd)
{
    unsigned char header[WIRE_HEADER];
    while (read_all(fd, header, sizeof(header))) {
        size_t len = wire_frame_len(header);
        cleanup_free char *data = mem_alloc(1, len + 1);
        struct err err;
        assert_true(len <= WIRE_MESSAGE_MAX && m->calls_n < CALLS_MAX);
        if (!read_all(fd, data, len))
            return;
        struct call *call = &m->calls[m->calls_n];
        assert_int_equal(record_decode(&call_type, data, len, false, call, &err), 0);
        m->calls_n++;
        if (!answer(m, fd, call))
            return;
    }
}

static void *serve_all(void *arg)
{
    struct member *m = arg;
    for (;;) {
        cleanup_close int fd = accept(m->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        serve(m, fd);
    }
}

static void member_start(struct member *m)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(m->dir, sizeof(m->dir), "/tmp/wherry-retry-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    snprintf(m->path, sizeof(m->path), "%s/sock", m->dir);
    memcpy(sa.sun_path, m->path, sizeof(m->path));
    m->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(m->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(m->listener, 8), 0);
    assert_int_equal(pthread_create(&m->thread, NULL, serve_all, m), 0);
}

static void member_end(struct member *m)
{
    shutdown(m->listener, SHUT_RDWR);
    pthread_join(m->thread, NULL);
    close(m->listener);
    unlink(m->path);
    rmdir(m->dir);
}

static void forget_calls(struct member *m)
{
    for (int i = 0; i < m->calls_n; i++)
        record_release(&call_type, &m->calls[i]);
}

/* Call @verb as a command would. */
static int call(struct member *m, const char *verb, struct err *err)
{
    struct program program = {0};
    struct cli cli = {.program = &program, .host = m->path};
    struct empty request = {0};
    struct empty reply;
    member_start(m);
    int rv = retry_call(&cli, verb, &empty_type, &request, &empty_type, &reply, 20000, err);
    client_close(cli.client);
    member_end(m);
    return rv;
}

static void test_a_change_is_repeated_as_the_same_request(void **state)
{
    struct member m = {.lose = "service.scale", .losses = 2};
    struct err err;
    (void)state;
    assert_int_equal(call(&m, "service.scale", &err), 0);
    assert_int_equal(m.calls_n, 4);
    assert_string_equal(m.calls[0].verb, "cluster.wait"); /* the index before the first try */
    for (int i = 1; i < m.calls_n; i++) {
        assert_string_equal(m.calls[i].verb, "service.scale");
        assert_int_equal(m.calls[i].request_id.len, 16);
        assert_memory_equal(m.calls[i].request_id.data, m.calls[1].request_id.data, 16);
        assert_int_equal(m.calls[i].begin, INDEX);
    }
    forget_calls(&m);
}

static void test_what_is_refused_is_not_repeated(void **state)
{
    struct member m = {.lose = "service.scale", .refuse_with = ERR_NOTFOUND};
    struct err err;
    (void)state;
    assert_int_equal(call(&m, "service.scale", &err), ERR_NOTFOUND);
    assert_int_equal(m.calls_n, 2);
    forget_calls(&m);
}

static void test_a_refusal_after_a_loss_is_the_answer(void **state)
{
    struct member m = {.lose = "service.scale", .losses = 1, .refuse_with = ERR_CONFLICT};
    struct err err;
    (void)state;
    assert_int_equal(call(&m, "service.scale", &err), ERR_CONFLICT);
    forget_calls(&m);
}

static void test_it_is_not_tried_for_ever(void **state)
{
    struct member m = {.lose = "stack.deploy", .losses = 100};
    struct err err;
    (void)state;
    assert_int_equal(call(&m, "stack.deploy", &err), ERR_UNKNOWN);
    assert_int_equal(m.calls_n, 1 + 1 + RETRIES_MAX);
    assert_int_equal(err_exit_status(err.code), 9);
    forget_calls(&m);
}

static void test_an_unreachable_member_after_a_loss_is_unknown(void **state)
{
    struct member m = {.lose = "stack.deploy", .losses = 1, .refuse_with = ERR_UNAVAILABLE};
    struct err err;
    (void)state;
    assert_int_equal(call(&m, "stack.deploy", &err), ERR_UNKNOWN);
    assert_non_null(strstr(err.msg, "outcome unknown"));
    assert_non_null(strstr(err.msg, "refused"));
    forget_calls(&m);
}

static void test_a_read_has_no_outcome(void **state)
{
    struct member m = {.lose = "service.list", .losses = 100};
    struct err err;
    (void)state;
    assert_int_equal(call(&m, "service.list", &err), ERR_UNAVAILABLE);
    assert_int_equal(m.calls_n, 1 + RETRIES_MAX);
    forget_calls(&m);
}

static void test_what_makes_something_anew_is_called_once(void **state)
{
    struct member m = {.lose = "token.create", .losses = 100};
    struct err err;
    (void)state;
    assert_int_equal(call(&m, "token.create", &err), ERR_UNKNOWN);
    assert_int_equal(m.calls_n, 1);
    forget_calls(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_is_repeated_as_the_same_request),
        cmocka_unit_test(test_what_is_refused_is_not_repeated),
        cmocka_unit_test(test_a_refusal_after_a_loss_is_the_answer),
        cmocka_unit_test(test_it_is_not_tried_for_ever),
        cmocka_unit_test(test_an_unreachable_member_after_a_loss_is_unknown),
        cmocka_unit_test(test_a_read_has_no_outcome),
        cmocka_unit_test(test_what_makes_something_anew_is_called_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
