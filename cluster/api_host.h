/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_host - what a machine has of what a member needs. Included by api.h.
 */
#ifndef WHERRY_CLUSTER_API_HOST_H
#define WHERRY_CLUSTER_API_HOST_H

#include "store/record.h"

struct host_check {
    char *what;   /* "control groups" */
    char *result; /* "ok", "warning", "failed" */
    char *text;   /* what there is, or what is missing and what to do */
};

struct host_checks {
    struct host_check *checks;
    size_t checks_n;
};

extern const struct record_type host_check_type, host_checks_type;

#endif
