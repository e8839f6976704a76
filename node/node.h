/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node - the daemon of a machine.
 */
#ifndef WHERRY_NODE_NODE_H
#define WHERRY_NODE_NODE_H

#define NODE_DATA_DIR "/var/lib/wherry"
#define NODE_RUN_DIR  "/run/wherry"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct in_addr;

#define WHERRY_VERSION "0.7.0"

/* How the daemon is started: the options of `wherry node`. Strings are borrowed. */
struct node_options {
    const char *name;          /* NULL: the host name */
    const char *data_dir;      /* NULL: /var/lib/wherry */
    const char *run_dir;       /* NULL: /run/wherry */
    const char *address;       /* "IP" or "IP:PORT" of the bus; NULL: the default route's, 7400 */
    const char *advertise;     /* "IP" or "IP:PORT" that others reach it by; NULL: that address */
    const char *const *labels; /* "K=V" */
    size_t labels_n;
    const char *const *resources; /* "NAME=COUNT" */
    size_t resources_n;
    const char *const *oci_runtimes; /* "NAME=PATH": one more; "NAME": the default. None: the first
                                        that works */
    size_t oci_runtimes_n;
    const char *seccomp_profile;   /* file with the containers' default; NULL: the built-in one */
    const char *cgroup_parent;     /* "/system.slice/wherry.service/groups": all control groups are
                                      below it; NULL: "/wherry" */
    const char *http;              /* "ADDRESS:PORT", "unix:PATH" or "off"; NULL: 127.0.0.1:7480 */
    bool witness;                  /* vote, and do nothing else */
    const char *const *plain_http; /* registries to speak plain HTTP with, "host:port" */
    size_t plain_http_n;
    int pretend_level; /* 0: none. For tests: know only what the release of that level did */
    unsigned snapshot_entries; /* of the log, between two snapshots; 0: 8192. For tests */
    int64_t drain_ms;      /* at SIGTERM the tasks may go elsewhere for so long; 0: not at all */
    int64_t certificate_s; /* how long certificates last that this member signs; 0: 90 days */
};

/* Run until SIGTERM or SIGINT, which leave the containers running. Returns 0 after such a stop,
 * else a code with *err for why it cannot run. */
int node_run(const struct node_options *options, struct err *err);

#endif
