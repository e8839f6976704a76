/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source - the machines that connections come from, before they have shown who they are.
 *
 * Handshakes cost us time, so each source has a bucket of them: SOURCE_BURST at once,
 * SOURCE_PER_SECOND in the long run. Those that were used last are remembered, SOURCES_MAX of them:
 * the memory is fixed whatever comes in. Pure but for sources_name(); one thread.
 */
#ifndef WHERRY_CLUSTER_SOURCE_H
#define WHERRY_CLUSTER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    SOURCE_TEXT = 48, /* an address as text, with the terminating 0 */
    SOURCES_MAX = 256,
    SOURCE_BURST = 1000,
    SOURCE_PER_SECOND = 250,
};

struct source {
    char name[SOURCE_TEXT];
    int64_t left_milli; /* handshakes it may still begin, thousandths */
    int64_t at_ms;      /* as of when */
};

/* Zeroed: nobody is known. */
struct sources {
    struct source all[SOURCES_MAX];
    size_t n;
};

/* Where @tcp comes from: its address without the port, "?" when that is not known. Written to @out
 * of SOURCE_TEXT bytes. Returns the port, or 0. */
unsigned sources_name(const uv_tcp_t *tcp, char *out);

/* Take a handshake out of the bucket of @name. False: it is empty. */
bool sources_admit(struct sources *sources, const char *name, int64_t now_ms);

#endif
