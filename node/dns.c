/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dns.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/dns_internal.h"
#include "runtime/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTIONS_MAX = 128,
    CONNECTIONS_EACH_MAX = 32, /* of one asker */
    IDLE_MS = 10000,           /* of a connection on which nothing is asked */
    BACKLOG = 64,
};

/* A client by TCP: messages of two bytes of length and as many bytes (RFC 1035, section 4.2.2). */
struct dns_connection {
    struct dns *dns;
    struct dns_connection *next, *prev;
    uv_tcp_t tcp;
    uv_timer_t timer;
    int handles;
    bool closing;
    int held; /* by answers to come */
    struct sockaddr_in from;
    uint8_t in[DNS_MESSAGE_MAX + 2];
    size_t in_len;
};

/* --- sending ---------------------------------------------------------------------------------- */

struct sent {
    union {
        uv_udp_send_t datagram;
        uv_write_t write;
    };
    size_t len;
    uint8_t data[];
};

static void on_sent(uv_udp_send_t *request, int status)
{
    (void)status; /* a lost answer is asked for again */
    free(request->data);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request->data);
}

/* The message as it is asked for: by TCP after its length. */
static struct sent *sent_new(const void *data, size_t len, bool stream)
{
    struct sent *s = mem_alloc(1, sizeof(*s) + len + 2);
    size_t at = stream ? 2 : 0;
    if (stream) {
        s->data[0] = (uint8_t)(len >> 8);
        s->data[1] = (uint8_t)len;
    }
    memcpy(s->data + at, data, len);
    s->len = len + at;
    return s;
}

