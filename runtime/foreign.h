/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign - rules of others that drop what is forwarded, and ours in the place that they leave for
 * it.
 *
 * A packet is forwarded if all tables accept it. Docker and ufw have the chain FORWARD drop what
 * they do not know: then no container is reached, whatever our table says.
 * Docker has a chain for the rules of others, DOCKER-USER, which it keeps
 * (docs.docker.com/engine/network/packet-filtering-firewalls): there what comes from and goes to
 * our devices is accepted, by the iptables program, as Docker writes its own. Where there is no
 * such place somebody has to be told.
 *
 * Seen are chains whose policy is to drop, and firewalld, whose chain ends with a rule that
 * refuses; not other rules that drop, nor tables of the old iptables (legacy). The calling thread's
 * network namespace.
 */
#ifndef WHERRY_RUNTIME_FOREIGN_H
#define WHERRY_RUNTIME_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct netlink;

/* What they do to one family of addresses. */
struct foreign_family {
    bool drops;  /* a chain forwards only what it knows */
    bool docker; /* … and there is DOCKER-USER */
};

struct foreign {
    struct foreign_family four, six; /* in tables filter of iptables and ip6tables */
    bool others;                     /* a chain of another table drops */
    bool ufw;
    bool firewalld;  /* it is there, and does not know our devices */
    char chain[100]; /* "FORWARD of table ip filter": one of those that drop */
};

/* Look at all chains; with @six at those of IPv6, too. @nl is a netfilter socket. */
int foreign_look(struct netlink *nl, bool six, struct foreign *ret, struct err *err);

/* Put our rules into DOCKER-USER where chains drop, those that are missing. ERR_UNSUPPORTED: there
 * is no iptables. */
int foreign_open(const struct foreign *foreign, struct err *err);

/* Take them out again. Fine when there are none. */
int foreign_close(const struct foreign *foreign, struct err *err);

/* What somebody has to do where there is no place for our rules; "": nothing. */
void foreign_advice(const struct foreign *foreign, char *out, size_t size);

#endif
