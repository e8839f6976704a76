/* SPDX-License-Identifier: Apache-2.0 */
/* Probes against servers of our own, most of which are no good. Each server is a thread that takes
 * one connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
    int listener;
    int port;
    const char *answer; /* what it says; NULL: nothing, for as long as it is not hung up on */
    size_t len;
    bool slowly; /* a byte at a time */
    char asked[2048];
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct server *s = arg;
    char rest[2048];
    int fd = accept(s->listener, NULL, NULL);
    ssize_t n = recv(fd, s->asked, sizeof(s->asked) - 1, 0);
    s->asked[n > 0 ? n : 0] = '\0';
    for (size_t i = 0; s->answer && i < s->len; i += s->slowly ? 1 : s->len)
        if (send(fd, s->answer + i, s->slowly ? 1 : s->len, MSG_NOSIGNAL) < 0)
            break;
    if (s->answer)
        shutdown(fd, SHUT_WR);
    while (recv(fd, rest, sizeof(rest), 0) > 0)
        continue;
    close(fd);
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    getsockname(s->listener, (struct sockaddr *)&at, &len);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_end(struct server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static int ask(struct server *s, enum probe_kind kind, int64_t timeout_ms, struct err *err)
{
    struct probe p = {.kind = kind,
                      .address = (char *)(uintptr_t) "127.0.0.1",
                      .path = (char *)(uintptr_t) "/healthz",
                      .service = (char *)(uintptr_t) "shop"};
    server_start(s);
    p.port = s->port;
    int rv = probe_run(&p, timeout_ms, err);
    server_end(s);
    return rv;
}

static void http_answers(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *why; /* NULL: it is well */
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", NULL},
        {"HTTP/1.0 204 \r\n\r\n", NULL},
        {"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", NULL},
        {"HTTP/1.1 404 Not Found\r\n\r\n", "GET /healthz: answered 404"},
        {"HTTP/1.1 503 \r\n\r\n", "answered 503"},
        {"HTTP/2 200\r\n", "what is not HTTP"},
        {"HTTP/1.1 2x0 OK\r\n", "what is not HTTP"},
        {"HTTP/1.1 099 OK\r\n", "what is not HTTP"},
        {"HTTP/1.1 200", "what is not HTTP"}, /* the line does not end */
        {"SSH-2.0-OpenSSH_9.2\r\n", "what is not HTTP"},
        {"\n", "what is not HTTP"},
        {"", "what is not HTTP"},
    };
    for (int slowly = 0; slowly < 2; slowly++)
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            struct err err = {0};
            struct server s = {
                .answer = cases[i].answer, .len = strlen(cases[i].answer), .slowly = slowly};
            int rv = ask(&s, PROBE_HTTP, 20000, &err);
            if ((rv == 0) != (cases[i].why == NULL) ||
                (cases[i].why && !strstr(err.msg, cases[i].why)))
                fail_msg("'%s': %d %s", cases[i].answer, rv, err.msg);
            if (!strstr(s.asked, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:"))
                fail_msg("asked: %s", s.asked);
        }
}

static void a_line_without_end(void **state)
{
    (void)state;
    struct err err = {0};
    static char answer[100000];
    memset(answer, 'a', sizeof(answer));
    memcpy(answer, "HTTP/1.1 200 ", 13);
    struct server s = {.answer = answer, .len = sizeof(answer)};
    assert_int_equal(ask(&s, PROBE_HTTP, 20000, &err), ERR_FAILED);
}

static void silence(void **state)
{
    (void)state;
    static const enum probe_kind kinds[] = {PROBE_HTTP, PROBE_GRPC};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct err err = {0};
        struct server s = {0};
        assert_int_equal(ask(&s, kinds[i], 200, &err), ERR_TIMEOUT);
    }
}