void dns_send(const struct dns_asker *asker, const void *data, size_t len)
{
    struct dns *dns = asker->dns;
    struct dns_connection *c = asker->connection;
    if (dns->freeing || (c ? c->closing : !dns->listening))
        return;
    struct sent *s = sent_new(data, len, c != NULL);
    uv_buf_t buf = uv_buf_init((char *)s->data, (unsigned)s->len);
    int rv;
    if (c) {
        s->write.data = s;
        rv = uv_write(&s->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
    } else {
        s->datagram.data = s;
        rv = uv_udp_send(&s->datagram, &dns->udp, &buf, 1, (const struct sockaddr *)&asker->from,
                         on_sent);
    }
    if (rv < 0)
        free(s);
}

/* Nothing but the question, and that there is more by TCP. */
static void cut(ldns_pkt *answer)
{
    const ldns_pkt_section sections[] = {LDNS_SECTION_ANSWER, LDNS_SECTION_AUTHORITY,
                                         LDNS_SECTION_ADDITIONAL};
    ldns_rr_list *lists[] = {ldns_pkt_answer(answer), ldns_pkt_authority(answer),
                             ldns_pkt_additional(answer)};
    for (size_t i = 0; i < 3; i++) {
        for (ldns_rr *rr; (rr = ldns_rr_list_pop_rr(lists[i]));)
            ldns_rr_free(rr);
        ldns_pkt_set_section_count(answer, sections[i], 0);
    }
    ldns_pkt_set_tc(answer, true);
}

void dns_send_packet(const struct dns_asker *asker, ldns_pkt *answer)
{
    uint8_t *wire = NULL;
    size_t len = 0;
    ldns_pkt_set_id(answer, asker->id);
    if (ldns_pkt2wire(&wire, answer, &len) != LDNS_STATUS_OK)
        return;
    if (len > asker->limit) {
        LDNS_FREE(wire);
        wire = NULL;
        cut(answer);
        if (ldns_pkt2wire(&wire, answer, &len) != LDNS_STATUS_OK)
            return;
    }
    dns_send(asker, wire, len);
    LDNS_FREE(wire);
}

/* --- queries ---------------------------------------------------------------------------------- */

static size_t limit_of(const ldns_pkt *query, bool stream)
{
    if (stream)
        return DNS_MESSAGE_MAX;
    size_t says = ldns_pkt_edns(query) ? ldns_pkt_edns_udp_size(query) : 0;
    return says < DNS_PLAIN_BYTES ? DNS_PLAIN_BYTES : says > DNS_EDNS_BYTES ? DNS_EDNS_BYTES : says;
}

static void refuse(const struct dns_asker *asker, const ldns_pkt *query, ldns_pkt_rcode code)
{
    ldns_pkt *answer = dns_answer_new(query, code);
    dns_send_packet(asker, answer);
    ldns_pkt_free(answer);
}

static void on_message(struct dns_asker *asker, const uint8_t *wire, size_t len)
{
    ldns_pkt *query = NULL;
    ldns_rr *alias = NULL;
    if (len < DNS_HEADER_BYTES || ldns_wire2pkt(&query, wire, len) != LDNS_STATUS_OK)
        return;
    asker->id = ldns_pkt_id(query);
    asker->limit = limit_of(query, asker->connection != NULL);
    if (!ldns_pkt_qr(query) && ldns_pkt_qdcount(query) == 1) {
        const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
        if (ldns_pkt_get_opcode(query) != LDNS_PACKET_QUERY)
            refuse(asker, query, LDNS_RCODE_NOTIMPL);
        else if (ldns_rr_get_class(question) != LDNS_RR_CLASS_IN)
            refuse(asker, query, LDNS_RCODE_REFUSED);
        else if (!dns_answer(asker, query, &alias))
            dns_forward(asker, query, alias);
    }
    ldns_pkt_free(query);
}

/* --- by UDP ----------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct dns *dns = handle->data;
    (void)size;
    *buf = uv_buf_init(dns->in, sizeof(dns->in));
}

static void on_datagram(uv_udp_t *socket, ssize_t n, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    struct dns *dns = socket->data;
    if (n <= 0 || !from || (flags & UV_UDP_PARTIAL) || dns->freeing)
        return;
    struct dns_asker asker = {.dns = dns, .from = *(const struct sockaddr_in *)(const void *)from};
    on_message(&asker, (const uint8_t *)buf->base, (size_t)n);
}

/* --- by TCP ----------------------------------------------------------------------------------- */

static void maybe_free(struct dns *dns);

static void connection_free(struct dns_connection *c)
{
    struct dns *dns = c->dns;
    if (c->handles > 0 || c->held > 0)
        return;
    if (c->prev)
        c->prev->next = c->next;
    else
        dns->connections = c->next;
    if (c->next)
        c->next->prev = c->prev;
    dns->connections_n--;
    free(c);
    maybe_free(dns);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct dns_connection *c = handle->data;
    c->handles--;
    connection_free(c);
}

static void connection_close(struct dns_connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
    uv_close((uv_handle_t *)&c->timer, on_connection_closed);
}

void dns_hold(const struct dns_asker *asker)
{
    if (asker->connection)
        asker->connection->held++;
}

void dns_release(const struct dns_asker *asker)
{
    if (!asker->connection)
        return;
    asker->connection->held--;
    connection_free(asker->connection);
}

static void on_idle(uv_timer_t *timer)
{
    struct dns_connection *c = timer->data;
    if (c->held == 0)
        connection_close(c);
}

static void on_connection_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct dns_connection *c = handle->data;
    (void)size;
    *buf = uv_buf_init((char *)c->in + c->in_len, (unsigned)(sizeof(c->in) - c->in_len));
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct dns_connection *c = stream->data;
    (void)buf;
    if (n < 0) {
        connection_close(c);
        return;
    }
    c->in_len += (size_t)n;
    uv_timer_again(&c->timer);
    while (!c->closing && c->in_len >= 2) {
        size_t len = (size_t)(c->in[0] << 8 | c->in[1]);
        if (c->in_len < len + 2)
            return;
        struct dns_asker asker = {.dns = c->dns, .from = c->from, .connection = c};
        on_message(&asker, c->in + 2, len);
        memmove(c->in, c->in + len + 2, c->in_len - len - 2);
        c->in_len -= len + 2;
    }
}

