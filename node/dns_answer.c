/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from what the cluster knows: services, tasks, members, and the users' own records. */
#include "node/dns_internal.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

ldns_pkt *dns_answer_new(const ldns_pkt *query, ldns_pkt_rcode code)
{
    ldns_pkt *answer = ldns_pkt_new();
    const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
    ldns_pkt_set_id(answer, ldns_pkt_id(query));
    ldns_pkt_set_qr(answer, true);
    ldns_pkt_set_aa(answer, true);
    ldns_pkt_set_rd(answer, ldns_pkt_rd(query));
    ldns_pkt_set_ra(answer, true);
    ldns_pkt_set_rcode(answer, (uint8_t)code);
    ldns_pkt_push_rr(answer, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
    if (ldns_pkt_edns(query))
        ldns_pkt_set_edns_udp_size(answer, DNS_EDNS_BYTES);
    return answer;
}

/* --- records ---------------------------------------------------------------------------------- */

static ldns_rr *record(ldns_rdf *owner, ldns_rr_type type, int64_t ttl)
{
    ldns_rr *rr = ldns_rr_new();
    ldns_rr_set_owner(rr, owner);
    ldns_rr_set_type(rr, type);
    ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(rr, (uint32_t)ttl);
    return rr;
}

static ldns_rdf *owner_of(const ldns_pkt *answer)
{
    return ldns_rdf_clone(ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_question(answer), 0)));
}

static void push(ldns_pkt *answer, ldns_pkt_section section, ldns_rr *rr)
{
    if (!ldns_pkt_push_rr(answer, section, rr))
        ldns_rr_free(rr);
}

static ldns_rdf *dname(const char *name)
{
    cleanup_free char *full = str_printf("%s.", name);
    ldns_rdf *rdf = NULL;
    return ldns_str2rdf_dname(&rdf, full) == LDNS_STATUS_OK ? rdf : NULL;
}

/* Its addresses, as far as @type, which may be LDNS_RR_TYPE_ANY, asks for them (RFC 1035, section
 * 3.4.1; RFC 3596, section 2). */
static void push_addresses(ldns_pkt *answer, ldns_pkt_section section, const ldns_rdf *owner,
                           ldns_rr_type type, const struct name_item *item)
{
    if (type != LDNS_RR_TYPE_AAAA) {
        ldns_rr *rr = record(ldns_rdf_clone(owner), LDNS_RR_TYPE_A, DNS_TTL_S);
        ldns_rr_push_rdf(
            rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof(item->address), &item->address));
        push(answer, section, rr);
    }
    if (type != LDNS_RR_TYPE_A && !netip_is_none(&item->address6)) {
        ldns_rr *rr = record(ldns_rdf_clone(owner), LDNS_RR_TYPE_AAAA, DNS_TTL_S);
        ldns_rr_push_rdf(
            rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_AAAA, sizeof(item->address6), &item->address6));
        push(answer, section, rr);
    }
}

/* Priority 0, weight 0 (RFC 2782). */
static void push_service(ldns_pkt *answer, const struct name_item *item)
{
    ldns_rdf *target = dname(item->target);
    if (!target)
        return;
    ldns_rr *rr = record(owner_of(answer), LDNS_RR_TYPE_SRV, DNS_TTL_S);
    ldns_rr_push_rdf(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, 0));
    ldns_rr_push_rdf(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, 0));
    ldns_rr_push_rdf(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, item->port));
    ldns_rr_push_rdf(rr, target);
    push(answer, LDNS_SECTION_ANSWER, rr);
    push_addresses(answer, LDNS_SECTION_ADDITIONAL, target, LDNS_RR_TYPE_ANY, item);
}

static void push_text(ldns_pkt *answer, const struct name_item *item)
{
    char text[1 + 255];
    int n =
        snprintf(text + 1, sizeof(text) - 1, *item->node ? "task=%.150s node=%.64s" : "node=%.64s",
                 item->target, item->node);
    text[0] = (char)n;
    ldns_rr *rr = record(owner_of(answer), LDNS_RR_TYPE_TXT, DNS_TTL_S);
    ldns_rr_push_rdf(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, (size_t)n + 1, text));
    push(answer, LDNS_SECTION_ANSWER, rr);
}

