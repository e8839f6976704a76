/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the cluster does not know: the machine's resolvers, or those of the task, are asked
 * one after the other, and what they say is remembered for as long as they allow. */
#include "node/dns_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "node/resolvers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUERIES_MAX = 256,
    QUERIES_EACH_MAX = 64, /* of one asker: a task that asks without end leaves room for others */
    ASK_MS = 2000,         /* one resolver */
    RESOLVERS_MAX = 3,
    REMEMBERED_MAX = 512,
    REMEMBERED_BYTES_MAX = 4096, /* of one answer */
    REMEMBER_MAX_S = 300,
    KEY_BYTES = 320,
};

/* An answer as it came. */
struct remembered {
    char key[KEY_BYTES]; /* "": nothing */
    void *wire;
    size_t len;
    int64_t at_ms, until_ms; /* monotonic */
};

struct query {
    struct dns_forwards *forwards;
    struct query *next, *prev;
    struct dns_asker asker;
    ldns_pkt *asked; /* as it came to us */
    ldns_rr *alias;  /* or NULL */
    ldns_rr *question;
    char key[KEY_BYTES];
    struct sockaddr_in resolvers[RESOLVERS_MAX];
    size_t resolvers_n, tried;
    uint16_t id;
    uint8_t *wire; /* what they are asked, after two bytes for its length */
    size_t wire_len;
    uv_udp_t udp;  /* a port of its own: an answer is hard to forge */
    uv_tcp_t *tcp; /* of the resolver that is being asked now, for those who asked by TCP */
    uv_timer_t timer;
    int handles;
    bool closing;
    uint8_t in[DNS_MESSAGE_MAX + 2];
    size_t in_len;
};

struct dns_forwards {
    struct dns *dns;
    struct query *queries;
    size_t n;
    struct in_addr good; /* who answered last */
    struct remembered remembered[REMEMBERED_MAX];
    bool freeing;
    void (*on_freed)(struct dns *dns);
};

/* --- life ------------------------------------------------------------------------------------- */

struct dns_forwards *dns_forwards_new(struct dns *dns)
{
    struct dns_forwards *f = mem_alloc(1, sizeof(*f));
    f->dns = dns;
    return f;
}

static void maybe_free(struct dns_forwards *f)
{
    if (!f->freeing || f->n > 0)
        return;
    struct dns *dns = f->dns;
    void (*on_freed)(struct dns *) = f->on_freed;
    for (size_t i = 0; i < REMEMBERED_MAX; i++)
        free(f->remembered[i].wire);
    free(f);
    on_freed(dns);
}

static void on_closed(uv_handle_t *handle)
{
    struct query *q = handle->data;
    if (--q->handles > 0)
        return;
    struct dns_forwards *f = q->forwards;
    if (q->prev)
        q->prev->next = q->next;
    else
        f->queries = q->next;
    if (q->next)
        q->next->prev = q->prev;
    f->n--;
    dns_release(&q->asker);
    ldns_pkt_free(q->asked);
    ldns_rr_free(q->alias);
    ldns_rr_free(q->question);
    free(q->wire);
    free(q);
    maybe_free(f);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct query *q = handle->data;
    free(handle);
    on_closed((uv_handle_t *)&q->timer); /* only counts */
}

static void close_tcp(struct query *q)
{
    if (!q->tcp)
        return;
    uv_close((uv_handle_t *)q->tcp, on_tcp_closed);
    q->tcp = NULL;
}

static void end(struct query *q)
{
    if (q->closing)
        return;
    q->closing = true;
    close_tcp(q);
    uv_close((uv_handle_t *)&q->udp, on_closed);
    uv_close((uv_handle_t *)&q->timer, on_closed);
}

void dns_forwards_free(struct dns_forwards *f, void (*on_freed)(struct dns *dns))
{
    f->freeing = true;
    f->on_freed = on_freed;
    for (struct query *q = f->queries; q; q = q->next)
        end(q);
    maybe_free(f);
}

/* --- what was said before --------------------------------------------------------------------- */

/* The shortest time that any part of it is good for; 0: not to be remembered. */
static int64_t lifetime(const ldns_pkt *packet)
{
    const ldns_rr_list *sections[] = {ldns_pkt_answer(packet), ldns_pkt_authority(packet)};
    int64_t shortest = -1;
    if (ldns_pkt_tc(packet) || (ldns_pkt_get_rcode(packet) != LDNS_RCODE_NOERROR &&
                                ldns_pkt_get_rcode(packet) != LDNS_RCODE_NXDOMAIN))
        return 0;
    for (size_t s = 0; s < ARRAY_SIZE(sections); s++)
        for (size_t i = 0; i < ldns_rr_list_rr_count(sections[s]); i++) {
            int64_t ttl = ldns_rr_ttl(ldns_rr_list_rr(sections[s], i));
            shortest = shortest < 0 || ttl < shortest ? ttl : shortest;
        }
    return shortest < 0 ? 0 : shortest > REMEMBER_MAX_S ? REMEMBER_MAX_S : shortest;
}

