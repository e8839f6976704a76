/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netdiff.h"
#include "runtime/netplan.h"
#include "runtime/nft_table.h"
#include "runtime/ruleset.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct in_addr ip4(const char *text)
{
    struct in_addr a;
    assert_int_equal(inet_pton(AF_INET, text, &a), 1);
    return a;
}

static struct in6_addr ip(const char *text)
{
    struct in6_addr a;
    assert_true(netip_parse(text, &a));
    return a;
}

static struct network_prefix net(const char *text, uint8_t length)
{
    const struct in6_addr a = ip(text);
    return (struct network_prefix){a, (uint8_t)(length + (netip_is4(&a) ? NETIP_4_BITS : 0))};
}

static struct network_endpoint endpoint(const char *id, const char *address)
{
    struct network_endpoint e = {.id = id, .netns = "/run/netns/x", .addresses_n = 1};
    e.addresses[0].address = ip(address);
    e.addresses[0].network = net("10.192.16.0", 20);
    return e;
}

/* A machine with nothing on it. */
static struct network_state machine(void)
{
    struct network_state state = {.node_id = 1, .vxlan_port = 4789, .vxlan_id = 7400};
    state.underlay = ip4("10.66.0.1");
    state.pool = net("10.192.0.0", 12);
    return state;
}

static bool is(struct in6_addr a, struct in6_addr b)
{
    return netip_equal(&a, &b);
}

static bool contains(const struct network_prefix *p, const char *address)
{
    const struct in6_addr a = ip(address);
    return netprefix_contains(p, &a);
}

static bool has(const struct netplan *plan, const char *address)
{
    const struct in6_addr a = ip(address);
    return netplan_has_address(plan, &a);
}

/* The route of @plan to one address; all zero if there is none. */
static struct net_route route_to(const struct netplan *plan, const char *address)
{
    for (size_t i = 0; i < plan->routes_n; i++)
        if (is(plan->routes[i].prefix.address, ip(address)) &&
            plan->routes[i].prefix.length == NETIP_BITS)
            return plan->routes[i];
    return (struct net_route){0};
}

static void prefixes_know_their_addresses(void **state)
{
    (void)state;
    const struct network_prefix p = net("10.192.16.0", 20), all = net("0.0.0.0", 0);
    assert_true(contains(&p, "10.192.16.0"));
    assert_true(contains(&p, "10.192.31.255"));
    assert_false(contains(&p, "10.192.32.0"));
    assert_false(contains(&p, "10.192.15.255"));
    assert_true(contains(&all, "255.255.255.255"));
    assert_true(netprefix_valid(&p));
    assert_true(netprefix_valid(&all));
    const struct network_prefix bits = net("10.192.16.1", 20), length = net("10.192.16.0", 33);
    assert_false(netprefix_valid(&bits));
    assert_false(netprefix_valid(&length));
}

