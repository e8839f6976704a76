/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_record - a container's spec on disk, so that it can be started after any restart.
 *
 * containers/ID/spec.json: the fields of struct container_spec by their names, with "image_digest",
 * the manifest the image's name stood for when the container was made. One table has them all
 * (container_record.c); those with their default are not written, and records of 0.2.0, which has
 * fewer fields, are read.
 */
#ifndef WHERRY_RUNTIME_CONTAINER_RECORD_H
#define WHERRY_RUNTIME_CONTAINER_RECORD_H

#include "runtime/container.h"
#include "runtime/fields.h"

#include <stddef.h>

struct err;
struct runtime;

struct container_record {
    struct container_spec spec; /* its strings live in memory below */
    const char *image_digest;
    void *json; /* owns the strings */
    struct owned owned;
};

/* ERR_INVALID with the field's name for what cannot be honoured anywhere. */
int container_record_check(const struct container_spec *spec, struct err *err);

/* Write @spec to @path, durably. */
int container_record_save(const char *path, const struct container_spec *spec,
                          const char *image_digest, struct err *err);

/* Fill the zeroed @spec from a record's JSON object, which keeps the strings; @owned has the rest.
 * ERR_CORRUPT names a field of another type. What the fields say is not checked. */
int container_record_fields(struct json_t *json, struct container_spec *spec, struct owned *owned,
                            struct err *err);

/* Read container @id's record. ERR_NOTFOUND without one, ERR_CORRUPT names the file. */
int container_record_load(const struct runtime *rt, const char *id,
                          struct container_record *ret_record, struct err *err);

/* Free what @record holds and zero it. */
void container_record_release(struct container_record *record);
#define cleanup_record __attribute__((cleanup(container_record_release)))

/* True for [a-z0-9-]{1,32}. */
bool container_record_id_ok(const char *id);

/* Number of a signal: "SIGQUIT", "QUIT", "3", "SIGRTMIN+3". 0 if there is none of that name. */
int container_record_signal(const char *name);

#endif
