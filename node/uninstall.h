/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uninstall - a machine is again as it was before there was a daemon on it.
 *
 * Containers with their mounts and control groups, network namespaces, links, routes, rules and
 * the nftables table go, then the run folder and the data folder. Works without a daemon, and
 * whatever state one left the machine in; what fails is told and the rest is still done.
 */
#ifndef WHERRY_NODE_UNINSTALL_H
#define WHERRY_NODE_UNINSTALL_H

#include <stdbool.h>

struct err;

struct uninstall_options {
    const char *data_dir, *run_dir; /* NULL: the default ones */
    const char *cgroup_parent;      /* as the daemon had it; NULL: the default one */
    bool keep_volumes;              /* data_dir/volumes stays */
};

/* Do it, in the calling thread's network namespace. ERR_BUSY, and nothing was done, while a daemon
 * runs on the folder; ERR_NOTFOUND when there is no such folder. */
int uninstall(const struct uninstall_options *options, struct err *err);

#endif