static struct remembered *place_of(struct dns_forwards *f, const char *key)
{
    uint32_t hash = 2166136261U; /* FNV-1a: a forged collision costs an answer its place */
    for (const char *c = key; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    return &f->remembered[hash % REMEMBERED_MAX];
}

static void remember(struct query *q, const ldns_pkt *packet, const void *wire, size_t len)
{
    struct remembered *r = place_of(q->forwards, q->key);
    int64_t seconds = lifetime(packet);
    if (seconds == 0 || len > REMEMBERED_BYTES_MAX)
        return;
    free(r->wire);
    *r = (struct remembered){
        .wire = mem_copy(wire, len), .len = len, .at_ms = (clock_mono_ns() / 1000000)};
    r->until_ms = r->at_ms + seconds * 1000;
    str_fill(r->key, sizeof(r->key), q->key);
}

static void age(ldns_rr_list *list, int64_t seconds)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        ldns_rr *rr = ldns_rr_list_rr(list, i);
        int64_t left = (int64_t)ldns_rr_ttl(rr) - seconds;
        ldns_rr_set_ttl(rr, (uint32_t)(left > 0 ? left : 0));
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

static void copy_records(ldns_pkt *to, ldns_pkt_section section, const ldns_rr_list *from)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(from); i++)
        ldns_pkt_push_rr(to, section, ldns_rr_clone(ldns_rr_list_rr(from, i)));
}

/* What others said, as an answer to what was asked here. */
static void pass_on(struct query *q, const ldns_pkt *said)
{
    ldns_pkt *answer = dns_answer_new(q->asked, ldns_pkt_get_rcode(said));
    ldns_pkt_set_aa(answer, false);
    ldns_pkt_set_tc(answer, ldns_pkt_tc(said));
    if (q->alias)
        ldns_pkt_push_rr(answer, LDNS_SECTION_ANSWER, ldns_rr_clone(q->alias));
    copy_records(answer, LDNS_SECTION_ANSWER, ldns_pkt_answer(said));
    copy_records(answer, LDNS_SECTION_AUTHORITY, ldns_pkt_authority(said));
    copy_records(answer, LDNS_SECTION_ADDITIONAL, ldns_pkt_additional(said));
    dns_send_packet(&q->asker, answer);
    ldns_pkt_free(answer);
}

static void fail(struct query *q)
{
    ldns_pkt *answer = dns_answer_new(q->asked, LDNS_RCODE_SERVFAIL);
    ldns_pkt_set_aa(answer, false);
    dns_send_packet(&q->asker, answer);
    ldns_pkt_free(answer);
    end(q);
}

static bool answer_remembered(struct query *q)
{
    struct remembered *r = place_of(q->forwards, q->key);
    int64_t now = (clock_mono_ns() / 1000000);
    ldns_pkt *packet = NULL;
    if (strcmp(r->key, q->key) != 0 || now >= r->until_ms ||
        ldns_wire2pkt(&packet, r->wire, r->len) != LDNS_STATUS_OK)
        return false;
    int64_t seconds = (now - r->at_ms) / 1000;
    age(ldns_pkt_answer(packet), seconds);
    age(ldns_pkt_authority(packet), seconds);
    age(ldns_pkt_additional(packet), seconds);
    pass_on(q, packet);
    ldns_pkt_free(packet);
    return true;
}

/* True for an answer to just what was asked. */
static bool is_answer(const struct query *q, const ldns_pkt *packet)
{
    const ldns_rr_list *questions = ldns_pkt_question(packet);
    if (!ldns_pkt_qr(packet) || ldns_pkt_id(packet) != q->id ||
        ldns_rr_list_rr_count(questions) != 1)
        return false;
    const ldns_rr *question = ldns_rr_list_rr(questions, 0);
    return ldns_rr_get_type(question) == ldns_rr_get_type(q->question) &&
           ldns_dname_compare(ldns_rr_owner(question), ldns_rr_owner(q->question)) == 0;
}

static void ask_next(struct query *q);

