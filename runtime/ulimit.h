/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ulimit - names of the limits of setrlimit(2). Pure.
 */
#ifndef WHERRY_RUNTIME_ULIMIT_H
#define WHERRY_RUNTIME_ULIMIT_H

/* The number of limit "nofile", -1 when there is none of that name. */
int ulimit_number(const char *name);

/* "RLIMIT_NOFILE" of "nofile", as OCI configs have it; NULL when there is none of that name. */
const char *ulimit_oci_name(const char *name);

#endif
