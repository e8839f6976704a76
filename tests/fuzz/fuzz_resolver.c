/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_resolver - any bytes as the answer of a resolver to a question that the name server passed
 * on: taken, remembered, told to the asker, and told again from memory. The first byte: whether a
 * name of our own came before.
 *
 * The file under test is built in, for its entrances; its answers end here. The id and the question
 * are those of the answer where it has some, so that all of the rest is looked at.
 */
#define dns_send_packet   fuzz_send_packet
#define dns_hold          fuzz_hold
#define dns_release       fuzz_release
#define dns_forward       fuzz_forward
#define dns_forwards_new  fuzz_forwards_new
#define dns_forwards_free fuzz_forwards_free
#include "node/dns_forward.c"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void dns_send_packet(const struct dns_asker *asker, ldns_pkt *answer)
{
    uint8_t *wire = NULL;
    size_t len = 0;
    (void)asker;
    check(ldns_rr_list_rr_count(ldns_pkt_question(answer)) == 1);
    if (ldns_pkt2wire(&wire, answer, &len) == LDNS_STATUS_OK)
        LDNS_FREE(wire);
}

void dns_hold(const struct dns_asker *asker)
{
    check(asker->dns);
}

void dns_release(const struct dns_asker *asker)
{
    check(asker->dns);
}

static struct daemon *daemon_of(void)
{
    static struct daemon *d;
    if (!d) {
        d = mem_alloc(1, sizeof(*d));
        uv_loop_init(&d->loop);
    }
    return d;
}

static ldns_rr *rr(const char *text)
{
    ldns_rr *made = NULL;
    check(ldns_rr_new_frm_str(&made, text, 60, NULL, NULL) == LDNS_STATUS_OK);
    return made;
}

/* What @wire answers; without a question when it has none. */
static ldns_pkt *question_of(const uint8_t *wire, size_t len)
{
    ldns_pkt *said = NULL, *asked = ldns_pkt_new();
    if (ldns_wire2pkt(&said, wire, len) == LDNS_STATUS_OK &&
        ldns_rr_list_rr_count(ldns_pkt_question(said)) == 1)
        ldns_pkt_push_rr(asked, LDNS_SECTION_QUESTION,
                         ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(said), 0)));
    ldns_pkt_free(said);
    return asked;
}

static struct query *query_of(struct dns_forwards *f, const struct dns_asker *asker,
                              const uint8_t *wire, size_t len, bool alias)
{
    struct query *q = mem_alloc(1, sizeof(*q));
    ldns_pkt *asked = question_of(wire, len);
    ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(asked), 0);
    q->asked = asked;
    q->forwards = f;
    q->asker = *asker;
    q->question = question ? ldns_rr_clone(question) : rr("example.com. IN A 192.0.2.1");
    if (!question)
        ldns_pkt_push_rr(asked, LDNS_SECTION_QUESTION, ldns_rr_clone(q->question));
    q->alias = alias ? rr("own.lan. 60 IN CNAME example.com.") : NULL;
    q->resolvers_n = q->tried = 1;
    q->id = len >= 2 ? (uint16_t)(wire[0] << 8 | wire[1]) : 0;
    begin(f, q);
    dns_hold(asker);
    make_key(q);
    return q;
}

static void on_freed(struct dns *dns)
{
    (void)dns;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns dns = {.daemon = daemon_of()};
    if (size < 1 || size > DNS_MESSAGE_MAX)
        return 0;
    const struct dns_asker asker = {.dns = &dns, .limit = DNS_PLAIN_BYTES};
    dns.forwards = dns_forwards_new(&dns);
    struct query *first = query_of(dns.forwards, &asker, data + 1, size - 1, data[0] & 1);
    take(first, data + 1, size - 1);
    struct query *second = query_of(dns.forwards, &asker, data + 1, size - 1, false);
    answer_remembered(second);
    dns_forwards_free(dns.forwards, on_freed);
    uv_run(&daemon_of()->loop, UV_RUN_DEFAULT);
    return 0;
}
