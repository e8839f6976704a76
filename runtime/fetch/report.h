/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - what wherry-image says to the runtime: lines on standard output.
 *
 *     progress DONE TOTAL        bytes
 *     progress DONE TOTAL LAYERS-DONE LAYERS BYTES-PER-SECOND    of a transfer
 *     have DIGEST SIZE           is this blob here already? answered y or n
 *     blob DIGEST SIZE FILE      FILE of the ingest folder is this blob, checked; answered y when
 *                                it was filed
 *     image DIGEST NAME          a manifest whose blobs were all reported; NAME may be "-"
 *     digest DIGEST              what a name stands for
 *     opaque PATH                this folder of the layer hides what lower layers have in it
 *     implied PATH               this folder was not in the archive but something in it was
 *     error NUMBER TEXT          the end: a wire number of err.h and a message
 *     done                       the end: all is well
 *
 * Answers come on standard input. Paths and names are percent-encoded. runtime/image_helper.c
 * reads the lines and trusts none of them.
 */
#ifndef WHERRY_RUNTIME_FETCH_REPORT_H
#define WHERRY_RUNTIME_FETCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct err;

/* Say how far it is; at most ten times a second gets through. */
void report_progress(int64_t done, int64_t total);

/* As report_progress for a transfer of several layers, at @speed bytes a second. */
void report_transfer(int64_t done, int64_t total, unsigned layers_done, unsigned layers,
                     int64_t speed);

/* Say what a name stands for. */
void report_digest(const char *digest);

/* Ask whether the runtime has a blob. */
bool report_have(const char *digest, int64_t size);

/* Hand over a finished blob. ERR_FAILED when the runtime would not take it. */
int report_blob(const char *digest, int64_t size, const char *file, struct err *err);

/* Name a finished manifest; @name may be NULL. */
void report_image(const char *digest, const char *name);

/* Ask a question of @kind about @path: "opaque". */
bool report_ask(const char *kind, const char *path);

/* Say what a layer cannot hold itself; @kind is "opaque" or "implied". */
void report_path(const char *kind, const char *path);

/* The last line: "done" when @err is NULL. */
void report_end(const struct err *err);

#endif
