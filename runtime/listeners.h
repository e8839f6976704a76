/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners - the ports of this machine that its processes hold: what is published there would be
 * taken from them.
 *
 * A port is held by a TCP socket that listens, and by a UDP socket that is bound to one outside of
 * the range that the kernel gives out by itself (net.ipv4.ip_local_port_range), on whatever address
 * of IPv4, 127.0.0.1 too, or on all of IPv6; not by those on the gateway address of containers.
 */
#ifndef WHERRY_RUNTIME_LISTENERS_H
#define WHERRY_RUNTIME_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    LISTENERS_HOLDER = 48, /* "sshd (pid 4194304)" with its end */
};

struct listener {
    uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
    uint16_t port;
    bool six; /* for clients of IPv6 alone */
    uint64_t inode;
};

/* Read those of the calling thread's network namespace (sock_diag(7), else proc_net(5)). Free
 * *@ret. */
int listeners_read(struct listener **ret, size_t *ret_n, struct err *err);

/* The one that holds the port, or NULL; with @six one that holds it for clients of IPv6 alone, on
 * an address of that other than ::1. */
const struct listener *listeners_find(const struct listener *list, size_t n, uint8_t protocol,
                                      uint16_t port, bool six);

/* Which process it is, "sshd (pid 812)"; "a process" when it is not seen. Looks at every process.
 */
void listener_holder(const struct listener *listener, char out[LISTENERS_HOLDER]);

#endif