static void names_are_ours(void **state)
{
    (void)state;
    char name[NETNAME_NAME], other[NETNAME_NAME];
    netname_port_name("web.2", name);
    netname_port_name("web.3", other);
    assert_true(netname_is_port_name(name));
    assert_string_not_equal(name, other);
    assert_false(netname_is_port_name("wv"));
    assert_false(netname_is_port_name("wv1234567"));
    assert_false(netname_is_port_name("wv1234567G"));
    assert_false(netname_is_port_name("wv123456789"));
    assert_false(netname_is_port_name("eth0"));
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void no_two_members_share_a_hop(void **state)
{
    (void)state;
    static uint32_t hops[65535];
    for (uint32_t id = 1; id <= 65535; id++) {
        hops[id - 1] = netname_peer_hop(id).s_addr;
        assert_int_not_equal(hops[id - 1], netname_gateway().s_addr);
    }
    qsort(hops, 65535, sizeof(hops[0]), compare_numbers);
    for (size_t i = 1; i < 65535; i++)
        assert_int_not_equal(hops[i], hops[i - 1]);
}

static void senseless_states_are_refused(void **state)
{
    (void)state;
    struct netplan plan;
    struct err err;
    struct network_state s = machine();
    s.node_id = 0;
    assert_int_equal(netplan_init(&plan, &s, NULL, &err), ERR_INVALID);
    s = machine();
    s.pool.length = 31;
    assert_int_equal(netplan_init(&plan, &s, NULL, &err), ERR_INVALID);
    s = machine();
    s.vxlan_id = 1 << 24;
    assert_int_equal(netplan_init(&plan, &s, NULL, &err), ERR_INVALID);
}

static void bad_rows_are_left_out_and_told(void **state)
{
    (void)state;
    const struct network_prefix networks[] = {net("10.192.16.0", 20), net("10.192.16.0", 24),
                                              net("10.192.32.0", 20), net("10.192.32.0", 20),
                                              net("192.168.0.0", 4)};
    struct network_endpoint endpoints[] = {
        endpoint("a", "10.192.16.1"), endpoint("b", "10.192.16.1"), endpoint("c", "10.192.16.2"),
        endpoint("c", "10.192.16.3"), endpoint("", "10.192.16.4"),  endpoint("d", "10.192.40.1")};
    const struct network_peer peers[] = {
        {.id = 2, .underlay = ip4("10.66.0.2")}, {.id = 2, .underlay = ip4("10.66.0.3")},
        {.id = 3, .underlay = ip4("10.66.0.2")}, {.id = 4, .underlay = ip4("10.66.0.1")},
        {.id = 1, .underlay = ip4("10.66.0.4")}, {.id = 70000, .underlay = ip4("10.66.0.5")}};
    const struct network_remote remotes[] = {
        {ip("10.192.16.9"), 2}, {ip("10.192.16.10"), 9}, {ip("10.66.0.9"), 2}};
    const struct network_publish publishes[] = {{.protocol = IPPROTO_TCP, .port = 80},
                                                {.protocol = IPPROTO_TCP, .port = 80},
                                                {.protocol = IPPROTO_TCP, .port = 0},
                                                {.protocol = IPPROTO_ICMP, .port = 81},
                                                {.protocol = IPPROTO_UDP, .port = 4789}};
    struct network_state s = machine();
    s.networks = networks, s.networks_n = ARRAY_SIZE(networks);
    s.endpoints = endpoints, s.endpoints_n = ARRAY_SIZE(endpoints);
    s.peers = peers, s.peers_n = ARRAY_SIZE(peers);
    s.remotes = remotes, s.remotes_n = ARRAY_SIZE(remotes);
    s.publishes = publishes, s.publishes_n = ARRAY_SIZE(publishes);
    cleanup_netplan struct netplan plan;
    assert_int_equal(netplan_init(&plan, &s, NULL, NULL), 0);
    assert_int_equal(plan.networks_n, 2);
    assert_int_equal(plan.ports_n, 2);
    assert_int_equal(plan.peers_n, 1);
    assert_int_equal(plan.publishes_n, 1);
    assert_true(has(&plan, "10.192.16.9"));
    assert_false(has(&plan, "10.192.16.10"));
    assert_int_equal(plan.problem.code, ERR_INVALID);
    assert_non_null(strstr(plan.problem.msg, "network 10.192.16.0/24: overlaps"));
}

static void of_two_places_of_an_address_one_counts(void **state)
{
    (void)state;
    const struct network_endpoint here = endpoint("a", "10.192.16.1");
    const struct network_peer peers[] = {{.id = 2, .underlay = ip4("10.66.0.2")},
                                         {.id = 3, .underlay = ip4("10.66.0.3")}};
    const struct network_remote remotes[] = {
        {ip("10.192.16.1"), 2}, {ip("10.192.16.2"), 3}, {ip("10.192.16.2"), 2}};
    struct network_state s = machine();
    s.endpoints = &here, s.endpoints_n = 1;
    s.peers = peers, s.peers_n = 2;
    s.remotes = remotes, s.remotes_n = 3;
    cleanup_netplan struct netplan plan;
    assert_int_equal(netplan_init(&plan, &s, NULL, NULL), 0);
    assert_int_equal(plan.problem.code, 0);
    const struct net_route local = route_to(&plan, "10.192.16.1");
    const struct net_route remote = route_to(&plan, "10.192.16.2");
    assert_string_equal(local.dev, plan.ports[0].name);
    assert_string_equal(remote.dev, NETNAME_TUNNEL);
    assert_true(is(remote.via, netip_from4(netname_peer_hop(2))));
    /* the pool, the members' tables, their hops twice, addresses */
    assert_int_equal(plan.routes_n, 1 + 2 + 4 + 2);
    assert_true(has(&plan, "10.192.16.2"));
    assert_false(has(&plan, "10.192.16.3"));
}

static struct net_route plain_route_to(const struct netplan *plan, struct in6_addr address)
{
    const struct net_route key = {.table = NETNAME_MARK_PLAIN, .prefix = netprefix_of(&address)};
    const struct net_route *found =
        bsearch(&key, plan->routes, plan->routes_n, sizeof(key), netplan_compare_routes);
    return found ? *found : (struct net_route){0};
}

static void plain_routes_lead_where_the_tunnel_would(void **state)
{
    (void)state;
    const struct network_endpoint here = endpoint("a", "10.192.16.1");
    /* The third is on no link of ours, the second drops what it does not know. */
    const struct network_peer peers[] = {{.id = 2, .underlay = ip4("10.66.0.2"), .plain = true},
                                         {.id = 3, .underlay = ip4("10.66.0.3"), .mtu = 1300},
                                         {.id = 4, .underlay = ip4("10.77.0.4"), .plain = true}};
    /* One is here too, one moved from the first to the second, one back. */
    const struct network_remote remotes[] = {{ip("10.192.16.1"), 2}, {ip("10.192.16.2"), 2},
                                             {ip("10.192.16.3"), 2}, {ip("10.192.16.3"), 3},
                                             {ip("10.192.16.4"), 3}, {ip("10.192.16.4"), 2},
                                             {ip("10.192.16.5"), 4}};
    const struct net_neighbor machines[] = {
        {.dev = "u0", .address = ip("10.66.0.2"), .mac = {2, 0, 0, 0, 0, 2}}};
    const struct net_link link = {"u0", net("10.66.0.0", 24), machines, 1};
    struct network_state s = machine();
    s.endpoints = &here, s.endpoints_n = 1;
    s.peers = peers, s.peers_n = 3;
    s.remotes = remotes, s.remotes_n = 7;
    cleanup_netplan struct netplan plan;
    assert_int_equal(netplan_init(&plan, &s, &link, NULL), 0);
    assert_int_equal(plan.problem.code, 0);
    assert_true(plan.linked);
    assert_int_equal(plain_route_to(&plan, ip("10.192.16.1")).table, 0);
    assert_true(is(plain_route_to(&plan, ip("10.192.16.2")).via, ip("10.66.0.2")));
    assert_int_equal(plain_route_to(&plan, ip("10.192.16.3")).table, 0);
    assert_true(is(plain_route_to(&plan, ip("10.192.16.4")).via, ip("10.66.0.2")));
    assert_int_equal(plain_route_to(&plan, ip("10.192.16.5")).table, 0);
    assert_int_equal(route_to(&plan, "10.192.16.3").mtu, 1300);
    assert_int_equal(route_to(&plan, "10.192.16.2").mtu, 0);
    /* Probes: by the link, or not at all. */
    assert_string_equal(plain_route_to(&plan, netip_from4(netname_peer_hop(3))).dev, "u0");
    assert_int_equal(plain_route_to(&plan, netip_from4(netname_peer_hop(4))).type, RTN_UNREACHABLE);
    assert_non_null(netplan_peer_mac(&plan, &peers[0]));
    assert_null(netplan_peer_mac(&plan, &peers[1]));
    assert_null(netplan_peer_mac(&plan, &peers[2]));
}

static void a_lone_machine_needs_no_tunnel(void **state)
{
    (void)state;
    struct network_state s = machine();
    s.underlay = ip4("127.0.0.1");
    cleanup_netplan struct netplan plan;
    assert_int_equal(netplan_init(&plan, &s, NULL, NULL), 0);
    assert_false(plan.tunnelled);
    assert_int_equal(plan.source.s_addr, netname_gateway().s_addr);
}

/* A stand-in for the kernel: what the diff asks for is done to it. */
struct world {
    struct net_tunnel *items;
    size_t n, asked;
};

static void world_drop(void *ctx, const void *present)
{
    struct world *w = ctx;
    const struct net_tunnel *t = present;
    w->asked++;
    for (size_t i = 0; i < w->n; i++)
        if (netplan_compare_tunnels(&w->items[i], t) == 0) {
            w->items[i] = w->items[--w->n];
            return;
        }
    fail_msg("dropped what is not there");
}

static void world_put(void *ctx, const void *wanted, const void *present)
{
    struct world *w = ctx;
    if (present)
        world_drop(ctx, present);
    w->items[w->n++] = *(const struct net_tunnel *)wanted;
    w->asked++;
}

static bool same_tunnel(const void *a, const void *b)
{
    const struct net_tunnel *x = a, *y = b;
    return x->underlay.s_addr == y->underlay.s_addr;
}

static const struct netdiff tunnel_diff = {.size = sizeof(struct net_tunnel),
                                           .compare = netplan_compare_tunnels,
                                           .same = same_tunnel,
                                           .put = world_put,
                                           .drop = world_drop};

/* Up to 40 tunnels with different keys. */
static size_t random_tunnels(struct net_tunnel *out)
{
    size_t n = 0;
    for (uint32_t id = 1; id <= 40; id++) {
        if (rand() % 2)
            continue;
        netname_peer_mac(id, out[n].mac);
        out[n++].underlay.s_addr = (uint32_t)(rand() % 3);
    }
    return n;
}

static void a_diff_makes_the_wanted(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 500; round++) {
        struct net_tunnel wanted[40] = {0}, present[40] = {0}, world[80];
        size_t wanted_n = random_tunnels(wanted), present_n = random_tunnels(present);
        memcpy(world, present, sizeof(present));
        struct world w = {.items = world, .n = present_n};
        netdiff_run(&tunnel_diff, wanted, wanted_n, present, present_n, &w);
        assert_int_equal(w.n, wanted_n);
        w.asked = 0;
        struct net_tunnel copy[80];
        memcpy(copy, world, sizeof(copy));
        netdiff_run(&tunnel_diff, wanted, wanted_n, copy, w.n, &w);
        assert_int_equal(w.asked, 0); /* it is what was wanted, and nothing is asked twice */
    }
}

