/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_scan - measure msgpack before it is decoded.
 *
 * A msgpack header may claim four thousand million elements in five bytes, and a decoder that
 * believes it asks for the memory at once. A value is scanned first: only when all of what it
 * claims is really there is it decoded. Pure functions; any thread.
 */
#ifndef WHERRY_STORE_RECORD_SCAN_H
#define WHERRY_STORE_RECORD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCAN_DEPTH_MAX = 24,
};

/* Bytes being read: what is left of them. */
struct scan {
    const unsigned char *data;
    size_t len;
};

/* Length of the whole msgpack value at the start of @data. 0 when it is cut short, malformed, an
 * extension type or nested deeper than SCAN_DEPTH_MAX. */
size_t scan_value(const void *data, size_t len);

/* Each reads one value of its kind and moves past it; false, not moved, when there is none. */
bool scan_array(struct scan *scan, size_t *ret_n);
bool scan_uint(struct scan *scan, uint64_t *ret);
bool scan_bytes(struct scan *scan, const unsigned char **ret_data, size_t *ret_len);
bool scan_nil(struct scan *scan);

#endif