/* Random order, so that clients that take the first spread. */
static void shuffle(struct name_answer *found)
{
    for (size_t i = found->n; i > 1; i--) {
        uint32_t random;
        random_bytes(&random, sizeof(random));
        size_t k = random % i;
        struct name_item swap = found->items[k];
        found->items[k] = found->items[i - 1];
        found->items[i - 1] = swap;
    }
}

/* --- names of the cluster --------------------------------------------------------------------- */

/* What was found, at @owner, as the type asked for has it. */
static void push_found(ldns_pkt *answer, const ldns_rdf *owner, ldns_rr_type type,
                       struct name_answer *found)
{
    shuffle(found);
    for (size_t i = 0; i < found->n; i++) {
        if (type == LDNS_RR_TYPE_SRV)
            push_service(answer, &found->items[i]);
        else if (type == LDNS_RR_TYPE_TXT)
            push_text(answer, &found->items[i]);
        else
            push_addresses(answer, LDNS_SECTION_ANSWER, owner, type, &found->items[i]);
    }
}

/* True when the cluster has @name; @answer gets what it is. */
static bool answer_cluster(const struct dns_asker *asker, const char *name, const ldns_rdf *owner,
                           ldns_rr_type type, ldns_pkt *answer)
{
    struct names *names = asker->dns->names;
    struct in_addr from = asker->from.sin_addr;
    struct name_answer *found = mem_alloc(1, sizeof(*found));
    bool known = false;
    if (type == LDNS_RR_TYPE_SRV)
        known = names_services(names, from, name, found);
    else if (type == LDNS_RR_TYPE_TXT)
        known = names_tasks(names, from, name, found);
    else
        known = names_lookup(names, from, name, found);
    if (known && (type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_AAAA || type == LDNS_RR_TYPE_ANY ||
                  type == LDNS_RR_TYPE_SRV || type == LDNS_RR_TYPE_TXT))
        push_found(answer, owner, type, found);
    free(found);
    return known;
}

/* "5.16.192.10.in-addr.arpa" (RFC 1035, section 3.5). */
static bool reverse_address4(const char *name, struct in6_addr *ret)
{
    unsigned a, b, c, d;
    char rest[32];
    if (sscanf(name, "%3u.%3u.%3u.%3u.%31s", &a, &b, &c, &d, rest) != 5 ||
        strcmp(rest, "in-addr.arpa") != 0 || a > 255 || b > 255 || c > 255 || d > 255)
        return false;
    *ret = netip_from4((struct in_addr){htonl(d << 24 | c << 16 | b << 8 | a)});
    return true;
}

/* "5.0.0.1.….d.f.ip6.arpa", a digit each (RFC 3596, section 2.5). */
static bool reverse_address6(const char *name, struct in6_addr *ret)
{
    enum {
        DIGITS = 32,
    };
    if (strlen(name) != 2 * DIGITS + strlen("ip6.arpa") ||
        strcmp(name + 2 * DIGITS, "ip6.arpa") != 0)
        return false;
    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < DIGITS; i++) {
        const char digit[2] = {name[2 * i]};
        if (!isxdigit((unsigned char)digit[0]) || name[2 * i + 1] != '.')
            return false;
        ret->s6_addr[15 - i / 2] |= (uint8_t)(strtoul(digit, NULL, 16) << (i % 2 ? 4 : 0));
    }
    return !netip_is4(ret);
}

/* True when @name is an address that the cluster has, or could have. */
static bool answer_reverse(const struct dns_asker *asker, const char *name, ldns_pkt *answer)
{
    struct in6_addr address;
    char found[NAME_BYTES];
    if (!reverse_address4(name, &address) && !reverse_address6(name, &address))
        return false;
    if (!names_of(asker->dns->names, asker->from.sin_addr, &address, found)) {
        if (!names_is_ours(asker->dns->names, &address))
            return false;
        ldns_pkt_set_rcode(answer, LDNS_RCODE_NXDOMAIN);
        return true;
    }
    ldns_rdf *target = dname(found);
    if (target) {
        ldns_rr *rr = record(owner_of(answer), LDNS_RR_TYPE_PTR, DNS_TTL_S);
        ldns_rr_push_rdf(rr, target);
        push(answer, LDNS_SECTION_ANSWER, rr);
    }
    return true;
}

