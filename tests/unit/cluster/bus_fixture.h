/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus_fixture - members of one cluster on loopback ports, all in this process on one loop.
 */
#ifndef WHERRY_TESTS_CLUSTER_BUS_FIXTURE_H
#define WHERRY_TESTS_CLUSTER_BUS_FIXTURE_H

#include "fixture.h"

#include "base/buf.h"
#include "cluster/bus.h"

enum {
    NODES_MAX = 4,
};

struct test_node {
    int64_t id;
    struct identity *identity;
    struct bus *bus;
    char address[32];
    int ups[NODES_MAX + 1]; /* by id: on_peer(true) less on_peer(false) */
    int downs;              /* on_peer(false) in all */
    int messages;
    int64_t last_from;
    enum bus_kind last_kind;
    struct buf last;
    struct bus_stranger *stranger;
    struct bytes stranger_key;
    struct buf request;
    bool stopped;
};

static uv_loop_t loop;
static char *dir;
static struct test_node nodes[NODES_MAX]; /* 0 is node 1 */

FIXTURE void on_message(void *arg, int64_t from, enum bus_kind kind, const void *data, size_t len)
{
    struct test_node *n = arg;
    n->messages++;
    n->last_from = from;
    n->last_kind = kind;
    buf_reset(&n->last);
    buf_append(&n->last, data, len);
}

FIXTURE void on_peer(void *arg, int64_t id, bool up)
{
    struct test_node *n = arg;
    n->ups[id] += up ? 1 : -1;
    n->downs += !up;
    assert_true(n->ups[id] == 0 || n->ups[id] == 1);
}

FIXTURE void on_stranger(void *arg, struct bus_stranger *stranger, const struct bytes *key,
                         const void *data, size_t len)
{
    struct test_node *n = arg;
    n->stranger = stranger;
    bytes_set(&n->stranger_key, key->data, key->len);
    buf_reset(&n->request);
    buf_append(&n->request, data, len);
}

FIXTURE void start_bus(struct test_node *n, int port)
{
    struct err err;
    cleanup_free char *listen = str_printf("127.0.0.1:%d", port);
    struct bus_config config = {
        .loop = &loop,
        .identity = n->identity,
        .listen = listen,
        .on_message = on_message,
        .on_peer = on_peer,
        .on_stranger = on_stranger,
        .arg = n,
    };
    must(bus_start(&config, &n->bus, &err));
    snprintf(n->address, sizeof(n->address), "127.0.0.1:%d", bus_port(n->bus));
}

FIXTURE void stop_bus(struct test_node *n)
{
    if (!n->bus)
        return;
    n->stopped = false;
    bus_stop(n->bus, set_flag, &n->stopped);
    n->bus = NULL;
    assert_true(run_until(&loop, is_set, &n->stopped, 20000));
    memset(n->ups, 0, sizeof(n->ups));
}

FIXTURE struct bus_peer peer_of(const struct test_node *n)
{
    return (struct bus_peer){
        .id = n->id, .address = n->address, .public_key = *identity_public_key(n->identity)};
}

/* Tell @n that nodes 1 to @count are the members. */
FIXTURE void know_all(struct test_node *n, size_t count)
{
    struct bus_peer peers[NODES_MAX];
    size_t k = 0;
    for (size_t i = 0; i < count; i++)
        if (&nodes[i] != n)
            peers[k++] = peer_of(&nodes[i]);
    bus_set_peers(n->bus, n->id, peers, k);
}

FIXTURE void make_nodes(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *name = str_printf("n%zu", i + 1);
        nodes[i].id = (int64_t)i + 1;
        nodes[i].identity = new_member(dir, name, nodes[i].id, i ? nodes[0].identity : NULL);
        start_bus(&nodes[i], 0);
    }
}

/* True when the first *@count nodes are all connected with each other. */
FIXTURE bool all_connected(void *arg)
{
    size_t count = *(size_t *)arg;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            if (i != k && !bus_is_connected(nodes[i].bus, nodes[k].id))
                return false;
    return true;
}

/* True when the bulk connection of node 1 to node 2 stands as well. */
FIXTURE bool bulk_works(void *arg)
{
    (void)arg;
    return bus_send(nodes[0].bus, 2, BUS_CALL, true, "b", 1) == 0;
}

FIXTURE void connect_nodes(size_t count)
{
    make_nodes(count);
    for (size_t i = 0; i < count; i++)
        know_all(&nodes[i], count);
    assert_true(run_until(&loop, all_connected, &count, 20000));
}

FIXTURE int setup(void **state)
{
    (void)state;
    dir = temp_dir();
    memset(nodes, 0, sizeof(nodes));
    return uv_loop_init(&loop);
}

FIXTURE int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct test_node *n = &nodes[i];
        stop_bus(n);
        if (n->stranger)
            bus_stranger_reply(n->stranger, "", 0);
        identity_free(n->identity);
        buf_release(&n->last);
        buf_release(&n->request);
        bytes_set(&n->stranger_key, NULL, 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    remove_dir(dir);
    return uv_loop_close(&loop);
}

#endif
