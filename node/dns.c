/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dns.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/names.h"
#include "node/resolvers.h"
#include "runtime/network.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

enum {
    TTL_S = 2,
    MESSAGE_MAX = 4096,
    HEADER_BYTES = 12,
    FORWARDS_MAX = 256,
    FORWARDS_EACH_MAX = 64, /* of one asker: a task that asks without end leaves room for others */
    FORWARD_MS = 2000,
    RESOLVERS_MAX = 3,
};

struct dns {
    struct daemon *daemon;
    uv_udp_t socket;
    bool open; /* the socket is initialized */
    bool listening;
    bool complained;
    bool freeing;
    struct forward_query *queries; /* forwarded, under way */
    size_t forwards;               /* how many */
    char in[MESSAGE_MAX];
};

/* A query that went to one of the machine's resolvers, or of the task's own (dns:). */
struct forward_query {
    struct dns *dns;
    struct forward_query *next, *prev;
    uv_udp_t socket; /* a port of its own: an answer is hard to forge */
    uv_timer_t timer;
    int handles;
    bool closing;
    struct sockaddr_in asker;
    unsigned char id[2];
    struct sockaddr_in resolvers[RESOLVERS_MAX];
    size_t resolvers_n;
    size_t asked;
    char *query;
    size_t query_len;
    char in[MESSAGE_MAX];
};

static void maybe_free(struct dns *dns)
{
    if (dns->freeing && !dns->open && dns->forwards == 0)
        free(dns);
}

/* --- sending ---------------------------------------------------------------------------------- */

struct sent {
    uv_udp_send_t request;
    char data[];
};

static void on_sent(uv_udp_send_t *request, int status)
{
    (void)status; /* a lost answer is asked for again */
    free(request->data);
}

static void reply_bytes(struct dns *dns, const struct sockaddr_in *to, const void *data, size_t len)
{
    if (!dns->listening || dns->freeing)
        return;
    struct sent *s = mem_alloc(1, sizeof(*s) + len);
    memcpy(s->data, data, len);
    s->request.data = s;
    uv_buf_t buf = uv_buf_init(s->data, (unsigned)len);
    if (uv_udp_send(&s->request, &dns->socket, &buf, 1, (const struct sockaddr *)to, on_sent) < 0)
        free(s);
}

/* --- forwarding ------------------------------------------------------------------------------- */

static void on_query_closed(uv_handle_t *handle)
{
    struct forward_query *q = handle->data;
    if (--q->handles > 0)
        return;
    if (q->prev)
        q->prev->next = q->next;
    else
        q->dns->queries = q->next;
    if (q->next)
        q->next->prev = q->prev;
    q->dns->forwards--;
    maybe_free(q->dns);
    free(q->query);
    free(q);
}

static void end_query(struct forward_query *q)
{
    if (q->closing)
        return;
    q->closing = true;
    uv_close((uv_handle_t *)&q->socket, on_query_closed);
    uv_close((uv_handle_t *)&q->timer, on_query_closed);
}

static void on_alloc_query(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct forward_query *q = handle->data;
    (void)size;
    *buf = uv_buf_init(q->in, sizeof(q->in));
}

static void ask_next(struct forward_query *q);

static void on_forward_answer(uv_udp_t *socket, ssize_t n, const uv_buf_t *buf,
                              const struct sockaddr *from, unsigned flags)
{
    struct forward_query *q = socket->data;
    if (n < HEADER_BYTES || !from || (flags & UV_UDP_PARTIAL) || q->closing)
        return;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
    const struct sockaddr_in *asked = &q->resolvers[q->asked - 1];
    if (in->sin_addr.s_addr != asked->sin_addr.s_addr || in->sin_port != asked->sin_port ||
        memcmp(buf->base, q->query, 2) != 0)
        return;
    memcpy(buf->base, q->id, 2);
    reply_bytes(q->dns, &q->asker, buf->base, (size_t)n);
    end_query(q);
}