/* False: it is none; the right one may still come. */
static bool take(struct query *q, const uint8_t *wire, size_t len)
{
    ldns_pkt *packet = NULL;
    if (ldns_wire2pkt(&packet, wire, len) != LDNS_STATUS_OK)
        return false;
    bool fine = is_answer(q, packet);
    bool failed = fine && (ldns_pkt_get_rcode(packet) == LDNS_RCODE_SERVFAIL ||
                           ldns_pkt_get_rcode(packet) == LDNS_RCODE_REFUSED);
    if (failed && q->tried < q->resolvers_n) {
        ask_next(q); /* perhaps the next one knows */
    } else if (fine) {
        q->forwards->good = q->resolvers[q->tried - 1].sin_addr;
        remember(q, packet, wire, len);
        pass_on(q, packet);
        end(q);
    }
    ldns_pkt_free(packet);
    return fine;
}

/* --- asking by UDP ---------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct query *q = handle->data;
    (void)size;
    *buf = uv_buf_init((char *)q->in, sizeof(q->in));
}

static void on_datagram(uv_udp_t *socket, ssize_t n, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    struct query *q = socket->data;
    if (n < DNS_HEADER_BYTES || !from || (flags & UV_UDP_PARTIAL) || q->closing || q->tried == 0)
        return;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
    const struct sockaddr_in *asked = &q->resolvers[q->tried - 1];
    if (in->sin_addr.s_addr == asked->sin_addr.s_addr && in->sin_port == asked->sin_port)
        take(q, (const uint8_t *)buf->base, (size_t)n);
}

/* --- asking by TCP ---------------------------------------------------------------------------- */

struct connecting {
    uv_connect_t connect;
    uv_write_t write;
    struct query *query;
    uv_tcp_t *tcp;
};

static void on_stream_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct query *q = handle->data;
    (void)size;
    *buf = uv_buf_init((char *)q->in + q->in_len, (unsigned)(sizeof(q->in) - q->in_len));
}

static void on_stream(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct query *q = stream->data;
    (void)buf;
    if (q->closing || (uv_tcp_t *)stream != q->tcp || n == 0)
        return;
    if (n < 0) {
        ask_next(q);
        return;
    }
    q->in_len += (size_t)n;
    size_t len = q->in_len >= 2 ? (size_t)(q->in[0] << 8 | q->in[1]) : 0;
    if (q->in_len >= 2 && q->in_len >= len + 2 && !take(q, q->in + 2, len))
        ask_next(q);
}

static void on_written(uv_write_t *write, int status)
{
    struct connecting *c = write->data;
    (void)status; /* then nothing comes back either */
    free(c);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct connecting *c = connect->data;
    struct query *q = c->query;
    uv_tcp_t *tcp = c->tcp;
    if (status == UV_ECANCELED || q->closing || q->tcp != tcp) {
        free(c);
        return;
    }
    uv_buf_t buf = uv_buf_init((char *)q->wire, (unsigned)(q->wire_len + 2));
    c->write.data = c;
    if (status < 0 || uv_read_start((uv_stream_t *)tcp, on_stream_alloc, on_stream) < 0 ||
        uv_write(&c->write, (uv_stream_t *)tcp, &buf, 1, on_written) < 0) {
        free(c);
        ask_next(q);
    }
}