/* --- the users' own records ------------------------------------------------------------------- */

static ldns_rr *parse_record(const struct dns_record *r, const ldns_rdf *owner)
{
    cleanup_free char *line = str_printf("x. %lld IN %s %s", (long long)r->ttl, r->type, r->value);
    ldns_rdf *origin = ldns_dname_new_frm_str(".");
    ldns_rr *rr = NULL;
    bool fine = ldns_rr_new_frm_str(&rr, line, DNS_TTL_DEFAULT, origin, NULL) == LDNS_STATUS_OK;
    ldns_rdf_deep_free(origin);
    if (!fine)
        return NULL;
    ldns_rdf_deep_free(ldns_rr_owner(rr));
    ldns_rr_set_owner(rr, ldns_rdf_clone(owner));
    return rr;
}

static char *text_of(const ldns_rdf *name)
{
    char *text = ldns_rdf2str(name);
    if (!text)
        return NULL;
    size_t len = strlen(text);
    if (len > 1 && text[len - 1] == '.')
        text[len - 1] = '\0';
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return text;
}

/* True when there are records of @name. *@ret_alias: a CNAME, when that is what it has and
 * something else is asked for; the caller frees it. */
static bool answer_records(const struct dns_asker *asker, const char *name, const ldns_rdf *owner,
                           ldns_rr_type type, ldns_pkt *answer, ldns_rr **ret_alias)
{
    const struct dns_record *records;
    size_t n;
    if (!names_records(asker->dns->names, name, &records, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        ldns_rr *rr = parse_record(&records[i], owner);
        if (!rr)
            continue;
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME && type != LDNS_RR_TYPE_CNAME &&
            type != LDNS_RR_TYPE_ANY)
            *ret_alias = rr;
        else if (ldns_rr_get_type(rr) == type || type == LDNS_RR_TYPE_ANY)
            push(answer, LDNS_SECTION_ANSWER, rr);
        else
            ldns_rr_free(rr);
    }
    return true;
}

/* --- all of it -------------------------------------------------------------------------------- */

/* What an alias stands for, for clients that do not ask again. True: the answer is complete. */
static bool follow(const struct dns_asker *asker, const ldns_rr *alias, ldns_rr_type type,
                   ldns_pkt *answer)
{
    const ldns_rdf *target = ldns_rr_rdf(alias, 0);
    char *name = text_of(target);
    ldns_rr *next = NULL;
    bool known = name && answer_cluster(asker, name, target, type, answer);
    if (!known && name)
        known = answer_records(asker, name, target, type, answer, &next);
    ldns_rr_free(next); /* an alias of an alias is where we stop */
    free(name);
    return known;
}

bool dns_answer(const struct dns_asker *asker, const ldns_pkt *query, ldns_rr **ret_alias)
{
    const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
    const ldns_rdf *owner = ldns_rr_owner(question);
    ldns_rr_type type = ldns_rr_get_type(question);
    ldns_rr *alias = NULL;
    *ret_alias = NULL;
    char *name = text_of(owner);
    if (!name)
        return false;
    ldns_pkt *answer = dns_answer_new(query, LDNS_RCODE_NOERROR);
    bool known = answer_cluster(asker, name, owner, type, answer) ||
                 answer_records(asker, name, owner, type, answer, &alias) ||
                 answer_reverse(asker, name, answer);
    if (alias) {
        push(answer, LDNS_SECTION_ANSWER, ldns_rr_clone(alias));
        if (follow(asker, alias, type, answer)) {
            ldns_rr_free(alias);
            alias = NULL;
        }
    }
    /* A name of one label is ours or nobody's; and who may not go outside does not ask there. */
    bool shut =
        !known && (!strchr(name, '.') || names_is_shut_in(asker->dns->names, asker->from.sin_addr));
    if (shut)
        ldns_pkt_set_rcode(answer, LDNS_RCODE_NXDOMAIN);
    if ((known && !alias) || shut) {
        dns_send_packet(asker, answer);
        known = true;
    } else {
        known = false;
    }
    ldns_pkt_free(answer);
    free(name);
    *ret_alias = alias;
    return known;
}
