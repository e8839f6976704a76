/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers: those who join, and those who should not be there. */
#include "bus_fixture.h"

#include "base/digest.h"
#include "cluster/bus_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

static struct test_node *const one = &nodes[0];
static struct test_node *const two = &nodes[1];

/* --- joining ------------------------------------------------------------------------------- */

struct outcome {
    int ended;
    struct err err;
    struct buf data;
};

static struct outcome outcome;

static void on_joined(void *arg, const struct err *err, const void *data, size_t len)
{
    struct outcome *o = arg;
    o->ended++;
    o->err = *err;
    buf_reset(&o->data);
    buf_append(&o->data, data, len);
}

static bool has_ended(void *arg)
{
    (void)arg;
    return outcome.ended > 0;
}

static bool has_stranger(void *arg)
{
    (void)arg;
    return one->stranger != NULL;
}

/* Node 1 is a member, node 2 a machine that is none. */
static void make_member_and_stranger(void)
{
    make_nodes(1);
    two->id = 2;
    two->identity = new_stranger(dir, "n2");
    start_bus(two, 0);
    memset(&outcome, 0, sizeof(outcome));
}

static void ask(const char *address, const char *request)
{
    unsigned char hash[32];
    ca_hash_of(one->identity, hash);
    bus_join(two->bus, address, hash, request, strlen(request), on_joined, &outcome);
    assert_int_equal(outcome.ended, 0);
}

/* Run until the join is over. Returns its code. */
static int join_code(void)
{
    assert_true(run_until(&loop, has_ended, NULL, 20000));
    assert_int_equal(outcome.ended, 1);
    return outcome.err.code;
}

static void answer(const char *text)
{
    bus_stranger_reply(one->stranger, text, strlen(text));
    one->stranger = NULL;
}

static bool both_connected(void *arg)
{
    size_t count = 2;
    (void)arg;
    return all_connected(&count);
}

static void stranger_joins(void **state)
{
    (void)state;
    struct err err;
    make_member_and_stranger();
    ask(one->address, "let me in");
    assert_true(run_until(&loop, has_stranger, NULL, 20000));
    assert_int_equal(one->request.len, 9);
    assert_memory_equal(one->request.data, "let me in", 9);
    const struct bytes *key = identity_public_key(two->identity);
    assert_int_equal(one->stranger_key.len, key->len);
    assert_memory_equal(one->stranger_key.data, key->data, key->len);
    answer("welcome");
    assert_int_equal(join_code(), 0);
    assert_int_equal(outcome.data.len, 7);
    assert_memory_equal(outcome.data.data, "welcome", 7);
    /* From here on it is a member, on the same bus. */
    must(identity_set_ca(two->identity, identity_ca_cert(one->identity),
                         identity_ca_key(one->identity), &err));
    must(identity_set_member(two->identity, test_uuid, 2, &err));
    know_all(one, 2);
    know_all(two, 2);
    assert_true(run_until(&loop, both_connected, NULL, 20000));
    /* And admits the next one itself, with its new certificate. */
    struct test_node *third = &nodes[2];
    third->identity = new_stranger(dir, "n3");
    start_bus(third, 0);
    unsigned char hash[32];
    ca_hash_of(one->identity, hash);
    outcome.ended = 0;
    bus_join(third->bus, two->address, hash, "me too", 6, on_joined, &outcome);
    for (int i = 0; i < 200 && !two->stranger; i++)
        run_until(&loop, never, NULL, 10);
    bus_stranger_reply(two->stranger, "yes", 3);
    two->stranger = NULL;
    assert_int_equal(join_code(), 0);
    buf_release(&outcome.data);
}

static void member_may_ask_again(void **state)
{
    (void)state;
    make_member_and_stranger();
    /* It was admitted, but its answer got lost. */
    struct bus_peer peer = peer_of(two);
    bus_set_peers(one->bus, 1, &peer, 1);
    ask(one->address, "again");
    assert_true(run_until(&loop, has_stranger, NULL, 20000));
    answer("yes");
    assert_int_equal(join_code(), 0);
    buf_release(&outcome.data);
}

static void names_are_resolved(void **state)
{
    (void)state;
    make_member_and_stranger();
    cleanup_free char *address = str_printf("localhost:%d", bus_port(one->bus));
    ask(address, "x");
    assert_true(run_until(&loop, has_stranger, NULL, 20000));
    answer("");
    assert_int_equal(join_code(), 0);
    buf_release(&outcome.data);
}