static void refuse(struct forward_query *q)
{
    /* The query back with QR, RA and SERVFAIL set. */
    memcpy(q->query, q->id, 2);
    q->query[2] = (char)(q->query[2] | 0x80);
    q->query[3] = (char)0x82;
    reply_bytes(q->dns, &q->asker, q->query, q->query_len);
    end_query(q);
}

static void on_forward_timeout(uv_timer_t *timer)
{
    ask_next(timer->data);
}

static void ask_next(struct forward_query *q)
{
    if (q->asked == q->resolvers_n) {
        refuse(q);
        return;
    }
    uv_buf_t buf = uv_buf_init(q->query, (unsigned)q->query_len);
    uv_udp_try_send(&q->socket, &buf, 1, (const struct sockaddr *)&q->resolvers[q->asked]);
    q->asked++;
    uv_timer_start(&q->timer, on_forward_timeout, FORWARD_MS, 0);
}

static size_t forwards_of(const struct dns *dns, const struct sockaddr_in *asker)
{
    size_t n = 0;
    for (const struct forward_query *q = dns->queries; q; q = q->next)
        n += q->asker.sin_addr.s_addr == asker->sin_addr.s_addr;
    return n;
}

static void forward(struct dns *dns, const struct sockaddr_in *asker, const char *query, size_t len)
{
    if (dns->forwards >= FORWARDS_MAX || forwards_of(dns, asker) >= FORWARDS_EACH_MAX)
        return;
    struct forward_query *q = mem_alloc(1, sizeof(*q));
    q->dns = dns;
    q->asker = *asker;
    q->query = mem_copy(query, len);
    q->query_len = len;
    memcpy(q->id, query, 2);
    random_bytes(q->query, 2);
    q->resolvers_n = resolvers_for(dns->daemon, asker->sin_addr, q->resolvers, RESOLVERS_MAX);
    uv_udp_init(&dns->daemon->loop, &q->socket);
    uv_timer_init(&dns->daemon->loop, &q->timer);
    q->socket.data = q->timer.data = q;
    q->handles = 2;
    q->next = dns->queries;
    if (q->next)
        q->next->prev = q;
    dns->queries = q;
    dns->forwards++;
    struct sockaddr_in any = {.sin_family = AF_INET};
    if (uv_udp_bind(&q->socket, (const struct sockaddr *)&any, 0) < 0 ||
        uv_udp_recv_start(&q->socket, on_alloc_query, on_forward_answer) < 0)
        refuse(q);
    else
        ask_next(q);
}

/* --- answering -------------------------------------------------------------------------------- */

static void add_answer(ldns_pkt *answer, const ldns_rr *question, struct in_addr address)
{
    ldns_rr *rr = ldns_rr_new();
    ldns_rr_set_owner(rr, ldns_rdf_clone(ldns_rr_owner(question)));
    ldns_rr_set_type(rr, LDNS_RR_TYPE_A);
    ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(rr, TTL_S);
    ldns_rr_push_rdf(
        rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof(address.s_addr), &address.s_addr));
    ldns_pkt_push_rr(answer, LDNS_SECTION_ANSWER, rr);
}

/* Start each answer with another task, so that clients that take the first spread. */
static void shuffle(struct in_addr *addresses, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        uint32_t random;
        random_bytes(&random, sizeof(random));
        size_t k = random % i;
        struct in_addr swap = addresses[k];
        addresses[k] = addresses[i - 1];
        addresses[i - 1] = swap;
    }
}

