/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node - the daemon of a machine.
 */
#ifndef WHERRY_NODE_NODE_H
#define WHERRY_NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct in_addr;

#define WHERRY_VERSION "0.2.0"

/* How the daemon is started: the options of `wherry node`. Strings are borrowed. */
struct node_options {
    const char *name;          /* NULL: the host name */
    const char *data_dir;      /* NULL: /var/lib/wherry */
    const char *run_dir;       /* NULL: /run/wherry */
    const char *address;       /* "IP" or "IP:PORT" of the bus; NULL: the default route's, 7400 */
    const char *const *labels; /* "K=V" */
    size_t labels_n;
    const char *oci_runtime;       /* NULL: by probing */
    bool witness;                  /* vote, and do nothing else */
    const char *const *plain_http; /* registries to speak plain HTTP with, "host:port" */
    size_t plain_http_n;
    int pretend_level; /* 0: none. For tests: know only what the release of that level did */
    unsigned snapshot_entries; /* of the log, between two snapshots; 0: 8192. For tests */
    int64_t certificate_s;     /* how long certificates last that this member signs; 0: 90 days */
};

/* Run until SIGTERM or SIGINT, which leave the containers running. Returns 0 after such a stop,
 * else a code with *err for why it cannot run. */
int node_run(const struct node_options *options, struct err *err);

#endif