static bool connect_tcp(struct query *q, const struct sockaddr_in *resolver)
{
    struct connecting *c = mem_alloc(1, sizeof(*c));
    q->tcp = mem_alloc(1, sizeof(*q->tcp));
    uv_tcp_init(&q->forwards->dns->daemon->loop, q->tcp);
    q->tcp->data = q;
    q->handles++;
    q->in_len = 0;
    c->query = q;
    c->tcp = q->tcp;
    c->connect.data = c;
    if (uv_tcp_connect(&c->connect, q->tcp, (const struct sockaddr *)resolver, on_connected) == 0)
        return true;
    free(c);
    return false;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void on_time_out(uv_timer_t *timer)
{
    ask_next(timer->data);
}

static void ask_next(struct query *q)
{
    if (q->closing)
        return;
    close_tcp(q);
    if (q->tried == q->resolvers_n) {
        fail(q);
        return;
    }
    const struct sockaddr_in *resolver = &q->resolvers[q->tried++];
    uv_timer_start(&q->timer, on_time_out, ASK_MS, 0);
    if (q->asker.connection) {
        connect_tcp(q, resolver); /* or the time runs out */
    } else {
        uv_buf_t buf = uv_buf_init((char *)q->wire + 2, (unsigned)q->wire_len);
        uv_udp_try_send(&q->udp, &buf, 1, (const struct sockaddr *)resolver);
    }
}

/* Who answered last is asked first. */
static void sort_resolvers(struct query *q)
{
    for (size_t i = 1; i < q->resolvers_n; i++)
        if (q->resolvers[i].sin_addr.s_addr == q->forwards->good.s_addr) {
            struct sockaddr_in first = q->resolvers[0];
            q->resolvers[0] = q->resolvers[i];
            q->resolvers[i] = first;
        }
}

static size_t queries_of(const struct dns_forwards *f, const struct dns_asker *asker)
{
    size_t n = 0;
    for (const struct query *q = f->queries; q; q = q->next)
        n += q->asker.from.sin_addr.s_addr == asker->from.sin_addr.s_addr;
    return n;
}

/* What is asked of others: the same question, or what its alias stands for. */
static bool make_wire(struct query *q)
{
    ldns_pkt *packet = ldns_pkt_new();
    uint8_t *wire = NULL;
    size_t len = 0;
    random_bytes(&q->id, sizeof(q->id));
    ldns_pkt_set_id(packet, q->id);
    ldns_pkt_set_rd(packet, true);
    ldns_pkt_set_cd(packet, ldns_pkt_cd(q->asked));
    ldns_pkt_push_rr(packet, LDNS_SECTION_QUESTION, ldns_rr_clone(q->question));
    if (ldns_pkt_edns(q->asked)) {
        ldns_pkt_set_edns_udp_size(packet, DNS_EDNS_BYTES);
        ldns_pkt_set_edns_do(packet, ldns_pkt_edns_do(q->asked));
    }
    bool fine = ldns_pkt2wire(&wire, packet, &len) == LDNS_STATUS_OK && len <= DNS_MESSAGE_MAX;
    ldns_pkt_free(packet);
    if (fine) {
        q->wire = mem_alloc(len + 2, 1);
        q->wire[0] = (uint8_t)(len >> 8);
        q->wire[1] = (uint8_t)len;
        memcpy(q->wire + 2, wire, len);
        q->wire_len = len;
    }
    LDNS_FREE(wire);
    return fine;
}

/* By what an answer is found again: it depends on who was asked, and how. */
static void make_key(struct query *q)
{
    char *name = ldns_rdf2str(ldns_rr_owner(q->question));
    for (char *c = name; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    snprintf(q->key, sizeof(q->key), "%s %d %d%d%d%d %x", str_or_empty(name),
             ldns_rr_get_type(q->question), ldns_pkt_edns(q->asked), ldns_pkt_edns_do(q->asked),
             ldns_pkt_cd(q->asked), q->asker.connection != NULL,
             q->resolvers_n ? q->resolvers[0].sin_addr.s_addr : 0);
    free(name);
}

/* Give @q its handles, and its place among the others. */
static void begin(struct dns_forwards *f, struct query *q)
{
    uv_loop_t *loop = &f->dns->daemon->loop;
    uv_udp_init(loop, &q->udp);
    uv_timer_init(loop, &q->timer);
    q->udp.data = q->timer.data = q;
    q->handles = 2;
    q->next = f->queries;
    if (q->next)
        q->next->prev = q;
    f->queries = q;
    f->n++;
}

void dns_forward(const struct dns_asker *asker, const ldns_pkt *query, ldns_rr *alias)
{
    struct dns_forwards *f = asker->dns->forwards;
    if (f->freeing || f->n >= QUERIES_MAX || queries_of(f, asker) >= QUERIES_EACH_MAX) {
        ldns_rr_free(alias);
        return;
    }
    struct query *q = mem_alloc(1, sizeof(*q));
    q->forwards = f;
    q->asker = *asker;
    q->asked = ldns_pkt_clone(query);
    q->alias = alias;
    q->question = ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(query), 0));
    if (alias) {
        ldns_rdf_deep_free(ldns_rr_owner(q->question));
        ldns_rr_set_owner(q->question, ldns_rdf_clone(ldns_rr_rdf(alias, 0)));
    }
    dns_hold(asker);
    q->resolvers_n =
        resolvers_for(asker->dns->daemon, asker->from.sin_addr, q->resolvers, RESOLVERS_MAX);
    make_key(q);
    sort_resolvers(q);
    begin(f, q);
    struct sockaddr_in any = {.sin_family = AF_INET};
    if (answer_remembered(q))
        end(q);
    else if (!make_wire(q) || uv_udp_bind(&q->udp, (const struct sockaddr *)&any, 0) < 0 ||
             uv_udp_recv_start(&q->udp, on_alloc, on_datagram) < 0)
        fail(q);
    else
        ask_next(q);
}