static void send_answer(struct dns *dns, const struct sockaddr_in *asker, const ldns_pkt *query,
                        const ldns_rr *question, ldns_pkt_rcode code,
                        const struct in_addr *addresses, size_t n)
{
    ldns_pkt *answer = ldns_pkt_new();
    uint8_t *wire = NULL;
    size_t len = 0;
    ldns_pkt_set_id(answer, ldns_pkt_id(query));
    ldns_pkt_set_qr(answer, true);
    ldns_pkt_set_aa(answer, true);
    ldns_pkt_set_rd(answer, ldns_pkt_rd(query));
    ldns_pkt_set_ra(answer, true);
    ldns_pkt_set_rcode(answer, (uint8_t)code);
    ldns_pkt_push_rr(answer, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
    for (size_t i = 0; i < n; i++)
        add_answer(answer, question, addresses[i]);
    if (ldns_pkt2wire(&wire, answer, &len) == LDNS_STATUS_OK)
        reply_bytes(dns, asker, wire, len);
    LDNS_FREE(wire);
    ldns_pkt_free(answer);
}

/* True when it was answered; false: it is for the machine's resolvers. */
static bool answer(struct dns *dns, const struct sockaddr_in *asker, const ldns_pkt *query)
{
    const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
    struct in_addr addresses[NAMES_ADDRESSES_MAX];
    size_t n = 0;
    char *name = ldns_rdf2str(ldns_rr_owner(question));
    if (!name)
        return false;
    const char *dot = strchr(name, '.');
    bool bare = !dot || dot[1] == '\0';
    bool known = names_lookup(dns->daemon->store, asker->sin_addr, name, addresses, &n);
    free(name);
    if (!known && !bare)
        return false;
    if (ldns_rr_get_type(question) != LDNS_RR_TYPE_A &&
        ldns_rr_get_type(question) != LDNS_RR_TYPE_ANY)
        n = 0;
    shuffle(addresses, n);
    send_answer(dns, asker, query, question, known ? LDNS_RCODE_NOERROR : LDNS_RCODE_NXDOMAIN,
                addresses, n);
    return true;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct dns *dns = handle->data;
    (void)size;
    *buf = uv_buf_init(dns->in, sizeof(dns->in));
}

static void on_query(uv_udp_t *socket, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                     unsigned flags)
{
    struct dns *dns = socket->data;
    ldns_pkt *query = NULL;
    if (n < HEADER_BYTES || !from || (flags & UV_UDP_PARTIAL) || dns->freeing)
        return;
    struct sockaddr_in asker = *(const struct sockaddr_in *)(const void *)from;
    if (ldns_wire2pkt(&query, (const uint8_t *)buf->base, (size_t)n) != LDNS_STATUS_OK)
        return;
    bool is_query = !ldns_pkt_qr(query) && ldns_pkt_get_opcode(query) == LDNS_PACKET_QUERY &&
                    ldns_pkt_qdcount(query) == 1;
    if (is_query && !answer(dns, &asker, query))
        forward(dns, &asker, buf->base, (size_t)n);
    ldns_pkt_free(query);
}

/* --- life ------------------------------------------------------------------------------------- */

struct dns *dns_new(struct daemon *d)
{
    struct dns *dns = mem_alloc(1, sizeof(*dns));
    dns->daemon = d;
    return dns;
}

static void on_closed(uv_handle_t *handle)
{
    struct dns *dns = handle->data;
    dns->open = false;
    dns->listening = false;
    maybe_free(dns);
}

void dns_free(struct dns *dns)
{
    dns->freeing = true;
    if (dns->open)
        uv_close((uv_handle_t *)&dns->socket, on_closed);
    else
        maybe_free(dns);
}

static void on_reopen(uv_handle_t *handle)
{
    struct dns *dns = handle->data;
    dns->open = false;
    maybe_free(dns);
}

void dns_listen(struct dns *dns)
{
    struct sockaddr_in address;
    if (dns->open || dns->freeing)
        return;
    check(uv_ip4_addr(NETWORK_GATEWAY, 53, &address) == 0);
    uv_udp_init(&dns->daemon->loop, &dns->socket);
    dns->socket.data = dns;
    dns->open = true;
    int rv = uv_udp_bind(&dns->socket, (const struct sockaddr *)&address, 0);
    if (rv == 0)
        rv = uv_udp_recv_start(&dns->socket, on_alloc, on_query);
    dns->listening = rv == 0;
    if (rv < 0) {
        if (!dns->complained)
            log_warn("dns", "listen on " NETWORK_GATEWAY ":53: %s; names do not work in containers",
                     uv_strerror(rv));
        dns->complained = true;
        uv_close((uv_handle_t *)&dns->socket, on_reopen);
    }
}