static size_t connections_of(const struct dns *dns, const struct sockaddr_in *from)
{
    size_t n = 0;
    for (const struct dns_connection *c = dns->connections; c; c = c->next)
        n += c->from.sin_addr.s_addr == from->sin_addr.s_addr;
    return n;
}

static void on_connect(uv_stream_t *listener, int status)
{
    struct dns *dns = listener->data;
    if (status < 0 || dns->freeing)
        return;
    struct dns_connection *c = mem_alloc(1, sizeof(*c));
    int len = sizeof(c->from);
    c->dns = dns;
    uv_tcp_init(&dns->daemon->loop, &c->tcp);
    uv_timer_init(&dns->daemon->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->handles = 2;
    c->next = dns->connections;
    if (c->next)
        c->next->prev = c;
    dns->connections = c;
    dns->connections_n++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 ||
        uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&c->from, &len) < 0 ||
        dns->connections_n > CONNECTIONS_MAX ||
        connections_of(dns, &c->from) > CONNECTIONS_EACH_MAX ||
        uv_read_start((uv_stream_t *)&c->tcp, on_connection_alloc, on_bytes) < 0)
        connection_close(c);
    else
        uv_timer_start(&c->timer, on_idle, IDLE_MS, IDLE_MS);
}

/* --- life ------------------------------------------------------------------------------------- */

struct dns *dns_new(struct daemon *d)
{
    struct dns *dns = mem_alloc(1, sizeof(*dns));
    dns->daemon = d;
    dns->names = names_new(d->store);
    dns->forwards = dns_forwards_new(dns);
    return dns;
}

void dns_on_change(struct dns *dns, unsigned tables)
{
    names_on_change(dns->names, tables);
}

static void maybe_free(struct dns *dns)
{
    if (!dns->freeing || dns->handles > 0 || dns->forwards || dns->connections)
        return;
    names_free(dns->names);
    free(dns);
}

static void on_forwards_freed(struct dns *dns)
{
    dns->forwards = NULL;
    maybe_free(dns);
}

static void on_closed(uv_handle_t *handle)
{
    struct dns *dns = handle->data;
    if (--dns->handles == 0)
        dns->open = dns->listening = false;
    maybe_free(dns);
}

static void close_sockets(struct dns *dns)
{
    uv_close((uv_handle_t *)&dns->udp, on_closed);
    uv_close((uv_handle_t *)&dns->tcp, on_closed);
}

void dns_free(struct dns *dns)
{
    dns->freeing = true;
    for (struct dns_connection *c = dns->connections; c; c = c->next)
        connection_close(c);
    if (dns->open && !uv_is_closing((uv_handle_t *)&dns->udp))
        close_sockets(dns);
    dns_forwards_free(dns->forwards, on_forwards_freed);
}

void dns_listen(struct dns *dns)
{
    struct sockaddr_in address;
    const struct sockaddr *at = (const struct sockaddr *)&address;
    if (dns->open || dns->freeing)
        return;
    check(uv_ip4_addr(NETWORK_GATEWAY, 53, &address) == 0);
    uv_udp_init(&dns->daemon->loop, &dns->udp);
    uv_tcp_init(&dns->daemon->loop, &dns->tcp);
    dns->udp.data = dns->tcp.data = dns;
    dns->handles = 2;
    dns->open = true;
    int rv = uv_udp_bind(&dns->udp, at, 0);
    if (rv == 0)
        rv = uv_udp_recv_start(&dns->udp, on_alloc, on_datagram);
    if (rv == 0)
        rv = uv_tcp_bind(&dns->tcp, at, 0);
    if (rv == 0)
        rv = uv_listen((uv_stream_t *)&dns->tcp, BACKLOG, on_connect);
    dns->listening = rv == 0;
    if (rv < 0) {
        if (!dns->complained)
            log_warn("dns", "listen on " NETWORK_GATEWAY ":53: %s; names do not work in containers",
                     uv_strerror(rv));
        dns->complained = true;
        close_sockets(dns);
    }
}