static void wrong_ca_is_refused(void **state)
{
    (void)state;
    make_member_and_stranger();
    unsigned char hash[32];
    ca_hash_of(one->identity, hash);
    hash[31] ^= 1;
    bus_join(two->bus, one->address, hash, "secret", 6, on_joined, &outcome);
    assert_int_equal(join_code(), ERR_DENIED);
    assert_non_null(strstr(outcome.err.msg, one->address));
    run_until(&loop, never, NULL, 100);
    assert_null(one->stranger);
    assert_int_equal(one->request.len, 0);
    buf_release(&outcome.data);
}

static void no_member_there(void **state)
{
    (void)state;
    make_member_and_stranger();
    ask("127.0.0.1:1", "x");
    assert_int_equal(join_code(), ERR_UNAVAILABLE);
    outcome.ended = 0;
    ask("127.0.0.1:99999", "x");
    assert_int_equal(join_code(), ERR_INVALID);
    outcome.ended = 0;
    static char large[BUS_STRANGER_MAX + 1];
    unsigned char hash[32] = {0};
    bus_join(two->bus, one->address, hash, large, sizeof(large), on_joined, &outcome);
    assert_int_equal(join_code(), ERR_TOOBIG);
    outcome.ended = 0;
    /* Somebody who is no member himself. */
    ask(two->address, "x");
    assert_int_equal(join_code(), ERR_DENIED);
    buf_release(&outcome.data);
}

static struct conn *conn_in(const struct bus *bus, enum conn_state state)
{
    for (struct conn *c = bus->conns; c; c = c->next)
        if (c->state == state)
            return c;
    fail_msg("no connection in state %d", (int)state);
    abort();
}

static void no_answer_is_an_end(void **state)
{
    (void)state;
    make_member_and_stranger();
    ask(one->address, "x");
    assert_true(run_until(&loop, has_stranger, NULL, 20000));
    conn_in(one->bus, CONN_STRANGER)->deadline_ms = 1; /* long ago */
    bus_schedule(one->bus);
    assert_int_equal(join_code(), ERR_UNKNOWN);
    answer("too late"); /* goes nowhere */
    outcome.ended = 0;
    /* Stopping ends it as well. */
    ask(one->address, "x");
    assert_true(run_until(&loop, has_stranger, NULL, 20000));
    stop_bus(two);
    assert_int_equal(join_code(), ERR_CANCELED);
    buf_release(&outcome.data);
}

static struct bus_stranger *crowd[32];
static size_t crowd_n;

static void on_crowd(void *arg, struct bus_stranger *stranger, const struct bytes *key,
                     const void *data, size_t len)
{
    (void)arg, (void)key, (void)data, (void)len;
    crowd[crowd_n++] = stranger;
}

static bool all_ended(void *arg)
{
    return outcome.ended == *(int *)arg;
}

static void few_at_once(void **state)
{
    (void)state;
    make_member_and_stranger();
    one->bus->config.on_stranger = on_crowd;
    crowd_n = 0;
    unsigned char hash[32];
    ca_hash_of(one->identity, hash);
    for (int i = 0; i < 20; i++)
        bus_join(two->bus, one->address, hash, "x", 1, on_joined, &outcome);
    int refused = 20 - STRANGERS_SOURCE_MAX;
    assert_true(run_until(&loop, all_ended, &refused, 20000));
    assert_int_equal(crowd_n, STRANGERS_SOURCE_MAX);
    for (size_t i = 0; i < crowd_n; i++)
        bus_stranger_reply(crowd[i], "y", 1);
    int all = 20;
    assert_true(run_until(&loop, all_ended, &all, 20000));
    assert_int_equal(outcome.err.code, 0);
    buf_release(&outcome.data);
}

/* --- hostile ------------------------------------------------------------------------------- */

/* A connection that speaks TLS, but says what it likes. */
struct raw {
    int fd;
    struct tls *tls;
    bool closed;
    struct buf in; /* text that came */
};

