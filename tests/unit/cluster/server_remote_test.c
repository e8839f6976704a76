/* SPDX-License-Identifier: Apache-2.0 */
/* Remote callers. */
#include "server_fixture.h"

#include "cluster/server_internal.h"

#include "base/digest.h"
#include "cluster/tls.h"

#include <arpa/inet.h>
#include <dirent.h>

static char *token_of(const struct identity *id)
{
    struct err err;
    char *token;
    must(token_make(id, TOKEN_CALL, &token, &err));
    return token;
}

static struct client *open_client(void)
{
    struct err err;
    struct client *client;
    cleanup_free char *token = token_of(identity);
    must(client_open(remote_address, token, &client, &err));
    return client;
}

static int open_raw(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    sa.sin_port = htons((uint16_t)atoi(strchr(remote_address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static void check_echo_once(void)
{
    struct client *client = open_client();
    check_echo(client, "echo", "alive");
    client_close(client);
}

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void round_trips(void **state)
{
    (void)state;
    struct err err;
    struct client *client = open_client();
    check_echo(client, "echo", "hello");
    check_echo(client, "later", "hello again");
    assert_false(was_local);
    cleanup_free char *large = mem_alloc(1, 3000001);
    memset(large, 'x', 3000000);
    check_echo(client, "echo", large);
    assert_int_equal(call_code(client, "nonsense", 5000, &err), ERR_NOTFOUND);
    assert_int_equal(call_code(client, "huge", 5000, &err), ERR_TOOBIG);
    client_close(client);
}

static void other_ca_is_refused(void **state)
{
    (void)state;
    struct err err;
    struct client *client = NULL;
    struct identity *other = new_member(dir, "other", 1, NULL);
    cleanup_free char *token = token_of(other);
    assert_int_equal(client_open(remote_address, token, &client, &err), ERR_DENIED);
    assert_null(client);
    identity_free(other);
    assert_int_equal(calls_n, 0);
}

static void timeout_then_next(void **state)
{
    (void)state;
    struct err err;
    struct client *client = open_client();
    assert_int_equal(call_code(client, "never", 200, &err), ERR_UNKNOWN);
    check_echo(client, "echo", "next");
    client_close(client);
    wait_for(&gone_n, 1);
}

static struct client *waiting;

static void *call_never(void *arg)
{
    struct err err;
    *(int *)arg = call_code(waiting, "never", 2000, &err);
    return NULL;
}

/* nng would send a request again when the connection broke: that is for the caller to decide. */
static void call_is_not_repeated(void **state)
{
    (void)state;
    pthread_t caller;
    int code = 0;
    waiting = open_client();
    assert_int_equal(pthread_create(&caller, NULL, call_never, &code), 0);
    wait_for(&calls_n, 1);
    stop_server();
    start_server(); /* counts anew, at the same port */
    pthread_join(caller, NULL);
    assert_int_equal(code, ERR_UNKNOWN);
    assert_int_equal(calls_n, 0);
    check_echo(waiting, "echo", "next");
    assert_int_equal(calls_n, 1);
    client_close(waiting);
}

static void *call_later(void *arg)
{
    struct client *client = open_client();
    for (int i = 0; i < 5; i++)
        check_echo(client, "later", "x");
    client_close(client);
    return arg;
}

static void many_callers(void **state)
{
    (void)state;
    pthread_t threads[12];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_later, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(calls_n, 12 * 5);
}

/* Connect-and-close, half headers, garbage, stalled handshakes: the listener outlives them. */
static void listener_outlives_all(void **state)
{
    (void)state;
    unsigned char junk[4096];
    for (int i = 0; i < 50; i++)
        close(open_raw());
    for (int i = 0; i < 20; i++) {
        int fd = open_raw();
        send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL);
        close(fd);
        fd = open_raw();
        random_bytes(junk, sizeof(junk));
        send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
        close(fd);
    }
    int stalled[200];
    for (size_t i = 0; i < ARRAY_SIZE(stalled); i++)
        stalled[i] = open_raw();
    struct client *client = open_client();
    check_echo(client, "echo", "alive");
    for (size_t i = 0; i < ARRAY_SIZE(stalled); i++)
        close(stalled[i]);
    check_echo(client, "echo", "alive");
    client_close(client);
}

/* Go on with a call as far as @steps, then break off with a reset. */
static void break_off(int steps)
{
    static const char text[] = "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\x05\x80\0\0\1\x80";
    struct err err;
    struct tls_context *context;
    char in[16384];
    int rv = 0;
    int fd = open_raw();
    must(tls_context_new(NULL, &context, &err));
    struct tls *tls = tls_new(context, false);
    tls_context_free(context);
    for (int i = 0; i < steps && (rv = tls_handshake(tls, &err)) == 0; i++) {
        send(fd, tls_out(tls)->data, tls_out(tls)->len, MSG_NOSIGNAL);
        buf_reset(tls_out(tls));
        ssize_t n = steps > i + 1 ? recv(fd, in, sizeof(in), 0) : 0;
        if (n <= 0)
            break;
        tls_feed(tls, in, (size_t)n);
    }
    if (rv == 1) {
        int part = steps * 2 < (int)sizeof(text) - 1 ? steps * 2 : (int)sizeof(text) - 1;
        must(tls_write(tls, text, (size_t)part));
        send(fd, tls_out(tls)->data, tls_out(tls)->len, MSG_NOSIGNAL);
    }
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    usleep((useconds_t)steps * 20);
    close(fd);
    tls_free(tls);
}

/* Callers that break off at every point of a call leave nothing behind: not a descriptor. */
static void broken_off_leave_nothing(void **state)
{
    (void)state;
    check_echo_once();
    int before = open_descriptors();
    for (int i = 0; i < 100; i++)
        break_off(i % 20);
    check_echo_once();
    for (int i = 0; i < 50 && open_descriptors() > before; i++)
        usleep(100000);
    assert_true(open_descriptors() <= before);
}

/* Above the limit the one that was silent longest makes room, and who has a call under way stays:
 * nobody keeps others out by holding connections. */
static void many_connections(void **state)
{
    (void)state;
    int held[REMOTE_CALLERS_MAX + 20];
    pthread_t caller;
    int code = 0;
    waiting = open_client();
    assert_int_equal(pthread_create(&caller, NULL, call_never, &code), 0);
    wait_for(&calls_n, 1);
    for (size_t i = 0; i < ARRAY_SIZE(held); i++)
        held[i] = open_raw();
    check_echo_once();
    assert_int_equal(gone_n, 0);
    for (size_t i = 0; i < ARRAY_SIZE(held); i++)
        close(held[i]);
    check_echo(waiting, "echo", "still");
    pthread_join(caller, NULL);
    client_close(waiting);
}

static void stops_under_calls(void **state)
{
    (void)state;
    struct err err;
    struct client *client = open_client();
    assert_int_equal(call_code(client, "never", 100, &err), ERR_UNKNOWN);
    stop_server();
    int code = call_code(client, "echo", 300, &err);
    assert_true(code == ERR_UNKNOWN || code == ERR_UNAVAILABLE);
    client_close(client);
    start_server();
    client = open_client();
    check_echo(client, "echo", "alive");
    client_close(client);
}

#define REMOTE(f) cmocka_unit_test_setup_teardown(f, setup_remote, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        REMOTE(round_trips),       REMOTE(other_ca_is_refused),
        REMOTE(timeout_then_next), REMOTE(call_is_not_repeated),
        REMOTE(many_callers),      REMOTE(listener_outlives_all),
        REMOTE(many_connections),  REMOTE(broken_off_leave_nothing),
        REMOTE(stops_under_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
