/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine - give up everything that reading strangers' bytes does not need.
 *
 * The process forks into namespaces of its own (mounts, processes, IPC, host name and, unless it
 * is to pull, the network), makes one folder its root, keeps the named capabilities only, can gain
 * none, is limited in memory and file size, and is refused the system calls that an intruder
 * would want (mounts, namespaces, tracing, executing, sockets).
 */
#ifndef WHERRY_RUNTIME_FETCH_CONFINE_H
#define WHERRY_RUNTIME_FETCH_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct confine {
    const char *folder;     /* the only place that stays writable */
    bool read_only;         /* ...with @network: not even that */
    bool network;           /* keep the network; @folder is then /ingest, beside /etc's
                             * resolver files on a read-only root. Else @folder is / itself */
    uint64_t capabilities;  /* bits to keep */
    int64_t max_file_bytes; /* of any file it writes */
    unsigned keep_fds;      /* descriptors from 4 on that stay open */
};

/* Returns in a confined child. The parent waits for it and ends as it ends. */
int confine_enter(const struct confine *confine, struct err *err);

/* Refuse dangerous system calls from here on; sockets of the internet only with @network. */
int confine_system_calls(bool network, struct err *err);

#endif