static int raw_connect(const struct test_node *to)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    sa.sin_port = htons((uint16_t)bus_port(to->bus));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Send what is to be sent, take in what came, let the loop run. */
static void raw_pump(struct raw *r)
{
    struct err err;
    static char in[65536];
    struct buf *out = tls_out(r->tls);
    if (out->len > 0) {
        ssize_t n = send(r->fd, out->data, out->len, MSG_NOSIGNAL);
        if (n > 0)
            buf_consume(out, (size_t)n);
        else if (errno != EAGAIN)
            r->closed = true;
    }
    run_until(&loop, never, NULL, 2);
    ssize_t n = recv(r->fd, in, sizeof(in), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        r->closed = true;
    if (n <= 0)
        return;
    tls_feed(r->tls, in, (size_t)n);
    if (tls_handshake(r->tls, &err) != 1)
        return;
    int got;
    while ((got = tls_read(r->tls, buf_reserve(&r->in, 65536), 65536)) > 0)
        r->in.len += (size_t)got;
    r->closed = r->closed || got < 0;
}

static void raw_open(struct raw *r, const struct test_node *to, const struct identity *as)
{
    struct err err;
    struct tls_context *context;
    memset(r, 0, sizeof(*r));
    must(tls_context_new(as, &context, &err));
    r->tls = tls_new(context, false);
    tls_context_free(context);
    r->fd = raw_connect(to);
    for (int i = 0; i < 500 && !r->closed; i++) {
        if (tls_handshake(r->tls, &err) == 1 && tls_out(r->tls)->len == 0)
            break;
        raw_pump(r);
    }
    assert_false(r->closed);
}

static void raw_send(struct raw *r, const void *data, size_t len)
{
    for (size_t at = 0; at < len && !r->closed;) {
        size_t part = len - at < TLS_RECORD_MAX ? len - at : TLS_RECORD_MAX;
        assert_int_equal(tls_write(r->tls, (const char *)data + at, part), 0);
        at += part;
        raw_pump(r);
    }
}

static void raw_frame(struct raw *r, unsigned kind, unsigned more, const void *data, size_t len)
{
    cleanup_buf struct buf out = BUF_INIT;
    buf_put_u32(&out, (unsigned)len);
    buf_putc(&out, (char)kind);
    buf_putc(&out, (char)more);
    buf_append(&out, data, len);
    raw_send(r, out.data, out.len);
}

/* Fails unless the other side hangs up. */
static void raw_is_cut(struct raw *r)
{
    for (int i = 0; i < 500 && !r->closed; i++)
        raw_pump(r);
    assert_true(r->closed);
    tls_free(r->tls);
    buf_release(&r->in);
    close(r->fd);
}

static void strangers_may_only_join(void **state)
{
    (void)state;
    static char large[BUS_FRAME_MAX];
    make_member_and_stranger();
    const struct identity *as = two->identity;
    struct raw r;
    raw_open(&r, one, as);
    raw_frame(&r, BUS_RAFT, 0, "evil", 4);
    raw_is_cut(&r);
    raw_open(&r, one, as);
    raw_frame(&r, FRAME_HELLO, 0, "\x80", 1);
    raw_is_cut(&r);
    raw_open(&r, one, as);
    raw_frame(&r, FRAME_JOIN, 0, large, BUS_STRANGER_MAX + 1);
    raw_is_cut(&r);
    /* In parts, it is no shorter. */
    raw_open(&r, one, as);
    raw_frame(&r, FRAME_JOIN, 1, large, BUS_STRANGER_MAX);
    raw_frame(&r, FRAME_JOIN, 0, large, 1);
    raw_is_cut(&r);
    raw_open(&r, one, as);
    raw_send(&r, "\xff\xff\xff\xff\x81\x00", 6);
    raw_is_cut(&r);
    raw_open(&r, one, as);
    raw_send(&r, "\0\0\0\0\x81\x07", 6);
    raw_is_cut(&r);
    /* The parts of two messages do not mix. */
    raw_open(&r, one, as);
    raw_frame(&r, FRAME_JOIN, 1, "a", 1);
    raw_frame(&r, FRAME_HELLO, 0, "b", 1);
    raw_is_cut(&r);
    assert_null(one->stranger);
    /* One request, not two. */
    raw_open(&r, one, as);
    raw_frame(&r, FRAME_JOIN, 1, "a", 1);
    raw_frame(&r, FRAME_JOIN, 0, "b", 1);
    raw_frame(&r, FRAME_JOIN, 0, "c", 1);
    raw_is_cut(&r);
    assert_int_equal(one->request.len, 2);
    assert_int_equal(one->messages, 0);
}

struct claim {
    int64_t version;
    char *cluster;
    int64_t from, to, channel, incarnation;
};

static const struct field claim_fields[] = {
    FIELD_INT(struct claim, version), FIELD_STRING(struct claim, cluster),
    FIELD_INT(struct claim, from),    FIELD_INT(struct claim, to),
    FIELD_INT(struct claim, channel), FIELD_INT(struct claim, incarnation),
};

static const struct record_type claim_type = RECORD_TYPE("hello", struct claim, claim_fields);

/* Say hello as @claim with a pinned key. */
static void claim_is_cut(const struct claim *claim, bool cut)
{
    struct raw r;
    cleanup_buf struct buf out = BUF_INIT;
    record_encode(&claim_type, claim, &out);
    raw_open(&r, one, two->identity);
    raw_frame(&r, FRAME_HELLO, 0, out.data, out.len);
    if (!cut) {
        for (int i = 0; i < 500 && r.in.len == 0; i++)
            raw_pump(&r);
        assert_true(r.in.len > FRAME_HEADER);
        assert_int_equal((unsigned char)r.in.data[4], FRAME_HELLO);
        /* A member too is held to the limits. */
        raw_send(&r, "\xff\xff\xff\xff\x01\x00", 6);
    }
    raw_is_cut(&r);
}

static void false_claims_are_refused(void **state)
{
    (void)state;
    make_nodes(2);
    struct bus_peer peer = peer_of(two);
    peer.address = "127.0.0.1:1";
    bus_set_peers(one->bus, 1, &peer, 1);
    char uuid[sizeof(test_uuid)];
    memcpy(uuid, test_uuid, sizeof(uuid));
    char other[] = "other";
    const struct claim good = {.version = 1, .cluster = uuid, .from = 2, .to = 1, .incarnation = 9};
    struct claim c = good;
    c.from = 3;
    claim_is_cut(&c, true);
    c = good;
    c.to = 2;
    claim_is_cut(&c, true);
    c = good;
    c.cluster = other;
    claim_is_cut(&c, true);
    c = good;
    c.channel = 2;
    claim_is_cut(&c, true);
    c.channel = -1;
    claim_is_cut(&c, true);
    c = good;
    c.incarnation = 0;
    claim_is_cut(&c, true);
    c = good;
    c.version = 0;
    claim_is_cut(&c, true);
    assert_int_equal(one->ups[2] + one->downs, 0);
    claim_is_cut(&good, false);
    assert_int_equal(one->downs, 1);
}

static size_t accepted_conns(const struct bus *bus)
{
    size_t n = 0;
    for (const struct conn *c = bus->conns; c; c = c->next)
        n += c->accepted && c->state != CONN_CLOSED;
    return n;
}

static bool none_accepted(void *arg)
{
    (void)arg;
    return accepted_conns(one->bus) == 0;
}

static void garbage_and_slow_ones(void **state)
{
    (void)state;
    unsigned char junk[3000];
    make_nodes(2);
    for (int i = 0; i < 60; i++) {
        int fd = raw_connect(one);
        random_bytes(junk, sizeof(junk));
        if (i % 3 == 0)
            memcpy(junk, "\x16\x03\x01\x0b\xb3\x01\x00\x0b\xaf\x03\x03", 11); /* a ClientHello */
        if (i % 3 != 1)
            send(fd, junk, i % 2 ? sizeof(junk) : 3, MSG_NOSIGNAL);
        run_until(&loop, never, NULL, 2);
        close(fd);
    }
    assert_true(run_until(&loop, none_accepted, NULL, 20000));
    int fds[150];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = raw_connect(one);
        run_until(&loop, never, NULL, 1);
        assert_true(accepted_conns(one->bus) <= PENDING_MAX);
    }
    /* A member gets in all the same. */
    struct bus_peer peer = peer_of(two);
    peer.address = "127.0.0.1:1";
    bus_set_peers(one->bus, 1, &peer, 1);
    know_all(two, 2);
    assert_true(run_until(&loop, both_connected, NULL, 20000));
    stop_bus(two);
    bus_set_peers(one->bus, 1, NULL, 0);
    /* And those who say nothing are gone after the time for it. */
    assert_true(run_until(&loop, none_accepted, NULL, HANDSHAKE_MS + 20000));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

static void port_in_use_is_said(void **state)
{
    (void)state;
    struct err err;
    struct bus *second = NULL;
    make_nodes(1);
    struct bus_config config = one->bus->config;
    config.listen = one->address;
    assert_int_equal(bus_start(&config, &second, &err), ERR_BUSY);
    assert_non_null(strstr(err.msg, one->address));
    config.listen = "nonsense";
    assert_int_equal(bus_start(&config, &second, &err), ERR_INVALID);
    assert_null(second);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        TEST(stranger_joins),        TEST(member_may_ask_again),    TEST(names_are_resolved),
        TEST(wrong_ca_is_refused),   TEST(no_member_there),         TEST(no_answer_is_an_end),
        TEST(few_at_once),           TEST(strangers_may_only_join), TEST(false_claims_are_refused),
        TEST(garbage_and_slow_ones), TEST(port_in_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
