/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink - requests to the kernel's network, many at a time.
 *
 *     netlink_open(NETLINK_ROUTE, &nl, err);
 *     msg = netlink_request(nl, RTM_NEWLINK, NLM_F_CREATE, &header, sizeof(header), "link %s",
 * name); mnl_attr_put_strz(msg, IFLA_IFNAME, name);         as many requests as you like
 *     netlink_flush(nl, err);                            sends what waits, gives the first error
 *
 * Requests wait in one buffer and go out together; one that fails does not stop those behind it. A
 * socket belongs to the network namespace of the thread that opened it, for as long as it lives.
 * Blocking, with a time-out of seconds; one thread at a time.
 */
#ifndef WHERRY_RUNTIME_NETLINK_H
#define WHERRY_RUNTIME_NETLINK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct netlink;
struct nlmsghdr;
struct nlattr;

enum {
    NETLINK_REQUEST_MAX = 2048, /* bytes that one request may grow to */
};

/* Called with each message of a dump, and with NULL before the first: the dump (re)starts then,
 * and what an interrupted try has gathered must be forgotten. */
typedef void (*netlink_dump_cb)(const struct nlmsghdr *msg, void *arg);

/* Open a socket of @bus (NETLINK_ROUTE, NETLINK_NETFILTER). */
int netlink_open(int bus, struct netlink **ret, struct err *err);

/* Close and free. Requests that were not flushed are dropped. NULL is fine. */
void netlink_close(struct netlink *nl);
/* For the cleanup attribute. */
void netlink_close_fn(struct netlink **nl);
#define cleanup_netlink __attribute__((cleanup(netlink_close_fn)))

/* Add a request with @header behind the netlink header; attributes are put by the caller. The text
 * names the object for the error message. Deleting what is not there is no error. The result is
 * valid until the next call. */
struct nlmsghdr *netlink_request(struct netlink *nl, uint16_t type, uint16_t flags,
                                 const void *header, size_t header_len, const char *fmt, ...)
    __attribute__((format(printf, 6, 7), returns_nonnull));

/* Let the last request fail unnoticed. */
void netlink_optional(struct netlink *nl);

/* Send what waits and read every answer. Returns the first error since the last flush. */
int netlink_flush(struct netlink *nl, struct err *err);

/* Begin a dump request; the caller may put attributes, then calls netlink_dump_run. Nothing may
 * wait unflushed. */
struct nlmsghdr *netlink_dump(struct netlink *nl, uint16_t type, const void *header,
                              size_t header_len);

/* Send the request of netlink_dump and hand every message to @cb. A dump that the kernel says was
 * interrupted by a change is done again. */
int netlink_dump_run(struct netlink *nl, netlink_dump_cb cb, void *arg, struct err *err);

/* Send @len bytes of a netfilter batch at @data, whose message number @ack_seq asks for an
 * acknowledgement. 0 when the kernel has committed all of it, else nothing was. */
int netlink_batch(struct netlink *nl, const void *data, size_t len, uint32_t ack_seq,
                  struct err *err);

/* Sort the attributes behind the header of @msg into @attrs[0..max]; NULL where there is none. */
void netlink_attributes(const struct nlmsghdr *msg, size_t header_len, const struct nlattr **attrs,
                        uint16_t max);

/* The same for the attributes inside @nest; a NULL one has none. */
void netlink_nested(const struct nlattr *nest, const struct nlattr **attrs, uint16_t max);

/* The number in @attr; 0 when it is missing or too short. */
uint32_t netlink_u32(const struct nlattr *attr);

/* Copy @attr to @out if it has exactly @len bytes. */
bool netlink_bytes(const struct nlattr *attr, void *out, size_t len);

/* Read an address of either family (netip.h). False, and @out as it was, when @attr is none. */
bool netlink_address(const struct nlattr *attr, struct in6_addr *out);

/* Put an address as its family has it into @msg. */
void netlink_put_address(struct nlmsghdr *msg, uint16_t type, const struct in6_addr *address);

#endif
