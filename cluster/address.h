/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address - "10.0.0.2:7400", "[fd00::2]:7400", "box.lan:7400": host and port. Pure.
 */
#ifndef WHERRY_CLUSTER_ADDRESS_H
#define WHERRY_CLUSTER_ADDRESS_H

#include <netinet/in.h>

struct err;

enum {
    ADDRESS_HOST_MAX = 254, /* with the terminating 0 */
    ADDRESS_PORT_MAX = 6,
};

/* An address taken apart. */
struct address {
    char host[ADDRESS_HOST_MAX];
    char port[ADDRESS_PORT_MAX];
};

/* A socket address of either family. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Split @text; @default_port (NULL: it must be given) stands in for a missing one. A bare IPv6
 * address needs its brackets only with a port. */
int address_split(const char *text, const char *default_port, struct address *ret, struct err *err);

/* The socket address of a numeric @address. ERR_INVALID for a name. */
int address_numeric(const struct address *address, union socket_address *ret, struct err *err);

#endif