static void the_table_is_a_function_of_the_plan(void **state)
{
    (void)state;
    struct network_endpoint *many = mem_alloc(1000, sizeof(*many));
    char ids[1000][12];
    for (size_t i = 0; i < 1000; i++) {
        char address[INET_ADDRSTRLEN];
        snprintf(ids[i], sizeof(ids[i]), "c%zu", i);
        snprintf(address, sizeof(address), "10.192.%zu.%zu", 16 + i / 250, i % 250 + 1);
        many[i] = endpoint(ids[i], address);
    }
    const struct network_backend backends[] = {{ip("10.192.16.1"), 80}, {ip("10.192.16.2"), 80}};
    const struct network_publish publishes[] = {
        {.protocol = IPPROTO_TCP, .port = 80, .backends = backends, .backends_n = 2},
        {.protocol = IPPROTO_TCP, .port = 81}};
    struct network_state s = machine();
    s.endpoints = many, s.endpoints_n = 1000;
    s.publishes = publishes, s.publishes_n = 2;
    cleanup_netplan struct netplan plan;
    cleanup_nft_batch struct nft_batch one, two, three;
    assert_int_equal(netplan_init(&plan, &s, NULL, NULL), 0);
    nft_batch_init(&one, RULESET_TABLE);
    nft_batch_init(&two, RULESET_TABLE);
    nft_batch_init(&three, RULESET_TABLE);
    /* Also on memory that had other content before. */
    mallopt(M_PERTURB, 0x55);
    ruleset_build(&one, &plan);
    mallopt(M_PERTURB, 0xaa);
    ruleset_build(&two, &plan);
    mallopt(M_PERTURB, 0);
    assert_int_equal(one.fixed.len, two.fixed.len);
    assert_memory_equal(one.fixed.data, two.fixed.data, one.fixed.len);
    assert_int_equal(one.chains.len, two.chains.len);
    assert_memory_equal(one.chains.data, two.chains.data, one.chains.len);
    assert_string_equal(one.version, two.version);
    /* endpoints, themselves, one port with and one without backends, the pool and its end */
    assert_int_equal(one.elements_n, 1000 + 1000 + 1 + 1 + 2);
    netplan_release(&plan);

    s.publishes_n = 1;
    assert_int_equal(netplan_init(&plan, &s, NULL, NULL), 0);
    ruleset_build(&three, &plan);
    /* Another version, by loose parts only. */
    assert_string_not_equal(one.version, three.version);
    assert_true(nft_can_update(&one, &three));
    s.vxlan_port++;
    netplan_release(&plan);
    assert_int_equal(netplan_init(&plan, &s, NULL, NULL), 0);
    cleanup_nft_batch struct nft_batch four;
    nft_batch_init(&four, RULESET_TABLE);
    ruleset_build(&four, &plan);
    assert_false(nft_can_update(&three, &four));
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_know_their_addresses),
        cmocka_unit_test(names_are_ours),
        cmocka_unit_test(no_two_members_share_a_hop),
        cmocka_unit_test(senseless_states_are_refused),
        cmocka_unit_test(bad_rows_are_left_out_and_told),
        cmocka_unit_test(of_two_places_of_an_address_one_counts),
        cmocka_unit_test(plain_routes_lead_where_the_tunnel_would),
        cmocka_unit_test(a_lone_machine_needs_no_tunnel),
        cmocka_unit_test(a_diff_makes_the_wanted),
        cmocka_unit_test(the_table_is_a_function_of_the_plan),
    };
    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
