/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units - times and sizes as people read them. Pure.
 */
#ifndef WHERRY_CLI_UNITS_H
#define WHERRY_CLI_UNITS_H

#include <stddef.h>
#include <stdint.h>

enum {
    UNITS_TEXT = 32,   /* bytes that hold any of these but images */
    UNITS_IMAGE = 512, /* and an image */
};

/* How long ago @then_ms was: "now", "12s ago", "5m ago", "3h ago", "2d ago"; "" for 0. */
const char *units_ago(int64_t then_ms, int64_t now_ms, char out[UNITS_TEXT]);

/* "750ms", "12s", "1m30s", "3h", "2d". */
const char *units_duration(int64_t ms, char out[UNITS_TEXT]);

/* "0 B", "4.2 kB", "13 MB", "1.5 GB": units of 1000, as docker prints images. */
const char *units_size(int64_t bytes, char out[UNITS_TEXT]);

/* "512 MiB", "1.5 GiB": units of 1024, as memory is counted. */
const char *units_memory(int64_t bytes, char out[UNITS_TEXT]);

/* Thousandths of a core as "2", "0.5", "1.25". */
const char *units_cpu(int64_t milli, char out[UNITS_TEXT]);

/* An image's name as lists show it: of a digest 12 digits, "app@sha256:0123456789ab…". */
const char *units_image(const char *image, char out[UNITS_IMAGE]);

#endif