static void nobody_there(void **state)
{
    (void)state;
    struct err err = {0};
    struct probe p = {.kind = PROBE_TCP, .address = (char *)(uintptr_t) "127.0.0.1", .port = 1};
    assert_int_equal(probe_run(&p, 1000, &err), ERR_FAILED);
    assert_non_null(strstr(err.msg, "port 1: Connection refused"));
    p.netns = (char *)(uintptr_t) "/no/such/namespace";
    assert_int_equal(probe_run(&p, 1000, &err), ERR_UNAVAILABLE);
    p.netns = NULL;
    p.address = (char *)(uintptr_t) "example.test";
    assert_int_equal(probe_run(&p, 1000, &err), ERR_INVALID);
}

static void a_connection_is_enough_for_tcp(void **state)
{
    (void)state;
    struct err err = {0};
    struct server s = {.answer = ""};
    assert_int_equal(ask(&s, PROBE_TCP, 5000, &err), 0);
}

/* --- gRPC ------------------------------------------------------------------------------------- */

#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define ACK      "\0\0\0\4\1\0\0\0\0"
#define PING     "\0\0\10\6\0\0\0\0\0abcdefgh"
#define HEADERS  "\0\0\1\1\4\0\0\0\1\x88"
#define TRAILERS "\0\0\1\1\5\0\0\0\1\x88"
#define DATA     "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\10"

static void grpc_answers(void **state)
{
    (void)state;
#define ANSWER(text) text, sizeof(text) - 1
    static const struct {
        const char *answer;
        size_t len;
        const char *why;
    } cases[] = {
        {ANSWER(SETTINGS ACK HEADERS DATA "\1" TRAILERS), NULL},
        {ANSWER(SETTINGS PING ACK HEADERS DATA "\1"), NULL},
        {ANSWER(SETTINGS HEADERS "\0\0\12\0\10\0\0\0\1\2\0\0\0\0\2\10\1zz"), NULL}, /* padded */
        {ANSWER(SETTINGS HEADERS DATA "\2"), "its status is 2, not SERVING"},
        {ANSWER(SETTINGS HEADERS "\0\0\5\0\0\0\0\0\1\0\0\0\0\0"), "its status is 0"},
        {ANSWER(SETTINGS TRAILERS), "without a status"},
        {ANSWER(SETTINGS "\0\0\4\3\0\0\0\0\1\0\0\0\7"), "it refused the call"},
        {ANSWER(SETTINGS "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\1"), "it ended the connection"},
        {ANSWER(SETTINGS HEADERS "\0\0\5\0\0\0\0\0\1\1\0\0\0\0"), "compressed, or too long"},
        {ANSWER(SETTINGS HEADERS "\0\0\5\0\0\0\0\0\1\0\xff\0\0\0"), "compressed, or too long"},
        {ANSWER(SETTINGS HEADERS "\0\0\5\0\1\0\0\0\1\0\0\0\0\2"), "breaks off"},
        {ANSWER(SETTINGS HEADERS "\0\0\1\0\10\0\0\0\1\7"), "malformed"},
        {ANSWER("HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak HTTP/2"},
        {ANSWER(HEADERS), "does not speak HTTP/2"},
        {ANSWER(SETTINGS "\0"), "without an answer"},
        {ANSWER(""), "without an answer"},
    };
    for (int slowly = 0; slowly < 2; slowly++)
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            struct err err = {0};
            struct server s = {.answer = cases[i].answer, .len = cases[i].len, .slowly = slowly};
            int rv = ask(&s, PROBE_GRPC, 20000, &err);
            if ((rv == 0) != (cases[i].why == NULL) ||
                (cases[i].why && !strstr(err.msg, cases[i].why)))
                fail_msg("case %zu: %d %s", i, rv, err.msg);
        }
}

static void frames_without_end(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf answer = BUF_INIT;
    for (int i = 0; i < 10000; i++)
        buf_append(&answer, SETTINGS, 9);
    struct server s = {.answer = answer.data, .len = answer.len};
    assert_int_equal(ask(&s, PROBE_GRPC, 20000, &err), ERR_FAILED);
    assert_non_null(strstr(err.msg, "frame after frame"));
    buf_release(&answer);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_answers),
        cmocka_unit_test(a_line_without_end),
        cmocka_unit_test(silence),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(a_connection_is_enough_for_tcp),
        cmocka_unit_test(grpc_answers),
        cmocka_unit_test(frames_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
