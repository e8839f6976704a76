/* SPDX-License-Identifier: Apache-2.0 */
/* Members among themselves. What strangers do is in bus_stranger_test.c. */
#include "bus_fixture.h"

#include "cluster/bus_internal.h"

static struct test_node *const one = &nodes[0];
static struct test_node *const two = &nodes[1];
static struct test_node *const three = &nodes[2];

static bool has_messages(void *arg)
{
    (void)arg;
    return two->messages > 0 && three->messages > 0;
}

static void messages_arrive(void **state)
{
    (void)state;
    connect_nodes(3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(nodes[i].ups[1] + nodes[i].ups[2] + nodes[i].ups[3], 2);
    assert_int_equal(bus_send(one->bus, 2, BUS_RAFT, false, "hello", 5), 0);
    assert_int_equal(bus_send(one->bus, 3, BUS_HEARTBEAT, false, "", 0), 0);
    assert_int_equal(bus_send(one->bus, 9, BUS_RAFT, false, "x", 1), ERR_UNAVAILABLE);
    assert_true(run_until(&loop, has_messages, NULL, 20000));
    assert_int_equal(two->last_from, 1);
    assert_int_equal(two->last_kind, BUS_RAFT);
    assert_int_equal(two->last.len, 5);
    assert_memory_equal(two->last.data, "hello", 5);
    assert_int_equal(three->last_kind, BUS_HEARTBEAT);
    assert_int_equal(three->last.len, 0);
}

struct order {
    int next;
    int wrong;
};

static struct order order;

static void on_numbered(void *arg, int64_t from, enum bus_kind kind, const void *data, size_t len)
{
    (void)arg, (void)from, (void)kind;
    int number;
    assert_true(len >= sizeof(number));
    memcpy(&number, data, sizeof(number));
    /* The length follows from the number, the bytes too. */
    order.wrong += number != order.next || len != sizeof(number) + (size_t)number * 37 % 70000;
    for (size_t i = sizeof(number); i < len; i += 997)
        order.wrong += ((const unsigned char *)data)[i] != (number & 255);
    order.next++;
}

static bool all_in_order(void *arg)
{
    return order.next == *(int *)arg;
}

static void order_is_kept(void **state)
{
    (void)state;
    enum {
        COUNT = 200,
    };
    connect_nodes(2);
    two->bus->config.on_message = on_numbered;
    memset(&order, 0, sizeof(order));
    static unsigned char data[sizeof(int) + 70000];
    for (int i = 0; i < COUNT; i++) {
        memset(data, i & 255, sizeof(data));
        memcpy(data, &i, sizeof(i));
        assert_int_equal(
            bus_send(one->bus, 2, BUS_CALL, false, data, sizeof(int) + (size_t)i * 37 % 70000), 0);
    }
    int count = COUNT;
    assert_true(run_until(&loop, all_in_order, &count, 20000));
    assert_int_equal(order.wrong, 0);
}

static bool got_large(void *arg)
{
    return two->messages > 0 && two->last.len == *(size_t *)arg;
}

static void large_bulk_message(void **state)
{
    (void)state;
    size_t size = 50 << 20;
    connect_nodes(2);
    assert_true(run_until(&loop, bulk_works, NULL, 20000));
    unsigned char *data = mem_alloc(size, 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 2654435761U >> 13);
    assert_int_equal(bus_send(one->bus, 2, BUS_RAFT, true, data, size), 0);
    /* Only one may wait; control goes past it. */
    assert_int_equal(bus_send(one->bus, 2, BUS_RAFT, true, data, size), ERR_BUSY);
    assert_int_equal(bus_send(one->bus, 2, BUS_RAFT, true, data, (size_t)BUS_MESSAGE_MAX + 1),
                     ERR_TOOBIG);
    assert_int_equal(bus_send(one->bus, 2, BUS_RAFT, false, data, size), ERR_TOOBIG);
    assert_int_equal(bus_send(one->bus, 2, BUS_CALL, false, "small", 5), 0);
    size_t small = 5;
    assert_true(run_until(&loop, got_large, &small, 20000));
    assert_true(run_until(&loop, got_large, &size, 20000));
    assert_memory_equal(two->last.data, data, size);
    free(data);
}

static struct {
    int replies;
    int before_raft;
} overtaken;

static void on_overtaking(void *arg, int64_t from, enum bus_kind kind, const void *data, size_t len)
{
    (void)arg, (void)from, (void)data, (void)len;
    if (kind == BUS_RAFT)
        overtaken.before_raft = overtaken.replies;
    else if (kind == BUS_REPLY)
        overtaken.replies++;
}

static bool all_replies(void *arg)
{
    return overtaken.replies == *(int *)arg;
}

/* Pieces of blobs wait for raft, not the other way round, and do not take its room. */
static void raft_overtakes_answers_on_bulk(void **state)
{
    (void)state;
    static char piece[256 << 10];
    int n = 0;
    connect_nodes(2);
    assert_true(run_until(&loop, bulk_works, NULL, 20000));
    two->bus->config.on_message = on_overtaking;
    memset(&overtaken, 0, sizeof(overtaken));
    overtaken.before_raft = -1;
    while (bus_send(one->bus, 2, BUS_REPLY, true, piece, sizeof(piece)) == 0)
        n++;
    assert_in_range(n, 8, 16);
    unsigned char *large = mem_alloc(BULK_QUEUE_MAX, 1);
    assert_int_equal(bus_send(one->bus, 2, BUS_RAFT, true, large, BULK_QUEUE_MAX), 0);
    free(large);
    assert_true(run_until(&loop, all_replies, &n, 20000));
    assert_int_equal(overtaken.before_raft, 0);
    /* Behind it there is room again. */
    assert_int_equal(bus_send(one->bus, 2, BUS_REPLY, true, piece, sizeof(piece)), 0);
    n++;
    assert_true(run_until(&loop, all_replies, &n, 20000));
}

static size_t count_conns(const struct bus *bus)
{
    size_t n = 0;
    for (const struct conn *c = bus->conns; c; c = c->next)
        n++;
    return n;
}

static bool four_conns(void *arg)
{
    (void)arg;
    return count_conns(one->bus) == 4 && count_conns(two->bus) == 4 && count_conns(three->bus) == 4;
}

static void one_connection_each(void **state)
{
    (void)state;
    make_nodes(3);
    for (size_t i = 0; i < 3; i++) {
        know_all(&nodes[i], 3);
        /* All dial at the same time, the larger ids do not wait. */
        for (struct peer *p = nodes[i].bus->peers; p; p = p->next)
            for (size_t k = 0; k < CHANNEL_MAX; k++)
                p->channels[k].retry_at_ms = 0;
    }
    assert_true(run_until(&loop, four_conns, NULL, 20000));
    run_until(&loop, never, NULL, LAME_MS + 500);
    assert_true(four_conns(NULL));
    for (size_t i = 0; i < 3; i++) {
        /* Nobody was told of the other connections, and the smaller id's ones stay. */
        assert_int_equal(nodes[i].downs, 0);
        for (const struct conn *c = nodes[i].bus->conns; c; c = c->next) {
            assert_int_equal(c->state, CONN_UP);
            assert_int_equal(c->accepted, c->peer->id < nodes[i].id);
        }
    }
}

static bool peer_is_back(void *arg)
{
    (void)arg;
    return bus_is_connected(one->bus, 2) && bus_is_connected(two->bus, 1);
}

static bool one_lost_two(void *arg)
{
    (void)arg;
    return !bus_is_connected(one->bus, 2);
}

static void restarted_peer_comes_back(void **state)
{
    (void)state;
    connect_nodes(2);
    int port = bus_port(two->bus);
    stop_bus(two);
    assert_true(run_until(&loop, one_lost_two, NULL, 20000));
    assert_int_equal(one->ups[2], 0);
    start_bus(two, port);
    know_all(two, 2);
    assert_true(run_until(&loop, peer_is_back, NULL, 20000));
    assert_int_equal(one->ups[2], 1);
}

static void changed_address_is_dialled(void **state)
{
    (void)state;
    make_nodes(2);
    struct bus_peer wrong = peer_of(two);
    wrong.address = "127.0.0.1:1";
    bus_set_peers(one->bus, 1, &wrong, 1);
    wrong = peer_of(one);
    wrong.address = "not an address";
    bus_set_peers(two->bus, 2, &wrong, 1);
    assert_false(run_until(&loop, peer_is_back, NULL, 300));
    know_all(one, 2);
    assert_true(run_until(&loop, peer_is_back, NULL, 20000));
}

struct outcome {
    bool ended;
    struct err err;
    int64_t id;
};

static void on_connect(void *arg, const struct err *err, int64_t id)
{
    struct outcome *o = arg;
    o->ended = true;
    o->err = *err;
    o->id = id;
}

static struct outcome connect_to(struct test_node *n, const char *address)
{
    struct outcome o = {0};
    bus_connect(n->bus, address, on_connect, &o);
    assert_false(o.ended);
    assert_true(run_until(&loop, is_set, &o.ended, 15000));
    return o;
}

static void lost_members_are_connected_by_hand(void **state)
{
    (void)state;
    make_nodes(3);
    struct bus_peer peers[2] = {peer_of(two), peer_of(three)};
    peers[0].address = peers[1].address = "127.0.0.1:1";
    bus_set_peers(one->bus, 1, peers, 2);
    peers[0] = peer_of(one);
    peers[0].address = "127.0.0.1:1";
    bus_set_peers(two->bus, 2, peers, 1);
    assert_false(run_until(&loop, peer_is_back, NULL, 300));
    struct outcome o = connect_to(one, "127.0.0.1:2");
    assert_int_equal(o.err.code, ERR_UNAVAILABLE);
    o = connect_to(one, "no address");
    assert_int_equal(o.err.code, ERR_INVALID);
    o = connect_to(one, two->address);
    assert_int_equal(o.err.code, 0);
    assert_int_equal(o.id, 2);
    assert_true(bus_is_connected(one->bus, 2));
    assert_true(run_until(&loop, bulk_works, NULL, 20000));
    /* Again, though it stands. */
    o = connect_to(one, two->address);
    assert_int_equal(o.err.code, 0);
    assert_true(bus_is_connected(one->bus, 2));
    /* A machine whose key is of no member. */
    bus_set_peers(one->bus, 1, NULL, 0);
    o = connect_to(one, three->address);
    assert_int_equal(o.err.code, ERR_DENIED);
}

static void several_addresses_are_dialled_in_turn(void **state)
{
    (void)state;
    make_nodes(2);
    struct bus_peer peer = peer_of(two);
    const char *const more[] = {"127.0.0.1:2", two->address};
    peer.address = "127.0.0.1:1";
    peer.more = more;
    peer.more_n = 2;
    bus_set_peers(one->bus, 1, &peer, 1);
    peer = peer_of(one);
    peer.address = "127.0.0.1:1";
    bus_set_peers(two->bus, 2, &peer, 1);
    assert_true(run_until(&loop, peer_is_back, NULL, 20000));
    assert_true(run_until(&loop, bulk_works, NULL, 20000));
}

static void removed_peer_is_cut(void **state)
{
    (void)state;
    connect_nodes(3);
    struct bus_peer rest = peer_of(three);
    bus_set_peers(one->bus, 1, &rest, 1);
    assert_false(bus_is_connected(one->bus, 2));
    assert_int_equal(bus_send(one->bus, 2, BUS_RAFT, false, "x", 1), ERR_UNAVAILABLE);
    run_until(&loop, never, NULL, 500);
    assert_int_equal(one->ups[2], 0);
    assert_false(bus_is_connected(two->bus, 1));
    assert_true(bus_is_connected(one->bus, 3));
    know_all(one, 3);
    size_t count = 3;
    assert_true(run_until(&loop, all_connected, &count, 20000));
}

static void wrong_key_is_refused(void **state)
{
    (void)state;
    make_nodes(3);
    /* Two pins the key of three for one; one pins rightly. */
    struct bus_peer wrong = peer_of(one);
    wrong.public_key = *identity_public_key(three->identity);
    bus_set_peers(two->bus, 2, &wrong, 1);
    struct bus_peer right = peer_of(two);
    bus_set_peers(one->bus, 1, &right, 1);
    run_until(&loop, never, NULL, 700);
    assert_int_equal(one->ups[2] + two->ups[1], 0);
    /* A changed key cuts what stands. */
    know_all(two, 2);
    assert_true(run_until(&loop, peer_is_back, NULL, 20000));
    bus_set_peers(two->bus, 2, &wrong, 1);
    run_until(&loop, never, NULL, 300);
    assert_int_equal(two->ups[1], 0);
    assert_false(bus_is_connected(one->bus, 2));
}

static void other_cluster_is_refused(void **state)
{
    (void)state;
    struct err err;
    make_nodes(1);
    two->id = 2;
    two->identity = new_stranger(dir, "other");
    must(identity_make_ca(two->identity, &err));
    must(identity_set_member(two->identity, "another-cluster", 2, &err));
    start_bus(two, 0);
    know_all(one, 2);
    know_all(two, 2);
    run_until(&loop, never, NULL, 500);
    assert_int_equal(one->ups[2] + two->ups[1], 0);
}

static bool one_has(void *arg)
{
    return bus_is_connected(one->bus, *(int64_t *)arg);
}

static bool three_has(void *arg)
{
    return bus_is_connected(three->bus, *(int64_t *)arg);
}

static int refusals;
static char refused_host[64];

static void on_refused(void *arg, int64_t by, const char *host)
{
    (void)arg, (void)by;
    refusals++;
    snprintf(refused_host, sizeof(refused_host), "%s", host);
}

static bool clone_is_refused(void *arg)
{
    return refusals >= *(int *)arg;
}

static bool clone_is_connected(void *arg)
{
    (void)arg;
    return bus_is_connected(three->bus, 1);
}

/* Node 2 once more: same key, same id, another process. */
static void start_clone(void)
{
    three->id = 2;
    three->identity = new_stranger(dir, "n2");
    start_bus(three, 0);
    three->bus->config.on_refused = on_refused;
    refusals = 0;
}

static void copied_disk_is_refused(void **state)
{
    (void)state;
    connect_nodes(2);
    start_clone();
    struct bus_peer first = peer_of(one);
    bus_set_peers(three->bus, 2, &first, 1);
    /* Again and again it tries, and the first one does not feel it. */
    int several = 3;
    assert_true(run_until(&loop, clone_is_refused, &several, 20000));
    assert_string_equal(refused_host, "127.0.0.1");
    assert_false(bus_is_connected(three->bus, 1));
    assert_int_equal(three->messages, 0);
    assert_int_equal(one->downs, 0);
    assert_int_equal(two->downs, 0);
    /* The first one is gone: the other is a restart, as far as anybody can tell. */
    stop_bus(two);
    assert_true(run_until(&loop, clone_is_connected, NULL, 10000));
}

/* The clone is dialled: node 1 is told that it is where node 2 was. */
static void dialled_copy_is_refused(void **state)
{
    (void)state;
    connect_nodes(2);
    start_clone();
    struct bus_peer first = peer_of(one);
    first.address = "127.0.0.1:1";
    bus_set_peers(three->bus, 2, &first, 1);
    struct outcome o = connect_to(one, three->address);
    (void)o;
    int once = 1;
    assert_true(run_until(&loop, clone_is_refused, &once, 20000));
    assert_int_equal(one->downs, 0);
    assert_int_equal(three->messages, 0);
}

/* Node 1 never met the first one, but node 3 holds it. */
static void others_are_asked_about_a_copy(void **state)
{
    (void)state;
    connect_nodes(3);
    struct test_node *clone = &nodes[3];
    /* Node 1 starts anew and hears of node 2 from the clone first. */
    stop_bus(one);
    start_bus(one, 0);
    struct bus_peer peers[2] = {peer_of(three)};
    bus_set_peers(one->bus, 1, peers, 1);
    peers[0] = peer_of(one);
    peers[1] = peer_of(two);
    bus_set_peers(three->bus, 3, peers, 2);
    int64_t id = 3;
    assert_true(run_until(&loop, one_has, &id, 20000));
    clone->id = 2;
    clone->identity = new_stranger(dir, "n2");
    start_bus(clone, 0);
    clone->bus->config.on_refused = on_refused;
    refusals = 0;
    peers[0] = peer_of(three);
    peers[1] = peer_of(two);
    peers[1].address = "127.0.0.1:1";
    bus_set_peers(one->bus, 1, peers, 2);
    peers[0] = peer_of(one);
    bus_set_peers(clone->bus, 2, peers, 1);
    int once = 1;
    assert_true(run_until(&loop, clone_is_refused, &once, 10000));
    assert_false(bus_is_connected(one->bus, 2));
    assert_true(bus_is_connected(three->bus, 2));
}

/* A process that does not answer any more, with a connection that nobody closed. */
static void silent_one_is_replaced(void **state)
{
    (void)state;
    connect_nodes(2);
    for (struct conn *c = two->bus->conns; c; c = c->next)
        uv_read_stop((uv_stream_t *)&c->tcp);
    start_clone();
    struct bus_peer first = peer_of(one);
    bus_set_peers(three->bus, 2, &first, 1);
    assert_true(run_until(&loop, clone_is_connected, NULL, 15000));
    assert_int_equal(refusals, 0);
}

static bool anew_is_everywhere(void *arg)
{
    (void)arg;
    return bus_is_connected(nodes[3].bus, 1) && bus_is_connected(nodes[3].bus, 3);
}

/* A connection to a process that died with its machine stands for a while: node 3 tells node 1 of
 * it, which has met the one that came after. */
static void held_corpse_is_no_elder(void **state)
{
    (void)state;
    struct test_node *anew = &nodes[3];
    struct bus_peer peers[2];
    make_nodes(3);
    peers[0] = peer_of(three);
    bus_set_peers(one->bus, 1, peers, 1);
    bus_set_peers(two->bus, 2, peers, 1);
    know_all(three, 3);
    int64_t id = 3;
    assert_true(run_until(&loop, one_has, &id, 20000));
    id = 2;
    assert_true(run_until(&loop, three_has, &id, 20000));
    for (struct conn *c = two->bus->conns; c; c = c->next)
        uv_read_stop((uv_stream_t *)&c->tcp);
    anew->id = 2;
    anew->identity = new_stranger(dir, "n2");
    start_bus(anew, 0);
    anew->bus->config.on_refused = on_refused;
    refusals = 0;
    peers[1] = peer_of(anew);
    bus_set_peers(one->bus, 1, peers, 2);
    peers[0] = peer_of(one);
    bus_set_peers(anew->bus, 2, peers, 1);
    assert_true(run_until(&loop, one_has, &id, 20000));
    assert_true(bus_is_connected(three->bus, 2));
    vouch_on_up(peer_find(three->bus, 1), three->bus);
    run_until(&loop, never, NULL, 2 * INCARNATION_PROBE_MS);
    assert_true(bus_is_connected(one->bus, 2));
    peers[1] = peer_of(three);
    bus_set_peers(anew->bus, 2, peers, 2);
    assert_true(run_until(&loop, anew_is_everywhere, NULL, 20000));
    assert_int_equal(refusals, 0);
    assert_int_equal(one->downs, 0);
}

static void full_queue_is_busy(void **state)
{
    (void)state;
    connect_nodes(2);
    /* Two stops reading: its socket fills, then our queue. */
    for (struct conn *c = two->bus->conns; c; c = c->next)
        uv_read_stop((uv_stream_t *)&c->tcp);
    static char data[100000];
    size_t before = resident_bytes();
    int code = 0;
    int accepted = 0;
    for (int i = 0; i < 2000; i++) {
        code = bus_send(one->bus, 2, BUS_RAFT, false, data, sizeof(data));
        accepted += code == 0;
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(code, ERR_BUSY);
    assert_true(accepted >= BUS_CONTROL_QUEUE_MAX / (int)sizeof(data) - 1);
#ifndef __SANITIZE_ADDRESS__
    assert_true(resident_bytes() < before + (16 << 20));
#else
    (void)before;
#endif
    /* And nothing waits for ever: the connection is given up. */
    assert_true(run_until(&loop, one_lost_two, NULL, 3 * USER_TIMEOUT_MS));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(order_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(large_bulk_message, setup, teardown),
        cmocka_unit_test_setup_teardown(raft_overtakes_answers_on_bulk, setup, teardown),
        cmocka_unit_test_setup_teardown(one_connection_each, setup, teardown),
        cmocka_unit_test_setup_teardown(restarted_peer_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_address_is_dialled, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_members_are_connected_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(several_addresses_are_dialled_in_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(removed_peer_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(other_cluster_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(copied_disk_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(dialled_copy_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(others_are_asked_about_a_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_one_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(held_corpse_is_no_elder, setup, teardown),
        cmocka_unit_test_setup_teardown(full_queue_is_busy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
