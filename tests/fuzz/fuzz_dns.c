/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dns - any bytes as a question to the name server of a member whose state has services and
 * records. The first byte: by UDP or TCP, from whom.
 *
 * The server's own file is built in, for its entrance; what others would be asked is dropped.
 */
#include "node/dns.c"

#include "base/buf.h"
#include "base/err.h"
#include "store/change.h"
#include "store/level.h"
#include "store/store.h"

#include <arpa/inet.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void dns_forward(const struct dns_asker *asker, const ldns_pkt *query, ldns_rr *alias)
{
    check(asker->dns && ldns_pkt_qdcount(query) == 1);
    ldns_rr_free(alias);
}

struct dns_forwards *dns_forwards_new(struct dns *dns)
{
    (void)dns;
    return NULL;
}

void dns_forwards_free(struct dns_forwards *forwards, void (*on_freed)(struct dns *dns))
{
    (void)forwards;
    (void)on_freed;
}

static void change(struct store *store, enum change_kind kind, const void *body)
{
    static int64_t index;
    struct change change = {.kind = kind, .body = (void *)(uintptr_t)body};
    cleanup_buf struct buf encoded = BUF_INIT, batch = BUF_INIT;
    struct change_result *results;
    struct err err;
    size_t n;
    change_encode(&change, &encoded);
    batch_encode(1700000000000, &encoded, 1, &batch);
    check(store_apply(store, ++index, batch.data, batch.len, &results, &n, &err) == 0);
    check(n == 1 && results[0].err.code == 0);
    free(results);
}

static void record_set(struct store *store, char *name, char *type, char *value)
{
    struct change_dns_set set = {.name = name, .type = type, .value = value, .ttl = 60};
    change(store, CHANGE_DNS_SET, &set);
}

static struct dns *make(void)
{
    struct daemon *d = mem_alloc(1, sizeof(*d));
    struct change_cluster_init init = {
        .cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                    .ca = "PEM",
                    .pool = "10.192.0.0/10",
                    .vxlan_id = 77},
        .node = {.name = "n1",
                 .address = "192.0.2.1:7400",
                 .public_key = {.data = (unsigned char *)"key", .len = 3}}};
    struct change_level_raise raise = {.level = LEVEL_KNOWN};
    struct attachment network = {.network = "default"};
    struct deploy_network lan = {.name = "default", .ipv6 = true};
    struct deploy_service service = {
        .name = "web",
        .spec = {.image = "web:1", .replicas = 2, .networks = &network, .networks_n = 1}};
    struct change_stack_deploy deploy = {.name = "app",
                                         .services = &service,
                                         .services_n = 1,
                                         .own_networks = &lan,
                                         .own_networks_n = 1};
    d->store = store_new();
    change(d->store, CHANGE_CLUSTER_INIT, &init);
    change(d->store, CHANGE_LEVEL_RAISE, &raise);
    change(d->store, CHANGE_STACK_DEPLOY, &deploy);
    record_set(d->store, "a.lan", "A", "192.0.2.7");
    record_set(d->store, "*.wild.lan", "CNAME", "b.lan.");
    record_set(d->store, "b.lan", "CNAME", "a.lan.");
    record_set(d->store, "m.lan", "MX", "10 a.lan.");
    record_set(d->store, "t.lan", "TXT", "some text");
    return dns_new(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dns *dns;
    static struct dns_connection connection;
    if (!dns)
        dns = make();
    if (size < 1)
        return 0;
    struct dns_asker asker = {.dns = dns, .from = {.sin_family = AF_INET}};
    inet_pton(AF_INET, data[0] & 2 ? "10.192.0.3" : "192.0.2.1", &asker.from.sin_addr);
    connection = (struct dns_connection){.dns = dns, .closing = true, .held = 1};
    if (data[0] & 1)
        asker.connection = &connection;
    on_message(&asker, data + 1, size - 1);
    return 0;
}
