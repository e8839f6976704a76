/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_internal - what the files of the name server share: who asks, and how he is answered.
 *
 *     dns.c          sockets: UDP and TCP
 *     dns_answer.c   what the cluster knows
 *     dns_forward.c  what it does not: others are asked, and their answers remembered
 */
#ifndef WHERRY_NODE_DNS_INTERNAL_H
#define WHERRY_NODE_DNS_INTERNAL_H

#include "node/daemon.h"
#include "node/dns.h"
#include "node/names.h"

#include <ldns/ldns.h>

struct dns_forwards;
struct dns_connection;

enum {
    DNS_HEADER_BYTES = 12,
    DNS_PLAIN_BYTES = 512, /* of an answer by UDP, without EDNS (RFC 1035, section 4.2.1) */
    DNS_EDNS_BYTES = 1232, /* … at most: what is not fragmented anywhere */
    DNS_MESSAGE_MAX = 65535,
    DNS_TTL_S = 2,
};

struct dns {
    struct daemon *daemon;
    struct names *names;
    struct dns_forwards *forwards;
    uv_udp_t udp;
    uv_tcp_t tcp;
    int handles; /* of these two, that are not closed */
    bool open, listening, complained, freeing;
    struct dns_connection *connections;
    size_t connections_n;
    char in[4096];
};

/* Who asked, by UDP or on a connection. */
struct dns_asker {
    struct dns *dns;
    struct sockaddr_in from;
    struct dns_connection *connection; /* NULL: by UDP */
    uint16_t id;
    size_t limit; /* bytes of an answer */
};

/* Send a message. What is larger than the asker takes is sent cut, with TC set. */
void dns_send(const struct dns_asker *asker, const void *data, size_t len);

/* Send @answer, with the asker's id. */
void dns_send_packet(const struct dns_asker *asker, ldns_pkt *answer);

/* Keep the asker's connection, and let it go: while an answer is still to come. */
void dns_hold(const struct dns_asker *asker);
void dns_release(const struct dns_asker *asker);

/* A packet that answers @query with @code: question, flags and EDNS as they must be. The caller
 * frees it. */
ldns_pkt *dns_answer_new(const ldns_pkt *query, ldns_pkt_rcode code);

/* Answer @query from what the cluster knows. True: it was, or is refused; false: others must be
 * asked, *@ret_alias is then what comes before their answer, a CNAME, or NULL; the caller frees it.
 */
bool dns_answer(const struct dns_asker *asker, const ldns_pkt *query, ldns_rr **ret_alias);

/* Ask others, in the asker's place. @alias (owned here; NULL: none) is told before what they say of
 * the name that it stands for. */
void dns_forward(const struct dns_asker *asker, const ldns_pkt *query, ldns_rr *alias);

struct dns_forwards *dns_forwards_new(struct dns *dns);

/* End them; the memory goes when their handles are closed, then @on_freed is called. */
void dns_forwards_free(struct dns_forwards *forwards, void (*on_freed)(struct dns *dns));

#endif
