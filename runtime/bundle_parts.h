/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle_parts - what the files of bundle.h share. Not for others.
 *
 * Each function gives a new JSON value that the caller owns, or NULL where a string is not UTF-8.
 */
#ifndef WHERRY_RUNTIME_BUNDLE_PARTS_H
#define WHERRY_RUNTIME_BUNDLE_PARTS_H

#include "runtime/bundle.h"

#include <jansson.h>

/* Stands for the highest unsigned number, which jansson cannot hold, as "hard" or "soft". */
#define BUNDLE_UNLIMITED (-INT64_MAX)

/* "process" (config.md, Process), with @args, which it takes over. @capabilities as capability.h
 * has them. */
json_t *bundle_process(const struct bundle *b, json_t *args, uint64_t capabilities);

/* The program's arguments; empty when neither spec nor image has any. */
json_t *bundle_args(const struct bundle *b);

/* "mounts", in an order in which none hides another that is below it. */
json_t *bundle_mounts(const struct bundle *b);

/* "linux" (config-linux.md). */
json_t *bundle_linux(const struct bundle *b);

/* "linux"."resources" (config-linux.md, Control groups). */
json_t *bundle_resources(const struct bundle *b);

/* @n strings as an array. */
json_t *bundle_strings(const char *const *strings, size_t n);

/* A NULL-terminated list, NULL is empty. Appended to @array. */
void bundle_append(json_t *array, const char *const *strings);

#endif
